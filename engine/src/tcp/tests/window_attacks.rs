//! Peers that use the window, or what they offer, against us: each costs a bounded amount.

use super::host::*;
use crate::limits::{RTO_MAX, SEND_MSS_MIN};
use crate::tcp::{Disposition, DropReason, LegSettings};

/// Offers windows of `window` octets, acknowledging all that comes, for `rounds`; returns the sizes
/// of what was sent.
fn offers(host: &mut Host, window: u16, rounds: u32) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut acked = 1;
    for _ in 0..rounds {
        let mut header = seg(1, acked);
        header.window = window;
        host.gets(header);
        for (_, sent) in host.waits(ms(10)) {
            acked += sent.payload.len() as u32;
            sizes.push(sent.payload.len());
        }
    }
    sizes
}

#[test]
fn windows_of_an_octet_draw_a_segment_in_a_timeout_not_one_each() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1500));
    host.writes(&pattern(0, 1500));
    let mut first = seg(1, 1);
    first.window = 1;
    host.gets(first);
    host.sends(&[]);
    // Ten seconds; the timeout is 210 ms, and the peer acknowledges at once.
    let sizes = offers(&mut host, 1, 1000);
    assert!(sizes.len() <= 50, "{} segments", sizes.len());
    assert!(sizes.iter().all(|len| *len <= 1));
}

#[test]
fn a_peer_that_reads_by_the_octet_is_offered_no_crumbs() {
    let small = LegSettings { receive_room: 4000, ..settings() };
    let mut host = Host::established_with(&small, PLAIN);
    for i in 0..4 {
        host.gets_payload(seg(1 + i * 1000, 1), &pattern(0, 1000));
    }
    host.sent();
    let mut told = 0;
    for room in 1..=999 {
        // RFC 9293 §3.8.6.2.2: no word of it before it is a segment.
        told += u32::from(host.connection.set_receive_room(4000 + room));
        told += host.sent().len() as u32;
    }
    assert_eq!(told, 0);
    assert!(host.connection.set_receive_room(4000 + 1000));
    assert_eq!(host.sends(&["A 1+0 ack 4001"])[0].header.window, 1000);
}

#[test]
fn a_window_taken_back_below_what_is_in_flight_is_no_negative_one() {
    let mut host = Host::established(PLAIN);
    for i in 0..8 {
        host.writes(&pattern(i * 1000, 1000));
    }
    assert_eq!(host.sent().len(), 8);
    host.writes(&pattern(8000, 1000));
    let mut shrunk = seg(1, 1001);
    shrunk.window = 0;
    host.gets(shrunk);
    host.sends(&[]);
    // RFC 9293 §3.8.6: what lies beyond the edge is not new; it is sent again, not more.
    let sent = host.waits(ms(300));
    assert!(!sent.is_empty());
    for (_, sent) in &sent {
        let seq = sent.header.sequence - OUR_ISN;
        assert!((1001..8001).contains(&seq) || sent.payload.is_empty(), "{}", sent.line());
    }
    let mut open = seg(1, 8001);
    open.window = 5000;
    host.gets(open);
    host.sends(&["PA 8001+1000 ack 1"]);
    host.gets(seg(1, 9001));
    assert_eq!(host.connection.queued_octets(), 0);
}

#[test]
fn a_window_that_goes_back_and_forth_draws_nothing_twice() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 1000));
    host.sent();
    host.writes(&pattern(1000, 1000));
    let mut count = 0;
    for i in 0..200u16 {
        let mut header = seg(1, 1);
        header.window = if i % 2 == 0 { 0 } else { 1000 };
        host.gets(header);
        count += host.sent().len();
    }
    // Duplicates are not: the window changes with each.
    assert_eq!(count, 0);
}

#[test]
fn a_shut_window_is_probed_ever_more_seldom() {
    let mut host = Host::established(PLAIN);
    let mut closed = seg(1, 1);
    closed.window = 0;
    host.gets(closed);
    host.writes(&pattern(0, 1000));
    host.sends(&[]);
    let mut probes = 0;
    let hour_ms = 3_600_000;
    for _ in 0..hour_ms / 100 {
        for (_, sent) in host.waits(ms(100)) {
            assert_eq!(sent.payload.len(), 0, "a probe of the hoarder's takes no payload");
            probes += 1;
            host.gets(closed);
        }
    }
    let by_then = hour_ms / RTO_MAX.as_millis() as u64 + 10;
    assert!((10..=by_then).contains(&probes), "{probes} probes in an hour");
    assert_eq!(host.connection.close_reason(), None, "it lives: RFC 1122 §4.2.2.17");
}

#[test]
fn what_a_hoarder_holds_ends_with_the_user_timeout() {
    let leg = LegSettings { user_timeout: Some(ms(30_000)), ..settings() };
    let mut host = Host::established_with(&leg, PLAIN);
    let mut closed = seg(1, 1);
    closed.window = 0;
    host.gets(closed);
    for i in 0..40 {
        host.writes(&pattern(i * 1500, 1500));
    }
    host.sends(&[]);
    assert_eq!(host.held(), 40);
    for _ in 0..400 {
        host.waits(ms(100));
        host.gets(closed);
    }
    assert_eq!(host.held(), 0);
}

#[test]
fn payload_beyond_the_window_is_refused_however_often_it_comes() {
    let small = LegSettings { receive_room: 2000, ..settings() };
    let mut host = Host::established_with(&small, PLAIN);
    for _ in 0..100 {
        let disposition = host.gets_payload(seg(2001, 1), &pattern(0, 1000));
        assert_eq!(disposition, Disposition::Dropped(DropReason::OutsideWindow));
    }
    assert_eq!(host.held(), 0);
    assert_eq!(host.sent().len(), 1, "one answer to a burst");
}

#[test]
fn the_smallest_mss_bounds_the_packets_of_a_window() {
    let mut header = syn(PLAIN);
    header.options.mss = Some(1);
    let mut host = Host::accepting(&settings(), &header);
    host.sent();
    host.gets(seg(1, 1));
    for i in 0..20 {
        host.writes(&pattern(i * 1500, 1500));
    }
    let sent = host.sent();
    assert!(sent.iter().all(|sent| sent.payload.len() == usize::from(SEND_MSS_MIN)));
    assert_eq!(sent.len(), usize::from(settings().initial_window_segments));
}
