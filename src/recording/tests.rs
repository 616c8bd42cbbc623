//! What the writer writes is read back; whatever is wrong with a file is said with its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer, V2Serializer};
use ringroad_config::schema::Telemetry;
use ringroad_engine::telemetry::{Measure, Recorders};
use tempfile::TempDir;

use super::writer::Tally;
use super::*;
use crate::keeper::Interval;

/// When the intervals of tests begin: 2026-11-22T03:15:00Z, and some milliseconds [ms].
const BEGAN: u64 = 1_795_317_300_123;

fn at(ms: u64) -> SystemTime {
    // A clock knows more than is written.
    UNIX_EPOCH + Duration::from_millis(ms) + Duration::from_nanos(700)
}

/// The interval of so many seconds behind [`BEGAN`]: of its number all figures follow.
fn interval(second: u64) -> Interval {
    let mut recorded = Recorders::new();
    recorded.record_n(Measure::Inside, 1_000 * (second + 1), 10 + second);
    recorded.record(Measure::Inside, 40_000_000);
    recorded.record_n(Measure::Burst, 64, 3);
    let mut stats = Stats::default();
    stats.ledger.received = second;
    let began = BEGAN + 1_000 * second;
    Interval { began: at(began), ended: at(began + 1_000), recorded: recorded.into(), stats }
}

fn telemetry(directory: &Path) -> Telemetry {
    Telemetry { directory: Some(directory.to_owned()), ..Telemetry::default() }
}

/// Writes `intervals` as the engine does.
fn write(telemetry: &Telemetry, intervals: impl IntoIterator<Item = Interval>) -> Arc<Tally> {
    let writer = Writer::new(telemetry).unwrap().unwrap();
    let tally = writer.tally();
    writer.run(intervals.into_iter());
    tally
}

/// A recording of three intervals.
fn recorded() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(&telemetry(directory.path()), (0..3).map(interval));
    directory
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The only file with this ending.
fn file(directory: &Path, ending: &str) -> PathBuf {
    let names = names(directory);
    let mut these = names.iter().filter(|name| name.ends_with(ending));
    let name = these.next().unwrap();
    assert_eq!(these.next(), None);
    directory.join(name)
}

fn open(directory: &Path) -> (Recording, Vec<String>) {
    Recording::read(directory, &(f64::NEG_INFINITY..f64::INFINITY)).unwrap()
}

/// What a recording is refused with.
fn refusal(directory: &Path) -> String {
    let error = Recording::open(directory).unwrap_err();
    let said = format!("{error:#}");
    assert!(!said.contains('\n'), "{said}");
    said
}

fn received(recording: &Recording) -> Vec<u64> {
    recording.intervals.iter().map(|interval| interval.stats.ledger.received).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let directory = recorded();
    assert_eq!(
        names(directory.path()),
        ["ringroad-20261122T031500Z.hlog", "ringroad-20261122T031500Z.jsonl"]
    );
    let (recording, cuts) = open(directory.path());
    assert!(cuts.is_empty(), "{cuts:?}");
    assert_eq!(recording.intervals.len(), 3);
    for (second, read) in (0..).zip(&recording.intervals) {
        let written = interval(second);
        assert_eq!(read.began, 1_795_317_300.123 + second as f64);
        assert_eq!(read.ended, read.began + 1.0);
        assert_eq!(read.stats.ledger.received, second);
        assert_eq!(read.histograms.names().collect::<Vec<_>>(), ["burst", "inside"]);
        for measure in [Measure::Inside, Measure::Burst] {
            let histogram = read.histograms.get(measure.name()).unwrap();
            assert_eq!(Some(&histogram), written.recorded.histogram(measure), "{}", measure.name());
        }
        assert!(read.histograms.get("duration").is_none());
    }
}

