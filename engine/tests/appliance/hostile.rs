//! Arbitrary frames to a worker: whatever arrives, in whatever order, it does not panic, and after
//! every burst it can say what became of each frame.
//!
//! Hosts here have no TCP at all. They know the numbers that the engine used last, and make
//! segments near them: some are right, so that connections open, carry and close; most are not.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use ringroad_ebpf::KnownFlows;
use ringroad_engine::flow::Owner;
use ringroad_engine::frame::{Burst, Frame, FramePool};
use ringroad_engine::kernel::NextHop;
use ringroad_engine::limits::{BURST, COOKIE_PERIOD, TIME_WAIT};
use ringroad_engine::proxy::cookie_service;
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::{Outlet, PortIdentity, Worker, WorkerSettings};
use ringroad_engine::tcp::LegSettings;
use ringroad_engine::time::Instant;

use crate::cookies::CookieShield;
use crate::packet::{self, ACK, FIN, Link, Options, PSH, RST, SYN, Segment};
use crate::rig::{CLIENTS, IFINDEX, ORIGINS, OURS, Plan, THEIRS, linux, ms, origin, service};

/// What happens next.
#[derive(Clone, Debug)]
enum Op {
    /// A client opens, with some options.
    Syn {
        client: u8,
        options: u8,
    },
    /// The first segment of a client whose SYN was answered by a cookie, some with payload or FIN.
    Proof {
        client: u8,
        options: u8,
        len: u16,
    },
    /// Cookies are taken from now on; those of other periods no longer.
    Keys {
        period: u8,
    },
    /// A segment of a flow that the engine has sent to, off by `seq` and `ack` from what it expects.
    Segment {
        flow: u8,
        flags: u8,
        seq: i32,
        ack: i32,
        len: u16,
        window: u16,
    },
    /// What the flow's host would answer, as far as it takes no memory to know.
    Answer {
        flow: u8,
        len: u16,
    },
    /// An earlier packet, changed in a few places.
    Mutated {
        packet: u8,
        changes: Vec<(u16, u8)>,
        cut: u16,
        right_checksums: bool,
    },
    /// An earlier packet once more, perhaps by the other port.
    Again {
        packet: u8,
        port: bool,
    },
    /// What the engine itself has sent.
    Reflected {
        flow: u8,
    },
    /// A router's complaint about the last packet of a flow.
    TooBig {
        flow: u8,
        mtu: u16,
    },
    Noise(Vec<u8>),
    /// The device takes no more for now, or takes again.
    Room(bool),
    /// The worker turns, after so long.
    Turn {
        millis: u32,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let near = prop_oneof![4 => Just(0), 2 => -3000..3000, 1 => any::<i32>()];
    let flags = prop_oneof![
        Just(ACK),
        Just(ACK | PSH),
        Just(ACK | FIN),
        Just(RST),
        Just(RST | ACK),
        Just(SYN | ACK),
        Just(SYN),
        any::<u8>()
    ];
    prop_oneof![
        3 => (any::<u8>(), any::<u8>()).prop_map(|(client, options)| Op::Syn { client, options }),
        3 => (any::<u8>(), any::<u8>(), 0..1460u16)
            .prop_map(|(client, options, len)| Op::Proof { client, options, len }),
        1 => (0..3u8).prop_map(|period| Op::Keys { period }),
        6 => (any::<u8>(), flags, near.clone(), near, 0..1460u16, any::<u16>()).prop_map(
            |(flow, flags, seq, ack, len, window)| Op::Segment { flow, flags, seq, ack, len, window }
        ),
        8 => (any::<u8>(), 0..1460u16).prop_map(|(flow, len)| Op::Answer { flow, len }),
        3 => (any::<u8>(), vec((any::<u16>(), any::<u8>()), 0..6), any::<u16>(), any::<bool>())
            .prop_map(|(packet, changes, cut, right_checksums)| {
                Op::Mutated { packet, changes, cut, right_checksums }
            }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(packet, port)| Op::Again { packet, port }),
        1 => any::<u8>().prop_map(|flow| Op::Reflected { flow }),
        1 => (any::<u8>(), any::<u16>()).prop_map(|(flow, mtu)| Op::TooBig { flow, mtu }),
        1 => vec(any::<u8>(), 0..100).prop_map(Op::Noise),
        1 => any::<bool>().prop_map(Op::Room),
        6 => prop_oneof![4 => 0..5u32, 2 => 5..2000u32, 1 => 2000..100_000u32]
            .prop_map(|millis| Op::Turn { millis }),
    ]
}

/// What the engine has told a flow's host.
#[derive(Clone, Debug)]
struct Flow {
    last: Segment,
    /// What the engine expects of the host next.
    expects: u32,
    /// Behind the last that the engine has sent.
    sent_to: u32,
    port: u8,
}

/// A worker between two bursts.
struct Bench {
    worker: Worker,
    out: Device,
    now: Instant,
    bursts: [Burst; 2],
    known_flows: KnownFlows,
    flows: BTreeMap<(SocketAddr, SocketAddr), Flow>,
    /// What was sent to the worker, and by which port.
    sent: Vec<(u8, Vec<u8>)>,
}

/// Where the worker's packets go: they are read and freed.
struct Device {
    has_room: bool,
    packets: Vec<(u8, Vec<u8>)>,
}

impl Outlet for Device {
    fn has_room(&mut self, _pool: &mut FramePool, _port: u8) -> bool {
        self.has_room
    }

