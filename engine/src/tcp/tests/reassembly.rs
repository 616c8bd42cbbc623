use super::host::*;
use crate::limits::{REASSEMBLY_STEPS_MAX, RECEIVE_FRAMES_MIN, RECEIVE_OCTETS_PER_FRAME};
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

/// Ranges of ten octets with as many between them.
fn riddled(ranges: u32) -> Host {
    let mut host = wide();
    for i in 0..ranges {
        assert_eq!(put(&mut host, 11 + i * 20, 10), Disposition::Queued);
    }
    host
}

fn put(host: &mut Host, at: u32, len: usize) -> Disposition {
    host.gets_payload(seg(at, 1), &pattern(at as usize - 1, len))
}

/// The links that it costs.
fn cost(host: &mut Host, at: u32, len: usize) -> u64 {
    let before = host.chunks.steps();
    put(host, at, len);
    host.chunks.steps() - before
}

#[test]
fn as_many_ranges_as_frames_are_put_together_from_the_front() {
    let mut host = riddled(4000);
    for i in 0..4000 {
        assert!(cost(&mut host, 1 + i * 20, 10) <= 16, "{i}");
    }
    assert_eq!(host.reads(), pattern(0, 4000 * 20));
    assert_eq!(host.held(), 0);
}

#[test]
fn gaps_are_filled_behind_one_that_stays_while_more_arrives_at_the_end() {
    let mut host = riddled(1400);
    for i in 1..1400 {
        assert!(cost(&mut host, 1 + i * 20, 10) <= 16, "{i}");
        assert!(cost(&mut host, 100_001 + i * 20, 10) <= 16, "{i}");
    }
    put(&mut host, 1, 10);
    assert_eq!(host.reads(), pattern(0, 1400 * 20));
}

#[test]
fn a_place_too_far_away_is_found_when_the_segment_comes_again() {
    let mut host = riddled(4000);
    let (middle, most) = (1 + 2000 * 20, 3 * u64::from(REASSEMBLY_STEPS_MAX));
    let before = host.chunks.steps();
    assert_eq!(put(&mut host, middle, 10), FULL);
    assert!(host.chunks.steps() - before <= most);
    assert_eq!(put(&mut host, middle, 10), Disposition::Queued);
    // Beside it the next is found at once.
    assert!(cost(&mut host, middle + 20, 10) <= 16);
    assert!(cost(&mut host, middle - 20, 10) <= 16);
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
    for i in 0..most + 100 {
        refused += u32::from(host.gets_payload(seg(2 + 2 * i, 1), &[7]) == FULL);
    }
    assert_eq!(refused, 100);
    assert_eq!(host.held(), most as usize);
    assert_eq!(host.gets_payload(seg(1, 1), &[7]), Disposition::Queued, "the gap closes");
    assert_eq!(host.reads().len(), 2);
}

#[test]
fn small_segments_behind_a_gap_share_frames() {
    let mut host = wide();
    for at in 1..3000 {
        put(&mut host, 1 + at, 1);
    }
    assert!(host.held() <= 3, "{}", host.held());
    put(&mut host, 1, 1);
    assert_eq!(host.reads(), pattern(0, 3000));
    assert_eq!(host.held(), 0);
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
    assert_eq!((host.counters.superseded, host.counters.discarded), (2, 0));
}
