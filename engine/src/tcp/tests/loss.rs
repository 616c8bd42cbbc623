use super::host::*;
use crate::tcp::{LegSettings, Offer, OutgoingKind};
use crate::wire::tcp::{SackBlock, TcpHeader};

pub(super) fn sacked(mut header: TcpHeader, blocks: &[(u32, u32)]) -> TcpHeader {
    for (left, right) in blocks {
        header.options.sack.push(SackBlock { left: PEER(*left), right: PEER(*right) });
    }
    header
}

#[allow(non_snake_case, reason = "reads as a unit in the scripts")]
fn PEER(octet: u32) -> crate::wire::tcp::SeqNum {
    OUR_ISN + octet
}

/// Ten full segments in flight.
pub(super) fn ten_in_flight(offer: Offer) -> Host {
    let mut host = Host::established(offer);
    for i in 0..10 {
        host.writes(&pattern(i * 1000, 1000));
    }
    assert_eq!(host.sent().len(), 10);
    host.now += ms(10);
    host
}

#[test]
fn three_duplicates_retransmit_without_sack() {
    let mut host = ten_in_flight(PLAIN);
    host.gets(seg(1, 1));
    host.gets(seg(1, 1));
    host.sends(&[]);
    host.gets(seg(1, 1));
    let sent = host.sends(&["A 1+1000 ack 1"]);
    assert_eq!(sent[0].kind, OutgoingKind::Retransmitted);
    assert_eq!(sent[0].payload, pattern(0, 1000));
    assert_eq!(host.connection.congestion_window(), 5000, "half of the flight");
    // RFC 6582: a partial acknowledgment shows the next hole.
    host.gets(seg(1, 4001));
    host.sends(&["A 4001+1000 ack 1"]);
    host.gets(seg(1, 10_001));
    host.sends(&[]);
    assert_eq!(host.connection.congestion_window(), 5000);
    assert_eq!(host.counters.fast_recoveries, 1);
    assert_eq!(host.held(), 0);
}

#[test]
fn duplicates_let_new_payload_out() {
    // RFC 3042: limited transmit.
    let mut host = ten_in_flight(PLAIN);
    host.writes(&pattern(0, 1000));
    host.writes(&pattern(0, 1000));
    host.writes(&pattern(0, 1000));
    host.sends(&[]);
    host.gets(seg(1, 1));
    host.sends(&["A 10001+1000 ack 1"]);
    host.gets(seg(1, 1));
    host.sends(&["A 11001+1000 ack 1"]);
}

#[test]
fn sack_retransmits_every_hole_once() {
    let mut host = ten_in_flight(SACK);
    // 1, 3 and 5 are lost, counted from one.
    host.gets(sacked(seg(1, 1), &[(1001, 2001)]));
    host.gets(sacked(seg(1, 1), &[(3001, 4001), (1001, 2001)]));
    host.sends(&[]);
    host.gets(sacked(seg(1, 1), &[(5001, 8001), (3001, 4001), (1001, 2001)]));
    let sent = host.sends(&["A 1+1000 ack 1", "A 2001+1000 ack 1", "A 4001+1000 ack 1"]);
    assert!(sent.iter().all(|sent| sent.kind == OutgoingKind::Retransmitted));
    host.gets(sacked(seg(1, 1), &[(5001, 10_001), (3001, 4001), (1001, 2001)]));
    host.sends(&[]);
    host.gets(sacked(seg(1, 4001), &[(5001, 10_001)]));
    host.sends(&[]);
    host.gets(seg(1, 10_001));
    assert_eq!(host.counters.retransmitted, 3);
    assert_eq!(host.counters.fast_recoveries, 1);
    assert_eq!(host.held(), 0);
}

#[test]
fn the_pipe_counts_what_is_in_flight() {
    let mut host = ten_in_flight(SACK);
    assert_eq!(host.connection.in_flight(), 10_000);
    host.gets(sacked(seg(1, 1), &[(5001, 9001)]));
    // Four arrived; five below them have more than two segments' worth above: lost. One is sent
    // again at once.
    assert_eq!(host.connection.in_flight(), 1000);
    let sent = host.sent();
    assert_eq!(sent.len(), 4, "up to the window of 5000");
    assert_eq!(host.connection.in_flight(), 5000);
}

