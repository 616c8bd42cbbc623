//! The shield and its twin agree: every packet, damaged in whatever way, has the same verdict from
//! the XDP program, run by the kernel (`BPF_PROG_TEST_RUN`), and from [`Twin::judge`]; and what they
//! answer is the same to the octet.
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
use ringroad_ebpf::{
    CookieMode, CookieService, FingerprintKey, KnownFlows, Lists, RateLimit, RateLimits,
    ShieldSettings, Verdict,
};
use ringroad_engine::flow::FlowKey;
use ringroad_engine::random::Random;
use ringroad_engine::shield::cookie::{self, Keys};
use ringroad_engine::shield::{Samples, Settings, Twin};
use ringroad_engine::time::Instant;
use ringroad_engine::wire::packet::{self, Transport};
use ringroad_engine::wire::tcp::{Flags, SeqNum};

use packets::{
    ACK, CWR, ECE, FIN, ICMPV4, ICMPV6, PSH, RST, SYN, TCP, UDP, ethernet, ethernet_of, extension,
    icmp, ip, ipv4, ipv6, segment, syn, tagged, tcp,
};
use rig::{Rig, in_namespace, now_ns, settings};

/// The program and its twin, told the same.
struct Both {
    rig: Rig,
    twin: Twin,
    /// What both take for the time: the heartbeat is the program's clock while it is ahead of the
    /// real one.
    now: Instant,
    /// The twin's, and the connections in it: our end and the other.
    known_flows: KnownFlows,
    known: Vec<(SocketAddr, SocketAddr)>,
    judged: u64,
}

impl Both {
    fn new() -> Self {
        Both::with(settings())
    }

    fn with(settings: ShieldSettings) -> Self {
        let settings = ShieldSettings { cookies: COOKIES.to_vec(), ..settings };
        let rig = Rig::with(&settings);
        let ShieldSettings {
            services,
            egress,
            ports,
            drop_fragments,
            lists,
            drop_unknown,
            rate_limits,
            cookies,
            ..
        } = settings;
        let ifindexes: Vec<_> = ports.iter().map(|port| port.ifindex).collect();
        let known_flows = KnownFlows::new(
            &ifindexes,
            1000,
            FingerprintKey::new(b"the quick brown fox jumps over the lazy dog, ok."),
        );
        let twin = Twin::new(&Settings {
            ports: ports.len(),
            services,
            egress,
            drop_fragments,
            drop_unknown,
            lists,
            limits: Some((rate_limits, rig.shield.proven_sources())),
            cookies,
            known_flows: known_flows.clone(),
            samples: Samples::new(),
            secret: [7; 16],
        });
        let now = Instant::from_nanos(now_ns()) + Duration::from_secs(600);
        let mut both = Both { rig, twin, now, known_flows, known: Vec::new(), judged: 0 };
        both.advance(Duration::ZERO);
        both.set_accepting(0, true);
        both.set_accepting(1, true);
        both.set_keys(0);
        both
    }

    /// The engine has a connection more, if it has not this one.
    fn know(&mut self, local: SocketAddr, remote: SocketAddr) {
        if self.known.contains(&(local, remote)) {
            return;
        }
        self.known.push((local, remote));
        let flow = FlowKey::new(local, remote).to_octets();
        for known in [&self.rig.shield.known_flows(), &self.known_flows] {
            known.insert(0, &flow);
        }
    }

    /// One of the engine's connections is gone.
    fn forget(&mut self, which: usize) {
        if self.known.is_empty() {
            return;
        }
        let (local, remote) = self.known.swap_remove(which % self.known.len());
        let flow = FlowKey::new(local, remote).to_octets();
        for known in [&self.rig.shield.known_flows(), &self.known_flows] {
            known.remove(0, &flow);
        }
    }

