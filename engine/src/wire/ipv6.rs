//! IPv6 headers (RFC 8200 §3) as values, and the way past extension headers.

use std::net::Ipv6Addr;

use super::Malformed;
use super::ip::{Dscp, Ecn, HOP_LIMIT};
use crate::limits::IPV6_EXTENSIONS_MAX;

/// The fixed header [octets].
pub const HEADER_LEN: usize = 40;

/// Largest flow label: 20 bits.
pub const FLOW_LABEL_MAX: u32 = 0xf_ffff;

/// Extension headers that are skipped if nothing in them asks for anything (RFC 8200 §4).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Options that only pad (RFC 8200 §4.2).
const PAD_1: u8 = 0;
const PAD_N: u8 = 1;

/// An IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Header {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub next_header: u8,
    pub dscp: Dscp,
    pub ecn: Ecn,
    /// At most [`FLOW_LABEL_MAX`].
    pub flow_label: u32,
    /// What follows the header, extension headers included [octets].
    pub payload_len: u16,
}

impl Ipv6Header {
    /// Reads the fixed header at the start of `packet`, which may be followed by padding.
    ///
    /// # Errors
    /// The `Ipv6…` reasons of [`Malformed`].
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<Ipv6Header, Malformed> {
        let header = Ipv6Header::parse_quoted(packet).ok_or(Malformed::Ipv6Truncated)?;
        if !is_version_6(packet) {
            return Err(Malformed::Ipv6Version);
        }
        if usize::from(header.payload_len) > packet.len() - HEADER_LEN {
            return Err(Malformed::Ipv6PayloadLength);
        }
        Ok(header)
    }

    /// Reads the header of a packet of which an ICMP error quotes only the beginning. `None` if
    /// the header itself is cut off.
    #[inline]
    pub(super) fn parse_quoted(packet: &[u8]) -> Option<Ipv6Header> {
        let (fixed, addresses) = packet.first_chunk::<HEADER_LEN>()?.split_first_chunk::<8>()?;
        let [f0, f1, f2, f3, l0, l1, next_header, _] = *fixed;
        let (source, destination) = addresses.split_first_chunk::<16>()?;
        let destination = destination.first_chunk::<16>()?;
        let first_word = u32::from_be_bytes([f0, f1, f2, f3]);
        let traffic_class = (first_word >> 20) as u8;
        Some(Ipv6Header {
            source: Ipv6Addr::from(*source),
            destination: Ipv6Addr::from(*destination),
            next_header,
            dscp: Dscp::from_traffic_class(traffic_class),
            ecn: Ecn::from_traffic_class(traffic_class),
            flow_label: first_word & FLOW_LABEL_MAX,
            payload_len: u16::from_be_bytes([l0, l1]),
        })
    }

    /// Writes the header.
    #[inline]
    pub fn emit(&self, out: &mut [u8; HEADER_LEN]) {
        let traffic_class = u32::from(self.dscp.traffic_class(self.ecn));
        let first_word = 6 << 28 | traffic_class << 20 | self.flow_label & FLOW_LABEL_MAX;
        out[0..4].copy_from_slice(&first_word.to_be_bytes());
        out[4..6].copy_from_slice(&self.payload_len.to_be_bytes());
        out[6] = self.next_header;
        out[7] = HOP_LIMIT;
        out[8..24].copy_from_slice(&self.source.octets());
        out[24..40].copy_from_slice(&self.destination.octets());
    }

    /// Finds the transport header in `payload`, what follows the fixed header: its protocol, and
    /// where it starts in `payload` [octets].
    ///
    /// `None` for what the kernel has to look at: fragments, options that are more than padding,
    /// a routing header that is not used up, hop-by-hop options in another than the first place,
    /// and more than [`IPV6_EXTENSIONS_MAX`] headers. A header that is unknown here ends the
    /// search as if it were a transport.
    ///
    /// # Errors
    /// [`Malformed::Ipv6ExtensionTruncated`].
    #[inline]
    pub fn transport(&self, payload: &[u8]) -> Result<Option<(u8, usize)>, Malformed> {
        match self.next_header {
            HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS => self.skip_extensions(payload),
            transport => Ok(Some((transport, 0))),
        }
    }

    fn skip_extensions(&self, payload: &[u8]) -> Result<Option<(u8, usize)>, Malformed> {
        let (mut kind, mut at) = (self.next_header, 0);
        for _ in 0..IPV6_EXTENSIONS_MAX {
            if kind == FRAGMENT || (kind == HOP_BY_HOP && at != 0) {
                return Ok(None);
            }
            let rest = payload.get(at..).unwrap_or_default();
            let [next, length, ..] = *rest else {
                return Err(Malformed::Ipv6ExtensionTruncated);
            };
            let length = (usize::from(length) + 1) * 8;
            let body = rest.get(2..length).ok_or(Malformed::Ipv6ExtensionTruncated)?;
            let is_idle = match kind {
                // RFC 8200 §4.4: behind the type stands how many segments are left.
                ROUTING => body.get(1) == Some(&0),
                _ => is_only_padding(body),
            };
            if !is_idle {
                return Ok(None);
            }
            (kind, at) = (next, at + length);
            if !matches!(kind, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS) {
                return Ok(Some((kind, at)));
            }
        }
        Ok(None)
    }
}

