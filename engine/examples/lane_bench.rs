//! What the engine itself costs: a lane between two devices in memory, without a kernel.
//!
//!     cargo run --release -p ringroad-engine --example lane_bench
//!
//! All packets that the hosts on both sides send are built before the clock runs; within the
//! measured turns a packet is copied into a frame by the simulated device, goes through the whole
//! lane (receive, verify, look up, TCP, proxy, TCP, headers, send) and is copied out again. The
//! copies are the simulation's, in place of a NIC's DMA, and are also measured alone.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant as Clock};

use ringroad_engine::flow::Owner;
use ringroad_engine::frame::{Burst, FramePool};
use ringroad_engine::kernel::{Neighbour, NextHop, SimulatedHost};
use ringroad_engine::limits::BURST;
use ringroad_engine::port::Port;
use ringroad_engine::port::sim::{Settings, SimPeer, SimPort};
use ringroad_engine::proxy::{Fallback, OriginSettings, ServiceSettings};
use ringroad_engine::stage::{
    IdlePolicy, Lane, Neighbours, NoGate, PortIdentity, Worker, WorkerSettings, mailbox,
};
use ringroad_engine::tcp::LegSettings;
use ringroad_engine::time::Instant;
use ringroad_engine::wire::ethernet::MacAddr;
use ringroad_simulation::appliance::packet::{ACK, FIN, Link, Options, PSH, SYN, Segment, Tags};

const CLIENTS: usize = 0;
const ORIGINS: usize = 1;
const OURS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const THEIRS: [[u8; 6]; 2] = [[2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]];

/// Flows that take turns, so that the caches see more than one.
const FLOWS: usize = 64;

struct NoOne;

impl Neighbours for NoOne {
    fn resolve(&mut self, _next_hop: NextHop) {}

    fn in_use(&mut self, _next_hop: NextHop) {}
}

/// One end of a connection: just the numbers that its next segment carries.
#[derive(Clone)]
struct End {
    template: Segment,
}

impl End {
    fn is_named_by(&self, segment: &Segment) -> bool {
        (segment.source, segment.destination) == (self.template.destination, self.template.source)
    }

    /// Reads what the engine has sent to this end.
    fn hear(&mut self, segment: &Segment) {
        self.template.ack = segment.seq.wrapping_add(segment.sequence_len());
        if let (Some((_, echo)), Some((value, _))) =
            (&mut self.template.options.timestamps, segment.options.timestamps)
        {
            *echo = value;
        }
    }

    /// The next segment, and moves on.
    fn say(&mut self, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut segment = self.template.clone();
        segment.flags = flags;
        segment.payload = payload.to_vec();
        self.template.seq = segment.seq.wrapping_add(segment.sequence_len());
        segment.build()
    }
}

struct Bench {
    lane: Lane<SimPort, NoGate, NoOne>,
    cables: [SimPeer; 2],
    now: Instant,
    /// Client and origin of each flow.
    flows: Vec<[End; 2]>,
    /// What came for nobody that is known: SYNs for the origin.
    unknown: Vec<Segment>,
    spent: Duration,
    forwarded: u64,
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

impl Bench {
    fn new() -> Bench {
        let ip = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let mut linux = SimulatedHost::new();
        for (side, prefix, host) in
            [(CLIENTS, "10.0.0.0", "10.0.0.2"), (ORIGINS, "10.1.0.0", "10.1.0.2")]
        {
            let ifindex = side as u32 + 1;
            linux
                .link(ifindex, MacAddr(OURS[side]), 1500)
                .route((ip(prefix), 24), ifindex, None)
                .neighbour(
                    NextHop { ifindex, address: ip(host) },
                    Neighbour::Resolved(MacAddr(THEIRS[side])),
                );
        }
        let service = ServiceSettings {
            name: "bench".to_owned(),
            listen: vec![address("10.0.0.1:80")],
            port: 0,
            origins: vec![OriginSettings {
                address: address("10.1.0.2:8080"),
                egress_port: 1,
                egress_address: ip("10.1.0.1"),
                source_ports: 10_000..=60_000,
            }],
            client_leg: LegSettings::default(),
            origin_leg: LegSettings::default(),
            proxy_protocol: None,
            max_connections: 10_000,
            fallback: Fallback::Reset,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(600),
        };
        let now = Instant::from_millis(1000);
        let settings = WorkerSettings {
            ports: (1..=2)
                .map(|ifindex| PortIdentity { ifindex, mtu: 1500, verified: false })
                .collect(),
            services: vec![service],
            known_flows: None,
            proven_sources: None,
            secret: *b"not much of one.",
            owner: Owner::default(),
        };
        let worker =
            Worker::new(settings, FramePool::in_memory(16_384, 2048), linux.snapshot(), now);
        let (client_port, client_cable) = SimPort::with_peer(Settings::default());
        let (origin_port, origin_cable) = SimPort::with_peer(Settings::default());
        let (_, mailbox) = mailbox().expect("an eventfd");
        let ports = vec![client_port, origin_port];
        let lane = Lane::new(worker, ports, NoGate, NoOne, mailbox, IdlePolicy::Spin);
        Bench {
            lane,
            cables: [client_cable, origin_cable],
            now,
            flows: Vec::new(),
            unknown: Vec::new(),
            spent: Duration::ZERO,
            forwarded: 0,
        }
    }

    /// A turn of the lane, on the clock.
    fn turn(&mut self) {
        self.now += Duration::from_micros(20);
        let now = self.now;
        let start = Clock::now();
        black_box(self.lane.turn(&mut || now));
        self.spent += start.elapsed();
    }

