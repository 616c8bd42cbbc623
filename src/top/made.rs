//! Samples of an engine that never was, for tests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use ringroad_engine::telemetry::{Measure, Recorders};

use super::sample::Sample;
use crate::cores::Role;
use crate::histograms::Histograms;
use crate::stats::{self, Core, Stage, Stats};

/// An engine that has something to do each second, the same all the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    started: SystemTime,
    clock: Instant,
}

impl Made {
    pub(super) fn new() -> Self {
        Made { started: SystemTime::now(), clock: Instant::now() }
    }

    /// The same, started anew after so many seconds.
    pub(super) fn restarted_after(self, seconds: u64) -> Self {
        let later = Duration::from_secs(seconds);
        Made { started: self.started + later, clock: self.clock + later }
    }

    /// After so many seconds.
    pub(super) fn sample(self, seconds: u64) -> Sample {
        let mut stats = Stats {
            frames: stats::Frames { capacity: 4_096, free: 3_072, ..stats::Frames::default() },
            services: vec![service("web", 12, 4 * seconds), service("api", 3, seconds)],
            shield: counts(&[("to_engine", 6_000 * seconds), ("not_ours", 7), ("denied", 0)]),
            ..Stats::default()
        };
        stats.ledger.received = 6_000 * seconds;
        stats.ledger.sent = 5_000 * seconds;
        stats.ledger.retransmitted = 20 * seconds;
        stats.ledger.dropped = counts(&[("rx_ring", 50 * seconds), ("bad_options", 3)]);
        stats.cookies.mode = "auto".to_owned();
        stats.cookies.lanes = vec![stats::LaneCookies { half_open: 5, ..Default::default() }];
        stats.cores = vec![lane("lane-0", 0.25, seconds), lane("lane-1", 0.95, seconds)];
        stats.sources = [("10.0.0.1", 30), ("fd00:1::/64", 10)]
            .map(|(source, connections)| stats::ClientSource {
                source: source.to_owned(),
                connections,
                per_second: connections as f64 / 10.0,
                share: connections as f64 / 40.0,
            })
            .to_vec();
        let histograms = Histograms::new(self.started, &[recorded(seconds)]).unwrap();
        let at = self.clock + Duration::from_secs(seconds);
        Sample::new(at, stats, &histograms).unwrap()
    }
}

/// 1 ms to 2 ms inside, evenly, each second; but for the very first, which took a second.
fn recorded(seconds: u64) -> Recorders {
    let mut recorded = Recorders::new();
    recorded.record(Measure::Inside, 1_000_000_000);
    for permille in 0..1_000 {
        recorded.record_n(Measure::Inside, 1_000_000 + 1_000 * permille, seconds);
    }
    recorded
}

fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn service(name: &str, active: u64, count: u64) -> stats::Service {
    stats::Service {
        name: name.to_owned(),
        connections: stats::services::Connections {
            active,
            accepted: 10 * count,
            refused: count,
            ..stats::services::Connections::default()
        },
        bytes: stats::services::Octets { to_origin: 1_250 * count, to_client: 125_000 * count },
        ..stats::Service::default()
    }
}

fn lane(name: &str, busy: f64, seconds: u64) -> Core {
    let seconds = seconds as f64;
    let stage = Stage {
        name: "worker".to_owned(),
        packets: 6_000 * seconds as u64,
        sampled_packets: 100 * seconds as u64,
        // The first took a second.
        sampled_s: 1.0 + 50e-6 * seconds,
        ..Stage::default()
    };
    Core {
        name: name.to_owned(),
        role: Role::Lane,
        busy_s: busy * seconds,
        idle_s: (1.0 - busy) * seconds,
        stages: vec![stage],
        ..Core::default()
    }
}
