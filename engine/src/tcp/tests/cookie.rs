use super::host::*;
use crate::shield::cookie::CookieOptions;
use crate::tcp::{Connection, Disposition, DropReason, LegSettings, Offer, State};
use crate::time::Instant;
use crate::wire::tcp::{Flags, SeqNum, TcpHeader, Timestamps};

/// The cookie's timestamp: our clock goes on from it, over its end.
const BAKED: u32 = u32::MAX - 20;

fn cookie(offer: Offer) -> CookieOptions {
    CookieOptions {
        mss: MSS,
        window_scale: offer.window_scale.then_some(2),
        sack: offer.sack,
        timestamps: offer.timestamps,
        ecn: false,
    }
}

/// The first segment of a client that took the cookie.
fn first(offer: Offer) -> TcpHeader {
    let mut header = seg(1, 1);
    header.options.timestamps =
        offer.timestamps.then_some(Timestamps { value: 100, echo_reply: BAKED });
    header
}

fn proven(settings: &LegSettings, ack: &TcpHeader, cookie: &CookieOptions) -> Host {
    let now = Instant::from_millis(1000);
    Host::new(Connection::accept_cookie(settings, endpoints(), ack, cookie, now), now)
}

fn all_offers() -> impl Iterator<Item = Offer> {
    (0..8).map(|bits| Offer {
        timestamps: bits & 1 != 0,
        sack: bits & 2 != 0,
        window_scale: bits & 4 != 0,
    })
}

#[test]
fn a_proven_connection_is_what_a_handshake_would_have_made_of_it() {
    for offer in all_offers() {
        for settings in [settings(), LegSettings::default()] {
            let mut shaken = Host::accepting(&settings, &syn(offer));
            shaken.sends(&["SA 0+0 ack 1"]);
            let mut ack = first(offer);
            if let Some(timestamps) = &mut ack.options.timestamps {
                timestamps.echo_reply = 1000;
            }
            shaken.gets(ack);
            let mut host = proven(&settings, &first(offer), &cookie(offer));
            assert_eq!(host.gets(first(offer)), Disposition::Consumed);
            assert_eq!(host.connection.state(), State::Established);

            // The cookie's timestamp sets our clock.
            let (now, before) = (host.now, &mut shaken.connection);
            if offer.timestamps {
                assert_eq!((host.connection.clock(now), before.clock(now)), (BAKED, 1000));
            }
            before.ts_offset = host.connection.ts_offset;
            before.cold.endpoints.ts_offset = host.connection.ts_offset;
            // Nobody has seen how long the SYN-ACK took, nor what the window of the SYN was.
            assert_eq!(host.connection.srtt(), None);
            before.cold.rtt = host.connection.cold.rtt.clone();
            if offer.window_scale {
                assert_eq!(before.cold.max_snd_wnd, 65_535 << 2);
            }
            assert_eq!(format!("{:?}", host.connection), format!("{before:?}"), "{offer:?}");
        }
    }
}

#[test]
fn what_the_first_segment_carries_is_taken() {
    for offer in all_offers() {
        let mut host = proven(&settings(), &first(offer), &cookie(offer));
        assert_eq!(host.gets_payload(first(offer), b"GET /"), Disposition::Queued);
        assert_eq!(host.reads(), b"GET /");
        host.writes(b"200");
        let sent = host.sends(&["PA 1+3 ack 6"]);
        let stamped = sent[0].header.options.timestamps;
        assert_eq!(
            stamped,
            offer.timestamps.then_some(Timestamps { value: BAKED, echo_reply: 100 })
        );
    }
}

#[test]
fn payload_and_end_in_one_segment_open_and_half_close() {
    let mut header = first(SACK);
    header.flags = Flags::ACK.with(Flags::FIN);
    let mut host = proven(&settings(), &header, &cookie(SACK));
    assert_eq!(host.gets_payload(header, b"bye"), Disposition::Queued);
    assert_eq!(host.connection.state(), State::CloseWait);
    assert_eq!(host.reads(), b"bye");
    assert!(host.connection.receive_finished());
}

