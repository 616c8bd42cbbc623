//! Connections that do nothing, in a lane between two devices in memory: what they take, and what it
//! costs to wake one.

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant as Clock};

use ringroad_ebpf::{FingerprintKey, KnownFlows};
use ringroad_engine::flow::Owner;
use ringroad_engine::frame::FramePool;
use ringroad_engine::kernel::{Neighbour, NextHop, SimulatedHost};
use ringroad_engine::limits::{BURST, DELAYED_ACK, DORMANT_AFTER};
use ringroad_engine::port::sim::{Settings, SimPeer, SimPort};
use ringroad_engine::proxy::{Fallback, OriginSettings, ServiceSettings};
use ringroad_engine::stage::{
    IdlePolicy, Lane, Neighbours, NoGate, PortIdentity, Worker, WorkerSettings, flows_for, mailbox,
};
use ringroad_engine::tcp::LegSettings;
use ringroad_engine::time::Instant;
use ringroad_engine::wire::ethernet::MacAddr;

use crate::leg::median;
use ringroad_simulation::appliance::packet::{ACK, Link, Options, PSH, SYN, Segment, Tags};

/// What was measured.
pub struct Costs {
    pub connections: usize,
    /// Resident memory that each took.
    pub octets_each: usize,
    /// To find that a pair is quiet, and to let it sleep.
    pub sleep_nanos: f64,
    /// A segment of a few octets through the lane, on a pair that is awake.
    pub awake_nanos: f64,
    /// The same on one that sleeps.
    pub woken_nanos: f64,
}

/// Measures with a hundred thousand, against as good as none.
pub fn measure() -> Costs {
    const FEW: usize = 1_000;
    const MANY: usize = 101_000;
    let [few, many] = [FEW, MANY].map(|connections| {
        let mut ends = Ends::new(connections);
        let before = resident_octets();
        let mut edge = Edge::new(connections);
        edge.open(&mut ends);
        let taken = resident_octets() - before;
        (taken, ends, edge)
    });
    let octets_each = (many.0 - few.0) / (MANY - FEW);
    let (_, mut ends, mut edge) = many;
    let mut samples: [Vec<f64>; 3] = Default::default();
    for run in 0..5 {
        // Others each time, so that none is in the cache.
        let flows = run * SPEAKING..(run + 1) * SPEAKING;
        let woken = edge.speak(&mut ends, flows.clone());
        let awake = edge.speak(&mut ends, flows);
        edge.calm_down(&mut ends);
        let slept = edge.fall_asleep(MANY);
        [slept, awake, woken].iter().zip(&mut samples).for_each(|(nanos, all)| all.push(*nanos));
    }
    let [sleep_nanos, awake_nanos, woken_nanos] = samples.map(median);
    Costs { connections: MANY - FEW, octets_each, sleep_nanos, awake_nanos, woken_nanos }
}

const CLIENTS: usize = 0;
const ORIGINS: usize = 1;
const OURS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const THEIRS: [[u8; 6]; 2] = [[2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]];

/// Hosts on each side: enough that there are ports for all.
const HOSTS: usize = 4;
const FIRST_PORT: u16 = 10_000;
const PORTS: usize = 50_000;

/// Connections that are opened at a time, and those that are made to speak.
const BATCH: usize = 500;
const SPEAKING: usize = 4096;

/// The hosts' ends of all connections: just the numbers that their next segments carry.
struct Ends {
    /// By connection: of its client and its origin.
    numbers: Vec<[Numbers; 2]>,
    /// By origin and egress port: the connection.
    by_port: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Numbers {
    /// The other end, as this one sees it: for an origin, our egress port.
    port: u16,
    host: u16,
    seq: u32,
    ack: u32,
    echo: u32,
}

impl Ends {
    /// Takes and touches all memory at once.
    fn new(connections: usize) -> Ends {
        let numbers = (0..connections).map(|connection| {
            let client = Numbers {
                port: FIRST_PORT + (connection / HOSTS) as u16,
                host: (connection % HOSTS) as u16,
                seq: 1000,
                ack: 0,
                echo: 0,
            };
            [client, Numbers { seq: 2000, ..client }]
        });
        Ends { numbers: numbers.collect(), by_port: vec![u32::MAX; HOSTS * (1 << 16)] }
    }

