//! The one entry for a received frame: from bytes to what they mean, or the reason why not.
//!
//! [`parse`] looks at headers only, and never past what arrived. The TCP checksum is verified
//! apart, by [`Packet::verify_tcp_checksum`], because a device may have done it, and because the
//! pass over the payload is best made when its flow is known to be ours.

use std::net::{IpAddr, Ipv4Addr};

use super::Malformed;
use super::checksum;
use super::ethernet::{EtherType, EthernetHeader, MacAddr, VlanTags};
use super::icmp::IcmpError;
use super::ip::{self, Ecn, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP};
use super::ipv4::Ipv4Header;
use super::ipv6::{self, Ipv6Header};
use super::tcp::{CHECKSUM_OFFSET, TcpHeader};
use crate::planted::{self, Fault};

/// A received packet, as far as it concerns us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub source_mac: MacAddr,
    pub destination_mac: MacAddr,
    pub vlans: VlanTags,
    /// Of what follows the Ethernet header and its tags. It tells apart what
    /// [`Transport::Other`] lumps together: ARP, more tags ([`EtherType::is_tag`]) and so on.
    pub ether_type: EtherType,
    /// `0.0.0.0` if this is not IP; then all fields below are zero and the transport is `Other`.
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ecn: Ecn,
    /// Where the transport header starts, from the Ethernet header [octets]. Of a packet that is
    /// left to the kernel it may be that of an extension header.
    pub transport_offset: u16,
    /// Where the IP packet ends [octets]. Ethernet padding lies behind.
    pub end: u16,
    pub transport: Transport,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment, its checksum not yet verified.
    Tcp {
        header: TcpHeader,
        /// From the Ethernet header [octets]; the payload reaches to [`Packet::end`].
        payload_offset: u16,
    },
    /// An error about a segment that we may have sent, its checksum verified.
    IcmpError(IcmpError),
    /// For the kernel: not ours to judge. Fragments are among these.
    Other,
}

/// Reads a frame, from the Ethernet header on.
///
/// # Errors
/// What is wrong with it. Beyond Ethernet and IP, only TCP and ICMP errors about TCP are judged.
#[inline]
pub fn parse(frame: &[u8]) -> Result<Packet, Malformed> {
    // Offsets have 16 bits. No device hands over more; a longer one would be found too short.
    let frame = &frame[..frame.len().min(usize::from(u16::MAX))];
    let (ethernet, ip_offset) = EthernetHeader::parse(frame)?;
    let ip = frame.get(ip_offset..).unwrap_or_default();
    match ethernet.ether_type {
        EtherType::IPV4 => parse_ipv4(&ethernet, ip_offset, ip),
        EtherType::IPV6 => parse_ipv6(&ethernet, ip_offset, ip),
        _ => Ok(Packet {
            source_mac: ethernet.source,
            destination_mac: ethernet.destination,
            vlans: ethernet.vlans,
            ether_type: ethernet.ether_type,
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ecn: Ecn::NotCapable,
            transport_offset: 0,
            end: 0,
            transport: Transport::Other,
        }),
    }
}

#[inline]
fn parse_ipv4(
    ethernet: &EthernetHeader,
    ip_offset: usize,
    packet: &[u8],
) -> Result<Packet, Malformed> {
    let (ip, header_len) = Ipv4Header::parse(packet)?;
    let transport_offset = ip_offset + header_len;
    let end = transport_offset + usize::from(ip.payload_len);
    let message = packet.get(header_len..end - ip_offset).ok_or(Malformed::Ipv4TotalLength)?;
    let mut received = Packet {
        source_mac: ethernet.source,
        destination_mac: ethernet.destination,
        vlans: ethernet.vlans,
        ether_type: ethernet.ether_type,
        source: IpAddr::V4(ip.source),
        destination: IpAddr::V4(ip.destination),
        ecn: ip.ecn,
        transport_offset: transport_offset as u16,
        end: end as u16,
        transport: Transport::Other,
    };
    if !ip.is_fragment {
        match ip.protocol {
            PROTOCOL_TCP => {
                check_source(ip::is_valid_source_v4(ip.source))?;
                parse_tcp(
                    &mut received.transport,
                    message,
                    transport_offset,
                    ip.source == ip.destination,
                )?;
            }
            PROTOCOL_ICMP => {
                if let Some(error) = IcmpError::parse_v4(message)? {
                    check_source(ip::is_valid_source_v4(ip.source))?;
                    received.transport = about_us(error, ip.destination.into());
                }
            }
            _ => {}
        }
    }
    Ok(received)
}

#[inline]
fn parse_ipv6(
    ethernet: &EthernetHeader,
    ip_offset: usize,
    packet: &[u8],
) -> Result<Packet, Malformed> {
    let ip = Ipv6Header::parse(packet)?;
    let payload_offset = ip_offset + ipv6::HEADER_LEN;
    let end = payload_offset + usize::from(ip.payload_len);
    let payload =
        packet.get(ipv6::HEADER_LEN..end - ip_offset).ok_or(Malformed::Ipv6PayloadLength)?;
    let (protocol, skipped) = match ip.transport(payload)? {
        Some((protocol, skipped)) => (Some(protocol), skipped),
        None => (None, 0),
    };
    let message = payload.get(skipped..).ok_or(Malformed::Ipv6ExtensionTruncated)?;
    let transport_offset = payload_offset + skipped;
    let mut received = Packet {
        source_mac: ethernet.source,
        destination_mac: ethernet.destination,
        vlans: ethernet.vlans,
        ether_type: ethernet.ether_type,
        source: IpAddr::V6(ip.source),
        destination: IpAddr::V6(ip.destination),
        ecn: ip.ecn,
        transport_offset: transport_offset as u16,
        end: end as u16,
        transport: Transport::Other,
    };
    match protocol {
        Some(PROTOCOL_TCP) => {
            check_source(ip::is_valid_source_v6(ip.source))?;
            parse_tcp(
                &mut received.transport,
                message,
                transport_offset,
                ip.source == ip.destination,
            )?;
        }
        Some(PROTOCOL_ICMPV6) => {
            let pseudo_header =
                checksum::pseudo_header_v6(ip.source, ip.destination, PROTOCOL_ICMPV6);
            if let Some(error) = IcmpError::parse_v6(message, pseudo_header)? {
                check_source(ip::is_valid_source_v6(ip.source))?;
                received.transport = about_us(error, ip.destination.into());
            }
        }
        _ => {}
    }
    Ok(received)
}

