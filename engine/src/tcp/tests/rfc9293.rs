//! Requirements of RFC 9293 that no other script happens to hold. `docs/tcp` has all of them.

use super::host::*;
use crate::tcp::{CloseReason, LegSettings, Offer, State};
use crate::wire::tcp::Flags;

/// MUST-58, MUST-59.
#[test]
fn a_burst_is_answered_by_one_acknowledgment() {
    let mut host = Host::established(PLAIN);
    for i in 0..8 {
        host.gets_payload(seg(1 + i * 1000, 1), &pattern(0, 1000));
    }
    host.sends(&["A 1+0 ack 8001"]);
}

/// SHLD-2.
#[test]
fn a_reset_may_carry_payload() {
    let mut host = Host::established(PLAIN);
    let mut reset = seg(1, 1);
    reset.flags = Flags::RST;
    host.gets_payload(reset, b"out of memory");
    assert_eq!(host.connection.close_reason(), Some(CloseReason::ResetByPeer));
    host.sends(&[]);
    assert_eq!(host.reads(), b"", "it is no part of the stream");
}

/// MUST-66.
#[test]
fn resets_and_acknowledgments_count_while_our_window_is_shut() {
    let small = LegSettings { receive_room: 1000, ..settings() };
    let mut host = Host::established_with(&small, PLAIN);
    host.writes(b"question");
    host.sent();
    host.gets_payload(seg(1, 1), &pattern(0, 1000));
    assert_eq!(host.sent().last().map(|sent| sent.header.window), Some(0));
    host.gets(seg(1001, 9));
    assert_eq!(host.waits(ms(1000)).len(), 0, "the question has arrived: it is not repeated");
    let mut reset = seg(1001, 9);
    reset.flags = Flags::RST;
    host.gets(reset);
    assert_eq!(host.connection.close_reason(), Some(CloseReason::ResetByPeer));
}

/// MUST-60, MUST-61, SHLD-27, SHLD-28.
#[test]
fn push_marks_the_end_of_what_there_is_and_nothing_before() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1000));
    host.writes(&pattern(1000, 1000));
    host.writes(&pattern(2000, 300));
    host.sends(&["A 1+1000 ack 1", "A 1001+1000 ack 1", "PA 2001+300 ack 1"]);
}

/// MUST-65, RFC 7323 §2.2.
#[test]
fn mss_and_window_scale_are_in_syns_only() {
    let mut host = Host::accepting(&settings(), &syn(Offer::ALL));
    let in_syn = host.sends(&["SA 0+0 ack 1"])[0].header.options;
    assert!(in_syn.mss.is_some() && in_syn.window_scale.is_some());
    host.gets(host.stamped(seg(1, 1)));
    host.writes(&pattern(0, 988));
    host.writes(&pattern(988, 500));
    host.gets_payload(host.stamped(seg(1, 1)), &pattern(0, 900));
    let later = host.sent();
    assert!(later.len() > 1);
    assert!(later.iter().all(|sent| sent.header.options.mss.is_none()));
    assert!(later.iter().all(|sent| sent.header.options.window_scale.is_none()));
}

/// MUST-11.
#[test]
fn a_half_open_connection_knows_who_opened_it() {
    let mut reset = seg(1, 1);
    reset.flags = Flags::RST.with(Flags::ACK);

    let mut passive = Host::accepting(&settings(), &syn(PLAIN));
    passive.sends(&["SA 0+0 ack 1"]);
    passive.gets(reset);
    assert_eq!(passive.connection.close_reason(), Some(CloseReason::ResetByPeer));

    let mut active = Host::connecting(&settings(), PLAIN);
    active.sends(&["S 0+0"]);
    active.gets(syn(PLAIN));
    assert_eq!(active.connection.state(), State::SynReceived);
    active.sent();
    active.gets(reset);
    assert_eq!(active.connection.close_reason(), Some(CloseReason::Refused));
}
