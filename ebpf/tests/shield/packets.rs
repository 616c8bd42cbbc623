//! Packets, layer by layer, from the inside out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const ECE: u8 = 0x40;
pub(crate) const CWR: u8 = 0x80;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV4: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;

pub(crate) const VLAN: u16 = 0x8100;
pub(crate) const SERVICE_VLAN: u16 = 0x88a8;

/// A TCP segment in a frame, without options, with as much payload as asked.
pub(crate) fn segment(from: SocketAddr, to: SocketAddr, flags: u8, payload: usize) -> Vec<u8> {
    ethernet(&ip(from.ip(), to.ip(), TCP, &tcp(from.port(), to.port(), flags, payload)))
}

/// An Ethernet header in front of an IP packet of either version.
pub(crate) fn ethernet(packet: &[u8]) -> Vec<u8> {
    let ethertype: u16 = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    ethernet_of(ethertype, packet)
}

pub(crate) fn ethernet_of(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    frame
}

/// The frame with a VLAN tag for each of `ids`, the outermost first.
pub(crate) fn tagged(ids: &[u16], frame: &[u8]) -> Vec<u8> {
    let types = std::iter::repeat_n(SERVICE_VLAN, ids.len().saturating_sub(1)).chain([VLAN]);
    tagged_as(&types.zip(ids.iter().copied()).collect::<Vec<_>>(), frame)
}

/// The same, with the type of each tag.
pub(crate) fn tagged_as(tags: &[(u16, u16)], frame: &[u8]) -> Vec<u8> {
    let tags = tags.iter().flat_map(|(tag, id)| [tag.to_be_bytes(), id.to_be_bytes()]).flatten();
    frame[..12].iter().copied().chain(tags).chain(frame[12..].iter().copied()).collect()
}

pub(crate) fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(from, to, protocol, 0, &[], payload),
        (IpAddr::V6(from), IpAddr::V6(to)) => ipv6(from, to, protocol, payload),
        _ => panic!("{from} and {to} are of different versions"),
    }
}

/// `fragment`: flags and offset, as in the header. `options`: whole words.
pub(crate) fn ipv4(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: u8,
    fragment: u16,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let header = 20 + options.len();
    let mut packet = vec![0x40 | (header / 4) as u8, 0];
    packet.extend(((header + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(options);
    packet.extend(payload);
    packet
}

pub(crate) fn ipv6(from: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    packet
}

/// An IPv6 extension header of eight octets and `more` times eight, padded, before `payload`.
pub(crate) fn extension(next: u8, more: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 8 * (1 + usize::from(more))];
    header[0] = next;
    header[1] = more;
    header.extend(payload);
    header
}

/// A SYN with a window, an initial sequence number of its own, `more` flags, and whole words of
/// options.
pub(crate) fn syn(from: u16, to: u16, more: u8, options: &[u8], payload: usize) -> Vec<u8> {
    let mut segment = tcp(from, to, SYN | more, 0);
    segment[4..8].copy_from_slice(&0x1234_5678_u32.to_be_bytes());
    segment[12] = (((20 + options.len()) / 4) << 4) as u8;
    segment.extend(options);
    segment.resize(segment.len() + payload, 0xda);
    segment
}

pub(crate) fn tcp(from: u16, to: u16, flags: u8, payload: usize) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(from.to_be_bytes());
    segment.extend(to.to_be_bytes());
    segment.extend([0; 8]);
    segment.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.resize(segment.len() + payload, 0xda);
    segment
}

/// An ICMP error of either version that quotes `packet`.
pub(crate) fn icmp(kind: u8, code: u8, packet: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0, 0, 0, 0x05, 0x00];
    message.extend(packet);
    message
}

/// The TCP segment in an untagged frame with a plain IP header.
pub(crate) fn tcp_of(frame: &[u8]) -> &[u8] {
    &frame[if frame[14] >> 4 == 4 { 34 } else { 54 }..]
}

/// The frame, untagged and with a plain IP header, as a receiver takes it: checksums filled in.
pub(crate) fn checksummed(mut frame: Vec<u8>) -> Vec<u8> {
    let (addresses, segment) = if frame[14] >> 4 == 4 { (26..34, 34) } else { (22..54, 54) };
    if segment == 34 {
        let sum = checksum(&[&frame[14..34]]);
        frame[24..26].copy_from_slice(&sum);
    }
    let length = (frame.len() - segment) as u16;
    let pseudo = [&frame[addresses], &[0, TCP], &length.to_be_bytes()].concat();
    let sum = checksum(&[&pseudo, &frame[segment..]]);
    frame[segment + 16..segment + 18].copy_from_slice(&sum);
    frame
}

/// RFC 1071. All parts but the last are of whole words.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    (!(sum as u16)).to_be_bytes()
}
