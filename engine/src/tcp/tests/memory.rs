use super::host::*;
use crate::frame::Frame;
use crate::tcp::connection::HOT_OCTETS;
use crate::tcp::{Connection, Disposition, DropReason, State};

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
    assert!(total <= 640, "{total}");
}
