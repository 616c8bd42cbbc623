//! Connections that are opened by a SYN with payload (RFC 7413 §4.2).

use super::host::*;
use crate::tcp::{Disposition, DropReason, LegSettings, State};
use crate::wire::tcp::{FastOpen, Flags, TcpHeader};

const REQUEST: &[u8] = b"GET /";

fn opened_early(settings: &LegSettings) -> Host {
    let mut host = Host::accepting(settings, &syn(PLAIN));
    let chunk = chunk(&mut host.pool, host.now, REQUEST);
    host.with(|connection, cx| connection.open_early(cx, chunk));
    assert_eq!(host.counters.fast_opens, 1);
    host
}

#[test]
fn the_syn_ack_acknowledges_the_payload_of_the_syn() {
    let mut host = opened_early(&settings());
    assert_eq!(host.reads(), REQUEST);
    host.sends(&["SA 0+0 ack 6"]);
    host.now += ms(20);
    host.gets(seg(6, 1));
    assert_eq!(host.connection.state(), State::Established);
    assert_eq!(host.connection.srtt(), Some(ms(20)));
    host.sends_within(ms(5000), &[]);
}

#[test]
fn an_answer_leaves_before_the_handshake_is_over() {
    let mut host = opened_early(&settings());
    host.sends(&["SA 0+0 ack 6"]);
    host.writes(&pattern(0, 1500));
    host.sends(&["A 1+1000 ack 6", "PA 1001+500 ack 6"]);
    host.now += ms(20);
    host.gets(seg(6, 1501));
    assert_eq!(host.connection.state(), State::Established);
    assert_eq!((host.connection.in_flight(), host.held()), (0, 1), "but for the request");
    host.gets_payload(seg(6, 1501), b"more");
    assert_eq!(host.reads(), b"GET /more");
}

#[test]
fn no_more_than_the_initial_window_leaves_early() {
    let mut host = opened_early(&settings());
    for i in 0..40 {
        host.writes(&pattern(i * 1000, 1000));
    }
    // The SYN is in flight too.
    assert_eq!(host.sent().len(), 1 + 9);
    assert!(host.sent().is_empty());
}

#[test]
fn what_was_lost_with_the_syn_ack_is_sent_again_after_it() {
    let mut host = opened_early(&settings());
    host.writes(b"200");
    host.sends(&["SA 0+0 ack 6", "PA 1+3 ack 6"]);
    host.sends_within(ms(1500), &[(1000, "SA 0+0 ack 6")]);
    host.gets(seg(6, 1));
    let again = host.waits(ms(4000));
    assert_eq!(again[0].1.line(), "PA 1+3 ack 6");
    host.gets(seg(6, 4));
    assert_eq!(host.connection.in_flight(), 0);
}

#[test]
fn a_syn_that_comes_again_is_answered_again_and_its_payload_taken_once() {
    let mut host = opened_early(&settings());
    host.sends(&["SA 0+0 ack 6"]);
    for payload in [REQUEST, &[]] {
        host.now += ms(600);
        let again = host.gets_payload(syn(PLAIN), payload);
        assert_eq!(again, Disposition::Dropped(DropReason::SuspectSyn));
        host.sends(&["SA 0+0 ack 6"]);
    }
    host.gets(seg(6, 1));
    assert_eq!(host.reads(), REQUEST);
}

#[test]
fn a_client_that_knows_nothing_of_it_resets_it() {
    let mut host = opened_early(&settings());
    host.writes(b"200");
    host.sent();
    host.gets(TcpHeader { flags: Flags::RST, ..seg(6, 0) });
    assert_eq!(host.connection.state(), State::Closed);
    assert_eq!(host.held(), 0);
}

#[test]
fn the_end_waits_for_the_handshake() {
    let mut host = opened_early(&settings());
    host.writes(b"200");
    host.connection.finish();
    host.sends(&["SA 0+0 ack 6", "PA 1+3 ack 6"]);
    host.gets(seg(6, 4));
    host.sends(&["FA 4+0 ack 6"]);
    assert_eq!(host.connection.state(), State::FinWait1);
}

#[test]
fn an_ack_of_what_was_not_sent_gets_a_reset() {
    let mut host = opened_early(&settings());
    host.writes(b"200");
    host.sends(&["SA 0+0 ack 6", "PA 1+3 ack 6"]);
    for wrong in [0, 5] {
        host.gets(seg(6, wrong));
        host.sends(&[&format!("R {wrong}+0")]);
        assert_eq!(host.connection.state(), State::SynReceived);
    }
}

#[test]
fn what_does_not_fit_the_window_is_left_to_be_sent_again() {
    let mut host = opened_early(&LegSettings { receive_room: 3, ..settings() });
    assert_eq!(host.sends(&["SA 0+0 ack 4"])[0].header.window, 0);
    assert_eq!(host.reads(), b"GET");
}

#[test]
fn the_syn_ack_brings_the_cookie_each_time() {
    let mut host = Host::accepting(&settings(), &syn(SACK));
    host.connection.bring_cookie([7; 8]);
    for sent in [host.sends(&["SA 0+0 ack 1"]).remove(0), host.waits(ms(1000)).remove(0).1] {
        assert_eq!(sent.header.options.fast_open, Some(FastOpen::Cookie([7; 8])));
        assert!(sent.header.options.sack_permitted);
    }
}
