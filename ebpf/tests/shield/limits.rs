//! What is dropped because it is too much: of a source that has completed a handshake, of all others
//! of its prefix, and of all of those.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ringroad_ebpf::limits::{BUCKET_SETS, BUCKETS_PER_SET};
use ringroad_ebpf::{Lists, RateLimit, RateLimits, Shield, ShieldSettings, Verdict};

use crate::packets::{ACK, ICMPV4, PSH, SYN, TCP, ethernet, icmp, ip, segment, tcp};
use crate::rig::{Rig, ends, in_namespace, now_ns, settings};

/// Three at once, then ten a second.
const PER_SOURCE: RateLimit = RateLimit {
    syn_per_second: 10,
    burst: 3,
    packets_per_second: None,
    bytes_per_second: None,
    prefix_v4: 32,
    prefix_v6: 64,
};

/// Five at once, then twenty a second.
const PER_PREFIX: RateLimit =
    RateLimit { syn_per_second: 20, burst: 5, prefix_v4: 24, prefix_v6: 48, ..PER_SOURCE };

const LIMITS: RateLimits = RateLimits {
    per_source: Some(PER_SOURCE),
    per_prefix: Some(PER_PREFIX),
    unproven_syn_per_second: None,
};

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address and port")
}

/// To the service of the client's address family.
fn to_service(client: SocketAddr, flags: u8, payload: usize) -> Vec<u8> {
    let service = if client.is_ipv4() { "10.1.0.1:80" } else { "[fd00:1::1]:80" };
    segment(client, at(service), flags, payload)
}

fn rig(rate_limits: RateLimits) -> Rig {
    Rig::with(&ShieldSettings { rate_limits, ..settings() })
}

fn prove(rig: &Rig, address: &str) {
    rig.shield.proven_sources().prove(address.parse().expect("an address"));
}

/// The heartbeat is the program's clock as long as it is ahead of the real one.
struct Clock {
    now_ns: u64,
}

impl Clock {
    fn ahead_of(rig: &Rig) -> Self {
        let clock = Clock { now_ns: now_ns() + 1_000_000_000_000 };
        rig.control.beat(0, clock.now_ns);
        clock
    }

    fn advance(&mut self, rig: &Rig, time: Duration) {
        self.now_ns += time.as_nanos() as u64;
        rig.control.beat(0, self.now_ns);
    }
}

/// How many of so many packets are let through, where the others are dropped for `why`.
#[track_caller]
fn let_through(rig: &Rig, why: Verdict, packets: impl IntoIterator<Item = Vec<u8>>) -> usize {
    let verdicts = packets.into_iter().map(|packet| rig.verdict(&packet));
    verdicts
        .filter(|verdict| {
            assert!([Verdict::ToEngine, why].contains(verdict), "{verdict:?}");
            *verdict == Verdict::ToEngine
        })
        .count()
}

/// How many of so many SYNs from different ports are let through.
#[track_caller]
fn syns(rig: &Rig, client: &str, count: u16, why: Verdict) -> usize {
    let client = client.parse().expect("an address");
    let syn = |port| to_service(SocketAddr::new(client, port), SYN, 0);
    let_through(rig, why, (1..=count).map(syn))
}

