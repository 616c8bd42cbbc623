//! ECN by script: RFC 3168 §6.1 sentence by sentence, and the echo of RFC 8257.

use super::host::*;
use crate::tcp::congestion::Algorithm;
use crate::tcp::{EcnPolicy, LegSettings, Offer};
use crate::wire::ip::Ecn::{self, Capable0, CongestionExperienced, NotCapable};
use crate::wire::tcp::{Flags, TcpHeader};

const SETUP: Flags = Flags(Flags::ECE.0 | Flags::CWR.0);

fn with_policy(ecn: EcnPolicy) -> LegSettings {
    LegSettings { ecn, ..settings() }
}

fn flagged(mut header: TcpHeader, flags: Flags) -> TcpHeader {
    header.flags = header.flags.with(flags);
    header
}

/// The flags that are not ECN's are left out.
fn ecn_flags(sent: &Sent) -> Flags {
    Flags(sent.header.flags.0 & SETUP.0)
}

/// A connection that the peer has opened, and asked for ECN.
fn established_with_ecn(offer: Offer) -> Host {
    asked_with(&settings(), offer)
}

fn asked_with(settings: &LegSettings, offer: Offer) -> Host {
    let mut host = Host::accepting(settings, &flagged(syn(offer), SETUP));
    host.sent();
    host.now += ms(10);
    host.gets(host.stamped(seg(1, 1)));
    host.sends(&[]);
    assert!(host.connection.ecn_in_force());
    host
}

/// Queues full segments, and sends as many as the window takes; returns how many.
fn fills_its_window(host: &mut Host) -> u32 {
    for i in 0..40 {
        host.writes(&pattern(i * 1000, 1000));
    }
    host.sent().len() as u32
}

#[test]
fn a_client_that_asks_is_agreed_with_unless_the_leg_has_none() {
    for (policy, agrees) in
        [(EcnPolicy::Off, false), (EcnPolicy::Accept, true), (EcnPolicy::Ask, true)]
    {
        for (asked, bits) in [(SETUP, agrees), (Flags::ECE, false), (Flags::CWR, false)] {
            let mut host = Host::accepting(&with_policy(policy), &flagged(syn(PLAIN), asked));
            let sent = host.sends(&["SA 0+0 ack 1"]);
            let answer = if bits { Flags::ECE } else { Flags(0) };
            assert_eq!(ecn_flags(&sent[0]), answer, "{policy:?} {asked:?}");
            assert_eq!(sent[0].ecn, NotCapable, "RFC 3168 §6.1.1: no SYN-ACK is capable");
            host.gets(seg(1, 1));
            assert_eq!(host.connection.ecn_in_force(), bits);
        }
    }
}

#[test]
fn an_origin_is_asked_only_where_the_leg_says_so() {
    for (policy, asks) in
        [(EcnPolicy::Off, false), (EcnPolicy::Accept, false), (EcnPolicy::Ask, true)]
    {
        // RFC 3168 §6.1.1: both bits in the answer are a reflection, not an agreement.
        for (answer, agrees) in [(Flags::ECE, asks), (SETUP, false), (Flags(0), false)] {
            let mut host = Host::connecting(&with_policy(policy), PLAIN);
            let sent = host.sends(&["S 0+0"]);
            assert_eq!(ecn_flags(&sent[0]), if asks { SETUP } else { Flags(0) });
            assert_eq!(sent[0].ecn, NotCapable);
            let mut syn_ack = flagged(syn(PLAIN), Flags::ACK.with(answer));
            syn_ack.acknowledgment = OUR_ISN + 1;
            host.gets(syn_ack);
            host.sends(&["A 1+0 ack 1"]);
            assert_eq!(host.connection.ecn_in_force(), agrees, "{policy:?} {answer:?}");
        }
    }
}

#[test]
fn a_syn_that_is_not_answered_is_sent_again_without_asking() {
    let mut host = Host::connecting(&with_policy(EcnPolicy::Ask), PLAIN);
    assert_eq!(ecn_flags(&host.sends(&["S 0+0"])[0]), SETUP);
    let again = host.waits(ms(1000));
    assert_eq!(again.len(), 1);
    assert_eq!(ecn_flags(&again[0].1), Flags(0), "RFC 3168 §6.1.1.1");
    let mut syn_ack = flagged(syn(PLAIN), Flags::ACK.with(Flags::ECE));
    syn_ack.acknowledgment = OUR_ISN + 1;
    host.gets(syn_ack);
    assert!(!host.connection.ecn_in_force(), "a SYN without has been sent");
    host.sent();
}

