//! The snapshot: an immutable picture of Linux's devices, addresses, routes and neighbours.
//!
//! Everything in it is shared with the snapshots before and after; a copy costs a few reference
//! counts. It is made by applying netlink messages one by one ([`Routes::apply`]), without any
//! input or output of its own, and asked by [`Routes::path_to`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use rtnetlink::packet_route::route::RouteType;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::link::{Address, Link};
use super::neighbour::{self, Neighbours, NextHop, Standing};
use super::route::{Hop, Origin, Route, Table, Which};
use crate::limits::{ADDRESSES_MAX, LINKS_MAX};
use crate::wire::ethernet::MacAddr;

/// What Linux knows, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    generation: u64,
    links: Arc<BTreeMap<u32, Link>>,
    /// In the kernel's order: of several on a link the first is preferred.
    addresses: Arc<Vec<Address>>,
    local: Table,
    main: Table,
    neighbours: Neighbours,
    refused: u64,
}

/// How to reach a destination: what an Ethernet frame to it says, and where it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The device that sends the frame: of a VLAN the device that carries it.
    pub ifindex: u32,
    /// The tag to send it with.
    pub vlan: Option<u16>,
    pub source_mac: MacAddr,
    pub destination_mac: MacAddr,
    /// Longest packet to this destination, the Ethernet header not counted [octets]: the
    /// route's own MTU where it has one, and never more than the link's.
    pub mtu: u32,
    /// The MSS to offer at most, where the route says so (`advmss`) [octets].
    pub advmss: Option<u16>,
    /// Whose Ethernet address that is; name it to [`super::Resolver::in_use`] while relying on it.
    pub next_hop: NextHop,
}

/// Why there is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPath {
    #[error("Linux has no route; add one with `ip route add`")]
    NoRoute,
    #[error("a route of type blackhole, unreachable or prohibit covers it; see `ip route get`")]
    Refused,
    #[error("the address is this host's own")]
    Local,
    #[error("broadcast and multicast addresses have no path")]
    NotUnicast,
    #[error("its route leaves by device {ifindex}, which is down; see `ip link`")]
    LinkDown { ifindex: u32 },
    #[error("its route leaves by device {ifindex}, which is not Ethernet or stacks VLAN tags")]
    NotEthernet { ifindex: u32 },
    /// Ask for it with [`super::Resolver::resolve`]; the answer is a newer snapshot.
    #[error("{} is not resolved yet", .0.address)]
    Unresolved(NextHop),
    /// Asking again is allowed, and makes it [`NoPath::Unresolved`] until the next answer.
    #[error("{} does not answer ARP or NDP; is it up, and on this link?", .0.address)]
    Failed(NextHop),
}

impl Routes {
    /// How to reach `destination`.
    ///
    /// Linux's own order: what is local, then the longest prefix in table `main` and its lowest
    /// metric, then the neighbour. Of a multipath route one next hop is chosen by a hash of the
    /// destination over those whose link is up, by their weights: the same for every packet to
    /// it. Policy rules (`ip rule`) and other tables are not looked at. A link-local destination
    /// is looked for on the first link that has its prefix.
    pub fn path_to(&self, destination: IpAddr) -> Result<Path, NoPath> {
        let (route, hop) = self.route_to(destination)?;
        let next_hop =
            NextHop { ifindex: hop.ifindex, address: hop.gateway.unwrap_or(destination) };
        let link = self.usable(hop.ifindex)?;
        let (port, vlan) = match link.vlan {
            Some(vlan) => (self.usable(vlan.parent)?, Some(vlan.id)),
            None => (link, None),
        };
        if port.vlan.is_some() {
            return Err(NoPath::NotEthernet { ifindex: link.ifindex });
        }
        let source_mac = link.mac.ok_or(NoPath::NotEthernet { ifindex: link.ifindex })?;
        let destination_mac = match self.neighbours.get(next_hop) {
            Standing::Known { mac, .. } => mac,
            Standing::Unknown => return Err(NoPath::Unresolved(next_hop)),
            Standing::Failed => return Err(NoPath::Failed(next_hop)),
        };
        Ok(Path {
            ifindex: port.ifindex,
            vlan,
            source_mac,
            destination_mac,
            mtu: route.mtu.map_or(link.mtu, |mtu| mtu.min(link.mtu)),
            advmss: route.advmss.map(NonZeroU16::get),
            next_hop,
        })
    }

    /// The device that packets to `destination` leave by, of a VLAN the one that carries it; also
    /// while the next hop's Ethernet address is not known.
    pub fn device_to(&self, destination: IpAddr) -> Result<u32, NoPath> {
        match self.path_to(destination) {
            Ok(path) => Ok(path.ifindex),
            Err(NoPath::Unresolved(next_hop) | NoPath::Failed(next_hop)) => {
                let vlan = self.link(next_hop.ifindex).and_then(|link| link.vlan);
                Ok(vlan.map_or(next_hop.ifindex, |vlan| vlan.parent))
            }
            Err(none) => Err(none),
        }
    }

