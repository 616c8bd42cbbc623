//! Where new connections go and that each stays there; what crosses to Linux and back. That single
//! packets are judged as by the XDP program is shown in `tests/twin.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringroad_ebpf::{FingerprintKey, RateLimit};

use super::*;
use crate::frame::{Burst, FramePool};
use crate::limits::{BURST, KERNEL_FLOW_MEMORY, KERNEL_LOOK_INTERVAL, KERNEL_QUESTIONS_PER_SECOND};
use crate::port::sim::{self, SimPeer, SimPort};
use crate::stage::{Gate as _, TwinGate};
use crate::telemetry::Snapshot;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

const START: Instant = Instant::from_millis(1_000);

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address and port")
}

fn twin() -> Twin {
    Twin::new(&settings())
}

/// Service 0 on both ports, service 1 on the second; an egress address on the first.
fn settings() -> Settings {
    let service = |address, port_index, service_index| ServiceAddress {
        address: at(address),
        port_index,
        service_index,
    };
    let egress = |ports| EgressRange { address: at("10.2.0.1:0").ip(), ports, port_index: 0 };
    let key = FingerprintKey::new(b"the quick brown fox jumps over the lazy dog, ok.");
    Settings {
        services: vec![
            service("10.1.0.1:80", 0, 0),
            service("10.1.0.1:80", 1, 0),
            service("[fd00:1::1]:443", 1, 1),
        ],
        egress: vec![egress(40_000..=40_009), egress(20_000..=20_009)],
        ..Settings::new(2, KnownFlows::new(&[1, 2], 1000, key), [7; 16])
    }
}

/// A segment of IPv4 without payload, as far as the twin reads it.
fn segment(from: &str, to: &str, flags: u8) -> Vec<u8> {
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (at(from), at(to)) else { panic!("IPv4") };
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
    frame.extend(from.ip().octets());
    frame.extend(to.ip().octets());
    frame.extend(from.port().to_be_bytes());
    frame.extend(to.port().to_be_bytes());
    frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    frame
}

fn from_client(port: u16, flags: u8) -> Vec<u8> {
    segment(&format!("192.0.2.7:{port}"), "10.1.0.1:80", flags)
}

/// The engine says that it has this connection with a client.
fn know(twin: &Twin, port: u8, client: u16) {
    let client = SocketAddr::from(([192, 0, 2, 7], client));
    let flow = FlowKey::new(at("10.1.0.1:80"), client);
    twin.known_flows.insert(port.into(), &flow.to_octets());
}

#[test]
fn a_connection_stays_linuxs_until_a_new_one_takes_its_place() {
    let mut twin = twin();
    let judge = |twin: &mut Twin, packet: &[u8]| twin.judge(START, 0, packet);
    assert_eq!(judge(&mut twin, &from_client(1, SYN)), Verdict::NotAccepting, "not at first");
    assert_eq!(judge(&mut twin, &from_client(1, SYN)), Verdict::NotAccepting, "sent again");
    assert_eq!(twin.fell_back().collect::<Vec<_>>(), [1, 0]);
    assert_eq!(judge(&mut twin, &from_client(1, ACK)), Verdict::KernelFlow);
    assert_eq!(judge(&mut twin, &from_client(2, ACK)), Verdict::Unknown, "another connection");
    know(&twin, 0, 2);
    assert_eq!(judge(&mut twin, &from_client(2, ACK)), Verdict::ToEngine, "one of the engine's");
    twin.set_accepting(0, true);
    assert_eq!(judge(&mut twin, &from_client(1, FIN | ACK)), Verdict::KernelFlow);
    assert_eq!(judge(&mut twin, &from_client(1, SYN)), Verdict::ToEngine, "the same ports again");
    know(&twin, 0, 1);
    assert_eq!(judge(&mut twin, &from_client(1, ACK)), Verdict::ToEngine);
    assert_eq!(twin.kernel_flow_count(), 0);
    assert_eq!(twin.counters().received, 8);
    assert_eq!(twin.counters().to_engine(), 3);
    assert_eq!(twin.counters().passed(), 5);
}