#[test]
fn a_client_that_asks_no_more_gets_an_answer_without() {
    let mut host = Host::accepting(&settings(), &flagged(syn(PLAIN), SETUP));
    assert_eq!(ecn_flags(&host.sends(&["SA 0+0 ack 1"])[0]), Flags::ECE);
    host.now += ms(600);
    host.gets(syn(PLAIN));
    assert_eq!(ecn_flags(&host.sends(&["SA 0+0 ack 1"])[0]), Flags(0));
    host.gets(seg(1, 1));
    assert!(!host.connection.ecn_in_force());
}

#[test]
fn two_that_open_at_once_agree_if_both_ask() {
    for (policy, agrees) in [(EcnPolicy::Ask, true), (EcnPolicy::Accept, false)] {
        let mut host = Host::connecting(&with_policy(policy), PLAIN);
        host.sends(&["S 0+0"]);
        host.gets(flagged(syn(PLAIN), SETUP));
        let sent = host.sends(&["SA 0+0 ack 1"]);
        assert_eq!(ecn_flags(&sent[0]), if agrees { Flags::ECE } else { Flags(0) });
        host.gets(seg(1, 1));
        assert_eq!(host.connection.ecn_in_force(), agrees);
    }
}

#[test]
fn only_new_payload_is_capable() {
    let mut host = established_with_ecn(PLAIN);
    host.writes(&pattern(0, 100));
    assert_eq!(host.sends(&["PA 1+100 ack 1"])[0].ecn, Capable0);
    let again = host.waits(ms(400));
    assert_eq!(again[0].1.line(), "PA 1+100 ack 1");
    assert_eq!(again[0].1.ecn, NotCapable, "RFC 3168 §6.1.5: a retransmission");
    host.gets(seg(1, 101));
    host.gets_payload(seg(1, 101), b"x");
    host.waits(ms(100)).iter().for_each(|(_, sent)| assert_eq!(sent.ecn, NotCapable, "an ACK"));
    host.connection.finish();
    assert_eq!(host.sends(&["FA 101+0 ack 2"])[0].ecn, NotCapable, "FIN alone");
    host.gets(seg(2, 102));

    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 100));
    assert_eq!(host.sends(&["PA 1+100 ack 1"])[0].ecn, NotCapable, "nobody asked");
}

#[test]
fn a_window_probe_is_not_capable() {
    let mut host = established_with_ecn(PLAIN);
    host.gets(TcpHeader { window: 0, ..seg(1, 1) });
    host.writes(b"patience");
    host.sends(&[]);
    let probes = host.waits(ms(2000));
    assert!(!probes.is_empty());
    probes.iter().for_each(|(_, sent)| assert_eq!(sent.ecn, NotCapable, "RFC 3168 §6.1.6"));
}

#[test]
fn a_mark_is_echoed_until_the_peer_has_reduced_its_window() {
    let mut host = established_with_ecn(PLAIN);
    let mut at = 1;
    let mut arrives = |host: &mut Host, flags: Flags, ecn: Ecn| {
        host.gets_packet(flagged(seg(at, 1), flags), &pattern(0, 1000), ecn);
        at += 1000;
        let sent = host.sends(&[&format!("A 1+0 ack {at}")]);
        host.reads();
        ecn_flags(&sent[0])
    };
    assert_eq!(arrives(&mut host, Flags(0), Capable0), Flags(0));
    assert_eq!(arrives(&mut host, Flags(0), CongestionExperienced), Flags::ECE);
    assert_eq!(arrives(&mut host, Flags(0), Capable0), Flags::ECE, "RFC 3168 §6.1.3: until CWR");
    assert_eq!(arrives(&mut host, Flags::CWR, Capable0), Flags(0));
    assert_eq!(arrives(&mut host, Flags::CWR, CongestionExperienced), Flags::ECE, "a new mark");
    assert_eq!(arrives(&mut host, Flags::CWR, NotCapable), Flags(0));
    assert_eq!(host.counters.ce_received, 2);
}

#[test]
fn the_echo_rides_on_payload_and_on_fin() {
    let mut host = established_with_ecn(PLAIN);
    host.gets_packet(seg(1, 1), b"ask", CongestionExperienced);
    host.writes(b"answer");
    let sent = host.sends(&["PA 1+6 ack 4"]);
    assert_eq!((ecn_flags(&sent[0]), sent[0].ecn), (Flags::ECE, Capable0));
    host.connection.finish();
    assert_eq!(ecn_flags(&host.sends(&["FA 7+0 ack 4"])[0]), Flags::ECE);
}