    fn send(&mut self, pool: &mut FramePool, port: u8, packet: Frame) {
        self.packets.push((port, pool.bytes(&packet).to_vec()));
        pool.free(packet);
    }

    fn resolve(&mut self, _next_hop: NextHop) {}

    fn in_use(&mut self, _next_hop: NextHop) {}
}

impl Bench {
    fn new() -> Bench {
        let mut plan = Plan::new(0).origins(2);
        plan.service.max_connections = 8;
        plan.service.origins[1].source_ports = 30_000..=30_001;
        let now = Instant::from_millis(1000);
        let mut linux = linux(&plan);
        let settings = WorkerSettings {
            ports: IFINDEX
                .map(|ifindex| PortIdentity { ifindex, mtu: 1500, verified: false })
                .to_vec(),
            services: vec![plan.service],
            known_flows: Some(plan.known_flows.clone()),
            proven_sources: None,
            secret: [7; 16],
            owner: Owner::default(),
            records: true,
        };
        let mut pool = FramePool::in_memory(160, 2048);
        pool.add_device_reserve(16);
        Bench {
            worker: Worker::new(settings, pool, linux.snapshot(), now),
            known_flows: plan.known_flows,
            out: Device { has_room: true, packets: Vec::new() },
            now,
            bursts: [Burst::new(), Burst::new()],
            flows: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    fn flow(&self, number: u8) -> Option<&Flow> {
        self.flows.values().nth(usize::from(number) % self.flows.len().max(1))
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Syn { client, options } => self.arrive(CLIENTS as u8, syn(client, options).build()),
            Op::Proof { client, options, len } => {
                self.arrive(CLIENTS as u8, proof(client, options, len).build());
            }
            Op::Keys { period } => self.worker.set_cookie_keys(keys(period)),
            Op::Segment { flow, flags, seq, ack, len, window } => {
                let Some(flow) = self.flow(flow) else { return };
                let mut segment = flow.answer(flags, len);
                segment.seq = segment.seq.wrapping_add_signed(seq);
                segment.ack = segment.ack.wrapping_add_signed(ack);
                segment.window = window;
                self.arrive(flow.port, segment.build());
            }
            Op::Answer { flow, len } => {
                let Some(flow) = self.flow(flow) else { return };
                let opens = flow.last.has(SYN) && !flow.last.has(ACK);
                let segment = match opens {
                    true => flow.answer(SYN | ACK, 0),
                    false => flow.answer(if flow.last.has(FIN) { ACK | FIN } else { ACK }, len),
                };
                self.arrive(flow.port, segment.build());
            }
            Op::Mutated { packet, changes, cut, right_checksums } => {
                let Some((port, mut packet)) = self.earlier(packet) else { return };
                for (at, value) in changes {
                    let at = usize::from(at) % packet.len();
                    packet[at] ^= value;
                }
                if cut % 4 == 0 {
                    packet.truncate(usize::from(cut / 4) % packet.len());
                }
                if right_checksums {
                    packet::fix_checksums(&mut packet);
                }
                self.arrive(port, packet);
            }
            Op::Again { packet, port } => {
                let Some((came_by, packet)) = self.earlier(packet) else { return };
                self.arrive(if port { 1 - came_by } else { came_by }, packet);
            }
            Op::Reflected { flow } => {
                let Some(flow) = self.flow(flow) else { return };
                self.arrive(flow.port, flow.last.build());
            }
            Op::TooBig { flow, mtu } => {
                let Some(flow) = self.flow(flow) else { return };
                let router = IpAddr::from([10, 99, 0, 1]);
                self.arrive(flow.port, packet::too_big(&flow.last.build(), router, mtu));
            }
            Op::Noise(octets) => self.arrive(0, octets),
            Op::Room(has_room) => self.out.has_room = has_room,
            Op::Turn { millis } => self.turn(ms(millis.into())),
        }
    }

    fn earlier(&self, number: u8) -> Option<(u8, Vec<u8>)> {
        let (port, packet) = self.sent.get(usize::from(number) % self.sent.len().max(1))?;
        (!packet.is_empty()).then(|| (*port, packet.clone()))
    }

    /// A packet waits in the device; a full burst is handed over.
    fn arrive(&mut self, port: u8, packet: Vec<u8>) {
        if self.bursts[usize::from(port)].len() == BURST {
            self.turn(Duration::ZERO);
        }
        if let Some(mut frame) = self.worker.pool.alloc() {
            let room = self.worker.pool.push_back(&mut frame, packet.len()).expect("fits");
            room.copy_from_slice(&packet);
            self.bursts[usize::from(port)].push(frame).expect("was not full");
        }
        if self.sent.len() < 256 {
            self.sent.push((port, packet));
        }
    }

    fn turn(&mut self, time: Duration) {
        self.now += time;
        for port in [CLIENTS, ORIGINS] {
            self.worker.on_burst(self.now, port as u8, &mut self.bursts[port]);
            self.worker.ledger().assert_balanced();
        }
        self.worker.on_time(self.now);
        self.worker.flush(self.now, &mut self.out);
        self.worker.ledger().assert_balanced();
        assert_eq!(self.known_flows.count(), self.worker.flows());
        for (port, packet) in std::mem::take(&mut self.out.packets) {
            let segment = Segment::parse(&packet).expect("what the engine sends is sound");
            self.hear(port, segment);
        }
    }

    fn hear(&mut self, port: u8, segment: Segment) {
        let sent_to = segment.seq.wrapping_add(segment.sequence_len());
        let expects = if segment.has(ACK) { segment.ack } else { 9_000 };
        let key = (segment.source, segment.destination);
        self.flows.insert(key, Flow { last: segment, expects, sent_to, port });
        while self.flows.len() > 12 {
            self.flows.pop_first();
        }
    }

    /// Everybody goes away: in the end all is given back.
    fn end(mut self) {
        self.out.has_room = true;
        self.worker.drain();
        self.worker.abort_all();
        for _ in 0..10 {
            self.turn(Duration::ZERO);
        }
        assert_eq!(self.worker.active(), 0);
        assert_eq!(self.worker.ledger().held, 0);
        assert_eq!(self.worker.pool.free_count(), self.worker.pool.capacity());
        self.turn(TIME_WAIT + ms(1));
        assert_eq!(self.known_flows.count(), 0);
    }
}

impl Flow {
    fn answer(&self, flags: u8, len: u16) -> Segment {
        let timestamps = self.last.options.timestamps.map(|(value, echo)| (echo + 1, value));
        let options = match flags & SYN {
            0 => Options { timestamps, ..Options::default() },
            _ => Options { mss: Some(1460), scale: Some(7), timestamps, ..Options::default() },
        };
        Segment {
            link: self.last.link.reversed(),
            source: self.last.destination,
            destination: self.last.source,
            seq: self.expects,
            ack: if flags & ACK == 0 { 0 } else { self.sent_to },
            flags,
            window: 60_000,
            options,
            payload: vec![0x5a; len.into()],
        }
    }
}

fn syn(client: u8, options: u8) -> Segment {
    Segment {
        link: Link {
            source: THEIRS[CLIENTS],
            destination: OURS[CLIENTS],
            tags: (options & 0x80 != 0).then_some(5).into(),
        },
        source: SocketAddr::new([198, 51, 100, client % 12].into(), 40_000),
        destination: if client == 255 { origin(1) } else { service() },
        seq: u32::from(client) << 24,
        ack: 0,
        flags: SYN,
        window: u16::from(options) << 8,
        options: Options {
            mss: (options & 1 == 0).then_some(u16::from(options) * 8),
            scale: (options & 2 == 0).then_some(options >> 4),
            sack_permitted: options & 4 == 0,
            timestamps: (options & 8 == 0).then_some((1, 0)),
            ..Options::default()
        },
        payload: Vec::new(),
    }
}

/// What a client sends that took the shield's answer to its SYN.
fn proof(client: u8, options: u8, len: u16) -> Segment {
    let syn = syn(client, options);
    let says = cookie_service(&LegSettings::default(), 1500, u16::MAX);
    let answer = CookieShield::new(keys(1), says).answer(&syn);
    Segment {
        seq: syn.seq.wrapping_add(1),
        ack: answer.seq.wrapping_add(1),
        flags: if len % 8 == 7 { ACK | FIN } else { ACK },
        options: Options {
            timestamps: answer.options.timestamps.map(|(value, _)| (2, value)),
            ..Options::default()
        },
        payload: vec![0xa5; if len.is_multiple_of(2) { 0 } else { len.into() }],
        ..syn
    }
}

fn keys(period: u8) -> Keys {
    Keys::at(&[3; 16], COOKIE_PERIOD.as_secs() * u64::from(period))
}

proptest! {
    #[test]
    fn no_sequence_of_frames_unsettles_a_worker(ops in vec(op(), 1..200)) {
        let mut bench = Bench::new();
        for op in ops {
            bench.apply(op);
        }
        bench.end();
    }
}

#[test]
fn the_bench_gets_connections_open() {
    let opens = [
        vec![Op::Syn { client: 1, options: 0x40 }],
        vec![Op::Keys { period: 2 }, Op::Proof { client: 1, options: 0x40, len: 101 }],
    ];
    for ops in opens {
        let mut bench = Bench::new();
        ops.into_iter().for_each(|op| bench.apply(op));
        for _ in 0..30 {
            for flow in 0..2 {
                bench.apply(Op::Answer { flow, len: 100 });
            }
            bench.turn(ms(1));
        }
        let counters = bench.worker.service_counters(0);
        assert!(counters.to_origin_octets > 0 && counters.to_client_octets > 0, "{counters:?}");
        bench.end();
    }
}
