//! A host that is not there: what Linux would say of it, made by hand.
//!
//! Simulations and tests give a worker its routes without a kernel. Only what such a host needs
//! can be said; all else a [`Routes`] learns from Linux alone.

use std::net::IpAddr;
use std::sync::Arc;

use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use rtnetlink::packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::neighbour::NextHop;
use super::route::Origin;
use super::routes::Routes;
use crate::wire::ethernet::MacAddr;

/// See the module. It speaks to its [`Routes`] in the kernel's own messages, so that what a
/// simulation stands on is what netlink leads to.
#[derive(Clone, Debug, Default)]
pub struct SimulatedHost {
    routes: Routes,
}

/// How far a simulated host knows a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// Nobody has asked, or the answer is still to come.
    Unknown,
    Resolved(MacAddr),
    /// It did not answer.
    Failed,
}

/// What a route says of the packets that it takes [octets].
#[derive(Clone, Copy, Debug, Default)]
pub struct RouteMetrics {
    pub mtu: Option<u32>,
    /// The MSS to offer at most.
    pub advmss: Option<u32>,
}

impl SimulatedHost {
    /// A host without anything.
    pub fn new() -> Self {
        SimulatedHost::default()
    }

    /// Adds an Ethernet link that is up, or changes its address or `mtu` [octets].
    pub fn link(&mut self, ifindex: u32, mac: MacAddr, mtu: u32) -> &mut Self {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        message.header.link_layer_type = LinkLayerType::Ether;
        message.header.flags = LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Running;
        message.attributes = vec![
            LinkAttribute::IfName(format!("sim{ifindex}")),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::Address(mac.0.to_vec()),
        ];
        self.hear(RouteNetlinkMessage::NewLink(message), Origin::Added)
    }

    /// Gives the host an address on a link.
    pub fn address(&mut self, ifindex: u32, address: IpAddr, prefix_len: u8) -> &mut Self {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.index = ifindex;
        message.header.prefix_len = prefix_len;
        message.attributes = vec![AddressAttribute::Address(address)];
        self.hear(RouteNetlinkMessage::NewAddress(message), Origin::Added)
    }

    /// Adds the route to a prefix, or puts it in place of the one there is. Without a `gateway`
    /// destinations are on the link themselves.
    pub fn route(
        &mut self,
        prefix: (IpAddr, u8),
        ifindex: u32,
        gateway: Option<IpAddr>,
    ) -> &mut Self {
        self.route_with(prefix, ifindex, gateway, RouteMetrics::default())
    }

    /// As [`SimulatedHost::route`], with metrics of its own.
    pub fn route_with(
        &mut self,
        prefix: (IpAddr, u8),
        ifindex: u32,
        gateway: Option<IpAddr>,
        metrics: RouteMetrics,
    ) -> &mut Self {
        let mut message = route_message(prefix, ifindex, gateway);
        let RouteMetrics { mtu, advmss } = metrics;
        let metrics = mtu.map(RouteMetric::Mtu).into_iter().chain(advmss.map(RouteMetric::Advmss));
        message.attributes.push(RouteAttribute::Metrics(metrics.collect()));
        self.hear(RouteNetlinkMessage::NewRoute(message), Origin::Replaced)
    }

    /// Takes a route away, as [`SimulatedHost::route`] has added it.
    pub fn no_route(
        &mut self,
        prefix: (IpAddr, u8),
        ifindex: u32,
        gateway: Option<IpAddr>,
    ) -> &mut Self {
        let message = route_message(prefix, ifindex, gateway);
        self.hear(RouteNetlinkMessage::DelRoute(message), Origin::Added)
    }

    /// Says what the host knows of a neighbour.
    pub fn neighbour(&mut self, next_hop: NextHop, known: Neighbour) -> &mut Self {
        let mut message = NeighbourMessage::default();
        message.header.family = family(next_hop.address);
        message.header.ifindex = next_hop.ifindex;
        message.header.state = match known {
            Neighbour::Unknown => NeighbourState::Incomplete,
            Neighbour::Resolved(_) => NeighbourState::Reachable,
            Neighbour::Failed => NeighbourState::Failed,
        };
        message.attributes = vec![NeighbourAttribute::Destination(match next_hop.address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        })];
        if let Neighbour::Resolved(mac) = known {
            message.attributes.push(NeighbourAttribute::LinkLocalAddress(mac.0.to_vec()));
        }
        self.hear(RouteNetlinkMessage::NewNeighbour(message), Origin::Added)
    }

    /// What a worker is to know: the host as it is now, of a generation of its own.
    pub fn snapshot(&mut self) -> Arc<Routes> {
        self.routes.set_generation(self.routes.generation() + 1);
        Arc::new(self.routes.clone())
    }

    fn hear(&mut self, message: RouteNetlinkMessage, origin: Origin) -> &mut Self {
        self.routes.apply(&message, origin);
        self
    }
}

fn route_message(
    (destination, prefix_len): (IpAddr, u8),
    ifindex: u32,
    gateway: Option<IpAddr>,
) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(destination);
    message.header.destination_prefix_length = prefix_len;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::from(destination)),
        RouteAttribute::Oif(ifindex),
    ];
    let gateway = gateway.map(|gateway| RouteAttribute::Gateway(RouteAddress::from(gateway)));
    message.attributes.extend(gateway);
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

#[cfg(test)]
mod tests {
    use super::super::NoPath;
    use super::*;

    const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const THEIRS: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn what_was_said_is_what_a_path_is_made_of() {
        for (here, there, other, whole) in [
            ("10.0.0.1", "10.0.0.2", "192.0.2.1", "0.0.0.0"),
            ("fd00::1", "fd00::2", "2001:db8::1", "::"),
        ] {
            let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
            let gateway = NextHop { ifindex: 3, address: ip(there) };
            let mut host = SimulatedHost::new();
            host.link(3, OURS, 1400)
                .address(3, ip(here), if ip(here).is_ipv4() { 24 } else { 64 })
                .route((ip(whole), 0), 3, Some(ip(there)));
            assert_eq!(host.snapshot().path_to(ip(other)), Err(NoPath::Unresolved(gateway)));
            let before = host.snapshot();
            let routes = host.neighbour(gateway, Neighbour::Resolved(THEIRS)).snapshot();
            assert_ne!(routes.generation(), before.generation());
            let path = routes.path_to(ip(other)).expect("all is known");
            assert_eq!((path.source_mac, path.destination_mac), (OURS, THEIRS));
            assert_eq!((path.ifindex, path.mtu, path.next_hop), (3, 1400, gateway));
            assert_eq!(routes.source_for(ip(other)), Some(ip(here)));
            let routes = host.no_route((ip(whole), 0), 3, Some(ip(there))).snapshot();
            assert_eq!(routes.path_to(ip(other)), Err(NoPath::NoRoute));
            host.route((ip(whole), 0), 3, Some(ip(there)));
            let routes = host.neighbour(gateway, Neighbour::Failed).snapshot();
            assert_eq!(routes.path_to(ip(other)), Err(NoPath::Failed(gateway)));
            let routes = host.link(4, OURS, 1500).route((ip(whole), 0), 4, None).snapshot();
            let on_link = NextHop { ifindex: 4, address: ip(other) };
            assert_eq!(routes.path_to(ip(other)), Err(NoPath::Unresolved(on_link)));
        }
    }
}