#[test]
fn a_syn_between_ends_that_the_engine_knows_is_its_own_to_answer() {
    let mut twin = twin();
    twin.set_accepting(0, true);
    twin.set_cookies(0, CookieMode::Always);
    assert_eq!(twin.judge(START, 0, &from_client(1, SYN)), Verdict::Answered);
    know(&twin, 0, 1);
    assert_eq!(twin.judge(START, 0, &from_client(1, SYN)), Verdict::ToEngine);
    assert_eq!(twin.judge(START, 1, &from_client(1, SYN)), Verdict::Answered, "by another port");
    assert_eq!(twin.judge(START, 0, &from_client(2, SYN)), Verdict::Answered);
}

#[test]
fn ports_are_told_apart() {
    let mut twin = twin();
    twin.keep_with_kernel(START, 1, at("10.1.0.1:80"), at("192.0.2.7:1"));
    assert_eq!(twin.judge(START, 1, &from_client(1, ACK)), Verdict::KernelFlow);
    assert_eq!(twin.judge(START, 0, &from_client(1, ACK)), Verdict::Unknown, "the other port");
    twin.keep_with_kernel(START, 0, at("10.1.0.1:80"), at("192.0.2.7:1"));
    twin.set_accepting(0, true);
    assert_eq!(twin.judge(START, 0, &from_client(1, SYN)), Verdict::ToEngine);
    know(&twin, 0, 1);
    assert_eq!(twin.judge(START, 0, &from_client(1, ACK)), Verdict::ToEngine);
    assert_eq!(twin.judge(START, 1, &from_client(1, ACK)), Verdict::KernelFlow, "as it was");
    assert_eq!(twin.fell_back().collect::<Vec<_>>(), [0, 0], "kept is not fallen back");

    let reply = |port| segment("10.9.0.1:80", &format!("10.2.0.1:{port}"), ACK);
    for (port, expected) in [
        (19_999, Verdict::NotOurs),
        (20_000, Verdict::Unknown),
        (20_009, Verdict::Unknown),
        (20_010, Verdict::NotOurs),
        (40_009, Verdict::Unknown),
    ] {
        assert_eq!(twin.judge(START, 0, &reply(port)), expected, "port {port}");
        assert_eq!(twin.judge(START, 1, &reply(port)), Verdict::NotOurs, "no egress there");
    }
}

/// A Linux that has whatever comes from port 1.
#[derive(Debug)]
struct HasPortOne(Arc<AtomicUsize>);

impl LinuxSockets for HasPortOne {
    fn has(&mut self, flow: &FlowKey) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        flow.remote().port() == 1
    }
}

#[test]
fn a_syn_between_the_ends_of_a_connection_that_linux_has_is_linuxs() {
    let mut twin = twin();
    let asked = Arc::new(AtomicUsize::new(0));
    twin.ask_linux(Box::new(HasPortOne(asked.clone())));
    for port in 1..=2 {
        assert_eq!(twin.judge(START, 0, &from_client(port, SYN)), Verdict::NotAccepting);
    }
    twin.set_accepting(0, true);
    assert_eq!(twin.judge(START, 0, &from_client(1, SYN)), Verdict::KernelFlow);
    assert_eq!(twin.judge(START, 0, &from_client(2, SYN)), Verdict::ToEngine, "it has ended");
    assert_eq!(twin.judge(START, 0, &from_client(2, SYN)), Verdict::ToEngine);
    assert_eq!(twin.judge(START, 0, &from_client(3, SYN)), Verdict::ToEngine);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "of no connection that it was not given");
    let flood =
        (0..100_000).all(|_| twin.judge(START, 0, &from_client(1, SYN)) == Verdict::KernelFlow);
    assert!(flood, "and of none oftener than it may be");
    let burst = KERNEL_QUESTIONS_PER_SECOND as usize / 20;
    assert_eq!(asked.load(Ordering::Relaxed), burst);
}

