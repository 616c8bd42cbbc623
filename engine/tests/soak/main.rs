//! Soak: the engine on threads of its own, in both arrangements, between hosts that look at every octet.
//!
//! Elsewhere the stages turn one after another on one thread; here they run at once, and each is held
//! up now and then as by somebody else who has its core ([`threads`]). The hosts are those of the
//! simulation, by the clock on the wall ([`hosts`]). At the end of each shape every octet has arrived,
//! the counts of all threads agree with those of the hosts, and every frame is in a pool.
//!
//! `make soak` runs it for ten minutes and prints what it sees; `make test` for some seconds.

#![allow(clippy::print_stdout, reason = "somebody watches it for ten minutes")]

mod hosts;
mod threads;

use std::thread;
use std::time::Duration;

use ringroad_engine::stage::monotonic;
use ringroad_engine::telemetry::Snapshot;
use ringroad_engine::time::Instant;
use ringroad_simulation::appliance::rig::{assert_ended, seed};

use hosts::{Hosts, Tally};
use threads::{FRAMES, Shape, Threads};

const SHAPES: [Shape; 6] = [
    Shape::Lanes(1),
    Shape::Lanes(2),
    Shape::Lanes(3),
    Shape::Pipeline(1),
    Shape::Pipeline(2),
    Shape::Pipeline(3),
];

#[test]
fn every_octet_arrives_and_every_frame_comes_home() {
    let time = Duration::from_secs(soak_seconds()) / SHAPES.len() as u32;
    let mut sum = Tally::default();
    for (number, shape) in (0..).zip(SHAPES) {
        let tally = Soak::begin(shape, seed() ^ number << 32).last(time);
        sum.add(&tally);
    }
    println!("soak: {sum}; every octet right, every frame home, in {} shapes", SHAPES.len());
}

/// How long all of it takes, without what it takes to come to an end.
fn soak_seconds() -> u64 {
    let said = std::env::var("RINGROAD_SOAK_SECONDS").ok();
    said.map_or(12, |said| said.parse().expect("RINGROAD_SOAK_SECONDS is a number of seconds"))
}

/// One shape of the engine, at work.
struct Soak {
    shape: Shape,
    threads: Threads,
    hosts: Hosts,
    began: Instant,
    says_next: Instant,
}

impl Soak {
    fn begin(shape: Shape, seed: u64) -> Soak {
        let (threads, cables) = Threads::start(shape, seed);
        let began = monotonic();
        let hosts = Hosts::new(cables, seed);
        Soak { shape, threads, hosts, began, says_next: began + SAYS_EVERY }
    }

    /// Keeps it at work for so long, and has it come to its end. Returns what the hosts have seen.
    fn last(mut self, time: Duration) -> Tally {
        let until = self.began + time;
        while self.turn() < until {
            self.hosts.open(CONNECTIONS);
        }
        let late = monotonic() + ENDS_WITHIN;
        while !self.hosts.are_over() {
            assert!(self.turn() < late, "{}: not over: {}", self.shape, self.hosts.describe());
        }
        // What is owed to another goes home in time.
        loop {
            let count = self.threads.count();
            let at_home = count.frames.free == FRAMES as u64;
            if at_home && count.services[0].active == 0 && count.ledger.held == 0 {
                break;
            }
            assert!(self.turn() < late, "{}: not home: {:?}", self.shape, count.frames);
        }
        let count = self.threads.stop();
        self.compare(&count);
        println!("soak: {}: {}; {}", self.shape, self.hosts.tally, described(&count));
        self.hosts.tally
    }

    /// A moment of the hosts; returns when that was.
    fn turn(&mut self) -> Instant {
        let now = monotonic();
        if self.hosts.turn(now) == 0 {
            thread::sleep(Duration::from_micros(100));
        }
        if now >= self.says_next {
            self.says_next = now + SAYS_EVERY;
            let count = described(&self.threads.count());
            let since = (now - self.began).as_secs();
            println!("soak: {}, {since} s: {}; {count}", self.shape, self.hosts.tally);
        }
        now
    }

    /// What the engine has counted is what the hosts have seen.
    fn compare(&self, count: &Snapshot) {
        assert_ended(count);
        assert_eq!(count.frames.capacity, FRAMES as u64, "none is lost between two pools");
        let (ledger, service) = (&count.ledger, count.services[0]);
        assert_eq!(ledger.handed_over, ledger.taken_over);
        assert_eq!(ledger.handed_over > 0, matches!(self.shape, Shape::Lanes(2..)));
        let tally = self.hosts.tally;
        assert_eq!((service.accepted, service.refused), (tally.opened, 0));
        assert_eq!((service.fell_back, service.reclaimed), (0, 0));
        // Of what was cut short nobody knows how much was under way.
        let may_be = |whole| whole..=whole + tally.octets_cut_short;
        assert!(may_be(tally.octets_to_origins).contains(&service.to_origin_octets));
        assert!(may_be(tally.octets_to_clients).contains(&service.to_client_octets));
    }
}

fn described(count: &Snapshot) -> String {
    format!(
        "{} handed over, {} segments sent again, {} of {FRAMES} frames free",
        count.ledger.handed_over, count.services[0].segments_retransmitted, count.frames.free
    )
}

/// At a time.
const CONNECTIONS: usize = 64;

const SAYS_EVERY: Duration = Duration::from_secs(10);

/// What all that is open may take to come to its end, held up as everybody is.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
