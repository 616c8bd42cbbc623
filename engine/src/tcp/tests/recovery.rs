//! RACK-TLP (RFC 8985), PRR (RFC 9937), F-RTO (RFC 5682), and what is taken back (RFC 4015).
//!
//! The round trip is 10 ms and the window starts at ten segments; a quarter of the round trip is
//! what reordering is given.

use super::host::*;
use super::loss::{sacked, ten_in_flight};
use crate::tcp::{Offer, OutgoingKind};
use crate::wire::tcp::TcpHeader;

/// An ACK that echoes the timestamp which the peer got at `at_ms` of our clock.
fn echoing(host: &Host, ack: u32, at_ms: u32) -> TcpHeader {
    let mut header = host.stamped(seg(1, ack));
    if let Some(timestamps) = &mut header.options.timestamps {
        timestamps.echo_reply = at_ms;
    }
    header
}

/// Ten segments of a full MSS with timestamps in flight, sent when our clock said 1010.
fn ten_with_timestamps() -> Host {
    let mut host = Host::established(Offer::ALL);
    for i in 0..10 {
        host.writes(&pattern(i * 988, 988));
    }
    assert_eq!(host.sent().len(), 10);
    host.now += ms(10);
    host
}

#[test]
fn a_segment_that_is_overtaken_is_given_a_quarter_of_the_round_trip() {
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 1), &[(1001, 3001)]));
    host.sends(&[]);
    host.now += ms(2);
    host.gets(seg(1, 10_001));
    host.sends_within(ms(100), &[]);
    assert_eq!((host.counters.retransmitted, host.counters.fast_recoveries), (0, 0));
    assert_eq!(host.counters.reordering_seen, 1);
}

#[test]
fn two_reports_and_a_quarter_of_the_round_trip_are_enough() {
    // Early: without RACK this would wait for the timer, as only two duplicates ever come.
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 8001), &[(9001, 10_001)]));
    host.sends_within(ms(30), &[(2, "A 8001+1000 ack 1")]);
    assert_eq!((host.counters.fast_recoveries, host.counters.timeouts), (1, 0));
    host.gets(seg(1, 10_001));
    assert_eq!(host.held(), 0);
}

#[test]
fn a_retransmission_that_is_lost_is_found_without_the_timer() {
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 1), &[(1001, 6001)]));
    host.sends(&["A 1+1000 ack 1"]);
    for i in 0..6 {
        host.writes(&pattern(i * 1000, 1000));
    }
    host.gets(sacked(seg(1, 1), &[(1001, 10_001)]));
    let sent = host.sent();
    assert_eq!(sent[0].line(), "A 10001+1000 ack 1", "in the place of what has arrived");
    host.now += ms(11);
    // What left after the retransmission has arrived, and that has not.
    host.gets(sacked(seg(1, 1), &[(1001, 11_001)]));
    assert_eq!(host.sent()[0].line(), "A 1+1000 ack 1");
    assert_eq!((host.counters.timeouts, host.counters.fast_recoveries), (0, 1));
}

#[test]
fn once_reordering_is_seen_three_reports_are_not_enough() {
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 1), &[(1001, 2001)]));
    host.gets(seg(1, 5001));
    assert_eq!(host.counters.reordering_seen, 1);
    host.gets(sacked(seg(1, 5001), &[(6001, 10_001)]));
    host.sends(&[]);
    host.sends_within(ms(3), &[(2, "A 5001+1000 ack 1")]);
}

#[test]
fn duplicates_reported_widen_what_reordering_is_given() {
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 1), &[(1001, 5001)]));
    host.sends(&["A 1+1000 ack 1"]);
    // The original arrives, then the retransmission.
    host.now += ms(1);
    host.gets(seg(1, 10_001));
    host.now += ms(9);
    host.gets(sacked(seg(1, 10_001), &[(1, 1001)]));
    assert_eq!(host.counters.duplicate_reports, 1);
    host.writes(&pattern(0, 1000));
    host.writes(&pattern(0, 1000));
    host.sent();
    host.now += ms(10);
    host.gets(sacked(seg(1, 10_001), &[(11_001, 12_001)]));
    host.sends_within(ms(6), &[(5, "A 10001+1000 ack 1")]);
}

