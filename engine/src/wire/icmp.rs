//! ICMP errors about TCP segments of ours (RFC 792, RFC 4443), with the flow they are about.
//!
//! All other ICMP is the kernel's. An error proves nothing: whoever acts on one checks that the
//! quoted sequence number is in flight (RFC 5927 §4.1).

use std::net::IpAddr;

use super::Malformed;
use super::checksum;
use super::ip::PROTOCOL_TCP;
use super::tcp::SeqNum;
use super::{ipv4, ipv6};

/// The header in front of the quoted packet [octets].
const HEADER_LEN: usize = 8;

/// What of the quoted TCP header is always there (RFC 792): ports and sequence number [octets].
const QUOTED_LEN: usize = 8;

/// An error that a router or the peer reports about a segment that we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    pub kind: IcmpErrorKind,
    /// From the quoted packet.
    pub quoted: QuotedSegment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpErrorKind {
    /// The next hop takes only `mtu` octets. Zero from routers older than RFC 1191; whatever is
    /// said, it is not to be believed below what IPv4 or IPv6 guarantee.
    PacketTooBig { mtu: u32 },
    /// Nobody listens there, or the host speaks no TCP.
    PortUnreachable,
    /// The network or host is not reachable or the packet was filtered; often passing.
    Unreachable { code: u8 },
}

/// The segment that an error is about, as we sent it: the source is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedSegment {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: SeqNum,
}

impl IcmpError {
    /// Reads an ICMP message. `None` if it is no error, or not about TCP.
    ///
    /// # Errors
    /// [`Malformed::IcmpTruncated`] and [`Malformed::IcmpQuote`] for an error that does not tell
    /// what it is about; [`Malformed::IcmpChecksum`] for one about TCP that is damaged.
    pub fn parse_v4(message: &[u8]) -> Result<Option<IcmpError>, Malformed> {
        const DESTINATION_UNREACHABLE: u8 = 3;
        const PROTOCOL_UNREACHABLE: u8 = 2;
        const PORT_UNREACHABLE: u8 = 3;
        const FRAGMENTATION_NEEDED: u8 = 4;

        if message.first() != Some(&DESTINATION_UNREACHABLE) {
            return Ok(None);
        }
        let ([_, code, _, _, _, _, mtu_high, mtu_low], quoted) =
            message.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::IcmpTruncated)?;
        let packet = ipv4::Quoted::parse(quoted)?;
        if packet.protocol != PROTOCOL_TCP || packet.is_later_fragment {
            return Ok(None);
        }
        if checksum::sum(message) != 0xffff {
            return Err(Malformed::IcmpChecksum);
        }
        let kind = match *code {
            // RFC 1191 §4.
            FRAGMENTATION_NEEDED => IcmpErrorKind::PacketTooBig {
                mtu: u32::from(u16::from_be_bytes([*mtu_high, *mtu_low])),
            },
            PROTOCOL_UNREACHABLE | PORT_UNREACHABLE => IcmpErrorKind::PortUnreachable,
            code => IcmpErrorKind::Unreachable { code },
        };
        let segment = quoted.get(packet.header_len..).unwrap_or_default();
        let addresses = (packet.source.into(), packet.destination.into());
        Ok(Some(IcmpError { kind, quoted: QuotedSegment::parse(addresses, segment)? }))
    }

    /// As [`IcmpError::parse_v4`], for ICMPv6, whose checksum covers `pseudo_header` too: the sum
    /// from [`checksum::pseudo_header_v6`] with [`super::ip::PROTOCOL_ICMPV6`].
    ///
    /// # Errors
    /// As [`IcmpError::parse_v4`].
    pub fn parse_v6(message: &[u8], pseudo_header: u16) -> Result<Option<IcmpError>, Malformed> {
        const DESTINATION_UNREACHABLE: u8 = 1;
        const PACKET_TOO_BIG: u8 = 2;
        const PORT_UNREACHABLE: u8 = 4;

        let Some(&(DESTINATION_UNREACHABLE | PACKET_TOO_BIG)) = message.first() else {
            return Ok(None);
        };
        let ([kind, code, _, _, mtu @ ..], quoted) =
            message.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::IcmpTruncated)?;
        let kind = match (*kind, *code) {
            // RFC 4443 §3.2: the code is ignored.
            (PACKET_TOO_BIG, _) => IcmpErrorKind::PacketTooBig { mtu: u32::from_be_bytes(*mtu) },
            (_, PORT_UNREACHABLE) => IcmpErrorKind::PortUnreachable,
            (_, code) => IcmpErrorKind::Unreachable { code },
        };
        let packet = ipv6::Ipv6Header::parse_quoted(quoted).ok_or(Malformed::IcmpTruncated)?;
        if !ipv6::is_version_6(quoted) {
            return Err(Malformed::IcmpQuote);
        }
        // We send no extension headers, so that one behind them is no segment of ours.
        if packet.next_header != PROTOCOL_TCP {
            return Ok(None);
        }
        let pseudo_header = checksum::with_length(pseudo_header, message.len());
        if checksum::combine(pseudo_header, checksum::sum(message)) != 0xffff {
            return Err(Malformed::IcmpChecksum);
        }
        let segment = quoted.get(ipv6::HEADER_LEN..).unwrap_or_default();
        let addresses = (packet.source.into(), packet.destination.into());
        Ok(Some(IcmpError { kind, quoted: QuotedSegment::parse(addresses, segment)? }))
    }
}

impl QuotedSegment {
    fn parse(addresses: (IpAddr, IpAddr), segment: &[u8]) -> Result<QuotedSegment, Malformed> {
        let [s0, s1, d0, d1, n0, n1, n2, n3] =
            *segment.first_chunk::<QUOTED_LEN>().ok_or(Malformed::IcmpTruncated)?;
        Ok(QuotedSegment {
            source: addresses.0,
            destination: addresses.1,
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            sequence: SeqNum(u32::from_be_bytes([n0, n1, n2, n3])),
        })
    }
}

#[cfg(test)]
mod tests;
