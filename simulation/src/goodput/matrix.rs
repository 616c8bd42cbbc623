//! The experiments whose outcomes are kept.
//!
//! Two tables. *Goodput*: one flow on paths of all kinds. *Fairness*: several flows on one path,
//! of one algorithm or of two, and with round trips of different lengths.

use std::time::Duration;

use ringroad_engine::tcp::congestion::Algorithm;

use crate::goodput::scenario::{Outcome, Scenario, Source, permille_of};
use crate::link::Loss;

/// All algorithms, by the names of the configuration.
pub const ALGORITHMS: [(Algorithm, &str); 5] = [
    (Algorithm::NewReno, "reno"),
    (Algorithm::Cubic, "cubic"),
    (Algorithm::Bbr, "bbr"),
    (Algorithm::Dctcp, "dctcp"),
    (Algorithm::Vegas, "vegas"),
];

/// Losses come in runs of so many packets on average, where they come in bursts [packets].
pub const BURST_LENGTH: u32 = 5;

pub const ROUND_TRIPS_MS: [u32; 6] = [1, 10, 50, 100, 300, 500];
pub const RATES_MBPS: [u32; 3] = [10, 100, 1000];
pub const LOSSES_PPM: [u32; 4] = [1_000, 10_000, 30_000, 50_000];
/// Packets that are overtaken, where some are [of a million].
const LATE_PPM: u32 = 10_000;
/// Tenths of a bandwidth-delay product.
const SHALLOW: u32 = 2;
const USUAL: u32 = 10;
const DEEP: u32 = 40;

/// Which table an experiment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Goodput,
    Fairness,
}

/// One row of a table.
#[derive(Clone, Debug)]
pub struct Experiment {
    pub table: Table,
    /// The row's first columns, which tell it from all others.
    pub key: String,
    pub scenario: Scenario,
}

impl Table {
    /// The names of the columns.
    pub fn columns(self) -> &'static str {
        match self {
            Table::Goodput => {
                "algorithm,rate_mbps,rtt_ms,buffer_bdp,loss_percent,loss_kind,\
                 goodput_percent,goodput_whole_percent,queue_mean_ms,queue_p95_ms,queue_mean_bdp,\
                 retransmitted_percent,timeouts"
            }
            Table::Fairness => {
                "flows,rate_mbps,rtt_ms,buffer_bdp,goodput_percent,jain_index,first_share_percent,\
                 queue_mean_ms,retransmitted_percent,timeouts"
            }
        }
    }

    /// How many of the columns are the key.
    pub fn key_columns(self) -> usize {
        match self {
            Table::Goodput => 6,
            Table::Fairness => 4,
        }
    }
}

impl Experiment {
    /// The row for an outcome.
    pub fn row(&self, outcome: &Outcome) -> String {
        let rate_bps = self.scenario.rate_bps();
        let goodput = tenths(outcome.goodput_permille(rate_bps));
        let retransmitted = hundredths(outcome.retransmitted_per_10000());
        let timeouts = outcome.timeouts();
        let mean_ms = hundredths(outcome.wait_us_mean / 10);
        let key = &self.key;
        match self.table {
            Table::Goodput => {
                let whole: u64 = outcome.flows.iter().map(|flow| flow.octets_whole).sum();
                let whole = tenths(permille_of(whole, rate_bps, self.scenario.duration));
                let p95_ms = hundredths(outcome.wait_us_p95 / 10);
                let round_trip_us = u64::from(self.scenario.round_trip_ms) * 1_000;
                let in_bdp = hundredths(outcome.wait_us_mean * 100 / round_trip_us);
                format!(
                    "{key},{goodput},{whole},{mean_ms},{p95_ms},{in_bdp},{retransmitted},{timeouts}"
                )
            }
            Table::Fairness => {
                let jain = outcome.jain_thousandths();
                let jain = format!("{}.{:03}", jain / 1_000, jain % 1_000);
                let first = tenths(outcome.first_share_permille());
                format!("{key},{goodput},{jain},{first},{mean_ms},{retransmitted},{timeouts}")
            }
        }
    }

    /// Whether it is among those that every test run repeats: some of every kind, all of them
    /// short.
    pub fn is_quick(&self) -> bool {
        const LONGER: [&str; 8] = [
            ",100,10,1.0,0,none",
            ",100,10,1.0,1,random",
            ",100,100,1.0,0,none",
            ",100,100,1.0,1,random",
            ",100,100,1.0,1,bursts",
            ",100,100,4.0,0,none",
            ",1000,10,1.0,0,none",
            ",1000,10,1.0,1,random",
        ];
        self.cost() <= 12 || LONGER.iter().any(|key| self.key.ends_with(key))
    }

    /// Packets that the bottleneck could carry in its time, in thousands: what it costs to run.
    pub fn cost(&self) -> u64 {
        self.scenario.rate_bps() / 12_000 * self.scenario.duration.as_millis() as u64 / 1_000_000
    }
}

/// Every experiment, in the order of the snapshot.
pub fn all() -> Vec<Experiment> {
    let mut all = alone();
    all.extend(equals());
    all.extend(pairs());
    all.extend(round_trips());
    all
}

