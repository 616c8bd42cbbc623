//! All that is shown of an interval, as plain figures: the difference of two samples.

use std::collections::BTreeMap;

use ringroad_engine::telemetry::Measure;

use super::cores::{self, Cores};
use super::history::Moment;
use super::sample::Sample;
use super::table::{Cell, Table};
use crate::stats::{Cookies, Service, Stats};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Screen {
    /// How long the engine has been polling [s].
    pub(super) up_s: u64,
    pub(super) packets: Packets,
    pub(super) payload: Payload,
    pub(super) connections: Connections,
    pub(super) frames: FramesFree,
    /// Whether SYNs are answered by cookies, in words.
    pub(super) cookies: String,
    /// Percentiles of the interval, a row each measure.
    pub(super) times: Table,
    pub(super) cores: Cores,
    /// Services, sources, drops, verdicts: where there is no room for all, one is chosen.
    pub(super) tables: [Table; TABLES],
    pub(super) p99_inside_ns: Option<f64>,
}

pub(super) const TABLES: usize = 4;

/// Packets a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Packets {
    pub(super) received: f64,
    pub(super) sent: f64,
    pub(super) retransmitted: f64,
    pub(super) dropped: f64,
}

/// Payload that crossed [bit/s].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Payload {
    pub(super) to_origins: f64,
    pub(super) to_clients: f64,
}

/// Connections now; of the others, how many a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Connections {
    pub(super) active: u64,
    pub(super) half_open: u64,
    pub(super) accepted: f64,
    pub(super) refused: f64,
    pub(super) fell_back: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct FramesFree {
    pub(super) free: u64,
    pub(super) capacity: u64,
}

impl Screen {
    /// What happened between two samples; `None` if they are not of one run of the engine.
    pub(super) fn new(before: &Sample, now: &Sample) -> Option<Self> {
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        if seconds <= 0.0 || !now.continues(before) {
            return None;
        }
        let change = Change { was: &before.stats, is: &now.stats, seconds };
        let stats = &now.stats;
        let inside = now.recorded_since(before, Measure::Inside);
        Some(Screen {
            up_s: now.up_s() as u64,
            packets: Packets {
                received: change.rate(|stats| stats.ledger.received),
                sent: change.rate(|stats| stats.ledger.sent),
                retransmitted: change.rate(|stats| stats.ledger.retransmitted),
                dropped: change.rate(|stats| stats.ledger.dropped.values().sum()),
            },
            payload: Payload {
                to_origins: change.bits(|stats| sum(stats, |service| service.bytes.to_origin)),
                to_clients: change.bits(|stats| sum(stats, |service| service.bytes.to_client)),
            },
            connections: Connections {
                active: sum(stats, |service| service.connections.active),
                half_open: stats.cookies.lanes.iter().map(|lane| lane.half_open).sum(),
                accepted: change.rate(|stats| sum(stats, |service| service.connections.accepted)),
                refused: change.rate(|stats| sum(stats, |service| service.connections.refused)),
                fell_back: change.rate(|stats| sum(stats, |service| service.connections.fell_back)),
            },
            frames: FramesFree { free: stats.frames.free, capacity: stats.frames.capacity },
            cookies: cookies(&stats.cookies),
            times: times(before, now, seconds),
            cores: cores::between(before, now),
            tables: [
                services(&change),
                sources(stats),
                reasons("drops", "reason", &change, |stats| &stats.ledger.dropped),
                reasons("shield", "verdict", &change, |stats| &stats.shield),
            ],
            p99_inside_ns: inside.map(|times| times.value_at_quantile(0.99) as f64),
        })
    }

    pub(super) fn moment(&self) -> Moment {
        let Payload { to_origins, to_clients } = self.payload;
        Moment { bits: to_origins + to_clients, p99_ns: self.p99_inside_ns }
    }
}

/// From one account of the engine's to the next.
struct Change<'a> {
    was: &'a Stats,
    is: &'a Stats,
    seconds: f64,
}

