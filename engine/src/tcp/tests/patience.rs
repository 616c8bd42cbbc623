//! How long a peer that does not answer is waited for: the user timeout, the persist timer,
//! keepalives.

use super::host::*;
use crate::tcp::{CloseReason, Keepalive, LegSettings};

fn impatient() -> LegSettings {
    LegSettings { user_timeout: Some(ms(5000)), ..settings() }
}

#[test]
fn what_is_not_acknowledged_within_the_user_timeout_ends_the_connection() {
    let mut host = Host::established_with(&impatient(), PLAIN);
    host.writes(&pattern(0, 1000));
    host.sent();
    host.waits(ms(4999));
    assert_eq!(host.connection.close_reason(), None);
    let sent = host.waits(ms(1));
    assert_eq!(sent.last().map(|(_, sent)| sent.line()).as_deref(), Some("RA 1001+0 ack 1"));
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut));
    assert_eq!(host.held(), 0);
}

#[test]
fn each_acknowledgment_starts_the_user_timeout_again() {
    let mut host = Host::established_with(&impatient(), PLAIN);
    for i in 0..5 {
        host.writes(&pattern(0, 1000));
        host.waits(ms(4000));
        host.gets(seg(1, 1 + (i + 1) * 1000));
    }
    assert_eq!(host.connection.close_reason(), None);
    host.waits(ms(3_600_000));
    assert_eq!(host.connection.close_reason(), None, "nothing is waited for");
}

#[test]
fn a_window_that_stays_shut_is_waited_for_as_long_as_the_user_timeout() {
    let mut host = Host::established_with(&impatient(), PLAIN);
    let mut closed = seg(1, 1);
    closed.window = 0;
    host.gets(closed);
    host.writes(&pattern(0, 1000));
    host.sends(&[]);
    for _ in 0..49 {
        host.waits(ms(100));
        host.gets(closed);
    }
    assert_eq!(host.connection.close_reason(), None);
    host.waits(ms(100));
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut), "though it answers");
    assert_eq!(host.held(), 0);
}

#[test]
fn a_window_that_opens_by_a_crumb_now_and_then_does_not_extend_the_user_timeout() {
    let mut host = Host::established_with(&impatient(), PLAIN);
    let mut header = seg(1, 1);
    header.window = 0;
    host.gets(header);
    host.writes(&pattern(0, 1000));
    for i in 0..60 {
        header.window = i % 2;
        host.gets(header);
        host.sends(&[]);
        host.waits(ms(100));
    }
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn without_a_user_timeout_a_silent_peer_gets_all_its_retransmissions() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1000));
    host.sent();
    host.waits(ms(300_000));
    assert_eq!(host.connection.close_reason(), None);
    host.waits(ms(1_500_000));
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn the_user_timeout_ends_keepalive_early() {
    let keepalive = Keepalive { idle: ms(2000), interval: ms(1000), probes: 100 };
    let settings = LegSettings { keepalive: Some(keepalive), ..impatient() };
    let mut host = Host::established_with(&settings, PLAIN);
    let probe = "A 0+0 ack 1";
    host.sends_within(
        ms(60_000),
        &[(2000, probe), (3000, probe), (4000, probe), (5000, "RA 1+0 ack 1")],
    );
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn a_handshake_has_its_retries_whatever_the_user_timeout() {
    let brief = LegSettings { user_timeout: Some(ms(100)), handshake_retries: 2, ..settings() };
    let mut host = Host::connecting(&brief, PLAIN);
    host.sends(&["S 0+0"]);
    host.sends_within(ms(60_000), &[(1000, "S 0+0"), (3000, "S 0+0")]);
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut));
}
