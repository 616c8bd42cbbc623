//! What the polling threads did with their time in an interval: work, not turns that found nothing.

use ringroad_engine::telemetry::{Measure, Ring as RingKind, Stage as StageKind};

use super::sample::Sample;
use super::table::{Cell, Table};
use crate::stats::{Core, Ring, Stage, bottleneck, nanos_per_packet};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cores {
    pub(super) table: Table,
    /// What keeps the engine from more.
    pub(super) bottleneck: String,
}

pub(super) fn between(before: &Sample, now: &Sample) -> Cores {
    let waited = RingKind::ALL.map(|kind| Waited::between(before, now, kind));
    let pairs = before.stats.cores.iter().zip(&now.stats.cores);
    let cores: Vec<Core> = pairs.map(|(was, is)| since(was, is, &waited)).collect();
    let bottleneck = bottleneck(&cores).map_or_else(String::new, |found| match found.core {
        Some(core) => format!("{core}, {}", found.why),
        None => format!("none, {}", found.why),
    });
    let columns = ["core", "busy", "rx ns", "work ns", "tx ns", "ring"];
    let mut table = Table::new("cores", &columns);
    table.rows = cores.iter().map(row).collect();
    // Not where there never was one.
    if now.stats.cores.iter().all(|core| core.way_in().is_none()) {
        table.columns.pop();
        table.rows.iter_mut().for_each(|row| drop(row.pop()));
    }
    Cores { table, bottleneck }
}

/// A core as it would be if it had begun with the interval.
fn since(was: &Core, is: &Core, waited: &[Waited]) -> Core {
    let (busy_s, idle_s) = (is.busy_s - was.busy_s, is.idle_s - was.idle_s);
    let time = busy_s + idle_s;
    let stages = is.stages.iter().map(|stage| {
        let earlier = was.stages.iter().find(|earlier| earlier.name == stage.name);
        stage_since(earlier, stage)
    });
    let rings = is.rings.iter().map(|ring| {
        let earlier = was.rings.iter().find(|earlier| earlier.name == ring.name);
        let waited = waited.iter().find(|waited| waited.ring == ring.name);
        ring_since(earlier, ring, waited.copied().unwrap_or_default())
    });
    Core {
        utilisation: if time > 0.0 { (busy_s / time).clamp(0.0, 1.0) } else { 0.0 },
        busy_s,
        idle_s,
        stages: stages.collect(),
        rings: rings.collect(),
        ..is.clone()
    }
}

fn stage_since(was: Option<&Stage>, is: &Stage) -> Stage {
    let before = was.map_or((0, 0.0), |was| (was.sampled_packets, was.sampled_s));
    let sampled_packets = is.sampled_packets.saturating_sub(before.0);
    let sampled_s = (is.sampled_s - before.1).max(0.0);
    Stage {
        packets: is.packets.saturating_sub(was.map_or(0, |was| was.packets)),
        sampled_packets,
        sampled_s,
        ns_per_packet: nanos_per_packet(sampled_packets, sampled_s),
        ..is.clone()
    }
}

/// How deep each core's own were is told since the start only; of all of a kind, for the interval.
fn ring_since(was: Option<&Ring>, is: &Ring, waited: Waited) -> Ring {
    Ring {
        packets: is.packets.saturating_sub(was.map_or(0, |was| was.packets)),
        full: is.full.saturating_sub(was.map_or(0, |was| was.full)),
        depth_p99: is.depth_p99.min(waited.depth_p99),
        wait_p99_us: is.wait_p99_us.min(waited.wait_p99_us),
        ..is.clone()
    }
}

/// What packets met in all rings of a kind.
#[derive(Clone, Copy, Debug, Default)]
struct Waited {
    ring: &'static str,
    depth_p99: u64,
    wait_p99_us: f64,
}

impl Waited {
    fn between(before: &Sample, now: &Sample, kind: RingKind) -> Self {
        let p99 = |measure| {
            let recorded = now.recorded_since(before, measure);
            recorded.map_or(0, |recorded| recorded.value_at_quantile(0.99))
        };
        Waited {
            ring: kind.name(),
            depth_p99: p99(Measure::depth(kind)),
            wait_p99_us: p99(Measure::wait(kind)) as f64 / 1e3,
        }
    }
}

fn row(core: &Core) -> Vec<Cell> {
    let nanos = |stages: &[StageKind]| {
        let of = |kind: &StageKind| {
            let stage = core.stages.iter().find(|stage| stage.name == kind.name());
            stage.and_then(|stage| stage.ns_per_packet)
        };
        let sum = stages.iter().filter_map(of).reduce(|sum, nanos| sum + nanos);
        sum.map_or(Cell::Nothing, Cell::ShortNanos)
    };
    let way_in = core.way_in();
    vec![
        Cell::Name(core.name.clone()),
        Cell::Busy(core.utilisation),
        nanos(&[StageKind::Rx]),
        nanos(&[StageKind::Gate, StageKind::Worker]),
        nanos(&[StageKind::Tx]),
        way_in.map_or(Cell::Nothing, |ring| Cell::Count(ring.depth_p99)),
    ]
}
