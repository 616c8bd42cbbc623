//! What somebody who is not on the path can do by guessing: RFC 5961, rule by rule.

use super::host::*;
use crate::limits::CHALLENGE_ACK_INTERVAL;
use crate::tcp::{CloseReason, Disposition, DropReason, Offer, State};
use crate::wire::tcp::{Flags, SeqNum, TcpHeader};

fn reset(seq: u32) -> TcpHeader {
    TcpHeader { flags: Flags::RST, ..seg(seq, 1) }
}

/// In every state with a window, with 64 KiB of it.
fn hosts() -> Vec<(State, Host)> {
    let mut received = Host::accepting(&settings(), &syn(PLAIN));
    received.sent();
    let established = Host::established(PLAIN);
    let mut waits_1 = Host::established(PLAIN);
    waits_1.connection.finish();
    waits_1.sent();
    let mut waits_2 = Host::established(PLAIN);
    waits_2.connection.finish();
    waits_2.sent();
    waits_2.gets(seg(1, 2));
    vec![
        (State::SynReceived, received),
        (State::Established, established),
        (State::FinWait1, waits_1),
        (State::FinWait2, waits_2),
    ]
}

#[test]
fn rst_rule_1_outside_the_window_nothing_happens() {
    for (state, mut host) in hosts() {
        for seq in [0, 65_536, 70_000, u32::MAX - 5] {
            let disposition = host.gets(reset(seq));
            assert_eq!(disposition, Disposition::Dropped(DropReason::OutsideWindow), "{state:?}");
            host.sends(&[]);
        }
        assert_eq!(host.connection.state(), state);
    }
}

#[test]
fn rst_rule_2_at_the_next_number_the_connection_is_reset() {
    for (state, mut host) in hosts() {
        assert_eq!(host.gets(reset(1)), Disposition::Consumed);
        assert_eq!(host.connection.close_reason(), Some(CloseReason::ResetByPeer), "{state:?}");
        host.sends(&[]);
    }
}

/// An origin that closes while it is still sent something answers that with what it acknowledges: the
/// number of its FIN. It comes once; the next would answer a retransmission, if there is one.
#[test]
fn rst_rule_2_behind_a_fin_its_own_number_counts_as_the_next() {
    let finished = || {
        let mut host = Host::established(PLAIN);
        let header = seg(1, 1);
        host.gets(TcpHeader { flags: header.flags.with(Flags::FIN), ..header });
        assert_eq!(host.connection.state(), State::CloseWait);
        host
    };
    for seq in [1, 2] {
        let mut host = finished();
        assert_eq!(host.gets(reset(seq)), Disposition::Consumed);
        assert_eq!(host.connection.close_reason(), Some(CloseReason::ResetByPeer), "{seq}");
    }
    let mut host = finished();
    assert_eq!(host.gets(reset(0)), Disposition::Dropped(DropReason::OutsideWindow));
    assert_eq!(host.connection.state(), State::CloseWait);
}

#[test]
fn rst_rule_3_elsewhere_in_the_window_it_is_challenged() {
    for (state, mut host) in hosts() {
        for seq in [2, 30_000, 65_535] {
            host.now += CHALLENGE_ACK_INTERVAL;
            let disposition = host.gets(reset(seq));
            assert_eq!(disposition, Disposition::Dropped(DropReason::SuspectReset), "{state:?}");
            let sent = host.sent();
            assert_eq!(sent.len(), 1);
            // RFC 5961 §3.2: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>.
            assert_eq!(sent[0].header.flags, Flags::ACK);
            assert_eq!(sent[0].header.sequence, host.connection.send_next());
            assert_eq!(sent[0].header.acknowledgment, PEER_ISN + 1);
        }
        assert_eq!((host.connection.state(), host.counters.challenge_acks), (state, 3));
    }
}

