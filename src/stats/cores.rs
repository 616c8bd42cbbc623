//! What each core does with its time, and which of them the others wait for.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use ringroad_engine::telemetry::{
    CoreTimes, Measure, Recorders, Ring as RingKind, Snapshot, Stage as StageKind,
};
use serde::{Deserialize, Serialize};

use crate::cores::{PollingThread, Role};

/// A polling thread, since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Core {
    /// As Linux shows the thread.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Which part of its time went into turns that found something to do, from 0 to 1.
    pub(crate) utilisation: f64,
    pub(crate) busy_s: f64,
    /// Sleep included.
    pub(crate) idle_s: f64,
    pub(crate) turns: u64,
    pub(crate) busy_turns: u64,
    /// Packets at a look at a port that found any.
    pub(crate) mean_burst: Option<f64>,
    /// Looks at a port, by how many packets there were: none, one, two …
    pub(crate) bursts: Vec<u64>,
    /// Those that had packets, in their order.
    pub(crate) stages: Vec<Stage>,
    /// Those that had packets, or no room for some.
    pub(crate) rings: Vec<Ring>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stage {
    /// rx, gate, worker or tx.
    pub(crate) name: String,
    pub(crate) packets: u64,
    /// Of `sampled_packets`, which took `sampled_s`.
    pub(crate) ns_per_packet: Option<f64>,
    /// The same, where Linux says how fast the core runs at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cycles_per_packet: Option<f64>,
    pub(crate) sampled_packets: u64,
    pub(crate) sampled_s: f64,
}

/// All rings of a kind that this core takes from; or fills, of which only `full` is its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ring {
    /// rx, tx or `hand_over`.
    pub(crate) name: String,
    /// Taken out by this core.
    pub(crate) packets: u64,
    /// Of one ring [packets].
    pub(crate) capacity: u64,
    pub(crate) depth_p50: u64,
    pub(crate) depth_p99: u64,
    pub(crate) depth_max: u64,
    pub(crate) wait_p50_us: f64,
    pub(crate) wait_p99_us: f64,
    pub(crate) wait_max_us: f64,
    /// How often this core found no room for what it had to put in.
    pub(crate) full: u64,
}

/// What keeps the engine from more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Bottleneck {
    /// Absent: all cores keep up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) core: Option<String>,
    pub(crate) why: String,
}

/// What the polling threads said, in their order.
pub(super) fn all(
    threads: &[PollingThread],
    snapshot: &Snapshot,
    recorded: &[Recorders],
) -> Vec<Core> {
    // Not everywhere does Linux say.
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let threads = threads.iter().zip(&snapshot.cores).zip(recorded);
    let threads = threads.map(|((thread, times), recorded)| {
        let mut core = Core::new(&thread.name, thread.role, times, recorded);
        if let Some(mhz) = mhz(&cpuinfo, thread.core.id) {
            core.set_clock(mhz);
        }
        core
    });
    threads.collect()
}

impl Core {
    pub(crate) fn new(name: &str, role: Role, times: &CoreTimes, recorded: &Recorders) -> Self {
        let stages = StageKind::ALL.into_iter().map(|stage| Stage::new(stage, times));
        let rings = RingKind::ALL.into_iter().map(|ring| Ring::new(ring, times, recorded));
        Core {
            name: name.to_owned(),
            role,
            utilisation: times.utilisation(),
            busy_s: seconds(times.busy_ns),
            idle_s: seconds(times.idle_ns),
            turns: times.turns,
            busy_turns: times.busy_turns,
            mean_burst: times.mean_burst(),
            bursts: times.bursts.to_vec(),
            stages: stages.filter(|stage| stage.packets > 0).collect(),
            rings: rings.filter(|ring| ring.packets > 0 || ring.full > 0).collect(),
        }
    }

