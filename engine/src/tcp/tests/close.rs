use super::host::*;
use crate::tcp::{CloseReason, Offer, State, TimeWaitVerdict};
use crate::wire::tcp::{Flags, SeqNum, TcpHeader, Timestamps};

fn fin(seq: u32, ack: u32) -> TcpHeader {
    let mut header = seg(seq, ack);
    header.flags = header.flags.with(Flags::FIN);
    header
}

#[test]
fn a_silent_peer_is_given_up() {
    let mut host = Host::established(PLAIN);
    host.writes(b"hello?");
    host.sends(&["PA 1+6 ack 1"]);
    let sent = host.waits(ms(3_600_000));
    assert_eq!(sent.len(), 16, "15 times again, and a reset");
    assert_eq!(sent.last().unwrap().1.line(), "RA 7+0 ack 1");
    let gaps: Vec<u64> =
        sent.windows(2).map(|two| (two[1].0 - two[0].0).as_millis() as u64).collect();
    assert_eq!(gaps[..4], [420, 840, 1680, 3360], "backing off");
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut));
    assert_eq!(host.held(), 0);
}

/// A connection in TIME-WAIT: rcv_nxt is 2, snd_nxt is 2.
fn in_time_wait(offer: Offer) -> Host {
    let mut host = Host::established(offer);
    host.connection.finish();
    host.sends(&["FA 1+0 ack 1"]);
    host.gets(host.stamped(fin(1, 2)));
    host.sends(&["A 2+0 ack 2"]);
    host
}

#[test]
fn time_wait_as_a_value_answers_a_repeated_fin() {
    let mut host = in_time_wait(PLAIN);
    let mut rest = host.connection.time_wait().unwrap();
    let before = rest.expires_at();
    host.now += ms(1000);
    let verdict = rest.on_segment(host.now, &fin(1, 2), 0);
    assert_eq!(verdict, TimeWaitVerdict::Acknowledge);
    assert!(rest.expires_at() > before);
    let outgoing = rest.acknowledge(&mut host.pool, host.now).unwrap();
    let (header, _) = TcpHeader::parse(host.pool.bytes(&outgoing.frame)).unwrap();
    assert_eq!((header.sequence, header.acknowledgment), (OUR_ISN + 2, PEER_ISN + 2));
    host.pool.free(outgoing.frame);
    assert_eq!(rest.on_segment(host.now, &fin(1, 2), 0), TimeWaitVerdict::Ignore, "the limit");
}

#[test]
fn time_wait_ignores_resets() {
    let mut host = in_time_wait(PLAIN);
    let mut reset = seg(2, 2);
    reset.flags = Flags::RST;
    let verdict = host.connection.time_wait().unwrap().on_segment(host.now, &reset, 0);
    assert_eq!(verdict, TimeWaitVerdict::Ignore, "RFC 1337");
    host.gets(reset);
    assert_eq!(host.connection.state(), State::TimeWait);
}

#[test]
fn a_later_syn_or_proof_of_a_cookie_may_reopen_time_wait() {
    let reopens = |host: &Host, number: SeqNum, value: Option<u32>| {
        let mut header = syn(PLAIN);
        header.sequence = number;
        header.options.timestamps = value.map(|value| Timestamps { value, echo_reply: 0 });
        let verdict = host.connection.time_wait().unwrap().on_segment(host.now, &header, 0);
        let syn = matches!(verdict, TimeWaitVerdict::Reopen { after } if after.after(OUR_ISN + 2));
        // The ACK of a cookie that answered this SYN.
        let ack = TcpHeader { sequence: number + 1, flags: Flags::ACK, ..header };
        assert_eq!(host.connection.time_wait().unwrap().is_followed_by(&ack), syn);
        syn
    };
    let host = in_time_wait(PLAIN);
    assert!(reopens(&host, PEER_ISN + 3, None), "a later number");
    assert!(!reopens(&host, PEER_ISN + 1, None), "an old duplicate");
    let host = in_time_wait(Offer::ALL);
    assert!(reopens(&host, PEER_ISN, Some(10_000)), "a later timestamp, RFC 6191");
    assert!(!reopens(&host, PEER_ISN + 1000, Some(50)), "an earlier timestamp");
}
