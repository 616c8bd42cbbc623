//! `ringroad histograms`: what was recorded, as files for HdrHistogram's tools and as a short table.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use ringroad_engine::telemetry::{Measure, Recorders, Unit};

use super::Histograms;
use super::percentiles;
use crate::client::Socket;
use crate::new_file::NewFile;
use crate::recording::{LogBuffers, Recording, whole};
use crate::unix_time::since_1970;

/// Write histograms as an HDR log and percentile tables
///
/// Of the running engine since its start, or of a recording. DIR gets `histograms.hlog` and for each
/// measure a percentile table, `NAME.hgrm`, as HdrHistogram's own tools read and write them;
/// files of these names are replaced. Standard output gets the percentiles that are mostly asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    socket: Socket,
    /// A recording (telemetry.directory) in place of the running engine
    #[arg(long = "in", value_name = "DIR", conflicts_with = "socket")]
    recording: Option<PathBuf>,
    /// What began then or later: 2026-11-22T03:15:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = time, requires = "recording", conflicts_with = "socket")]
    from: Option<f64>,
    /// What began before then
    #[arg(long, value_name = "TIME", value_parser = time, requires = "recording", conflicts_with = "socket")]
    to: Option<f64>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let summed = match &args.recording {
        Some(directory) => {
            let from = args.from.unwrap_or(f64::NEG_INFINITY);
            let to = args.to.unwrap_or(f64::INFINITY);
            Summed::of_recording(&Recording::of(directory, from..to)?)?
        }
        None => Summed::of_engine(&Histograms::fetch(&args.socket.path)?)?,
    };
    summed.write_files(&args.out)?;
    std::io::stdout()
        .write_all(summed.to_text().as_bytes())
        .context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// A time, since 1970 [s].
pub(crate) fn time(text: &str) -> Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok(seconds);
    }
    let time = humantime::parse_rfc3339_weak(text)
        .map_err(|_| "give a time as 2026-11-22T03:15:00Z (UTC), or seconds since 1970")?;
    Ok(since_1970(time).as_secs_f64())
}

/// One histogram of each measure.
struct Summed {
    began: SystemTime,
    ended: SystemTime,
    /// In the order of [`Measure::ALL`].
    histograms: Vec<Histogram<u64>>,
}

impl Summed {
    /// Of nothing yet, between these times, since 1970 [s].
    fn new(began: f64, ended: f64) -> Self {
        let instant = |unix_seconds| {
            UNIX_EPOCH + Duration::try_from_secs_f64(unix_seconds).unwrap_or_default()
        };
        let empty = Recorders::new();
        let histograms = Measure::ALL.into_iter().filter_map(|measure| empty.histogram(measure));
        Summed {
            began: instant(began),
            ended: instant(ended),
            histograms: histograms.cloned().collect(),
        }
    }

    fn of_engine(engine: &Histograms) -> Result<Self> {
        let mut summed = Summed::new(engine.began, engine.ended);
        for measure in Measure::ALL {
            if let Some(histogram) = engine.get(measure)? {
                summed.add(measure, &histogram)?;
            }
        }
        Ok(summed)
    }

    fn of_recording(recording: &Recording) -> Result<Self> {
        let ends = recording.intervals.iter().map(|interval| interval.ended);
        let mut summed = Summed::new(recording.intervals[0].began, ends.fold(0.0, f64::max));
        for interval in &recording.intervals {
            for measure in Measure::ALL {
                if let Some(histogram) = interval.histograms.get(measure.name()) {
                    summed.add(measure, &histogram)?;
                }
            }
        }
        Ok(summed)
    }

    fn add(&mut self, measure: Measure, histogram: &Histogram<u64>) -> Result<()> {
        self.histograms[measure as usize]
            .add(histogram)
            .with_context(|| format!("{}: the engine is of another version", measure.name()))
    }

    fn of_each(&self) -> impl Iterator<Item = (Measure, &Histogram<u64>)> {
        Measure::ALL.into_iter().zip(&self.histograms)
    }

    /// All are written before the first takes an old one's place.
    fn write_files(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let mut files = vec![NewFile::create(&directory.join("histograms.hlog"))?];
        files[0].write(|file| self.write_log(file))?;
        for (measure, histogram) in self.of_each() {
            let mut file = NewFile::create(&directory.join(format!("{}.hgrm", measure.name())))?;
            let table = percentiles::table(histogram, scale(measure.unit()));
            file.write(|mut file| file.write_all(table.as_bytes()))?;
            files.push(file);
        }
        files.into_iter().try_for_each(NewFile::keep)
    }

