//! Events of all kinds, in any order and with any figures.

use proptest::prelude::*;

use super::*;
use crate::limits::CONGESTION_WINDOW_MAX;
use crate::tcp::delivery_rate::LostChunk;

#[derive(Clone, Debug)]
enum Event {
    Ack { sample: AckSample, ece: bool, in_recovery: bool },
    Sent { octets: u32, in_flight: u32, app_limited: bool },
    Loss(u32),
    RecoveryExit,
    Mark(u32),
    Spurious,
    Rto { in_flight: u32, is_repeated: bool },
    Idle { idle: u64, rto: u64 },
    Mss(u16),
}

/// Small, typical and extreme values alike.
fn octets() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![0u32..5_000, 0u32..10_000_000, any::<u32>(), Just(u32::MAX)]
}

fn time() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![0u64..1_000_000, 0u64..10_000_000_000, any::<u64>()].prop_map(Duration::from_nanos)
}

fn rate_sample() -> impl Strategy<Value = RateSample> {
    let rate = prop_oneof![1_000u64..1_000_000_000, any::<u64>()];
    let count = || prop_oneof![0u64..100_000_000, any::<u64>()];
    let lost = (octets(), octets(), octets(), any::<bool>()).prop_map(
        |(octets, tx_in_flight_octets, lost_octets, is_app_limited)| LostChunk {
            octets,
            tx_in_flight_octets,
            lost_octets,
            is_app_limited,
        },
    );
    (
        (proptest::option::of(rate), count(), count(), count()),
        (time(), octets(), octets(), any::<bool>(), proptest::option::of(lost)),
    )
        .prop_map(|((rate, delivered_octets, delivered_total, prior_delivered), rest)| {
            let (interval, lost_octets, tx_in_flight_octets, is_app_limited, worst_loss) = rest;
            RateSample {
                delivery_rate: rate.map(Rate::from_octets_per_second),
                delivered_octets,
                delivered_total,
                prior_delivered,
                interval,
                elapsed: interval / 2,
                lost_octets,
                tx_in_flight_octets,
                is_app_limited,
                worst_loss,
            }
        })
}

fn ack() -> impl Strategy<Value = Event> {
    (
        (octets(), octets(), octets(), octets()),
        (proptest::option::of(time()), proptest::option::of(rate_sample())),
        (any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(|((acked, lost, in_flight, after), (rtt, rate), flags)| {
            let (cwnd_limited, ece, in_recovery) = flags;
            let sample = AckSample {
                acked_octets: acked,
                lost_octets: lost,
                in_flight_octets: in_flight,
                in_flight_after_octets: after,
                rtt,
                srtt: rtt,
                min_rtt: rtt,
                rate,
                cwnd_limited,
                ..AckSample::default()
            };
            Event::Ack { sample, ece, in_recovery }
        })
}

fn event() -> impl Strategy<Value = Event> {
    let nanos = || prop_oneof![0u64..1_000_000, 0u64..10_000_000_000, any::<u64>()];
    prop_oneof![
        8 => ack(),
        4 => (octets(), octets(), any::<bool>()).prop_map(
            |(octets, in_flight, app_limited)| Event::Sent { octets, in_flight, app_limited }
        ),
        1 => octets().prop_map(Event::Loss),
        2 => Just(Event::RecoveryExit),
        1 => octets().prop_map(Event::Mark),
        1 => Just(Event::Spurious),
        1 => (octets(), any::<bool>())
            .prop_map(|(in_flight, is_repeated)| Event::Rto { in_flight, is_repeated }),
        1 => (nanos(), nanos()).prop_map(|(idle, rto)| Event::Idle { idle, rto }),
        1 => any::<u16>().prop_map(Event::Mss),
    ]
}

fn apply(controller: &mut Controller, event: &Event, now: Instant) {
    match *event {
        Event::Ack { sample, ece, in_recovery } => {
            controller.on_ack(&AckSample { now, ece, in_recovery, ..sample });
        }
        Event::Sent { octets, in_flight, app_limited } => controller.on_sent(&SendSample {
            octets,
            in_flight_octets: in_flight,
            app_limited,
            now,
        }),
        Event::Loss(in_flight) => controller.on_loss(&loss(in_flight, now)),
        Event::RecoveryExit => controller.on_recovery_exit(now),
        Event::Mark(in_flight) => controller.on_congestion_experienced(&loss(in_flight, now)),
        Event::Spurious => controller.on_spurious(now),
        Event::Rto { in_flight, is_repeated } => {
            controller.on_rto(&TimeoutSample { is_repeated, ..timeout(in_flight, now) });
        }
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
        algorithm in proptest::sample::select(ALL.to_vec()),
        mss in any::<u16>(),
        segments in any::<u32>(),
        min_segments in 0u16..100,
        max_segments in octets(),
        paced in any::<bool>(),
        // Also clocks that stand still, jump by centuries, and end.
        events in proptest::collection::vec(
            (event(), prop_oneof![0u64..100_000_000, any::<u64>()]), 1..120),
    ) {
        let bounds = WindowBounds { min_segments, max_segments };
        let mut controller = Controller::new(&Parameters {
            algorithm, mss, initial_window_segments: segments, bounds, paced, seed: segments,
        });
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
            let least = u32::from(mss) * u32::from(min_segments.max(1));
            prop_assert!(window >= least);
            let most = max_segments.saturating_mul(mss.into()).min(CONGESTION_WINDOW_MAX);
            prop_assert!(window <= most.max(least));
            prop_assert!(controller.ssthresh_octets() >= 2 * u32::from(mss));
            if let Some(rate) = controller.pacing_rate() {
                prop_assert!(rate > Rate::ZERO, "nothing would ever be sent");
            }
            let bbr = algorithm == Algorithm::Bbr;
            match event {
                Event::Ack { .. } if !bbr && algorithm != Algorithm::Vegas => {
                    prop_assert!(window >= before, "an ACK shrank the window");
                }
                Event::Loss(_) | Event::Mark(_) => {
                    prop_assert!(window <= before.max(least).max(2 * u32::from(mss)));
                }
                Event::Rto { .. } => prop_assert_eq!(window, least),
                Event::Idle { .. } | Event::RecoveryExit if !bbr => prop_assert!(window <= before),
                Event::Spurious => prop_assert!(window >= before),
                _ => {}
            }
            prop_assert_eq!(format!("{:?}", &controller), format!("{:?}", &twin));
            // What is kept of it, whatever it is, makes a controller within the same bounds.
            twin.recall(&controller.remember());
            prop_assert!((least..=CONGESTION_WINDOW_MAX.max(least)).contains(&twin.window_octets()));
            twin = controller.clone();
        }
    }
}
