//! One conformance suite that every algorithm must pass, then what is particular to NewReno, DCTCP
//! and Vegas. What holds for the algorithms with a window and a threshold of RFC 5681 is asked of
//! [`windowed`] alone: BBR's window follows from what it measures, and is tested on a
//! [`path`].

mod any_events;
mod path;
mod paths;

use super::*;
use crate::tcp::pacing::Pacing;

const MSS: u32 = 1460;
const RTT: Duration = Duration::from_millis(50);

const ALL: [Algorithm; 5] =
    [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr, Algorithm::Dctcp, Algorithm::Vegas];

fn all() -> impl Iterator<Item = Controller> {
    ALL.into_iter().map(fresh)
}

fn windowed() -> impl Iterator<Item = Controller> {
    all().filter(|controller| controller.name() != "bbr")
}

fn fresh(algorithm: Algorithm) -> Controller {
    Controller::new(&parameters(algorithm))
}

fn parameters(algorithm: Algorithm) -> Parameters {
    Parameters {
        algorithm,
        mss: MSS as u16,
        initial_window_segments: 10,
        bounds: WindowBounds::default(),
        paced: false,
        seed: 1,
    }
}

fn ack(acked_octets: u32, in_flight_octets: u32, now: Instant) -> AckSample {
    AckSample {
        acked_octets,
        in_flight_octets,
        rtt: Some(RTT),
        srtt: Some(RTT),
        now,
        cwnd_limited: true,
        ..AckSample::default()
    }
}

fn loss(in_flight_octets: u32, now: Instant) -> LossSample {
    LossSample { in_flight_octets, now }
}

/// A timeout of a segment that has not timed out before.
fn timeout(in_flight_octets: u32, now: Instant) -> TimeoutSample {
    TimeoutSample { in_flight_octets, is_repeated: false, now }
}

/// The timer expires again, and nothing has acknowledged the segment since.
fn timeout_again(in_flight_octets: u32, now: Instant) -> TimeoutSample {
    TimeoutSample { is_repeated: true, ..timeout(in_flight_octets, now) }
}

/// Acknowledges one whole window, two segments at a time, spread over a round trip.
fn round(controller: &mut impl CongestionControl, now: &mut Instant) {
    let window = controller.window_octets();
    let acks = window.div_ceil(2 * MSS);
    for i in 0..acks {
        let acked = (2 * MSS).min(window - i * 2 * MSS);
        *now += RTT / acks;
        controller.on_ack(&ack(acked, window, *now));
    }
}

/// A controller that has left slow start by a loss at `segments` in flight.
fn after_loss(mut controller: Controller, segments: u32, now: Instant) -> Controller {
    while controller.window_octets() < segments * MSS {
        let window = controller.window_octets();
        controller.on_ack(&ack(MSS, window, now));
    }
    let window = controller.window_octets();
    controller.on_loss(&loss(window, now));
    controller.on_recovery_exit(now);
    controller
}

/// A controller whose window has grown, and which has nothing to repair.
fn grown(algorithm: Algorithm) -> Controller {
    if algorithm != Algorithm::Bbr {
        return after_loss(fresh(algorithm), 100, Instant::ZERO);
    }
    let mut flow = path::Flow::new(algorithm, path::Path::new(10, 100), Pacing::Auto);
    flow.run(Duration::from_secs(3));
    flow.controller
}

#[test]
fn a_fresh_connection_starts_with_the_initial_window() {
    for algorithm in ALL {
        for (mss, segments, octets) in [
            (1460, 10, 14_600),
            (536, 10, 5_360),
            (1460, 1, 1_460),
            (1460, 0, 1_460),
            (8960, 10, 17_920), // jumbo segments: two of them
            (1460, u32::MAX, 256 * 1460),
        ] {
            let parameters =
                Parameters { mss, initial_window_segments: segments, ..parameters(algorithm) };
            let controller = Controller::new(&parameters);
            assert_eq!(controller.window_octets(), octets, "{algorithm:?} {mss} {segments}");
            assert!(controller.in_slow_start());
        }
    }
}