/// One flow.
fn alone() -> Vec<Experiment> {
    let mut all = Vec::new();
    for (algorithm, name) in ALGORITHMS {
        for rate_mbps in RATES_MBPS {
            for round_trip_ms in ROUND_TRIPS_MS {
                let usual = Scenario {
                    rate_mbps,
                    round_trip_ms,
                    sources: vec![at_once(algorithm, round_trip_ms)],
                    ..for_round_trips(round_trip_ms)
                };
                let mut add = |scenario: Scenario| all.push(one_flow(name, scenario));
                add(usual.clone());
                for ppm in LOSSES_PPM {
                    add(Scenario { loss: Loss::Random { ppm }, ..usual.clone() });
                    let loss = Loss::Bursts { ppm, length: BURST_LENGTH };
                    add(Scenario { loss, ..usual.clone() });
                }
                if [10, 100].contains(&round_trip_ms) {
                    add(Scenario { late_ppm: LATE_PPM, ..usual.clone() });
                    add(Scenario { buffer_tenths: SHALLOW, ..usual.clone() });
                    add(Scenario { buffer_tenths: DEEP, ..usual });
                }
            }
        }
    }
    all
}

fn one_flow(name: &str, scenario: Scenario) -> Experiment {
    let Scenario { rate_mbps, round_trip_ms, buffer_tenths, loss, late_ppm, .. } = scenario;
    let buffer = tenths(buffer_tenths.into());
    let (percent, kind) = match loss {
        Loss::None if late_ppm > 0 => (percent(late_ppm), "late"),
        Loss::None => (percent(0), "none"),
        Loss::Random { ppm } => (percent(ppm), "random"),
        Loss::Bursts { ppm, .. } => (percent(ppm), "bursts"),
    };
    Experiment {
        table: Table::Goodput,
        key: format!("{name},{rate_mbps},{round_trip_ms},{buffer},{percent},{kind}"),
        scenario,
    }
}

/// Flows of one algorithm that start one after the other.
fn equals() -> Vec<Experiment> {
    let mut all = Vec::new();
    for (algorithm, name) in ALGORITHMS {
        for count in [2, 8] {
            for round_trip_ms in [20, 100] {
                let sources = (0..count).map(|n| Source {
                    starts_after: Duration::from_secs(n),
                    ..at_once(algorithm, round_trip_ms)
                });
                let flows = format!("{count} x {name}");
                all.push(together(&flows, round_trip_ms, USUAL, sources.collect()));
            }
        }
    }
    all
}

/// Two flows of different algorithms; the second starts a little later.
fn pairs() -> Vec<Experiment> {
    let mut all = Vec::new();
    for (n, (first, first_name)) in ALGORITHMS.into_iter().enumerate() {
        for (second, second_name) in ALGORITHMS.into_iter().skip(n + 1) {
            for round_trip_ms in [20, 100] {
                for buffer_tenths in [USUAL, DEEP] {
                    let mut sources = [first, second].map(|each| at_once(each, round_trip_ms));
                    sources[1].starts_after = Duration::from_secs(1);
                    let flows = format!("{first_name} + {second_name}");
                    all.push(together(&flows, round_trip_ms, buffer_tenths, sources.into()));
                }
            }
        }
    }
    all
}

/// Two flows of one algorithm, the second with a round trip five times as long.
fn round_trips() -> Vec<Experiment> {
    let build = |(algorithm, name): (Algorithm, &str)| {
        let sources = vec![at_once(algorithm, 20), at_once(algorithm, 100)];
        together(&format!("{name} 20 ms + {name} 100 ms"), 100, USUAL, sources)
    };
    ALGORITHMS.into_iter().map(build).collect()
}

fn together(
    flows: &str,
    round_trip_ms: u32,
    buffer_tenths: u32,
    sources: Vec<Source>,
) -> Experiment {
    const RATE_MBPS: u32 = 100;
    let buffer = tenths(buffer_tenths.into());
    Experiment {
        table: Table::Fairness,
        key: format!("{flows},{RATE_MBPS},{round_trip_ms},{buffer}"),
        scenario: Scenario {
            rate_mbps: RATE_MBPS,
            round_trip_ms,
            buffer_tenths,
            loss: Loss::None,
            late_ppm: 0,
            sources,
            duration: Duration::from_secs(90),
            warm_up: Duration::from_secs(30),
        },
    }
}

/// Long enough for the start to be over and for what follows it to show.
fn for_round_trips(round_trip_ms: u32) -> Scenario {
    let duration = Duration::from_millis(round_trip_ms.into()) * 80;
    let duration = duration.max(Duration::from_secs(12));
    Scenario {
        rate_mbps: 0,
        round_trip_ms,
        buffer_tenths: USUAL,
        loss: Loss::None,
        late_ppm: 0,
        sources: Vec::new(),
        duration,
        warm_up: duration / 3,
    }
}

fn at_once(algorithm: Algorithm, round_trip_ms: u32) -> Source {
    Source { algorithm, round_trip_ms, starts_after: Duration::ZERO }
}

/// A loss rate as it is written in keys: whole percents, or tenths of one.
pub fn percent(ppm: u32) -> String {
    match ppm.is_multiple_of(10_000) {
        true => (ppm / 10_000).to_string(),
        false => tenths((ppm / 1_000).into()),
    }
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}
