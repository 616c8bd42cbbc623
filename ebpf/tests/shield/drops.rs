//! What is dropped ahead of everyone: what cannot be right, and whom the operator denies.

use std::net::SocketAddr;

use ipnet::IpNet;
use ringroad_ebpf::{Lists, ShieldError, ShieldSettings, Verdict};

use crate::packets::{
    ACK, FIN, ICMPV4, ICMPV6, PSH, RST, SYN, TCP, UDP, ethernet, extension, icmp, ip, ipv4,
    segment, tagged, tcp,
};
use crate::rig::{Rig, in_namespace, settings};

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address and port")
}

fn prefixes(text: &str) -> Vec<IpNet> {
    text.split_whitespace().map(|prefix| prefix.parse().expect("a prefix")).collect()
}

fn lists(deny: &str, allow: &str) -> Lists {
    Lists { deny: prefixes(deny), allow: prefixes(allow) }
}

/// A SYN to the service of the client's address family.
fn syn(client: &str) -> Vec<u8> {
    syn_from(at(client))
}

fn syn_from(client: SocketAddr) -> Vec<u8> {
    let service = if client.is_ipv4() { "10.1.0.1:80" } else { "[fd00:1::1]:80" };
    segment(client, at(service), SYN, 0)
}

#[test]
fn what_no_connection_sends_is_dropped_where_it_is_ours() {
    use Verdict::{BadFlags, BadSource, Land, NotOurs, ToEngine, Unknown};
    let from = |client: &str, flags| segment(at(client), at("10.1.0.1:80"), flags, 0);
    let from6 = |client: &str| segment(at(client), at("[fd00:1::1]:80"), ACK, 0);
    let about = |router: &str| {
        let (service, client) = (at("10.1.0.1:80"), at("192.0.2.7:1"));
        let sent = ip(service.ip(), client.ip(), TCP, &tcp(80, 1, ACK, 0));
        let router = at(router).ip();
        ethernet(&ip(router, service.ip(), ICMPV4, &icmp(3, 4, &sent)))
    };
    let about6 = |router: &str| {
        let (service, client) = (at("[fd00:1::1]:80"), at("[2001:db8::7]:1"));
        let sent = ip(service.ip(), client.ip(), TCP, &tcp(80, 1, ACK, 0));
        ethernet(&ip(at(router).ip(), service.ip(), ICMPV6, &icmp(2, 0, &sent)))
    };
    let fixtures = [
        ("no flags", from("192.0.2.7:1", 0), BadFlags),
        ("push alone", from("192.0.2.7:1", PSH), BadFlags),
        ("FIN alone", from("192.0.2.7:1", FIN), BadFlags),
        ("FIN, push and urgent", from("192.0.2.7:1", FIN | PSH | 0x20), BadFlags),
        ("SYN and FIN", from("192.0.2.7:1", SYN | FIN), BadFlags),
        ("SYN and RST", from("192.0.2.7:1", SYN | RST), BadFlags),
        ("SYN, FIN and ACK", from("192.0.2.7:1", SYN | FIN | ACK), BadFlags),
        ("FIN and RST", from("192.0.2.7:1", FIN | RST | ACK), BadFlags),
        ("SYN with ECN", from("192.0.2.7:1", SYN | 0xc0), ToEngine),
        ("in a tagged frame", tagged(&[100], &from("192.0.2.7:1", 0)), BadFlags),
        ("to the egress address", segment(at("10.9.0.1:80"), at("10.2.0.1:20000"), 0, 0), BadFlags),
        ("to another port", segment(at("192.0.2.7:1"), at("10.1.0.1:22"), 0, 0), NotOurs),
        ("to itself", from("10.1.0.1:80", SYN), Land),
        ("to itself, IPv6", from6("[fd00:1::1]:80"), Land),
        ("from its address, another port", from("10.1.0.1:81", SYN), ToEngine),
        ("an error from its own address", about("10.1.0.1:0"), Unknown),
        ("this network", from("0.0.0.0:1", SYN), BadSource),
        ("a host of this network", from("0.1.2.3:1", SYN), BadSource),
        ("loopback", from("127.0.0.1:1", SYN), BadSource),
        ("multicast", from("224.0.0.1:1", SYN), BadSource),
        ("the last of multicast", from("239.255.255.255:1", SYN), BadSource),
        ("reserved", from("240.0.0.1:1", SYN), ToEngine),
        ("broadcast", from("255.255.255.255:1", SYN), BadSource),
        ("an error from loopback", about("127.0.0.1:0"), BadSource),
        ("an error from a router", about("203.0.113.1:0"), Unknown),
        ("unspecified", from6("[::]:1"), BadSource),
        ("loopback, IPv6", from6("[::1]:1"), BadSource),
        ("beside loopback", from6("[::2]:1"), Unknown),
        ("multicast, IPv6", from6("[ff02::1]:1"), BadSource),
        ("mapped", from6("[::ffff:192.0.2.7]:1"), BadSource),
        ("an error from a mapped address", about6("[::ffff:192.0.2.7]:1"), BadSource),
        ("an error from a neighbour", about6("[fe80::1]:1"), Unknown),
    ];
    in_namespace(|| {
        let rig = Rig::new();
        for (what, packet, expected) in fixtures {
            assert_eq!(rig.verdict(&packet), expected, "{what}");
        }
    });
}

