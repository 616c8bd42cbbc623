//! From the frame to the connection that it belongs to: `ebpf/bpf/parse.h`, line by line. Every
//! length is checked against the frame and against the lengths around it; checksums are the
//! worker's to verify.

use std::net::SocketAddr;

use ringroad_ebpf::Verdict;

use crate::flow::FlowKey;
use crate::limits::IPV6_EXTENSIONS_MAX;
use crate::wire::ethernet::EtherType;
use crate::wire::ip::{PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP};

/// A segment, or the one that an ICMP error is about, and whose it is: address and TCP port of both
/// ends. IPv4 addresses are mapped.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    pub(super) local: (u128, u16),
    pub(super) remote: (u128, u16),
    /// Who sent the packet: the connection's other end, or whoever had an error to report.
    pub(super) source: u128,
    /// TCP's; an ICMP error has none.
    pub(super) flags: Option<u8>,
    /// TCP's header; nothing for an ICMP error.
    pub(super) tcp: &'a [u8],
}

impl Segment<'_> {
    /// One without a header.
    pub(super) fn between(local: SocketAddr, remote: SocketAddr) -> Self {
        let (local, remote) = (super::local(local), super::local(remote));
        Segment { local, remote, source: remote.0, flags: None, tcp: &[] }
    }

    #[inline]
    pub(super) fn is_new_connection(&self) -> bool {
        self.flags.is_some_and(|flags| flags & (SYN | ACK | RST) == SYN)
    }

    /// Told by our address: a mapped one in an IPv6 header is never taken for ours.
    #[inline]
    pub(super) fn is_ipv4(&self) -> bool {
        is_mapped(self.local.0)
    }

    #[inline]
    pub(super) fn flow(&self) -> FlowKey {
        let octets = |(address, port): (u128, u16)| (address.to_be_bytes(), port);
        FlowKey::from_ipv6(octets(self.local), octets(self.remote))
    }
}

/// Why a frame has no segment that could be told whose it is.
#[derive(Debug)]
pub(super) enum NoSegment {
    /// It has a fragment of TCP, to this address.
    Fragment(u128),
    Other(Verdict),
}

impl From<Verdict> for NoSegment {
    fn from(verdict: Verdict) -> Self {
        NoSegment::Other(verdict)
    }
}

/// Reads a frame.
#[inline]
pub(super) fn parse(frame: &[u8]) -> Result<Segment<'_>, NoSegment> {
    let mut cursor = Cursor(frame);
    match ether_type(&mut cursor).ok_or(Verdict::Malformed)? {
        EtherType::IPV4 => parse_ipv4(cursor),
        EtherType::IPV6 => parse_ipv6(cursor),
        _ => Err(Verdict::NotOurs.into()),
    }
}

/// What is left of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next octets, if they are all there.
    #[inline]
    pub(super) fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    pub(super) fn skip(&mut self, octets: usize) -> Option<()> {
        self.0 = self.0.get(octets..)?;
        Some(())
    }
}

/// Reads the Ethernet header with its tags: one, of 802.1Q or 802.1ad, and one of 802.1Q more behind
/// it. Others are Linux's to untangle.
#[inline]
pub(super) fn ether_type(cursor: &mut Cursor<'_>) -> Option<EtherType> {
    let [.., t0, t1] = *cursor.take::<14>()?;
    let untagged = EtherType(u16::from_be_bytes([t0, t1]));
    if !untagged.is_tag() {
        return Some(untagged);
    }
    let outer = behind_tag(cursor)?;
    if outer == EtherType::VLAN { behind_tag(cursor) } else { Some(outer) }
}

#[inline]
fn behind_tag(cursor: &mut Cursor<'_>) -> Option<EtherType> {
    let [_, _, t0, t1] = *cursor.take::<4>()?;
    Some(EtherType(u16::from_be_bytes([t0, t1])))
}