    fn set_keys(&mut self, unix_seconds: u64) -> Keys {
        let keys = Keys::at(b"a master secret.", unix_seconds);
        self.rig.control.set_cookie_keys(&keys.slots, keys.current);
        self.twin.set_cookie_keys(keys);
        keys
    }

    fn set_cookies(&mut self, service: usize, mode: CookieMode) {
        self.rig.control.set_cookies(service as u32, mode);
        self.twin.set_cookies(service, mode);
    }

    fn set_cookie_mss(&mut self, service: usize, mss: u16) {
        let says = CookieService { mss_v4: mss, mss_v6: mss - 20, ..COOKIES[service] };
        self.rig.control.set_cookie_mss(service as u32, &says);
        self.twin.set_cookie_mss(service, &says);
    }

    fn set_pressure(&mut self, on: bool) {
        self.rig.control.set_pressure(0, on);
        self.twin.set_pressure(on);
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
        let (program, left) = self.rig.judge(packet);
        let twin = self.twin.judge(self.now, 0, packet);
        assert_eq!(
            twin,
            program,
            "{what}: twin and program, {} octets {packet:02x?}",
            packet.len()
        );
        if twin == Verdict::Answered {
            assert_eq!(
                Octets(self.twin.answer()),
                Octets(&left),
                "{what}: answers of twin and program to {:?}",
                Octets(packet)
            );
        }
        self.judged += 1;
        twin
    }

    /// What both count over all packets.
    fn finish(self) {
        assert_eq!(*self.twin.counters(), self.rig.counters());
        let reader = self.rig.shield.counters_reader();
        for (service, twin) in (0..).zip(self.twin.counters_by_service()) {
            let program = reader.of_service(service).expect("read the counters");
            assert_eq!(*twin, program, "service {service}");
        }
        let program = (0..2).map(|service| self.rig.control.fell_back(service));
        assert!(self.twin.fell_back().eq(program), "connections that fell back");
        assert_eq!(self.twin.new_connections(), self.rig.control.new_connections(0, 0));
        assert_eq!(self.twin.kernel_flow_count(), self.rig.shield.kernel_flow_count());
        eprintln!("{} packets: {:?}", self.judged, self.twin.counters());
    }
}

/// Of a packet, in hexadecimal, as pcap tools read it.
#[derive(PartialEq, Eq)]
struct Octets<'a>(&'a [u8]);

impl std::fmt::Debug for Octets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Service 0 answers, service 1 does only where a test says so.
const COOKIES: [CookieService; 2] = [
    CookieService {
        mss_v4: 1460,
        mss_v6: 1440,
        window: 65_535,
        window_scale: 9,
        mode: CookieMode::Always,
    },
    CookieService {
        mss_v4: 8960,
        mss_v6: 8940,
        window: 14_600,
        window_scale: 0,
        mode: CookieMode::Off,
    },
];

const MODES: [CookieMode; 3] = [CookieMode::Off, CookieMode::Always, CookieMode::UnderPressure];

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

/// A client, and what it is connected to.
fn ends(random: &mut Random) -> (SocketAddr, SocketAddr) {
    let port = 1 + random.below(4) as u16;
    if random.below(2) == 0 {
        return (SocketAddr::from(([192, 0, 2, 7], port)), at(pick(random, &LOCAL_V4)));
    }
    let clients = ["2001:db8::7", "::ffff:192.0.2.7"];
    let client = pick(random, &clients).parse().expect("an address");
    (SocketAddr::new(client, port), at(pick(random, &LOCAL_V6)))
}