#[test]
fn of_more_connections_than_fit_the_least_recently_used_is_forgotten() {
    let flows = KernelFlows::new(3, &[7; 16]);
    let key = |port| Segment::between(at("10.1.0.1:80"), SocketAddr::from(([192, 0, 2, 7], port)));
    let key = |port| key(port).flow();
    for port in 1..=3 {
        assert!(flows.insert(START, 0, key(port)));
    }
    assert!(flows.contains(START, 0, &key(1)), "used");
    assert!(!flows.insert(START, 0, key(2)), "no news, but used");
    assert!(flows.insert(START, 0, key(4)));
    assert!(!flows.contains(START, 0, &key(3)), "gave way");
    assert_eq!(flows.len(), 3);
    flows.remove(0, &key(2));
    flows.remove(0, &key(2));
    assert!(flows.insert(START, 0, key(5)));
    for port in [1, 4, 5] {
        assert!(flows.contains(START, 0, &key(port)), "{port}");
    }
    for port in 10..10_000 {
        assert!(flows.insert(START, 0, key(port)));
        assert!(flows.contains(START, 0, &key(port)));
    }
    assert_eq!(flows.len(), 3);
}

#[test]
fn a_connection_that_was_quiet_for_too_long_is_nobodys() {
    let mut twin = twin();
    twin.keep_with_kernel(START, 0, at("10.1.0.1:80"), at("192.0.2.7:1"));
    let almost = START + (KERNEL_FLOW_MEMORY - Duration::from_nanos(1));
    assert_eq!(twin.judge(almost, 0, &from_client(1, ACK)), Verdict::KernelFlow);
    let over = almost + KERNEL_FLOW_MEMORY;
    assert_eq!(twin.judge(over, 0, &from_client(1, ACK)), Verdict::Unknown);
}

#[test]
fn a_prefix_has_a_burst_and_then_its_rate_unless_it_is_listed_and_who_is_proven_his_own() {
    let prefix = |text: &str| text.parse().expect("a prefix");
    let limit = |burst, prefix_v4| RateLimit {
        syn_per_second: 10,
        burst,
        packets_per_second: None,
        bytes_per_second: None,
        prefix_v4,
        prefix_v6: 64,
    };
    let limits = RateLimits {
        per_source: Some(limit(2, 32)),
        per_prefix: Some(limit(3, 24)),
        unproven_syn_per_second: None,
    };
    let proven = ProvenSources::new(limits.source_masks(), FingerprintKey::new(&[7; 48]));
    let mut twin = Twin::new(&Settings {
        lists: Lists { deny: vec![prefix("192.0.2.0/24")], allow: vec![prefix("192.0.2.7/32")] },
        limits: Some((limits, proven.clone())),
        ..settings()
    });
    twin.set_accepting(0, true);
    let mut judged = |now, from: &str, expected, times| {
        for number in 1..=times {
            let syn = segment(&format!("{from}:{number}"), "10.1.0.1:80", SYN);
            assert_eq!(twin.judge(now, 0, &syn), expected, "{from}, {number}");
        }
    };
    judged(START, "198.51.100.1", Verdict::ToEngine, 3);
    judged(START, "198.51.100.2", Verdict::PrefixLimited, 5);
    judged(START, "198.51.101.1", Verdict::ToEngine, 3);
    judged(START, "192.0.2.1", Verdict::Denied, 2);
    judged(START, "192.0.2.7", Verdict::ToEngine, 10);
    judged(START + Duration::from_millis(99), "198.51.100.1", Verdict::PrefixLimited, 1);
    judged(START + Duration::from_millis(100), "198.51.100.1", Verdict::ToEngine, 1);
    proven.prove(at("198.51.100.2:0").ip());
    judged(START, "198.51.100.2", Verdict::ToEngine, 2);
    judged(START, "198.51.100.2", Verdict::RateLimited, 1);
    assert_eq!((twin.counters().dropped(), twin.counters().passed()), (9, 0));
    assert_eq!(twin.counters().received, twin.counters().to_engine() + 9);
}

