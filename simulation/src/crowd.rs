//! A crowd: more connections than hosts could be simulated for, which are opened, say one thing, and
//! then do nothing.
//!
//! The engine is whole: a lane between two devices in memory. Of its clients and origins there are only
//! the numbers that their next segments carry ([`hosts`]), so that a million connections fit into
//! memory next to the engine's own. [`run`] opens them, lets all of them sleep, looks at what that
//! costs, wakes some, and ends them all; every octet is compared, and every frame is home at the end.
//! Who wants to know what they cost more exactly has a [`Crowd`] of its own.
//!
//! What stops the number: one lane has [`PAIRS_PER_LANE_MAX`] pairs, and an egress address has so many
//! source ports for each origin, of which there are [`ORIGINS_MAX`] here.

mod edge;
mod hosts;

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant as Clock};

use ringroad_engine::limits::{DORMANT_AFTER, LOOKS_FOR_QUIET_MAX, PAIRS_PER_LANE_MAX, TIME_WAIT};
use ringroad_engine::stage::idle_connection_octets;

use crate::appliance::rig::assert_ended;
use edge::Edge;
use hosts::{Hosts, ORIGINS_MAX, PORTS, Step};

/// Connections that there may be at a time: what a lane has pairs for, or else source ports.
pub const CONNECTIONS_MAX: usize = {
    let source_ports = ORIGINS_MAX * PORTS;
    if PAIRS_PER_LANE_MAX < source_ports { PAIRS_PER_LANE_MAX } else { source_ports }
};

/// What became of a crowd. Times are those of the machine that it ran on; nothing was decided by them.
#[derive(Clone, Debug)]
pub struct Report {
    pub connections: usize,
    /// Virtual time that it took to open them, until the last of them slept.
    pub opened_in: Duration,
    /// What an idle connection takes of the engine's tables [octets].
    pub table_octets_each: usize,
    /// By how much this process's memory has grown, the engine's packet memory and its pairs awake
    /// included [octets].
    pub resident_octets: usize,
    /// What a turn of the lane takes in which nothing comes: with no connection, and with all of them
    /// asleep [ns].
    pub empty_turn_ns: u64,
    pub idle_turn_ns: u64,
    pub woken: Woken,
    /// The whole of it.
    pub took: Duration,
}

/// Sleeping connections that were made to speak, and what that cost.
#[derive(Clone, Copy, Debug)]
pub struct Woken {
    pub connections: usize,
    /// What each of their segments took that woke one, and what another took on the same connections
    /// then [ns].
    pub wake_ns: u64,
    pub awake_ns: u64,
    /// To let one sleep again [ns].
    pub sleep_ns: u64,
}

/// Opens so many connections, and ends them again.
///
/// # Panics
/// If there are more than [`CONNECTIONS_MAX`], or anything happens to one that should not.
pub fn run(connections: usize, seed: u64) -> Report {
    let start = Clock::now();
    let mut crowd = Crowd::new(connections, seed);
    let empty_turn_ns = crowd.edge.quiet_turn_ns();
    let began = crowd.edge.now;
    crowd.open();
    let opened_in = crowd.edge.now - began;
    let resident_octets = crowd.resident_octets();
    let idle_turn_ns = crowd.edge.quiet_turn_ns();
    let woken = crowd.wake_some(0);
    crowd.end();
    Report {
        connections,
        opened_in,
        table_octets_each: idle_connection_octets(),
        resident_octets,
        empty_turn_ns,
        idle_turn_ns,
        woken,
        took: start.elapsed(),
    }
}

/// The engine between all hosts.
#[expect(missing_debug_implementations, reason = "nobody reads a million connections")]
pub struct Crowd {
    hosts: Hosts,
    edge: Edge,
    /// What this process had in memory before there was an engine [octets].
    resident_before: usize,
}

impl Crowd {
    /// Of so many connections that are yet to be opened.
    ///
    /// # Panics
    /// If there are more than [`CONNECTIONS_MAX`].
    pub fn new(connections: usize, seed: u64) -> Self {
        assert!(
            (1..=CONNECTIONS_MAX).contains(&connections),
            "{connections} connections: a lane has {PAIRS_PER_LANE_MAX} pairs, and there are {} \
             source ports here",
            ORIGINS_MAX * PORTS
        );
        let hosts = Hosts::new(connections);
        let resident_before = resident_octets();
        Crowd { hosts, edge: Edge::new(connections, seed), resident_before }
    }

    /// By how much this process's memory has grown since the engine was made: by the engine, if nobody
    /// else takes or returns any [octets].
    pub fn resident_octets(&self) -> usize {
        resident_octets().saturating_sub(self.resident_before)
    }

    /// Opens all connections, some at a time, with a request and its answer on each; those before them
    /// fall asleep meanwhile. Returns when all do.
    ///
    /// # Panics
    /// If anything happens to one that should not; so do the others.
    pub fn open(&mut self) {
        let connections = self.hosts.len();
        for batch in batches(connections) {
            for step in [Step::Syn, Step::Ack, Step::SynAck] {
                self.all(step, batch.clone());
            }
            self.converse(batch);
        }
        self.sleep();
        let counters = self.edge.lane.worker().service_counters(0);
        assert_eq!((counters.accepted, counters.refused), (connections as u64, 0));
    }