    /// Says what packets take in cycles of a core that makes so many million in a second.
    pub(crate) fn set_clock(&mut self, mhz: f64) {
        for stage in &mut self.stages {
            stage.cycles_per_packet = stage.ns_per_packet.map(|nanos| nanos * mhz / 1e3);
        }
    }

    pub(crate) fn write(&self, out: &mut String) {
        // Writing to a `String` cannot fail.
        let _ = write!(out, "core {}  {:.1} % busy", self.name, 100.0 * self.utilisation);
        if let Some(burst) = self.mean_burst {
            let _ = write!(out, ", bursts of {burst:.1}");
        }
        for Stage { name, ns_per_packet, cycles_per_packet, .. } in &self.stages {
            if let Some(nanos) = ns_per_packet {
                let _ = write!(out, "; {name} {nanos:.0} ns/packet");
            }
            if let Some(cycles) = cycles_per_packet {
                let _ = write!(out, " ({cycles:.0} cycles)");
            }
        }
        out.push('\n');
        for ring in &self.rings {
            let _ = write!(out, "        {} ring: ", ring.name);
            let _ = match ring.packets {
                0 => writeln!(out, "full {} times", ring.full),
                _ => writeln!(
                    out,
                    "depth p50 {} p99 {} max {} of {}; wait [µs] p50 {:.1} p99 {:.1} max {:.1}",
                    ring.depth_p50,
                    ring.depth_p99,
                    ring.depth_max,
                    ring.capacity,
                    ring.wait_p50_us,
                    ring.wait_p99_us,
                    ring.wait_max_us
                ),
            };
        }
    }

    /// The ring that packets wait in for this core.
    pub(crate) fn way_in(&self) -> Option<&Ring> {
        self.rings.iter().find(|ring| ring.name == self.role.way_in().name() && ring.packets > 0)
    }

    /// Which part of the ring is full when this core looks at it, but for one look in a hundred.
    fn backlog(&self) -> f64 {
        self.way_in().map_or(0.0, |ring| ring.depth_p99 as f64 / ring.capacity as f64)
    }
}

impl Stage {
    fn new(stage: StageKind, times: &CoreTimes) -> Self {
        let name = stage.name().to_owned();
        let times = times.stage(stage);
        Stage {
            name,
            packets: times.packets,
            ns_per_packet: times.nanos_per_packet(),
            cycles_per_packet: None,
            sampled_packets: times.sampled_packets,
            sampled_s: seconds(times.sampled_ns),
        }
    }
}

/// `None`: none were sampled.
pub(crate) fn nanos_per_packet(sampled_packets: u64, sampled_s: f64) -> Option<f64> {
    (sampled_packets > 0).then(|| 1e9 * sampled_s / sampled_packets as f64)
}

impl Ring {
    fn new(ring: RingKind, times: &CoreTimes, recorded: &Recorders) -> Self {
        let depth = recorded.histogram(Measure::depth(ring));
        let wait = recorded.histogram(Measure::wait(ring));
        let capacity = ring.capacity() as u64;
        let at = |histogram: Option<&Histogram<u64>>, quantile| {
            histogram.map_or(0, |histogram| histogram.value_at_quantile(quantile))
        };
        // Values are known by the upper ends of their steps.
        let packets = |quantile| at(depth, quantile).min(capacity);
        let micros = |quantile| at(wait, quantile) as f64 / 1e3;
        Ring {
            name: ring.name().to_owned(),
            packets: wait.map_or(0, Histogram::len),
            capacity,
            depth_p50: packets(0.5),
            depth_p99: packets(0.99),
            depth_max: packets(1.0),
            wait_p50_us: micros(0.5),
            wait_p99_us: micros(0.99),
            wait_max_us: micros(1.0),
            full: times.full(ring),
        }
    }
}

impl Role {
    /// What the others reach it by.
    pub(crate) fn way_in(self) -> RingKind {
        match self {
            Role::Io => RingKind::Tx,
            Role::Worker => RingKind::Rx,
            Role::Lane => RingKind::HandOver,
        }
    }
}