#[test]
fn slow_start_doubles_the_window_every_round_trip() {
    // Vegas doubles in every other.
    for mut controller in windowed().filter(|controller| controller.name() != "vegas") {
        let mut now = Instant::ZERO;
        for _ in 0..6 {
            let before = controller.window_octets();
            round(&mut controller, &mut now);
            assert_eq!(controller.window_octets(), 2 * before, "{}", controller.name());
        }
    }
}

#[test]
fn one_ack_for_very_much_does_not_open_the_window_at_once() {
    for mut controller in all() {
        let before = controller.window_octets();
        controller.on_ack(&ack(u32::MAX, before, Instant::ZERO));
        // As much as receive offload merges (RFC 9406 §4.3, L).
        assert!(controller.window_octets() <= before + 44 * MSS, "{}", controller.name());
    }
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    for fresh in windowed() {
        for mut controller in [fresh.clone(), after_loss(fresh, 100, Instant::ZERO)] {
            let before = controller.window_octets();
            for i in 1..1000 {
                let now = Instant::from_millis(i * 100);
                let sample = AckSample { cwnd_limited: false, ..ack(MSS, MSS, now) };
                controller.on_ack(&sample);
            }
            assert_eq!(controller.window_octets(), before, "{}", controller.name());
        }
    }
}

#[test]
fn time_in_which_the_window_was_not_used_does_not_make_it_leap() {
    for fresh in windowed() {
        let mut now = Instant::from_millis(1);
        let mut controller = after_loss(fresh, 100, now);
        round(&mut controller, &mut now);
        let before = controller.window_octets();
        for _ in 0..1000 {
            now += RTT;
            let sample = AckSample { cwnd_limited: false, ..ack(MSS, MSS, now) };
            controller.on_ack(&sample);
        }
        round(&mut controller, &mut now);
        let grown = controller.window_octets() - before;
        assert!(grown <= 3 * MSS, "{} grew by {grown}", controller.name());
    }
}

#[test]
fn a_loss_takes_the_window_down_by_the_algorithms_factor() {
    for mut controller in windowed() {
        controller.on_ack(&ack(2 * MSS, 10 * MSS, Instant::ZERO));
        let window = controller.window_octets();
        controller.on_loss(&loss(window, Instant::ZERO));
        let expected = match controller.name() {
            "cubic" => window * 7 / 10,
            _ => window / 2,
        };
        assert_eq!(controller.window_octets(), expected);
        assert_eq!(controller.ssthresh_octets(), expected);
        assert!(!controller.in_slow_start());
    }
}

#[test]
fn what_was_in_flight_counts_and_not_an_unused_window() {
    for fresh in windowed() {
        let mut controller = after_loss(fresh, 200, Instant::ZERO);
        controller.on_loss(&loss(20 * MSS, Instant::from_millis(1)));
        assert!(controller.window_octets() <= 14 * MSS, "{}", controller.name());
    }
}

#[test]
fn the_window_holds_still_during_recovery_and_grows_after_it() {
    for mut controller in windowed() {
        let mut now = Instant::ZERO;
        controller.on_loss(&loss(10 * MSS, now));
        let during = controller.window_octets();
        round(&mut controller, &mut now);
        assert_eq!(controller.window_octets(), during, "{}", controller.name());
        controller.on_recovery_exit(now);
        assert_eq!(controller.window_octets(), during);
        for _ in 0..20 {
            round(&mut controller, &mut now);
        }
        assert!(controller.window_octets() > during, "{}", controller.name());
    }
}

