//! The shield and its twin agree: every packet, damaged in whatever way, has the same verdict from
//! the XDP program, run by the kernel (`BPF_PROG_TEST_RUN`), and from [`Twin::judge`].
//!
//! Needs root; says so and passes without. `RINGROAD_SEED=n` replays a seed, `RINGROAD_SEEDS=n`
//! runs more.

#![allow(dead_code, reason = "the shield's rig is shared with its own tests")]

#[path = "../../ebpf/tests/shield/packets.rs"]
mod packets;
#[path = "../../ebpf/tests/shield/rig.rs"]
mod rig;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use ringroad_ebpf::{Lists, ShieldSettings, SourceLimit, Verdict};
use ringroad_engine::random::Random;
use ringroad_engine::shield::{Settings, Twin};
use ringroad_engine::time::Instant;

use packets::{
    ACK, FIN, ICMPV4, ICMPV6, PSH, RST, SYN, TCP, UDP, ethernet, ethernet_of, extension, icmp, ip,
    ipv4, ipv6, segment, tagged, tcp,
};
use rig::{Rig, in_namespace, now_ns, settings};

/// The program and its twin, told the same.
struct Both {
    rig: Rig,
    twin: Twin,
    /// What both take for the time: the heartbeat is the program's clock while it is ahead of the
    /// real one.
    now: Instant,
    judged: u64,
}

impl Both {
    fn new() -> Self {
        Both::with(settings())
    }

    fn with(settings: ShieldSettings) -> Self {
        let rig = Rig::with(&settings);
        let ShieldSettings { services, egress, ports, drop_fragments, lists, source_limit, .. } =
            settings;
        let twin = Twin::new(&Settings {
            ports: ports.len(),
            services,
            egress,
            drop_fragments,
            lists,
            source_limit,
            secret: [7; 16],
        });
        let now = Instant::from_nanos(now_ns()) + Duration::from_secs(600);
        let mut both = Both { rig, twin, now, judged: 0 };
        both.advance(Duration::ZERO);
        both.set_accepting(0, true);
        both.set_accepting(1, true);
        both
    }

    fn set_accepting(&mut self, service: usize, accepting: bool) {
        self.rig.control.set_accepting(service as u32, accepting);
        self.twin.set_accepting(service, accepting);
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
        self.rig.control.beat(0, self.now.as_nanos());
    }

    fn set_lists(&mut self, lists: &Lists) {
        self.rig.shield.set_lists(lists).expect("new lists");
        self.twin.set_lists(lists);
    }

    #[track_caller]
    fn verdict(&mut self, what: &str, packet: &[u8]) -> Verdict {
        let program = self.rig.verdict(packet);
        let twin = self.twin.judge(self.now, 0, packet);
        assert_eq!(
            twin,
            program,
            "{what}: twin and program, {} octets {packet:02x?}",
            packet.len()
        );
        self.judged += 1;
        twin
    }

    /// What both count over all packets.
    fn finish(self) {
        assert_eq!(*self.twin.counters(), self.rig.counters());
        let program = (0..2).map(|service| self.rig.control.fell_back(service));
        assert!(self.twin.fell_back().eq(program), "connections that fell back");
        assert_eq!(self.twin.kernel_flow_count(), self.rig.shield.kernel_flow_count());
        eprintln!("{} packets: {:?}", self.judged, self.twin.counters());
    }
}

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address and port")
}

/// Ends of connections: ours, nearly ours, and others'.
const LOCAL_V4: [&str; 9] = [
    "10.1.0.1:80",
    "10.1.0.1:443",
    "10.1.0.1:22",
    "10.1.0.2:80",
    "10.2.0.1:20000",
    "10.2.0.1:29999",
    "10.2.0.1:30000",
    "10.2.0.1:49999",
    "10.2.0.2:20000",
];
const LOCAL_V6: [&str; 7] = [
    "[fd00:1::1]:80",
    "[fd00:1::1]:443",
    "[fd00:1::2]:80",
    "[fd00:2::1]:20000",
    "[fd00:2::1]:19999",
    "[::ffff:10.1.0.1]:80",
    "[::ffff:10.2.0.1]:20000",
];
const FLAGS: [u8; 8] = [SYN, SYN, ACK, ACK | PSH, SYN | ACK, RST, SYN | RST, FIN | SYN];
const PROTOCOLS: [u8; 12] = [TCP, UDP, ICMPV4, ICMPV6, 0, 43, 44, 50, 51, 59, 60, 89];

