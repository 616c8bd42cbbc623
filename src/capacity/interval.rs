//! What happened between two counts of a recording, as rates.

use ringroad_engine::telemetry::Measure;

use crate::cores::Role;
use crate::recording::{RecordedInterval, Recording};
use crate::stats::{Core, Stats, nanos_per_packet};

/// One interval of a recording; all rates are per second.
#[derive(Clone, Debug, Default)]
pub(super) struct Interval {
    /// Unix time [s].
    pub(super) began: f64,
    pub(super) ended: f64,
    pub(super) load: Load,
    /// Lost before the engine saw them [packets/s].
    pub(super) lost: f64,
    /// Frames that hold payload, at the end.
    pub(super) frames: f64,
    /// Payload on its way, by throughput and round-trip time of each leg [octets].
    pub(super) in_flight: Option<f64>,
    /// Time inside, where there was any payload.
    pub(super) inside: Option<Times>,
    pub(super) groups: Vec<Group>,
}

/// What an engine has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(super) struct Load {
    /// Received by ports [packets/s].
    pub(super) packets_per_second: f64,
    /// New ones [connections/s].
    pub(super) connections_per_second: f64,
    /// Payload, both ways together [octets/s].
    pub(super) octets_per_second: f64,
    /// Open at one time.
    pub(super) connections: f64,
}

/// Of one interval, or of several [µs].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Times {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
}

/// The cores of one role.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) role: Role,
    pub(super) cores: usize,
    /// Of all of them: so many were busy on average.
    pub(super) busy: f64,
    /// Of the busiest, from 0 to 1.
    pub(super) busiest: f64,
    /// Turns that found something [1/s].
    pub(super) busy_turns: f64,
    pub(super) stages: Vec<Stage>,
}

/// What was measured of a stage.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) packets: u64,
    pub(super) sampled_packets: u64,
    pub(super) sampled_s: f64,
    /// Of the core's clock, where it is known [1/s].
    pub(super) hertz: Option<f64>,
}

/// All that can be told apart in some recordings.
#[derive(Clone, Debug, Default)]
pub(super) struct Intervals {
    pub(super) list: Vec<Interval>,
    /// When counts fell: the engine was started anew, and what lies between is not known.
    pub(super) restarts: Vec<f64>,
}

impl Intervals {
    pub(super) fn of(recordings: &[Recording]) -> Self {
        let mut all = Intervals::default();
        for recording in recordings {
            for pair in recording.intervals.windows(2) {
                match Interval::between(&pair[0], &pair[1]) {
                    Between::Known(interval) => all.list.push(interval),
                    Between::Restart => all.restarts.push(pair[1].began),
                    Between::Gap => {}
                }
            }
        }
        all
    }
}

/// What two neighbours of a recording are to each other.
enum Between {
    Known(Interval),
    Restart,
    /// Something is missing between them.
    Gap,
}

impl Interval {
    fn between(before: &RecordedInterval, after: &RecordedInterval) -> Between {
        let (old, new) = (&before.stats, &after.stats);
        let seconds = after.ended - after.began;
        if fell(old, new) {
            return Between::Restart;
        }
        // Counts are of what lies between the two ends, times of what is between began and ended.
        if seconds <= 0.0 || (after.ended - before.ended) > seconds * (1.0 + GAP_MOST) {
            return Between::Gap;
        }
        let rate = |count: fn(&Stats) -> u64| (count(new) - count(old)) as f64 / seconds;
        let recorded = |measure: Measure| {
            after.histograms.get(measure.name()).filter(|histogram| !histogram.is_empty())
        };
        let inside = recorded(Measure::Inside).map(|histogram| {
            let micros = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
            Times { p50: micros(0.5), p95: micros(0.95), p99: micros(0.99) }
        });
        let round_trip_s = |leg| Some(recorded(leg)?.value_at_quantile(0.5) as f64 / 1e9);
        let round_trips = round_trip_s(Measure::RttClient).zip(round_trip_s(Measure::RttOrigin));
        Between::Known(Interval {
            began: after.began,
            ended: after.ended,
            load: Load {
                packets_per_second: rate(|stats| stats.ledger.received),
                connections_per_second: rate(accepted),
                octets_per_second: rate(to_client) + rate(to_origin),
                connections: new.services.iter().map(|s| s.connections.active as f64).sum(),
            },
            lost: rate(|stats| stats.ports.iter().map(|port| port.rx_dropped).sum()),
            frames: new.frames.held.saturating_sub(new.frames.with_devices) as f64,
            in_flight: round_trips
                .map(|(client, origin)| client * rate(to_client) + origin * rate(to_origin)),
            inside,
            groups: groups(&old.cores, &new.cores, seconds),
        })
    }
}

