use proptest::prelude::*;

use super::*;
use crate::tcp::congestion::{Algorithm, WindowBounds};

const MSS: u32 = 1460;

/// A stage of congestion avoidance by the formulas of RFC 9438 in floating point [segments].
struct Reference {
    w_max: f64,
    k: f64,
}

impl Reference {
    fn new(w_max: f64, cwnd_epoch: f64) -> Self {
        Reference { w_max, k: ((w_max - cwnd_epoch) / 0.4).cbrt() }
    }

    fn at(&self, seconds: f64) -> f64 {
        0.4 * (seconds - self.k).powi(3) + self.w_max
    }
}

fn fresh() -> Cubic {
    Cubic::new(&Parameters {
        algorithm: Algorithm::Cubic,
        mss: MSS as u16,
        initial_window_segments: 10,
        bounds: WindowBounds::default(),
        paced: false,
        seed: 1,
    })
}

/// A controller whose window is `segments`, just out of a loss at that window.
fn after_loss(segments: u32) -> Cubic {
    let mut cubic = fresh();
    grow_to(&mut cubic, segments, Instant::ZERO);
    lose(&mut cubic, Instant::ZERO);
    cubic
}

fn grow_to(cubic: &mut Cubic, segments: u32, now: Instant) {
    while cubic.window_octets() < segments * MSS {
        cubic.on_ack(&ack(MSS, cubic.window_octets(), Duration::from_millis(1), now));
    }
}

fn lose(cubic: &mut Cubic, now: Instant) {
    cubic.on_loss(&LossSample { in_flight_octets: cubic.window_octets(), now });
    cubic.on_recovery_exit(now);
}

fn ack(acked_octets: u32, in_flight_octets: u32, rtt: Duration, now: Instant) -> AckSample {
    AckSample {
        acked_octets,
        in_flight_octets,
        rtt: Some(rtt),
        srtt: Some(rtt),
        now,
        cwnd_limited: true,
        ..AckSample::default()
    }
}

/// Acknowledges a window's worth over one round trip, in 32 ACKs.
fn round(cubic: &mut Cubic, rtt: Duration, now: &mut Instant) {
    let window = cubic.window_octets();
    for i in 0..32 {
        let acked = window / 32 + u32::from(i < window % 32);
        *now += rtt / 32;
        cubic.on_ack(&ack(acked, window, rtt, *now));
    }
}

#[test]
fn the_window_follows_the_curve_through_plateau_and_probing() {
    // A long, fat path: 4,000 segments, 100 ms. K is 14.4 s.
    let rtt = Duration::from_millis(100);
    let mut cubic = after_loss(4_000);
    let mut now = Instant::from_millis(1_000);
    cubic.on_ack(&ack(MSS, cubic.window_octets(), rtt, now));
    let start = now;
    let curve = Reference::new(4_000.0, 2_800.0);
    let (mut steepest_before, mut flattest) = (0, u32::MAX);
    while now.since(start) < Duration::from_secs(22) {
        let before = cubic.window_octets();
        round(&mut cubic, rtt, &mut now);
        let expected = curve.at(now.since(start).as_secs_f64());
        let segments = f64::from(cubic.window_octets()) / f64::from(MSS);
        assert!(
            (segments / expected - 1.0).abs() < 0.01,
            "after {:?}: {segments:.1} segments, the curve says {expected:.1}",
            now.since(start)
        );
        let step = cubic.window_octets() - before;
        if now.since(start) < Duration::from_secs(2) {
            steepest_before = steepest_before.max(step);
        }
        flattest = flattest.min(step);
    }
    assert!(flattest * 20 < steepest_before, "no plateau: {flattest} of {steepest_before}");
}

#[test]
fn acks_without_news_do_not_hold_the_curve_back() {
    let rtt = Duration::from_millis(100);
    let grown = |with_duplicates: bool| {
        let mut cubic = after_loss(1_000);
        let mut now = Instant::from_millis(1);
        for _ in 0..40 {
            if with_duplicates {
                let sample = ack(0, cubic.window_octets(), rtt, now + rtt / 64);
                cubic.on_ack(&AckSample { cwnd_limited: false, ..sample });
                cubic.on_ack(&sample);
            }
            round(&mut cubic, rtt, &mut now);
        }
        cubic.window_octets()
    };
    assert_eq!(grown(true), grown(false));
}

#[test]
fn on_a_short_path_it_is_as_fast_as_reno_would_be() {
    // 20 segments and 2 ms: the cubic term would need seconds. RFC 9438 §4.3 says: 9/17 of a
    // segment a round trip up to the window of the loss, a whole one beyond.
    let rtt = Duration::from_millis(2);
    let mut cubic = after_loss(20);
    let mut now = Instant::from_millis(1);
    let mut expected = f64::from(cubic.window_octets()) / f64::from(MSS);
    let prior = f64::from(cubic.cwnd_prior) / f64::from(MSS);
    for _ in 0..40 {
        round(&mut cubic, rtt, &mut now);
        expected += if expected < prior { 9.0 / 17.0 } else { 1.0 };
        let segments = f64::from(cubic.window_octets()) / f64::from(MSS);
        assert!((segments - expected).abs() < 0.7, "{segments:.2} against {expected:.2}");
    }
}