    /// The address that a connection to `destination` comes from: the route's preferred source;
    /// else one of the outgoing link's (in the next hop's subnet if possible); else any that is
    /// global. `None` if there is no route or no address.
    pub fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        if self.is_local(destination) {
            return Some(destination);
        }
        let (route, hop) = self.route_to(destination).ok()?;
        if let Some(source) = route.source {
            return Some(source);
        }
        let next_hop = hop.gateway.unwrap_or(destination);
        let link_local = matches!(destination, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let usable = |address: &&Address| {
            address.preferred
                && address.address.is_ipv4() == destination.is_ipv4()
                && address.global != link_local
        };
        let on_link = || self.addresses(hop.ifindex).filter(usable);
        let chosen = if destination.is_ipv6() {
            // RFC 6724 §5, rule 8: the longest matching prefix; the first one where equal.
            on_link().rev().max_by_key(|address| address.shared_bits(destination))
        } else {
            on_link().find(|address| address.on_link(next_hop)).or_else(|| on_link().next())
        };
        let chosen = chosen.or_else(|| self.addresses.iter().find(usable))?;
        Some(chosen.address)
    }

    /// Whether Linux takes packets to `address` as its own.
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.local.best(address).is_some_and(|route| route.kind == RouteType::Local)
    }

    pub fn link(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(&ifindex)
    }

    pub fn link_by_name(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// All devices, by index.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The addresses of one device, in Linux's order of preference.
    pub fn addresses(&self, ifindex: u32) -> impl DoubleEndedIterator<Item = &Address> {
        self.addresses.iter().filter(move |address| address.ifindex == ifindex)
    }

    /// Which snapshot this is; a later one has a higher number.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Prefixes with a route, in tables `main` and `local`.
    pub fn route_count(&self) -> usize {
        self.main.len() + self.local.len()
    }

    /// Addresses with a neighbour entry, resolved or not.
    pub fn neighbour_count(&self) -> usize {
        self.neighbours.len()
    }

    /// What Linux has and this picture lacks because a bound of [`crate::limits`] was reached,
    /// counted since the last time everything was read.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The route, and the next hop of it, that Linux would take.
    fn route_to(&self, destination: IpAddr) -> Result<(&Route, Hop), NoPath> {
        match self.local.best(destination).map(|route| route.kind) {
            Some(RouteType::Local) => return Err(NoPath::Local),
            Some(RouteType::Broadcast | RouteType::Multicast | RouteType::Anycast) => {
                return Err(NoPath::NotUnicast);
            }
            _ => {}
        }
        if destination.is_multicast() || destination.is_unspecified() {
            return Err(NoPath::NotUnicast);
        }
        let route = self.main.best(destination).ok_or(NoPath::NoRoute)?;
        match route.kind {
            RouteType::Unicast => {}
            RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit => {
                return Err(NoPath::Refused);
            }
            _ => return Err(NoPath::NoRoute),
        }
        let hop = self.choose(destination, route.hops.as_slice()).ok_or(NoPath::NoRoute)?;
        Ok((route, hop))
    }

    /// One of several next hops; the first if none of their links is up, so that the refusal
    /// names a link.
    fn choose(&self, destination: IpAddr, hops: &[Hop]) -> Option<Hop> {
        if let [] | [_] = hops {
            return hops.first().copied();
        }
        let up = || hops.iter().filter(|hop| self.usable(hop.ifindex).is_ok());
        let weight = |hop: &Hop| u64::from(hop.weight) + 1;
        let total: u64 = up().map(weight).sum();
        if total == 0 {
            return hops.first().copied();
        }
        let mut at = spread(destination) % total;
        for hop in up() {
            match at.checked_sub(weight(hop)) {
                Some(rest) => at = rest,
                None => return Some(*hop),
            }
        }
        None
    }

    fn usable(&self, ifindex: u32) -> Result<&Link, NoPath> {
        self.link(ifindex).filter(|link| link.up).ok_or(NoPath::LinkDown { ifindex })
    }
}

/// An even hash of an address (the finaliser of SplitMix64). Which next hop a destination gets is
/// nobody's secret: there is nothing to gain by aiming at one.
fn spread(address: IpAddr) -> u64 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let mut x = (bits >> 64) as u64 ^ bits as u64;
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// What applying a message did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Something that readers would notice is different.
    pub(super) changed: bool,
    /// The message does not tell the outcome: the routes must be read again.
    pub(super) read_again: bool,
    /// A bound was reached: the picture lacks this.
    pub(super) refused: bool,
    /// This neighbour was not heard of for a while.
    pub(super) stale: Option<NextHop>,
}

impl Effect {
    pub(super) const NONE: Effect =
        Effect { changed: false, read_again: false, refused: false, stale: None };
    pub(super) const CHANGED: Effect = Effect { changed: true, ..Effect::NONE };
    pub(super) const READ_AGAIN: Effect = Effect { read_again: true, ..Effect::NONE };
    pub(super) const REFUSED: Effect = Effect { refused: true, ..Effect::NONE };
}

