//! A crowd: more connections than hosts could be simulated for, which are opened, say one thing, and
//! then do nothing.
//!
//! The engine is whole: a lane between two devices in memory. Of its clients and origins there are only
//! the numbers that their next segments carry ([`hosts`]), so that a million connections fit into
//! memory next to the engine's own. [`run`] opens them, lets all of them sleep, looks at what that
//! costs, wakes some, and ends them all; every octet is compared, and every frame is home at the end.
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
    /// Of the sleeping connections, those that were made to speak; what each of their segments took
    /// that woke one, and what another took on the same connections then [ns].
    pub woken: usize,
    pub wake_ns: u64,
    pub awake_ns: u64,
    /// The whole of it.
    pub took: Duration,
}

/// Opens so many connections, and ends them again.
///
/// # Panics
/// If there are more than [`CONNECTIONS_MAX`], or anything happens to one that should not.
pub fn run(connections: usize, seed: u64) -> Report {
    assert!(
        (1..=CONNECTIONS_MAX).contains(&connections),
        "{connections} connections: a lane has {PAIRS_PER_LANE_MAX} pairs, and there are {} source \
         ports here",
        ORIGINS_MAX * PORTS
    );
    let start = Clock::now();
    let hosts = Hosts::new(connections);
    let resident = resident_octets();
    let mut crowd = Crowd { hosts, edge: Edge::new(connections, seed) };
    let empty_turn_ns = crowd.edge.quiet_turn_ns();
    let began = crowd.edge.now;
    crowd.open();
    let opened_in = crowd.edge.now - began;
    let resident_octets = resident_octets().saturating_sub(resident);
    let idle_turn_ns = crowd.edge.quiet_turn_ns();
    let (woken, wake_ns, awake_ns) = crowd.wake_some();
    crowd.end();
    Report {
        connections,
        opened_in,
        table_octets_each: idle_connection_octets(),
        resident_octets,
        empty_turn_ns,
        idle_turn_ns,
        woken,
        wake_ns,
        awake_ns,
        took: start.elapsed(),
    }
}

/// The engine between all hosts.
struct Crowd {
    hosts: Hosts,
    edge: Edge,
}

impl Crowd {
    /// Opens all connections, some at a time, with a request and its answer on each; those before them
    /// fall asleep meanwhile. Returns when all do.
    fn open(&mut self) {
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

    /// Makes some speak, all over the crowd. Returns how many, and what their first segment and their
    /// second cost.
    fn wake_some(&mut self) -> (usize, u64, u64) {
        let every = self.hosts.len().div_ceil(SPEAKERS);
        let speakers = (0..self.hosts.len()).step_by(every);
        let wake_ns = self.converse(speakers.clone());
        let woken = self.hosts.len() - self.edge.lane.worker().asleep();
        assert_eq!(woken, speakers.len(), "who speaks is awake, and nobody else");
        let awake_ns = self.converse(speakers);
        self.sleep();
        (woken, wake_ns, awake_ns)
    }

    /// Every client finishes, and then its origin.
    fn end(&mut self) {
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

    /// Lets time pass until all sleep.
    fn sleep(&mut self) {
        self.edge.pass(DORMANT_AFTER);
        let all = self.hosts.len();
        // So many are looked at in a turn, each twice at most.
        for _ in 0..2 * all.div_ceil(LOOKS_FOR_QUIET_MAX) + 64 {
            if self.edge.lane.worker().asleep() == all {
                return;
            }
            self.edge.pass(DELAYED_BY);
            self.settle();
        }
        panic!("{} of {all} sleep", self.edge.lane.worker().asleep());
    }
}

/// All connections, as many at a time as a device has room for.
fn batches(connections: usize) -> impl Iterator<Item = Range<usize>> {
    (0..connections).step_by(BATCH).map(move |from| from..(from + BATCH).min(connections))
}

fn median(mut samples: Vec<u64>) -> u64 {
    samples.sort_unstable();
    samples[samples.len() / 2]
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
            "{woken} were woken, by a segment that took {} ns; the next took {} ns",
            self.wake_ns, self.awake_ns
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