/// A packet between few clients and few addresses, so that what came before matters.
fn plausible(random: &mut Random) -> Vec<u8> {
    let (client, local) = ends(random);
    let payload = pick(random, &[0, 1, 100, 1000]);
    let segment_of = if random.below(2) == 0 {
        any_syn(random, client.port(), local.port())
    } else {
        tcp(client.port(), local.port(), pick(random, &FLAGS), payload)
    };
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

/// A SYN with any options, in any order, some of them malformed.
fn any_syn(random: &mut Random, from: u16, to: u16) -> Vec<u8> {
    let more = pick(random, &[0, 0, 0, ECE | CWR, ECE | CWR, ECE, CWR, FIN, PSH]);
    let payload = pick(random, &[0, 0, 1, 100, 1000]);
    let mut segment = syn(from, to, more, &any_options(random), payload);
    segment[4..8].copy_from_slice(&(random.draw() as u32).to_be_bytes());
    segment
}

fn any_options(random: &mut Random) -> Vec<u8> {
    if random.below(4) == 0 {
        let mut options = USUAL.to_vec();
        options[2..4].copy_from_slice(&pick(random, &MSS).to_be_bytes());
        options[8..12].copy_from_slice(&(random.draw() as u32).to_be_bytes());
        options[19] = random.below(17) as u8;
        return options;
    }
    let mut options = Vec::new();
    for _ in 0..random.below(9) {
        let [a, b, c, d, e, ..] = random.draw().to_be_bytes();
        let kind = pick(random, &[0, 1, 2, 2, 3, 3, 4, 8, 8, 5, 34]);
        let option = match kind {
            0 if random.below(4) > 0 => continue,
            0 | 1 => vec![kind],
            2 => {
                let mss = pick(random, &MSS).wrapping_add(pick(random, &[0, 1, 0xffff]));
                [&[2, 4][..], &mss.to_be_bytes()].concat()
            }
            3 => vec![3, 3, a % 17],
            4 => vec![4, 2],
            8 => vec![8, 10, a, b, c, d, 0, 0, 0, 0],
            _ => vec![kind, 4, d, e],
        };
        let length_at = options.len() + 1;
        options.extend(option);
        if kind > 1 && random.below(16) == 0 {
            options[length_at] = e % 16;
        }
    }
    options.resize(options.len().next_multiple_of(4), pick(random, &[0, 1]));
    options.truncate(40);
    options
}

/// Around the classes of cookies.
const MSS: [u16; 17] = [
    0, 1, 536, 1220, 1280, 1340, 1360, 1380, 1400, 1420, 1440, 1452, 1460, 8940, 8960, 9000, 65_535,
];

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
            let drop_unknown = seed % 4 == 3;
            let mut both =
                Both::with(ShieldSettings { drop_fragments, drop_unknown, ..settings() });
            for number in 0..20_000 {
                if random.below(50) == 0 {
                    let (client, local) = ends(&mut random);
                    both.know(local, client);
                    (0..random.below(3)).for_each(|_| both.forget(random.draw() as usize));
                }
                if random.below(50) == 0 {
                    let (service, accepting) = (random.below(2) as usize, random.below(2) == 0);
                    both.set_accepting(service, accepting);
                }
                if random.below(50) == 0 {
                    both.set_cookies(random.below(2) as usize, pick(&mut random, &MODES));
                    both.set_pressure(random.below(2) == 0);
                    both.set_keys(random.below(1000));
                }
                let packet = plausible(&mut random);
                let packet =
                    if random.below(3) == 0 { packet } else { damaged(&mut random, packet) };
                both.verdict(&format!("RINGROAD_SEED={seed}, packet {number}"), &packet);
            }
            for verdict in Verdict::ALL {
                use Verdict::{Denied, Land, NoSocket, Stale};
                let cannot_be = verdict == Verdict::FragmentDropped && !drop_fragments
                    || verdict == Verdict::Unknown && drop_unknown
                    || matches!(verdict, Stale | NoSocket | Land | Denied)
                    || LIMITED.contains(&verdict);
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

/// What limits say.
const LIMITED: [Verdict; 5] = [
    Verdict::RateLimited,
    Verdict::PrefixLimited,
    Verdict::CapLimited,
    Verdict::PacketsLimited,
    Verdict::BytesLimited,
];

/// Low ones, so that all of them are met; those on packets and octets not always.
fn any_limits(random: &mut Random) -> RateLimits {
    let mut limit = |prefixes_v4: &[u8], prefixes_v6: &[u8]| RateLimit {
        syn_per_second: pick(random, &[1, 7, 100, 500]),
        burst: pick(random, &[1, 3, 20]),
        packets_per_second: pick(random, &[None, Some(50), Some(300)]),
        bytes_per_second: pick(random, &[None, Some(65_536), Some(1_000_000)]),
        prefix_v4: pick(random, prefixes_v4),
        prefix_v6: pick(random, prefixes_v6),
    };
    RateLimits {
        per_source: Some(limit(&[30, 31, 32], &[62, 64, 128])),
        per_prefix: Some(limit(&[0, 24, 25, 30], &[0, 48, 61, 62])),
        unproven_syn_per_second: pick(random, &[None, Some(10), Some(500)]),
    }
}

#[test]
fn lists_and_limits_have_the_same_verdicts_at_the_same_times() {
    in_namespace(|| {
        for seed in seeds(4) {
            let mut random = Random::new(seed);
            let rate_limits = any_limits(&mut random);
            let mut both = Both::with(ShieldSettings { rate_limits, ..settings() });
            let proven_sources = both.rig.shield.proven_sources();
            for number in 0..20_000 {
                match random.below(200) {
                    0 => both.set_lists(&any_lists(&mut random)),
                    1 => both.set_accepting(0, random.below(2) == 0),
                    2 => both.advance(Duration::from_millis(random.below(500))),
                    3..20 => both.advance(Duration::from_nanos(random.below(2_000_000))),
                    20..22 => proven_sources.prove(source(&mut random).ip()),
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
                    3 | 4 => segment(client, at(local), ACK, random.below(1400) as usize),
                    _ => segment(client, at(local), SYN, 0),
                };
                both.verdict(&format!("RINGROAD_SEED={seed}, packet {number}"), &packet);
            }
            use Verdict::{Answered, Denied, Land, Unknown};
            for verdict in [Answered, Land, Denied, Unknown] {
                assert!(both.twin.counters().of(verdict) > 0, "{verdict:?}");
            }
            both.finish();
        }
    });
}

/// A client of a few prefixes.
fn near(random: &mut Random) -> SocketAddr {
    let (low, port) = (random.below(4), 1 + random.below(200) as u16);
    let v4 = 0xc633_6400 | (low as u32 & 1) << 8 | (low as u32 & 2);
    let v6 = 0x2001_0db8_u128 << 96 | u128::from(low & 1) << 80 | u128::from(low & 2) << 64;
    let address = match random.below(2) {
        0 => Ipv4Addr::from_bits(v4).into(),
        _ => Ipv6Addr::from_bits(v6).into(),
    };
    SocketAddr::new(address, port)
}

#[test]
fn limits_have_the_same_verdicts_near_their_bounds() {
    in_namespace(|| {
        let mut seen = [0; Verdict::ALL.len()];
        for seed in seeds(8) {
            let mut random = Random::new(seed);
            let rate_limits = any_limits(&mut random);
            let mut both = Both::with(ShieldSettings { rate_limits, ..settings() });
            let proven_sources = both.rig.shield.proven_sources();
            for number in 0..20_000 {
                match random.below(2000) {
                    0 => both.advance(Duration::from_millis(random.below(2000))),
                    1 | 2 => proven_sources.prove(near(&mut random).ip()),
                    3..200 => both.advance(Duration::from_nanos(random.below(2_000_000))),
                    _ => {}
                }
                let client = near(&mut random);
                let service = at(if client.is_ipv4() { LOCAL_V4[0] } else { LOCAL_V6[0] });
                let packet = match random.below(4) {
                    0 => segment(client, service, SYN, 0),
                    1 => icmp_about(&mut random, client, service),
                    _ => segment(client, service, ACK, random.below(1400) as usize),
                };
                both.verdict(&format!("RINGROAD_SEED={seed}, packet {number}"), &packet);
            }
            for (verdict, count) in both.twin.counters().iter() {
                seen[verdict as usize] += count;
            }
            both.finish();
        }
        for verdict in LIMITED {
            assert!(seen[verdict as usize] > 0, "{verdict:?}");
        }
    });
}

/// Whose buckets give way to others' is the same, too.
#[test]
fn more_sources_than_have_buckets_have_the_same_verdicts() {
    in_namespace(|| {
        let mut random = Random::new(1);
        let per_prefix = Some(RateLimit {
            syn_per_second: 1,
            burst: 1,
            packets_per_second: None,
            bytes_per_second: None,
            prefix_v4: 32,
            prefix_v6: 64,
        });
        let rate_limits = RateLimits { per_prefix, ..RateLimits::default() };
        let mut both = Both::with(ShieldSettings { rate_limits, ..settings() });
        for number in 0..60_000 {
            let client = Ipv4Addr::from_bits(0x0b00_0000 | random.below(1 << 17) as u32);
            let syn = segment(SocketAddr::from((client, 1)), at(LOCAL_V4[0]), SYN, 0);
            both.verdict(&format!("SYN {number}"), &syn);
        }
        let counters = *both.twin.counters();
        assert!(counters.buckets_evicted > 1000, "{counters:?}");
        assert!(counters.of(Verdict::PrefixLimited) > 1000, "{counters:?}");
        both.finish();
    });
}

/// What Linux offers: MSS 1460, SACK, timestamps, window scale 7.
const USUAL: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0xa, 0xb, 0xc, 0xd, 0, 0, 0, 0, 1, 3, 3, 7];

/// One whole packet of each kind.
fn whole() -> Vec<Vec<u8>> {
    let (client4, client6) = (at("192.0.2.7:51234"), at("[2001:db8::7]:51234"));
    let (service4, service6) = (at(LOCAL_V4[0]), at(LOCAL_V6[0]));
    let (SocketAddr::V4(from4), SocketAddr::V4(to4)) = (client4, service4) else { unreachable!() };
    let (SocketAddr::V6(from6), SocketAddr::V6(to6)) = (client6, service6) else { unreachable!() };
    let syn = tcp(51234, 80, SYN, 0);
    let extended = extension(60, 2, &extension(TCP, 0, &syn));
    let offering = packets::syn(51234, 80, ECE | CWR, &USUAL, 10);
    let sent4 = ip(service4.ip(), client4.ip(), TCP, &tcp(80, 51234, ACK, 20));
    let sent6 = ip(service6.ip(), client6.ip(), TCP, &tcp(80, 51234, ACK, 20));
    vec![
        segment(client4, service4, SYN, 0),
        segment(client6, service6, SYN, 0),
        ethernet(&ip(client4.ip(), service4.ip(), TCP, &offering)),
        tagged(&[100], &ethernet(&ip(client6.ip(), service6.ip(), TCP, &offering))),
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
        assert_eq!(both.verdict("the same ports again", &syn), Verdict::Answered);
        assert_eq!(both.verdict("data", &data), Verdict::Unknown);
        both.know(service, client);
        assert_eq!(both.verdict("data", &data), Verdict::ToEngine);
        both.finish();
    });
}