#[test]
fn a_timeout_goes_back_to_one_segment_and_slow_start() {
    for fresh in windowed() {
        let mut controller = after_loss(fresh, 100, Instant::ZERO);
        let window = controller.window_octets();
        controller.on_rto(&timeout(window, Instant::from_millis(500)));
        assert_eq!(controller.window_octets(), MSS);
        assert!(controller.in_slow_start());
        let threshold = controller.ssthresh_octets();
        assert!((window / 2..=window * 7 / 10).contains(&threshold), "{}", controller.name());

        // The timer expires again and again, whatever else arrives between: the threshold must
        // not follow the window down.
        for _ in 0..5 {
            controller.on_rto(&timeout_again(MSS, Instant::from_millis(900)));
            controller.on_ack(&ack(MSS, 2 * MSS, Instant::from_millis(900)));
        }
        controller.on_rto(&timeout_again(MSS, Instant::from_millis(900)));
        assert_eq!(controller.ssthresh_octets(), threshold);
        assert_eq!(controller.window_octets(), MSS);

        // One segment per ACK till all is repaired, whatever one ACK covers.
        controller.on_ack(&ack(50 * MSS, 50 * MSS, Instant::from_millis(950)));
        assert_eq!(controller.window_octets(), 2 * MSS);
        controller.on_recovery_exit(Instant::from_millis(1000));
        let mut now = Instant::from_millis(1000);
        for _ in 0..20 {
            round(&mut controller, &mut now);
        }
        assert!(!controller.in_slow_start() && controller.window_octets() >= threshold);
    }
}

#[test]
fn a_timeout_of_the_next_segment_lowers_the_threshold_by_what_is_left_of_the_flight() {
    for fresh in windowed() {
        let mut controller = after_loss(fresh, 100, Instant::ZERO);
        let window = controller.window_octets();
        controller.on_rto(&timeout(window, Instant::from_millis(500)));
        let share = u64::from(controller.ssthresh_octets()) * 100 / u64::from(window);
        controller.on_ack(&ack(MSS, window, Instant::from_millis(600)));

        // RFC 5681 §3.1 (4): of what is in flight, not of the few segments of the slow start.
        let left = window - 10 * MSS;
        controller.on_rto(&timeout(left, Instant::from_millis(900)));
        let again = u64::from(controller.ssthresh_octets()) * 100 / u64::from(left);
        assert!(share.abs_diff(again) <= 1, "{}: {share} %, then {again} %", controller.name());
        assert_eq!(controller.window_octets(), MSS);
    }
}

#[test]
fn losses_never_take_the_window_below_two_segments() {
    for mut controller in windowed() {
        for i in 0..20 {
            controller.on_loss(&loss(MSS, Instant::from_millis(i)));
            controller.on_recovery_exit(Instant::from_millis(i));
        }
        assert_eq!(controller.window_octets(), 2 * MSS, "{}", controller.name());
    }
}

#[test]
fn idleness_shrinks_a_large_window_but_never_below_the_initial_one() {
    let rto = Duration::from_millis(300);
    for fresh in windowed() {
        let grown = after_loss(fresh, 400, Instant::ZERO);
        let window = grown.window_octets();
        for (idle, expected) in [(0, window), (299, window), (300, window / 2), (650, window / 4)] {
            let mut controller = grown.clone();
            controller.on_idle_restart(IdleGap { idle: Duration::from_millis(idle), rto });
            assert_eq!(controller.window_octets(), expected, "{} ms idle", idle);
        }
        let mut controller = grown.clone();
        controller.on_idle_restart(IdleGap { idle: Duration::MAX, rto });
        assert_eq!(controller.window_octets(), 10 * MSS);
        // What it had is regained at the speed of slow start.
        let mut now = Instant::from_millis(1_000_000);
        for _ in 0..12 {
            round(&mut controller, &mut now);
        }
        assert!(controller.window_octets() >= window / 4 * 3, "{}", controller.name());

        // A window below the initial one is not raised by waiting.
        controller.on_rto(&timeout(MSS, now));
        controller.on_idle_restart(IdleGap { idle: Duration::from_secs(10), rto });
        assert_eq!(controller.window_octets(), MSS);
    }
}

#[test]
fn the_segment_size_can_change() {
    for mut controller in all() {
        controller.on_mss(536);
        assert_eq!(controller.window_octets(), 5_360, "nothing sent yet: ten of the new size");
        controller.on_ack(&ack(536, 5_360, Instant::ZERO));
        let window = controller.window_octets();
        controller.on_mss(1200);
        assert_eq!(controller.window_octets(), window, "what the path carries is unchanged");
        controller.on_rto(&timeout(window, Instant::ZERO));
        controller.on_mss(9000);
        assert_eq!(controller.window_octets(), 9000, "one segment always fits");
    }
}