fn pick<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}

/// A packet between few clients and few addresses, so that what came before matters.
fn plausible(random: &mut Random) -> Vec<u8> {
    let port = 1 + random.below(4) as u16;
    let (client, local) = if random.below(2) == 0 {
        (SocketAddr::from(([192, 0, 2, 7], port)), at(pick(random, &LOCAL_V4)))
    } else {
        let clients = ["2001:db8::7", "::ffff:192.0.2.7"];
        let client = pick(random, &clients).parse().expect("an address");
        (SocketAddr::new(client, port), at(pick(random, &LOCAL_V6)))
    };
    let payload = pick(random, &[0, 1, 100, 1000]);
    let segment_of = tcp(client.port(), local.port(), pick(random, &FLAGS), payload);
    let frame = match random.below(8) {
        0 | 1 => icmp_about(random, client, local),
        2 => odd(random, client, local, &segment_of),
        3 => ethernet(&ip(client.ip(), local.ip(), pick(random, &PROTOCOLS), &segment_of)),
        4 => ethernet_of(pick(random, &[0x0806, 0x88cc, 0x8100, 0x88a8, 0x0800, 0x86dd]), &[0; 60]),
        _ => segment(client, local, pick(random, &FLAGS), payload),
    };
    match random.below(8) {
        0 => tagged(&[100], &frame),
        1 => tagged(&[7, 100], &frame),
        _ => frame,
    }
}

/// A router's word on a segment of ours, or on one that is not.
fn icmp_about(random: &mut Random, client: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let (from, to) = if random.below(8) == 0 { (client, local) } else { (local, client) };
    let sent = ip(from.ip(), to.ip(), TCP, &tcp(from.port(), to.port(), ACK, 100));
    let quoted = &sent[..random.below(sent.len() as u64 + 1) as usize];
    let quoted = if random.below(2) == 0 { &sent[..] } else { quoted };
    let message = icmp(pick(random, &[1, 2, 3, 3, 4, 8]), pick(random, &[0, 1, 4]), quoted);
    let protocol = if local.is_ipv4() { ICMPV4 } else { ICMPV6 };
    ethernet(&ip(client.ip(), local.ip(), protocol, &message))
}

/// Fragments and options, extension headers one after the other.
fn odd(random: &mut Random, client: SocketAddr, local: SocketAddr, payload: &[u8]) -> Vec<u8> {
    match (client, local) {
        (SocketAddr::V4(client), SocketAddr::V4(local)) => {
            let fragment = pick(random, &[0, 0x2000, 0x2010, 0x0001, 0x4000, 0x8000]);
            let options = vec![1; pick(random, &[0, 4, 40])];
            let protocol = pick(random, &[TCP, TCP, ICMPV4, UDP]);
            let packet = ipv4(*client.ip(), *local.ip(), protocol, fragment, &options, payload);
            ethernet(&packet)
        }
        (SocketAddr::V6(client), SocketAddr::V6(local)) => {
            let mut next = pick(random, &PROTOCOLS);
            let mut inner = payload.to_vec();
            for _ in 0..random.below(7) {
                inner = extension(next, pick(random, &[0, 0, 1, 31]), &inner);
                next = pick(random, &[0, 60, 60, 43, 44, 51]);
            }
            ethernet(&ipv6(*client.ip(), *local.ip(), next, &inner))
        }
        _ => unreachable!("both ends are of one family"),
    }
}

/// Now and then something in it is wrong: octets, most of them in the headers, and its length.
fn damaged(random: &mut Random, mut packet: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.below(4) {
        let place = random.below(packet.len().min(100) as u64) as usize;
        packet[place] = match random.below(3) {
            0 => random.draw() as u8,
            1 => packet[place] ^ 1 << random.below(8),
            _ => packet[place].wrapping_add(pick(random, &[1, 0xff])),
        };
    }
    match random.below(6) {
        // The kernel runs nothing on less than an Ethernet header.
        0 => packet.truncate(14 + random.below(packet.len() as u64 - 13) as usize),
        1 => packet.resize(packet.len() + random.below(50) as usize, 0),
        _ => {}
    }
    packet
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("RINGROAD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RINGROAD_SEEDS").unwrap_or(count),
    }
}

