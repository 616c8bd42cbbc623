//! What the pacer holds back, and what it never does.

use super::host::{Host, SACK, ms, pattern, seg, settings};
use super::loss::sacked;
use crate::tcp::congestion::Algorithm;
use crate::tcp::pacing::Pacing;
use crate::tcp::{LegSettings, OutgoingKind};

/// A paced connection that has just been told, 100 ms after it sent ten segments, that all of them
/// have arrived; thirty more wait.
fn paced(congestion: Algorithm) -> Host {
    let leg = LegSettings { congestion, pacing: Pacing::On, ..settings() };
    let mut host = Host::established_with(&leg, SACK);
    for i in 0..40 {
        host.writes(&pattern(i * 1000, 1000));
    }
    assert_eq!(host.sent().len(), 10, "the initial window leaves at once");
    host.now += ms(100);
    host.gets(seg(1, 10_001));
    host
}

#[test]
fn a_window_is_spread_over_the_round_trip() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr] {
        let mut host = paced(algorithm);
        let window = host.connection.congestion_window() as usize / 1000;
        let at_once = host.sent().len();
        assert!(at_once <= 3, "{algorithm:?}: {at_once} at once");
        let later = host.waits(ms(100));
        // A tail loss probe may be among them, which the window does not hold (RFC 8985 §7.3).
        assert!((window..=window + 1).contains(&(at_once + later.len())), "{algorithm:?}");
        let (last, _) = later.last().expect("more follows");
        assert!(*last > ms(15), "{algorithm:?}: the last after {last:?}");
        let mut bursts: Vec<_> = later.iter().map(|(after, _)| *after).collect();
        bursts.dedup();
        assert!(bursts.len() > 4, "{algorithm:?}: {bursts:?}");
    }
}

#[test]
fn acknowledgments_and_the_first_retransmission_do_not_wait() {
    let mut host = paced(Algorithm::NewReno);
    host.sent();
    host.waits(ms(40));
    host.sends(&[]);
    let next = host.connection.deadline();
    assert!(next < host.now + ms(40), "something is held back until {next:?}");

    host.gets_payload(seg(1, 10_001), &pattern(0, 1000));
    host.gets_payload(seg(1001, 10_001), &pattern(1000, 1000));
    assert_eq!(host.sent().len(), 1, "an acknowledgment");

    for _ in 0..3 {
        host.gets(sacked(seg(2001, 10_001), &[(11_001, 14_001)]));
    }
    let sent = host.sent();
    assert_eq!(sent[0].kind, OutgoingKind::Retransmitted);
    assert_eq!(sent[0].payload, pattern(10_000, 1000));
}

#[test]
fn an_unpaced_leg_sends_its_window_at_once() {
    for (congestion, pacing) in [(Algorithm::Cubic, Pacing::Auto), (Algorithm::Bbr, Pacing::Off)] {
        let leg = LegSettings { congestion, pacing, ..settings() };
        let mut host = Host::established_with(&leg, SACK);
        for i in 0..40 {
            host.writes(&pattern(i * 1000, 1000));
        }
        host.sent();
        host.now += ms(100);
        host.gets(seg(1, 10_001));
        let window = host.connection.congestion_window() as usize / 1000;
        assert_eq!(host.sent().len(), window, "{congestion:?}");
    }
}