#[test]
fn who_has_proved_nothing_shares_what_the_prefix_has() {
    use Verdict::PrefixLimited;
    in_namespace(|| {
        let lists = Lists { deny: vec![], allow: vec!["198.51.100.0/24".parse().expect("one")] };
        let rig = Rig::with(&ShieldSettings { rate_limits: LIMITS, lists, ..settings() });
        let mut clock = Clock::ahead_of(&rig);
        assert_eq!(syns(&rig, "192.0.2.7", 10, PrefixLimited), 5, "the burst");
        assert_eq!(syns(&rig, "192.0.2.200", 10, PrefixLimited), 0, "its neighbour");
        assert_eq!(syns(&rig, "192.0.3.7", 10, PrefixLimited), 5, "another prefix");
        assert_eq!(syns(&rig, "2001:db8:1:1::7", 10, PrefixLimited), 5, "IPv6");
        assert_eq!(syns(&rig, "2001:db8:1:2::7", 10, PrefixLimited), 0, "its neighbour");
        assert_eq!(syns(&rig, "2001:db8:2:1::7", 10, PrefixLimited), 5, "another prefix");
        assert_eq!(syns(&rig, "198.51.100.7", 50, PrefixLimited), 50, "the allowed have no limit");
        let data = to_service(at("192.0.2.7:1"), ACK, 10);
        assert_eq!(rig.verdict(&data), Verdict::Unknown, "what is no SYN is not counted");
        let answer = segment(at("192.0.2.7:80"), at("10.2.0.1:20000"), SYN | ACK, 0);
        assert_eq!(rig.verdict(&answer), Verdict::Unknown, "nor an origin's answer");

        clock.advance(&rig, Duration::from_millis(49));
        assert_eq!(syns(&rig, "192.0.2.7", 10, PrefixLimited), 0, "a moment too early");
        clock.advance(&rig, Duration::from_millis(1));
        assert_eq!(syns(&rig, "192.0.2.7", 10, PrefixLimited), 1, "one each 50 ms");
        clock.advance(&rig, Duration::from_millis(100));
        assert_eq!(syns(&rig, "192.0.2.200", 10, PrefixLimited), 2);
        clock.advance(&rig, Duration::from_secs(60));
        assert_eq!(syns(&rig, "192.0.2.7", 10, PrefixLimited), 5, "never more than the burst");
    });
}

#[test]
fn a_flood_from_its_prefix_does_not_touch_a_source_that_has_proved_itself() {
    use Verdict::{PrefixLimited, RateLimited};
    in_namespace(|| {
        let rig = rig(LIMITS);
        let mut clock = Clock::ahead_of(&rig);
        for (victim, neighbour) in
            [("192.0.2.7", "192.0.2.8"), ("2001:db8:1:1::7", "2001:db8:1:2::7")]
        {
            prove(&rig, victim);
            assert_eq!(syns(&rig, neighbour, 100, PrefixLimited), 5);
            assert_eq!(syns(&rig, victim, 10, RateLimited), 3, "its own burst, whole");
            assert_eq!(syns(&rig, neighbour, 100, PrefixLimited), 0, "nor does it touch them");
            clock.advance(&rig, Duration::from_millis(100));
            assert_eq!(syns(&rig, neighbour, 100, PrefixLimited), 2);
            assert_eq!(syns(&rig, victim, 10, RateLimited), 1, "its own rate");
        }
        assert_eq!(syns(&rig, "2001:db8:1:1::8", 10, RateLimited), 0, "the same source");
    });
}

#[test]
fn all_that_have_proved_nothing_have_a_cap_together() {
    use Verdict::{CapLimited, PrefixLimited, RateLimited};
    in_namespace(|| {
        let rig = rig(RateLimits { unproven_syn_per_second: Some(10), ..LIMITS });
        let mut clock = Clock::ahead_of(&rig);
        prove(&rig, "192.0.2.7");
        assert_eq!(syns(&rig, "198.51.100.1", 100, PrefixLimited), 5);
        assert_eq!(syns(&rig, "2001:db8::1", 4, CapLimited), 4);
        assert_eq!(
            syns(&rig, "198.51.101.1", 100, CapLimited),
            1,
            "what a prefix is refused, no one pays"
        );
        assert_eq!(syns(&rig, "198.51.102.1", 100, CapLimited), 0);
        assert_eq!(syns(&rig, "192.0.2.7", 10, RateLimited), 3, "who has proved itself has none");
        clock.advance(&rig, Duration::from_millis(200));
        assert_eq!(syns(&rig, "198.51.102.1", 100, CapLimited), 2, "a tenth of a second each");
    });
}

