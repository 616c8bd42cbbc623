use super::host::*;
use crate::tcp::{CloseReason, Disposition, DropReason, LegSettings, Offer, State};
use crate::wire::tcp::{Flags, SeqNum, TcpHeader, TcpOptions, Timestamps};

fn syn_ack(offer: Offer) -> TcpHeader {
    let mut header = syn(offer);
    header.flags = Flags::SYN.with(Flags::ACK);
    header.acknowledgment = OUR_ISN + 1;
    header
}

#[test]
fn a_syn_is_answered_with_what_it_offered() {
    let mut host = Host::accepting(&LegSettings::default(), &syn(Offer::ALL));
    let sent = host.sends(&["SA 0+0 ack 1"]);
    let options = sent[0].header.options;
    assert_eq!(options.mss, Some(MSS));
    assert_eq!(options.window_scale, Some(8), "16 MB need a shift of 8");
    assert!(options.sack_permitted);
    assert_eq!(options.timestamps, Some(Timestamps { value: 1000, echo_reply: 100 }));
    assert_eq!(sent[0].header.window, 65_535, "a SYN's window is not scaled");
    assert_eq!(host.connection.state(), State::SynReceived);

    let mut host = Host::accepting(&LegSettings::default(), &syn(PLAIN));
    let sent = host.sends(&["SA 0+0 ack 1"]);
    let expected = TcpOptions { mss: Some(MSS), ..TcpOptions::default() };
    assert_eq!(sent[0].header.options, expected, "nothing that was not offered");
}

#[test]
fn the_ack_of_our_syn_establishes_and_needs_no_answer() {
    let mut host = Host::accepting(&settings(), &syn(PLAIN));
    host.sends(&["SA 0+0 ack 1"]);
    host.now += ms(30);
    assert_eq!(host.gets(seg(1, 1)), Disposition::Consumed);
    assert_eq!(host.connection.state(), State::Established);
    host.sends(&[]);
    assert_eq!(host.connection.srtt(), Some(ms(30)));
    host.sends_within(ms(5000), &[]);
}

#[test]
fn payload_on_the_ack_of_our_syn_is_taken() {
    let mut host = Host::accepting(&settings(), &syn(PLAIN));
    host.sends(&["SA 0+0 ack 1"]);
    assert_eq!(host.gets_payload(seg(1, 1), b"GET /"), Disposition::Queued);
    assert_eq!(host.reads(), b"GET /");
}

#[test]
fn a_wrong_ack_of_our_syn_gets_a_reset() {
    let mut host = Host::accepting(&settings(), &syn(PLAIN));
    host.sends(&["SA 0+0 ack 1"]);
    host.gets(seg(1, 77));
    host.sends(&["R 77+0"]);
    assert_eq!(host.connection.state(), State::SynReceived);
}

#[test]
fn connecting_offers_what_it_is_told_to_mirror() {
    let mut host = Host::connecting(&LegSettings::default(), Offer::ALL);
    let sent = host.sends(&["S 0+0"]);
    assert_eq!(sent[0].header.options.window_scale, Some(8));
    assert!(sent[0].header.options.sack_permitted && sent[0].header.options.timestamps.is_some());
    host.now += ms(20);
    host.gets(syn_ack(Offer::ALL));
    assert_eq!(host.connection.state(), State::Established);
    host.sends(&["A 1+0 ack 1"]);
    assert_eq!(host.connection.mss(), MSS - 12, "timestamps take 12 octets of every segment");

    let mut host = Host::connecting(&LegSettings::default(), PLAIN);
    let sent = host.sends(&["S 0+0"]);
    let expected = TcpOptions { mss: Some(MSS), ..TcpOptions::default() };
    assert_eq!(sent[0].header.options, expected);
}

#[test]
fn payload_queued_while_connecting_carries_the_last_ack_of_the_handshake() {
    let mut host = Host::connecting(&settings(), PLAIN);
    host.writes(b"GET / HTTP/1.1");
    host.sends(&["S 0+0"]);
    host.gets(syn_ack(PLAIN));
    host.sends(&["PA 1+14 ack 1"]);
}