#[test]
fn syns_with_any_options_have_the_same_answers() {
    in_namespace(|| {
        for seed in seeds(2) {
            let mut random = Random::new(seed);
            let mut both = Both::new();
            for number in 0..20_000 {
                if random.below(100) == 0 {
                    both.set_cookies(1, pick(&mut random, &MODES));
                    both.set_pressure(random.below(2) == 0);
                    both.set_cookie_mss(random.below(2) as usize, 500 + random.below(9000) as u16);
                    both.set_keys(random.below(1000));
                }
                let packet = any_new_connection(&mut random);
                both.verdict(&format!("RINGROAD_SEED={seed}, SYN {number}"), &packet);
            }
            let answered = both.twin.counters().answered();
            assert!(answered > 10_000, "{answered} answered");
            both.finish();
        }
    });
}

/// Answers are acknowledged, some of them as they should be, at once or later; what follows, too.
#[test]
fn cookies_that_come_back_have_the_same_verdicts() {
    in_namespace(|| {
        for seed in seeds(4) {
            let mut random = Random::new(seed);
            let mut both = Both::new();
            let mut answers: Vec<Vec<u8>> = Vec::new();
            let mut minutes = 0;
            for number in 0..20_000 {
                match random.below(400) {
                    0 => both.set_cookies(random.below(2) as usize, pick(&mut random, &MODES)),
                    1 => both.set_pressure(random.below(2) == 0),
                    2 => both.set_accepting(random.below(2) as usize, random.below(4) > 0),
                    3 => {
                        minutes += 1;
                        both.set_keys(32 * minutes);
                    }
                    4 => both.forget(random.draw() as usize),
                    5..20 => both.advance(Duration::from_millis(random.below(400))),
                    _ => {}
                }
                let what = format!("RINGROAD_SEED={seed}, packet {number}");
                if answers.is_empty() || random.below(4) == 0 {
                    let syn = any_new_connection(&mut random);
                    if both.verdict(&what, &syn) == Verdict::Answered {
                        answers.push(both.twin.answer().to_vec());
                    }
                    answers.drain(..answers.len().saturating_sub(16));
                    continue;
                }
                let answer = &answers[random.below(answers.len() as u64) as usize];
                let proof = acknowledgment(&mut random, answer);
                let proof = if random.below(4) == 0 { damaged(&mut random, proof) } else { proof };
                let verdict = both.verdict(&what, &proof);
                if verdict == Verdict::ToEngine && random.below(4) == 0 {
                    let (local, remote) = ends_of(answer);
                    both.know(local, remote);
                }
            }
            for verdict in [Verdict::ToEngine, Verdict::NotAccepting, Verdict::KernelFlow] {
                assert!(both.twin.counters().of(verdict) > 100, "{verdict:?}");
            }
            for verdict in [Verdict::Unknown, Verdict::UnknownDropped] {
                assert!(both.twin.counters().of(verdict) > 100, "{verdict:?}");
            }
            both.finish();
        }
    });
}

