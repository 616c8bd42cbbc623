//! What each kind of packet is taken for, by itself.

use std::net::SocketAddr;

use ringroad_ebpf::Verdict;

use crate::packets::{
    ACK, FIN, ICMPV4, ICMPV6, PSH, RST, SERVICE_VLAN, SYN, TCP, UDP, VLAN, ethernet, ethernet_of,
    extension, icmp, ip, ipv4, ipv6, segment, tagged, tagged_as, tcp,
};
use crate::rig::{Rig, in_namespace};

/// What it is · the packet · what becomes of it.
type Fixture = (&'static str, Vec<u8>, Verdict);

/// What connections send, of the flags that open, end and go on.
const GOOD_FLAGS: [u8; 6] = [SYN, SYN | ACK, RST, RST | ACK, ACK, FIN | ACK];

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address and port")
}

fn client4() -> SocketAddr {
    at("192.0.2.7:51234")
}

fn client6() -> SocketAddr {
    at("[2001:db8::7]:51234")
}

fn service4() -> SocketAddr {
    at("10.1.0.1:80")
}

fn service6() -> SocketAddr {
    at("[fd00:1::1]:80")
}

/// The engine has a connection between each client and the service of its family.
fn check(fixtures: Vec<Fixture>) {
    in_namespace(|| {
        let rig = Rig::new();
        rig.know(service4(), client4());
        rig.know(service6(), client6());
        for (what, packet, expected) in fixtures {
            assert_eq!(rig.verdict(&packet), expected, "{what}");
        }
    });
}

#[test]
fn services_go_to_the_engine() {
    use Verdict::{NotOurs, ToEngine, Unknown, UnknownDropped};
    check(vec![
        ("IPv4 SYN", segment(client4(), service4(), SYN, 0), ToEngine),
        ("IPv4 SYN with data", segment(client4(), service4(), SYN, 100), ToEngine),
        ("IPv4 data", segment(client4(), service4(), ACK | PSH, 1000), ToEngine),
        ("IPv4 FIN", segment(client4(), service4(), ACK | FIN, 0), ToEngine),
        ("IPv4 RST", segment(client4(), service4(), RST, 0), ToEngine),
        ("IPv6 SYN", segment(client6(), service6(), SYN, 0), ToEngine),
        ("IPv6 data", segment(client6(), service6(), ACK, 1000), ToEngine),
        ("data of no connection", segment(at("192.0.2.8:1"), service4(), ACK, 1000), Unknown),
        ("its end", segment(at("192.0.2.8:1"), service4(), RST | ACK, 0), UnknownDropped),
        ("data to the second service", segment(client4(), at("10.1.0.1:443"), ACK, 0), Unknown),
        ("the second service", segment(client4(), at("10.1.0.1:443"), SYN, 0), ToEngine),
        ("another port", segment(client4(), at("10.1.0.1:22"), SYN, 0), NotOurs),
        ("another address", segment(client4(), at("10.1.0.2:80"), SYN, 0), NotOurs),
        ("a port of the other version", segment(client6(), at("[fd00:1::1]:443"), SYN, 0), NotOurs),
        ("from the service", segment(service4(), client4(), ACK, 0), NotOurs),
    ]);
}

#[test]
fn vlan_tags_are_understood() {
    use Verdict::{NotOurs, ToEngine};
    let syn4 = segment(client4(), service4(), SYN, 0);
    let syn6 = segment(client6(), service6(), SYN, 0);
    check(vec![
        ("one tag, IPv4", tagged(&[100], &syn4), ToEngine),
        ("one tag, IPv6", tagged(&[100], &syn6), ToEngine),
        ("a service tag", tagged_as(&[(SERVICE_VLAN, 7)], &syn4), ToEngine),
        ("two tags, IPv4", tagged(&[7, 100], &syn4), ToEngine),
        ("two tags, IPv6", tagged(&[7, 100], &syn6), ToEngine),
        ("two 802.1Q tags", tagged_as(&[(VLAN, 7), (VLAN, 100)], &syn4), ToEngine),
        ("a service tag inside", tagged_as(&[(VLAN, 7), (SERVICE_VLAN, 100)], &syn4), NotOurs),
        ("three tags", tagged(&[7, 8, 100], &syn4), NotOurs),
        ("three 802.1Q tags", tagged_as(&[(VLAN, 7); 3], &syn4), NotOurs),
    ]);
}