/// Whether the version field says so.
#[inline]
pub(super) fn is_version_6(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first >> 4 == 6)
}

/// Whether a list of options holds nothing but padding.
fn is_only_padding(mut options: &[u8]) -> bool {
    loop {
        match options {
            [] => return true,
            [PAD_1, rest @ ..] => options = rest,
            [PAD_N, length, rest @ ..] => match rest.get(usize::from(*length)..) {
                Some(rest) => options = rest,
                None => return false,
            },
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2001:db8::1 to 2001:db8::2, TCP, 4 octets of payload.
    const PACKET: [u8; 44] = [
        0x6b, 0xa1, 0x23, 0x45, 0x00, 0x04, 0x06, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0xde,
        0xad, 0xbe, 0xef,
    ];

    fn header() -> Ipv6Header {
        Ipv6Header {
            source: "2001:db8::1".parse().expect("an address"),
            destination: "2001:db8::2".parse().expect("an address"),
            next_header: 6,
            dscp: Dscp::new(46).expect("six bits"),
            ecn: Ecn::Capable0,
            flow_label: 0x1_2345,
            payload_len: 4,
        }
    }

    fn transport_of(next_header: u8, payload: &[u8]) -> Result<Option<(u8, usize)>, Malformed> {
        Ipv6Header { next_header, ..header() }.transport(payload)
    }

    #[test]
    fn a_header_is_read_and_written() {
        assert_eq!(Ipv6Header::parse(&PACKET), Ok(header()));
        let mut out = [0xee; HEADER_LEN];
        header().emit(&mut out);
        assert_eq!(out, PACKET[..40]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut bytes = PACKET;
        bytes[0] = 0x40;
        assert_eq!(Ipv6Header::parse(&bytes), Err(Malformed::Ipv6Version));
        for length in 0..PACKET.len() {
            let expected =
                if length < 40 { Malformed::Ipv6Truncated } else { Malformed::Ipv6PayloadLength };
            assert_eq!(Ipv6Header::parse(&PACKET[..length]), Err(expected), "{length} octets");
        }
    }

    #[test]
    fn idle_extension_headers_are_skipped() {
        let padded = |next| [next, 0, PAD_N, 4, 0, 0, 0, 0];
        let routing = |next, segments_left| [next, 0, 4, segments_left, 0, 0, 0, 0];
        let chain = |parts: &[[u8; 8]]| parts.concat();
        let cases = [
            ("none", 6, chain(&[]), Some((6, 0))),
            ("hop-by-hop", HOP_BY_HOP, chain(&[padded(6)]), Some((6, 8))),
            ("destination options", DESTINATION_OPTIONS, chain(&[padded(17)]), Some((17, 8))),
            ("used-up routing", ROUTING, chain(&[routing(6, 0)]), Some((6, 8))),
            ("routing", ROUTING, chain(&[routing(6, 1)]), None),
            ("fragment", FRAGMENT, chain(&[padded(6)]), None),
            ("fragment behind", HOP_BY_HOP, chain(&[padded(FRAGMENT), padded(6)]), None),
            ("router alert", HOP_BY_HOP, chain(&[[6, 0, 5, 2, 0, 0, PAD_N, 0]]), None),
            ("padding too long", HOP_BY_HOP, chain(&[[6, 0, PAD_N, 5, 0, 0, 0, 0]]), None),
            ("hop-by-hop second", ROUTING, chain(&[routing(HOP_BY_HOP, 0), padded(6)]), None),
            (
                "all three",
                HOP_BY_HOP,
                chain(&[padded(DESTINATION_OPTIONS), padded(ROUTING), routing(6, 0)]),
                Some((6, 24)),
            ),
        ];
        for (what, next_header, payload, expected) in cases {
            assert_eq!(transport_of(next_header, &payload), Ok(expected), "{what}");
        }
    }

    #[test]
    fn a_chain_without_end_is_left_to_the_kernel() {
        let link = [DESTINATION_OPTIONS, 0, PAD_N, 4, 0, 0, 0, 0];
        let chain = link.repeat(IPV6_EXTENSIONS_MAX + 10);
        assert_eq!(transport_of(DESTINATION_OPTIONS, &chain), Ok(None));
    }

    #[test]
    fn a_truncated_extension_is_named() {
        let extension = [6, 1, PAD_N, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(transport_of(HOP_BY_HOP, &extension), Ok(Some((6, 16))));
        for length in 0..extension.len() {
            let reason = transport_of(HOP_BY_HOP, &extension[..length]);
            assert_eq!(reason, Err(Malformed::Ipv6ExtensionTruncated), "{length} octets");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            addresses in any::<(u128, u128)>(),
            (next_header, traffic_class) in any::<(u8, u8)>(),
            flow_label in 0..=FLOW_LABEL_MAX,
            payload_len in 0_u16..2000,
        ) {
            let header = Ipv6Header {
                source: addresses.0.into(),
                destination: addresses.1.into(),
                next_header,
                dscp: Dscp::from_traffic_class(traffic_class),
                ecn: Ecn::from_traffic_class(traffic_class),
                flow_label,
                payload_len,
            };
            let mut bytes = vec![0; HEADER_LEN + usize::from(payload_len)];
            header.emit(bytes.first_chunk_mut().expect("room"));
            prop_assert_eq!(Ipv6Header::parse(&bytes), Ok(header));
        }
    }
}