impl Routes {
    /// Takes in one message of Linux's, from a dump or a notification.
    pub(super) fn apply(&mut self, message: &RouteNetlinkMessage, origin: Origin) -> Effect {
        let effect = match message {
            RouteNetlinkMessage::NewLink(link) => self.learn_link(link),
            RouteNetlinkMessage::DelLink(link) => {
                // Leaving a bridge is announced as the deletion of a link of family bridge.
                let gone = link.header.interface_family == AddressFamily::Unspec
                    && self.links.contains_key(&link.header.index);
                if gone {
                    Arc::make_mut(&mut self.links).remove(&link.header.index);
                }
                Effect { changed: gone, read_again: gone, ..Effect::NONE }
            }
            RouteNetlinkMessage::NewAddress(address) => match Address::learn(address) {
                Some(address) => self.learn_address(address),
                None => Effect::NONE,
            },
            RouteNetlinkMessage::DelAddress(address) => match Address::learn(address) {
                Some(address) => self.forget_address(address),
                None => Effect::NONE,
            },
            RouteNetlinkMessage::NewRoute(message) => match Route::learn(message) {
                Some((which, prefix, route)) => {
                    let v6 = message.header.address_family == AddressFamily::Inet6;
                    self.table(which).learn(v6, prefix, route, origin)
                }
                None => Effect::NONE,
            },
            RouteNetlinkMessage::DelRoute(message) => match Route::learn(message) {
                Some((which, prefix, route)) => {
                    let v6 = message.header.address_family == AddressFamily::Inet6;
                    let effect = self.table(which).forget(v6, prefix, &route);
                    // There is room again for what was refused.
                    Effect { read_again: effect.read_again || self.refused > 0, ..effect }
                }
                None => Effect::NONE,
            },
            RouteNetlinkMessage::NewNeighbour(message) => match neighbour::learn(message) {
                Some((next_hop, standing)) => {
                    let effect = self.neighbours.set(next_hop, Some(standing));
                    let stale = matches!(standing, Standing::Known { stale: true, .. });
                    Effect { stale: stale.then_some(next_hop), ..effect }
                }
                None => Effect::NONE,
            },
            RouteNetlinkMessage::DelNeighbour(message) => match neighbour::learn(message) {
                Some((next_hop, _)) => self.neighbours.set(next_hop, None),
                None => Effect::NONE,
            },
            _ => Effect::NONE,
        };
        self.refused += u64::from(effect.refused);
        effect
    }

    /// Puts the routes of another picture in place of these.
    pub(super) fn adopt_routes(&mut self, from: Routes) {
        self.local = from.local;
        self.main = from.main;
        self.refused = from.refused;
    }

    pub(super) fn set_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// Whether Linux would soon drop this neighbour for want of use.
    pub(super) fn is_stale(&self, next_hop: NextHop) -> bool {
        matches!(self.neighbours.get(next_hop), Standing::Known { stale: true, .. })
    }

    fn table(&mut self, which: Which) -> &mut Table {
        match which {
            Which::Local => &mut self.local,
            Which::Main => &mut self.main,
        }
    }

    fn learn_link(&mut self, message: &rtnetlink::packet_route::link::LinkMessage) -> Effect {
        // Bridges announce their ports under their own family, with less in the message.
        if message.header.interface_family != AddressFamily::Unspec {
            return Effect::NONE;
        }
        let known = self.links.get(&message.header.index);
        let was_up = known.is_some_and(|link| link.up);
        if known.is_none() && self.links.len() >= LINKS_MAX {
            return Effect::REFUSED;
        }
        let Some(link) = Link::learn(known, message) else { return Effect::NONE };
        // Linux takes the IPv4 routes of a link that goes down out without saying so.
        let read_again = was_up && !link.up;
        Arc::make_mut(&mut self.links).insert(link.ifindex, link);
        Effect { changed: true, read_again, ..Effect::NONE }
    }

    fn learn_address(&mut self, address: Address) -> Effect {
        match self.addresses.iter().position(|known| known.same_entry(&address)) {
            Some(at) if self.addresses[at] == address => Effect::NONE,
            Some(at) => {
                Arc::make_mut(&mut self.addresses)[at] = address;
                Effect::CHANGED
            }
            None if self.addresses.len() >= ADDRESSES_MAX => Effect::REFUSED,
            None => {
                Arc::make_mut(&mut self.addresses).push(address);
                Effect::CHANGED
            }
        }
    }

    fn forget_address(&mut self, address: Address) -> Effect {
        let Some(at) = self.addresses.iter().position(|known| known.same_entry(&address)) else {
            return Effect::NONE;
        };
        Arc::make_mut(&mut self.addresses).remove(at);
        // Routes that preferred it as their source go with it, not all of them announced.
        Effect { changed: true, read_again: true, ..Effect::NONE }
    }
}
