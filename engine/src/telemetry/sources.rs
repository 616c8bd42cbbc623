//! Who opens connections.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::SpaceSaving;
use crate::limits::SOURCES_COUNTED;

/// Whom a client is taken for: its address, or what is one customer's of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(IpAddr);

impl Source {
    pub fn of(client: IpAddr) -> Self {
        Source(match client {
            IpAddr::V4(_) => client,
            IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & SUBNET_MASK).into(),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(subnet) => write!(f, "{subnet}/{SUBNET_BITS}"),
        }
    }
}

/// Clients by the connections that they opened.
pub type Sources = SpaceSaving<Source>;

impl Sources {
    /// For one core.
    pub fn of_core() -> Self {
        Sources::new(SOURCES_COUNTED)
    }
}

const SUBNET_BITS: u32 = 64;
const SUBNET_MASK: u128 = u128::MAX << (u128::BITS - SUBNET_BITS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_is_one_source() {
        let source = |address: &str| Source::of(address.parse().unwrap());
        assert_eq!(source("10.0.0.1").to_string(), "10.0.0.1");
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
        assert_eq!(source("2001:db8:1:2:3::4").to_string(), "2001:db8:1:2::/64");
        assert_eq!(source("2001:db8:1:2:3::4"), source("2001:db8:1:2:ffff::"));
        assert_ne!(source("2001:db8:1:2::"), source("2001:db8:1:3::"));
    }
}