#[test]
fn sequences_of_damaged_packets_have_the_same_verdicts() {
    in_namespace(|| {
        for seed in seeds(4) {
            let mut random = Random::new(seed);
            let drop_fragments = seed % 2 == 0;
            let mut both = Both::with(ShieldSettings { drop_fragments, ..settings() });
            for number in 0..20_000 {
                if random.below(50) == 0 {
                    let (service, accepting) = (random.below(2) as usize, random.below(2) == 0);
                    both.set_accepting(service, accepting);
                }
                let packet = plausible(&mut random);
                let packet =
                    if random.below(3) == 0 { packet } else { damaged(&mut random, packet) };
                both.verdict(&format!("RINGROAD_SEED={seed}, packet {number}"), &packet);
            }
            for verdict in Verdict::ALL {
                use Verdict::{Denied, Land, NoSocket, RateLimited, Stale};
                let cannot_be = verdict == Verdict::FragmentDropped && !drop_fragments
                    || matches!(verdict, Stale | NoSocket | Land | Denied | RateLimited);
                let seen = both.twin.counters().of(verdict);
                assert_eq!(seen == 0, cannot_be, "{verdict:?} {seen} times");
            }
            both.finish();
        }
    });
}

/// Sources that lists and limits are about: few, so that they meet their bounds.
fn source(random: &mut Random) -> SocketAddr {
    let (low, port) = (random.below(8), 1 + random.below(200) as u16);
    let v4 = [0xc000_0200, 0xc000_0280, 0xc633_6400, 0x0a01_0000, 0x7f00_0000, 0xe000_0000];
    let v6 = [0x2001_0db8_u128 << 96, 0x2001_0db8_0001 << 80, 0xff02 << 112, 0];
    let address = match random.below(2) {
        0 => Ipv4Addr::from_bits(pick(random, &v4) | low as u32).into(),
        _ => Ipv6Addr::from_bits(pick(random, &v6) | u128::from(low) << (64 * (low & 1))).into(),
    };
    SocketAddr::new(address, pick(random, &[port, port, 80]))
}

fn any_prefix(random: &mut Random) -> IpNet {
    let source = source(random).ip();
    let lengths: &[u8] = if source.is_ipv4() {
        &[0, 1, 8, 24, 25, 29, 31, 32]
    } else {
        &[0, 3, 32, 48, 61, 64, 127, 128]
    };
    IpNet::new(source, pick(random, lengths)).expect("a prefix").trunc()
}

/// Each prefix is in one list or the other.
fn any_lists(random: &mut Random) -> Lists {
    let prefixes: BTreeSet<_> = (0..random.below(24)).map(|_| any_prefix(random)).collect();
    let (deny, allow) = prefixes.into_iter().partition(|_| random.below(2) == 0);
    Lists { deny, allow }
}

#[test]
fn lists_and_limits_have_the_same_verdicts_at_the_same_times() {
    in_namespace(|| {
        for seed in seeds(4) {
            let mut random = Random::new(seed);
            let source_limit = Some(SourceLimit {
                syn_per_second: pick(&mut random, &[1, 7, 100, 500]),
                burst: pick(&mut random, &[1, 3, 20]),
                prefix_v4: pick(&mut random, &[0, 24, 31, 32]),
                prefix_v6: pick(&mut random, &[0, 48, 64, 128]),
            });
            let mut both = Both::with(ShieldSettings { source_limit, ..settings() });
            for number in 0..20_000 {
                match random.below(200) {
                    0 => both.set_lists(&any_lists(&mut random)),
                    1 => both.set_accepting(0, random.below(2) == 0),
                    2 => both.advance(Duration::from_millis(random.below(500))),
                    3..20 => both.advance(Duration::from_nanos(random.below(2_000_000))),
                    _ => {}
                }
                let client = source(&mut random);
                let local = match client {
                    SocketAddr::V4(_) => pick(&mut random, &["10.1.0.1:80", "10.2.0.1:20000"]),
                    SocketAddr::V6(_) => {
                        pick(&mut random, &["[fd00:1::1]:80", "[fd00:2::1]:20000"])
                    }
                };
                let packet = match random.below(8) {
                    0 => icmp_about(&mut random, client, at(local)),
                    1 => segment(client, at(local), random.draw() as u8, 0),
                    2 => segment(at(local), at(local), ACK, 0),
                    _ => segment(client, at(local), SYN, 0),
                };
                both.verdict(&format!("RINGROAD_SEED={seed}, packet {number}"), &packet);
            }
            for verdict in [Verdict::ToEngine, Verdict::Land, Verdict::Denied, Verdict::RateLimited]
            {
                assert!(both.twin.counters().of(verdict) > 0, "{verdict:?}");
            }
            both.finish();
        }
    });
}

