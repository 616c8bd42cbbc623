//! What the measured engine is made of: one service behind two ports, and a Linux that knows both sides.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use ringroad_engine::flow::Owner;
use ringroad_engine::kernel::{Neighbour, NextHop, Routes, SimulatedHost};
use ringroad_engine::proxy::{Fallback, OriginSettings, ServiceSettings};
use ringroad_engine::stage::{Neighbours, PortIdentity, WorkerSettings};
use ringroad_engine::tcp::LegSettings;
use ringroad_engine::time::Instant;
use ringroad_engine::wire::ethernet::MacAddr;

pub const PORTS: usize = 2;
pub const OURS: [[u8; 6]; PORTS] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
pub const THEIRS: [[u8; 6]; PORTS] = [[2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]];

pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
pub const SERVICE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 80));
const ORIGIN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 2), 8080));
const EGRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1));

/// Of the memory of each core [frames].
pub const FRAMES: usize = 16_384;
/// [octets]
pub const FRAME_SIZE: usize = 2048;

/// When the engine starts.
pub const START: Instant = Instant::from_millis(1000);

/// Neighbours that are known already.
pub struct NoOne;

impl Neighbours for NoOne {
    fn resolve(&mut self, _next_hop: NextHop) {}

    fn in_use(&mut self, _next_hop: NextHop) {}
}

pub fn worker_settings(owner: Owner) -> WorkerSettings {
    let service = ServiceSettings {
        name: "bench".to_owned(),
        listen: vec![SERVICE],
        port: 0,
        origins: vec![OriginSettings {
            address: ORIGIN,
            egress_port: 1,
            egress_address: EGRESS,
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
    let identity = |ifindex| PortIdentity { ifindex, mtu: 1500, verified: false };
    WorkerSettings {
        ports: (1..=PORTS as u32).map(identity).collect(),
        services: vec![service],
        known_flows: None,
        proven_sources: None,
        secret: *b"not much of one.",
        owner,
        records: true,
    }
}

pub fn routes() -> Arc<Routes> {
    let mut linux = SimulatedHost::new();
    for (side, host) in [CLIENT, ORIGIN.ip()].into_iter().enumerate() {
        let ifindex = side as u32 + 1;
        linux.link(ifindex, MacAddr(OURS[side]), 1500).route((host, 32), ifindex, None).neighbour(
            NextHop { ifindex, address: host },
            Neighbour::Resolved(MacAddr(THEIRS[side])),
        );
    }
    linux.snapshot()
}