#[test]
fn what_was_presumed_lost_may_arrive_after_all() {
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 1), &[(2001, 6001)]));
    host.sends(&["A 1+1000 ack 1"]);
    // The second was only late: it is not sent again, and no longer counts as lost.
    host.gets(sacked(seg(1, 1), &[(1001, 7001)]));
    host.sends(&[]);
    assert_eq!(host.connection.in_flight(), 4000, "the first again, and the last three");
    host.gets(seg(1, 10_001));
    assert_eq!(host.counters.retransmitted, 1);
}

#[test]
fn forged_reports_change_nothing() {
    let mut host = ten_in_flight(SACK);
    let forged = [(20_001, 30_001), (9001, 8001), (10_001, 10_001), (1, 50_001)];
    host.gets(sacked(seg(1, 1), &forged));
    host.gets(sacked(seg(1, 1), &forged));
    host.gets(sacked(seg(1, 1), &forged));
    host.sends(&[]);
    assert_eq!(host.connection.in_flight(), 10_000);
}

#[test]
fn the_timer_sends_the_first_again_and_backs_off() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 500));
    host.sends(&["PA 1+500 ack 1"]);
    // SRTT is 10 ms, and the timeout leaves 200 ms for variation.
    host.sends_within(
        ms(2000),
        &[(210, "PA 1+500 ack 1"), (630, "PA 1+500 ack 1"), (1470, "PA 1+500 ack 1")],
    );
    assert_eq!(host.connection.congestion_window(), 1000, "RFC 5681 §3.1: one segment");
    host.gets(seg(1, 501));
    host.writes(&pattern(0, 500));
    host.sends(&["PA 501+500 ack 1"]);
    host.sends_within(ms(300), &[(210, "PA 501+500 ack 1")]);
}

#[test]
fn after_a_timeout_all_holes_are_filled_in_slow_start() {
    let mut host = ten_in_flight(PLAIN);
    host.sends_within(ms(205), &[(200, "A 1+1000 ack 1")]);
    host.gets(seg(1, 1001));
    host.sends(&["A 1001+1000 ack 1", "A 2001+1000 ack 1"]);
    host.gets(seg(1, 10_001));
    assert_eq!(host.held(), 0);
    assert_eq!(host.counters.timeouts, 1);
}

#[test]
fn a_retransmission_gives_no_sample() {
    let mut host = Host::established(PLAIN);
    assert_eq!(host.connection.srtt(), Some(ms(10)));
    host.writes(&pattern(0, 500));
    host.sent();
    host.waits(ms(250));
    host.gets(seg(1, 501));
    assert_eq!(host.connection.srtt(), Some(ms(10)), "Karn");
}

#[test]
fn with_timestamps_a_retransmission_gives_one() {
    let mut host = Host::established(Offer::ALL);
    host.writes(&pattern(0, 500));
    host.sent();
    let again = host.waits(ms(250));
    host.now += ms(60);
    let mut ack = host.stamped(seg(1, 501));
    let stamp = again[0].1.header.options.timestamps.unwrap();
    ack.options.timestamps.as_mut().unwrap().echo_reply = stamp.value;
    host.gets(ack);
    assert!(host.connection.srtt().unwrap() > ms(15));
}

#[test]
fn a_partly_acknowledged_chunk_is_sent_again_without_its_beginning() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 801));
    host.sends(&["PA 1+801 ack 1"]);
    host.now += ms(10);
    host.gets(seg(1, 302));
    let sent = host.waits(ms(250));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.line(), "PA 302+500 ack 1");
    assert_eq!(sent[0].1.payload, pattern(301, 500));
    assert_eq!(host.counters.copied_octets, 0);
}

#[test]
fn a_frame_still_on_its_way_out_is_not_sent_again() {
    let mut host = Host::established(PLAIN);
    host.device_is_slow = true;
    host.writes(&pattern(0, 500));
    host.sends(&["PA 1+500 ack 1"]);
    host.sends_within(ms(1000), &[]);
    assert_eq!(host.counters.timeouts, 0, "our device is late, not the path");
    host.device_completes();
    assert_eq!(host.waits(ms(250)).len(), 1);
}