#[test]
fn twins_of_two_lanes_know_alike_what_is_linuxs_and_count_together() {
    let limit = |burst| RateLimit {
        syn_per_second: 10,
        burst,
        packets_per_second: None,
        bytes_per_second: None,
        prefix_v4: 24,
        prefix_v6: 64,
    };
    let limits =
        RateLimits { per_source: None, per_prefix: Some(limit(6)), unproven_syn_per_second: None };
    let proven = ProvenSources::new(limits.source_masks(), FingerprintKey::new(&[7; 48]));
    let settings = Settings { limits: Some((limits, proven)), ..settings() };
    let first = Twin::new(&settings);
    let other = first.for_another_lane(&settings.with_secret([9; 16]));
    let mut lanes = [first, other];
    // A SYN comes by one, what follows by the other.
    assert_eq!(lanes[0].judge(START, 0, &from_client(1, SYN)), Verdict::NotAccepting);
    assert_eq!(lanes[1].judge(START, 0, &from_client(1, ACK)), Verdict::KernelFlow);
    assert_eq!(lanes[1].judge(START, 0, &from_client(1, SYN)), Verdict::NotAccepting, "sent again");
    let fell_back = lanes.each_ref().map(|twin| twin.fell_back().sum::<u64>());
    assert_eq!(fell_back, [1, 0]);
    let judged = (2..10).map(|n| lanes[n % 2].judge(START, 0, &from_client(n as u16, SYN)));
    let limited = judged.filter(|verdict| *verdict == Verdict::PrefixLimited).count();
    assert_eq!(limited, 4, "six in all, whichever lane they came to");
    let replies =
        (0..1100).map(|n| segment("10.9.0.1:80", &format!("10.2.0.1:{}", 20_000 + n % 10), ACK));
    let mut taken = [0; 2];
    for (n, reply) in replies.enumerate() {
        taken[n % 2] += usize::from(lanes[n % 2].judge(START, 0, &reply) == Verdict::Unknown);
    }
    assert_eq!(taken, [500, 500], "a second's worth for both");
}

/// What has no limit costs nothing, also in a lane whose turn began a moment before another's.
#[test]
fn what_is_not_limited_is_let_through_by_a_lane_whose_clock_is_behind() {
    let cap = RateLimits { unproven_syn_per_second: Some(1_000), ..RateLimits::default() };
    let proven = ProvenSources::new(cap.source_masks(), FingerprintKey::new(&[7; 48]));
    let settings = Settings { limits: Some((cap, proven.clone())), ..settings() };
    let first = Twin::new(&settings);
    let other = first.for_another_lane(&settings.with_secret([9; 16]));
    let mut lanes = [(first, START + Duration::from_micros(50)), (other, START)];
    for (twin, _) in &mut lanes {
        twin.set_accepting(0, true);
    }
    let clients = ["198.51.100.1:1", "198.51.100.2:1"].map(at);
    proven.prove(clients[0].ip());
    for client in clients {
        for (twin, now) in &mut lanes {
            let syn = segment(&client.to_string(), "10.1.0.1:80", SYN);
            assert_eq!(twin.judge(*now, 0, &syn), Verdict::ToEngine, "{client}");
        }
    }
}

#[test]
fn what_is_no_frame_at_all_is_malformed() {
    let mut twin = twin();
    let syn = from_client(1, SYN);
    for octets in 0..14 {
        assert_eq!(twin.judge(START, 0, &syn[..octets]), Verdict::Malformed, "{octets} octets");
    }
}