#[test]
fn a_loss_before_the_old_window_is_regained_aims_lower() {
    let mut cubic = after_loss(1_000);
    let first = cubic.w_max;
    let window = cubic.window_octets();
    lose(&mut cubic, Instant::from_millis(1));
    assert_eq!(cubic.w_max, (u64::from(window) * 17 / 20) as u32);
    assert!(cubic.w_max < first);
}

#[test]
fn after_a_timeout_the_curve_starts_where_slow_start_ends() {
    let rtt = Duration::from_millis(100);
    let mut now = Instant::from_millis(1);
    let mut cubic = after_loss(1_000);
    let in_flight_octets = cubic.window_octets();
    cubic.on_rto(&TimeoutSample { in_flight_octets, is_repeated: false, now });
    cubic.on_recovery_exit(now);
    while cubic.in_slow_start() {
        round(&mut cubic, rtt, &mut now);
    }
    round(&mut cubic, rtt, &mut now);
    let epoch = cubic.epoch.expect("in congestion avoidance");
    assert_eq!(epoch.k, 0);
    let threshold = cubic.ssthresh_octets();
    assert!((threshold..threshold + 10 * MSS).contains(&cubic.w_max));
}

#[test]
fn a_queue_that_builds_up_ends_the_first_slow_start_without_a_loss() {
    // HyStart++: the bottleneck carries 200 segments per 40 ms; beyond that, round trips grow.
    let mut cubic = fresh();
    let mut now = Instant::ZERO;
    let mut rounds = 0;
    while cubic.in_slow_start() {
        let queue = cubic.window_octets().saturating_sub(200 * MSS) / MSS;
        let rtt = Duration::from_micros(40_000 + u64::from(queue) * 200);
        round(&mut cubic, rtt, &mut now);
        rounds += 1;
        assert!(rounds < 20, "slow start went on to {} octets", cubic.window_octets());
    }
    let segments = cubic.window_octets() / MSS;
    assert!((200..1_200).contains(&segments), "left at {segments} segments");
    assert!(cubic.window_octets() - cubic.ssthresh_octets() < MSS);
    round(&mut cubic, Duration::from_millis(40), &mut now);
    assert_eq!(cubic.epoch.map(|epoch| epoch.k), Some(0));
}

#[test]
fn steady_round_trips_leave_slow_start_alone_and_a_passing_delay_does_too() {
    let mut cubic = fresh();
    let mut now = Instant::ZERO;
    let mut before = 0;
    for ms in [40, 41, 40, 60, 40, 40] {
        before = cubic.window_octets();
        round(&mut cubic, Duration::from_millis(ms), &mut now);
    }
    assert!(cubic.in_slow_start());
    assert_eq!(cubic.window_octets(), 2 * before, "doubling again");
}

#[test]
fn a_change_of_segment_size_does_not_make_the_window_leap() {
    let rtt = Duration::from_millis(100);
    let mut now = Instant::from_millis(1);
    let mut cubic = after_loss(1_000);
    for _ in 0..20 {
        round(&mut cubic, rtt, &mut now);
    }
    let before = cubic.window_octets();
    cubic.on_mss(536);
    round(&mut cubic, rtt, &mut now);
    assert!((before..before + before / 20).contains(&cubic.window_octets()));
}

#[test]
fn cube_roots_are_exact() {
    for root in [0u64, 1, 2, 3, 10, 1024, 99_999, 1 << 20, 2_642_244] {
        let cube = root.pow(3);
        assert_eq!(u64::from(cube_root(cube)), root);
        assert_eq!(u64::from(cube_root(cube + 3 * root * root)), root);
        if root > 0 {
            assert_eq!(u64::from(cube_root(cube - 1)), root - 1);
        }
    }
    assert_eq!(cube_root(u64::MAX), 2_642_245);
}

proptest! {
    #[test]
    fn curve_and_k_agree_with_the_formula_in_floats(
        w_max in 10u32..500_000,
        mss in 500u32..9_000,
        millis in 0u64..120_000,
    ) {
        let octets = u64::from(w_max) * u64::from(mss);
        prop_assume!(octets <= u64::from(CONGESTION_WINDOW_MAX));
        let w_max_octets = octets as u32;
        let epoch_octets = beta(w_max_octets);
        let reference = Reference::new(w_max.into(), f64::from(epoch_octets) / f64::from(mss));

        let k = time_to_climb(w_max_octets - epoch_octets, mss);
        prop_assert!((f64::from(k) / 1024.0 - reference.k).abs() <= 1.0 / 1024.0);

        let t = ticks(Duration::from_millis(millis));
        let expected = reference.at(millis as f64 / 1000.0) * f64::from(mss);
        prop_assume!((0.0..f64::from(CONGESTION_WINDOW_MAX)).contains(&expected));
        let got = f64::from(cubic_window(w_max_octets, k, t, mss));
        prop_assert!((got / expected - 1.0).abs() < 0.01, "{got} for {expected}");
    }
}