#[test]
fn what_comes_to_egress_addresses_is_ours_within_their_ports() {
    use Verdict::{NotOurs, ToEngine, Unknown};
    let origin4 = at("10.2.0.9:8080");
    let origin6 = at("[fd00:2::9]:8080");
    let reply = |to: &str| segment(origin4, at(to), SYN | ACK, 0);
    in_namespace(|| {
        let rig = Rig::new();
        rig.know(at("10.2.0.1:20000"), origin4);
        rig.know(at("[fd00:2::1]:20000"), origin6);
        let known = [
            ("reply", reply("10.2.0.1:20000")),
            ("data", segment(origin4, at("10.2.0.1:20000"), ACK, 1400)),
            ("SYN", segment(origin4, at("10.2.0.1:20000"), SYN, 0)),
            ("IPv6", segment(origin6, at("[fd00:2::1]:20000"), SYN | ACK, 0)),
        ];
        for (what, packet) in known {
            assert_eq!(rig.verdict(&packet), ToEngine, "{what}");
        }
    });
    check(vec![
        ("first port", reply("10.2.0.1:20000"), Unknown),
        ("last port", reply("10.2.0.1:29999"), Unknown),
        ("below", reply("10.2.0.1:19999"), NotOurs),
        ("between two ranges", reply("10.2.0.1:30000"), NotOurs),
        ("second range", reply("10.2.0.1:45000"), Unknown),
        ("above", reply("10.2.0.1:50000"), NotOurs),
        ("data", segment(origin4, at("10.2.0.1:20000"), ACK, 1400), Unknown),
        ("SYN", segment(origin4, at("10.2.0.1:20000"), SYN, 0), Unknown),
        ("another address", reply("10.2.0.2:20000"), NotOurs),
        ("IPv6", segment(origin6, at("[fd00:2::1]:20000"), SYN | ACK, 0), Unknown),
        ("IPv6 above", segment(origin6, at("[fd00:2::1]:40000"), SYN | ACK, 0), NotOurs),
    ]);
}

#[test]
fn what_is_no_tcp_is_the_kernels() {
    use Verdict::NotOurs;
    let (client, service) = (client4(), service4());
    let udp = tcp(client.port(), service.port(), 0, 0);
    check(vec![
        ("UDP", ethernet(&ip(client.ip(), service.ip(), UDP, &udp)), NotOurs),
        ("UDP, IPv6", ethernet(&ip(client6().ip(), service6().ip(), UDP, &udp)), NotOurs),
        ("ARP", ethernet_of(0x0806, &[0; 28]), NotOurs),
        ("LLDP", ethernet_of(0x88cc, &[0; 28]), NotOurs),
        ("no payload at all", ethernet_of(0x1234, &[]), NotOurs),
        (
            "echo request",
            ethernet(&ip(client.ip(), service.ip(), ICMPV4, &icmp(8, 0, &[]))),
            NotOurs,
        ),
        (
            "neighbour solicitation",
            ethernet(&ip(client6().ip(), service6().ip(), ICMPV6, &icmp(135, 0, &[0; 16]))),
            NotOurs,
        ),
    ]);
}

#[test]
fn fragments_and_options_of_ipv4() {
    use Verdict::{Fragment, ToEngine};
    let (SocketAddr::V4(client), SocketAddr::V4(service)) = (client4(), service4()) else {
        panic!("IPv4 addresses")
    };
    let syn = tcp(client.port(), service.port(), SYN, 64);
    let packet = |fragment, options: &[u8]| {
        ethernet(&ipv4(*client.ip(), *service.ip(), TCP, fragment, options, &syn))
    };
    check(vec![
        ("do not fragment", packet(0x4000, &[]), ToEngine),
        ("first fragment", packet(0x2000, &[]), Fragment),
        ("middle fragment", packet(0x2010, &[]), Fragment),
        ("last fragment", packet(0x0010, &[]), Fragment),
        ("one word of options", packet(0, &[1; 4]), ToEngine),
        ("all options that fit", packet(0, &[1; 40]), ToEngine),
    ]);
}

#[test]
fn extension_headers_of_ipv6() {
    use Verdict::{Extension, Fragment, Malformed, ToEngine};
    let (SocketAddr::V6(client), SocketAddr::V6(service)) = (client6(), service6()) else {
        panic!("IPv6 addresses")
    };
    let syn = tcp(client.port(), service.port(), SYN, 0);
    let packet = |next, payload: &[u8]| ethernet(&ipv6(*client.ip(), *service.ip(), next, payload));
    let chain = |headers: u8| {
        (1..headers).fold(extension(TCP, 0, &syn), |inner, _| extension(DESTINATION, 0, &inner))
    };
    let both = extension(DESTINATION, 0, &extension(TCP, 31, &syn));
    check(vec![
        ("hop by hop", packet(HOP_BY_HOP, &extension(TCP, 0, &syn)), ToEngine),
        ("destination options", packet(DESTINATION, &extension(TCP, 0, &syn)), ToEngine),
        ("both, one of 256 octets", packet(HOP_BY_HOP, &both), ToEngine),
        ("one of 2048 octets", packet(DESTINATION, &extension(TCP, 255, &syn)), ToEngine),
        ("as many as are skipped", packet(DESTINATION, &chain(4)), ToEngine),
        ("one more", packet(DESTINATION, &chain(5)), Extension),
        ("routing", packet(ROUTING, &extension(TCP, 0, &syn)), Extension),
        ("fragment", packet(FRAGMENT, &extension(TCP, 0, &syn)), Fragment),
        ("longer than the packet", packet(DESTINATION, &[TCP, 4, 0, 0, 0, 0, 0, 0]), Malformed),
    ]);
}