impl Change<'_> {
    /// How much a count has grown in a second.
    fn rate(&self, count: impl Fn(&Stats) -> u64) -> f64 {
        count(self.is).saturating_sub(count(self.was)) as f64 / self.seconds
    }

    /// The same of octets [bit/s].
    fn bits(&self, octets: impl Fn(&Stats) -> u64) -> f64 {
        8.0 * self.rate(octets)
    }
}

/// Of all services together.
fn sum(stats: &Stats, count: impl Fn(&Service) -> u64) -> u64 {
    stats.services.iter().map(count).sum()
}

fn cookies(cookies: &Cookies) -> String {
    let (on, of) = (cookies.lanes.iter().filter(|lane| lane.on).count(), cookies.lanes.len());
    match on {
        0 => format!("{}, off", cookies.mode),
        _ if on == of => format!("{}, ON", cookies.mode),
        _ => format!("{}, ON in {on} of {of} lanes", cookies.mode),
    }
}

fn times(before: &Sample, now: &Sample, seconds: f64) -> Table {
    let mut table = Table::new("time", &["time", "p50", "p99", "max", "p90", "recorded"]);
    table.rows = TIMES
        .into_iter()
        .map(|(name, measure)| {
            let name = Cell::Name(name.to_owned());
            let Some(recorded) = now.recorded_since(before, measure) else {
                let mut row = vec![Cell::Nothing; table.columns.len()];
                row[0] = name;
                return row;
            };
            let at = |quantile| Cell::Nanos(recorded.value_at_quantile(quantile) as f64);
            let rate = Cell::PerSecond(recorded.len() as f64 / seconds);
            vec![name, at(0.5), at(0.99), at(1.0), at(0.9), rate]
        })
        .collect();
    table
}

fn services(change: &Change<'_>) -> Table {
    let columns = ["service", "to clients", "to origins", "active", "new", "refused", "fell back"];
    let mut table = Table::new("services", &columns);
    table.rows = (0..change.is.services.len())
        .map(|index| {
            let rate =
                |count: fn(&Service) -> u64| change.rate(|stats| count(&stats.services[index]));
            let Service { name, connections, .. } = &change.is.services[index];
            vec![
                Cell::Name(name.clone()),
                Cell::Bits(8.0 * rate(|service| service.bytes.to_client)),
                Cell::Bits(8.0 * rate(|service| service.bytes.to_origin)),
                Cell::Count(connections.active),
                Cell::PerSecond(rate(|service| service.connections.accepted)),
                Cell::PerSecond(rate(|service| service.connections.refused)),
                Cell::PerSecond(rate(|service| service.connections.fell_back)),
            ]
        })
        .collect();
    table
}

fn sources(stats: &Stats) -> Table {
    let mut table = Table::new("sources", &["source", "new", "share", "of late"]);
    let rows = stats.sources.iter().map(|source| {
        vec![
            Cell::Name(source.source.clone()),
            Cell::PerSecond(source.per_second),
            Cell::Share(source.share),
            Cell::Count(source.connections),
        ]
    });
    table.rows = rows.collect();
    table
}

/// Counts by name: those that have ever counted anything.
fn reasons(
    name: &'static str,
    what: &'static str,
    change: &Change<'_>,
    counts: fn(&Stats) -> &BTreeMap<String, u64>,
) -> Table {
    let mut table = Table::new(name, &[what, "packets", "since the start"]);
    let counted = counts(change.is).iter().filter(|(_, count)| **count > 0);
    table.rows = counted
        .map(|(reason, count)| {
            let rate = change.rate(|stats| counts(stats).get(reason).copied().unwrap_or(0));
            vec![Cell::Name(reason.clone()), Cell::PerSecond(rate), Cell::Count(*count)]
        })
        .collect();
    table
}

/// The times that are shown of each interval.
const TIMES: [(&str, Measure); 6] = [
    ("inside", Measure::Inside),
    ("handshake client", Measure::HandshakeClient),
    ("handshake origin", Measure::HandshakeOrigin),
    ("rtt client", Measure::RttClient),
    ("rtt origin", Measure::RttOrigin),
    ("first byte", Measure::FirstByte),
];

#[cfg(test)]
mod tests;