    /// The next segment of one end, and moves on.
    fn say(&mut self, side: usize, connection: usize, flags: u8, payload: &[u8]) -> Vec<u8> {
        let end = &mut self.numbers[connection][side];
        let opens = flags & SYN != 0;
        let (source, destination) = match side {
            CLIENTS => (SocketAddr::new(host(side, end.host), end.port), service()),
            _ => (
                SocketAddr::new(host(side, end.host), 8080),
                SocketAddr::new([10, 1, 0, 1].into(), end.port),
            ),
        };
        let segment = Segment {
            link: Link { source: THEIRS[side], destination: OURS[side], tags: Tags::default() },
            source,
            destination,
            seq: end.seq,
            ack: end.ack,
            flags,
            window: 60_000,
            options: Options {
                mss: opens.then_some(1460),
                scale: opens.then_some(7),
                sack_permitted: opens,
                timestamps: Some((1, end.echo)),
                ..Options::default()
            },
            payload: payload.to_vec(),
        };
        end.seq = end.seq.wrapping_add(segment.sequence_len());
        segment.build()
    }

    /// One end hears what the engine has sent; says which connection's.
    fn hear(&mut self, side: usize, segment: &Segment) -> usize {
        let number = |address: IpAddr| match address {
            IpAddr::V4(v4) => usize::from(v4.octets()[3]) - 2,
            IpAddr::V6(_) => unreachable!("IPv4 only"),
        };
        let host = number(segment.destination.ip());
        let connection = match side {
            CLIENTS => usize::from(segment.destination.port() - FIRST_PORT) * HOSTS + host,
            _ => self.by_port[host << 16 | usize::from(segment.source.port())] as usize,
        };
        let end = &mut self.numbers[connection][side];
        end.ack = segment.seq.wrapping_add(segment.sequence_len());
        end.echo = segment.options.timestamps.map_or(0, |(value, _)| value);
        connection
    }
}

fn host(side: usize, number: u16) -> IpAddr {
    [10, side as u8, 0, number as u8 + 2].into()
}

fn service() -> SocketAddr {
    SocketAddr::new([10, 0, 0, 1].into(), 80)
}

struct NoOne;

impl Neighbours for NoOne {
    fn resolve(&mut self, _next_hop: NextHop) {}

    fn in_use(&mut self, _next_hop: NextHop) {}
}

struct Edge {
    lane: Lane<SimPort, NoGate, NoOne>,
    cables: [SimPeer; 2],
    now: Instant,
}

impl Edge {
    fn new(connections: usize) -> Edge {
        let mut linux = SimulatedHost::new();
        for side in [CLIENTS, ORIGINS] {
            let ifindex = side as u32 + 1;
            linux.link(ifindex, MacAddr(OURS[side]), 1500).route(
                ([10, side as u8, 0, 0].into(), 24),
                ifindex,
                None,
            );
            for number in 0..HOSTS {
                let address = host(side, number as u16);
                linux.neighbour(
                    NextHop { ifindex, address },
                    Neighbour::Resolved(MacAddr(THEIRS[side])),
                );
            }
        }
        let origin = |number| OriginSettings {
            address: SocketAddr::new(host(ORIGINS, number), 8080),
            egress_port: 1,
            egress_address: [10, 1, 0, 1].into(),
            source_ports: FIRST_PORT..=FIRST_PORT + PORTS as u16 - 1,
        };
        let service = ServiceSettings {
            name: "idle".to_owned(),
            listen: vec![service()],
            port: 0,
            origins: (0..HOSTS as u16).map(origin).collect(),
            client_leg: LegSettings::default(),
            origin_leg: LegSettings::default(),
            proxy_protocol: None,
            max_connections: connections as u32,
            fallback: Fallback::Reset,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(24 * 3600),
        };
        let now = Instant::from_millis(1000);
        let key = FingerprintKey::new(b"the quick brown fox jumps over the lazy dog, ok.");
        let services = vec![service];
        let settings = WorkerSettings {
            ports: (1..=2)
                .map(|ifindex| PortIdentity { ifindex, mtu: 1500, verified: false })
                .collect(),
            known_flows: Some(KnownFlows::new(&[1, 2], flows_for(&services), key)),
            services,
            proven_sources: None,
            secret: *b"not much of one.",
            owner: Owner::default(),
            records: true,
        };
        let pool = FramePool::in_memory(16_384, 2048);
        let worker = Worker::new(settings, pool, linux.snapshot(), now);
        let (client_port, client_cable) = SimPort::with_peer(Settings::default());
        let (origin_port, origin_cable) = SimPort::with_peer(Settings::default());
        let (_, mailbox) = mailbox().expect("an eventfd");
        let ports = vec![client_port, origin_port];
        let lane = Lane::new(worker, ports, NoGate, NoOne, mailbox, IdlePolicy::Spin);
        Edge { lane, cables: [client_cable, origin_cable], now }
    }

