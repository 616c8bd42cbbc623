use super::host::*;
use crate::frame::Frame;
use crate::tcp::connection::HOT_OCTETS;
use crate::tcp::{Connection, Disposition, DropReason, Offer, OutgoingKind, State};

/// Takes every free frame away.
fn exhaust(host: &mut Host) -> Vec<Frame> {
    std::iter::from_fn(|| host.pool.alloc()).collect()
}

fn restore(host: &mut Host, frames: Vec<Frame>) {
    frames.into_iter().for_each(|frame| host.pool.free(frame));
}

#[test]
fn an_empty_pool_delays_and_loses_nothing() {
    let mut host = Host::accepting(&settings(), &syn(PLAIN));
    let taken = exhaust(&mut host);
    host.sends(&[]);
    assert!(host.connection.deadline() <= host.now + ms(1), "it comes back soon");
    restore(&mut host, taken);
    host.sends_within(ms(2), &[(1, "SA 0+0 ack 1")]);
    host.gets(seg(1, 1));
    host.gets_payload(seg(2001, 1), b"gap");
    host.connection.finish();
    let taken = exhaust(&mut host);
    host.sends(&[]);
    restore(&mut host, taken);
    host.sends_within(ms(2), &[(1, "A 1+0 ack 1"), (1, "FA 1+0 ack 1")]);
    host.connection.abort();
    let taken = exhaust(&mut host);
    host.sends(&[]);
    restore(&mut host, taken);
    host.sends_within(ms(2), &[(1, "RA 2+0 ack 1")]);
    assert_eq!(host.connection.state(), State::Closed);
}

#[test]
fn a_split_waits_for_a_frame() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1700));
    let taken = exhaust(&mut host);
    host.sends(&[]);
    restore(&mut host, taken);
    host.sends_within(ms(2), &[(1, "A 1+1000 ack 1"), (1, "PA 1001+700 ack 1")]);
}

#[test]
fn payload_crosses_from_one_leg_to_the_other_in_its_frame() {
    let mut host = Host::established(Offer::ALL);
    let mut other = Host::established(Offer::ALL);
    // Both legs on one pool, as a proxy has them.
    let idle = Connection::connect(&settings(), endpoints(), PLAIN, OUR_ISN, other.now);
    let mut origin_leg = std::mem::replace(&mut other.connection, idle);
    host.gets_payload(host.stamped(seg(1, 1)), &pattern(0, 700));
    let arrived = host.now;
    let chunk = host.with(|connection, cx| connection.receive(cx)).unwrap();
    let frame = chunk.frame.index();
    std::mem::swap(&mut host.connection, &mut origin_leg);
    host.with(|connection, cx| connection.send(cx, chunk));
    host.now += ms(1);
    let outgoing = host.poll_once().unwrap();
    assert_eq!(outgoing.frame.index(), frame, "the frame it came in");
    assert_eq!(outgoing.received_at, Some(arrived));
    assert_eq!(outgoing.kind, OutgoingKind::Forwarded);
    assert!(host.pool.bytes(&outgoing.frame).ends_with(&pattern(0, 700)));
    assert_eq!(host.held(), 1);
    host.pool.free(outgoing.frame);
    host.gets(host.stamped(seg(1, 701)));
    assert_eq!(host.held(), 0);
    assert_eq!(host.counters.copied_octets, 0);
    host.with(|_, cx| origin_leg.release(cx));
}

#[test]
fn payload_of_the_caller_s_own_is_queued_by_copy() {
    let mut host = Host::established(PLAIN);
    assert!(host.with(|connection, cx| connection.send_copy(cx, b"")));
    assert_eq!(host.held(), 0);
    assert!(host.with(|connection, cx| connection.send_copy(cx, b"PROXY")));
    host.writes(b" TCP4");
    let sent = host.sends(&["PA 1+10 ack 1"]);
    assert_eq!(
        (&sent[0].payload[..], sent[0].kind),
        (&b"PROXY TCP4"[..], OutgoingKind::Originated)
    );
    let taken = exhaust(&mut host);
    assert!(!host.with(|connection, cx| connection.send_copy(cx, b"no frame")));
    assert!(host.connection.deadline() <= host.now + ms(1), "it can be tried again soon");
    restore(&mut host, taken);
}

#[test]
fn scarce_frames_are_left_to_the_devices() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1000));
    host.sent();
    let all = host.pool.capacity();
    host.pool.add_device_reserve(all);
    let refused = host.gets_payload(seg(1, 1001), b"more to hold");
    assert_eq!(refused, Disposition::Dropped(DropReason::FramesScarce));
    assert_eq!(host.held(), 0, "its acknowledgment has freed what we held");
    host.pool.remove_device_reserve(all);
    assert_eq!(host.gets_payload(seg(1, 1001), b"more to hold"), Disposition::Queued);
    assert_eq!(host.reads(), b"more to hold");
}

#[test]
fn what_waits_behind_a_gap_can_be_given_up_and_comes_again() {
    let mut host = Host::established(PLAIN);
    host.gets_payload(seg(501, 1), &pattern(500, 500));
    host.gets_payload(seg(1501, 1), &pattern(1500, 500));
    assert_eq!(host.held(), 2);
    assert!(host.with(|connection, cx| connection.give_up_out_of_order(cx)));
    assert_eq!((host.held(), host.counters.discarded), (0, 2));
    assert!(!host.with(|connection, cx| connection.give_up_out_of_order(cx)), "there is no more");
    for at in [0, 500, 1000, 1500] {
        host.gets_payload(seg(at + 1, 1), &pattern(at as usize, 500));
    }
    assert_eq!(host.reads(), pattern(0, 2000));
}

#[test]
fn release_gives_back_what_every_queue_holds() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1000));
    host.sent();
    host.writes(&pattern(0, 400));
    host.gets_payload(seg(1, 1), &pattern(0, 500));
    host.gets_payload(seg(1001, 1), &pattern(0, 500));
    assert_eq!(host.held(), 4);
    host.with(|connection, cx| connection.release(cx));
    assert_eq!(host.held(), 0);
    assert_eq!(host.connection.state(), State::Closed);
    let counters = host.counters;
    assert_eq!((counters.queued, counters.discarded), (2, 3), "one of ours had not been sent");
}

#[test]
fn payload_sent_after_the_end_is_freed() {
    let mut host = Host::established(PLAIN);
    host.connection.finish();
    host.writes(b"too late");
    assert_eq!(host.held(), 0);
}

#[test]
fn sizes_are_what_they_are_said_to_be() {
    assert_eq!(HOT_OCTETS, 128);
    let total = size_of::<Connection>();
    assert!(total <= 1280, "{total}");
}
