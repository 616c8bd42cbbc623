//! What work costs: time of cores by turns, packets, connections and octets, and by stage.
//!
//! A turn of a core takes a fixed time and some for each packet, so that a packet costs the less the
//! more of them come at a time. What a core can do at most it does in full bursts, and by that time
//! is measured how much of it is in use ([`Costs::cores_at_work`]): the share of its time in which a core
//! is busy says too much of that where bursts are small.

use ringroad_engine::limits::BURST;
use serde::Serialize;

use super::doubt::{Answer, Doubt, answer};
use super::interval::{Group, Interval, Load, Stage, add_stages};
use super::squares::{fit_most, median};
use crate::cores::Role;

/// Of the cores of one role.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Costs {
    pub(super) role: Role,
    pub(super) cores: usize,
    /// Of a turn that finds something, whatever that is.
    pub(super) turn: Cost,
    /// Of a packet received, with what is sent for it.
    pub(super) packet: Cost,
    /// Of a new connection, beyond its packets.
    pub(super) connection: Cost,
    /// Of an octet of payload, beyond its packet.
    pub(super) octet: Cost,
    /// Which part of the differences in busy time these explain, from 0 to 1.
    pub(super) r_squared: f64,
    pub(super) intervals: usize,
    /// Of these, how many were far from all others.
    pub(super) left_out: usize,
    /// How much more the busiest of the cores does than their mean.
    pub(super) unevenness: f64,
    pub(super) stages: Vec<StageCost>,
}

/// Something that takes time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Cost {
    pub(super) ns: f64,
    /// Standard error; absent: what it costs could not be told from the others' costs, and is in these.
    pub(super) error_ns: Option<f64>,
    /// Of the core, where Linux says how fast it runs.
    pub(super) cycles: Option<f64>,
}

/// Measured in a few turns of many.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StageCost {
    pub(super) name: String,
    #[serde(serialize_with = "answer")]
    pub(super) ns_per_packet: Answer<f64>,
    pub(super) cycles_per_packet: Option<f64>,
}

impl Costs {
    /// Of each role that is found in the intervals.
    pub(super) fn of_all(intervals: &[Interval]) -> Vec<Answer<Costs>> {
        let mut roles: Vec<Role> = Vec::new();
        for group in intervals.iter().flat_map(|interval| &interval.groups) {
            if !roles.contains(&group.role) {
                roles.push(group.role);
            }
        }
        roles.into_iter().map(|role| Costs::of(role, intervals)).collect()
    }

    fn of(role: Role, intervals: &[Interval]) -> Answer<Costs> {
        let seen: Vec<(&Interval, &Group)> = (intervals.iter())
            .filter(|interval| interval.load.packets_per_second > 0.0)
            .filter_map(|interval| Some((interval, interval.group(role)?)))
            .collect();
        let too_few =
            Doubt::TooFew { what: "intervals with traffic", have: seen.len(), need: INTERVALS_MIN };
        if seen.len() < INTERVALS_MIN {
            return Err(too_few);
        }
        let rows: Vec<_> =
            seen.iter().map(|(i, group)| (work(group, &i.load), group.busy)).collect();
        let (fit, left_out) = fit_most(&rows).ok_or(too_few)?;
        let mut stages = Vec::new();
        seen.iter().for_each(|(_, group)| add_stages(&mut stages, &group.stages));
        let hertz = stages.iter().find_map(|stage| stage.hertz);
        let [turn, packet, connection, octet] = std::array::from_fn(|n| Cost {
            ns: 1e9 * fit.coefficients[n],
            error_ns: fit.errors[n].map(|error| 1e9 * error),
            cycles: hertz.map(|hertz| hertz * fit.coefficients[n]),
        });
        let unevenness = seen
            .iter()
            .filter(|(_, group)| group.busy > 0.0)
            .map(|(_, group)| group.busiest * group.cores as f64 / group.busy);
        Ok(Costs {
            role,
            cores: seen[seen.len() - 1].1.cores,
            turn,
            packet,
            connection,
            octet,
            r_squared: fit.r_squared,
            intervals: seen.len(),
            left_out,
            unevenness: median(unevenness).unwrap_or(1.0).max(1.0),
            stages: (stages.iter().filter(|stage| stage.packets > 0))
                .map(|stage| StageCost::new(role, stage))
                .collect(),
        })
    }

    /// How many cores a load keeps at work when packets come in full bursts.
    pub(super) fn cores_at_work(&self, load: &Load) -> f64 {
        let turns = load.packets_per_second / BURST as f64;
        let nanos = turns * self.turn.ns
            + load.packets_per_second * self.packet.ns
            + load.connections_per_second * self.connection.ns
            + load.octets_per_second * self.octet.ns;
        nanos / 1e9
    }

    /// Which part of what the cores of the recording can do at most a load takes.
    pub(super) fn utilisation(&self, load: &Load) -> f64 {
        self.cores_at_work(load) * self.unevenness / self.cores as f64
    }

    /// Of a packet that comes with so many others, by itself [ns].
    pub(super) fn packet_in_burst(&self, packets: usize) -> f64 {
        self.turn.ns / packets as f64 + self.packet.ns
    }
}

impl StageCost {
    fn new(role: Role, stage: &Stage) -> Self {
        let never = || Doubt::NeverSampled { role: name(role), stage: stage.name.clone() };
        let nanos = stage.nanos_per_packet();
        StageCost {
            name: stage.name.clone(),
            cycles_per_packet: nanos.zip(stage.hertz).map(|(nanos, hertz)| nanos * hertz / 1e9),
            ns_per_packet: nanos.ok_or_else(never),
        }
    }
}

/// The highest of all roles': who has least left is the limit.
pub(super) fn utilisation(costs: &[Costs], load: &Load) -> f64 {
    costs.iter().map(|costs| costs.utilisation(load)).fold(0.0, f64::max)
}

/// As in the configuration and in threads' names.
pub(super) fn name(role: Role) -> &'static str {
    match role {
        Role::Lane => "lane",
        Role::Io => "io",
        Role::Worker => "worker",
    }
}

/// What busy time is explained by, in the order of the costs [1/s].
fn work(group: &Group, load: &Load) -> [f64; 4] {
    let Load { packets_per_second, connections_per_second, octets_per_second, .. } = *load;
    [group.busy_turns, packets_per_second, connections_per_second, octets_per_second]
}

/// Three for each of four costs.
const INTERVALS_MIN: usize = 12;
