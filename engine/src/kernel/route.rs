//! One routing table: prefixes, and the routes to each in the kernel's order of preference.
//!
//! Notifications say what became of one route, not what the table looks like afterwards. Where
//! the outcome depends on more than the message tells (routes of equal prefix and metric, of
//! which Linux may merge, shadow or replace one), [`Table`] asks for the table to be read again
//! rather than guess.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteType,
    RouteVia,
};

use super::routes::Effect;
use crate::limits::ROUTES_MAX;
use crate::prefix_map::{Prefix, PrefixMap};

/// The routing tables that are looked at, in Linux's own order: what is local, then `main`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Local,
    Main,
}

/// `RT_TABLE_LOCAL`: what this host answers to, kept by Linux itself.
const TABLE_LOCAL: u32 = 255;

/// A route to a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Lower is better.
    pub(super) metric: u32,
    pub(super) kind: RouteType,
    /// The source address that Linux prefers for it (RTA_PREFSRC).
    pub(super) source: Option<IpAddr>,
    /// The route's own MTU [octets] (RTAX_MTU).
    pub(super) mtu: Option<u32>,
    /// The MSS to offer at most [octets] (RTAX_ADVMSS).
    pub(super) advmss: Option<NonZeroU16>,
    /// Several for a multipath route; none for one that refuses.
    pub(super) hops: Hops,
}

/// Where a route leads. One hop is held in place: a full table has a million of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hops {
    One([Hop; 1]),
    Other(Arc<[Hop]>),
}

impl Hops {
    pub(super) fn as_slice(&self) -> &[Hop] {
        match self {
            Hops::One(hop) => hop,
            Hops::Other(hops) => hops,
        }
    }
}

/// One next hop of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) ifindex: u32,
    /// `None`: the destination itself is on the link.
    pub(super) gateway: Option<IpAddr>,
    /// Share of a multipath route, as the kernel counts it: this plus one.
    pub(super) weight: u8,
}

impl Route {
    /// `None` for routes that do not concern us: other tables and families, routes of a type of
    /// service or a source prefix, and entries of the routing cache.
    pub(super) fn learn(message: &RouteMessage) -> Option<(Which, Prefix, Route)> {
        let header = &message.header;
        if header.flags.contains(RouteFlags::Cloned)
            || header.tos != 0
            || header.source_prefix_length != 0
        {
            return None;
        }
        let unspecified: IpAddr = match header.address_family {
            AddressFamily::Inet => std::net::Ipv4Addr::UNSPECIFIED.into(),
            AddressFamily::Inet6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
            _ => return None,
        };
        let mut table = u32::from(header.table);
        let mut destination = unspecified;
        let mut route = Route {
            metric: 0,
            kind: header.kind,
            source: None,
            mtu: None,
            advmss: None,
            hops: no_hops(),
        };
        let (mut ifindex, mut gateway) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                // Numbers of tables outgrew the header's field.
                RouteAttribute::Table(number) => table = *number,
                RouteAttribute::Destination(address) => destination = ip(address)?,
                RouteAttribute::Priority(metric) => route.metric = *metric,
                RouteAttribute::PrefSource(address) => route.source = ip(address),
                RouteAttribute::Oif(index) => ifindex = Some(*index),
                RouteAttribute::Gateway(address) => gateway = ip(address),
                RouteAttribute::Via(via) => gateway = via_ip(via),
                RouteAttribute::Metrics(metrics) => {
                    for metric in metrics {
                        match metric {
                            RouteMetric::Mtu(octets) if *octets > 0 => route.mtu = Some(*octets),
                            RouteMetric::Advmss(octets) => {
                                let octets = u16::try_from(*octets).unwrap_or(u16::MAX);
                                route.advmss = NonZeroU16::new(octets);
                            }
                            _ => {}
                        }
                    }
                }
                RouteAttribute::MultiPath(hops) => {
                    route.hops = Hops::Other(hops.iter().map(hop).collect());
                }
                _ => {}
            }
        }
        if let Some(ifindex) = ifindex {
            route.hops = Hops::One([Hop { ifindex, gateway, weight: 0 }]);
        }
        let which = match table {
            TABLE_LOCAL => Which::Local,
            main if main == u32::from(RouteHeader::RT_TABLE_MAIN) => Which::Main,
            _ => return None,
        };
        let prefix = Prefix::new(destination, header.destination_prefix_length)?;
        Some((which, prefix, route))
    }

    fn has_gateway(&self) -> bool {
        self.hops.as_slice().iter().any(|hop| hop.gateway.is_some())
    }
}

