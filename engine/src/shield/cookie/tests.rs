//! Cookies there and back, and that nothing else is taken for one.

use std::net::SocketAddr;

use super::*;
use crate::random::Random;

const MASTER: [u8; 16] = *b"0123456789abcdef";
const ISN: SeqNum = SeqNum(0x1234_5678);
const OUR_MSS: u16 = 1460;
const PERIOD: u64 = COOKIE_PERIOD.as_secs();

fn flow(local: &str, remote: &str) -> FlowKey {
    let at = |address: &str| address.parse::<SocketAddr>().expect("an address and port");
    FlowKey::new(at(local), at(remote))
}

fn flow4() -> FlowKey {
    flow("10.1.0.1:80", "192.0.2.7:51234")
}

fn flow6() -> FlowKey {
    flow("[fd00:1::1]:80", "[2001:db8::7]:51234")
}

fn keys() -> Keys {
    Keys::at(&MASTER, 1000 * PERIOD)
}

/// What Linux offers.
fn usual() -> SynOptions {
    SynOptions { mss: Some(1460), window_scale: Some(7), sack: true, timestamps: true, ecn: false }
}

fn reopened(flow: &FlowKey, offered: &SynOptions, our_mss: u16) -> CookieOptions {
    let Cookie { sequence, timestamp } = bake(&keys(), flow, ISN, offered, our_mss);
    assert_eq!(timestamp.is_some(), offered.timestamps);
    open(&keys(), flow, ISN, sequence, timestamp).expect("ours")
}

/// The same offer with and without SACK, timestamps and ECN.
fn variations(offered: SynOptions) -> impl Iterator<Item = SynOptions> {
    (0..8).map(move |bits| SynOptions {
        sack: bits & 1 != 0,
        timestamps: bits & 2 != 0,
        ecn: bits & 4 != 0,
        ..offered
    })
}

#[test]
fn segment_sizes_come_back_as_the_class_below() {
    // Offered · ours · IPv4 · IPv6 [octets]
    let table = [
        (None, 1460, 536, 1220),
        (Some(1), 1460, 536, 1220),
        (Some(535), 1460, 536, 1220),
        (Some(536), 1460, 536, 1220),
        (Some(1219), 1460, 536, 1220),
        (Some(1220), 1460, 1220, 1220),
        (Some(1280), 1460, 1220, 1280),
        (Some(1359), 1460, 1220, 1340),
        (Some(1360), 1460, 1360, 1340),
        (Some(1399), 1460, 1360, 1380),
        (Some(1400), 1460, 1400, 1400),
        (Some(1439), 1460, 1400, 1420),
        (Some(1440), 1460, 1440, 1440),
        (Some(1452), 1460, 1452, 1440),
        (Some(1459), 1460, 1452, 1440),
        (Some(1460), 1460, 1460, 1440),
        (Some(8960), 1460, 1460, 1440),
        (Some(8939), 9000, 1460, 1440),
        (Some(8940), 9000, 1460, 8940),
        (Some(8960), 9000, 8960, 8940),
        (Some(65_535), 65_535, 8960, 8940),
        (Some(1460), 1400, 1400, 1400),
        (Some(1460), 500, 536, 1220),
    ];
    for (mss, our_mss, v4, v6) in table {
        for offered in variations(SynOptions { mss, ..usual() }) {
            assert_eq!(reopened(&flow4(), &offered, our_mss).mss, v4, "{offered:?} {our_mss}");
            assert_eq!(reopened(&flow6(), &offered, our_mss).mss, v6, "{offered:?} {our_mss}");
        }
    }
}

#[test]
fn window_scales_come_back_exactly_with_timestamps_and_else_as_the_class_below() {
    let table = [
        (None, None, None),
        (Some(0), Some(0), Some(0)),
        (Some(1), Some(1), Some(0)),
        (Some(2), Some(2), Some(0)),
        (Some(3), Some(3), Some(3)),
        (Some(4), Some(4), Some(3)),
        (Some(5), Some(5), Some(5)),
        (Some(6), Some(6), Some(6)),
        (Some(7), Some(7), Some(7)),
        (Some(8), Some(8), Some(8)),
        (Some(9), Some(9), Some(9)),
        (Some(10), Some(10), Some(9)),
        (Some(13), Some(13), Some(9)),
        (Some(14), Some(14), Some(9)),
        (Some(15), Some(14), Some(9)),
        (Some(255), Some(14), Some(9)),
    ];
    for (window_scale, exact, class) in table {
        for offered in variations(SynOptions { window_scale, ..usual() }) {
            let expected = CookieOptions {
                mss: 1460,
                window_scale: if offered.timestamps { exact } else { class },
                sack: offered.sack,
                timestamps: offered.timestamps,
                ecn: offered.ecn && offered.timestamps,
            };
            assert_eq!(reopened(&flow4(), &offered, OUR_MSS), expected, "{offered:?}");
        }
    }
}