#[inline]
fn parse_ipv4(mut cursor: Cursor<'_>) -> Result<Segment<'_>, NoSegment> {
    let octets = cursor.0.len();
    let ip = cursor.take::<20>().ok_or(Verdict::Malformed)?;
    let header_octets = usize::from(ip[0] & 0x0f) * 4;
    let total_octets = usize::from(u16_at(ip, 2));
    if ip[0] >> 4 != 4
        || header_octets < ip.len()
        || total_octets < header_octets
        || total_octets > octets
    {
        return Err(Verdict::Malformed.into());
    }
    let protocol = ip[9];
    if protocol != PROTOCOL_TCP && protocol != PROTOCOL_ICMP {
        return Err(Verdict::NotOurs.into());
    }
    let (source, destination) = (ipv4_at(ip, 12), ipv4_at(ip, 16));
    if u16_at(ip, 6) & IPV4_FRAGMENT_MASK != 0 {
        return Err(fragment(protocol, destination));
    }
    cursor.skip(header_octets - ip.len()).ok_or(Verdict::Malformed)?;

    if protocol == PROTOCOL_ICMP {
        return Ok(parse_icmpv4(cursor, source).ok_or(Verdict::NotOurs)?);
    }
    Ok(parse_tcp(cursor, total_octets - header_octets, source, destination)?)
}

#[inline]
fn parse_ipv6(mut cursor: Cursor<'_>) -> Result<Segment<'_>, NoSegment> {
    let ip = cursor.take::<40>().ok_or(Verdict::Malformed)?;
    let mut payload_octets = usize::from(u16_at(ip, 4));
    if ip[0] >> 4 != 6 || payload_octets > cursor.0.len() {
        return Err(Verdict::Malformed.into());
    }
    let (source, destination) = (ipv6_at(ip, 8), ipv6_at(ip, 24));
    // It would be taken for the IPv4 address in it. It has no business on a wire (RFC 4942 §2.2).
    if is_mapped(destination) {
        return Err(Verdict::NotOurs.into());
    }
    let next = skip_extensions(&mut cursor, ip[6], &mut payload_octets);
    let segment = match next.ok_or(Verdict::Malformed)? {
        PROTOCOL_TCP => parse_tcp(cursor, payload_octets, source, destination),
        PROTOCOL_ICMPV6 => parse_icmpv6(cursor, source).ok_or(Verdict::NotOurs),
        FRAGMENT => {
            let header = cursor.take::<8>().ok_or(Verdict::Fragment)?;
            return Err(fragment(header[0], destination));
        }
        HOP_BY_HOP | ROUTING | AUTHENTICATION | DESTINATION_OPTIONS => Err(Verdict::Extension),
        _ => Err(Verdict::NotOurs),
    };
    Ok(segment?)
}

/// A fragment of a packet of `protocol`.
fn fragment(protocol: u8, destination: u128) -> NoSegment {
    match protocol {
        PROTOCOL_TCP => NoSegment::Fragment(destination),
        _ => NoSegment::Other(Verdict::Fragment),
    }
}

/// Skips the simple extension headers, and says what follows them. `None`: they do not fit into
/// what is left of the packet's payload.
#[inline]
pub(super) fn skip_extensions(
    cursor: &mut Cursor<'_>,
    first: u8,
    payload_octets: &mut usize,
) -> Option<u8> {
    let mut next = first;
    for _ in 0..IPV6_EXTENSIONS_MAX {
        if next != HOP_BY_HOP && next != DESTINATION_OPTIONS {
            break;
        }
        let [following, length] = *cursor.0.first_chunk::<2>()?;
        // Beyond the first eight octets, in eights (RFC 8200 §4.3).
        let octets = (usize::from(length) + 1) * 8;
        *payload_octets = payload_octets.checked_sub(octets)?;
        cursor.skip(octets)?;
        next = following;
    }
    Some(next)
}

/// A whole TCP header that fits into `octets`, what the IP header leaves for it.
#[inline]
fn parse_tcp(
    mut cursor: Cursor<'_>,
    octets: usize,
    source: u128,
    destination: u128,
) -> Result<Segment<'_>, Verdict> {
    let segment = cursor.0;
    let tcp = cursor.take::<20>().ok_or(Verdict::Malformed)?;
    let header_octets = usize::from(tcp[12] >> 4) * 4;
    if header_octets < tcp.len() || header_octets > octets {
        return Err(Verdict::Malformed);
    }
    Ok(Segment {
        local: (destination, u16_at(tcp, 2)),
        remote: (source, u16_at(tcp, 0)),
        source,
        flags: Some(tcp[13]),
        tcp: segment.get(..header_octets).ok_or(Verdict::Malformed)?,
    })
}

/// `None`: nothing about a segment of ours.
fn parse_icmpv4(mut cursor: Cursor<'_>, source: u128) -> Option<Segment<'static>> {
    let icmp = cursor.take::<8>()?;
    let quoted = (icmp[0] == ICMPV4_UNREACHABLE).then(|| cursor.take::<20>())??;
    let header_octets = usize::from(quoted[0] & 0x0f) * 4;
    let is_ours = quoted[0] >> 4 == 4
        && header_octets >= quoted.len()
        && quoted[9] == PROTOCOL_TCP
        && u16_at(quoted, 6) & IPV4_OFFSET_MASK == 0;
    if !is_ours {
        return None;
    }
    cursor.skip(header_octets - quoted.len())?;
    parse_quoted_tcp(cursor, source, (ipv4_at(quoted, 12), ipv4_at(quoted, 16)))
}

fn parse_icmpv6(mut cursor: Cursor<'_>, source: u128) -> Option<Segment<'static>> {
    let icmp = cursor.take::<8>()?;
    let is_about_a_packet = matches!(icmp[0], ICMPV6_UNREACHABLE | ICMPV6_PACKET_TOO_BIG);
    let quoted = is_about_a_packet.then(|| cursor.take::<40>())??;
    let local = ipv6_at(quoted, 8);
    // The engine sends no extension headers, so none are looked for.
    if quoted[0] >> 4 != 6 || quoted[6] != PROTOCOL_TCP || is_mapped(local) {
        return None;
    }
    parse_quoted_tcp(cursor, source, (local, ipv6_at(quoted, 24)))
}

/// The ports of the segment of ours that an ICMP error quotes: we are its source.
fn parse_quoted_tcp(
    mut cursor: Cursor<'_>,
    source: u128,
    (local, remote): (u128, u128),
) -> Option<Segment<'static>> {
    // RFC 792 promises eight octets: ports and sequence number.
    let quoted = cursor.take::<8>()?;
    Some(Segment {
        local: (local, u16_at(quoted, 0)),
        remote: (remote, u16_at(quoted, 2)),
        source,
        flags: None,
        tcp: &[],
    })
}

#[inline]
pub(super) fn u16_at<const N: usize>(octets: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

#[inline]
fn ipv4_at(ip: &[u8; 20], at: usize) -> u128 {
    let address = u32::from_be_bytes([ip[at], ip[at + 1], ip[at + 2], ip[at + 3]]);
    MAPPED_PREFIX << 32 | u128::from(address)
}

#[inline]
fn ipv6_at(ip: &[u8; 40], at: usize) -> u128 {
    let octets = ip[at..].first_chunk::<16>().copied().unwrap_or_default();
    u128::from_be_bytes(octets)
}

#[inline]
pub(super) fn is_mapped(address: u128) -> bool {
    address >> 32 == MAPPED_PREFIX
}

/// Of IPv4 addresses in IPv6 (RFC 4291 §2.5.5.2), shifted to the right.
const MAPPED_PREFIX: u128 = 0xffff;

/// More fragments | offset (RFC 791 §3.1).
pub(super) const IPV4_FRAGMENT_MASK: u16 = 0x3fff;
const IPV4_OFFSET_MASK: u16 = 0x1fff;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;

/// RFC 792, RFC 1191 §4; RFC 4443 §3.1 and §3.2.
const ICMPV4_UNREACHABLE: u8 = 3;
const ICMPV6_UNREACHABLE: u8 = 1;
const ICMPV6_PACKET_TOO_BIG: u8 = 2;
