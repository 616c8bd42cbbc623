use proptest::prelude::*;

use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn sampled(samples: &[u64]) -> RttEstimator {
    let mut rtt = RttEstimator::new();
    for (i, sample) in samples.iter().enumerate() {
        rtt.on_sample(ms(*sample), Instant::from_millis(i as u64));
    }
    rtt
}

#[test]
fn before_any_sample_the_timeout_is_one_second() {
    let rtt = RttEstimator::new();
    assert_eq!(rtt.rto().get(), ms(1000));
    assert_eq!((rtt.srtt(), rtt.rttvar(), rtt.min_rtt()), (None, None, None));
}

#[test]
fn the_first_sample_sets_mean_and_half_of_it_as_variation() {
    let rtt = sampled(&[100]);
    assert_eq!((rtt.srtt(), rtt.rttvar()), (Some(ms(100)), Some(ms(50))));
    assert_eq!(rtt.rto().get(), ms(300), "100 + 4 × 50");
}

#[test]
fn the_second_sample_moves_by_the_gains_of_the_standard() {
    let rtt = sampled(&[100, 180]);
    assert_eq!(rtt.srtt(), Some(ms(110)), "7/8 × 100 + 1/8 × 180");
    assert_eq!(rtt.rttvar(), Some(Duration::from_micros(57_500)), "3/4 × 50 + 1/4 × 80");
    assert_eq!(rtt.rto().get(), ms(340));
}

#[test]
fn a_steady_path_still_leaves_room_for_a_delayed_ack() {
    let rtt = sampled(&[150; 200]);
    assert_eq!(rtt.srtt(), Some(ms(150)));
    let rto = rtt.rto().get();
    assert!((ms(350)..ms(352)).contains(&rto), "{rto:?}");
}

#[test]
fn timeouts_double_up_to_a_minute_and_a_sample_ends_it() {
    let mut rtt = sampled(&[100]);
    let mut seen = Vec::new();
    for _ in 0..10 {
        rtt.on_timeout();
        seen.push(rtt.rto().get().as_millis());
    }
    let doubled = [600, 1200, 2400, 4800, 9600, 19_200, 38_400, 60_000, 60_000, 60_000];
    assert_eq!(seen, doubled);
    let mut other = rtt.clone();
    rtt.on_sample(ms(100), Instant::from_millis(9));
    assert_eq!(rtt.rto().get(), ms(300), "what doubling added is gone");
    other.on_progress();
    assert_eq!(other.rto().get(), ms(300), "progress without a sample ends it too");
}

#[test]
fn a_lost_syn_makes_the_first_data_wait_three_seconds() {
    let mut rtt = RttEstimator::new();
    rtt.on_timeout();
    rtt.on_progress();
    assert_eq!(rtt.rto().get(), ms(2000), "nothing measured yet: stays backed off");
    rtt.on_established_after_syn_timeout();
    assert_eq!(rtt.rto().get(), ms(3000));
    let mut timestamped = sampled(&[40]);
    timestamped.on_established_after_syn_timeout();
    assert_eq!(timestamped.rto().get(), ms(240));
}

#[test]
fn the_minimum_follows_the_path_when_it_gets_longer() {
    let mut rtt = RttEstimator::new();
    rtt.on_sample(ms(20), Instant::ZERO);
    for at in 1..=100 {
        rtt.on_sample(ms(50), Instant::from_millis(at * 100));
    }
    assert_eq!(rtt.min_rtt(), Some(ms(20)), "ten seconds on, the old minimum still holds");
    rtt.on_sample(ms(51), Instant::from_millis(10_001));
    assert_eq!(rtt.min_rtt(), Some(ms(50)), "a moment later it does not");
    rtt.on_sample(ms(80), Instant::from_millis(60_000));
    assert_eq!(rtt.min_rtt(), Some(ms(80)), "nothing old survives a silence");
}

proptest! {
    #[test]
    fn no_sequence_of_events_leaves_the_bounds(
        events in proptest::collection::vec((0u8..4, any::<u64>(), 0u64..30_000_000_000), 1..200),
    ) {
        let mut rtt = RttEstimator::new();
        let mut now = Instant::ZERO;
        for (kind, nanos, later) in events {
            now += Duration::from_nanos(later);
            match kind {
                0 => rtt.on_timeout(),
                1 => rtt.on_progress(),
                // Round trips of all magnitudes, most of them real ones.
                2 => rtt.on_sample(Duration::from_nanos(nanos % 1_000_000_000), now),
                _ => rtt.on_sample(Duration::from_nanos(nanos), now),
            }
            prop_assert!((RTO_MIN..=RTO_MAX).contains(&rtt.rto().get()));
            if let (Some(srtt), Some(min)) = (rtt.srtt(), rtt.min_rtt()) {
                prop_assert!(srtt <= RTO_MAX && min <= RTO_MAX);
                prop_assert!(min > Duration::ZERO);
            }
        }
    }

    #[test]
    fn mean_and_variation_agree_with_the_formula_in_floats(
        samples in proptest::collection::vec(1_000u64..2_000_000, 1..300),
    ) {
        let mut rtt = RttEstimator::new();
        let (mut srtt, mut rttvar) = (0.0f64, 0.0f64);
        for (i, us) in samples.iter().enumerate() {
            rtt.on_sample(Duration::from_micros(*us), Instant::from_millis(i as u64));
            let r = *us as f64;
            if i == 0 {
                (srtt, rttvar) = (r, r / 2.0);
            } else {
                rttvar = 0.75 * rttvar + 0.25 * (srtt - r).abs();
                srtt = 0.875 * srtt + 0.125 * r;
            }
            prop_assert!((rtt.srtt().unwrap().as_micros() as f64 - srtt).abs() <= 4.0);
            prop_assert!((rtt.rttvar().unwrap().as_micros() as f64 - rttvar).abs() <= 8.0);
        }
    }

    #[test]
    fn the_windowed_minimum_is_a_real_recent_sample_and_never_below_the_true_minimum(
        samples in proptest::collection::vec((1u32..1000, 1u64..4_000), 1..200),
    ) {
        let window = MIN_RTT_WINDOW;
        let mut now = Instant::ZERO;
        let mut seen: Vec<(u32, Instant)> = Vec::new();
        let mut min: Option<WindowedMin> = None;
        for (us, later) in samples {
            now += ms(later);
            seen.push((us, now));
            match &mut min {
                None => min = Some(WindowedMin::new(us, now)),
                Some(min) => min.observe(us, now, window),
            }
            let got = min.as_ref().unwrap().get();
            let recent: Vec<u32> =
                seen.iter().filter(|(_, at)| now.since(*at) <= window).map(|s| s.0).collect();
            prop_assert!(recent.contains(&got));
            prop_assert!(got <= us);
        }
    }
}
