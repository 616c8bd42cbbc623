//! Requirements of RFC 7323 that no other script happens to hold. `docs/tcp` has all of them.

use super::host::*;
use crate::tcp::{CloseReason, Disposition, DropReason, Offer};
use crate::wire::tcp::{Flags, TcpHeader, Timestamps};

fn with_timestamp(mut header: TcpHeader, value: u32) -> TcpHeader {
    header.options.timestamps = Some(Timestamps { value, echo_reply: 0 });
    header
}

fn echo(sent: &Sent) -> u32 {
    sent.header.options.timestamps.expect("timestamps are in force").echo_reply
}

/// §2.2.
#[test]
fn the_window_that_a_syn_offers_is_not_scaled() {
    let mut host = Host::connecting(&settings(), Offer::ALL);
    host.sends(&["S 0+0"]);
    let mut answer = syn(Offer::ALL);
    answer.flags = Flags::SYN.with(Flags::ACK);
    answer.acknowledgment = OUR_ISN + 1;
    answer.window = 900;
    host.gets(answer);
    host.writes(&pattern(0, 900));
    host.writes(&pattern(900, 500));
    host.sends(&["A 1+900 ack 1"]);
    // From here on a unit is four octets.
    let mut later = host.stamped(seg(1, 901));
    later.window = 125;
    host.gets(later);
    host.sends(&["PA 901+500 ack 1"]);
}

/// §3.2.
#[test]
fn timestamps_are_in_every_segment_or_in_none() {
    for (offer, stamped) in [(Offer::ALL, true), (PLAIN, false)] {
        let mut host = Host::established(offer);
        // Unasked for, they change nothing.
        host.gets_payload(with_timestamp(seg(1, 1), 200), b"question");
        host.writes(b"answer");
        host.connection.finish();
        let mut sent = host.sent();
        host.gets_payload(with_timestamp(seg(9, 1), 210), b"more");
        sent.extend(host.waits(ms(3000)).into_iter().map(|(_, sent)| sent));
        assert!(sent.len() >= 4, "an answer, its end, an ACK, and repetitions");
        assert!(sent.iter().all(|sent| sent.header.options.timestamps.is_some() == stamped));
        assert_eq!(host.reads(), b"questionmore");
    }
}

/// §4.3.
#[test]
fn the_echo_is_that_of_the_segment_that_was_waited_for() {
    let mut host = Host::established(Offer::ALL);
    host.gets_payload(with_timestamp(seg(1, 1), 200), &pattern(0, 1000));
    assert_eq!(echo(&host.sent()[0]), 200);
    host.gets_payload(with_timestamp(seg(2001, 1), 210), &pattern(0, 1000));
    assert_eq!(echo(&host.sent()[0]), 200, "behind the gap");
    host.gets_payload(with_timestamp(seg(1001, 1), 220), &pattern(0, 1000));
    assert_eq!(echo(&host.sent()[0]), 220, "in the gap");
    host.waits(ms(100));
    // Two in a row are answered together: by the first one's timestamp.
    host.gets_payload(with_timestamp(seg(3001, 1), 230), &pattern(0, 500));
    host.gets_payload(with_timestamp(seg(3501, 1), 240), &pattern(0, 500));
    assert_eq!(echo(&host.waits(ms(100))[0].1), 230, "a delayed ACK is part of the round trip");
}

/// §5.2.
#[test]
fn a_reset_is_obeyed_whatever_its_timestamp() {
    let mut host = Host::established(Offer::ALL);
    host.gets_payload(with_timestamp(seg(1, 1), 5000), b"x");
    let mut reset = with_timestamp(seg(2, 1), 1);
    reset.flags = Flags::RST;
    host.gets(reset);
    assert_eq!(host.connection.close_reason(), Some(CloseReason::ResetByPeer));
}

/// §5.3: what PAWS compares with is nobody's to set who knows less than the peer (CVE-2005-0356).
#[test]
fn a_timestamp_far_ahead_is_not_believed_of_a_segment_with_an_ack_that_cannot_be() {
    let mut host = Host::established(Offer::ALL);
    let ahead = 1 << 30;
    // The payload reaches over the next number, wherever that is; the ACK is a guess.
    let forged = with_timestamp(seg(1, 50_000), ahead);
    let disposition = host.gets_payload(forged, b"what a stranger says");
    assert_eq!(disposition, Disposition::Dropped(DropReason::BadAcknowledgment));
    let mut without = with_timestamp(seg(1, 1), ahead);
    without.flags = Flags(0);
    host.gets(without);
    host.gets_payload(host.stamped(seg(1, 1)), b"and the peer");
    assert_eq!(host.reads(), b"and the peer");
    assert_eq!(host.counters.paws_rejected, 0);
}