/// Ours and the client's, of an answer.
fn ends_of(answer: &[u8]) -> (SocketAddr, SocketAddr) {
    let packet = packet::parse(answer).expect("an answer");
    let Transport::Tcp { header, .. } = packet.transport else { panic!("a segment") };
    (
        SocketAddr::new(packet.source, header.source_port),
        SocketAddr::new(packet.destination, header.destination_port),
    )
}

/// What a client may send that has an answer: the acknowledgment, or something like it.
fn acknowledgment(random: &mut Random, answer: &[u8]) -> Vec<u8> {
    let (ours, client) = ends_of(answer);
    let Ok(packet) = packet::parse(answer) else { panic!("an answer") };
    let Transport::Tcp { header, .. } = packet.transport else { panic!("a segment") };
    let next = |number: SeqNum, random: &mut Random| {
        number.0.wrapping_add(pick(random, &[0, 0, 0, 0, 0, 1, 1000, u32::MAX]))
    };
    let options = match header.options.timestamps {
        Some(timestamps) if random.below(8) > 0 => {
            let echoed = timestamps.value ^ pick(random, &[0, 0, 0, 0, 0, 1, 1 << 31]);
            timestamps_option(random, echoed)
        }
        None if random.below(8) == 0 => timestamps_option(random, 7),
        _ => Vec::new(),
    };
    let more = pick(random, &[0, 0, PSH, FIN]);
    let payload = pick(random, &[0, 0, 1, 100]);
    let mut segment = packets::syn(client.port(), ours.port(), more, &options, payload);
    let sequence = next(header.acknowledgment, random);
    let acknowledged = next(SeqNum(header.sequence.0.wrapping_add(1)), random);
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    segment[8..12].copy_from_slice(&acknowledged.to_be_bytes());
    segment[13] = more | pick(random, &[ACK, ACK, ACK, ACK, ACK, RST, SYN | ACK, RST | ACK]);
    let frame = ethernet(&ip(client.ip(), ours.ip(), TCP, &segment));
    if random.below(4) == 0 { tagged(&[100], &frame) } else { frame }
}