#[test]
fn classes_are_told_apart() {
    use Class::{Connections, Control, Link, Rest};
    let ipv4 = |protocol: u8, fragment: u8, payload: &[u8]| {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x46, 0, 0, 0, 0, 0, fragment, 0, 64, protocol, 0, 0]);
        frame.extend([0; 12]);
        frame.extend(payload);
        frame
    };
    let ipv6 = |next: u8, payload: &[u8]| {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
        frame.extend([0x60, 0, 0, 0, 0, payload.len() as u8, next, 255]);
        frame.extend([0; 32]);
        frame.extend(payload);
        frame
    };
    let plain = |destination: [u8; 6], ether_type: u16| {
        let mut frame = destination.to_vec();
        frame.extend([2, 0, 0, 0, 0, 2]);
        frame.extend(ether_type.to_be_bytes());
        frame.extend([0; 46]);
        frame
    };
    let tagged = |frame: &[u8]| [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat();
    let ports = |from: u16, to: u16| [from.to_be_bytes(), to.to_be_bytes()].concat();
    let to_group = |frame: &[u8]| [&[1, 0, 0x5e, 0, 0, 5], &frame[6..]].concat();
    let from_afar = |frame: &[u8]| [&frame[..21], &[254], &frame[22..]].concat();
    let arp = plain([0xff; 6], 0x0806);
    let solicitation = ipv6(58, &[135, 0]);
    let listener_report = [58, 0, 5, 2, 0, 0, 1, 0, 143, 0];
    let ntp = ipv4(17, 0, &ports(123, 123));
    for (what, verdict, packet, expected) in [
        ("ARP", Verdict::NotOurs, arp.clone(), Link),
        ("ARP with a tag", Verdict::NotOurs, tagged(&arp), Link),
        ("spanning tree", Verdict::NotOurs, plain([1, 0x80, 0xc2, 0, 0, 0], 38), Link),
        ("LACP", Verdict::NotOurs, plain([1, 0x80, 0xc2, 0, 0, 2], 0x8809), Link),
        ("LLDP", Verdict::NotOurs, plain([1, 0x80, 0xc2, 0, 0, 14], 0x88cc), Link),
        ("beyond that group", Verdict::NotOurs, plain([1, 0x80, 0xc2, 0, 0, 16], 38), Rest),
        ("neighbour solicitation", Verdict::NotOurs, solicitation.clone(), Link),
        ("one through a router", Verdict::NotOurs, from_afar(&solicitation), Rest),
        ("listener report", Verdict::NotOurs, to_group(&ipv6(0, &listener_report)), Link),
        ("one to us alone", Verdict::NotOurs, ipv6(0, &listener_report), Rest),
        ("echo request", Verdict::NotOurs, ipv6(58, &[128, 0]), Rest),
        ("IGMP", Verdict::NotOurs, to_group(&ipv4(2, 0, &[])), Link),
        ("IGMP to us alone", Verdict::NotOurs, ipv4(2, 0, &[]), Rest),
        ("OSPF", Verdict::NotOurs, to_group(&ipv4(89, 0, &[])), Link),
        ("OSPF to us alone", Verdict::NotOurs, ipv4(89, 0, &[]), Control),
        ("OSPFv3", Verdict::NotOurs, to_group(&ipv6(89, &[])), Link),
        ("VRRP", Verdict::NotOurs, to_group(&ipv4(112, 0, &[])), Link),
        ("to BGP", Verdict::NotOurs, ipv4(6, 0, &ports(40_000, 179)), Control),
        ("from BGP", Verdict::NotOurs, ipv6(6, &ports(179, 40_000)), Control),
        ("BFD", Verdict::NotOurs, ipv4(17, 0, &ports(49_152, 3784)), Control),
        ("BFD's answer port", Verdict::NotOurs, ipv4(17, 0, &ports(3784, 49_152)), Rest),
        ("a fragment", Verdict::Fragment, ipv4(6, 0x20, &ports(179, 179)), Rest),
        ("SSH", Verdict::NotOurs, ipv4(6, 0, &ports(40_000, 22)), Rest),
        ("NTP", Verdict::NotOurs, ntp.clone(), Rest),
        ("cut short", Verdict::Malformed, ntp[..30].to_vec(), Rest),
        ("nothing", Verdict::Malformed, Vec::new(), Rest),
        ("a fallback", Verdict::NotAccepting, from_client(1, SYN), Connections),
        ("what follows", Verdict::KernelFlow, from_client(1, ACK), Connections),
    ] {
        assert_eq!(Class::of(verdict, &packet), expected, "{what}");
    }
}

/// A way to a simulated Linux, and its end of it.
fn path(rates: Rates, settings: sim::Settings) -> (KernelPath<SimPort>, SimPeer, FramePool) {
    let (kernel, linux) = SimPort::with_peer(settings);
    (KernelPath::new(kernel, rates), linux, FramePool::in_memory(256, 2048))
}

fn give(path: &mut KernelPath<SimPort>, pool: &mut FramePool, packet: &[u8], count: usize) {
    for _ in 0..count {
        let mut frame = pool.alloc().expect("a free frame");
        pool.push_back(&mut frame, packet.len()).expect("room").copy_from_slice(packet);
        path.take(START, pool, Verdict::NotOurs, frame);
    }
    path.flush(START, pool);
}

fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 12];
    frame.extend([0x08, 0x06]);
    frame.resize(60, 0);
    frame
}

#[test]
fn a_flood_of_one_class_leaves_the_others_their_rate() {
    let rates = Rates { rest: 100, ..Rates::default() };
    let (mut path, mut linux, mut pool) = path(rates, sim::Settings::default());
    let stray = segment("192.0.2.7:1", "10.1.0.1:22", ACK);
    (0..4).for_each(|_| give(&mut path, &mut pool, &stray, BURST));
    give(&mut path, &mut pool, &arp(), BURST);
    let crossed: Vec<_> = std::iter::from_fn(|| linux.receive()).collect();
    assert_eq!(crossed.iter().filter(|packet| **packet == stray).count(), 5, "50 ms of its rate");
    assert_eq!(crossed.iter().filter(|packet| **packet == arp()).count(), BURST);
    let counts = path.counts();
    assert_eq!(counts.limited, 4 * BURST as u64 - 5);
    assert_eq!((counts.to_kernel, counts.full), (5 + BURST as u64, 0));
    assert_eq!(pool.free_count(), pool.capacity());
}

/// Anybody can send what looks like BGP. It must not cost the link its ARP.
#[test]
fn what_comes_from_afar_leaves_the_link_its_rate() {
    let (mut path, mut linux, mut pool) = path(Rates::default(), sim::Settings::default());
    let forged = segment("192.0.2.7:179", "10.1.0.1:22", ACK);
    let mut crossed = |path: &mut _, packet: &[u8], bursts: usize| -> usize {
        let through = |_| {
            give(path, &mut pool, packet, BURST);
            std::iter::from_fn(|| linux.receive()).count()
        };
        (0..bursts).map(through).sum()
    };
    assert_eq!(crossed(&mut path, &forged, 8), 250, "50 ms of its rate");
    assert_eq!(crossed(&mut path, &arp(), 2), 2 * BURST);
}

#[test]
fn what_linux_has_no_room_for_is_dropped_and_counted() {
    let settings = sim::Settings {
        tx_entries: 10,
        packet_max: 100,
        completion: sim::Completion::OnRequest,
        ..sim::Settings::default()
    };
    let (mut path, mut linux, mut pool) = path(Rates::default(), settings);
    give(&mut path, &mut pool, &arp(), 15);
    assert_eq!((path.counts().to_kernel, path.counts().full), (10, 5));
    assert_eq!(pool.with_devices(), 10);
    linux.complete(10);
    give(&mut path, &mut pool, &[0xff; 200], 0);
    give(&mut path, &mut pool, &[0xff; 200], 1);
    assert_eq!((path.counts().to_kernel, path.counts().full), (10, 6), "refused when sent");
    path.close(&mut pool);
    assert_eq!(pool.free_count(), pool.capacity());
}

#[test]
fn linux_is_looked_at_again_at_once_only_while_it_sends() {
    let (mut path, mut linux, mut pool) = path(Rates::default(), sim::Settings::default());
    let mut out = Burst::new();
    let mut relayed = |path: &mut KernelPath<SimPort>, pool: &mut FramePool, now| {
        path.relay(now, pool, &mut out);
        let relayed = out.len();
        out.drain().for_each(|frame| pool.free(frame));
        relayed
    };
    (0..100).for_each(|_| linux.send(&arp()));
    assert_eq!(relayed(&mut path, &mut pool, START), BURST);
    assert_eq!(relayed(&mut path, &mut pool, START), 100 - BURST);
    assert_eq!(relayed(&mut path, &mut pool, START), 0);
    linux.send(&arp());
    let interval = KERNEL_LOOK_INTERVAL;
    assert_eq!(relayed(&mut path, &mut pool, START + (interval - Duration::from_nanos(1))), 0);
    assert_eq!(relayed(&mut path, &mut pool, START + interval), 1);
    assert_eq!(path.counts().from_kernel, 101);
}

