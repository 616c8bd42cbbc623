//! One conformance suite that every algorithm must pass, then what is particular to NewReno.

use proptest::prelude::*;

use super::*;
use crate::limits::CONGESTION_WINDOW_MAX;

const MSS: u32 = 1460;
const RTT: Duration = Duration::from_millis(50);

fn all() -> impl Iterator<Item = Controller> {
    [Algorithm::NewReno, Algorithm::Cubic]
        .into_iter()
        .map(|algorithm| Controller::new(&parameters(algorithm)))
}

fn parameters(algorithm: Algorithm) -> Parameters {
    Parameters {
        algorithm,
        mss: MSS as u16,
        initial_window_segments: 10,
        bounds: WindowBounds::default(),
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

#[test]
fn a_fresh_connection_starts_with_the_initial_window() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
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
    for mut controller in all() {
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
        assert!(controller.window_octets() <= before + 8 * MSS, "{}", controller.name());
    }
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    for fresh in all() {
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
    for fresh in all() {
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
    for mut controller in all() {
        controller.on_ack(&ack(2 * MSS, 10 * MSS, Instant::ZERO));
        let window = controller.window_octets();
        controller.on_loss(&loss(window, Instant::ZERO));
        let expected = match controller.name() {
            "reno" => window / 2,
            _ => window * 7 / 10,
        };
        assert_eq!(controller.window_octets(), expected);
        assert_eq!(controller.ssthresh_octets(), expected);
        assert!(!controller.in_slow_start());
    }
}

#[test]
fn what_was_in_flight_counts_and_not_an_unused_window() {
    for fresh in all() {
        let mut controller = after_loss(fresh, 200, Instant::ZERO);
        controller.on_loss(&loss(20 * MSS, Instant::from_millis(1)));
        assert!(controller.window_octets() <= 14 * MSS, "{}", controller.name());
    }
}

#[test]
fn the_window_holds_still_during_recovery_and_grows_after_it() {
    for mut controller in all() {
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
    for fresh in all() {
        let mut controller = after_loss(fresh, 100, Instant::ZERO);
        let window = controller.window_octets();
        controller.on_rto(&loss(window, Instant::from_millis(500)));
        assert_eq!(controller.window_octets(), MSS);
        assert!(controller.in_slow_start());
        let threshold = controller.ssthresh_octets();
        assert!((window / 2..=window * 7 / 10).contains(&threshold), "{}", controller.name());

        // The timer expires again and again: the threshold must not follow the window down.
        for _ in 0..5 {
            controller.on_rto(&loss(MSS, Instant::from_millis(900)));
        }
        assert_eq!(controller.ssthresh_octets(), threshold);
        assert_eq!(controller.window_octets(), MSS);

        // One segment per ACK till all is repaired, whatever one ACK covers.
        controller.on_ack(&ack(50 * MSS, 50 * MSS, Instant::from_millis(950)));
        assert_eq!(controller.window_octets(), 2 * MSS);
        controller.on_recovery_exit(Instant::from_millis(1000));
        let mut now = Instant::from_millis(1000);
        for _ in 0..10 {
            round(&mut controller, &mut now);
        }
        assert!(!controller.in_slow_start() && controller.window_octets() >= threshold);
    }
}

#[test]
fn losses_never_take_the_window_below_two_segments() {
    for mut controller in all() {
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
    for fresh in all() {
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
        for _ in 0..6 {
            round(&mut controller, &mut now);
        }
        assert!(controller.window_octets() >= window / 4 * 3, "{}", controller.name());

        // A window below the initial one is not raised by waiting.
        controller.on_rto(&loss(MSS, now));
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
        controller.on_rto(&loss(window, Instant::ZERO));
        controller.on_mss(9000);
        assert_eq!(controller.window_octets(), 9000, "one segment always fits");
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

#[derive(Clone, Debug)]
enum Event {
    Ack { acked: u32, in_flight: u32, rtt: Option<u64>, cwnd_limited: bool },
    Loss(u32),
    RecoveryExit,
    Rto(u32),
    Idle { idle: u64, rto: u64 },
    Mss(u16),
}

fn event() -> impl Strategy<Value = Event> {
    // Small, typical and extreme values alike.
    let octets = || prop_oneof![0u32..5_000, 0u32..10_000_000, any::<u32>(), Just(u32::MAX)];
    let nanos = || prop_oneof![0u64..1_000_000, 0u64..10_000_000_000, any::<u64>()];
    prop_oneof![
        8 => (octets(), octets(), proptest::option::of(nanos()), any::<bool>()).prop_map(
            |(acked, in_flight, rtt, cwnd_limited)| Event::Ack {
                acked, in_flight, rtt, cwnd_limited
            }
        ),
        1 => octets().prop_map(Event::Loss),
        2 => Just(Event::RecoveryExit),
        1 => octets().prop_map(Event::Rto),
        1 => (nanos(), nanos()).prop_map(|(idle, rto)| Event::Idle { idle, rto }),
        1 => any::<u16>().prop_map(Event::Mss),
    ]
}

fn apply(controller: &mut Controller, event: &Event, now: Instant) {
    match *event {
        Event::Ack { acked, in_flight, rtt, cwnd_limited } => {
            let rtt = rtt.map(Duration::from_nanos);
            controller.on_ack(&AckSample {
                acked_octets: acked,
                in_flight_octets: in_flight,
                rtt,
                srtt: rtt,
                now,
                cwnd_limited,
                ..AckSample::default()
            });
        }
        Event::Loss(in_flight) => controller.on_loss(&loss(in_flight, now)),
        Event::RecoveryExit => controller.on_recovery_exit(now),
        Event::Rto(in_flight) => controller.on_rto(&loss(in_flight, now)),
        Event::Idle { idle, rto } => controller.on_idle_restart(IdleGap {
            idle: Duration::from_nanos(idle),
            rto: Duration::from_nanos(rto),
        }),
        Event::Mss(mss) => controller.on_mss(mss),
    }
}

proptest! {
    #[test]
    fn no_events_whatsoever_take_the_window_out_of_bounds(
        algorithm in prop_oneof![Just(Algorithm::NewReno), Just(Algorithm::Cubic)],
        mss in any::<u16>(),
        segments in any::<u32>(),
        // Also clocks that stand still, jump by centuries, and end.
        events in proptest::collection::vec(
            (event(), prop_oneof![0u64..100_000_000, any::<u64>()]), 1..120),
    ) {
        let parameters =
            Parameters { mss, initial_window_segments: segments, ..parameters(algorithm) };
        let mut controller = Controller::new(&parameters);
        let mut twin = controller.clone();
        let mut now = Instant::ZERO;
        let mut mss = mss.max(1);
        for (event, later) in events {
            now += Duration::from_nanos(later);
            let before = controller.window_octets();
            apply(&mut controller, &event, now);
            apply(&mut twin, &event, now);
            if let Event::Mss(new) = event {
                mss = new.max(1);
            }
            let window = controller.window_octets();
            prop_assert!(window >= u32::from(mss));
            prop_assert!(window <= CONGESTION_WINDOW_MAX);
            prop_assert!(controller.ssthresh_octets() >= 2 * u32::from(mss));
            match event {
                Event::Ack { .. } => prop_assert!(window >= before, "an ACK shrank the window"),
                Event::Loss(_) => prop_assert!(window <= before.max(2 * u32::from(mss))),
                Event::Rto(_) => prop_assert_eq!(window, u32::from(mss)),
                Event::Idle { .. } | Event::RecoveryExit => prop_assert!(window <= before),
                Event::Mss(_) => {}
            }
            prop_assert_eq!(format!("{:?}", &controller), format!("{:?}", &twin));
        }
    }
}

#[test]
fn newreno_adds_one_segment_per_window_in_congestion_avoidance() {
    for octets_per_ack in [MSS / 10, MSS, 7 * MSS] {
        let mut reno =
            after_loss(Controller::new(&parameters(Algorithm::NewReno)), 100, Instant::ZERO);
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