#[test]
fn a_smaller_path_mtu_resends_what_is_too_large() {
    let mut host = ten_in_flight(PLAIN);
    let before = host.connection.congestion_window();
    assert!(host.connection.is_outstanding(OUR_ISN + 1));
    assert!(!host.connection.is_outstanding(OUR_ISN + 10_001));
    host.with(|connection, cx| connection.on_path_mtu(cx, 600));
    let sent = host.sent();
    assert_eq!(sent[0].line(), "A 1+600 ack 1");
    assert_eq!(sent[1].line(), "A 601+400 ack 1");
    assert!(sent.iter().all(|sent| sent.payload.len() <= 600));
    assert!(host.connection.congestion_window() > before / 2, "no sign of congestion");
    host.with(|connection, cx| connection.on_path_mtu(cx, 900));
    assert_eq!(host.connection.mss(), 600, "nothing makes it larger again");
    host.gets(seg(1, 10_001));
    assert_eq!(host.held(), 0);
}

#[test]
fn what_arrives_behind_a_gap_is_reported_most_recent_first() {
    let mut host = Host::established(SACK);
    host.gets_payload(seg(1001, 1), &pattern(1000, 100));
    host.sends(&["A 1+0 ack 1 sack 1001-1101"]);
    host.gets_payload(seg(2001, 1), &pattern(2000, 100));
    host.sends(&["A 1+0 ack 1 sack 2001-2101 sack 1001-1101"]);
    host.gets_payload(seg(2101, 1), &pattern(2100, 100));
    host.sends(&["A 1+0 ack 1 sack 2001-2201 sack 1001-1101"]);
    host.gets_payload(seg(1101, 1), &pattern(1100, 900));
    host.sends(&["A 1+0 ack 1 sack 1001-2201"]);
    host.gets_payload(seg(1, 1), &pattern(0, 1000));
    host.sends(&["A 1+0 ack 2201"]);
    assert_eq!(host.reads(), pattern(0, 2200));
}

#[test]
fn a_duplicate_is_reported_as_such() {
    // RFC 2883 §4.
    let mut host = Host::established(SACK);
    host.gets_payload(seg(1, 1), &pattern(0, 100));
    host.reads();
    host.sends_within(ms(40), &[(40, "A 1+0 ack 101")]);
    host.gets_payload(seg(1, 1), &pattern(0, 100));
    host.sends(&["A 1+0 ack 101 sack 1-101"]);
    assert_eq!(host.reads(), b"");
}

#[test]
fn each_segment_out_of_order_is_answered_for_a_peer_without_sack() {
    let mut host = Host::established(PLAIN);
    for i in 1..4 {
        host.gets_payload(seg(1 + i * 1000, 1), &pattern(i as usize * 1000, 1000));
    }
    host.sends(&["A 1+0 ack 1", "A 1+0 ack 1", "A 1+0 ack 1"]);
    host.gets_payload(seg(1, 1), &pattern(0, 1000));
    host.sends(&["A 1+0 ack 4001"]);
    assert_eq!(host.reads(), pattern(0, 4000));
}

#[test]
fn overlapping_payload_is_cut_to_fit() {
    let mut host = Host::established(PLAIN);
    host.gets_payload(seg(101, 1), &pattern(100, 100));
    host.gets_payload(seg(151, 1), &pattern(150, 201));
    host.gets_payload(seg(401, 1), &pattern(400, 50));
    host.gets_payload(seg(301, 1), &pattern(300, 333));
    host.gets_payload(seg(1, 1), &pattern(0, 151));
    assert_eq!(host.reads(), pattern(0, 633));
    assert_eq!(host.held(), 0);
}

#[test]
fn cubic_recovers_as_well() {
    let settings = LegSettings::default();
    let mut host = Host::established_with(&settings, SACK);
    for i in 0..10 {
        host.writes(&pattern(i * 1000, 1000));
    }
    host.sent();
    host.now += ms(10);
    host.gets(sacked(seg(1, 1), &[(1001, 5001)]));
    assert_eq!(host.sent()[0].line(), "A 1+1000 ack 1");
    assert_eq!(host.connection.congestion_window(), 7000, "RFC 9438: 0.7");
}