#[test]
fn all_of_the_window_that_the_syn_ack_promised_is_taken() {
    let payload = [7; 1000];
    for offer in all_offers() {
        let settings = LegSettings::default();
        let promised = u32::from(settings.initial_window());
        let mut host = proven(&settings, &first(offer), &cookie(offer));
        // The client fills the window before it hears anything else.
        for at in (0..promised / 1000).map(|n| n * 1000) {
            let header = TcpHeader { sequence: PEER_ISN + 1 + at, ..first(offer) };
            assert_eq!(host.gets_payload(header, &payload), Disposition::Queued, "{at}");
        }
        let rest = promised % 1000;
        let header = TcpHeader { sequence: PEER_ISN + 1 + (promised - rest), ..first(offer) };
        let octets = &payload[..rest as usize];
        assert_eq!(host.gets_payload(header, octets), Disposition::Queued);
        assert_eq!(host.connection.receivable_octets(), promised);
        let beyond = TcpHeader { sequence: PEER_ISN + 2 + promised, ..first(offer) };
        let refused = Disposition::Dropped(DropReason::OutsideWindow);
        assert_eq!(host.gets_payload(beyond, b"x"), refused);
    }
}

#[test]
fn our_clock_never_goes_back_behind_the_cookie() {
    let mut host = proven(&settings(), &first(Offer::ALL), &cookie(Offer::ALL));
    host.gets(first(Offer::ALL));
    let mut last = BAKED;
    for _ in 0..50 {
        host.writes(b"octets");
        for sent in host.sent() {
            let value = sent.header.options.timestamps.expect("agreed on").value;
            assert!(SeqNum(value).at_or_after(SeqNum(last)), "{value} after {last}");
            last = value;
        }
        host.now += ms(1);
        let next = host.connection.send_next() - OUR_ISN;
        let mut ack = seg(1, next);
        ack.options.timestamps = Some(Timestamps { value: 100, echo_reply: last });
        host.gets(ack);
    }
    assert_eq!(last, BAKED.wrapping_add(49), "it ticks in milliseconds");
    assert_eq!(host.connection.srtt(), Some(ms(1)), "payload was the first to be measured");
}

#[test]
fn a_timestamp_that_has_overtaken_the_ack_is_no_harm() {
    // The bare ACK was overtaken by the payload that followed it.
    let mut later = first(Offer::ALL);
    later.options.timestamps = Some(Timestamps { value: 105, echo_reply: BAKED });
    let mut host = proven(&settings(), &later, &cookie(Offer::ALL));
    host.gets_payload(later, b"GET /");
    host.sent();
    assert_eq!(host.gets(first(Offer::ALL)), Disposition::Dropped(DropReason::OldTimestamp));
    assert_eq!(host.connection.state(), State::Established);
    assert_eq!(host.reads(), b"GET /");
}

#[test]
fn a_shut_window_in_the_first_segment_is_probed() {
    let mut shut = first(SACK);
    shut.window = 0;
    let mut host = proven(&settings(), &shut, &cookie(SACK));
    host.gets(shut);
    host.writes(b"patience");
    host.sends(&[]);
    host.sends_within(ms(1000), &[(1000, "A 0+0 ack 1")]);
    host.gets(first(SACK));
    host.sends(&["PA 1+8 ack 1"]);
}

#[test]
fn a_lost_first_segment_of_ours_is_sent_again_after_a_second() {
    // Nothing is known of the round trip, but neither was anything lost (RFC 6298 §2.1, §5.7).
    let mut host = proven(&settings(), &first(SACK), &cookie(SACK));
    host.gets(first(SACK));
    host.writes(b"banner");
    host.sends(&["PA 1+6 ack 1"]);
    host.sends_within(ms(1000), &[(1000, "PA 1+6 ack 1")]);
}
