use proptest::prelude::*;

use super::*;
use crate::tcp::congestion::{Algorithm, Parameters, WindowBounds};

const MSS: u32 = 1460;
const MS: Duration = Duration::from_millis(1);

fn pacer(rate: u64) -> Pacer {
    let rate = Rate::from_octets_per_second(rate);
    Pacer { rate: Some(rate), empty_at: Instant::ZERO, depth: quantum(rate, MSS as u16), free: 0 }
}

/// Sends whenever it may, looking at the clock when told to and `late` after that. Returns when each
/// segment left.
fn run(mut pacer: Pacer, len: u32, late: Duration, until: Instant) -> Vec<Instant> {
    let mut now = Instant::from_millis(1000);
    let mut sent = Vec::new();
    while now < until {
        match pacer.hold(len, now) {
            None => {
                pacer.on_sent(len, now);
                sent.push(now);
            }
            Some(at) => {
                assert!(at > now, "held until a moment that has passed");
                now = at + late;
            }
        }
    }
    sent
}

#[test]
fn a_rate_is_reached_within_three_percent_however_late_the_timer_is() {
    for rate in [10_000, 125_000, 1_250_000, 12_500_000, 125_000_000, 500_000_000] {
        for late in [Duration::ZERO, WHEEL_TICK, WHEEL_TICK + Duration::from_micros(20)] {
            let seconds = if rate < 1_000_000 { 60 } else { 4 };
            let until = Instant::from_millis(1000 + seconds * 1000);
            let octets = run(pacer(rate), MSS, late, until).len() as u64 * u64::from(MSS);
            let expected = rate * seconds;
            let off = octets.abs_diff(expected) as f64 / expected as f64;
            assert!(off < 0.03, "{octets} octets of {expected} at {rate}/s, late by {late:?}");
        }
    }
}

#[test]
fn rounding_never_makes_a_pace_faster_and_costs_less_than_a_nanosecond_a_segment() {
    const NS: Duration = Duration::from_nanos(1);
    for rate in [1, 7_777, 12_500_000, 1_250_000_000, 12_500_000_000] {
        let rate = Rate::from_octets_per_second(rate);
        for octets in [1, 1448, 65_536] {
            let time = rate.time_for(octets);
            assert!(rate.octets_in(time) >= octets, "{octets} at {rate:?}: {time:?} is too short");
            assert!(
                rate.octets_in(time - NS) < octets,
                "{octets} at {rate:?}: {time:?} is too long"
            );
        }
    }
    // Full segments, a second's worth of them.
    for (rate, most_ppm) in [(1_250_000_000, 520), (12_500_000_000, 1_400)] {
        let segments = rate / 1448;
        let taken = Rate::from_octets_per_second(rate).time_for(1448) * segments as u32;
        let late_ppm = taken.saturating_sub(Duration::from_secs(1)).as_micros();
        assert!(taken > Duration::from_millis(999) && late_ppm <= most_ppm, "{late_ppm} ppm");
    }
}

#[test]
fn segments_leave_in_bursts_of_at_least_two_and_at_most_a_quantum() {
    for rate in [125_000, 12_500_000, 125_000_000] {
        let sent = run(pacer(rate), MSS, Duration::ZERO, Instant::from_millis(2000));
        let mut bursts: Vec<u32> = Vec::new();
        let mut last = None;
        for at in sent {
            match bursts.last_mut() {
                Some(burst) if last == Some(at) => *burst += 1,
                _ => bursts.push(1),
            }
            last = Some(at);
        }
        let most = quantum(Rate::from_octets_per_second(rate), MSS as u16) / MSS;
        // The first is a whole quantum, as after every pause; the others go when half is there.
        assert!(bursts.iter().all(|burst| *burst <= most), "{rate}: {bursts:?}");
        assert!(bursts.iter().skip(1).all(|burst| *burst >= (most / 2).max(1)), "{bursts:?}");
    }
}

#[test]
fn quanta_are_a_milliseconds_worth_within_bounds() {
    let of = |rate| quantum(Rate::from_octets_per_second(rate), 1460);
    assert_eq!(of(0), 2 * 1460);
    assert_eq!(of(12_500_000), 12_500);
    assert_eq!(of(125_000_000), 64 * 1024);
    // 10 Gbit/s: what leaves while the wheel turns three times.
    assert_eq!(of(1_250_000_000), 245_760);
    assert!(of(u64::MAX) <= QUANTUM_LIMIT);
}

#[test]
fn after_a_pause_there_is_one_fresh_quantum_and_no_more() {
    let mut pacer = pacer(12_500_000);
    let now = Instant::from_millis(100_000);
    let mut octets = 0;
    while pacer.hold(MSS, now).is_none() {
        pacer.on_sent(MSS, now);
        octets += MSS;
    }
    assert!((12_500 - MSS..=12_500).contains(&octets), "{octets}");
}

#[test]
fn the_initial_window_leaves_at_once() {
    let mut pacer = Pacer { free: 10 * MSS, ..pacer(10_000) };
    let now = Instant::from_millis(1);
    for _ in 0..10 {
        assert_eq!(pacer.hold(MSS, now), None);
        pacer.on_sent(MSS, now);
    }
    assert!(pacer.hold(MSS, now).is_some());
}

#[test]
fn a_window_based_algorithm_is_paced_only_when_asked_to() {
    let controller = Controller::new(&Parameters {
        algorithm: Algorithm::Cubic,
        mss: MSS as u16,
        initial_window_segments: 10,
        bounds: WindowBounds::default(),
        paced: true,
        seed: 1,
    });
    let mut pacer = Pacer::new(0);
    for (pacing, srtt, rate) in [
        (Pacing::Auto, Some(100 * MS), None),
        (Pacing::Off, Some(100 * MS), None),
        (Pacing::On, None, None),
        (Pacing::On, Some(100 * MS), Some(292_000)), // twice a window in a round trip
    ] {
        pacer.follow(pacing, &controller, srtt, MSS as u16);
        assert_eq!(pacer.rate.map(Rate::octets_per_second), rate, "{pacing:?} {srtt:?}");
    }
}

proptest! {
    #[test]
    fn over_any_second_no_more_leaves_than_the_rate_and_a_quantum(
        rate in 5_000u64..200_000_000,
        len in 1u32..=MSS,
        late_us in 0u64..3_000,
    ) {
        let pacer = pacer(rate);
        // Small segments at high rates are many: less time shows the same.
        let window = Duration::from_millis(if rate > 1_000_000 { 20 } else { 1000 });
        let until = Instant::from_millis(1000) + 3 * window;
        let sent = run(pacer, len, Duration::from_micros(late_us), until);
        let most = Rate::from_octets_per_second(rate).octets_in(window)
            + u64::from(pacer.depth);
        let mut first = 0;
        for (last, at) in sent.iter().enumerate() {
            while *at >= sent[first] + window {
                first += 1;
            }
            let octets = (last + 1 - first) as u64 * u64::from(len);
            prop_assert!(octets <= most + u64::from(len), "{} of {}", octets, most);
        }
    }
}