fn no_hops() -> Hops {
    Hops::Other(Arc::from([]))
}

fn hop(message: &rtnetlink::packet_route::route::RouteNextHop) -> Hop {
    let gateway = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(via) => via_ip(via),
        _ => None,
    });
    Hop { ifindex: message.interface_index, gateway, weight: message.hops }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn via_ip(via: &RouteVia) -> Option<IpAddr> {
    match via {
        RouteVia::Inet(address) => Some((*address).into()),
        RouteVia::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// Where a message about a route comes from, and so what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// An entry of the whole table, in the table's order.
    Dump,
    /// A route was added.
    Added,
    /// A route took another's place (NLM_F_REPLACE).
    Replaced,
}

/// One routing table, both families.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    v4: PrefixMap<Arc<[Route]>>,
    v6: PrefixMap<Arc<[Route]>>,
}

impl Table {
    /// The best route to `destination`.
    pub(super) fn best(&self, destination: IpAddr) -> Option<&Route> {
        let map = if destination.is_ipv4() { &self.v4 } else { &self.v6 };
        map.longest_match(destination)?.first()
    }

    /// Prefixes that there is a route to.
    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Takes in a route that Linux has.
    pub(super) fn learn(
        &mut self,
        v6: bool,
        prefix: Prefix,
        route: Route,
        origin: Origin,
    ) -> Effect {
        let full = self.len() >= ROUTES_MAX;
        let map = if v6 { &mut self.v6 } else { &mut self.v4 };
        let Some(known) = map.get(prefix) else {
            if full {
                return Effect::REFUSED;
            }
            map.insert(prefix, Arc::from([route]));
            return Effect::CHANGED;
        };
        if known.contains(&route) {
            return Effect::NONE;
        }
        let equals = known.iter().filter(|other| other.metric == route.metric).count();
        // IPv6 routes straight onto a link never merge (`fe80::/64` has one for every link).
        let merges = !v6
            || route.has_gateway()
            || known.iter().any(|other| other.metric == route.metric && other.has_gateway());
        let mut routes = known.to_vec();
        match origin {
            Origin::Replaced if equals == 1 => {
                let replaced = routes.iter_mut().find(|other| other.metric == route.metric);
                replaced.into_iter().for_each(|other| *other = route.clone());
            }
            Origin::Added if equals > 0 && merges => return Effect::READ_AGAIN,
            Origin::Replaced if equals > 1 => return Effect::READ_AGAIN,
            Origin::Dump | Origin::Added | Origin::Replaced => {
                let behind = routes.partition_point(|other| other.metric <= route.metric);
                routes.insert(behind, route);
            }
        }
        map.insert(prefix, routes.into());
        Effect::CHANGED
    }

    /// Forgets a route that Linux took out.
    pub(super) fn forget(&mut self, v6: bool, prefix: Prefix, route: &Route) -> Effect {
        let map = if v6 { &mut self.v6 } else { &mut self.v4 };
        let Some(known) = map.get(prefix) else { return Effect::NONE };
        let Some(at) = known.iter().position(|other| other == route) else {
            // One hop of a merged route went, or what we hold was not quite it.
            let related = known.iter().any(|other| other.metric == route.metric);
            return if related { Effect::READ_AGAIN } else { Effect::NONE };
        };
        if known.len() == 1 {
            map.remove(prefix);
        } else {
            let mut routes = known.to_vec();
            routes.remove(at);
            map.insert(prefix, routes.into());
        }
        Effect::CHANGED
    }
}