#[test]
fn all_that_was_sent_again_arrived_twice_and_the_window_is_as_before() {
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 1), &[(1001, 5001)]));
    host.sends(&["A 1+1000 ack 1"]);
    assert_eq!(host.connection.congestion_window(), 5000);
    host.gets(seg(1, 10_001));
    assert_eq!(host.connection.congestion_window(), 5000);
    host.gets(sacked(seg(1, 10_001), &[(1, 1001)]));
    assert!(host.connection.congestion_window() >= 10_000);
    assert_eq!(host.counters.spurious_recoveries, 1);
}

#[test]
fn an_echo_from_before_the_retransmission_takes_recovery_back() {
    let mut host = ten_with_timestamps();
    let mut report = echoing(&host, 1, 1010);
    report = sacked(report, &[(989, 4941)]);
    host.gets(report);
    assert_eq!(host.sends(&["A 1+988 ack 1"])[0].kind, OutgoingKind::Retransmitted);
    assert!(host.connection.congestion_window() < 9000);
    host.now += ms(3);
    // The original, late.
    host.gets(echoing(&host, 4941, 1010));
    assert!(host.connection.congestion_window() >= 9880);
    assert_eq!((host.counters.spurious_recoveries, host.counters.reordering_seen), (1, 1));
    // What answers the retransmission says nothing like it.
    let mut host = ten_with_timestamps();
    host.gets(sacked(echoing(&host, 1, 1010), &[(989, 4941)]));
    host.sent();
    host.now += ms(10);
    host.gets(echoing(&host, 4941, 1020));
    assert_eq!(host.counters.spurious_recoveries, 0);
    assert!(host.connection.congestion_window() < 9000);
}

#[test]
fn an_echo_from_before_the_timeout_takes_it_back() {
    let mut host = ten_with_timestamps();
    // A probe comes first.
    let sent = host.waits(ms(600));
    assert_eq!(host.counters.timeouts, 1);
    assert!(sent.iter().any(|(_, sent)| sent.line() == "A 1+988 ack 1"));
    assert_eq!(host.connection.congestion_window(), 988);
    host.gets(echoing(&host, 989, 1010));
    assert!(host.connection.congestion_window() >= 9880);
    assert_eq!(host.counters.spurious_timeouts, 1);
    host.sends(&[]);
    assert_eq!(host.connection.in_flight(), 9 * 988, "all that is left is in flight");
}

#[test]
fn the_tail_is_probed_after_two_round_trips() {
    let mut host = ten_in_flight(SACK);
    host.sends_within(ms(15), &[(10, "PA 9001+1000 ack 1")]);
    assert_eq!((host.counters.tail_probes, host.counters.timeouts), (1, 0));
    // One probe until something new is acknowledged; the timer starts anew with it.
    host.sends_within(ms(194), &[]);
    assert_eq!(host.counters.tail_probes, 1);
}

#[test]
fn a_single_segment_is_given_time_for_a_delayed_ack() {
    let mut host = Host::established(SACK);
    host.writes(&pattern(0, 500));
    host.sent();
    // 2 · SRTT + 200 ms would be 220; the probe takes the timer's place at 210.
    host.sends_within(ms(300), &[(210, "PA 1+500 ack 1")]);
    assert_eq!((host.counters.tail_probes, host.counters.timeouts), (1, 0));
    host.sends_within(ms(200), &[(120, "PA 1+500 ack 1")]);
    assert_eq!(host.counters.timeouts, 1);
}

