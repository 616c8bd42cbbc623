//! The engine of a crowd: a lane between two devices in memory.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock};

use ringroad_ebpf::{FingerprintKey, KnownFlows};
use ringroad_engine::flow::Owner;
use ringroad_engine::frame::FramePool;
use ringroad_engine::kernel::{Neighbour, NextHop, SimulatedHost};
use ringroad_engine::limits::{AWAKE_PAIRS_MIN, BURST};
use ringroad_engine::port::sim::{Settings, SimPeer, SimPort};
use ringroad_engine::proxy::{Fallback, OriginSettings, ServiceSettings};
use ringroad_engine::random::Random;
use ringroad_engine::stage::{
    IdlePolicy, Lane, NoGate, PortIdentity, Worker, WorkerSettings, flows_for, mailbox,
};
use ringroad_engine::tcp::LegSettings;
use ringroad_engine::telemetry::Snapshot;
use ringroad_engine::time::Instant;
use ringroad_engine::wire::ethernet::MacAddr;

use super::hosts::{FIRST_PORT, ORIGIN_PORT, ORIGINS_MAX, PORTS, egress, origin};
use super::median;
use crate::appliance::packet::Segment;
use crate::appliance::rig::{Asked, CLIENTS, IFINDEX, ORIGINS, OURS, THEIRS, service};

pub(super) struct Edge {
    pub(super) lane: Lane<SimPort, NoGate, Asked>,
    pub(super) now: Instant,
    cables: [SimPeer; 2],
}

impl Edge {
    pub(super) fn new(connections: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let services = vec![service_of(connections)];
        let flows = flows_for(&services);
        let mut key = [0; 48];
        key.fill_with(|| random.draw() as u8);
        let mut secret = [0; 16];
        secret.fill_with(|| random.draw() as u8);
        let settings = WorkerSettings {
            ports: IFINDEX
                .map(|ifindex| PortIdentity { ifindex, mtu: 1500, verified: false })
                .to_vec(),
            services,
            known_flows: Some(KnownFlows::new(&IFINDEX, flows, FingerprintKey::new(&key))),
            proven_sources: None,
            secret,
            owner: Owner::default(),
            records: true,
        };
        let now = Instant::from_millis(1000);
        let pool = FramePool::in_memory(FRAMES, 2048);
        let worker = Worker::new(settings, pool, linux().snapshot(), now);
        let [(clients_port, clients), (origins_port, origins)] =
            [(); 2].map(|()| SimPort::with_peer(Settings::default()));
        let (_, mailbox) = mailbox().expect("an eventfd");
        let ports = vec![clients_port, origins_port];
        let lane = Lane::new(worker, ports, NoGate, Asked::default(), mailbox, IdlePolicy::Spin);
        Edge { lane, now, cables: [clients, origins] }
    }

    /// Sends as many of the segments as the lane takes in one turn; returns how many.
    pub(super) fn burst(&mut self, segments: impl Iterator<Item = Segment>) -> usize {
        let sent = segments.take(BURST).map(|segment| {
            let side = if segment.link.source == THEIRS[CLIENTS] { CLIENTS } else { ORIGINS };
            self.cables[side].send(&segment.build());
        });
        sent.count()
    }

    /// A turn of the lane, a little later; returns what it took [ns].
    pub(super) fn turn(&mut self) -> u64 {
        self.pass(TURN);
        let now = self.now;
        let start = Clock::now();
        black_box(self.lane.turn(&mut || now));
        start.elapsed().as_nanos() as u64
    }

    /// Hands out what the engine has sent, and to which side; returns how much that was.
    pub(super) fn hear(&mut self, mut listener: impl FnMut(usize, &Segment)) -> usize {
        let mut heard = 0;
        for (side, cable) in self.cables.iter_mut().enumerate() {
            while let Some(packet) = cable.receive() {
                heard += 1;
                let segment = Segment::parse(&packet).expect("a sound packet");
                cable.recycle(packet);
                listener(side, &segment);
            }
        }
        heard
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// What a turn takes in which nothing comes [ns].
    pub(super) fn quiet_turn_ns(&mut self) -> u64 {
        let mut hundred = || (0..100).map(|_| self.turn()).sum::<u64>() / 100;
        median((0..100).map(|_| hundred()).collect())
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::new(1, 2);
        self.lane.fill(&mut snapshot);
        snapshot
    }
}

/// As many connections as there are, and as many origins as those need source ports.
fn service_of(connections: usize) -> ServiceSettings {
    let origin = |host| OriginSettings {
        address: SocketAddr::new(origin(host), ORIGIN_PORT),
        egress_port: ORIGINS as u8,
        egress_address: egress(),
        source_ports: FIRST_PORT..=FIRST_PORT + (PORTS - 1) as u16,
    };
    ServiceSettings {
        name: "crowd".to_owned(),
        listen: vec![service()],
        port: CLIENTS as u8,
        origins: (0..ORIGINS_MAX).map(origin).collect(),
        client_leg: LegSettings::default(),
        origin_leg: LegSettings::default(),
        proxy_protocol: None,
        max_connections: connections as u32,
        fallback: Fallback::Reset,
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(24 * 3600),
    }
}

fn linux() -> SimulatedHost {
    let mut linux = SimulatedHost::new();
    let gateway = [10, 10, 1, 254].into();
    for side in [CLIENTS, ORIGINS] {
        linux.link(IFINDEX[side], MacAddr(OURS[side]), 1500);
    }
    linux
        .address(IFINDEX[ORIGINS], egress(), 16)
        .route(([0, 0, 0, 0].into(), 0), IFINDEX[CLIENTS], Some(gateway))
        .route(([10, 20, 0, 0].into(), 16), IFINDEX[ORIGINS], None)
        .neighbour(
            NextHop { ifindex: IFINDEX[CLIENTS], address: gateway },
            Neighbour::Resolved(MacAddr(THEIRS[CLIENTS])),
        );
    for host in 0..ORIGINS_MAX {
        linux.neighbour(
            NextHop { ifindex: IFINDEX[ORIGINS], address: origin(host) },
            Neighbour::Resolved(MacAddr(THEIRS[ORIGINS])),
        );
    }
    linux
}

/// Packet memory, and room for as many pairs awake: more than take a step at a time [frames].
const FRAMES: usize = AWAKE_PAIRS_MIN;

/// From one turn to the next.
const TURN: Duration = Duration::from_micros(20);