impl Bottleneck {
    pub(super) fn write(&self, out: &mut String) {
        let core = self.core.as_deref().unwrap_or("none");
        let _ = writeln!(out, "bottleneck: {core}  {}", self.why);
    }
}

/// The core that packets queue up before; if they do before none, the busiest, as far as it has
/// little time left. `None`: nothing is known of any.
pub(crate) fn bottleneck(cores: &[Core]) -> Option<Bottleneck> {
    let most = |of: fn(&Core) -> f64| cores.iter().max_by(|a, b| of(a).total_cmp(&of(b)));
    let (deepest, busiest) = (most(Core::backlog)?, most(|core| core.utilisation)?);
    // What the core with the devices does not take, its workers cannot send: then packets queue up before
    // these as well, but not for their own sake.
    let io = cores.iter().find(|core| core.role == Role::Io && core.backlog() >= DEEP);
    let queued_before = io.or_else(|| (deepest.backlog() >= DEEP).then_some(deepest));
    let percent = |core: &Core| 100.0 * core.utilisation;
    if let Some(core) = queued_before {
        let mut why = format!("{:.0} % busy", percent(core));
        if let Some(ring) = core.way_in() {
            let (depth, capacity, wait) = (ring.depth_p99, ring.capacity, ring.wait_p99_us);
            let _ = write!(
                why,
                "; in its {} ring wait {depth} packets of {capacity} (p99), for {wait:.0} µs (p99)",
                ring.name
            );
        }
        for (name, full) in kept_waiting(core, cores) {
            let _ = write!(why, "; {name} found no room {full} times");
        }
        return Some(Bottleneck { core: Some(core.name.clone()), why });
    }
    if busiest.utilisation >= BUSY {
        let why = format!("{:.0} % busy; no packets queue up before any", percent(busiest));
        return Some(Bottleneck { core: Some(busiest.name.clone()), why });
    }
    let why = format!("the busiest is {}, {:.0} % busy", busiest.name, percent(busiest));
    Some(Bottleneck { core: None, why })
}

/// Who found no room in rings of the kind that lead to `core`, and how often.
fn kept_waiting<'a>(core: &'a Core, cores: &'a [Core]) -> impl Iterator<Item = (&'a str, u64)> {
    let way_in = core.role.way_in().name();
    cores.iter().filter(move |other| other.name != core.name).filter_map(move |other| {
        let ring = other.rings.iter().find(|ring| ring.name == way_in)?;
        (ring.full > 0).then_some((other.name.as_str(), ring.full))
    })
}

/// How fast a core runs now [MHz], by `/proc/cpuinfo`.
fn mhz(cpuinfo: &str, core: usize) -> Option<f64> {
    let fields = |line: &'static str| {
        move |entry: &str| -> Option<String> {
            let (_, value) = entry
                .lines()
                .find_map(|l| l.split_once(':').filter(|(key, _)| key.trim() == line))?;
            Some(value.trim().to_owned())
        }
    };
    let entry = cpuinfo.split("\n\n").find(|entry| {
        fields("processor")(entry).is_some_and(|number| number == core.to_string())
    })?;
    fields("cpu MHz")(entry)?.parse().ok()
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// Of a ring: with so much of it in use, packets come faster than they are taken.
const DEEP: f64 = 0.5;