#[test]
fn a_probe_carries_something_new_if_there_is_any() {
    let mut host = ten_in_flight(SACK);
    host.writes(&pattern(0, 1000));
    host.sends(&[]);
    host.sends_within(ms(15), &[(10, "PA 10001+1000 ack 1")]);
    assert_eq!(host.counters.tail_probes, 1);
    assert_eq!(host.connection.in_flight(), 11_000, "beyond the window, by one segment");
    host.gets(seg(1, 11_001));
    assert!(host.connection.congestion_window() >= 10_000, "no loss is concluded");
}

#[test]
fn a_probe_turns_a_lost_tail_into_fast_recovery() {
    let mut host = ten_in_flight(SACK);
    host.gets(seg(1, 6001));
    host.sends(&[]);
    let probe = host.waits(ms(25));
    assert_eq!(probe.len(), 1);
    assert_eq!(probe[0].1.line(), "PA 9001+1000 ack 1");
    host.now += ms(10);
    host.gets(sacked(seg(1, 6001), &[(9001, 10_001)]));
    assert_eq!(host.sent()[0].line(), "A 6001+1000 ack 1");
    assert_eq!((host.counters.fast_recoveries, host.counters.timeouts), (1, 0));
}

#[test]
fn a_probe_that_repaired_a_loss_reduces_the_window() {
    let mut host = ten_in_flight(SACK);
    host.gets(seg(1, 9001));
    let before = host.connection.congestion_window();
    host.waits(ms(240));
    assert_eq!((host.counters.tail_probes, host.counters.timeouts), (1, 0));
    host.now += ms(10);
    host.gets(seg(1, 10_001));
    assert_eq!(host.connection.congestion_window(), before, "not known yet");
    host.writes(&pattern(0, 1000));
    host.sent();
    host.now += ms(10);
    host.gets(seg(1, 11_001));
    assert!(host.connection.congestion_window() < before, "nothing was reported twice");
}

#[test]
fn a_probe_that_was_not_needed_changes_nothing() {
    let mut host = ten_in_flight(SACK);
    host.gets(seg(1, 9001));
    let before = host.connection.congestion_window();
    host.waits(ms(240));
    host.gets(sacked(seg(1, 10_001), &[(9001, 10_001)]));
    host.writes(&pattern(0, 1000));
    host.sent();
    host.now += ms(10);
    host.gets(seg(1, 11_001));
    assert!(host.connection.congestion_window() >= before);
    assert_eq!(host.counters.spurious_recoveries, 0);
}

#[test]
fn no_second_probe_before_a_round_trip_is_measured() {
    let mut host = ten_in_flight(SACK);
    host.gets(seg(1, 9001));
    host.waits(ms(240));
    host.gets(sacked(seg(1, 10_001), &[(9001, 10_001)]));
    // Karn: what was sent twice measures nothing.
    host.writes(&pattern(0, 1000));
    host.writes(&pattern(0, 1000));
    host.sent();
    host.waits(ms(180));
    assert_eq!(host.counters.tail_probes, 1);
    host.gets(seg(1, 12_001));
    host.writes(&pattern(0, 1000));
    host.sent();
    host.waits(ms(1000));
    assert_eq!(host.counters.tail_probes, 2);
}

#[test]
fn a_timeout_that_two_acks_show_to_be_spurious_is_taken_back() {
    // F-RTO; without timestamps, which would tell at once.
    let mut host = ten_in_flight(PLAIN);
    for i in 0..3 {
        host.writes(&pattern(i * 1000, 1000));
    }
    host.sends_within(ms(205), &[(200, "A 1+1000 ack 1")]);
    host.gets(seg(1, 1001));
    host.sends(&["A 10001+1000 ack 1", "A 11001+1000 ack 1"]);
    host.gets(seg(1, 2001));
    assert_eq!(host.counters.spurious_timeouts, 1);
    assert!(host.connection.congestion_window() >= 10_000);
    host.sends(&["PA 12001+1000 ack 1"]);
    host.gets(seg(1, 13_001));
    assert_eq!(host.counters.retransmitted, 1);
    assert_eq!(host.held(), 0);
}