#[test]
fn a_mark_on_a_lone_small_segment_is_echoed_at_once() {
    let mut host = established_with_ecn(PLAIN);
    host.gets_packet(seg(1, 1), b"x", CongestionExperienced);
    assert_eq!(ecn_flags(&host.sends(&["A 1+0 ack 2"])[0]), Flags::ECE, "not after 40 ms");
}

#[test]
fn marks_that_cannot_be_are_not_echoed() {
    // Nobody has agreed.
    let mut host = Host::established(PLAIN);
    host.gets_packet(seg(1, 1), &pattern(0, 1000), CongestionExperienced);
    assert_eq!(ecn_flags(&host.sends(&["A 1+0 ack 1001"])[0]), Flags(0));
    assert_eq!(host.counters.ce_received, 1, "but counted");

    let mut host = established_with_ecn(PLAIN);
    host.gets_payload(seg(1, 1), &pattern(0, 1000));
    host.sends(&["A 1+0 ack 1001"]);
    // RFC 3168 §6.1.5: outside of the window, and what had arrived before.
    for outside in [70_000, 1] {
        host.gets_packet(seg(outside, 1), &pattern(0, 1000), CongestionExperienced);
        assert_eq!(ecn_flags(&host.sends(&["A 1+0 ack 1001"])[0]), Flags(0), "{outside}");
    }
    host.gets_packet(seg(1001, 1), &[], CongestionExperienced);
    host.gets_payload(seg(1001, 1), &pattern(0, 1000));
    assert_eq!(ecn_flags(&host.sends(&["A 1+0 ack 2001"])[0]), Flags(0), "a marked pure ACK");
}

#[test]
fn a_mark_behind_a_gap_is_echoed() {
    let mut host = established_with_ecn(SACK);
    host.gets_packet(seg(1001, 1), &pattern(0, 1000), CongestionExperienced);
    let sent = host.sends(&["A 1+0 ack 1 sack 1001-2001"]);
    assert_eq!(ecn_flags(&sent[0]), Flags::ECE);
}

#[test]
fn an_echo_halves_the_window_once_for_a_window_of_data() {
    let mut host = established_with_ecn(PLAIN);
    assert_eq!(fills_its_window(&mut host), 10);
    host.gets(flagged(seg(1, 1001), Flags::ECE));
    assert_eq!(host.connection.congestion_window(), 5000);
    host.sends(&[]);
    // The peer has not heard of it yet.
    let mut told = Vec::new();
    for acked in 2..=10 {
        host.gets(flagged(seg(1, 1 + acked * 1000), Flags::ECE));
        assert!(host.connection.congestion_window() >= 5000, "{acked} acknowledged");
        for sent in host.sent() {
            told.push(ecn_flags(&sent));
            assert_eq!(sent.ecn, Capable0);
        }
    }
    assert_eq!(told[0], Flags::CWR, "the first new payload says so, and no other");
    assert!(told.len() > 2 && told[1..].iter().all(|flags| *flags == Flags(0)), "{told:?}");
    assert_eq!((host.counters.ece_received, host.counters.cwr_sent), (10, 1));
    assert_eq!(host.counters.retransmitted, 0, "nothing was lost");
    // What was sent after the reduction is acknowledged with an echo: congestion goes on.
    let window = host.connection.congestion_window();
    host.gets(flagged(seg(1, 11_001), Flags::ECE));
    assert!(host.connection.congestion_window() <= window / 2 + 1000);
    host.sent();
}

#[test]
fn an_echo_on_payload_of_the_peer_counts_too() {
    let mut host = established_with_ecn(PLAIN);
    fills_its_window(&mut host);
    host.gets_payload(flagged(seg(1, 1), Flags::ECE), b"bulk");
    assert_eq!(host.connection.congestion_window(), 5000);
}

#[test]
fn an_echo_that_nobody_agreed_to_is_no_news() {
    let mut host = Host::established(PLAIN);
    fills_its_window(&mut host);
    host.gets(flagged(seg(1, 1001), Flags::ECE));
    assert!(host.connection.congestion_window() >= 10_000);
    let sent = host.sent();
    assert!(!sent.is_empty() && sent.iter().all(|sent| ecn_flags(sent) == Flags(0)));
}