#[test]
fn a_peer_that_is_really_gone_answers_the_challenge_with_a_reset_that_counts() {
    let mut host = Host::established(PLAIN);
    host.gets(reset(900));
    let challenge = host.sends(&["A 1+0 ack 1"]).remove(0).header;
    // RFC 9293 §3.10.7.1: the number is the one that was acknowledged.
    let answer = TcpHeader { sequence: challenge.acknowledgment, ..reset(0) };
    host.gets(answer);
    assert_eq!(host.connection.close_reason(), Some(CloseReason::ResetByPeer));
}

#[test]
fn syn_rule_whatever_its_number_it_is_challenged_and_never_obeyed() {
    for (state, mut host) in hosts().into_iter().skip(1) {
        for seq in [1, 30_000, 70_000, u32::MAX - 70_000] {
            host.now += CHALLENGE_ACK_INTERVAL;
            let header = TcpHeader { sequence: PEER_ISN + seq, ..syn(PLAIN) };
            assert!(matches!(host.gets(header), Disposition::Dropped(_)));
            let sent = host.sent();
            assert_eq!((sent.len(), sent[0].header.flags), (1, Flags::ACK), "{state:?} {seq}");
            let header = TcpHeader { flags: Flags::SYN.with(Flags::ACK), ..header };
            host.now += CHALLENGE_ACK_INTERVAL;
            host.gets(header);
            assert_eq!(host.sent().len(), 1, "a SYN-ACK too");
        }
        assert_eq!(host.connection.state(), state);
    }
}

#[test]
fn data_rule_payload_counts_only_with_an_acknowledgment_that_can_be() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1000));
    host.sent();
    host.gets(seg(1, 1001));
    // RFC 5961 §5.2: from SND.UNA - MAX.SND.WND to SND.NXT; the largest window was 65,535.
    let oldest = 1001u32.wrapping_sub(65_535);
    for (ack, believed) in
        [(1002, false), (1001, true), (oldest, true), (oldest.wrapping_sub(1), false)]
    {
        host.now += CHALLENGE_ACK_INTERVAL;
        let next = 1 + host.connection.receivable_octets();
        let disposition = host.gets_payload(seg(next, ack), b"x");
        let expected = match believed {
            true => Disposition::Queued,
            false => Disposition::Dropped(DropReason::BadAcknowledgment),
        };
        assert_eq!(disposition, expected, "{ack}");
        host.waits(ms(100));
    }
    assert_eq!(host.counters.challenge_acks, 2);
    assert_eq!(host.reads(), b"xx");
}

#[test]
fn challenges_are_limited_by_the_connection_alone() {
    // One that many strangers share would tell each of them of the others (CVE-2016-5696).
    let mut attacked = Host::established(PLAIN);
    for i in 0..1000 {
        attacked.gets(reset(2 + i));
    }
    assert_eq!(attacked.sent().len(), 1);
    let mut other = Host::established(PLAIN);
    other.counters = attacked.counters;
    other.gets(reset(2));
    assert_eq!(other.sent().len(), 1, "whatever others have used up");
    attacked.now += CHALLENGE_ACK_INTERVAL;
    attacked.gets(reset(2));
    assert_eq!(attacked.sent().len(), 1);
}

#[test]
fn a_reset_does_not_need_a_fresh_timestamp() {
    let mut host = Host::established(Offer::ALL);
    let mut header = host.stamped(reset(1));
    header.options.timestamps.as_mut().unwrap().value = 1;
    host.gets(header);
    assert_eq!(host.connection.close_reason(), Some(CloseReason::ResetByPeer), "RFC 7323 §5.2");
}

#[test]
fn in_syn_sent_a_reset_counts_if_it_acknowledges_our_syn() {
    for (ack, ends) in [(0, false), (2, false), (1, true)] {
        let mut host = Host::connecting(&settings(), PLAIN);
        host.sent();
        let flags = Flags::RST.with(Flags::ACK);
        host.gets(TcpHeader { flags, sequence: SeqNum(0), ..seg(0, ack) });
        assert_eq!(host.connection.state() == State::Closed, ends, "{ack}");
    }
}
