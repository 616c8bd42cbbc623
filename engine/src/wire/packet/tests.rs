use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::wire::ethernet::VlanId;
use crate::wire::icmp::{IcmpErrorKind, QuotedSegment};
use crate::wire::tcp::{self, Flags, SeqNum, TcpOptions, Timestamps};

/// 192.0.2.1:45678 to 198.51.100.7:443, PSH and ACK, timestamps, ECT(0), 19 octets of payload.
const TCP_V4: [u8; 85] = [
    0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00, 0x45, 0x02,
    0x00, 0x47, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x32, 0x2d, 0xc0, 0x00, 0x02, 0x01, 0xc6, 0x33,
    0x64, 0x07, 0xb2, 0x6e, 0x01, 0xbb, 0x4f, 0x3a, 0x10, 0x02, 0x0b, 0xad, 0xca, 0xfe, 0x80, 0x18,
    0x01, 0xf5, 0x8d, 0x6a, 0x00, 0x00, 0x01, 0x01, 0x08, 0x0a, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
    0x77, 0x88, 0x47, 0x45, 0x54, 0x20, 0x2f, 0x20, 0x48, 0x54, 0x54, 0x50, 0x2f, 0x31, 0x2e, 0x30,
    0x0d, 0x0a, 0x0d, 0x0a, 0x21,
];

/// 2001:db8::1 to 2001:db8::2 in VLAN 42, else the same.
const TCP_V6: [u8; 109] = [
    0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x81, 0x00, 0x00, 0x2a,
    0x86, 0xdd, 0x60, 0x21, 0x23, 0x45, 0x00, 0x33, 0x06, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xb2, 0x6e, 0x01, 0xbb, 0x4f, 0x3a,
    0x10, 0x02, 0x0b, 0xad, 0xca, 0xfe, 0x80, 0x18, 0x01, 0xf5, 0x1e, 0x32, 0x00, 0x00, 0x01, 0x01,
    0x08, 0x0a, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x47, 0x45, 0x54, 0x20, 0x2f, 0x20,
    0x48, 0x54, 0x54, 0x50, 0x2f, 0x31, 0x2e, 0x30, 0x0d, 0x0a, 0x0d, 0x0a, 0x21,
];

/// Fragmentation needed, MTU 1400, about 198.51.100.7:443 to 203.0.113.9:45678; of the segment only
/// eight octets are quoted.
const TOO_BIG_V4: [u8; 70] = [
    0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00, 0x45, 0x02,
    0x00, 0x38, 0x1c, 0x46, 0x00, 0x00, 0x40, 0x01, 0x72, 0x41, 0xc0, 0x00, 0x02, 0x01, 0xc6, 0x33,
    0x64, 0x07, 0x03, 0x04, 0x3f, 0x54, 0x00, 0x00, 0x05, 0x78, 0x45, 0x02, 0x00, 0x1c, 0x1c, 0x46,
    0x40, 0x00, 0x40, 0x06, 0xb8, 0x4f, 0xc6, 0x33, 0x64, 0x07, 0xcb, 0x00, 0x71, 0x09, 0x01, 0xbb,
    0xb2, 0x6e, 0x01, 0x02, 0x03, 0x04,
];

/// Packet too big, MTU 1280, about [2001:db8::2]:443 to [2001:db8::9]:45678.
const TOO_BIG_V6: [u8; 122] = [
    0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x86, 0xdd, 0x60, 0x21,
    0x23, 0x45, 0x00, 0x44, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0xad, 0x9f, 0x00, 0x00, 0x05, 0x00, 0x60, 0x21,
    0x23, 0x45, 0x00, 0x14, 0x06, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x01, 0xbb, 0xb2, 0x6e, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00,
    0x00, 0x00, 0x50, 0x10, 0x01, 0xf5, 0x00, 0x00, 0x00, 0x00,
];

/// Who has 198.51.100.7?
const ARP: [u8; 42] = [
    0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x06, 0x00, 0x01,
    0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0xc0, 0x00, 0x02, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc6, 0x33, 0x64, 0x07,
];