#[test]
fn icmp_errors_about_our_segments_go_to_the_engine() {
    use Verdict::{NotOurs, ToEngine, Unknown};
    let router4 = at("203.0.113.1:0").ip();
    let router6 = at("[2001:db8:1::1]:0").ip();
    let error4 = |kind, code, from: SocketAddr, to: SocketAddr, octets: usize| {
        let sent = ip(from.ip(), to.ip(), TCP, &tcp(from.port(), to.port(), ACK, 1400));
        ethernet(&ip(router4, from.ip(), ICMPV4, &icmp(kind, code, &sent[..octets])))
    };
    let error6 = |kind, from: SocketAddr, to: SocketAddr| {
        let sent = ip(from.ip(), to.ip(), TCP, &tcp(from.port(), to.port(), ACK, 1000));
        ethernet(&ip(router6, from.ip(), ICMPV6, &icmp(kind, 0, &sent)))
    };
    let origin = at("10.2.0.9:8080");
    let quoting =
        |sent: &[u8]| ethernet(&ip(router4, service4().ip(), ICMPV4, &icmp(3, 4, &sent[..28])));
    let sent = ip(service4().ip(), client4().ip(), TCP, &tcp(80, 51234, ACK, 0));
    let mut udp = sent.clone();
    udp[9] = UDP;
    let mut fragment = sent.clone();
    fragment[7] = 0xb9;
    let mut brief = sent.clone();
    brief[0] = 0x44;
    check(vec![
        ("about our first fragment or whole segment", quoting(&sent), ToEngine),
        ("about a datagram", quoting(&udp), NotOurs),
        ("about a later fragment, which has no ports", quoting(&fragment), NotOurs),
        ("about a header that is too short", quoting(&brief), NotOurs),
        ("fragmentation needed, service", error4(3, 4, service4(), client4(), 28), ToEngine),
        ("fragmentation needed, egress", error4(3, 4, at("10.2.0.1:20000"), origin, 28), Unknown),
        ("about no connection", error4(3, 4, service4(), at("192.0.2.8:1"), 28), Unknown),
        ("quoted at length", error4(3, 4, service4(), client4(), 500), ToEngine),
        ("host unreachable", error4(3, 1, service4(), client4(), 28), ToEngine),
        ("about another port", error4(3, 4, at("10.1.0.1:22"), client4(), 28), NotOurs),
        ("about an egress port not ours", error4(3, 4, at("10.2.0.1:1024"), origin, 28), NotOurs),
        ("about the client's segment", error4(3, 4, client4(), service4(), 28), NotOurs),
        ("quoted too briefly", error4(3, 4, service4(), client4(), 27), NotOurs),
        ("source quench", error4(4, 0, service4(), client4(), 28), NotOurs),
        ("packet too big", error6(2, service6(), client6()), ToEngine),
        ("unreachable, IPv6", error6(1, service6(), client6()), ToEngine),
        ("about no connection, IPv6", error6(1, at("[fd00:2::1]:20000"), client6()), Unknown),
        ("time exceeded, IPv6", error6(3, service6(), client6()), NotOurs),
        ("too big, another port", error6(2, at("[fd00:1::1]:22"), client6()), NotOurs),
    ]);
}