#[test]
fn a_log_has_the_header_that_hdr_histograms_tools_read() {
    let directory = recorded();
    let log = fs::read_to_string(file(directory.path(), ".hlog")).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines[0], "#[Histogram log format version 1.3]");
    let rest = [
        "#[StartTime: 1795317300.123 (seconds since epoch)]",
        "#[BaseTime: 1795317300.123 (seconds since epoch)]",
        "#[MaxValueDivisor: 1000000.000]",
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"",
    ];
    assert_eq!(lines[2..6], rest);
    // The greatest of times in milliseconds, of packets as they are.
    assert!(lines[6].starts_with("Tag=inside,0.000,1.000,40.0"), "{}", lines[6]);
    assert!(lines[7].starts_with("Tag=burst,0.000,1.000,64.000,HIST"), "{}", lines[7]);
    assert!(lines[8].starts_with("Tag=inside,1.000,1.000,40.0"), "{}", lines[8]);
}

#[test]
fn a_span_of_it_is_read() {
    let directory = recorded();
    let from = 1_795_317_301.0;
    let (recording, _) = Recording::read(directory.path(), &(from..from + 1.0)).unwrap();
    assert_eq!(received(&recording), [1]);
    assert_eq!(recording.intervals[0].histograms.names().count(), 2);
    let error = Recording::read(directory.path(), &(0.0..from - 10.0)).unwrap_err().to_string();
    assert!(
        error.ends_with("holds no interval that began within that time; give another"),
        "{error}"
    );
}

#[test]
fn pairs_follow_one_another_and_the_oldest_go() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("of-somebody-else.hlog"), "").unwrap();
    let telemetry = Telemetry { rotate: 1, keep: 3, ..telemetry(directory.path()) };
    let tally = write(&telemetry, (0..5).map(interval));
    assert_eq!((tally.written(), tally.lost()), (5, 0));
    assert_eq!(names(directory.path()).len(), 1 + 2 * 3);
    assert_eq!(received(&open(directory.path()).0), [2, 3, 4]);
}

#[test]
fn two_starts_within_a_second_have_their_own_files() {
    let directory = tempfile::tempdir().unwrap();
    for second in [0, 3] {
        write(&telemetry(directory.path()), [Interval { began: at(BEGAN), ..interval(second) }]);
    }
    assert_eq!(
        names(directory.path())[..2],
        ["ringroad-20261122T031500Z-2.hlog", "ringroad-20261122T031500Z-2.jsonl"]
    );
    assert_eq!(received(&open(directory.path()).0), [0, 3]);
}

#[test]
fn a_clock_that_is_set_back_begins_a_new_pair() {
    let directory = tempfile::tempdir().unwrap();
    write(&telemetry(directory.path()), [10, 11, 4, 5].map(interval));
    assert_eq!(names(directory.path()).len(), 4);
    assert_eq!(received(&open(directory.path()).0), [4, 5, 10, 11]);
}

#[test]
fn short_intervals_are_put_together() {
    let directory = tempfile::tempdir().unwrap();
    let telemetry = Telemetry { interval: Duration::from_secs(2), ..telemetry(directory.path()) };
    let (feed, waiting) = sync_channel(8);
    (0..5).for_each(|second| feed.send(interval(second)).unwrap());
    drop(feed);
    write(&telemetry, feed::joined(waiting, telemetry.interval));
    let (recording, _) = open(directory.path());
    assert_eq!(received(&recording), [1, 3, 4], "counts are those at the end");
    let lengths: Vec<_> = (recording.intervals.iter())
        .map(|interval| (interval.ended - interval.began).round())
        .collect();
    assert_eq!(lengths, [2.0, 2.0, 1.0]);
    let inside = recording.intervals[0].histograms.get("inside").unwrap();
    assert_eq!(inside.len(), 11 + 12);
}

/// The directory goes while it is written to, and cannot be made again for a while.
#[test]
fn what_cannot_be_written_is_counted_and_recording_goes_on() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("recordings");
    let tally = write(
        &telemetry(&directory),
        (0..6).map(|second| {
            match second {
                2 => {
                    fs::remove_dir_all(&directory).unwrap();
                    fs::write(&directory, "in its place").unwrap();
                }
                4 => fs::remove_file(&directory).unwrap(),
                _ => {}
            }
            interval(second)
        }),
    );
    assert_eq!((tally.written(), tally.lost()), (4, 2));
    assert_eq!(received(&open(&directory).0), [4, 5]);
}