impl Interval {
    pub(super) fn group(&self, role: Role) -> Option<&Group> {
        self.groups.iter().find(|group| group.role == role)
    }
}

impl Stage {
    pub(super) fn nanos_per_packet(&self) -> Option<f64> {
        nanos_per_packet(self.sampled_packets, self.sampled_s)
    }

    pub(super) fn add(&mut self, other: &Stage) {
        self.packets += other.packets;
        self.sampled_packets += other.sampled_packets;
        self.sampled_s += other.sampled_s;
        self.hertz = other.hertz.or(self.hertz);
    }
}

/// Adds to those of the same name.
pub(super) fn add_stages(into: &mut Vec<Stage>, from: &[Stage]) {
    for stage in from {
        match into.iter_mut().find(|known| known.name == stage.name) {
            Some(known) => known.add(stage),
            None => into.push(stage.clone()),
        }
    }
}

/// What never falls while an engine runs.
fn fell(old: &Stats, new: &Stats) -> bool {
    let counts: [fn(&Stats) -> u64; 4] =
        [|stats| stats.ledger.received, accepted, to_client, to_origin];
    let other_cores = old.cores.len() != new.cores.len()
        || old.cores.iter().zip(&new.cores).any(|(old, new)| {
            old.name != new.name || new.turns < old.turns || new.busy_s < old.busy_s
        });
    other_cores || counts.iter().any(|count| count(new) < count(old))
}

fn accepted(stats: &Stats) -> u64 {
    stats.services.iter().map(|service| service.connections.accepted).sum()
}

fn to_client(stats: &Stats) -> u64 {
    stats.services.iter().map(|service| service.bytes.to_client).sum()
}

fn to_origin(stats: &Stats) -> u64 {
    stats.services.iter().map(|service| service.bytes.to_origin).sum()
}

/// What cores did meanwhile, by role.
fn groups(old: &[Core], new: &[Core], seconds: f64) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (old, new) in old.iter().zip(new) {
        let busy_s = new.busy_s - old.busy_s;
        let all_s = busy_s + new.idle_s - old.idle_s;
        let share = if all_s > 0.0 { busy_s / all_s } else { 0.0 };
        let known = groups.iter().position(|group| group.role == new.role);
        let place = known.unwrap_or_else(|| {
            groups.push(Group { role: new.role, ..Group::default() });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.cores += 1;
        group.busy += share;
        group.busiest = group.busiest.max(share);
        group.busy_turns += (new.busy_turns.saturating_sub(old.busy_turns)) as f64 / seconds;
        add_stages(&mut group.stages, &stages(old, new));
    }
    groups
}

fn stages(old: &Core, new: &Core) -> Vec<Stage> {
    let stages = new.stages.iter().map(|stage| {
        let before = old.stages.iter().find(|before| before.name == stage.name);
        let (packets, sampled_packets, sampled_s) =
            before.map_or((0, 0, 0.0), |b| (b.packets, b.sampled_packets, b.sampled_s));
        let cycles = stage.cycles_per_packet.zip(stage.ns_per_packet);
        Stage {
            name: stage.name.clone(),
            packets: stage.packets.saturating_sub(packets),
            sampled_packets: stage.sampled_packets.saturating_sub(sampled_packets),
            sampled_s: (stage.sampled_s - sampled_s).max(0.0),
            hertz: cycles.map(|(cycles, nanos)| 1e9 * cycles / nanos),
        }
    });
    stages.collect()
}

/// Of an interval's length, how much may be missing before it.
const GAP_MOST: f64 = 0.2;
