use super::host::*;
use super::loss::{sacked, ten_in_flight};
use crate::tcp::{Disposition, DropReason, Offer, State};
use crate::wire::tcp::{Flags, SeqNum, Timestamps};

#[test]
fn a_reset_within_the_window_is_challenged() {
    let mut host = Host::established(PLAIN);
    let mut reset = seg(500, 1);
    reset.flags = Flags::RST;
    assert_eq!(host.gets(reset), Disposition::Dropped(DropReason::SuspectReset));
    host.sends(&["A 1+0 ack 1"]);
    host.gets(reset);
    host.sends(&[]);
    assert_eq!(host.counters.challenge_acks, 1, "within the limit");
    host.now += ms(500);
    host.gets(reset);
    host.sends(&["A 1+0 ack 1"]);
    reset.sequence = PEER_ISN + 200_000;
    host.gets(reset);
    host.sends(&[]);
    assert_eq!(host.connection.state(), State::Established);
}

#[test]
fn a_syn_within_the_connection_is_challenged() {
    let mut host = Host::established(PLAIN);
    for number in [1, 400, 100_000] {
        let mut header = syn(PLAIN);
        header.sequence = PEER_ISN + number;
        host.gets(header);
        host.sends(&["A 1+0 ack 1"]);
        host.now += ms(500);
    }
    assert_eq!(host.connection.state(), State::Established);
}

#[test]
fn an_ack_of_what_was_not_sent_is_challenged_and_its_payload_refused() {
    let mut host = Host::established(PLAIN);
    let disposition = host.gets_payload(seg(1, 5000), b"forged");
    assert_eq!(disposition, Disposition::Dropped(DropReason::BadAcknowledgment));
    host.sends(&["A 1+0 ack 1"]);
    host.now += ms(500);
    let mut old = seg(1, 1);
    old.acknowledgment = SeqNum(OUR_ISN.0.wrapping_sub(70_000));
    let disposition = host.gets_payload(old, b"forged");
    assert_eq!(disposition, Disposition::Dropped(DropReason::BadAcknowledgment));
    assert_eq!(host.reads(), b"");
}

#[test]
fn a_segment_without_ack_is_refused() {
    let mut host = Host::established(PLAIN);
    let mut bare = seg(1, 1);
    bare.flags = Flags::PSH;
    let disposition = host.gets_payload(bare, b"forged");
    assert_eq!(disposition, Disposition::Dropped(DropReason::NoAcknowledgment));
    assert_eq!(host.reads(), b"");
}

#[test]
fn paws_refuses_what_is_older_and_takes_what_is_unstamped() {
    let mut host = Host::established(Offer::ALL);
    let header = host.stamped(seg(1, 1));
    host.gets_payload(header, b"now");
    host.waits(ms(40));
    let mut old = seg(4, 1);
    old.options.timestamps = Some(Timestamps { value: 105, echo_reply: 0 });
    let disposition = host.gets_payload(old, b"old");
    assert_eq!(disposition, Disposition::Dropped(DropReason::OldTimestamp));
    host.sends(&["A 1+0 ack 4"]);
    host.gets_payload(seg(4, 1), b"bare");
    assert_eq!(host.reads(), b"nowbare");
    // RFC 7323 §5.5: after 24 days, any timestamp may be new.
    host.now += ms(25 * 24 * 3600 * 1000);
    old.sequence = PEER_ISN + 8;
    host.gets_payload(old, b"late");
    assert_eq!(host.reads(), b"late");
}

#[test]
fn answers_to_answers_do_not_go_on_for_ever() {
    let mut host = Host::established(PLAIN);
    let mut answers = 0;
    for _ in 0..100 {
        host.gets(seg(200_000, 1));
        answers += host.sent().len();
        host.now += ms(10);
    }
    assert_eq!(answers, 2, "one each half second");
}

#[test]
fn urgent_payload_is_payload() {
    let mut host = Host::established(PLAIN);
    let mut urgent = seg(1, 1);
    urgent.flags = urgent.flags.with(Flags::URG);
    host.gets_payload(urgent, b"now!");
    assert_eq!(host.reads(), b"now!");
}

