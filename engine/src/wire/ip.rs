//! What IPv4 and IPv6 have in common.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Protocol numbers, in IPv4's protocol field and IPv6's next header.
pub const PROTOCOL_ICMP: u8 = 1;
pub const PROTOCOL_TCP: u8 = 6;
pub const PROTOCOL_ICMPV6: u8 = 58;

/// Hops that a packet of ours may take: Linux's default, and what RFC 1700 recommends.
pub const HOP_LIMIT: u8 = 64;

/// The ECN field (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// The sender does not understand congestion marks.
    #[default]
    NotCapable = 0b00,
    /// ECT(1): capable, with an L4S sender (RFC 9331).
    Capable1 = 0b01,
    /// ECT(0): capable.
    Capable0 = 0b10,
    /// CE: a router marked it instead of dropping it.
    CongestionExperienced = 0b11,
}

impl Ecn {
    /// From the two low bits of IPv4's type of service or IPv6's traffic class.
    #[inline]
    pub const fn from_traffic_class(traffic_class: u8) -> Ecn {
        match traffic_class & 0b11 {
            0b00 => Ecn::NotCapable,
            0b01 => Ecn::Capable1,
            0b10 => Ecn::Capable0,
            _ => Ecn::CongestionExperienced,
        }
    }
}

/// The differentiated services code point (RFC 2474 §3), six bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dscp(u8);

impl Dscp {
    /// `None` for more than six bits.
    #[inline]
    pub const fn new(code_point: u8) -> Option<Dscp> {
        if code_point < 64 { Some(Dscp(code_point)) } else { None }
    }

    /// From the six high bits of IPv4's type of service or IPv6's traffic class.
    #[inline]
    pub const fn from_traffic_class(traffic_class: u8) -> Dscp {
        Dscp(traffic_class >> 2)
    }

    #[inline]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The octet that holds both.
    #[inline]
    pub const fn traffic_class(self, ecn: Ecn) -> u8 {
        self.0 << 2 | ecn as u8
    }
}

/// Whether a packet that came from a network may have this source. Linux refuses the others too.
#[inline]
pub const fn is_valid_source_v4(source: Ipv4Addr) -> bool {
    // RFC 1122 §3.2.1.3.
    !(source.is_unspecified()
        || source.is_loopback()
        || source.is_multicast()
        || source.is_broadcast())
}

/// As [`is_valid_source_v4`], for IPv6.
#[inline]
pub const fn is_valid_source_v6(source: Ipv6Addr) -> bool {
    // RFC 4291 §2.5.2, §2.5.3 and §2.7; an IPv4-mapped address belongs in programs, not packets.
    !(source.is_unspecified()
        || source.is_loopback()
        || source.is_multicast()
        || source.to_ipv4_mapped().is_some())
}