#[test]
fn a_spurious_recovery_leaves_no_trace() {
    let later = Instant::from_millis(300);
    for algorithm in ALL {
        let mut controller = grown(algorithm);
        let before = controller.remember();
        let window = before.window_octets;

        controller.on_loss(&loss(window, later));
        controller.on_spurious(later);
        assert_eq!(controller.remember(), before, "{}: fast recovery", controller.name());

        controller.on_rto(&timeout(window, later));
        assert_eq!(controller.window_octets(), MSS);
        controller.on_spurious(later);
        assert_eq!(controller.remember(), before, "{}: timeout", controller.name());

        // A timeout in the midst of a recovery belongs to it.
        controller.on_loss(&loss(window, later));
        controller.on_rto(&timeout(window, later));
        controller.on_rto(&timeout_again(window, later));
        controller.on_spurious(later);
        assert_eq!(controller.remember(), before, "{}: both", controller.name());

        // There is nothing to undo twice, nor after a real one.
        controller.on_spurious(later);
        assert_eq!(controller.remember(), before, "{}", controller.name());
    }
}

#[test]
fn a_mark_reduces_the_window_once_and_needs_no_repair() {
    for fresh in windowed() {
        let mut controller = after_loss(fresh, 100, Instant::ZERO);
        let window = controller.window_octets();
        controller.on_congestion_experienced(&loss(window, Instant::ZERO));
        let reduced = controller.window_octets();
        match controller.name() {
            "cubic" => assert_eq!(reduced, window * 7 / 10),
            // It has seen some windows without marks: what this one weighs is less than at first.
            "dctcp" => assert!(window / 2 < reduced && reduced < window, "{reduced}"),
            _ => assert_eq!(reduced, window / 2),
        }
        // ACKs that carry the echo do not let it grow; those that follow do.
        let mut now = Instant::from_millis(1);
        controller.on_ack(&AckSample { ece: true, ..ack(50 * MSS, 50 * MSS, now) });
        assert_eq!(controller.window_octets(), reduced);
        for _ in 0..20 {
            round(&mut controller, &mut now);
        }
        assert!(controller.window_octets() > reduced, "{}", controller.name());
        // While a loss is repaired, the window has been reduced for this already.
        let window = controller.window_octets();
        controller.on_loss(&loss(window, now));
        let reduced = controller.window_octets();
        controller.on_congestion_experienced(&loss(window, now));
        assert_eq!(controller.window_octets(), reduced, "{}", controller.name());
    }
}

#[test]
fn the_window_stays_within_its_bounds() {
    let bounds = WindowBounds { min_segments: 4, max_segments: 20 };
    for algorithm in ALL {
        let mut controller = Controller::new(&Parameters { bounds, ..parameters(algorithm) });
        let mut now = Instant::ZERO;
        for _ in 0..20 {
            round(&mut controller, &mut now);
        }
        let name = controller.name();
        assert!(controller.window_octets() <= 20 * MSS, "{name}");
        assert!(controller.window_octets() == 20 * MSS || name == "bbr", "{name}");
        controller.on_rto(&timeout(20 * MSS, now));
        assert_eq!(controller.window_octets(), 4 * MSS, "{name}");

        let bounds = WindowBounds { min_segments: 1, max_segments: 0 };
        let controller = Controller::new(&Parameters { bounds, ..parameters(algorithm) });
        assert_eq!(controller.window_octets(), MSS, "{name}: one segment always fits");
    }
}

#[test]
fn what_was_remembered_is_recalled() {
    for algorithm in ALL {
        let mut controller = grown(algorithm);
        let mut now = Instant::ZERO;
        round(&mut controller, &mut now);
        let remembered = controller.remember();
        let mut awake = fresh(algorithm);
        awake.recall(&remembered);
        assert_eq!(awake.remember(), remembered, "{algorithm:?}");
        assert_eq!(awake.window_octets(), controller.window_octets());
        assert_eq!(awake.in_slow_start(), controller.in_slow_start());
    }
}