#[test]
fn without_limits_on_sources_the_cap_is_for_the_unproven_alone() {
    use Verdict::CapLimited;
    in_namespace(|| {
        let rig = rig(RateLimits { unproven_syn_per_second: Some(10), ..RateLimits::default() });
        let _clock = Clock::ahead_of(&rig);
        prove(&rig, "192.0.2.7");
        assert_eq!(syns(&rig, "192.0.2.8", 100, CapLimited), 10);
        assert_eq!(syns(&rig, "192.0.2.7", 100, CapLimited), 100);
    });
}

#[test]
fn packets_and_octets_are_counted_of_all_that_is_sent_to_services() {
    use Verdict::{BytesLimited, PacketsLimited, ToEngine};
    in_namespace(|| {
        let packets = RateLimit { packets_per_second: Some(100), ..PER_SOURCE };
        let octets = RateLimit { bytes_per_second: Some(100_000), ..PER_PREFIX };
        let rig = rig(RateLimits { per_source: Some(packets), per_prefix: Some(octets), ..LIMITS });
        let mut clock = Clock::ahead_of(&rig);
        prove(&rig, "192.0.2.7");
        let (proven, other) = (at("192.0.2.7:1"), at("192.0.2.8:1"));
        let data = |client, payload| vec![to_service(client, ACK | PSH, payload); 200];
        for (ours, theirs) in
            [("10.1.0.1:80", proven), ("10.1.0.1:80", other), ("10.2.0.1:20000", proven)]
        {
            rig.shield.known_flows().insert(0, &ends(at(ours), theirs));
        }

        assert_eq!(let_through(&rig, PacketsLimited, data(proven, 1000)), 100, "a second's worth");
        assert_eq!(rig.verdict(&to_service(proven, SYN, 0)), PacketsLimited, "SYNs are packets");
        // 14, 20 and 20 octets of headers.
        assert_eq!(let_through(&rig, BytesLimited, data(other, 946)), 100, "a second's worth");
        assert_eq!(rig.verdict(&to_service(other, SYN, 0)), BytesLimited);
        clock.advance(&rig, Duration::from_millis(100));
        assert_eq!(let_through(&rig, PacketsLimited, data(proven, 0)), 10);
        assert_eq!(let_through(&rig, BytesLimited, data(other, 946)), 10);

        let unknown = to_service(at("192.0.2.7:2"), ACK, 0);
        assert_eq!(rig.verdict(&unknown), PacketsLimited, "of whatever connection");
        let origin = segment(proven, at("10.2.0.1:20000"), ACK, 1000);
        assert_eq!(rig.verdict(&origin), ToEngine, "origins have no limit");
        let sent = ip(at("10.1.0.1:80").ip(), proven.ip(), TCP, &tcp(80, 1, ACK, 0));
        let error = icmp(3, 4, &sent);
        let error = ethernet(&ip(other.ip(), at("10.1.0.1:80").ip(), ICMPV4, &error));
        clock.advance(&rig, Duration::from_secs(1));
        assert!(
            let_through(&rig, BytesLimited, vec![error; 2000]) < 2000,
            "errors of routers, too"
        );
        assert_eq!(rig.verdict(&to_service(proven, ACK, 0)), ToEngine, "to their own account");
        let elsewhere = segment(other, at("10.1.0.1:22"), ACK, 1000);
        assert_eq!(rig.verdict(&elsewhere), Verdict::NotOurs, "what is Linux's has no limit");
    });
}

/// A new connection that is dropped for what its packet is costs none of the burst.
#[test]
fn what_is_dropped_costs_nothing() {
    use Verdict::{BytesLimited, PrefixLimited};
    in_namespace(|| {
        let limit = RateLimit { bytes_per_second: Some(65_536), burst: 100, ..PER_PREFIX };
        let rig = rig(RateLimits { per_prefix: Some(limit), ..RateLimits::default() });
        let mut clock = Clock::ahead_of(&rig);
        let large = to_service(at("192.0.2.7:1"), SYN, 3000);
        assert_eq!(let_through(&rig, BytesLimited, vec![large; 1000]), 21);
        clock.advance(&rig, Duration::from_millis(900));
        assert_eq!(syns(&rig, "192.0.2.7", 200, PrefixLimited), 97, "21 less, 18 more");
    });
}