#[test]
fn fragments_to_services_addresses_can_be_dropped() {
    use Verdict::{Fragment, FragmentDropped, NotOurs};
    let fragment4 = |to: &str, protocol, fragment| {
        let (SocketAddr::V4(from), SocketAddr::V4(to)) = (at("192.0.2.7:1"), at(to)) else {
            panic!("IPv4 addresses")
        };
        ethernet(&ipv4(*from.ip(), *to.ip(), protocol, fragment, &[], &[0; 64]))
    };
    let fragment6 = |to: &str, protocol| {
        let fragment = extension(protocol, 0, &[0; 64]);
        ethernet(&ip(at("[2001:db8::7]:1").ip(), at(to).ip(), 44, &fragment))
    };
    let fixtures = [
        ("first", fragment4("10.1.0.1:0", TCP, 0x2000), FragmentDropped),
        ("later", fragment4("10.1.0.1:0", TCP, 0x0010), FragmentDropped),
        ("of an ICMP message", fragment4("10.1.0.1:0", ICMPV4, 0x2000), Fragment),
        ("of a datagram", fragment4("10.1.0.1:0", UDP, 0x2000), NotOurs),
        ("to another address", fragment4("10.1.0.2:0", TCP, 0x2000), Fragment),
        ("to the egress address", fragment4("10.2.0.1:0", TCP, 0x2000), Fragment),
        ("IPv6", fragment6("[fd00:1::1]:0", TCP), FragmentDropped),
        ("IPv6, of a datagram", fragment6("[fd00:1::1]:0", UDP), Fragment),
        ("IPv6, to another address", fragment6("[fd00:1::2]:0", TCP), Fragment),
    ];
    in_namespace(|| {
        let dropping = Rig::with(&ShieldSettings { drop_fragments: true, ..settings() });
        let leaving = Rig::new();
        for (what, packet, expected) in fixtures {
            assert_eq!(dropping.verdict(&packet), expected, "{what}");
            let left = if expected == FragmentDropped { Fragment } else { expected };
            assert_eq!(leaving.verdict(&packet), left, "{what}, left to the kernel");
        }
    });
}

#[test]
fn the_longest_prefix_of_both_lists_counts() {
    use Verdict::{Denied, NotOurs, ToEngine, Unknown};
    let lists = lists(
        "192.0.2.0/24 198.51.100.0/24 203.0.113.9/32 2001:db8::/32 ::/3",
        "192.0.2.128/25 198.51.0.0/16 2001:db8:1::/48",
    );
    let icmp_from = |router: &str| {
        let (service, client) = (at("10.1.0.1:80"), at("203.0.113.1:1"));
        let sent = ip(service.ip(), client.ip(), TCP, &tcp(80, 1, ACK, 0));
        ethernet(&ip(at(router).ip(), service.ip(), ICMPV4, &icmp(3, 4, &sent)))
    };
    let fixtures = [
        ("denied", syn("192.0.2.7:1"), Denied),
        ("data", segment(at("192.0.2.7:1"), at("10.1.0.1:80"), ACK, 100), Denied),
        ("the part that is allowed", syn("192.0.2.128:1"), ToEngine),
        ("a part of an allowed network", syn("198.51.100.1:1"), Denied),
        ("the rest of it", syn("198.51.99.1:1"), ToEngine),
        ("one address", syn("203.0.113.9:1"), Denied),
        ("the next address", syn("203.0.113.10:1"), ToEngine),
        ("in no list, though a prefix of IPv6 has its bits", syn("10.9.9.9:1"), ToEngine),
        ("IPv6", syn("[2001:db8::7]:1"), Denied),
        ("IPv6, the part that is allowed", syn("[2001:db8:1::7]:1"), ToEngine),
        ("IPv6, in no list", syn("[fd00:9::9]:1"), ToEngine),
        ("to the egress address", segment(at("192.0.2.7:1"), at("10.2.0.1:20000"), ACK, 0), Denied),
        ("an error that a denied router reports", icmp_from("192.0.2.7:0"), Denied),
        ("an error that another reports", icmp_from("203.0.113.1:0"), Unknown),
        ("to SSH", segment(at("192.0.2.7:1"), at("10.1.0.1:22"), SYN, 0), NotOurs),
    ];
    in_namespace(|| {
        let rig = Rig::with(&ShieldSettings { lists, ..settings() });
        for (what, packet, expected) in fixtures {
            assert_eq!(rig.verdict(&packet), expected, "{what}");
        }
        rig.shield.set_lists(&Lists::default()).expect("no lists");
        assert_eq!(rig.verdict(&syn("192.0.2.7:1")), ToEngine, "no more");
    });
}