#[test]
fn a_peer_without_mss_gets_the_default() {
    let mut bare = syn(PLAIN);
    bare.options = TcpOptions::default();
    let host = Host::accepting(&settings(), &bare);
    assert_eq!(host.connection.mss(), 536);
    let mut tiny = syn(PLAIN);
    tiny.options.mss = Some(1);
    let host = Host::accepting(&settings(), &tiny);
    assert!(host.connection.mss() >= 48, "{}", host.connection.mss());
}

#[test]
fn window_scale_beyond_14_is_14() {
    let mut header = syn(Offer::ALL);
    header.options.window_scale = Some(255);
    let mut host = Host::accepting(&settings(), &header);
    host.sent();
    let mut ack = host.stamped(seg(1, 1));
    ack.window = 1;
    host.gets(ack);
    assert_eq!(host.connection.snd_wnd, 1 << 14);
}

#[test]
fn an_unanswered_syn_is_repeated_and_then_given_up() {
    let mut host = Host::connecting(&settings(), PLAIN);
    host.sends(&["S 0+0"]);
    host.sends_within(
        ms(31_000),
        &[(1000, "S 0+0"), (3000, "S 0+0"), (7000, "S 0+0"), (15_000, "S 0+0"), (31_000, "S 0+0")],
    );
    host.sends_within(ms(60_000), &[]);
    assert_eq!(host.connection.state(), State::Closed);
    assert_eq!(host.connection.close_reason(), Some(CloseReason::TimedOut));
}

#[test]
fn an_unanswered_syn_ack_is_repeated() {
    let mut host = Host::accepting(&settings(), &syn(PLAIN));
    host.sends(&["SA 0+0 ack 1"]);
    host.sends_within(ms(3000), &[(1000, "SA 0+0 ack 1"), (3000, "SA 0+0 ack 1")]);
    host.gets(syn(PLAIN));
    host.sends(&["SA 0+0 ack 1"]);
    host.gets(seg(1, 1));
    assert_eq!(host.connection.state(), State::Established);
}

#[test]
fn a_refused_connection_says_so() {
    let mut host = Host::connecting(&settings(), PLAIN);
    host.sends(&["S 0+0"]);
    let mut reset = seg(0, 1);
    reset.flags = Flags::RST;
    assert_eq!(
        host.gets(reset),
        Disposition::Dropped(DropReason::NoAcknowledgment),
        "a blind reset is not believed"
    );
    reset.flags = Flags::RST.with(Flags::ACK);
    host.gets(reset);
    assert_eq!(host.connection.close_reason(), Some(CloseReason::Refused));
    host.sends(&[]);
}

#[test]
fn an_old_syn_ack_gets_a_reset_and_the_handshake_goes_on() {
    let mut host = Host::connecting(&settings(), Offer::ALL);
    host.sends(&["S 0+0"]);
    let mut old = syn_ack(PLAIN);
    old.acknowledgment = SeqNum(4711);
    host.gets(old);
    let sent = host.sent();
    assert_eq!(sent[0].header.flags, Flags::RST);
    assert_eq!(sent[0].header.options, TcpOptions::default(), "PAWS would discard our timestamp");
    assert_eq!(sent[0].header.sequence, SeqNum(4711));
    // The reset has ended what the peer still had: the SYN follows it, and not a second later.
    host.sends_within(ms(100), &[(2, "S 0+0")]);
    host.gets(syn_ack(PLAIN));
    assert_eq!(host.connection.state(), State::Established);
    host.sends(&["A 1+0 ack 1"]);
}

#[test]
fn simultaneous_open() {
    // RFC 9293 §3.5, figure 8.
    let mut host = Host::connecting(&settings(), PLAIN);
    host.sends(&["S 0+0"]);
    host.gets(syn(PLAIN));
    assert_eq!(host.connection.state(), State::SynReceived);
    host.sends(&["SA 0+0 ack 1"]);
    host.gets(syn_ack(PLAIN));
    host.sends(&["A 1+0 ack 1"]);
    host.gets(seg(1, 1));
    assert_eq!(host.connection.state(), State::Established);
}

#[test]
fn a_syn_ack_syn_sequence_does_not_establish() {
    let mut host = Host::accepting(&settings(), &syn(PLAIN));
    host.sends(&["SA 0+0 ack 1"]);
    for _ in 0..3 {
        host.gets(syn(PLAIN));
        host.gets(syn_ack(PLAIN));
        host.now += ms(600);
    }
    assert_eq!(host.connection.state(), State::SynReceived);
}
