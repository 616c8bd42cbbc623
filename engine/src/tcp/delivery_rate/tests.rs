use super::*;

const MS: Duration = Duration::from_millis(1);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Sends one segment of 1000 octets every millisecond, of which each arrives and is acknowledged
/// 50 ms later; returns the sample of the last ACK.
fn steady(count: u64) -> RateSample {
    let mut rate = DeliveryRate::new();
    let mut sent = Vec::new();
    let mut sample = None;
    for now in 0..count {
        if now >= 50 {
            rate.on_delivered(sent[now as usize - 50], 1000, at(now));
            sample = rate.sample(at(now), Some(50 * MS));
        }
        let in_flight = now.min(49) as u32 * 1000;
        sent.push((at(now), rate.on_send(1000, in_flight, at(now))));
    }
    sample.expect("ACKs have come")
}

#[test]
fn a_steady_flow_is_measured_at_its_rate() {
    let sample = steady(500);
    assert_eq!(sample.delivery_rate, Some(Rate::from_octets_per_second(1_000_000)));
    assert_eq!(sample.interval, 50 * MS);
    assert_eq!((sample.delivered_octets, sample.delivered_total), (50_000, 450_000));
    assert_eq!(sample.prior_delivered, 400_000);
    assert!(!sample.is_app_limited);
}

#[test]
fn acks_that_arrive_in_a_burst_do_not_make_the_path_faster_than_was_sent() {
    let mut rate = DeliveryRate::new();
    let sent: Vec<_> =
        (0..10).map(|i| (at(i), rate.on_send(1000, i as u32 * 1000, at(i)))).collect();
    // All ten arrive at once, 100 ms later; then ten more that were sent in a burst of ACKs' making.
    for chunk in sent {
        rate.on_delivered(chunk, 1000, at(100));
    }
    let sample = rate.sample(at(100), Some(91 * MS)).expect("delivered");
    assert_eq!(sample.delivered_octets, 10_000);
    assert_eq!(sample.interval, 100 * MS, "from the last delivery, which was none");

    // Sent over 40 ms, acknowledged within 1 ms of each other, all after the first.
    let mut rate = DeliveryRate::new();
    let first = (at(0), rate.on_send(1000, 0, at(0)));
    let sent: Vec<_> = (1..=40).map(|i| (at(i), rate.on_send(1000, 1000, at(i)))).collect();
    rate.on_delivered(first, 1000, at(60));
    let _ = rate.sample(at(60), None);
    let late = (at(60), rate.on_send(1000, 40_000, at(60)));
    for chunk in sent {
        rate.on_delivered(chunk, 1000, at(61));
    }
    rate.on_delivered(late, 1000, at(61));
    let sample = rate.sample(at(61), None).expect("delivered");
    // 41 segments in a millisecond by the ACKs, but they took 60 ms to send.
    let by_sending = Rate::of(41_000, 60 * MS);
    assert!(sample.delivery_rate.is_some_and(|rate| rate <= by_sending), "{sample:?}");
}

#[test]
fn a_sample_shorter_than_the_path_is_not_relied_on() {
    let mut rate = DeliveryRate::new();
    let state = rate.on_send(1000, 0, at(10));
    rate.on_delivered((at(10), state), 1000, at(12));
    let sample = rate.sample(at(12), Some(20 * MS)).expect("delivered");
    assert_eq!(sample.delivery_rate, None);
    assert_eq!(sample.delivered_octets, 1000);
    assert_eq!(rate.sample(at(13), None), None, "nothing was delivered since");
}

#[test]
fn samples_are_of_the_application_until_the_gap_it_left_is_acknowledged() {
    let mut rate = DeliveryRate::new();
    let before = (at(0), rate.on_send(1000, 0, at(0)));
    rate.mark_app_limited(1000);
    let within = (at(5), rate.on_send(1000, 1000, at(5)));
    rate.on_delivered(before, 1000, at(50));
    assert!(rate.sample(at(50), None).is_some_and(|sample| !sample.is_app_limited));
    assert!(rate.is_app_limited(), "the gap is still on its way");
    rate.on_delivered(within, 1000, at(55));
    assert!(rate.sample(at(55), None).is_some_and(|sample| sample.is_app_limited));
    assert!(!rate.is_app_limited());
    let after = (at(56), rate.on_send(1000, 0, at(56)));
    rate.on_delivered(after, 1000, at(99));
    assert!(rate.sample(at(99), None).is_some_and(|sample| !sample.is_app_limited));
}

#[test]
fn losses_are_told_once_with_the_flight_that_suffered_most() {
    let mut rate = DeliveryRate::new();
    let states: Vec<_> = (0..5).map(|i| rate.on_send(1000, i * 1000, at(0))).collect();
    rate.on_lost(states[0], 1000);
    rate.on_lost(states[3], 1000);
    assert_eq!(rate.take_lost(), 2000);
    assert_eq!(rate.take_lost(), 0);
    rate.on_delivered((at(0), states[4]), 1000, at(9));
    let sample = rate.sample(at(9), None).expect("delivered");
    assert_eq!((sample.lost_octets, sample.tx_in_flight_octets), (2000, 5000));
    let worst = LostChunk {
        octets: 1000,
        tx_in_flight_octets: 1000,
        lost_octets: 1000,
        is_app_limited: false,
    };
    assert_eq!(sample.worst_loss, Some(worst));
    rate.on_delivered((at(0), states[1]), 1000, at(10));
    assert!(rate.sample(at(10), None).is_some_and(|sample| sample.worst_loss.is_none()));
}