#[test]
fn lists_that_contradict_themselves_change_nothing() {
    in_namespace(|| {
        let rig = Rig::with(&ShieldSettings { lists: lists("192.0.2.0/24", ""), ..settings() });
        let error = rig.shield.set_lists(&lists("10.0.0.0/8", "10.0.0.1/8")).expect_err("both");
        assert!(matches!(error, ShieldError::ListedTwice { .. }), "{error}");
        assert_eq!(error.to_string(), "10.0.0.0/8 is to be denied and allowed; choose one");
        assert_eq!(rig.verdict(&syn("192.0.2.7:1")), Verdict::Denied);
        assert_eq!(rig.verdict(&syn("10.9.0.1:1")), Verdict::ToEngine);
    });
}

/// One source is denied by every set of lists, but by another prefix each time, with others that say
/// otherwise around it; another is allowed by all. Packets run while the lists change.
#[test]
fn lists_change_without_a_gap_under_traffic() {
    let sets = [
        lists("192.0.2.0/24 198.51.0.0/16", "192.0.0.0/16 198.51.100.0/24 10.0.0.0/8"),
        lists("192.0.2.0/25 198.0.0.0/8", "192.0.2.0/24 198.51.100.0/25"),
        lists("192.0.2.7/32 198.51.100.0/24", "192.0.2.0/25 198.51.100.7/32 2001:db8::/32"),
        lists("192.0.0.0/8 198.51.100.0/25", "192.0.3.0/24 198.51.100.0/26"),
        lists("192.0.2.0/26 192.0.2.0/28 198.51.100.0/26", "192.0.2.0/27 198.51.100.0/27"),
    ];
    in_namespace(|| {
        let rig = Rig::with(&ShieldSettings { lists: sets[0].clone(), ..settings() });
        let before = rig.counters();
        let (denied, allowed) = (syn("192.0.2.7:1"), syn("198.51.100.7:1"));
        std::thread::scope(|scope| {
            let traffic = [&denied, &allowed].map(|packet| {
                let shield = &rig.shield;
                scope.spawn(move || shield.dry_run(0, 0, packet, 2_000_000).expect("a dry run"))
            });
            let mut changes = 0;
            while !traffic.iter().all(|thread| thread.is_finished()) {
                changes += 1;
                rig.shield.set_lists(&sets[changes % sets.len()]).expect("new lists");
            }
            assert!(changes > 100, "{changes} changes");
        });
        let after = rig.counters();
        let counted = |verdict| after.of(verdict) - before.of(verdict);
        assert_eq!(counted(Verdict::Denied), 2_000_000, "always denied");
        assert_eq!(counted(Verdict::ToEngine), 2_000_000, "always allowed");
    });
}

/// No assertion: the figure is for people.
#[test]
fn time_for_each_drop() {
    const REPEAT: u32 = 1_000_000;
    in_namespace(|| {
        let mut lists = lists("192.0.2.0/24 2001:db8::/32", "");
        let rig = Rig::with(&ShieldSettings { lists: lists.clone(), ..settings() });
        let (client, service) = (at("198.51.100.7:1"), at("10.1.0.1:80"));
        let print = |what: &str, packet: &[u8]| {
            let run = rig.shield.dry_run(0, 0, packet, REPEAT).expect("a dry run");
            eprintln!("{what}: {} ns a packet", run.duration.as_nanos());
        };
        print("bad flags", &segment(client, service, 0, 0));
        print("denied", &syn("192.0.2.7:1"));
        print("denied, IPv6", &syn("[2001:db8::7]:1"));
        print("data of a service, lists in use", &segment(client, service, ACK, 1400));
        let many = (0..10_000_u32).map(|number| {
            let [_, _, b, c] = number.to_be_bytes();
            format!("172.{}.{c}.0/24", 16 + b).parse::<IpNet>().expect("a prefix")
        });
        lists.deny.extend(many);
        rig.shield.set_lists(&lists).expect("many prefixes");
        print("denied, 10,000 prefixes", &syn("192.0.2.7:1"));
        print("denied, 10,000 prefixes around", &syn("172.20.77.7:1"));
    });
}