    /// A request and its answer on each, until nobody has anything to acknowledge any more. Returns
    /// what a request took [ns].
    fn converse(&mut self, connections: impl Iterator<Item = usize> + Clone) -> u64 {
        let request_ns = self.all(Step::Request, connections.clone());
        self.all(Step::Answer, connections.clone());
        self.all(Step::Acknowledge, connections);
        self.edge.pass(DELAYED_BY);
        self.settle();
        request_ns
    }

    /// Makes some speak, all over the crowd: the `first`, and others at equal distances from it, of which
    /// there are `SPEAKERS` at most.
    pub fn wake_some(&mut self, first: usize) -> Woken {
        let every = self.hosts.len().div_ceil(SPEAKERS);
        let speakers = (first..self.hosts.len()).step_by(every);
        let wake_ns = self.converse(speakers.clone());
        let connections = self.hosts.len() - self.edge.lane.worker().asleep();
        assert_eq!(connections, speakers.len(), "who speaks is awake, and nobody else");
        let awake_ns = self.converse(speakers);
        Woken { connections, wake_ns, awake_ns, sleep_ns: self.sleep() }
    }

    /// Every client finishes, and then its origin.
    pub fn end(&mut self) {
        for batch in batches(self.hosts.len()) {
            for step in [Step::ClientFin, Step::OriginFin, Step::Acknowledge] {
                self.all(step, batch.clone());
            }
        }
        self.edge.pass(DELAYED_BY);
        self.settle();
        self.hosts.assert_finished();
        assert_ended(&self.edge.snapshot());
        self.edge.pass(TIME_WAIT);
        self.settle();
        assert_eq!(self.edge.lane.worker().flows(), 0);
    }

    /// Each of the connections takes a step, and what comes of it is heard. Returns what a segment
    /// took of the lane's time, in the median of all bursts [ns].
    fn all(&mut self, step: Step, connections: impl Iterator<Item = usize> + Clone) -> u64 {
        let opens = step == Step::Ack;
        let mut opening = connections.clone().filter(|_| opens);
        let mut samples = Vec::new();
        let mut speaking = connections.peekable();
        while speaking.peek().is_some() {
            let burst = self.edge.burst(speaking.by_ref().map(|which| self.hosts.say(step, which)));
            samples.push(self.edge.turn() / burst as u64);
            self.edge.hear(|side, segment| self.hosts.hear(side, segment, &mut opening));
        }
        self.settle();
        median(samples)
    }

    /// Lets the engine say what it has left to say.
    fn settle(&mut self) {
        loop {
            self.edge.turn();
            let heard = self.edge.hear(|side, segment| {
                self.hosts.hear(side, segment, &mut std::iter::empty());
            });
            if heard == 0 && !self.edge.lane.worker().has_queued() {
                return;
            }
        }
    }

    /// Lets time pass until all sleep. Returns what it took to let one sleep, in the median of all turns
    /// [ns].
    fn sleep(&mut self) -> u64 {
        self.edge.pass(DORMANT_AFTER);
        let all = self.hosts.len();
        let mut asleep = self.edge.lane.worker().asleep();
        let mut samples = Vec::new();
        // So many are looked at in a turn, each twice at most.
        for _ in 0..2 * all.div_ceil(LOOKS_FOR_QUIET_MAX) + 64 {
            if asleep == all {
                return median(samples);
            }
            self.edge.pass(DELAYED_BY);
            let took = self.edge.turn();
            let before = std::mem::replace(&mut asleep, self.edge.lane.worker().asleep());
            if asleep > before {
                samples.push(took / (asleep - before) as u64);
            }
        }
        panic!("{asleep} of {all} sleep");
    }
}

/// All connections, as many at a time as a device has room for.
fn batches(connections: usize) -> impl Iterator<Item = Range<usize>> {
    (0..connections).step_by(BATCH).map(move |from| from..(from + BATCH).min(connections))
}

/// Of nothing, zero.
fn median(mut samples: Vec<u64>) -> u64 {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// What this process has in memory; zero where nobody says so [octets].
fn resident_octets() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { connections, woken, .. } = self;
        let Woken { wake_ns, awake_ns, sleep_ns, .. } = woken;
        let opened = self.opened_in.as_secs_f64();
        writeln!(f, "{connections} connections were opened in {opened:.1} s of virtual time")?;
        writeln!(
            f,
            "idle, each takes {} octets of the engine's tables; the engine has {:.0} MiB of memory \
             in use, {} octets for each",
            self.table_octets_each,
            self.resident_octets as f64 / f64::from(1 << 20),
            self.resident_octets / connections
        )?;
        writeln!(
            f,
            "a turn in which nothing comes takes {} ns with all of them asleep, {} ns with none",
            self.idle_turn_ns, self.empty_turn_ns
        )?;
        writeln!(
            f,
            "{} were woken, by a segment that took {wake_ns} ns; the next took {awake_ns} ns, and to \
             let one sleep again {sleep_ns} ns",
            woken.connections
        )?;
        write!(f, "all ended, and nothing is left; {:.1} s", self.took.as_secs_f64())
    }
}

/// Connections that take a step together.
const BATCH: usize = 2048;

/// Connections that are made to speak: they can all be awake.
const SPEAKERS: usize = BATCH;

/// Longer than an acknowledgment is delayed.
const DELAYED_BY: Duration = Duration::from_millis(50);