#[test]
fn a_timeout_after_a_loss_is_recovered_from_in_the_ordinary_way() {
    let mut host = ten_in_flight(PLAIN);
    for i in 0..3 {
        host.writes(&pattern(i * 1000, 1000));
    }
    host.sends_within(ms(205), &[(200, "A 1+1000 ack 1")]);
    host.gets(seg(1, 1001));
    host.sends(&["A 10001+1000 ack 1", "A 11001+1000 ack 1"]);
    host.gets(seg(1, 1001));
    host.sends(&["A 1001+1000 ack 1"]);
    assert_eq!((host.counters.spurious_timeouts, host.counters.timeouts), (0, 1));
    assert_eq!(host.connection.congestion_window(), 2000);
}

#[test]
fn a_reduction_is_spread_over_the_round_trip() {
    let mut host = ten_in_flight(SACK);
    for i in 0..20 {
        host.writes(&pattern(i * 1000, 1000));
    }
    // The first is lost. Limited transmit, then the fast retransmit, then every second ACK.
    let mut sent = Vec::new();
    for i in 2..=10 {
        host.gets(sacked(seg(1, 1), &[(1001, i * 1000 + 1)]));
        sent.push(host.sent().len());
    }
    assert_eq!(sent, [1, 1, 1, 0, 0, 1, 0, 0, 1]);
    assert_eq!(host.connection.in_flight(), 5000, "at the threshold when the round trip ends");
    host.now += ms(10);
    host.gets(seg(1, 12_001));
    assert_eq!(host.connection.congestion_window(), 5000);
    host.sent();
    assert_eq!(host.connection.in_flight(), 5000);
}

#[test]
fn a_peer_that_takes_its_reports_back_is_sent_everything_again() {
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 1), &[(1001, 10_001)]));
    host.sends(&["A 1+1000 ack 1"]);
    host.now += ms(10);
    // It acknowledges the first, and not what it has reported.
    host.gets(seg(1, 1001));
    let sent = host.waits(ms(11));
    assert_eq!(sent[0].1.line(), "A 1001+1000 ack 1", "soon, not after a whole timeout");
    assert_eq!((host.counters.reneged, host.connection.in_flight()), (1, 1000));
    host.gets(seg(1, 2001));
    assert_eq!(host.sent()[0].line(), "A 2001+1000 ack 1");
    host.gets(seg(1, 10_001));
    assert_eq!(host.held(), 0);
}

#[test]
fn losses_in_two_windows_are_two_reductions() {
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 1), &[(1001, 10_001)]));
    host.sends(&["A 1+1000 ack 1"]);
    for i in 0..4 {
        host.writes(&pattern(i * 1000, 1000));
    }
    host.sent();
    assert_eq!(host.connection.in_flight(), 5000);
    host.now += ms(10);
    // Of what left after the loss, the first is lost as well, found before the recovery is over.
    host.gets(sacked(seg(1, 1), &[(11_001, 14_001), (1001, 10_001)]));
    host.sent();
    host.now += ms(10);
    host.gets(sacked(seg(1, 10_001), &[(11_001, 14_001)]));
    assert_eq!(host.counters.fast_recoveries, 2);
    assert!(host.connection.congestion_window() < 5000);
}

#[test]
fn what_an_earlier_recovery_sent_again_says_nothing_of_this_one() {
    let mut host = ten_with_timestamps();
    for i in 0..10 {
        host.writes(&pattern(i * 988, 988));
    }
    let at = |segment: u32| 1 + segment * 988;
    // The first and the last of ten are lost; what follows them arrives.
    host.gets(sacked(echoing(&host, 1, 1010), &[(at(1), at(9))]));
    host.sent();
    host.now += ms(10);
    host.gets(sacked(echoing(&host, at(9), 1020), &[(at(10), at(12))]));
    host.sent();
    let before = host.counters.spurious_recoveries;
    host.now += ms(10);
    host.gets(echoing(&host, at(12), 1030));
    assert_eq!((before, host.counters.spurious_recoveries), (0, 0));
}