#[test]
fn an_echo_while_a_loss_is_repaired_reduces_nothing_more() {
    let mut host = established_with_ecn(PLAIN);
    fills_its_window(&mut host);
    for _ in 0..3 {
        host.gets(seg(1, 1));
        host.sent();
    }
    let window = host.connection.congestion_window();
    assert!(window < 10_000, "fast recovery");
    host.gets(flagged(seg(1, 1), Flags::ECE));
    assert_eq!(host.connection.congestion_window(), window);
    let mut sent = host.sent();
    let all = host.connection.send_next() - OUR_ISN;
    host.gets(flagged(seg(1, all), Flags::ECE));
    sent.extend(host.sent());
    // RFC 3168 §6.1.2: a reduction for whatever reason is told.
    let told: Vec<_> = sent.iter().map(ecn_flags).collect();
    assert_eq!(told[0], Flags::CWR);
    assert!(told[1..].iter().all(|flags| *flags == Flags(0)), "{told:?}");
    assert!(host.connection.congestion_window() >= window, "the echo is of the same window");
}

#[test]
fn a_timeout_is_told_and_its_window_reduced_no_further() {
    let mut host = established_with_ecn(PLAIN);
    fills_its_window(&mut host);
    let again = host.waits(ms(400));
    assert_eq!(ecn_flags(&again[0].1), Flags(0), "CWR is for new payload");
    assert_eq!(host.connection.congestion_window(), 1000);
    host.gets(flagged(seg(1, 10_001), Flags::ECE));
    assert!(host.connection.congestion_window() >= 1000);
    let told: Vec<_> = host.sent().iter().map(ecn_flags).collect();
    assert_eq!(told[0], Flags::CWR);
}

#[test]
fn the_fast_path_takes_marks_and_echoes() {
    let mut host = established_with_ecn(Offer::ALL);
    host.writes(&pattern(0, 1000));
    host.sent();
    assert!(!host.connection.disorder);
    let header = host.stamped(flagged(seg(1, 501), Flags::ECE));
    host.gets_packet(header, b"both", CongestionExperienced);
    assert!(!host.connection.disorder, "nothing is out of order for it");
    assert_eq!((host.counters.ece_received, host.counters.ce_received), (1, 1));
    host.writes(b"answer");
    assert_eq!(ecn_flags(&host.sends(&["PA 1001+6 ack 5"])[0]), SETUP, "an echo, and an answer");
}

fn dctcp() -> LegSettings {
    LegSettings { congestion: Algorithm::Dctcp, ..settings() }
}

#[test]
fn a_leg_with_dctcp_asks_unless_it_may_not() {
    for (ecn, asks) in [(EcnPolicy::Off, false), (EcnPolicy::Accept, true), (EcnPolicy::Ask, true)]
    {
        let mut host = Host::connecting(&LegSettings { ecn, ..dctcp() }, PLAIN);
        let flags = if asks { SETUP } else { Flags(0) };
        assert_eq!(ecn_flags(&host.sends(&["S 0+0"])[0]), flags, "{ecn:?}");
    }
}

#[test]
fn dctcp_gives_way_by_the_share_of_marks() {
    let mut host = asked_with(&dctcp(), PLAIN);
    // Windows without a mark, so that the estimate has fallen to a quarter.
    let mut acked = 0;
    for _ in 0..20 {
        host.writes(&pattern(0, 1000));
        host.sent();
        host.now += ms(1);
        acked += 1000;
        host.gets(seg(1, 1 + acked));
    }
    fills_its_window(&mut host);
    let window = host.connection.congestion_window();
    host.gets(flagged(seg(1, 1 + acked + 1000), Flags::ECE));
    let after = host.connection.congestion_window();
    assert!(after < window && after > window * 3 / 4, "from {window} to {after}: not by half");
}

#[test]
fn echoes_of_dctcp_follow_the_marks() {
    let mut host = asked_with(&dctcp(), PLAIN);
    host.connection.cold.quick_acks = 0;
    let mut at = 1;
    for (marked, expected) in [
        (false, None),
        (true, Some(Flags::ECE)),
        (true, None),
        (true, Some(Flags::ECE)),
        (false, Some(Flags(0))),
        (false, None),
    ] {
        let ecn = if marked { CongestionExperienced } else { Capable0 };
        host.gets_packet(flagged(seg(at, 1), Flags::CWR), &pattern(0, 600), ecn);
        at += 600;
        host.reads();
        let sent = host.sent();
        // RFC 8257 §3.2: at once where the marks change, else every second segment.
        assert_eq!(sent.first().map(ecn_flags), expected, "at {at}");
    }
}

#[test]
fn with_dctcp_what_is_sent_again_is_capable_too() {
    let mut host = asked_with(&dctcp(), PLAIN);
    host.writes(&pattern(0, 100));
    host.sent();
    let again = host.waits(ms(400));
    assert_eq!((again[0].1.ecn, again[0].1.line().as_str()), (Capable0, "PA 1+100 ack 1"));
}