#[test]
fn whatever_is_changed_is_refused() {
    for flow in [flow4(), flow6()] {
        for offered in variations(usual()) {
            let Cookie { sequence, timestamp } = bake(&keys(), &flow, ISN, &offered, OUR_MSS);
            let opens =
                |isn, sequence, timestamp| open(&keys(), &flow, isn, sequence, timestamp).is_some();
            assert!(opens(ISN, sequence, timestamp));
            for bit in 0..32 {
                let flip = |number: SeqNum| SeqNum(number.0 ^ 1 << bit);
                assert!(!opens(ISN, flip(sequence), timestamp), "sequence number, bit {bit}");
                assert!(!opens(flip(ISN), sequence, timestamp), "the client's, bit {bit}");
                if let Some(value) = timestamp {
                    assert!(!opens(ISN, sequence, Some(value ^ 1 << bit)), "timestamp, bit {bit}");
                }
            }
            let other_kind = if timestamp.is_some() { None } else { Some(0) };
            assert!(!opens(ISN, sequence, other_kind), "with timestamps or without");
        }
    }
}

#[test]
fn cookies_are_good_between_the_same_ends_only() {
    let Cookie { sequence, timestamp } = bake(&keys(), &flow4(), ISN, &usual(), OUR_MSS);
    for other in [
        flow("10.1.0.1:443", "192.0.2.7:51234"),
        flow("10.1.0.2:80", "192.0.2.7:51234"),
        flow("10.1.0.1:80", "192.0.2.7:51235"),
        flow("10.1.0.1:80", "192.0.2.8:51234"),
        flow("192.0.2.7:51234", "10.1.0.1:80"),
    ] {
        assert_eq!(open(&keys(), &other, ISN, sequence, timestamp), None, "{other}");
    }
    let other_secret = Keys::at(&[7; 16], 1000 * PERIOD);
    assert_eq!(open(&other_secret, &flow4(), ISN, sequence, timestamp), None);
}

#[test]
fn cookies_are_good_for_one_to_two_periods() {
    for baked_at in [1000 * PERIOD, 1001 * PERIOD, 1001 * PERIOD + PERIOD / 2] {
        let baked = bake(&Keys::at(&MASTER, baked_at), &flow4(), ISN, &usual(), OUR_MSS);
        let opens = |at| {
            let keys = Keys::at(&MASTER, at);
            open(&keys, &flow4(), ISN, baked.sequence, baked.timestamp).is_some()
        };
        let end = (baked_at / PERIOD + 2) * PERIOD;
        assert!((baked_at..end).all(opens));
        assert!((end..end + 4 * PERIOD).all(|at| !opens(at)), "stale");
    }
}

#[test]
fn a_period_overwrites_the_key_that_was_not_in_use() {
    for period in 1000..1010 {
        let (before, after) =
            (Keys::at(&MASTER, period * PERIOD - 1), Keys::at(&MASTER, period * PERIOD));
        assert_eq!(after.current, 1 - before.current);
        let [kept, changed] = [before.current, after.current].map(usize::from);
        assert_eq!(after.slots[kept], before.slots[kept]);
        assert_ne!(after.slots[changed], before.slots[changed]);
    }
    assert_eq!(format!("{:?}", keys()), "Keys { current: 0, .. }");
}

/// As many bits of the mac as a given number of guesses can show are right by chance exactly as
/// often as they should be. All of them together never were: 0.06 times is what to expect.
#[test]
fn a_random_acknowledgment_is_right_by_chance_only() {
    const TRIES: u32 = 1 << 20;
    let mut random = Random::new(1);
    let (mut opened, mut right) = (0, [0_u32; 25]);
    for _ in 0..TRIES {
        let draw = random.draw();
        let (isn, guess) = (SeqNum(draw as u32), SeqNum((draw >> 32) as u32));
        opened += u32::from(open(&keys(), &flow4(), isn, guess, None).is_some());
        let wanted = seal(&keys(), &flow4(), isn, (guess.0 >> 24) as u8, None).sequence;
        right[(guess.0 ^ wanted.0).trailing_zeros().min(24) as usize] += 1;
    }
    for bits in (8..=16).step_by(4) {
        let seen: u32 = right[bits..].iter().sum();
        let expected = f64::from(TRIES >> bits);
        eprintln!("{bits} bits right in {seen} of {TRIES} guesses, {expected} expected");
        assert!((f64::from(seen) - expected).abs() < 6.0 * expected.sqrt(), "{bits} bits");
    }
    eprintln!("{opened} opened, {} expected", f64::from(TRIES) / f64::from(1 << 24));
    assert_eq!(opened, right[24]);
    assert!(opened <= 1);
}