/// In the place where all have it, or in another, or with more beside it.
fn timestamps_option(random: &mut Random, echoed: u32) -> Vec<u8> {
    let option = [&[8, 10, 1, 2, 3, 4][..], &echoed.to_be_bytes()].concat();
    let (before, behind): (&[u8], &[u8]) = match random.below(6) {
        0 => (&[], &[0, 0]),
        1 => (&[1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], &[]),
        2 => (&[1, 1], &[8, 10, 9, 9, 9, 9, 0, 0, 0, 7, 1, 1]),
        _ => (&[1, 1], &[]),
    };
    [before, &option, behind].concat()
}

/// A SYN to a service, in whatever it may be wrapped.
fn any_new_connection(random: &mut Random) -> Vec<u8> {
    let port = random.draw() as u16;
    let client_v4 = if random.below(20) == 0 {
        pick(random, &[0, 1, 0x7f00_0001, 0xe000_0001, 0xf000_0001, 0xffff_ffff])
    } else {
        random.draw() as u32
    };
    let client_v6 = match random.below(20) {
        0 => u128::from(random.below(4)),
        1 => 0xff02_u128 << 112 | 1,
        2 => 0xffff_u128 << 32 | u128::from(client_v4),
        _ => 0x2001_0db8_u128 << 96 | u128::from(random.draw()),
    };
    let service = at(pick(random, &[LOCAL_V4[0], LOCAL_V4[1], LOCAL_V6[0]]));
    let segment = any_syn(random, port, service.port());
    let packet = match service {
        SocketAddr::V4(service) => {
            let options = vec![1; pick(random, &[0, 0, 0, 4, 40])];
            ipv4(client_v4.into(), *service.ip(), TCP, 0x4000, &options, &segment)
        }
        SocketAddr::V6(service) => {
            let (mut next, mut inner) = (TCP, segment);
            for _ in 0..random.below(8).saturating_sub(3) {
                inner = extension(next, pick(random, &[0, 0, 1, 31]), &inner);
                next = 60;
            }
            ipv6(client_v6.into(), *service.ip(), next, &inner)
        }
    };
    let mut frame = ethernet(&packet);
    if random.below(20) == 0 {
        let place = pick(random, &[0, 6]);
        frame[place] |= 1;
    }
    if random.below(3) == 0 {
        let tag = pick(random, &[1, 100, 0xa064, 0]);
        frame = tagged(&[tag], &frame);
    }
    let padding = pick(random, &[0, 0, 4, 20]);
    frame.resize(frame.len() + padding, 0);
    frame
}

