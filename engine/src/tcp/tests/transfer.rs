use super::host::*;
use crate::tcp::{Disposition, Offer, OutgoingKind};
use crate::wire::tcp::Flags;

#[test]
fn a_request_is_acknowledged_by_its_response() {
    let mut host = Host::established(Offer::ALL);
    for turn in 0..3u32 {
        let (asked, answered) = (turn * 100, turn * 500);
        let header = host.stamped(seg(1 + asked, 1 + answered));
        assert_eq!(host.gets_payload(header, &pattern(0, 100)), Disposition::Queued);
        host.sends(&[]);
        host.reads();
        host.writes(&pattern(0, 500));
        let line = format!("PA {}+500 ack {}", 1 + answered, 101 + asked);
        host.sends(&[&line]);
        host.sends_within(ms(15), &[]);
    }
}

#[test]
fn payload_without_an_answer_is_acknowledged_after_40_ms() {
    let mut host = Host::established(PLAIN);
    host.gets_payload(seg(1, 1), b"hello");
    host.sends_within(ms(100), &[(40, "A 1+0 ack 6")]);
}

#[test]
fn every_second_full_segment_is_acknowledged_at_once() {
    let mut host = Host::established(PLAIN);
    host.connection.cold.quick_acks = 0;
    host.gets_payload(seg(1, 1), &pattern(0, 1000));
    host.sends(&[]);
    host.gets_payload(seg(1001, 1), &pattern(1000, 1000));
    host.sends(&["A 1+0 ack 2001"]);
    assert_eq!(host.reads(), pattern(0, 2000));
}

#[test]
fn the_first_full_segments_are_acknowledged_at_once() {
    let mut host = Host::established(PLAIN);
    for i in 0..3 {
        host.gets_payload(seg(1 + i * 1000, 1), &pattern(0, 1000));
        host.sends(&[&format!("A 1+0 ack {}", 1001 + i * 1000)]);
    }
}

#[test]
fn payload_leaves_in_the_frame_it_came_in() {
    let mut host = Host::established(Offer::ALL);
    host.writes(&pattern(0, 700));
    assert_eq!(host.held(), 1);
    let sent = host.sends(&["PA 1+700 ack 1"]);
    assert_eq!(sent[0].payload, pattern(0, 700));
    assert_eq!(sent[0].kind, OutgoingKind::Forwarded);
    assert_eq!(host.held(), 1, "no other frame was needed");
    assert_eq!((host.counters.zero_copy_segments, host.counters.copied_octets), (1, 0));
    host.gets(host.stamped(seg(1, 701)));
    assert_eq!(host.held(), 0, "acknowledged, freed");
    assert_eq!(host.connection.queued_octets(), 0);
}

#[test]
fn a_chunk_larger_than_the_mss_is_split() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1700));
    let sent = host.sends(&["A 1+1000 ack 1", "PA 1001+700 ack 1"]);
    assert_eq!([&sent[0].payload[..], &sent[1].payload[..]].concat(), pattern(0, 1700));
    assert_eq!(sent[0].kind, OutgoingKind::Originated, "a copy");
    assert_eq!(sent[1].kind, OutgoingKind::Forwarded);
    assert_eq!(host.counters.copied_octets, 1000, "each octet once at most");
}

#[test]
fn tiny_chunks_that_wait_share_a_frame() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 3));
    host.writes(&pattern(3, 5));
    host.writes(&pattern(8, 256));
    assert_eq!(host.held(), 1);
    let sent = host.sends(&["PA 1+264 ack 1"]);
    assert_eq!(sent[0].payload, pattern(0, 264));
    host.writes(b"!");
    host.sends(&["PA 265+1 ack 1"]);
    assert_eq!(host.counters.coalesced, 2);
}

#[test]
fn the_initial_window_is_ten_segments_and_grows_with_acks() {
    let mut host = Host::established(PLAIN);
    for i in 0..40 {
        host.writes(&pattern(i * 1000, 1000));
    }
    assert_eq!(host.sent().len(), 10, "RFC 6928");
    host.now += ms(10);
    host.gets(seg(1, 2001));
    assert_eq!(host.sent().len(), 4, "slow start: two acknowledged, two more in flight");
    assert_eq!(host.connection.in_flight(), 12_000);
}

#[test]
fn small_segments_in_flight_are_bounded_too() {
    let mut host = Host::established(PLAIN);
    let mut sent = 0;
    for i in 0..200 {
        host.writes(&pattern(i, 1));
        sent += host.sent().len();
    }
    assert_eq!(sent, 20, "twice the window in segments");
    assert!(host.held() <= 21, "the rest shares one frame");
}

#[test]
fn the_window_restarts_after_idleness() {
    let mut host = Host::established(PLAIN);
    for _ in 0..50 {
        host.writes(&pattern(0, 1000));
    }
    host.sent();
    for acknowledged in (2..=50).step_by(2) {
        host.now += ms(1);
        host.gets(seg(1, 1 + acknowledged * 1000));
        host.sent();
    }
    assert!(host.connection.congestion_window() > 20_000);
    host.now += ms(60_000);
    for _ in 0..40 {
        host.writes(&pattern(0, 1000));
    }
    assert_eq!(host.sent().len(), 10, "RFC 5681 §4.1: back to the initial window");
}

#[test]
fn timestamps_are_echoed_and_measured() {
    let mut host = Host::established(Offer::ALL);
    host.writes(b"ping");
    let sent = host.sends(&["PA 1+4 ack 1"]);
    let stamp = sent[0].header.options.timestamps.unwrap();
    assert_eq!((stamp.value, stamp.echo_reply), (1010, 110));
}

#[test]
fn finish_rides_on_the_last_payload() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1000));
    host.writes(&pattern(0, 10));
    host.connection.finish();
    host.sends(&["A 1+1000 ack 1", "FPA 1001+10 ack 1"]);
    let mut fin = seg(1, 1012);
    fin.flags = fin.flags.with(Flags::FIN);
    host.gets(fin);
    host.sends(&["A 1012+0 ack 2"]);
}
