//! The headers in front of TCP: Ethernet, at most two VLAN tags, IPv4 or IPv6.
//!
//! They are the same for every segment that a leg sends, but for a length and a checksum. So they
//! are written once, when the leg learns its path, and copied in front of each segment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::as_v6;
use crate::frame::{Frame, FramePool};
use crate::limits::LINK_HEADERS_MAX;
use crate::wire::checksum;
use crate::wire::ethernet::{EtherType, EthernetHeader, MacAddr, VlanTags};
use crate::wire::ip::{Dscp, Ecn, PROTOCOL_TCP};
use crate::wire::ipv4::{self, Ipv4Header};
use crate::wire::ipv6::{self, Ipv6Header};

/// Where a leg's segments go: by which port of the lane, and with which link-layer addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPath {
    /// Index of the port within the lane.
    pub port: u8,
    pub source: MacAddr,
    pub destination: MacAddr,
    /// Where the segment leaves tagged.
    pub vlans: VlanTags,
}

/// Prebuilt headers for one leg; see the module.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    path: LinkPath,
    bytes: [u8; ENVELOPE_MAX],
    len: u8,
    /// Where the IP header starts [octets].
    network_offset: u8,
    is_ipv4: bool,
}

impl Envelope {
    /// Builds the headers for segments from `source` to `destination` along `path`.
    ///
    /// Both addresses are of one family: they are the two ends of one connection.
    pub fn new(path: &LinkPath, source: IpAddr, destination: IpAddr) -> Self {
        let mut bytes = [0; ENVELOPE_MAX];
        let is_ipv4 = source.is_ipv4();
        let ethernet = EthernetHeader {
            destination: path.destination,
            source: path.source,
            vlans: path.vlans,
            ether_type: if is_ipv4 { EtherType::IPV4 } else { EtherType::IPV6 },
        };
        let network_offset = ethernet.header_len();
        let (link, network) = bytes.split_at_mut(network_offset);
        ethernet.emit(link);
        let network_len = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                if let Some(room) = network.first_chunk_mut() {
                    ipv4_header(source, destination).emit(room);
                }
                ipv4::HEADER_LEN
            }
            (source, destination) => {
                if let Some(room) = network.first_chunk_mut() {
                    ipv6_header(as_v6(source), as_v6(destination)).emit(room);
                }
                ipv6::HEADER_LEN
            }
        };
        Envelope {
            path: *path,
            bytes,
            len: (network_offset + network_len) as u8,
            network_offset: network_offset as u8,
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

    /// Puts the headers in front of a complete TCP segment, with `ecn` in that of IP.
    #[inline]
    pub fn seal(&self, pool: &mut FramePool, segment: &mut Frame, ecn: Ecn) {
        let tcp_len = segment.len() as u16;
        let header = pool.push_front(segment, self.header_len());
        header.copy_from_slice(&self.bytes[..self.header_len()]);
        let ip = &mut header[usize::from(self.network_offset)..];
        if self.is_ipv4 {
            const WITHOUT_PAYLOAD: u16 = ipv4::HEADER_LEN as u16;
            let total_len = WITHOUT_PAYLOAD + tcp_len;
            let checksum = u16::from_be_bytes([ip[10], ip[11]]);
            // The ECN field was zero: its bits are added to the word they are in.
            let added = checksum::combine(total_len, u16::from(ecn as u8));
            let checksum = checksum::update(checksum, WITHOUT_PAYLOAD, added);
            ip[1] |= ecn as u8;
            ip[2..4].copy_from_slice(&total_len.to_be_bytes());
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        } else {
            ip[1] |= (ecn as u8) << 4;
            ip[4..6].copy_from_slice(&tcp_len.to_be_bytes());
        }
    }
}

/// As yet without payload. An atomic datagram (RFC 6864 §4.1), so its identification may be zero.
fn ipv4_header(source: Ipv4Addr, destination: Ipv4Addr) -> Ipv4Header {
    Ipv4Header {
        source,
        destination,
        protocol: PROTOCOL_TCP,
        dscp: Dscp::default(),
        ecn: Ecn::default(),
        identification: 0,
        payload_len: 0,
        is_fragment: false,
    }
}

/// As yet without payload.
fn ipv6_header(source: Ipv6Addr, destination: Ipv6Addr) -> Ipv6Header {
    Ipv6Header {
        source,
        destination,
        next_header: PROTOCOL_TCP,
        dscp: Dscp::default(),
        ecn: Ecn::default(),
        flow_label: 0,
        payload_len: 0,
    }
}

/// Ethernet with two tags, and IPv6 [octets].
const ENVELOPE_MAX: usize = LINK_HEADERS_MAX + ipv6::HEADER_LEN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ethernet::VlanId;
    use crate::wire::packet::{self, Transport};
    use crate::wire::tcp::{Flags, SeqNum, TcpHeader};

    fn sealed(
        source: &str,
        destination: &str,
        vlans: VlanTags,
        ecn: Ecn,
    ) -> (Vec<u8>, packet::Packet) {
        let path = LinkPath {
            port: 0,
            source: MacAddr([2, 0, 0, 0, 0, 1]),
            destination: MacAddr([2, 0, 0, 0, 0, 2]),
            vlans,
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
        Envelope::new(&path, source, destination).seal(&mut pool, &mut frame, ecn);
        let bytes = pool.bytes(&frame).to_vec();
        pool.free(frame);
        let packet = packet::parse(&bytes).expect("our own packet is well formed");
        assert_eq!((packet.source, packet.destination), (source, destination));
        (bytes, packet)
    }

    #[test]
    fn a_sealed_segment_parses_back() {
        for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let [inner, outer] = [42, 7].map(VlanId::new);
            let service = outer.map(|id| (EtherType::SERVICE_VLAN, id));
            for vlans in [VlanTags::NONE, VlanTags::one(inner), VlanTags { outer: service, inner }]
            {
                let (bytes, packet) = sealed(source, destination, vlans, Ecn::Capable0);
                assert_eq!(packet.ecn, Ecn::Capable0);
                let (_, plain) = sealed(source, destination, vlans, Ecn::NotCapable);
                assert_eq!(plain.ecn, Ecn::NotCapable);
                assert_eq!(usize::from(packet.end), bytes.len());
                assert_eq!(packet.vlans, vlans);
                assert_eq!(packet.source_mac, MacAddr([2, 0, 0, 0, 0, 1]));
                assert!(
                    matches!(packet.transport, Transport::Tcp { header, .. } if header.sequence == SeqNum(7))
                );
            }
        }
    }
}