const IP_V4: usize = 14;
const IP_V6: usize = 18;

/// Both TCP captures, with where their IP header starts.
const BOTH: [(&[u8], usize); 2] = [(&TCP_V4, IP_V4), (&TCP_V6, IP_V6)];

/// Changes octets of a capture and puts the IPv4 header's checksum right.
fn changed(frame: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    for &(at, octet) in changes {
        bytes[at] = octet;
    }
    if bytes[12..14] == [0x08, 0x00] {
        bytes[24..26].fill(0);
        let checksum = checksum::finish(checksum::sum(&bytes[14..34]));
        bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
    }
    bytes
}

fn tcp_header() -> TcpHeader {
    TcpHeader {
        source_port: 45_678,
        destination_port: 443,
        sequence: SeqNum(0x4f3a_1002),
        acknowledgment: SeqNum(0x0bad_cafe),
        flags: Flags::PSH.with(Flags::ACK),
        window: 501,
        options: TcpOptions {
            timestamps: Some(Timestamps { value: 0x1122_3344, echo_reply: 0x5566_7788 }),
            ..TcpOptions::default()
        },
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn tcp_over_ipv4() {
    let packet = parse(&TCP_V4).expect("valid");
    let expected = Packet {
        source_mac: MacAddr([2, 0, 0, 0, 0, 2]),
        destination_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        vlans: VlanTags::NONE,
        ether_type: EtherType::IPV4,
        source: address("192.0.2.1"),
        destination: address("198.51.100.7"),
        ecn: Ecn::Capable0,
        transport_offset: 34,
        end: 85,
        transport: Transport::Tcp { header: tcp_header(), payload_offset: 66 },
    };
    assert_eq!(packet, expected);
}

#[test]
fn tcp_over_ipv6_in_a_vlan() {
    let packet = parse(&TCP_V6).expect("valid");
    let expected = Packet {
        source_mac: MacAddr([2, 0, 0, 0, 0, 2]),
        destination_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        vlans: VlanTags::one(VlanId::new(42)),
        ether_type: EtherType::IPV6,
        source: address("2001:db8::1"),
        destination: address("2001:db8::2"),
        ecn: Ecn::Capable0,
        transport_offset: 58,
        end: 109,
        transport: Transport::Tcp { header: tcp_header(), payload_offset: 90 },
    };
    assert_eq!(packet, expected);
}

#[test]
fn padding_behind_the_packet_is_left_out() {
    for (frame, _) in BOTH {
        let mut padded = frame.to_vec();
        padded.extend([0xff; 9]);
        assert_eq!(parse(&padded), parse(frame));
        let packet = parse(&padded).expect("valid");
        assert_eq!(packet.verify_tcp_checksum(&padded), packet.verify_tcp_checksum(frame));
    }
}

#[test]
fn verifying_yields_the_sum_of_the_payload() {
    for (frame, _) in BOTH {
        let packet = parse(frame).expect("valid");
        let payload = checksum::sum(&frame[frame.len() - 19..]);
        assert_eq!(packet.verify_tcp_checksum(frame), Ok(payload));
        assert_eq!(packet.derive_payload_sum(frame), Ok(payload));
    }
}

#[test]
fn any_damage_to_a_segment_is_noticed() {
    for (frame, ip_offset) in BOTH {
        let packet = parse(frame).expect("valid");
        for at in usize::from(packet.transport_offset)..frame.len() {
            let mut bytes = frame.to_vec();
            bytes[at] ^= 0x04;
            let reason = packet.verify_tcp_checksum(&bytes);
            assert_eq!(reason, Err(Malformed::TcpChecksum), "octet {at} flipped");
        }
        // An address that was changed on the way, with a matching IPv4 header checksum.
        let last_of_address = ip_offset + 15;
        let bytes = changed(frame, &[(last_of_address, 0x55)]);
        let reason = parse(&bytes).expect("valid").verify_tcp_checksum(&bytes);
        assert_eq!(reason, Err(Malformed::TcpChecksum));
    }
}

#[test]
fn a_checksum_that_was_left_to_a_device_is_told_apart() {
    for (frame, _) in BOTH {
        let packet = parse(frame).expect("valid");
        let pseudo_header = match (packet.source, packet.destination) {
            (IpAddr::V4(a), IpAddr::V4(b)) => checksum::pseudo_header_v4(a, b, 6),
            (IpAddr::V6(a), IpAddr::V6(b)) => checksum::pseudo_header_v6(a, b, 6),
            _ => unreachable!("one version in a packet"),
        };
        let mut bytes = frame.to_vec();
        let start = usize::from(packet.transport_offset);
        let partial = checksum::with_length(pseudo_header, frame.len() - start);
        tcp::set_checksum(&mut bytes[start..], partial);
        let reason = packet.verify_tcp_checksum(&bytes);
        assert_eq!(reason, Err(Malformed::TcpChecksumNotFilledIn));
    }
}

#[test]
fn icmp_errors_name_the_segment_they_are_about() {
    let quoted = |source, destination| QuotedSegment {
        source: address(source),
        destination: address(destination),
        source_port: 443,
        destination_port: 45_678,
        sequence: SeqNum(0x0102_0304),
    };
    let v4 = Transport::IcmpError(IcmpError {
        kind: IcmpErrorKind::PacketTooBig { mtu: 1400 },
        quoted: quoted("198.51.100.7", "203.0.113.9"),
    });
    let v6 = Transport::IcmpError(IcmpError {
        kind: IcmpErrorKind::PacketTooBig { mtu: 1280 },
        quoted: quoted("2001:db8::2", "2001:db8::9"),
    });
    assert_eq!(parse(&TOO_BIG_V4).expect("valid").transport, v4);
    assert_eq!(parse(&TOO_BIG_V6).expect("valid").transport, v6);
}

#[test]
fn an_error_about_somebody_elses_segment_is_the_kernels() {
    // Sent to 198.51.100.8, about a packet from 198.51.100.7.
    let bytes = changed(&TOO_BIG_V4, &[(33, 8)]);
    assert_eq!(parse(&bytes).expect("valid").transport, Transport::Other);
}

#[test]
fn what_is_not_ours_is_the_kernels() {
    let cases: [(&str, Vec<u8>); 7] = [
        ("ARP", ARP.to_vec()),
        ("UDP", changed(&TCP_V4, &[(23, 17)])),
        ("UDP over IPv6", changed(&TCP_V6, &[(24, 17)])),
        ("first fragment", changed(&TCP_V4, &[(20, 0x20)])),
        ("later fragment", changed(&TCP_V4, &[(21, 1)])),
        ("fragment over IPv6", changed(&TCP_V6, &[(24, 44)])),
        ("stacked tags", changed(&TCP_V6, &[(16, 0x81), (17, 0x00)])),
    ];
    for (what, bytes) in cases {
        let packet = parse(&bytes).expect(what);
        assert_eq!(packet.transport, Transport::Other, "{what}");
        assert_eq!(packet.verify_tcp_checksum(&bytes), Ok(0), "{what}");
    }
    // An address check is for TCP only: DHCP clients have no address yet.
    let dhcp = changed(&TCP_V4, &[(23, 17), (26, 0), (27, 0), (28, 0), (29, 0)]);
    assert_eq!(parse(&dhcp).expect("not ours").transport, Transport::Other);
}

#[test]
fn impossible_segments_are_refused_by_name() {
    let v4_source = |octets: [u8; 4]| {
        let changes: Vec<_> = octets.into_iter().enumerate().map(|(i, o)| (26 + i, o)).collect();
        changed(&TCP_V4, &changes)
    };
    let v6_source = |text: &str| {
        let octets = text.parse::<Ipv6Addr>().expect("an address").octets();
        let changes: Vec<_> = octets.into_iter().enumerate().map(|(i, o)| (26 + i, o)).collect();
        changed(&TCP_V6, &changes)
    };
    let cases = [
        ("unspecified", v4_source([0, 0, 0, 0]), Malformed::IpSource),
        ("loopback", v4_source([127, 0, 0, 1]), Malformed::IpSource),
        ("multicast", v4_source([224, 0, 0, 1]), Malformed::IpSource),
        ("broadcast", v4_source([255, 255, 255, 255]), Malformed::IpSource),
        ("unspecified v6", v6_source("::"), Malformed::IpSource),
        ("loopback v6", v6_source("::1"), Malformed::IpSource),
        ("multicast v6", v6_source("ff02::1"), Malformed::IpSource),
        ("mapped v6", v6_source("::ffff:192.0.2.1"), Malformed::IpSource),
        ("source port", changed(&TCP_V4, &[(34, 0), (35, 0)]), Malformed::TcpPortZero),
        ("destination port", changed(&TCP_V4, &[(36, 0), (37, 0)]), Malformed::TcpPortZero),
        ("data offset", changed(&TCP_V4, &[(46, 0x40)]), Malformed::TcpDataOffset),
        ("data offset past the end", changed(&TCP_V4, &[(46, 0xf0)]), Malformed::TcpDataOffset),
        ("no flags", changed(&TCP_V4, &[(47, 0)]), Malformed::TcpFlagsNone),
        ("Christmas tree", changed(&TCP_V4, &[(47, 0x29)]), Malformed::TcpFlagsFinWithoutAck),
        ("ICMP checksum", changed(&TOO_BIG_V4, &[(41, 1)]), Malformed::IcmpChecksum),
        ("ICMPv6 checksum", changed(&TOO_BIG_V6, &[(60, 1)]), Malformed::IcmpChecksum),
        ("ICMP quote", changed(&TOO_BIG_V4, &[(42, 0x65)]), Malformed::IcmpQuote),
        ("ICMPv6 quote", changed(&TOO_BIG_V6, &[(62, 0x45)]), Malformed::IcmpQuote),
    ];
    for (what, bytes, expected) in cases {
        assert_eq!(parse(&bytes), Err(expected), "{what}");
    }
    let mut land = v4_source([198, 51, 100, 7]);
    assert!(parse(&land).is_ok(), "one address alone is not refused");
    land[34..36].copy_from_slice(&443_u16.to_be_bytes());
    assert_eq!(parse(&land), Err(Malformed::TcpLand));
}

#[test]
fn truncated_at_every_length() {
    let names = |frame: &[u8]| -> Vec<(usize, Result<Packet, Malformed>)> {
        (0..frame.len()).map(|length| (length, parse(&frame[..length]))).collect()
    };
    for (length, reason) in names(&TCP_V4).into_iter().chain(names(&TOO_BIG_V4)) {
        let expected = match length {
            0..14 => Malformed::EthernetTruncated,
            14..34 => Malformed::Ipv4Truncated,
            _ => Malformed::Ipv4TotalLength,
        };
        assert_eq!(reason, Err(expected), "{length} octets");
    }
    for (length, reason) in names(&TCP_V6) {
        let expected = match length {
            0..18 => Malformed::EthernetTruncated,
            18..58 => Malformed::Ipv6Truncated,
            _ => Malformed::Ipv6PayloadLength,
        };
        assert_eq!(reason, Err(expected), "{length} octets");
    }
}

#[test]
fn a_packet_that_ends_within_its_transport_header_is_named() {
    for length in 0..32_u8 {
        let expected = if length < 20 { Malformed::TcpTruncated } else { Malformed::TcpDataOffset };
        let v4 = changed(&TCP_V4, &[(17, 20 + length)]);
        assert_eq!(parse(&v4), Err(expected), "IPv4, {length} octets");
        let v6 = changed(&TCP_V6, &[(23, length)]);
        assert_eq!(parse(&v6), Err(expected), "IPv6, {length} octets");
    }
    // Without a type nobody knows that it was an error.
    for length in 1..28_u8 {
        let bytes = changed(&TOO_BIG_V4, &[(17, 20 + length)]);
        assert_eq!(parse(&bytes), Err(Malformed::IcmpTruncated), "{length} octets");
    }
}

#[test]
fn a_frame_longer_than_offsets_reach_is_no_danger() {
    let mut frame = TCP_V4.to_vec();
    frame.resize(70_000, 0);
    assert_eq!(parse(&frame), parse(&TCP_V4));
    // It claims all of the 65,535 octets that IPv4 can.
    let frame = changed(&frame, &[(16, 0xff), (17, 0xff)]);
    assert_eq!(parse(&frame), Err(Malformed::Ipv4TotalLength));
}

#[test]
fn another_frame_than_the_one_parsed_is_no_danger() {
    let packet = parse(&TCP_V4).expect("valid");
    for length in 0..TCP_V4.len() {
        let reason = packet.verify_tcp_checksum(&TCP_V4[..length]);
        assert_eq!(reason, Err(Malformed::TcpTruncated), "{length} octets");
    }
}

proptest! {
    #[test]
    fn no_octets_make_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(packet) = parse(&bytes) {
            prop_assert!(usize::from(packet.end) <= bytes.len());
            prop_assert!(packet.transport_offset <= packet.end);
            let _ = packet.verify_tcp_checksum(&bytes);
        }
    }

    /// Nearly valid packets reach deeper than random ones.
    #[test]
    fn damaged_packets_stay_within_bounds(
        which in 0_usize..4,
        damage in prop::collection::vec((12_usize..130, any::<u8>()), 0..4),
    ) {
        let frame: &[u8] = [&TCP_V4[..], &TCP_V6, &TOO_BIG_V4, &TOO_BIG_V6][which];
        let damage: Vec<_> = damage.into_iter().map(|(at, o)| (at % frame.len(), o)).collect();
        let bytes = changed(frame, &damage);
        if let Ok(packet) = parse(&bytes) {
            prop_assert!(usize::from(packet.end) <= bytes.len());
            prop_assert!(packet.transport_offset <= packet.end);
            if let Transport::Tcp { payload_offset, .. } = packet.transport {
                prop_assert!((packet.transport_offset + 20..=packet.end).contains(&payload_offset));
                if let Ok(sum) = packet.verify_tcp_checksum(&bytes) {
                    let derived = packet.derive_payload_sum(&bytes).expect("the same frame");
                    prop_assert!(checksum::same(sum, derived));
                }
            }
        }
    }

    /// What we build ourselves, we accept; and what a segment says about its payload is what the
    /// payload says.
    #[test]
    fn built_segments_verify(payload in prop::collection::vec(any::<u8>(), 0..100)) {
        let header = tcp_header();
        let ip = Ipv4Header {
            source: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(198, 51, 100, 7),
            protocol: PROTOCOL_TCP,
            dscp: ip::Dscp::default(),
            ecn: Ecn::NotCapable,
            identification: 0,
            payload_len: (header.header_len() + payload.len()) as u16,
            is_fragment: false,
        };
        let mut frame = vec![0; 34 + header.header_len()];
        EthernetHeader { ether_type: EtherType::IPV4, ..EthernetHeader::default() }
            .emit(&mut frame[..14]);
        ip.emit(frame[14..].first_chunk_mut().expect("room"));
        header.emit(&mut frame[34..]);
        let pseudo_header = checksum::pseudo_header_v4(ip.source, ip.destination, PROTOCOL_TCP);
        let sum = checksum::sum(&payload);
        tcp::fill_in_checksum(&mut frame[34..], pseudo_header, sum, payload.len());
        frame.extend_from_slice(&payload);
        let packet = parse(&frame).expect("we write what is valid");
        prop_assert_eq!(packet.verify_tcp_checksum(&frame), Ok(sum));
        prop_assert!(checksum::same(packet.derive_payload_sum(&frame).expect("the same"), sum));
    }
}
