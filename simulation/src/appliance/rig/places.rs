//! Where everything is: the appliance between two sides, their gateways and hosts, and what Linux knows
//! of them.

use std::net::{IpAddr, SocketAddr};

use ringroad_engine::kernel::{Neighbour, NextHop, SimulatedHost};
use ringroad_engine::proxy::OriginSettings;
use ringroad_engine::wire::ethernet::MacAddr;

use super::Plan;

/// The two sides of the appliance, each behind a port of its own.
pub const CLIENTS: usize = 0;
pub const ORIGINS: usize = 1;

pub const IFINDEX: [u32; 2] = [10, 20];
pub const OURS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0x10], [2, 0, 0, 0, 0, 0x20]];
/// The gateway to the clients; and the switch port that all origins are behind.
pub const THEIRS: [[u8; 6]; 2] = [[2, 0, 0, 0, 1, 0x10], [2, 0, 0, 0, 1, 0x20]];

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub fn service() -> SocketAddr {
    address("10.10.1.1:80")
}

pub fn service_v6() -> SocketAddr {
    address("[2001:db8:1::1]:80")
}

pub fn origin(number: u8) -> SocketAddr {
    SocketAddr::new([10, 20, 0, number].into(), 8080)
}

pub fn origin_settings(address: SocketAddr) -> OriginSettings {
    let egress = if address.is_ipv4() { "10.20.0.254" } else { "fd20::fe" };
    OriginSettings {
        address,
        egress_port: ORIGINS as u8,
        egress_address: ip(egress),
        source_ports: 20_000..=29_999,
    }
}

/// What Linux knows at the start.
pub fn linux(plan: &Plan) -> SimulatedHost {
    let mut linux = SimulatedHost::new();
    for side in [CLIENTS, ORIGINS] {
        linux.link(IFINDEX[side], MacAddr(OURS[side]), 1500);
    }
    linux.address(IFINDEX[CLIENTS], ip("10.10.1.1"), 24).address(
        IFINDEX[ORIGINS],
        ip("10.20.0.254"),
        24,
    );
    for side in [CLIENTS, ORIGINS] {
        for (prefix, gateway) in routes(side) {
            linux.route(prefix, IFINDEX[side], gateway);
        }
    }
    if plan.neighbours_known {
        for gateway in ["10.10.1.254", "2001:db8:1::ff"] {
            learn_neighbour(&mut linux, CLIENTS, ip(gateway));
        }
        for origin in &plan.service.origins {
            learn_neighbour(&mut linux, ORIGINS, origin.address.ip());
        }
    }
    linux
}

/// What Linux reaches a side by: prefixes, and the gateways to them.
pub fn routes(side: usize) -> [((IpAddr, u8), Option<IpAddr>); 2] {
    match side {
        CLIENTS => [
            ((ip("0.0.0.0"), 0), Some(ip("10.10.1.254"))),
            ((ip("::"), 0), Some(ip("2001:db8:1::ff"))),
        ],
        _ => [((ip("10.20.0.0"), 24), None), ((ip("fd20::"), 64), None)],
    }
}

pub(super) fn learn_neighbour(linux: &mut SimulatedHost, side: usize, address: IpAddr) {
    let next_hop = NextHop { ifindex: IFINDEX[side], address };
    linux.neighbour(next_hop, Neighbour::Resolved(MacAddr(THEIRS[side])));
}
