//! The headers in front of TCP: Ethernet, at most one VLAN tag, IPv4 or IPv6.
//!
//! They are the same for every segment that a leg sends, but for a length and a checksum. So they
//! are written once, when the leg learns its path, and copied in front of each segment.

use std::net::IpAddr;

use crate::frame::{Frame, FramePool};
use crate::wire::checksum;
use crate::wire::ethernet::{MacAddr, VlanId};

/// Where a leg's segments go: by which port of the lane, and with which link-layer addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPath {
    /// Index of the port within the lane.
    pub port: u8,
    pub source: MacAddr,
    pub destination: MacAddr,
    /// 802.1Q VLAN identifier, where the segment leaves tagged.
    pub vlan: Option<VlanId>,
}

/// Prebuilt headers for one leg; see the module.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    path: LinkPath,
    bytes: [u8; ENVELOPE_MAX],
    len: u8,
    /// Where the IP header starts [octets].
    network_offset: u8,
    /// Ones' complement sum of the IPv4 header with a zero length; unused for IPv6.
    ipv4_sum: u16,
    is_ipv4: bool,
}

impl Envelope {
    /// Builds the headers for segments from `source` to `destination` along `path`.
    ///
    /// Both addresses are of one family: they are the two ends of one connection.
    pub fn new(path: &LinkPath, source: IpAddr, destination: IpAddr) -> Self {
        let mut bytes = [0; ENVELOPE_MAX];
        let mut at = 0;
        let mut put = |octets: &[u8]| {
            bytes[at..at + octets.len()].copy_from_slice(octets);
            at += octets.len();
        };
        put(&path.destination.0);
        put(&path.source.0);
        if let Some(id) = path.vlan {
            put(&ETHERTYPE_VLAN);
            put(&id.get().to_be_bytes());
        }
        let is_ipv4 = source.is_ipv4();
        put(if is_ipv4 { &ETHERTYPE_IPV4 } else { &ETHERTYPE_IPV6 });
        let network_offset = if path.vlan.is_some() { 18 } else { 14 };
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                // Version 4, five words, default service; length and checksum per segment; an
                // atomic datagram (RFC 6864 §4.1: DF set, so the identification may stay zero).
                put(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, HOP_LIMIT, IP_PROTOCOL_TCP, 0, 0]);
                put(&source.octets());
                put(&destination.octets());
            }
            (source, destination) => {
                put(&[0x60, 0, 0, 0, 0, 0, IP_PROTOCOL_TCP, HOP_LIMIT]);
                put(&as_v6(source));
                put(&as_v6(destination));
            }
        }
        let len = at;
        let ipv4_sum = if is_ipv4 { checksum::sum(&bytes[network_offset..len]) } else { 0 };
        Envelope {
            path: *path,
            bytes,
            len: len as u8,
            network_offset: network_offset as u8,
            ipv4_sum,
            is_ipv4,
        }
    }

    /// The path that the headers were built for.
    pub fn path(&self) -> &LinkPath {
        &self.path
    }

    /// Octets of IP and link headers in front of TCP.
    fn header_len(&self) -> usize {
        usize::from(self.len)
    }

    /// Puts the headers in front of a complete TCP segment.
    #[inline]
    pub fn seal(&self, pool: &mut FramePool, segment: &mut Frame) {
        let tcp_len = segment.len() as u16;
        let header = pool.push_front(segment, self.header_len());
        header.copy_from_slice(&self.bytes[..self.header_len()]);
        let ip = &mut header[usize::from(self.network_offset)..];
        if self.is_ipv4 {
            let total_len = IPV4_HEADER + tcp_len;
            let sum = checksum::combine(self.ipv4_sum, total_len);
            ip[2..4].copy_from_slice(&total_len.to_be_bytes());
            ip[10..12].copy_from_slice(&checksum::finish(sum).to_be_bytes());
        } else {
            ip[4..6].copy_from_slice(&tcp_len.to_be_bytes());
        }
    }
}

fn as_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Ethernet 14, one tag 4, IPv6 40 [octets].
const ENVELOPE_MAX: usize = 58;
const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const IP_PROTOCOL_TCP: u8 = 6;
const IPV4_HEADER: u16 = 20;
/// RFC 1700's recommended default, and what Linux sends.
const HOP_LIMIT: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::{self, Transport};
    use crate::wire::tcp::{Flags, SeqNum, TcpHeader};

    fn sealed(source: &str, destination: &str, vlan: Option<VlanId>) -> (Vec<u8>, packet::Packet) {
        let path = LinkPath {
            port: 0,
            source: MacAddr([2, 0, 0, 0, 0, 1]),
            destination: MacAddr([2, 0, 0, 0, 0, 2]),
            vlan,
        };
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        let mut pool = FramePool::in_memory(1, 2048);
        let mut frame = pool.alloc().unwrap();
        let header = TcpHeader {
            source_port: 80,
            destination_port: 1234,
            sequence: SeqNum(7),
            flags: Flags::ACK,
            ..TcpHeader::default()
        };
        header.emit(pool.push_back(&mut frame, header.header_len()).unwrap());
        Envelope::new(&path, source, destination).seal(&mut pool, &mut frame);
        let bytes = pool.bytes(&frame).to_vec();
        pool.free(frame);
        let packet = packet::parse(&bytes).expect("our own packet is well formed");
        assert_eq!((packet.source, packet.destination), (source, destination));
        (bytes, packet)
    }

    #[test]
    fn a_sealed_segment_parses_back() {
        for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            for vlan in [None, VlanId::new(42)] {
                let (bytes, packet) = sealed(source, destination, vlan);
                assert_eq!(usize::from(packet.end), bytes.len());
                assert_eq!(packet.vlan, vlan);
                assert_eq!(packet.source_mac, MacAddr([2, 0, 0, 0, 0, 1]));
                assert!(
                    matches!(packet.transport, Transport::Tcp { header, .. } if header.sequence == SeqNum(7))
                );
            }
        }
    }
}