    /// Opens all connections, with a request and its response on each, few at a time so that those
    /// before fall asleep; and waits until all do.
    fn open(&mut self, ends: &mut Ends) {
        let connections = ends.numbers.len();
        for from in (0..connections).step_by(BATCH) {
            let batch = || from..(from + BATCH).min(connections);
            self.say(ends, CLIENTS, batch(), SYN, &[]);
            self.say(ends, CLIENTS, batch(), ACK, &[]);
            self.say(ends, ORIGINS, batch(), SYN | ACK, &[]);
            self.say(ends, CLIENTS, batch(), ACK | PSH, &[1; 200]);
            self.say(ends, ORIGINS, batch(), ACK | PSH, &[2; 1200]);
            self.say(ends, CLIENTS, batch(), ACK, &[]);
            self.now += 2 * DORMANT_AFTER / 5;
            self.calm_down(ends);
        }
        self.fall_asleep(connections);
    }

    /// The last acknowledgments, which were delayed, and what else is due.
    fn calm_down(&mut self, ends: &mut Ends) {
        for _ in 0..10 {
            self.now += DELAYED_ACK;
            self.turn();
            self.hear_all(ends, None);
        }
    }

    /// Lets time pass until so many sleep; returns what that cost for each that fell asleep [ns].
    fn fall_asleep(&mut self, connections: usize) -> f64 {
        let mut samples = vec![0.0];
        self.now += DORMANT_AFTER;
        while self.lane.worker().asleep() < connections {
            let before = self.lane.worker().asleep();
            let spent = self.turn();
            let slept = self.lane.worker().asleep() - before;
            if slept > 0 {
                samples.push(spent.as_nanos() as f64 / slept as f64);
            }
            self.now += DELAYED_ACK;
            assert_eq!(self.lane.worker().active(), connections);
        }
        median(samples)
    }

    /// These clients send a few octets, a burst of them in each turn, which the origins acknowledge.
    /// Returns what each cost the lane on its way to the origin [ns].
    fn speak(&mut self, ends: &mut Ends, flows: std::ops::Range<usize>) -> f64 {
        let mut samples = Vec::new();
        for from in flows.step_by(BURST) {
            for connection in from..from + BURST {
                let packet = ends.say(CLIENTS, connection, ACK | PSH, &[3; 10]);
                self.cables[CLIENTS].send(&packet);
            }
            samples.push(self.turn().as_nanos() as f64 / BURST as f64);
            self.hear_all(ends, None);
            self.say(ends, ORIGINS, from..from + BURST, ACK, &[]);
        }
        median(samples)
    }

    fn say(
        &mut self,
        ends: &mut Ends,
        side: usize,
        connections: std::ops::Range<usize>,
        flags: u8,
        payload: &[u8],
    ) {
        for connection in connections.clone() {
            let packet = ends.say(side, connection, flags, payload);
            self.cables[side].send(&packet);
        }
        for _ in 0..connections.len().div_ceil(BURST) {
            self.turn();
        }
        self.hear_all(ends, Some(connections));
    }

    /// A turn of the lane, timed.
    fn turn(&mut self) -> Duration {
        self.now += Duration::from_micros(20);
        let now = self.now;
        let start = Clock::now();
        black_box(self.lane.turn(&mut || now));
        start.elapsed()
    }

    /// Both sides hear what was sent. A SYN for an origin is of the next of `opening`.
    fn hear_all(&mut self, ends: &mut Ends, opening: Option<std::ops::Range<usize>>) {
        let mut opening = opening.into_iter().flatten();
        for side in [CLIENTS, ORIGINS] {
            while let Some(packet) = self.cables[side].receive() {
                let segment = Segment::parse(&packet).expect("a sound packet");
                self.cables[side].recycle(packet);
                if side == ORIGINS && segment.flags & SYN != 0 {
                    let connection = opening.next().expect("a SYN for each that opens");
                    let IpAddr::V4(origin) = segment.destination.ip() else { unreachable!() };
                    let host = u16::from(origin.octets()[3]) - 2;
                    let end = &mut ends.numbers[connection][ORIGINS];
                    (end.host, end.port) = (host, segment.source.port());
                    let at = usize::from(host) << 16 | usize::from(end.port);
                    ends.by_port[at] = connection as u32;
                }
                ends.hear(side, &segment);
            }
        }
    }
}

/// What this process has in memory [octets].
fn resident_octets() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}