#[test]
fn single_octets_do_not_hold_a_frame_each() {
    let mut host = Host::established(PLAIN);
    for i in 0..300u32 {
        host.gets_payload(seg(1 + i, 1), &pattern(i as usize, 1));
    }
    assert!(host.held() <= 2, "{}", host.held());
    assert_eq!(host.reads(), pattern(0, 300));
}

#[test]
fn acknowledging_what_was_not_sent_lets_nothing_more_out() {
    let mut host = ten_in_flight(SACK);
    for _ in 0..20 {
        host.writes(&pattern(0, 1000));
    }
    let before = host.connection.congestion_window();
    for ahead in 0..1000 {
        host.gets(seg(1, 10_002 + ahead * 1000));
    }
    host.sends(&["A 10001+0 ack 1"]);
    assert_eq!(host.counters.challenge_acks, 1);
    assert_eq!(host.connection.congestion_window(), before);
    assert_eq!(host.connection.in_flight(), 10_000);
}

#[test]
fn acknowledging_octet_by_octet_gains_no_more_than_the_octets() {
    let mut host = ten_in_flight(SACK);
    for _ in 0..40 {
        host.writes(&pattern(0, 1000));
    }
    let before = host.connection.congestion_window();
    for octet in 2..=1001 {
        host.gets(seg(1, octet));
    }
    assert!(host.connection.congestion_window() <= before + 1000, "RFC 3465: octets count");
    assert_eq!(host.sent().len(), 2, "one for what arrived, one for the window's growth");
}

#[test]
fn duplicates_without_reports_mean_nothing_to_one_that_has_asked_for_reports() {
    let mut host = ten_in_flight(SACK);
    for _ in 0..20 {
        host.writes(&pattern(0, 1000));
    }
    for _ in 0..1000 {
        host.gets(seg(1, 1));
    }
    host.sends(&[]);
    assert_eq!((host.connection.in_flight(), host.counters.fast_recoveries), (10_000, 0));
}

#[test]
fn duplicates_without_sack_never_stand_for_more_than_was_sent() {
    let mut host = ten_in_flight(PLAIN);
    for _ in 0..1000 {
        host.gets(seg(1, 1));
    }
    assert_eq!(host.sent().len(), 1, "nothing new to send, one loss to repair");
    for _ in 0..1000 {
        host.gets(seg(1, 1));
    }
    host.sends(&[]);
    assert_eq!(host.connection.in_flight(), 1000, "what was sent again");
    host.gets(seg(1, 10_001));
    assert_eq!(host.connection.in_flight(), 0);
}

#[test]
fn reports_of_duplicates_that_were_never_sent_twice_are_lies() {
    let mut host = ten_in_flight(SACK);
    host.gets(sacked(seg(1, 1), &[(1001, 5001)]));
    host.sends(&["A 1+1000 ack 1"]);
    host.gets(seg(1, 10_001));
    let reduced = host.connection.congestion_window();
    for _ in 0..1000 {
        host.gets(sacked(seg(1, 10_001), &[(2001, 4001)]));
    }
    assert_eq!(host.connection.congestion_window(), reduced);
    // One segment was sent twice, so one report is believed: what it gives back was there before.
    for _ in 0..1000 {
        host.gets(sacked(seg(1, 10_001), &[(1, 1001)]));
    }
    assert_eq!(host.counters.spurious_recoveries, 1);
    assert!(host.connection.congestion_window() <= 11_000);
}

#[test]
fn a_peer_that_reports_and_takes_back_for_ever_costs_itself_its_connection() {
    let mut host = ten_in_flight(SACK);
    let mut rounds = 0;
    while host.connection.state() == State::Established {
        host.gets(sacked(seg(1, 1), &[(1, 5001)]));
        host.waits(ms(120_000));
        rounds += 1;
        assert!(rounds < 100);
    }
    assert!(host.counters.reneged > 0);
    assert_eq!(host.held(), 0);
}