/// Reads a segment into `transport`: in place, because a header is large enough that moving it
/// from hand to hand would cost more than reading it.
#[inline(always)]
fn parse_tcp(
    transport: &mut Transport,
    segment: &[u8],
    transport_offset: usize,
    is_same_address: bool,
) -> Result<(), Malformed> {
    *transport = Transport::Tcp { header: TcpHeader::default(), payload_offset: 0 };
    let Transport::Tcp { header, payload_offset } = transport else { return Ok(()) };
    let header_len = header.read(segment)?;
    *payload_offset = (transport_offset + header_len) as u16;
    if header.source_port == 0 || header.destination_port == 0 {
        return Err(Malformed::TcpPortZero);
    }
    if is_same_address && header.source_port == header.destination_port {
        return Err(Malformed::TcpLand);
    }
    header.flags.check()
}

#[inline]
fn check_source(is_valid: bool) -> Result<(), Malformed> {
    if is_valid { Ok(()) } else { Err(Malformed::IpSource) }
}

/// An error is sent to the source of the packet it is about; any other is not about a segment of
/// the host that it reached.
fn about_us(error: IcmpError, destination: IpAddr) -> Transport {
    if error.quoted.source == destination { Transport::IcmpError(error) } else { Transport::Other }
}

/// A segment and the sums over its parts, the payload's left out.
struct TcpParts<'a> {
    /// Of the pseudo-header, with the length.
    pseudo_header_sum: u16,
    header: &'a [u8],
    payload: &'a [u8],
}

impl Packet {
    /// Verifies the TCP checksum of the frame that this packet was parsed from, in one pass, and
    /// returns the sum of its payload (see [`crate::tcp::Chunk::sum`]): exactly what
    /// [`checksum::sum`] gives for it. Zero for what is not TCP: there is nothing to verify.
    ///
    /// # Errors
    /// [`Malformed::TcpChecksum`]; [`Malformed::TcpChecksumNotFilledIn`] if the field holds what a
    /// sender leaves there for a device to complete; [`Malformed::TcpTruncated`] if `frame` is
    /// another, shorter one.
    #[inline]
    pub fn verify_tcp_checksum(&self, frame: &[u8]) -> Result<u16, Malformed> {
        let Some(parts) = self.tcp_parts(frame)? else { return Ok(0) };
        let payload_sum = checksum::sum(parts.payload);
        let header_sum = checksum::combine(parts.pseudo_header_sum, checksum::sum(parts.header));
        // A pseudo-header is never all zeros, so that a sum of zero is always 0xffff here.
        if checksum::combine(header_sum, payload_sum) == 0xffff
            || planted::is(Fault::ChecksumNotVerified)
        {
            return Ok(payload_sum);
        }
        let field = parts.header.get(CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2).unwrap_or_default();
        if checksum::same(checksum::sum(field), parts.pseudo_header_sum) {
            return Err(Malformed::TcpChecksumNotFilledIn);
        }
        Err(Malformed::TcpChecksum)
    }

    /// The sum of the payload, for a device that has verified the checksum already: derived from
    /// the headers, without touching the payload.
    ///
    /// It is [`checksum::same`] as what [`Packet::verify_tcp_checksum`] returns, but a payload of
    /// nothing but zeros, or none, may have `0xffff` for `0x0000`. Either gives the same checksum
    /// when the payload is sent on, because the pseudo-header there is never all zeros.
    ///
    /// # Errors
    /// [`Malformed::TcpTruncated`] if `frame` is another, shorter one.
    #[inline]
    pub fn derive_payload_sum(&self, frame: &[u8]) -> Result<u16, Malformed> {
        let Some(parts) = self.tcp_parts(frame)? else { return Ok(0) };
        let header_sum = checksum::combine(parts.pseudo_header_sum, checksum::sum(parts.header));
        // All together is a zero, 0xffff.
        Ok(checksum::subtract(0xffff, header_sum))
    }

    #[inline]
    fn tcp_parts<'a>(&self, frame: &'a [u8]) -> Result<Option<TcpParts<'a>>, Malformed> {
        let Transport::Tcp { payload_offset, .. } = self.transport else { return Ok(None) };
        let (start, middle, end) = (
            usize::from(self.transport_offset),
            usize::from(payload_offset),
            usize::from(self.end),
        );
        let header = frame.get(start..middle).ok_or(Malformed::TcpTruncated)?;
        let payload = frame.get(middle..end).ok_or(Malformed::TcpTruncated)?;
        let pseudo_header = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                checksum::pseudo_header_v4(source, destination, PROTOCOL_TCP)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                checksum::pseudo_header_v6(source, destination, PROTOCOL_TCP)
            }
            // No packet has one of each.
            _ => return Err(Malformed::TcpChecksum),
        };
        let pseudo_header_sum = checksum::with_length(pseudo_header, end - start);
        Ok(Some(TcpParts { pseudo_header_sum, header, payload }))
    }
}

#[cfg(test)]
mod tests;
