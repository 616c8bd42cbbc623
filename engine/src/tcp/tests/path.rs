//! Segments that are too large for the path: told by ICMP, or nobody says so.

use std::collections::BTreeMap;

use super::host::*;
use crate::limits::BLACK_HOLE_TIMEOUTS;
use crate::tcp::{LegSettings, MtuProbing};
use crate::wire::tcp::{SackBlock, SackBlocks, SeqNum};

/// What has arrived behind gaps, the highest runs first.
fn reports(kept: &BTreeMap<u32, u32>, una: SeqNum) -> SackBlocks {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (&at, &len) in kept {
        match runs.last_mut() {
            Some(run) if run.1 == at => run.1 = at + len,
            _ => runs.push((at, at + len)),
        }
    }
    let mut blocks = SackBlocks::default();
    for &(left, right) in runs.iter().rev().take(3) {
        blocks.push(SackBlock { left: una + left, right: una + right });
    }
    blocks
}

/// Fresh payload without end; every segment is acknowledged at once if the path takes it.
fn transfer(host: &mut Host, fits: usize, segments: usize) -> Vec<usize> {
    let (mut sizes, mut written, mut arrived) = (Vec::new(), 0, 0);
    let mut kept = BTreeMap::new();
    let una = host.connection.acknowledged();
    while sizes.len() < segments {
        while host.connection.queued_octets() < 60_000 {
            host.writes(&pattern(written, 1000));
            written += 1000;
        }
        let mut sent = host.sent();
        if sent.is_empty() {
            // No longer than it takes: whoever waits in the meantime is not answered.
            let until = host.connection.deadline().since(host.now);
            sent = host.waits(until).into_iter().map(|(_, sent)| sent).collect();
        }
        for segment in sent {
            let len = segment.payload.len();
            if len == 0 {
                continue;
            }
            sizes.push(len);
            if len > fits {
                continue;
            }
            kept.insert(segment.header.sequence - una, len as u32);
            while let Some((at, len)) = kept.first_key_value().map(|(at, len)| (*at, *len)) {
                if at > arrived {
                    break;
                }
                arrived = arrived.max(at + len);
                kept.pop_first();
            }
            host.now += ms(1);
            let mut ack = seg(1, 1);
            ack.acknowledgment = una + arrived;
            if host.connection.options_in_force().sack {
                ack.options.sack = reports(&kept, una);
            }
            host.gets(ack);
        }
    }
    sizes
}

fn largest_of_last(sizes: &[usize]) -> usize {
    sizes[sizes.len() - 20..].iter().copied().max().unwrap()
}

#[test]
fn full_segments_that_vanish_are_followed_by_smaller_ones() {
    let mut host = Host::established(PLAIN);
    let sizes = transfer(&mut host, 700, 600);
    let vanished = sizes.iter().filter(|len| **len > 700).count();
    assert!(sizes.contains(&536), "what every path takes");
    assert!((692..=700).contains(&host.connection.mss()), "{}", host.connection.mss());
    assert_eq!(largest_of_last(&sizes), host.connection.mss().into());
    assert!(vanished < 30, "{vanished} of {sizes:?}");
    assert_eq!(host.counters.black_holes, 1);
    assert!(host.counters.timeouts <= u64::from(BLACK_HOLE_TIMEOUTS), "probes cost no timeout");
}

#[test]
fn a_lost_probe_is_no_sign_of_congestion() {
    let leg = LegSettings { mtu_probing: MtuProbing::On, ..settings() };
    for offer in [PLAIN, SACK] {
        let mut host = Host::established_with(&leg, offer);
        // The base is above this host's MSS of 1000: nothing is left to find out.
        transfer(&mut host, 1000, 50);
        assert_eq!(host.counters.mtu_probes, 0);
        host.with(|connection, cx| connection.on_path_mtu(cx, 600));
        host.now += ms(600_000);
        let before = host.connection.congestion_window();
        transfer(&mut host, 600, 600);
        assert!(host.counters.mtu_probes >= 3, "{}", host.counters.mtu_probes);
        assert_eq!(host.counters.timeouts, 0);
        let after = host.connection.congestion_window();
        assert!(after >= before, "{after} after {before}");
        assert!((592..=600).contains(&host.connection.mss()));
    }
}

