use super::host::*;
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
