//! Whom the operator denies and whom he trusts: `ebpf/bpf/lists.h`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use ringroad_ebpf::Lists;

use super::parse::Segment;
use crate::prefix_map::{Prefix, PrefixMap};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Deny,
    Allow,
}

/// One map of each address family; the longest prefix counts.
#[derive(Debug, Default)]
pub(super) struct ListMaps {
    v4: PrefixMap<Listed>,
    v6: PrefixMap<Listed>,
}

impl ListMaps {
    pub(super) fn new(lists: &Lists) -> Self {
        let mut maps = ListMaps::default();
        lists.deny.iter().for_each(|prefix| maps.insert(prefix, Listed::Deny));
        lists.allow.iter().for_each(|prefix| maps.insert(prefix, Listed::Allow));
        maps
    }

    #[inline]
    pub(super) fn listed(&self, segment: &Segment) -> Option<Listed> {
        if segment.is_ipv4() {
            // The last four octets of a mapped address are the IPv4 address.
            let source = Ipv4Addr::from_bits(segment.source as u32);
            self.v4.longest_match(source.into()).copied()
        } else {
            self.v6.longest_match(Ipv6Addr::from_bits(segment.source).into()).copied()
        }
    }

    fn insert(&mut self, prefix: &IpNet, listed: Listed) {
        let map = match prefix.addr() {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        };
        if let Some(prefix) = Prefix::new(prefix.addr(), prefix.prefix_len()) {
            map.insert(prefix, listed);
        }
    }
}
