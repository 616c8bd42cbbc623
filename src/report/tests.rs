//! Reports of recordings made here, as an engine would have made them.

use hdrhistogram::Histogram;
use ringroad_engine::telemetry::{Measure, Recorders};

use super::history::History;
use super::units::tests::plain;
use super::{findings, page};
use crate::cores::Role;
use crate::recording::{PackedHistograms, RecordedInterval};
use crate::stats::{Core, LaneCookies, Service, Stage, Stats};

/// When recordings made here begin: 2023-11-15 12:00:00 UTC.
pub(super) const NOON: f64 = 1_700_049_600.0;

/// Of one service, a second an interval, with so many packets received in each.
pub(super) fn recording(packets: &[u64]) -> Vec<RecordedInterval> {
    let mut stats = engine();
    let mut intervals = Vec::new();
    for (second, packets) in (0..).zip(packets) {
        serve(&mut stats, *packets);
        let began = NOON + f64::from(second);
        intervals.push(RecordedInterval {
            began,
            ended: began + 1.0,
            histograms: recorded(*packets),
            stats: stats.clone(),
        });
    }
    intervals
}

/// That has just started.
pub(super) fn engine() -> Stats {
    let core = |name: &str, role| Core { name: name.to_owned(), role, ..Core::default() };
    Stats {
        services: vec![Service { name: "web".to_owned(), ..Service::default() }],
        cores: vec![core("io", Role::Io), core("worker-0", Role::Worker)],
        ..Stats::default()
    }
}

/// A second in which so many packets come, of which it can take a million: a new connection for each
/// hundred, a drop for each thousand.
pub(super) fn serve(stats: &mut Stats, packets: u64) {
    let busy_s = (packets as f64 / 1e6).min(1.0);
    stats.ledger.received += packets;
    stats.ledger.sent += packets;
    for (reason, share) in [("rate_limited", 2_000), ("no_connection", 4_000)] {
        if packets >= share {
            *stats.ledger.dropped.entry(reason.to_owned()).or_default() += packets / share;
        }
    }
    *stats.shield.entry("rate_limited".to_owned()).or_default() += packets / 2_000;
    let service = &mut stats.services[0];
    service.connections.accepted += packets / 100;
    service.connections.active = packets / 50;
    service.bytes.to_client += packets * 1_000;
    service.bytes.to_origin += packets * 10;
    service.segments.zero_copy += packets / 2;
    service.segments.retransmitted += packets / 1_000;
    for core in &mut stats.cores {
        let stages = match core.role {
            Role::Io => ["rx", "tx"].as_slice(),
            _ => ["worker"].as_slice(),
        };
        core.busy_s += busy_s;
        core.idle_s += 1.0 - busy_s;
        core.stages.resize_with(stages.len(), Stage::default);
        for (stage, name) in core.stages.iter_mut().zip(stages) {
            stage.name = (*name).to_owned();
            stage.packets += packets;
            stage.sampled_packets += packets / 10;
            stage.sampled_s += (packets / 10) as f64 * 400e-9;
        }
    }
}

/// Times that grow with the load.
fn recorded(packets: u64) -> PackedHistograms {
    let recorders = Recorders::new();
    let usual = 20_000 + packets / 20;
    let of = |measure: Measure, usual: u64| {
        let mut histogram: Histogram<u64> = recorders.histogram(measure).unwrap().clone();
        for i in 0..packets.min(1_000) {
            histogram.record(usual + usual * i * i / 1_000_000).unwrap();
        }
        (measure.name(), histogram)
    };
    let measures = [of(Measure::Inside, usual), of(Measure::RttClient, 10 * usual)];
    measures.into_iter().filter(|(_, histogram)| !histogram.is_empty()).collect()
}

fn rendered(intervals: &[RecordedInterval]) -> String {
    page::render(&History::new(intervals).unwrap()).unwrap()
}

fn found(history: &History) -> Vec<String> {
    findings::sentences(history).iter().map(|said| plain(said)).collect()
}