#[test]
fn a_directory_that_cannot_be_made_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Writer::new(&telemetry(&file.join("below"))).unwrap_err();
    let said = format!("{error:#}");
    assert!(said.starts_with("telemetry.directory: cannot make /"), "{said}");
    assert!(Writer::new(&Telemetry::default()).unwrap().is_none());
}

/// A crash, or a disk that was full, in the middle of a line.
#[test]
fn of_files_that_are_cut_off_the_whole_is_used() {
    for (ending, lines_left, whole) in [(".hlog", 6 + 5, 2), (".jsonl", 1, 1)] {
        let directory = recorded();
        let path = file(directory.path(), ending);
        let text = fs::read_to_string(&path).unwrap();
        let cut: String = text.split_inclusive('\n').take(lines_left).collect();
        fs::write(&path, &text[..cut.len() + 20]).unwrap();
        if ending == ".hlog" {
            // Its counts had not been written yet.
            let counts = file(directory.path(), ".jsonl");
            let lines = fs::read_to_string(&counts).unwrap();
            let lines: String = lines.split_inclusive('\n').take(2).collect();
            fs::write(counts, lines).unwrap();
        }
        let (recording, cuts) = open(directory.path());
        assert_eq!(received(&recording), (0..whole).collect::<Vec<u64>>());
        let cut =
            format!("{}:{}: cut off; what is before it is used", path.display(), lines_left + 1);
        assert_eq!(cuts[0], cut);
        assert!(cuts[1].contains("lacks the interval that began at 17953173"), "{cuts:?}");
    }
}

#[test]
fn a_directory_without_a_recording_is_refused() {
    assert_eq!(
        refusal(Path::new("/nonexistent")),
        "cannot read /nonexistent; give the directory that telemetry.directory names: No such file \
         or directory (os error 2)"
    );
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("of-somebody-else.hlog"), "").unwrap();
    assert!(refusal(directory.path()).contains("holds no recording (ringroad-*.hlog); give"));
}

#[test]
fn a_recording_of_nothing_is_refused() {
    let directory = recorded();
    fs::write(file(directory.path(), ".jsonl"), "").unwrap();
    assert!(
        refusal(directory.path()).ends_with("holds no interval yet; let the engine run for longer")
    );
    fs::remove_file(file(directory.path(), ".jsonl")).unwrap();
    assert!(refusal(directory.path()).starts_with("cannot read /"));
}