/// SYNs to service 0, each from a port of its own.
fn receive_syns(pool: &mut FramePool, burst: &mut Burst, ports: std::ops::Range<u16>) {
    for port in ports {
        let syn = from_client(port, SYN);
        let mut frame = pool.alloc().expect("a free frame");
        pool.push_back(&mut frame, syn.len()).expect("room").copy_from_slice(&syn);
        burst.push(frame).expect("room in the burst");
    }
}

#[test]
fn syns_are_answered_by_the_port_that_they_came_by_and_accounted_for() {
    let (kernels, mut linux): (Vec<_>, Vec<_>) =
        (0..2).map(|_| SimPort::with_peer(sim::Settings::default())).unzip();
    let mut twin = twin();
    twin.services[0].cookies = CookieService {
        mode: CookieMode::Always,
        mss_v4: 1460,
        mss_v6: 1440,
        window: 65_535,
        window_scale: 7,
        ecn: false,
    };
    let mut gate = TwinGate::new(twin, kernels, Rates::default());
    gate.set_accepting(0, true);
    let mut pool = FramePool::in_memory(512, 2048);
    let (mut burst, mut out) = (Burst::new(), Burst::new());

    receive_syns(&mut pool, &mut burst, 1..11);
    gate.screen(START, 0, &mut pool, &mut burst, None);
    assert!(burst.is_empty(), "nothing of it is the engine's");
    gate.relay(START, 1, &mut pool, &mut out);
    assert!(out.is_empty(), "not by the other port");
    gate.relay(START, 0, &mut pool, &mut out);
    for (frame, port) in out.iter().zip(1_u16..) {
        let answer = pool.bytes(frame);
        let (ports, flags) = (&answer[34..38], answer[47]);
        assert_eq!(ports, [&80_u16.to_be_bytes()[..], &port.to_be_bytes()].concat());
        assert_eq!(flags, SYN | ACK);
        assert_eq!(answer.len(), 14 + 20 + 24);
    }
    assert_eq!(out.len(), 10);

    // A port that sends nothing: what is on its way stays, a burst of it; Linux comes first.
    receive_syns(&mut pool, &mut burst, 100..100 + BURST as u16);
    gate.screen(START, 0, &mut pool, &mut burst, None);
    (0..4).for_each(|_| linux[0].send(&arp()));
    gate.relay(START + KERNEL_LOOK_INTERVAL, 0, &mut pool, &mut out);
    assert_eq!(out.len(), BURST);
    assert_eq!(out.iter().filter(|frame| pool.bytes(frame) == arp()).count(), 4);
    receive_syns(&mut pool, &mut burst, 200..200 + BURST as u16);
    gate.screen(START, 0, &mut pool, &mut burst, None);

    let mut snapshot = Snapshot::new(2, 2);
    gate.fill(&mut snapshot);
    let ledger = &snapshot.ledger;
    ledger.assert_balanced();
    let answered = 10 + 2 * BURST as u64;
    assert_eq!((ledger.shield.answered(), ledger.received), (answered, answered));
    // Ten and four were ahead of a burst, which left fourteen waiting ahead of the next.
    assert_eq!(ledger.drops().collect::<Vec<_>>(), [("answers_full", 14)]);
    assert_eq!((ledger.consumed, ledger.sent), (answered - 14, 0));

    out.drain().for_each(|frame| pool.free(frame));
    gate.close(&mut pool);
    assert_eq!(pool.free_count(), pool.capacity());
}

#[test]
fn what_is_dropped_can_be_looked_at() {
    let samples = Samples::new();
    let mut twin = Twin::new(&Settings { samples: samples.clone(), ..settings() });
    let null = from_client(7, 0);
    let land = segment("10.1.0.1:80", "10.1.0.1:80", SYN);
    for packet in [&from_client(7, SYN), &null, &arp(), &land] {
        twin.judge(START, 0, packet);
    }
    let taken = samples.take();
    let seen: Vec<_> = taken.iter().map(|sample| (sample.verdict, sample.service_index)).collect();
    assert_eq!(seen, [(Verdict::BadFlags, Some(0)), (Verdict::Land, Some(0))]);
    assert_eq!((taken[0].head(), taken[0].octets as usize), (&null[..], null.len()));
    assert_eq!((taken[0].at_ns, taken[0].port_index), (START.as_nanos(), 0));
}