#[test]
fn lengths_that_contradict_each_other_are_the_kernels() {
    use Verdict::{Malformed, NotOurs, ToEngine};
    let syn = segment(client4(), service4(), SYN, 0);
    let syn6 = segment(client6(), service6(), SYN, 0);
    let with = |frame: &[u8], offset: usize, value: u8| {
        let mut frame = frame.to_vec();
        frame[offset] = value;
        frame
    };
    let mut padded = syn.clone();
    padded.resize(60, 0);
    let mut extended = ethernet(&ip(
        client6().ip(),
        service6().ip(),
        DESTINATION,
        &extension(TCP, 1, &tcp(51234, 80, SYN, 0)),
    ));
    extended[19] = 15;
    check(vec![
        ("padded to the least Ethernet frame", padded, ToEngine),
        ("IPv4 with another version", with(&syn, 14, 0x65), Malformed),
        ("IPv4 header of 16 octets", with(&syn, 14, 0x44), Malformed),
        ("IPv4 header longer than the packet", with(&syn, 14, 0x4f), Malformed),
        ("IPv4 total length beyond the frame", with(&syn, 17, 41), Malformed),
        ("IPv4 total length without TCP header", with(&syn, 17, 39), Malformed),
        ("IPv4 total length below its header", with(&syn, 17, 19), Malformed),
        ("TCP header of 16 octets", with(&syn, 14 + 20 + 12, 0x40), Malformed),
        ("TCP header longer than the packet", with(&syn, 14 + 20 + 12, 0x60), Malformed),
        ("IPv6 with another version", with(&syn6, 14, 0x40), Malformed),
        ("IPv6 payload beyond the frame", with(&syn6, 19, 21), Malformed),
        ("IPv6 payload without TCP header", with(&syn6, 19, 19), Malformed),
        ("IPv6 extension beyond the payload, in a padded frame", extended, Malformed),
        (
            "IPv6 to a mapped address",
            segment(client6(), at("[::ffff:10.1.0.1]:80"), SYN, 0),
            NotOurs,
        ),
    ]);
}

#[test]
fn a_packet_cut_at_any_octet_is_the_kernels() {
    in_namespace(|| {
        let rig = Rig::new();
        rig.know(service4(), client4());
        rig.know(service6(), client6());
        let (SocketAddr::V6(client), SocketAddr::V6(service)) = (client6(), service6()) else {
            panic!("IPv6 addresses")
        };
        let syn = tcp(client.port(), service.port(), SYN, 0);
        let extended = extension(DESTINATION, 2, &extension(TCP, 0, &syn));
        let whole = [
            tagged(&[100], &segment(client4(), service4(), ACK, 30)),
            tagged(&[100], &segment(client6(), service6(), ACK, 30)),
            ethernet(&ipv6(*client.ip(), *service.ip(), HOP_BY_HOP, &extended)),
        ];
        for packet in whole {
            assert_eq!(rig.verdict(&packet), Verdict::ToEngine);
            // The kernel runs nothing on less than an Ethernet header.
            for octets in 14..packet.len() {
                assert_ne!(rig.verdict(&packet[..octets]), Verdict::ToEngine, "{octets} octets");
            }
        }
    });
}

#[test]
fn every_combination_of_flags_has_its_verdict() {
    in_namespace(|| {
        let rig = Rig::new();
        for flags in 0..=u8::MAX {
            let packet = segment(client4(), service4(), flags, 0);
            let expected = match flags & (FIN | SYN | RST | ACK) {
                SYN => Verdict::ToEngine,
                good if GOOD_FLAGS.contains(&good) && good & RST != 0 => Verdict::UnknownDropped,
                good if GOOD_FLAGS.contains(&good) => Verdict::Unknown,
                _ => Verdict::BadFlags,
            };
            assert_eq!(rig.verdict(&packet), expected, "flags {flags:#04x}");
        }
        rig.control.set_accepting(0, 0, false);
        for flags in 0..=u8::MAX {
            // Each from a port of its own: what follows a SYN goes where the SYN went.
            let client = SocketAddr::new(client4().ip(), 1000 + u16::from(flags));
            if flags & SYN == 0 || flags & ACK != 0 {
                rig.know(service4(), client);
            }
            let expected = match flags & (FIN | SYN | RST | ACK) {
                SYN => Verdict::NotAccepting,
                good if GOOD_FLAGS.contains(&good) => Verdict::ToEngine,
                _ => Verdict::BadFlags,
            };
            let packet = segment(client, service4(), flags, 0);
            assert_eq!(rig.verdict(&packet), expected, "flags {flags:#04x}");
        }
    });
}

/// No assertion: the figure is for people.
#[test]
fn time_for_each_packet() {
    const REPEAT: u32 = 100_000;
    in_namespace(|| {
        let rig = Rig::new();
        let packets = [
            ("data of a service", segment(client4(), service4(), ACK, 1400)),
            ("data of a service, IPv6", segment(client6(), service6(), ACK, 1400)),
            ("reply to the egress address", segment(client4(), at("10.2.0.1:20000"), ACK, 1400)),
            ("new connection", segment(client4(), service4(), SYN, 0)),
            ("another port", segment(client4(), at("10.1.0.1:22"), ACK, 1400)),
            ("ARP", ethernet_of(0x0806, &[0; 28])),
        ];
        for (what, packet) in packets {
            let run = rig.shield.dry_run(0, 0, &packet, REPEAT).expect("a dry run");
            eprintln!("{what}: {} ns a packet", run.duration.as_nanos());
        }
    });
}