#[test]
fn a_page_has_all_its_parts_and_needs_nothing_else() {
    let page = rendered(&recording(&[100_000, 400_000, 800_000, 200_000]));
    for part in ["findings", "latency", "traffic", "cores", "percentiles", "services"] {
        assert!(page.contains(&format!("<section id=\"{part}\">")), "{part}");
    }
    assert_eq!(page.matches("<figure>").count(), page.matches("<svg ").count() + 1, "no waits");
    assert!(page.contains("Nothing to draw: no packet's way through the engine was recorded."));
    for reference in ["<script", "<link", "<img", "href=", "src=", "url(", "@import"] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.contains("from <time>2023-11-15 12:00:00</time> to <time>2023-11-15 12:00:04"));
    assert!(page.contains("<tr id=\"measure-rtt_client\">"));
}

#[test]
fn an_idle_engine_leaves_nothing_to_draw_and_each_plot_says_why() {
    let page = rendered(&recording(&[0, 0, 0]));
    for why in [
        "no time inside, no handshake, no round trip and no first byte was recorded",
        "no packet's way through the engine was recorded",
        "no payload was forwarded",
        "no packet was dropped",
        "no segment was sent again",
        "no turn was measured",
    ] {
        assert!(page.contains(&format!("Nothing to draw: {why}.")), "{why}");
    }
    let one = rendered(&recording(&[100_000]));
    assert!(one.contains("Nothing to draw: no two intervals follow one upon the other"));
}

#[test]
fn findings_are_plain_words() {
    let mut intervals = recording(&[100_000, 400_000, 800_000, 0]);
    intervals[2].stats.cookies.lanes = vec![LaneCookies { on: true, ..LaneCookies::default() }];
    assert_eq!(
        found(&History::new(&intervals).unwrap()),
        [
            "Throughput: 3.23 Gbit/s of payload on average (3.2 Gbit/s to clients, 32 Mbit/s to \
             origins), 6.46 Gbit/s at most; 400 k packets received a second, 800 k at most.",
            "Connections: 12 k accepted (4 k a second), 0 refused, 0 left to Linux; 16 k at once at \
             most.",
            "Drops: 900 packets of 1.2 M received (0.075 %), 66.7 % of them as rate limited.",
            "Bottleneck: no core; the busiest is worker-0, 40 % busy.",
            "Shield: at work; it dropped 600 packets, most as rate limited; SYN cookies were on for \
             25 % of the time.",
        ]
    );
}

#[test]
fn a_restart_is_said_and_is_no_peak() {
    let mut intervals = recording(&[100_000; 6]);
    let mut anew = engine();
    for interval in &mut intervals[3..] {
        serve(&mut anew, 100_000);
        interval.stats = anew.clone();
    }
    intervals.remove(5);
    let last = &mut intervals[4];
    (last.began, last.ended) = (last.began + 60.0, last.ended + 60.0);
    let history = History::new(&intervals).unwrap();
    let said = found(&history);
    assert!(said[0].ends_with("; 100 k packets received a second, 100 k at most."), "{said:?}");
    assert_eq!(
        said.last().unwrap(),
        "Gaps: the engine started anew once, 60 s are missing; nothing is made up there."
    );
}

#[test]
fn names_are_text_whatever_they_hold() {
    let mut intervals = recording(&[100_000, 100_000]);
    for interval in &mut intervals {
        interval.stats.services[0].name = "<script>".to_owned();
        interval.stats.cores[0].name = "a<b&\"c\"".to_owned();
        interval.stats.ledger.dropped.insert("<b>".to_owned(), interval.ended as u64);
    }
    let page = rendered(&intervals);
    assert!(!page.contains("<script>") && !page.contains("<b>") && !page.contains("a<b"));
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn ten_minutes_are_a_page_of_moderate_size() {
    let wave = |second: f64| (500_000.0 * (1.0 + (second / 7.0).sin())) as u64;
    let packets: Vec<u64> = (0..600).map(|second| wave(f64::from(second))).collect();
    let page = rendered(&recording(&packets));
    if let Ok(out) = std::env::var("REPORT_OUT") {
        std::fs::write(out, &page).unwrap();
    }
    assert!(page.len() < 1_000_000, "{} octets", page.len());
}