#[test]
fn a_path_that_widens_is_found_out_about_after_ten_minutes() {
    let mut host = Host::established(PLAIN);
    host.with(|connection, cx| connection.on_path_mtu(cx, 600));
    assert!(transfer(&mut host, 1000, 100).iter().all(|len| *len <= 600));
    host.now += ms(600_000);
    let sizes = transfer(&mut host, 1000, 300);
    assert_eq!(host.counters.mtu_probes, 1);
    assert_eq!(largest_of_last(&sizes), 1000);
    assert_eq!(host.connection.mss(), 1000);
}

#[test]
fn without_probing_a_black_hole_stays_one() {
    let leg = LegSettings { mtu_probing: MtuProbing::Off, data_retries: 5, ..settings() };
    let mut host = Host::established_with(&leg, PLAIN);
    host.writes(&pattern(0, 1000));
    host.sent();
    let sent = host.waits(ms(100_000));
    assert!(sent.len() > usize::from(BLACK_HOLE_TIMEOUTS));
    assert!(sent.iter().all(|(_, sent)| [0, 1000].contains(&sent.payload.len())));
}

#[test]
fn a_segment_that_is_not_full_may_be_too_large_as_well() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 900));
    host.sent();
    let sizes: Vec<_> = host.waits(ms(30_000)).iter().map(|(_, sent)| sent.payload.len()).collect();
    let vanished = sizes.iter().take_while(|len| **len == 900).count();
    assert!(vanished <= usize::from(BLACK_HOLE_TIMEOUTS), "{sizes:?}");
    assert_eq!(sizes[vanished], 536);
    assert_eq!((host.connection.mss(), host.counters.black_holes), (536, 1));
}

#[test]
fn small_segments_that_vanish_say_nothing_about_size() {
    let mut host = Host::established(PLAIN);
    host.writes(&pattern(0, 300));
    host.sent();
    assert!(host.waits(ms(30_000)).len() > usize::from(BLACK_HOLE_TIMEOUTS));
    assert_eq!((host.connection.mss(), host.counters.black_holes), (MSS, 0));
}

#[test]
fn a_link_that_narrows_is_never_probed_beyond() {
    let mut host = Host::established(PLAIN);
    host.with(|connection, cx| connection.on_link_mtu(cx, 700));
    host.now += ms(6_000_000);
    assert!(transfer(&mut host, 1000, 100).iter().all(|len| *len <= 700));
}

#[test]
fn an_offered_mss_is_bounded_below() {
    for (offered, payload) in [(Some(0), 48), (Some(1), 48), (Some(64), 64), (None, 536)] {
        let mut header = syn(PLAIN);
        header.options.mss = offered;
        let mut host = Host::accepting(&settings(), &header);
        host.sent();
        host.gets(seg(1, 1));
        host.writes(&pattern(0, 1000));
        let sent = host.sent();
        assert_eq!(sent[0].payload.len(), payload, "{offered:?}");
        let most = 2 * usize::from(settings().initial_window_segments);
        assert!(sent.len() <= most, "{} segments at once", sent.len());
    }
}

#[test]
fn what_is_offered_may_be_less_than_what_is_sent() {
    let mut host = Host::accepting(&settings(), &syn(PLAIN));
    host.connection.offer_mss_at_most(700);
    let sent = host.sends(&["SA 0+0 ack 1"]);
    assert_eq!(sent[0].header.options.mss, Some(700));
    assert_eq!(host.connection.mss(), MSS);
    let mut host = Host::accepting(&settings(), &syn(PLAIN));
    host.connection.offer_mss_at_most(64);
    let sent = host.sends(&["SA 0+0 ack 1"]);
    assert_eq!(sent[0].header.options.mss, Some(536), "every path takes that");
}