    fn write_log(&self, file: &File) -> std::io::Result<()> {
        let (began, ended) = (whole(self.began), whole(self.ended));
        let mut buffers = LogBuffers::new(file);
        let mut log = buffers.begin(began)?;
        for (measure, histogram) in self.of_each().filter(|(_, histogram)| !histogram.is_empty()) {
            log.write(began, ended, measure, histogram)?;
        }
        Ok(())
    }

    /// The short table.
    fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "{:24}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}",
            "", "count", "p50", "p90", "p99", "p99.9", "max"
        );
        for (measure, histogram) in self.of_each() {
            let (unit, digits) = match measure.unit() {
                Unit::Nanoseconds => ("µs", 1),
                Unit::Packets => ("packets", 0),
            };
            let name = format!("{} [{unit}]", measure.name());
            let _ = write!(out, "{name:24}{:>12}", histogram.len());
            let quantiles = [0.5, 0.9, 0.99, 0.999].map(|at| histogram.value_at_quantile(at));
            for value in quantiles.into_iter().chain([histogram.max()]) {
                let shown = value as f64 / scale(measure.unit());
                let _ = match histogram.is_empty() {
                    true => write!(out, "{:>12}", "-"),
                    false => write!(out, "{shown:>12.digits$}"),
                };
            }
            out.push('\n');
        }
        out
    }
}

/// What values are divided by where people read them: times in microseconds, which with three digits
/// behind the point are exact.
fn scale(unit: Unit) -> f64 {
    match unit {
        Unit::Nanoseconds => 1_000.0,
        Unit::Packets => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn summed(count: u64) -> Summed {
        let mut recorded = Recorders::new();
        recorded.record_n(Measure::Inside, 12_345, count);
        recorded.record(Measure::Burst, 64);
        let mut summed = Summed::new(1_795_317_300.0, 1_795_317_301.0);
        for measure in [Measure::Inside, Measure::Burst] {
            summed.add(measure, recorded.histogram(measure).unwrap()).unwrap();
        }
        summed
    }

    #[test]
    fn files_take_the_place_of_older_ones() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("tables");
        for count in [3, 5] {
            summed(count).write_files(&out).unwrap();
            assert_eq!(names(&out).len(), 1 + Measure::ALL.len());
            let table = fs::read_to_string(out.join("inside.hgrm")).unwrap();
            assert!(table.contains(&format!("Total count    =            {count}]")), "{table}");
            let log = fs::read_to_string(out.join("histograms.hlog")).unwrap();
            assert_eq!(log.matches("Tag=").count(), 2, "{log}");
        }
    }

    #[test]
    fn where_one_file_cannot_be_written_all_stay_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        summed(3).write_files(directory.path()).unwrap();
        let before = fs::read(directory.path().join("inside.hgrm")).unwrap();
        // The last that is written.
        let last = directory.path().join("ring_depth_hand_over.hgrm");
        fs::create_dir(directory.path().join(".ring_depth_hand_over.hgrm.new")).unwrap();
        let error = format!("{:#}", summed(5).write_files(directory.path()).unwrap_err());
        assert_eq!(error, format!("cannot write {}: Is a directory (os error 21)", last.display()));
        assert_eq!(fs::read(directory.path().join("inside.hgrm")).unwrap(), before);
        assert_eq!(names(directory.path()).len(), 1 + Measure::ALL.len() + 1, "and that directory");
    }

    #[test]
    fn the_short_table_has_units() {
        let text = summed(3).to_text();
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        let words = |name| line(name).split_whitespace().collect::<Vec<_>>();
        assert_eq!(
            words("inside "),
            ["inside", "[µs]", "3", "12.4", "12.4", "12.4", "12.4", "12.4"]
        );
        assert_eq!(words("burst ")[1..4], ["[packets]", "1", "64"]);
        assert_eq!(words("duration ")[2..], ["0", "-", "-", "-", "-", "-"]);
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for text in ["1795317300", "1795317300.0", "2026-11-22T03:15:00Z", "2026-11-22 03:15:00"] {
            assert_eq!(time(text), Ok(1_795_317_300.0), "{text}");
        }
        for text in ["yesterday", "nan", "inf", "2026-13-22T03:15:00Z", ""] {
            assert!(time(text).unwrap_err().starts_with("give a time as 2026-"), "{text}");
        }
    }
}