/// One whole packet of each kind.
fn whole() -> Vec<Vec<u8>> {
    let (client4, client6) = (at("192.0.2.7:51234"), at("[2001:db8::7]:51234"));
    let (service4, service6) = (at(LOCAL_V4[0]), at(LOCAL_V6[0]));
    let (SocketAddr::V4(from4), SocketAddr::V4(to4)) = (client4, service4) else { unreachable!() };
    let (SocketAddr::V6(from6), SocketAddr::V6(to6)) = (client6, service6) else { unreachable!() };
    let syn = tcp(51234, 80, SYN, 0);
    let extended = extension(60, 2, &extension(TCP, 0, &syn));
    let sent4 = ip(service4.ip(), client4.ip(), TCP, &tcp(80, 51234, ACK, 20));
    let sent6 = ip(service6.ip(), client6.ip(), TCP, &tcp(80, 51234, ACK, 20));
    vec![
        segment(client4, service4, SYN, 0),
        segment(client6, service6, SYN, 0),
        tagged(&[100], &segment(client4, service4, ACK, 30)),
        tagged(&[100], &segment(client6, service6, ACK, 30)),
        ethernet(&ipv4(*from4.ip(), *to4.ip(), TCP, 0, &[1; 8], &syn)),
        ethernet(&ipv6(*from6.ip(), *to6.ip(), 0, &extended)),
        ethernet(&ip(client4.ip(), service4.ip(), ICMPV4, &icmp(3, 4, &sent4))),
        ethernet(&ip(client6.ip(), service6.ip(), ICMPV6, &icmp(2, 0, &sent6))),
        ethernet(&ip(client6.ip(), service6.ip(), ICMPV6, &icmp(1, 4, &sent6))),
    ]
}

#[test]
fn packets_cut_at_any_octet_have_the_same_verdicts() {
    in_namespace(|| {
        let mut both = Both::new();
        for packet in whole() {
            for octets in 14..=packet.len() {
                both.verdict("cut", &packet[..octets]);
            }
        }
        both.finish();
    });
}

#[test]
fn packets_with_any_octet_changed_have_the_same_verdicts() {
    in_namespace(|| {
        let mut both = Both::new();
        for packet in whole() {
            for place in 12..packet.len() {
                let values = (0..8).map(|bit| packet[place] ^ 1 << bit).chain([0, 1, 44, 60, 0xff]);
                for value in values {
                    let mut changed = packet.clone();
                    changed[place] = value;
                    both.verdict("changed", &changed);
                }
            }
        }
        both.finish();
    });
}

#[test]
fn what_linux_had_before_is_its_own_to_both() {
    in_namespace(|| {
        let mut both = Both::new();
        let (client, service) = (at("192.0.2.7:51234"), at(LOCAL_V4[0]));
        both.rig.shield.keep_with_kernel(0, service, client).expect("keep a flow");
        both.twin.keep_with_kernel(both.now, 0, service, client);
        let data = segment(client, service, ACK, 10);
        assert_eq!(both.verdict("data", &data), Verdict::KernelFlow);
        let syn = segment(client, service, SYN, 0);
        assert_eq!(both.verdict("the same ports again", &syn), Verdict::ToEngine);
        assert_eq!(both.verdict("data", &data), Verdict::ToEngine);
        both.finish();
    });
}