/// Puts `from` in place of `to` in the only file with this ending, and returns what is said of it,
/// without where the file is.
fn said_of(ending: &str, from: &str, to: &str) -> String {
    let directory = recorded();
    let path = file(directory.path(), ending);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    refusal(directory.path()).replacen(path.to_str().unwrap(), "", 1)
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line() {
    for (ending, from, to, said) in [
        (
            ".hlog",
            "#[Hist",
            "Hist",
            ":1: not a log of histograms that ringroad wrote; take it away",
        ),
        (".hlog", "Tag=inside,1.000", "Tag=inside,x", ":9: not a line of an interval log"),
        (".hlog", "Tag=inside,1", "1", ":9: there is no Tag= that names the measure"),
        (".hlog", "inside,1", "outside,1", ":9: Tag=outside: no measure that this version has"),
        (".jsonl", "{\"began\"", "began", ":1: not a line of counts: expected value"),
        (".jsonl", "\"stats\"", "\"status\"", ":1: not a line of counts: missing field `stats`"),
    ] {
        let heard = said_of(ending, from, to);
        assert!(heard.starts_with(said), "{heard}");
    }
}

/// What stands behind the last comma of the first line of `inside`.
fn said_of_histogram(text: &str) -> String {
    let directory = recorded();
    let path = file(directory.path(), ".hlog");
    let log = fs::read_to_string(&path).unwrap();
    let line = log.lines().nth(6).unwrap();
    let (before, _) = line.rsplit_once(',').unwrap();
    fs::write(&path, log.replacen(line, &format!("{before},{text}"), 1)).unwrap();
    let said = refusal(directory.path()).replacen(path.to_str().unwrap(), "", 1);
    said.strip_prefix(":7: ").map(str::to_owned).unwrap_or_else(|| panic!("{said}"))
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

fn deflated(histogram: &Histogram<u64>) -> Vec<u8> {
    let mut octets = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut octets).unwrap();
    octets
}

/// Written by a version that counted less, and something else.
#[test]
fn counts_of_another_version_are_read() {
    let directory = recorded();
    let counts = r#"{"began": 1795317300.123, "ended": 1795317301.123, "stats": {
        "weather": {"rain": [1, 2]},
        "ledger": {"received": 7, "lent": 3, "dropped": {"rx_ring": 2}},
        "services": [{"name": "web", "connections": {"accepted": 5}}],
        "cookies": {"lanes": [{"on": true}]},
        "ports": [{"name": "wan", "kernel_path": {}}],
        "paths": [{"service": "web", "leg": "client", "seen": {"quality": {"score": 99.0}}}],
        "census": {"legs": [{"connections": 4}]},
        "cores": [{"name": "lane-0", "stages": [{"name": "rx"}], "rings": [{"name": "rx"}]}],
        "bottleneck": {"why": "all cores keep up"}}}"#;
    let line = counts.replace('\n', " ") + "\n";
    fs::write(file(directory.path(), ".jsonl"), line).unwrap();
    let (recording, _) = open(directory.path());
    let stats = &recording.intervals[0].stats;
    assert_eq!((stats.ledger.received, stats.ledger.held), (7, 0));
    assert_eq!(stats.ledger.dropped["rx_ring"], 2);
    let service = &stats.services[0];
    assert_eq!((service.connections.accepted, service.bytes.to_client), (5, 0));
    assert!(stats.cookies.lanes[0].on && stats.tcp.is_empty());
    assert_eq!(stats.paths[0].seen.unwrap().quality.score, 99.0);
    assert_eq!(stats.census.as_ref().unwrap().legs[0].connections, 4);
    assert_eq!((stats.cores[0].stages[0].packets, stats.cores[0].rings[0].full), (0, 0));
}

#[test]
fn a_histogram_that_is_not_ours_is_refused() {
    assert!(said_of_histogram("HIST!").starts_with("the histogram is not base64"));
    assert_eq!(said_of_histogram("HIST"), "the histogram is cut off");

    let foreign = Histogram::new_with_bounds(1, 1_000_000, 2).unwrap();
    let said = said_of_histogram(&base64(&deflated(&foreign)));
    assert!(
        said.starts_with("the histogram goes from 1 to 1000000 with 2 digits, ours from 1 to "),
        "{said}"
    );

    let recorded = interval(0).recorded;
    let ours = deflated(recorded.histogram(Measure::Inside).unwrap());
    let said = said_of_histogram(&base64(&ours[..ours.len() - 9]));
    assert!(said.starts_with("the histogram cannot be inflated"), "{said}");

    let mut plain = Vec::new();
    V2Serializer::new()
        .serialize(recorded.histogram(Measure::Inside).unwrap(), &mut plain)
        .unwrap();
    let said = said_of_histogram(&base64(&plain));
    assert!(said.starts_with("the histogram cannot be inflated"), "{said}");
}

/// Lengths that promise more than there is take no memory.
#[test]
fn no_length_in_a_histogram_is_believed() {
    use std::io::Write as _;
    let recorded = interval(0).recorded;
    let like = recorded.histogram(Measure::Inside).unwrap();
    let mut plain = Vec::new();
    V2Serializer::new().serialize(like, &mut plain).unwrap();
    let pack = |plain: &[u8]| {
        let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        deflate.write_all(plain).unwrap();
        let body = deflate.finish().unwrap();
        let head = [0x1c84_9314_u32.to_be_bytes(), (body.len() as u32).to_be_bytes()];
        [head.as_flattened(), &body].concat()
    };
    assert_eq!(packed::unpack(&pack(&plain), like).unwrap(), *like);

    let mut longer = plain.clone();
    longer[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    let said = packed::unpack(&pack(&longer), like).unwrap_err().to_string();
    assert_eq!(said, "the histogram is shorter or longer than it says");

    plain.resize(64 << 20, 0);
    assert!(packed::unpack(&pack(&plain), like).is_err(), "64 MiB of zeros");
}