#[test]
fn leaving_a_recovery_that_never_was_changes_nothing() {
    for mut controller in all() {
        let before = format!("{controller:?}");
        controller.on_recovery_exit(Instant::ZERO);
        assert_eq!(format!("{controller:?}"), before);
    }
}

#[test]
fn newreno_adds_one_segment_per_window_in_congestion_avoidance() {
    for octets_per_ack in [MSS / 10, MSS, 7 * MSS] {
        let mut reno = after_loss(fresh(Algorithm::NewReno), 100, Instant::ZERO);
        for _ in 0..10 {
            let window = reno.window_octets();
            let mut left = window;
            while left > 0 {
                let acked = left.min(octets_per_ack);
                left -= acked;
                reno.on_ack(&ack(acked, window, Instant::ZERO));
            }
            assert_eq!(reno.window_octets(), window + MSS, "{octets_per_ack} octets per ACK");
        }
    }
}

#[test]
fn dctcp_reduces_by_half_of_the_marked_share() {
    for (marked_of_16, least, most) in [(0, 99, 100), (4, 86, 89), (16, 50, 51)] {
        let mut dctcp = after_loss(fresh(Algorithm::Dctcp), 200, Instant::ZERO);
        // Many windows with the same share of marks, which are not obeyed.
        for i in 0..16 * 200 {
            let window = dctcp.window_octets();
            let sample = AckSample {
                ece: i % 16 < marked_of_16,
                cwnd_limited: false,
                ..ack(window.div_ceil(16), window, Instant::ZERO)
            };
            dctcp.on_ack(&sample);
        }
        let window = dctcp.window_octets();
        dctcp.on_congestion_experienced(&loss(window, Instant::ZERO));
        let percent = dctcp.window_octets() * 100 / window;
        assert!((least..=most).contains(&percent), "{marked_of_16} of 16 marked: {percent} %");
    }
}

/// One round trip of `rtt`, a segment per ACK.
fn vegas_round(vegas: &mut Controller, rtt: Duration) {
    let window = vegas.window_octets();
    for _ in 0..window / MSS {
        let in_flight = window / MSS * MSS;
        let sample = AckSample { rtt: Some(rtt), ..ack(MSS, in_flight, Instant::ZERO) };
        vegas.on_ack(&sample);
    }
}

#[test]
fn vegas_keeps_between_two_and_four_segments_queued() {
    // 100 segments of window: what waits is 100 × (rtt - 100 ms) / rtt.
    for (rtt_ms, change) in [(100, 1), (101, 1), (103, 0), (104, 0), (106, -1), (120, -1)] {
        let mut vegas = fresh(Algorithm::Vegas);
        while vegas.window_octets() < 200 * MSS {
            vegas_round(&mut vegas, Duration::from_millis(100));
        }
        vegas.on_loss(&loss(200 * MSS, Instant::ZERO));
        vegas.on_recovery_exit(Instant::ZERO);
        vegas_round(&mut vegas, Duration::from_millis(100));
        let before = i64::from(vegas.window_octets() / MSS);
        assert!((100..=102).contains(&before), "{before}");
        vegas_round(&mut vegas, Duration::from_millis(rtt_ms));
        let after = i64::from(vegas.window_octets() / MSS);
        assert_eq!(after - before, change, "{rtt_ms} ms");
    }
}

#[test]
fn vegas_leaves_slow_start_when_a_segment_waits() {
    let mut vegas = fresh(Algorithm::Vegas);
    let mut windows = Vec::new();
    for _ in 0..4 {
        vegas_round(&mut vegas, Duration::from_millis(100));
        windows.push(vegas.window_octets() / MSS);
    }
    assert_eq!(windows, [20, 20, 40, 40], "it doubles in every other round");
    vegas_round(&mut vegas, Duration::from_millis(110));
    assert!(!vegas.in_slow_start());
    assert!((34..=38).contains(&(vegas.window_octets() / MSS)), "what waited is gone");
}
