use super::host::*;
use crate::tcp::{CloseReason, Disposition, DropReason, Keepalive, LegSettings, Offer};

#[test]
fn the_window_offered_follows_what_can_be_taken() {
    let mut host = Host::established(PLAIN);
    host.connection.set_receive_room(10_000);
    host.gets_payload(seg(1, 1), &pattern(0, 1000));
    let sent = host.sends(&["A 1+0 ack 1001"]);
    assert_eq!(sent[0].header.window, 64_535, "what was offered stays offered");
}

#[test]
fn the_right_edge_never_moves_back() {
    let mut host = Host::established(Offer::ALL);
    let mut edge = 0;
    for i in 0..60u32 {
        let header = host.stamped(seg(1 + i * 777, 1));
        host.gets_payload(header, &pattern(0, 777));
        if i % 3 == 0 {
            host.connection.set_receive_room(if i % 2 == 0 { 0 } else { 30_000 });
            host.reads();
        }
        host.now += ms(50);
        for (_, sent) in host.waits(ms(50)) {
            let now = sent.header.acknowledgment - PEER_ISN + u32::from(sent.header.window);
            assert!(now >= edge, "{now} after {edge}");
            edge = now;
        }
    }
}

#[test]
fn a_full_window_closes_and_its_opening_is_told() {
    let small = LegSettings { receive_room: 4000, ..settings() };
    let mut host = Host::established_with(&small, PLAIN);
    for i in 0..4 {
        host.gets_payload(seg(1 + i * 1000, 1), &pattern(0, 1000));
    }
    let sent = host.sends(&["A 1+0 ack 4001"]);
    assert_eq!(sent[0].header.window, 0);
    let beyond = host.gets_payload(seg(4001, 1), b"too much");
    assert_eq!(beyond, Disposition::Dropped(DropReason::OutsideWindow));
    host.sends(&["A 1+0 ack 4001"]);
    assert_eq!(host.reads().len(), 4000);
    assert!(!host.connection.set_receive_room(500), "too little to speak of: silly window");
    host.sends(&[]);
    assert!(host.connection.set_receive_room(4000));
    let sent = host.sends(&["A 1+0 ack 4001"]);
    assert_eq!(sent[0].header.window, 4000);
}

#[test]
fn payload_that_reaches_over_the_edge_is_cut() {
    let small = LegSettings { receive_room: 1500, ..settings() };
    let mut host = Host::established_with(&small, PLAIN);
    host.gets_payload(seg(1, 1), &pattern(0, 1000));
    host.gets_payload(seg(1001, 1), &pattern(1000, 1000));
    assert_eq!(host.reads(), pattern(0, 1500));
    host.sends(&["A 1+0 ack 1501"]);
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    let mut host = Host::established(PLAIN);
    let mut closed = seg(1, 1);
    closed.window = 0;
    host.gets(closed);
    host.writes(&pattern(0, 1000));
    host.sends(&[]);
    let probes = host.waits(ms(2000));
    let lines: Vec<_> = probes.iter().map(|(at, sent)| (at.as_millis(), sent.line())).collect();
    let probe = || "A 0+0 ack 1".to_string();
    assert_eq!(lines, [(210, probe()), (630, probe()), (1470, probe())]);
    host.gets(closed);
    host.gets(seg(1, 1));
    host.sends(&["PA 1+1000 ack 1"]);
}

#[test]
fn a_closed_window_is_probed_for_ever_while_answered() {
    let mut host = Host::established(PLAIN);
    let mut closed = seg(1, 1);
    closed.window = 0;
    host.gets(closed);
    host.writes(&pattern(0, 1000));
    host.sends(&[]);
    for _ in 0..40 {
        assert!(!host.waits(ms(61_000)).is_empty());
        host.gets(closed);
    }
    assert_eq!(host.connection.close_reason(), None);
    host.waits(ms(3_600_000));
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut), "silent now");
}

#[test]
fn a_small_window_is_not_filled_with_crumbs() {
    let mut host = Host::established(PLAIN);
    let mut small = seg(1, 1);
    small.window = 300;
    host.gets(small);
    host.writes(&pattern(0, 1000));
    host.sends(&[]);
    let sent = host.waits(ms(300));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.line(), "A 1+300 ack 1", "after the override timeout");
    host.gets(seg(1, 301));
    host.sends(&["PA 301+700 ack 1"]);
}

#[test]
fn a_peer_that_takes_its_window_back_stops_us() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1000));
    host.sent();
    let mut shrunk = seg(1, 1);
    shrunk.window = 500;
    host.gets(shrunk);
    host.writes(&pattern(1000, 1000));
    host.sends(&[]);
    host.gets(seg(1, 1001));
    host.sends(&["PA 1001+1000 ack 1"]);
}

#[test]
fn an_ack_behind_a_probe_of_a_shut_window_is_heard() {
    let small = LegSettings { receive_room: 1000, ..settings() };
    let mut host = Host::established_with(&small, PLAIN);
    host.writes(&pattern(0, 1000));
    host.sent();
    host.gets_payload(seg(1, 1), &pattern(0, 1000));
    host.sent();
    // A probe with an octet of payload, refused, and the ACK that follows it.
    let probe = host.gets_payload(seg(1001, 1), b"?");
    assert_eq!(probe, Disposition::Dropped(DropReason::OutsideWindow));
    host.sends(&["A 1001+0 ack 1001"]);
    assert_eq!(host.gets(seg(1002, 1001)), Disposition::Consumed);
    assert_eq!(host.connection.queued_octets(), 0, "it has acknowledged what we sent");
    let beyond = host.gets(seg(1003, 1001));
    assert_eq!(beyond, Disposition::Dropped(DropReason::OutsideWindow));
}

#[test]
fn keepalives_find_out_about_a_dead_peer() {
    let keepalive = Keepalive { idle: ms(60_000), interval: ms(10_000), probes: 3 };
    let alive = LegSettings { keepalive: Some(keepalive), ..settings() };
    let mut host = Host::established_with(&alive, PLAIN);
    host.sends_within(ms(60_000), &[(60_000, "A 0+0 ack 1")]);
    host.gets(seg(1, 1));
    let probe = "A 0+0 ack 1";
    host.sends_within(
        ms(100_000),
        &[(60_000, probe), (70_000, probe), (80_000, probe), (90_000, "RA 1+0 ack 1")],
    );
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn a_peer_s_keepalive_is_answered() {
    let mut host = Host::established(PLAIN);
    host.gets_payload(seg(1, 1), b"x");
    host.waits(ms(100));
    host.gets(seg(1, 1));
    host.sends(&["A 1+0 ack 2"]);
}
