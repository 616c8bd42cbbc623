use super::host::*;
use crate::limits::{OUT_OF_ORDER_RANGES_MAX, RECEIVE_FRAMES_MIN, RECEIVE_OCTETS_PER_FRAME};
use crate::tcp::{Disposition, DropReason, LegSettings, Offer};

const SCALED: Offer = Offer { timestamps: false, sack: true, window_scale: true };
const FULL: Disposition = Disposition::Dropped(DropReason::QueueFull);

/// A megabyte of window.
fn wide() -> Host {
    let settings = LegSettings { receive_room: 1 << 20, ..settings() };
    let mut host = Host::established_large(&settings, SCALED, 8192);
    // What the SYN offers is not scaled (RFC 7323 §2.2).
    assert!(host.connection.set_receive_room(1 << 20));
    host.sent();
    host
}

/// Payload of one octet at every second number: as many ranges as there may be.
fn riddled() -> Host {
    let mut host = wide();
    for i in 0..OUT_OF_ORDER_RANGES_MAX {
        let at = 11 + i * 20;
        assert_eq!(
            host.gets_payload(seg(at, 1), &pattern(at as usize - 1, 10)),
            Disposition::Queued
        );
    }
    host
}

#[test]
fn ranges_are_bounded_and_the_gap_at_the_front_still_closes() {
    let mut host = riddled();
    let end = 11 + OUT_OF_ORDER_RANGES_MAX * 20;
    assert_eq!(host.gets_payload(seg(end, 1), b"one more"), FULL);
    // What extends a range, or joins two, opens none.
    for at in (21..end - 20).step_by(20) {
        let gap = pattern(at as usize - 1, 10);
        assert_eq!(host.gets_payload(seg(at, 1), &gap), Disposition::Queued, "{at}");
    }
    host.gets_payload(seg(1, 1), &pattern(0, 10));
    assert_eq!(host.reads(), pattern(0, end as usize - 11));
    assert_eq!(host.held(), 0);
}

#[test]
fn a_place_among_many_ranges_is_found_by_walking_over_them_once_at_most() {
    let mut host = riddled();
    let mut cost = |at: u32| {
        let before = host.chunks.steps();
        host.gets_payload(seg(at, 1), &pattern(at as usize - 1, 5));
        host.chunks.steps() - before
    };
    let ranges = u64::from(OUT_OF_ORDER_RANGES_MAX);
    assert!(cost(21) <= 2 * ranges + 16, "from one end to the other");
    assert!(cost(41) <= 16, "beside where payload arrived last");
    assert!(cost(61) <= 16);
    assert!(cost(11 + (OUT_OF_ORDER_RANGES_MAX - 1) * 20 + 10) <= 16, "at the end");
}

#[test]
fn a_long_run_behind_a_gap_is_not_walked() {
    let mut host = wide();
    for i in 1..500 {
        host.gets_payload(seg(1 + i * 1000, 1), &pattern(i as usize * 1000, 1000));
    }
    let before = host.chunks.steps();
    host.gets_payload(seg(700_001, 1), b"far away");
    host.gets_payload(seg(500_001, 1), &pattern(500_000, 1000));
    host.gets_payload(seg(250_001, 1), b"again");
    assert!(host.chunks.steps() - before < 64);
    host.sends(&["A 1+0 ack 1 sack 250001-250006 sack 1001-501001 sack 700001-700009"]);
}

#[test]
fn small_segments_cost_frames_in_proportion_to_the_window() {
    let mut host = wide();
    let most = RECEIVE_FRAMES_MIN + (1 << 20) / RECEIVE_OCTETS_PER_FRAME;
    let mut refused = 0;
    for at in 0..most + 100 {
        refused += u32::from(host.gets_payload(seg(2 + at, 1), &[7]) == FULL);
    }
    assert_eq!(refused, 100);
    assert!(host.held() <= most as usize);
    assert_eq!(host.gets_payload(seg(1, 1), &[7]), Disposition::Queued, "the gap closes");
    assert_eq!(host.reads().len(), most as usize + 1);
}

#[test]
fn payload_that_covers_whole_ranges_replaces_them() {
    let mut host = Host::established(SACK);
    for at in [101, 301, 501] {
        host.gets_payload(seg(at, 1), &pattern(at as usize - 1, 50));
    }
    host.gets_payload(seg(91, 1), &pattern(90, 430));
    assert_eq!(host.held(), 2);
    host.sends(&["A 1+0 ack 1 sack 501-521 sack 91-551"]);
    host.gets_payload(seg(1, 1), &pattern(0, 90));
    assert_eq!(host.reads(), pattern(0, 550));
}
