//! What an ACK costs at a large flight, in links that are followed from chunk to chunk.

use super::host::*;
use super::loss::sacked;
use crate::limits::SACK_STEPS_MAX;
use crate::tcp::congestion::WindowBounds;
use crate::tcp::{LegSettings, Offer};

/// Segments in flight, and what each carries: little, so that all fit a window of 256 KiB.
const FLIGHT: u32 = 20_000;
const LEN: u32 = 10;

const SCALED: Offer = Offer { timestamps: false, sack: true, window_scale: true };

/// Where segment `i` begins.
fn edge(i: u32) -> u32 {
    1 + i * LEN
}

fn large_flight() -> Host {
    let window_bounds = WindowBounds { min_segments: u16::MAX, ..WindowBounds::default() };
    let settings = LegSettings { window_bounds, ..settings() };
    let mut host = Host::established_large(&settings, SCALED, FLIGHT as usize + 64);
    for i in 0..FLIGHT {
        host.writes(&pattern((i * LEN) as usize, LEN as usize));
        assert!(host.poll_once().map(|outgoing| host.pool.free(outgoing.frame)).is_some());
    }
    assert_eq!(host.connection.in_flight(), FLIGHT * LEN);
    host.now += ms(10);
    host
}

/// The links that an ACK costs.
fn cost(host: &mut Host, ack: u32, blocks: &[(u32, u32)]) -> u64 {
    let before = host.chunks.steps();
    host.gets(sacked(seg(1, ack), blocks));
    host.chunks.steps() - before
}

/// A peer that has received all but every `nth` segment, one ACK each; the most that one cost.
fn riddle(host: &mut Host, nth: u32) -> u64 {
    let mut most = 0;
    let mut reports: Vec<(u32, u32)> = Vec::new();
    for i in 0..FLIGHT {
        if i % nth == 0 {
            reports.insert(0, (edge(i + 1), edge(i + 1)));
            continue;
        }
        reports[0].1 = edge(i + 1);
        reports.truncate(4);
        most = most.max(cost(host, 1, &reports));
    }
    most
}

#[test]
fn an_ack_costs_what_it_newly_reports_however_many_holes_there_are() {
    let mut host = large_flight();
    let most = riddle(&mut host, 20);
    assert!(most <= 16, "{most} links for one segment");
    let again = host.sent();
    assert_eq!(again.len() as u32, FLIGHT / 20, "every hole once");
    host.connection.check(&host.chunks);

    // The first retransmission is lost, the others arrive: holes close in the middle.
    host.now += ms(10);
    let mut most = 0;
    for hole in (20..FLIGHT - 20).step_by(20) {
        let joined = (edge(hole - 19), edge(hole + 20));
        most = most.max(cost(&mut host, 1, &[joined, (edge(hole + 21), edge(hole + 40))]));
    }
    assert!(most <= 24, "{most} links for one hole");
    host.connection.check(&host.chunks);
    // Cumulatively, it costs what leaves.
    let all = cost(&mut host, edge(FLIGHT), &[]);
    assert!(all <= 4 * u64::from(FLIGHT), "{all}");
    assert_eq!(host.held(), 0);
}

#[test]
fn reports_spread_over_the_whole_flight_cost_a_bounded_walk_each() {
    // A flood: blocks of one segment, as far from each other as can be, each of them new.
    let mut host = large_flight();
    let mut most = 0;
    for i in 0..1000 {
        let far = FLIGHT - 2 - 8 * i;
        let places = [far, 2 + 8 * i, far - 3, 5 + 8 * i];
        let blocks = places.map(|at| (edge(at), edge(at + 1)));
        most = most.max(cost(&mut host, 1, &blocks));
    }
    assert!(most <= 3 * u64::from(SACK_STEPS_MAX), "{most}");
    host.connection.check(&host.chunks);
}

#[test]
fn a_long_outage_is_passed_in_a_few_acks() {
    let mut host = large_flight();
    let beyond = 15_000;
    let mut acks = 0;
    while host.connection.in_flight() == FLIGHT * LEN {
        acks += 1;
        let links = cost(&mut host, 1, &[(edge(beyond), edge(beyond + acks))]);
        assert!(links <= u64::from(SACK_STEPS_MAX) + 16, "{links}");
        assert!(acks < 100, "the report is never reached");
    }
    assert_eq!(acks, beyond / SACK_STEPS_MAX + 1);
    host.gets(sacked(seg(1, 1), &[(edge(beyond), edge(beyond + 100))]));
    let left = (FLIGHT - beyond - 100) * LEN;
    assert_eq!(host.connection.in_flight(), left, "all before it is lost");
    assert_eq!(host.sent().len(), 100, "one again for each that has arrived (PRR)");
}

#[test]
fn an_ack_in_order_costs_the_same_at_any_flight() {
    let mut host = large_flight();
    let links: Vec<u64> = (1..100).map(|i| cost(&mut host, edge(i), &[])).collect();
    assert!(links.iter().all(|links| *links <= 4), "{links:?}");
}