/// What a SYN looks like · its frame · the frame of the answer but for what the cookie is in, which
/// stands as dots: what people can check against the RFCs.
const ANSWERS: [(&str, &str, &str); 4] = [
    (
        "Linux, IPv4",
        "020000000001 020000000002 0800 \
         4500003c 00004000 40060000 c0000207 0a010001 \
         c8220050 12345678 00000000 a002ffff 00000000 020405b4 0402080a 0a0b0c0d 00000000 01030307",
        "020000000002 020000000001 0800 \
         4500003c 00004000 4006.... 0a010001 c0000207 \
         0050c822 ........ 12345679 a012ffff ....0000 020405b4 0402080a ........ 0a0b0c0d 01030309",
    ),
    (
        "no options, padded, tagged with a priority",
        "020000000001 020000000002 8100a064 0800 \
         45000028 00004000 40060000 c0000207 0a010001 \
         c8220050 12345678 00000000 5002ffff 00000000 000000000000",
        "020000000002 020000000001 8100a064 0800 \
         4500002c 00004000 4006.... 0a010001 c0000207 \
         0050c822 ........ 12345679 6012ffff ....0000 020405b4",
    ),
    (
        "IPv6 with destination options, ECN, SACK and scale without timestamps, payload",
        "020000000001 020000000002 86dd \
         6a712345 00263c80 20010db8000000000000000000000007 fd000001000000000000000000000001 \
         0600010400000000 \
         c8220050 12345678 00000000 70c2ffff 00000000 04020303 05000000 dada",
        "020000000002 020000000001 86dd \
         60000000 00200640 fd000001000000000000000000000001 20010db8000000000000000000000007 \
         0050c822 ........ 12345679 8012ffff ....0000 020405a0 01010402 01030309",
    ),
    (
        "IPv4 options, ECN and timestamps, then an option of no length before the scale",
        "020000000001 020000000002 0800 \
         46b80040 1c464000 ff060000 c0000207 0a010001 01010101 \
         c8220050 ffffffff 00000000 a0c2ffff 00000000 080a0a0b 0c0d0000 00000101 fe000303 07000000",
        "020000000002 020000000001 0800 \
         45000038 00004000 4006.... 0a010001 c0000207 \
         0050c822 ........ 00000000 9012ffff ....0000 020405b4 0101080a ........ 0a0b0c0d",
    ),
];