/// A core that is busy for so much of its time has little left for more.
const BUSY: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    fn core(name: &str, role: Role, utilisation: f64, rings: &[Ring]) -> Core {
        Core { name: name.to_owned(), role, utilisation, rings: rings.to_vec(), ..Core::default() }
    }

    /// Taken from, with packets in it at most looks.
    fn taken(ring: RingKind, depth_p99: u64) -> Ring {
        Ring {
            name: ring.name().to_owned(),
            packets: 1_000,
            capacity: ring.capacity() as u64,
            depth_p99,
            wait_p99_us: 410.0,
            ..Ring::default()
        }
    }

    fn found_full(ring: RingKind, full: u64) -> Ring {
        Ring { name: ring.name().to_owned(), full, ..Ring::default() }
    }

    fn found(cores: &[Core]) -> (Option<String>, String) {
        let Bottleneck { core, why } = bottleneck(cores).unwrap();
        (core, why)
    }

    #[test]
    fn packets_queue_up_before_the_bottleneck() {
        let io =
            core("io", Role::Io, 0.95, &[taken(RingKind::Tx, 20), found_full(RingKind::Rx, 7)]);
        let idle = core("worker-0", Role::Worker, 0.2, &[taken(RingKind::Rx, 3)]);
        let late = core("worker-1", Role::Worker, 0.9, &[taken(RingKind::Rx, 800)]);
        let why = "90 % busy; in its rx ring wait 800 packets of 1024 (p99), for 410 µs (p99); io \
                   found no room 7 times";
        assert_eq!(found(&[io, idle, late]), (Some("worker-1".to_owned()), why.to_owned()));
    }

    #[test]
    fn workers_that_cannot_send_wait_for_the_core_with_the_devices() {
        let io = core("io", Role::Io, 0.99, &[taken(RingKind::Tx, 200)]);
        let waits = [taken(RingKind::Rx, 1_000), found_full(RingKind::Tx, 12)];
        let worker = core("worker-0", Role::Worker, 0.99, &waits);
        let (name, why) = found(&[io, worker]);
        assert_eq!(name.as_deref(), Some("io"));
        assert!(why.ends_with("; worker-0 found no room 12 times"), "{why}");
    }

    #[test]
    fn where_nothing_queues_up_it_is_who_has_no_time_left() {
        let lanes = |second: f64| {
            [core("lane-0", Role::Lane, 0.4, &[]), core("lane-1", Role::Lane, second, &[])]
        };
        assert_eq!(found(&lanes(0.97)).0.as_deref(), Some("lane-1"));
        let nobody = (None, "the busiest is lane-1, 60 % busy".to_owned());
        assert_eq!(found(&lanes(0.6)), nobody);
        assert_eq!(bottleneck(&[]), None);
    }

    #[test]
    fn what_linux_says_of_a_core_is_of_that_core() {
        let cpuinfo =
            "processor\t: 0\ncpu MHz\t\t: 2000.5\n\nprocessor\t: 1\ncpu MHz\t\t: 2500.0\n";
        assert_eq!(mhz(cpuinfo, 0), Some(2000.5));
        assert_eq!(mhz(cpuinfo, 1), Some(2500.0));
        assert_eq!(mhz(cpuinfo, 2), None);
        assert_eq!(mhz("processor : 0\nBogoMIPS : 50.00\n", 0), None, "not every processor");
    }

    #[test]
    fn a_line_says_what_a_core_does() {
        let mut times = CoreTimes::new();
        (times.turns, times.busy_turns, times.busy_ns, times.idle_ns) = (10, 4, 3_000, 1_000);
        times.bursts[2] = 4;
        let stage = times.stage_mut(StageKind::Worker);
        (stage.packets, stage.sampled_packets, stage.sampled_ns) = (8, 2, 400);
        let at = ringroad_engine::time::Instant::from_nanos;
        let mut recorded = Recorders::new();
        recorded.popped(RingKind::Rx, at(2_000), &[at(0), at(0)], 0);
        let mut core = Core::new("worker-0", Role::Worker, &times, &recorded);
        core.set_clock(2_500.0);
        let mut out = String::new();
        core.write(&mut out);
        assert_eq!(
            out,
            "core worker-0  75.0 % busy, bursts of 2.0; worker 200 ns/packet (500 cycles)\n        \
             rx ring: depth p50 2 p99 2 max 2 of 1024; wait [µs] p50 2.0 p99 2.0 max 2.0\n"
        );
    }
}
