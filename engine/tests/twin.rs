//! The shield and its twin agree: every packet, damaged in whatever way, has the same verdict from
//! the XDP program, run by the kernel (`BPF_PROG_TEST_RUN`), and from [`Twin::judge`]; and what they
//! answer is the same to the octet.
//!
//! Needs root; says so and passes without. `RINGROAD_SEED=n` replays a seed, `RINGROAD_SEEDS=n`
//! runs more.

#![allow(dead_code, reason = "the shield's rig is shared with its own tests")]

#[path = "twin/both.rs"]
mod both;
#[path = "twin/exercise.rs"]
mod exercise;
#[path = "../../ebpf/tests/shield/packets.rs"]
mod packets;
#[path = "../../ebpf/tests/shield/rig.rs"]
mod rig;
#[path = "twin/traffic.rs"]
mod traffic;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use ringroad_ebpf::{Lists, RateLimit, RateLimits, ShieldSettings, Verdict};
use ringroad_engine::flow::FlowKey;
use ringroad_engine::kernel::SocketLookup;
use ringroad_engine::random::Random;
use ringroad_engine::shield::cookie::{self, Keys};
use ringroad_engine::wire::packet::{self, Transport};
use ringroad_engine::wire::tcp::{Flags, SeqNum};

use both::{Both, Octets};
use packets::{
    ACK, CWR, ECE, ICMPV4, ICMPV6, SYN, TCP, ethernet, extension, icmp, ip, ipv4, ipv6, segment,
    tagged, tcp,
};
use rig::{LinuxConnection, in_namespace, settings};
use traffic::{
    LOCAL_V4, LOCAL_V6, MODES, USUAL, acknowledgment, any_new_connection, at, damaged, ends,
    ends_of, icmp_about, pick, plausible,
};

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
        assert_eq!(both.verdict("its SYN once more", &syn), Verdict::ToEngine);
        both.finish();
    });
}

/// Real connections, of which the program asks from within Linux and the twin from without.
#[test]
fn a_connection_that_linux_still_has_is_its_own_to_both() {
    in_namespace(|| {
        let mut both = Both::new();
        both.twin.ask_linux(Box::new(SocketLookup::open().expect("a Linux that answers")));
        for (client, service) in
            [(at("192.0.2.7:51234"), at(LOCAL_V4[0])), (at("[2001:db8::7]:51234"), at(LOCAL_V6[0]))]
        {
            let [syn, data] = [SYN, ACK].map(|flags| segment(client, service, flags, 0));
            both.set_accepting(0, false);
            assert_eq!(both.verdict("left to Linux", &syn), Verdict::NotAccepting);
            both.set_accepting(0, true);
            let linux = LinuxConnection::between(service, client);
            assert_eq!(both.verdict("its SYN once more", &syn), Verdict::KernelFlow);
            assert_eq!(both.verdict("data", &data), Verdict::KernelFlow);
            drop(linux.client);
            assert_eq!(both.verdict("a SYN, half closed", &syn), Verdict::KernelFlow);
            drop(linux.server);
            assert_eq!(both.verdict("the same ports again", &syn), Verdict::Answered);
            assert_eq!(both.verdict("data", &data), Verdict::Unknown);
        }
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
         0050c822 ........ 00000000 9052ffff ....0000 020405b4 0101080a ........ 0a0b0c0d",
    ),
];

/// What fuzzing has found to take other ways through both.
#[test]
fn the_corpus_has_the_same_verdicts() {
    in_namespace(|| {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/twin");
        let mut files: Vec<_> = std::fs::read_dir(corpus)
            .expect("the corpus")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        assert!(!files.is_empty());
        for file in files {
            let input = std::fs::read(&file).expect("a file of the corpus");
            exercise::exercise(&mut Both::new(), &input);
        }
    });
}

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
    assert_eq!(header.flags.contains(Flags::ECE), opened.ecn, "{what}");
}

fn octets(hexadecimal: &str) -> Vec<u8> {
    let digits: String = hexadecimal.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}