/// Linux's connections count as well, and go on when no lane is alive to beat.
#[test]
fn without_a_heartbeat_time_goes_on() {
    in_namespace(|| {
        let limit = RateLimit { syn_per_second: 50, burst: 1, ..PER_PREFIX };
        let rig = rig(RateLimits { per_prefix: Some(limit), ..RateLimits::default() });
        rig.control.beat(0, 0);
        let syn = |port| to_service(SocketAddr::from(([192, 0, 2, 7], port)), SYN, 0);
        assert_eq!(rig.verdict(&syn(1)), Verdict::Stale);
        assert_eq!(rig.verdict(&syn(2)), Verdict::PrefixLimited);
        let deadline = now_ns() + 10_000_000_000;
        while rig.verdict(&syn(3)) != Verdict::Stale {
            assert!(now_ns() < deadline, "limited for ever");
        }
    });
}

/// What has no limit costs nothing, whatever the clock of the queue that it comes by: a lane at work
/// is milliseconds ahead of one that sleeps.
#[test]
fn what_is_not_limited_is_let_through_where_the_clock_is_behind() {
    in_namespace(|| {
        let cap = RateLimits { unproven_syn_per_second: Some(1000), ..RateLimits::default() };
        let rig = rig(cap);
        let clock = Clock::ahead_of(&rig);
        prove(&rig, "192.0.2.7");
        for client in ["192.0.2.7", "198.51.100.7"] {
            rig.control.beat(0, clock.now_ns);
            assert_eq!(syns(&rig, client, 1, Verdict::CapLimited), 1);
            rig.control.beat(0, clock.now_ns - 4_000_000);
            assert_eq!(syns(&rig, client, 1, Verdict::CapLimited), 1, "{client}");
        }
    });
}

/// The table is bounded: what is forgotten is what matters least, and counted if it mattered.
#[test]
fn buckets_that_are_full_again_give_way_first() {
    in_namespace(|| {
        let limit = RateLimit { burst: 1, prefix_v4: 32, ..PER_PREFIX };
        let rig = rig(RateLimits { per_prefix: Some(limit), ..RateLimits::default() });
        let mut clock = Clock::ahead_of(&rig);
        let flood = |sources: std::ops::Range<u32>| {
            for source in sources {
                let syn = to_service(
                    SocketAddr::from((Ipv4Addr::from_bits(0x0b00_0000 + source), 1)),
                    SYN,
                    0,
                );
                rig.shield.dry_run(0, 0, &syn, 1).expect("a dry run");
            }
            let counters = rig.counters();
            assert_eq!(counters.of(Verdict::PrefixLimited), 0, "each has its burst");
            counters.buckets_evicted
        };
        let room = (BUCKET_SETS * BUCKETS_PER_SET) as u32;
        assert_eq!(flood(0..room / 128), 0, "room for all");
        let evicted = flood(room / 128..2 * room);
        assert!(evicted >= u64::from(room), "{evicted}");
        clock.advance(&rig, Duration::from_millis(50));
        assert_eq!(flood(2 * room..2 * room + room / 128), evicted, "all are full again");
    });
}

#[test]
fn limits_out_of_range_are_refused() {
    in_namespace(|| {
        let per_prefix = Some(RateLimit { prefix_v4: 33, ..PER_PREFIX });
        let settings =
            ShieldSettings { rate_limits: RateLimits { per_prefix, ..LIMITS }, ..settings() };
        assert!(settings.check().is_err() && Shield::load(&settings).is_err());
    });
}

#[test]
fn who_has_proved_itself_need_not_do_so_again_when_a_shield_takes_over() {
    in_namespace(|| {
        let rig = rig(LIMITS);
        prove(&rig, "192.0.2.7");
        let settings = ShieldSettings { rate_limits: LIMITS, ..settings() };
        let successor = Shield::load_successor(&settings, &rig.shield).expect("a successor");
        let source = LIMITS.source_masks().prefix_of(0xffff_c000_0207, true);
        let proven = successor.proven_sources();
        assert!(proven.contains(proven.fingerprint(&source)));
    });
}