    /// Opens a connection from each of `ports` through the lane, all at a time.
    fn open(&mut self, ports: std::ops::Range<u16>) {
        let service = address("10.0.0.1:80");
        self.flows = ports
            .map(|port| {
                let client = SocketAddr::new([10, 0, 0, 2].into(), port);
                // Who the origin talks to is known when its SYN has come.
                [end(CLIENTS, client, service, 1000), end(ORIGINS, service, service, 2000)]
            })
            .collect();
        self.say(CLIENTS, SYN, &[]);
        self.flows.iter_mut().for_each(|flow| established(&mut flow[CLIENTS]));
        self.say(CLIENTS, ACK, &[]);
        let syns = std::mem::take(&mut self.unknown);
        assert_eq!(syns.len(), self.flows.len(), "a SYN for the origin from each");
        for (flow, syn) in self.flows.iter_mut().zip(syns) {
            let origin = &mut flow[ORIGINS];
            (origin.template.source, origin.template.destination) = (syn.destination, syn.source);
            origin.hear(&syn);
        }
        self.say(ORIGINS, SYN | ACK, &[]);
        self.flows.iter_mut().for_each(|flow| established(&mut flow[ORIGINS]));
    }

    /// Every flow's end on one side says the same; then a turn; then all hear the answers.
    fn say(&mut self, side: usize, flags: u8, payload: &[u8]) {
        let packets: Vec<Vec<u8>> =
            self.flows.iter_mut().map(|flow| flow[side].say(flags, payload)).collect();
        packets.iter().for_each(|packet| self.cables[side].send(packet));
        self.turn();
        self.hear_all();
    }

    fn hear_all(&mut self) {
        for side in [CLIENTS, ORIGINS] {
            while let Some(packet) = self.cables[side].receive() {
                let segment = Segment::parse(&packet).expect("a sound packet");
                self.cables[side].recycle(packet);
                let is_for = |flow: &&mut [End; 2]| flow[side].is_named_by(&segment);
                match self.flows.iter_mut().find(is_for) {
                    Some(flow) => flow[side].hear(&segment),
                    None => self.unknown.push(segment),
                }
            }
        }
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
    fn connections(&mut self, ports: std::ops::Range<u16>, request: &[u8], response: &[u8]) {
        self.open(ports);
        self.exchange(request, response);
        self.say(CLIENTS, ACK | FIN, &[]);
        self.say(ORIGINS, ACK | FIN, &[]);
        self.say(CLIENTS, ACK, &[]);
        assert_eq!(self.lane.worker().active(), 0, "all have closed");
    }

    /// Starts the clock after what was done to warm up.
    fn start(&mut self) {
        self.spent = Duration::ZERO;
        self.forwarded = self.lane.worker().ledger().forwarded;
    }

    /// Prints what each of `count` cost; each has had `packets` of payload forwarded.
    fn report(&self, what: &str, count: u64, packets: u64, devices: f64) {
        let forwarded = self.lane.worker().ledger().forwarded - self.forwarded;
        assert_eq!(forwarded, count * packets, "packets of payload that went through");
        let each = self.spent.as_nanos() as f64 / count as f64;
        println!("{what:<52} {each:>9.0} {:>9.0} {devices:>9.0}", each - devices);
    }
}

fn end(side: usize, source: SocketAddr, destination: SocketAddr, seq: u32) -> End {
    let options = Options {
        mss: Some(1460),
        scale: Some(7),
        sack_permitted: true,
        timestamps: Some((1, 0)),
        ..Options::default()
    };
    End {
        template: Segment {
            link: Link { source: THEIRS[side], destination: OURS[side], tags: Tags::default() },
            source,
            destination,
            seq,
            ack: 0,
            flags: SYN,
            window: 60_000,
            options,
            payload: Vec::new(),
        },
    }
}

/// What belongs on a SYN comes off.
fn established(end: &mut End) {
    let options = &mut end.template.options;
    (options.mss, options.scale, options.sack_permitted) = (None, None, false);
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
            bench.open(FIRST_PORT..FIRST_PORT + FLOWS as u16);
            (0..200).for_each(|_| bench.stream(from, &payload));
            bench.start();
            (0..ROUNDS).for_each(|_| bench.stream(from, &payload));
            let what = format!("{} octets {what}, with its ACKs", payload.len());
            bench.report(&what, EACH, 1, devices + ack);
        }
    }

    let mut bench = Bench::new();
    bench.open(FIRST_PORT..FIRST_PORT + FLOWS as u16);
    let (request, response) = ([1; 200], [2; 1200]);
    (0..200).for_each(|_| bench.exchange(&request, &response));
    bench.start();
    (0..ROUNDS).for_each(|_| bench.exchange(&request, &response));
    bench.report("request and response", EACH, 2, small + full);

    let mut bench = Bench::new();
    let batch = |n: u16| FIRST_PORT + n * FLOWS as u16..FIRST_PORT + (n + 1) * FLOWS as u16;
    (0..100).for_each(|n| bench.connections(batch(n), &request, &response));
    bench.start();
    (100..700).for_each(|n| bench.connections(batch(n), &request, &response));
    let devices = small + full + 6.0 * ack;
    bench.report("connection with a request and its response", 600 * FLOWS as u64, 2, devices);

    let mut bench = Bench::new();
    (0..1_000_000).for_each(|_| bench.turn());
    bench.report("a turn that finds nothing", 1_000_000, 0, 0.0);
}

const FIRST_PORT: u16 = 1024;
