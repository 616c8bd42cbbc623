//! Neighbours: the Ethernet addresses that Linux found by ARP and NDP.

use std::net::IpAddr;
use std::sync::Arc;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};

use super::routes::Effect;
use crate::limits::NEIGHBOURS_MAX;
use crate::prefix_map::{Prefix, PrefixMap};
use crate::wire::ethernet::MacAddr;

/// A host on one of our links: the key of a neighbour entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// The link it is on, as Linux names it; for a VLAN the VLAN device.
    pub ifindex: u32,
    pub address: IpAddr,
}

/// What Linux knows of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Linux is asking, or was never told to.
    Unknown,
    /// Usable.
    Known {
        mac: MacAddr,
        /// Not heard of for a while: good to use, but Linux will drop it if nobody does.
        stale: bool,
    },
    /// Linux asked and nobody answered.
    Failed,
}

impl Standing {
    /// Whether a packet would be sent differently.
    fn differs(self, other: Standing) -> bool {
        match (self, other) {
            (Standing::Known { mac, .. }, Standing::Known { mac: other, .. }) => mac != other,
            _ => self != other,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    ifindex: u32,
    standing: Standing,
}

/// All neighbours, by address and then by link.
#[derive(Clone, Debug, Default)]
pub(super) struct Neighbours {
    v4: PrefixMap<Arc<[Entry]>>,
    v6: PrefixMap<Arc<[Entry]>>,
}

impl Neighbours {
    pub(super) fn get(&self, next_hop: NextHop) -> Standing {
        let map = if next_hop.address.is_ipv4() { &self.v4 } else { &self.v6 };
        map.get(Prefix::host(next_hop.address))
            .and_then(|entries| entries.iter().find(|entry| entry.ifindex == next_hop.ifindex))
            .map_or(Standing::Unknown, |entry| entry.standing)
    }

    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Takes in what Linux says of a neighbour; `None` forgets it.
    pub(super) fn set(&mut self, next_hop: NextHop, standing: Option<Standing>) -> Effect {
        let before = self.get(next_hop);
        let full = self.len() >= NEIGHBOURS_MAX;
        let map = if next_hop.address.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let host = Prefix::host(next_hop.address);
        let known = map.get(host);
        if standing == Some(before) || (known.is_none() && standing.is_none()) {
            return Effect::NONE;
        }
        if full && known.is_none() {
            return Effect::REFUSED;
        }
        let others = known.into_iter().flat_map(|entries| entries.iter().copied());
        let entries: Arc<[Entry]> = others
            .filter(|entry| entry.ifindex != next_hop.ifindex)
            .chain(standing.map(|standing| Entry { ifindex: next_hop.ifindex, standing }))
            .collect();
        if entries.is_empty() {
            map.remove(host);
        } else {
            map.insert(host, entries);
        }
        match standing {
            Some(after) if !before.differs(after) => Effect::NONE,
            None if before == Standing::Unknown => Effect::NONE,
            _ => Effect::CHANGED,
        }
    }
}

/// Which neighbour a message speaks of, and what it says; `None` if it does not concern us
/// (a bridge's forwarding entry, an address that Linux answers for on another's behalf).
pub(super) fn learn(message: &NeighbourMessage) -> Option<(NextHop, Standing)> {
    let header = &message.header;
    if !matches!(header.family, AddressFamily::Inet | AddressFamily::Inet6)
        || header.flags.contains(NeighbourFlags::Proxy)
    {
        return None;
    }
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                address = Some(IpAddr::V4(*v4));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                address = Some(IpAddr::V6(*v6));
            }
            NeighbourAttribute::LinkLocalAddress(octets) => {
                mac = octets.as_slice().try_into().ok().map(MacAddr);
            }
            _ => {}
        }
    }
    let standing = match (header.state, mac) {
        (NeighbourState::Failed, _) => Standing::Failed,
        (NeighbourState::Stale, Some(mac)) => Standing::Known { mac, stale: true },
        (
            NeighbourState::Reachable
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Noarp
            | NeighbourState::Permanent,
            Some(mac),
        ) => Standing::Known { mac, stale: false },
        _ => Standing::Unknown,
    };
    Some((NextHop { ifindex: header.ifindex, address: address? }, standing))
}
