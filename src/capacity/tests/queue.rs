//! A core that polls, in virtual time, with costs that are known; what it records is what an engine would.
//!
//! It takes what has come, up to a full burst, and is at it for a fixed time and some for each packet,
//! give or take a fifth. Packets come at random.

use std::collections::VecDeque;

use hdrhistogram::Histogram;
use ringroad_engine::limits::BURST;
use ringroad_engine::random::Random;

use crate::recording::RecordedInterval;
use crate::stats::services::{Connections, Octets};
use crate::stats::{Core, Service, Stage, Stats};

/// What work takes [ns].
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) turn: f64,
    pub(super) packet: f64,
    pub(super) connection: f64,
}

/// What comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic {
    /// [packets/s]
    pub(super) rate: f64,
    pub(super) packets_per_connection: u64,
    pub(super) octets_per_packet: u64,
}

/// A queue that goes on from interval to interval, and its counts.
#[derive(Debug)]
pub(super) struct Recorder {
    queue: Queue,
    random: Random,
    /// [ns]
    now: f64,
    next_packet: f64,
    packets: u64,
    waiting: VecDeque<f64>,
    stats: Stats,
    pub(super) intervals: Vec<RecordedInterval>,
}

impl Recorder {
    pub(super) fn new(queue: Queue) -> Self {
        let core = Core { name: "lane-0".to_owned(), ..Core::default() };
        let stage = Stage { name: "worker".to_owned(), ..Stage::default() };
        let core = Core { stages: vec![stage], ..core };
        let stats =
            Stats { cores: vec![core], services: vec![Service::default()], ..Stats::default() };
        Recorder {
            queue,
            random: Random::new(7),
            now: 0.0,
            next_packet: 0.0,
            packets: 0,
            waiting: VecDeque::new(),
            stats,
            intervals: Vec::new(),
        }
    }

    pub(super) fn record(&mut self, traffic: Traffic, intervals: usize) {
        for _ in 0..intervals {
            self.interval(traffic);
        }
    }

    /// Counts as of an engine that has just been started.
    pub(super) fn restart(&mut self) {
        let Recorder { stats, .. } = Recorder::new(self.queue);
        self.stats = stats;
    }

    fn interval(&mut self, traffic: Traffic) {
        let began = self.now;
        let end = began + INTERVAL_NS;
        let mut inside = Histogram::new(3).unwrap();
        while self.now < end {
            self.turn(traffic, &mut inside);
        }
        self.intervals.push(RecordedInterval {
            began: began / 1e9,
            ended: self.now / 1e9,
            histograms: [("inside", inside)].into_iter().collect(),
            stats: self.stats.clone(),
        });
    }

    fn turn(&mut self, traffic: Traffic, inside: &mut Histogram<u64>) {
        while self.next_packet <= self.now {
            self.waiting.push_back(self.next_packet);
            let chance = (self.random.below(1 << 30) + 1) as f64 / (1_u64 << 30) as f64;
            self.next_packet += -chance.ln() * 1e9 / traffic.rate;
        }
        let found = self.waiting.len().min(BURST) as u64;
        self.waiting.drain(..found as usize);
        let core = &mut self.stats.cores[0];
        core.turns += 1;
        if found == 0 {
            core.idle_s += EMPTY_NS / 1e9;
            self.now += EMPTY_NS;
            return;
        }
        let opened = (self.packets + found) / traffic.packets_per_connection
            - self.packets / traffic.packets_per_connection;
        self.packets += found;
        let Queue { turn, packet, connection } = self.queue;
        let took = turn + packet * found as f64 + connection * opened as f64;
        // No turn is quite like another.
        let took = took * (0.8 + 0.4 * self.random.below(1 << 20) as f64 / f64::from(1 << 20));
        core.busy_turns += 1;
        core.busy_s += took / 1e9;
        let stage = &mut core.stages[0];
        stage.packets += found;
        stage.sampled_packets += found;
        stage.sampled_s += took / 1e9;
        self.stats.ledger.received += found;
        let Service {
            connections: Connections { accepted, .. },
            bytes: Octets { to_client, .. },
            ..
        } = &mut self.stats.services[0];
        *accepted += opened;
        *to_client += found * traffic.octets_per_packet;
        inside.record_n(took as u64, found).unwrap();
        self.now += took;
    }
}

/// A turn that finds nothing.
const EMPTY_NS: f64 = 100.0;

/// Shorter than real ones: packets come in millions.
const INTERVAL_NS: f64 = 50e6;
