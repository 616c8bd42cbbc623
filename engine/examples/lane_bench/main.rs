//! What the engine itself costs: a lane between two devices in memory, without a kernel.
//!
//!     cargo run --release -p ringroad-engine --example lane_bench
//!
//! All packets that the hosts on both sides send are built before the clock runs; within the
//! measured turns a packet is copied into a frame by the simulated device, goes through the whole
//! lane (receive, verify, look up, TCP, proxy, TCP, headers, send) and is copied out again. The
//! copies are the simulation's, in place of a NIC's DMA, and are also measured alone.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]
#![allow(unreachable_pub, reason = "modules of a program have no other public")]

mod hosts;
mod parts;

use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use hosts::{CLIENTS, Hosts, ORIGINS};
use parts::{FRAME_SIZE, FRAMES, NoOne, START, routes, worker_settings};
use ringroad_engine::flow::Owner;
use ringroad_engine::frame::{Burst, FramePool};
use ringroad_engine::limits::BURST;
use ringroad_engine::port::Port;
use ringroad_engine::port::sim::{Settings, SimPort};
use ringroad_engine::stage::{IdlePolicy, Lane, NoGate, Worker, mailbox};
use ringroad_engine::time::Instant;
use ringroad_simulation::appliance::packet::{ACK, FIN, PSH};

/// Flows that take turns, so that the caches see more than one.
const FLOWS: usize = 64;

/// A lane whose turns are on the clock.
struct Timed {
    lane: Lane<SimPort, NoGate, NoOne>,
    now: Instant,
    spent: Duration,
}

struct Bench {
    timed: Timed,
    hosts: Hosts,
    forwarded: u64,
}

impl Timed {
    fn turn(&mut self) {
        self.now += Duration::from_micros(20);
        let now = self.now;
        let start = Clock::now();
        black_box(self.lane.turn(&mut || now));
        self.spent += start.elapsed();
    }
}

impl Bench {
    fn new() -> Bench {
        let settings = worker_settings(Owner::default());
        let pool = FramePool::in_memory(FRAMES, FRAME_SIZE);
        let worker = Worker::new(settings, pool, routes(), START);
        let (client_port, client_cable) = SimPort::with_peer(Settings::default());
        let (origin_port, origin_cable) = SimPort::with_peer(Settings::default());
        let (_, mailbox) = mailbox().expect("an eventfd");
        let ports = vec![client_port, origin_port];
        let lane = Lane::new(worker, ports, NoGate, NoOne, mailbox, IdlePolicy::Spin);
        Bench {
            timed: Timed { lane, now: START, spent: Duration::ZERO },
            hosts: Hosts::new([client_cable, origin_cable]),
            forwarded: 0,
        }
    }

    /// Opens the `batch`th connections, as many as there are flows.
    fn open(&mut self, batch: u16) {
        let first = FIRST_PORT + batch * FLOWS as u16;
        let ports: Vec<u16> = (first..).take(FLOWS).collect();
        self.hosts.open(&ports, || self.timed.turn());
    }

    /// Every flow's end on one side says the same; then a turn; then all hear the answers.
    fn say(&mut self, side: usize, flags: u8, payload: &[u8]) {
        let packets = self.hosts.packets(side, flags, payload);
        self.hosts.send(side, &packets);
        self.timed.turn();
        self.hosts.hear();
    }

    /// Payload from one side, then the other side's acknowledgments.
    fn stream(&mut self, from: usize, payload: &[u8]) {
        self.say(from, ACK | PSH, payload);
        self.say(1 - from, ACK, &[]);
    }

    /// Every client asks, every origin answers; acknowledgments ride.
    fn exchange(&mut self, request: &[u8], response: &[u8]) {
        self.say(CLIENTS, ACK | PSH, request);
        self.say(ORIGINS, ACK | PSH, response);
    }

    /// Connections from SYN to the last FIN, one request and response on each.
    fn connections(&mut self, batch: u16, request: &[u8], response: &[u8]) {
        self.open(batch);
        self.exchange(request, response);
        self.say(CLIENTS, ACK | FIN, &[]);
        self.say(ORIGINS, ACK | FIN, &[]);
        self.say(CLIENTS, ACK, &[]);
        assert_eq!(self.timed.lane.worker().active(), 0, "all have closed");
    }

    /// Starts the clock after what was done to warm up.
    fn start(&mut self) {
        self.timed.spent = Duration::ZERO;
        self.forwarded = self.timed.lane.worker().ledger().forwarded;
    }

    /// Prints what each of `count` cost; each has had `packets` of payload forwarded.
    fn report(&self, what: &str, count: u64, packets: u64, devices: f64) {
        let forwarded = self.timed.lane.worker().ledger().forwarded - self.forwarded;
        assert_eq!(forwarded, count * packets, "packets of payload that went through");
        let each = self.timed.spent.as_nanos() as f64 / count as f64;
        println!("{what:<52} {each:>9.0} {:>9.0} {devices:>9.0}", each - devices);
    }
}

/// What a packet of `len` octets costs in the simulated devices alone: in by one, out by the other.
fn device_nanos(len: usize) -> f64 {
    let mut pool = FramePool::in_memory(1024, 2048);
    let (mut port, mut cable) = SimPort::with_peer(Settings::default());
    let packet = vec![0x5a; len];
    let mut spent = Duration::ZERO;
    const ROUNDS: u32 = 20_000;
    for _ in 0..ROUNDS {
        (0..BURST).for_each(|_| cable.send(&packet));
        let start = Clock::now();
        let mut burst = Burst::new();
        port.rx_burst(&mut pool, &mut burst);
        port.tx_burst(&mut pool, &mut burst);
        port.flush(&mut pool);
        spent += start.elapsed();
        while let Some(packet) = cable.receive() {
            cable.recycle(packet);
        }
    }
    spent.as_nanos() as f64 / f64::from(ROUNDS) / BURST as f64
}

fn main() {
    const ROUNDS: u64 = 5_000;
    const EACH: u64 = ROUNDS * FLOWS as u64;
    let (ack, small, full) = (device_nanos(66), device_nanos(266), device_nanos(1514));
    println!("{:<52} {:>9} {:>9} {:>9}", "[ns each]", "all", "engine", "devices");

    for (from, what) in [(CLIENTS, "to the origin"), (ORIGINS, "to the client")] {
        for (payload, devices) in [(vec![1; 1448], full), (vec![1; 200], small)] {
            let mut bench = Bench::new();
            bench.open(0);
            (0..200).for_each(|_| bench.stream(from, &payload));
            bench.start();
            (0..ROUNDS).for_each(|_| bench.stream(from, &payload));
            let what = format!("{} octets {what}, with its ACKs", payload.len());
            bench.report(&what, EACH, 1, devices + ack);
        }
    }

    let mut bench = Bench::new();
    bench.open(0);
    let (request, response) = ([1; 200], [2; 1200]);
    (0..200).for_each(|_| bench.exchange(&request, &response));
    bench.start();
    (0..ROUNDS).for_each(|_| bench.exchange(&request, &response));
    bench.report("request and response", EACH, 2, small + full);

    let mut bench = Bench::new();
    (0..100).for_each(|n| bench.connections(n, &request, &response));
    bench.start();
    (100..700).for_each(|n| bench.connections(n, &request, &response));
    let devices = small + full + 6.0 * ack;
    bench.report("connection with a request and its response", 600 * FLOWS as u64, 2, devices);

    let mut bench = Bench::new();
    (0..1_000_000).for_each(|_| bench.timed.turn());
    bench.report("a turn that finds nothing", 1_000_000, 0, 0.0);
}

const FIRST_PORT: u16 = 1024;