#[test]
fn answers_are_as_written_down() {
    in_namespace(|| {
        let mut both = Both::new();
        let keys = both.set_keys(1_000_000);
        for (what, syn, expected) in ANSWERS {
            let syn = octets(syn);
            assert_eq!(both.verdict(what, &syn), Verdict::Answered, "{what}");
            let answer = both.twin.answer().to_vec();
            let expected: String = expected.split_whitespace().collect();
            let shown = format!("{:?}", Octets(&answer));
            let as_expected = shown.len() == expected.len()
                && shown.chars().zip(expected.chars()).all(|(a, e)| e == '.' || a == e);
            assert!(as_expected, "{what}:\n{shown} is not\n{expected}");
            assert_opens(&keys, what, &answer);
        }
        both.finish();
    });
}

/// A client finds no fault with the answer, and its acknowledgment brings back what it offered.
fn assert_opens(keys: &Keys, what: &str, answer: &[u8]) {
    let answered = packet::parse(answer).expect(what);
    let Transport::Tcp { header, .. } = answered.transport else { panic!("{what}: a segment") };
    assert!(answered.verify_tcp_checksum(answer).is_ok(), "{what}: checksum");
    let flow = FlowKey::new(
        SocketAddr::new(answered.source, header.source_port),
        SocketAddr::new(answered.destination, header.destination_port),
    );
    let client_isn = SeqNum(header.acknowledgment.0.wrapping_sub(1));
    let echoed = header.options.timestamps.map(|timestamps| timestamps.value);
    let opened = cookie::open(keys, &flow, client_isn, header.sequence, echoed).expect(what);
    assert_eq!(opened.timestamps, echoed.is_some(), "{what}");
    assert_eq!(opened.sack, header.options.sack_permitted, "{what}");
    assert_eq!(opened.window_scale.is_some(), header.options.window_scale.is_some(), "{what}");
    assert_eq!(opened.ecn, what.contains("ECN") && echoed.is_some(), "{what}");
    assert!(!header.flags.contains(Flags::ECE), "{what}");
}

fn octets(hexadecimal: &str) -> Vec<u8> {
    let digits: String = hexadecimal.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}
