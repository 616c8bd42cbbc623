//! Boxes that end connections.

use super::*;
use crate::appliance::packet::{FIN, RST, SYN};

fn opening() -> [Segment; 3] {
    [
        segment(End::Host, SYN, (99, 0), 0),
        segment(End::Appliance, SYN | ACK, (499, 100), 0),
        segment(End::Host, ACK, (100, 500), 0),
    ]
}

fn from_host(offset: u32, ack: u32, len: usize) -> Segment {
    segment(End::Host, ACK, (100 + offset, 500 + ack), len)
}

fn from_appliance(offset: u32, ack: u32, len: usize) -> Segment {
    segment(End::Appliance, ACK, (500 + offset, 100 + ack), len)
}

/// A reset by the box, as if from this end.
fn reset(from: End, seq: u32) -> Segment {
    Segment { window: 0, ..segment(from, RST, (seq, 0), 0) }
}

fn opened(middlebox: Middlebox) -> Line {
    let mut line = Line::behind(middlebox);
    assert_eq!(line.pass(opening()), opening());
    line
}

#[test]
fn a_connection_that_carried_too_much_is_reset_where_each_end_believes_it() {
    for (tells, ends) in [
        (Tells::Both, &[End::Host, End::Appliance][..]),
        (Tells::Only(End::Host), &[End::Host]),
        (Tells::Only(End::Appliance), &[End::Appliance]),
    ] {
        let mut line = opened(Middlebox::ResetAfter { limit: Limit::Octets(1000), tells });
        let passes = [from_host(0, 0, 600), from_appliance(0, 0, 400)];
        assert_eq!(line.pass(passes.clone()), passes);
        // The host has 400 octets that it has not acknowledged, and the appliance 600.
        let resets = line.pass([from_host(600, 0, 1)]);
        let expected: Vec<_> = ends
            .iter()
            .map(|end| match end {
                End::Host => reset(End::Appliance, 900),
                End::Appliance => reset(End::Host, 700),
            })
            .collect();
        assert_eq!(resets, expected);
        // Whoever goes on is told again, where it says that it is; or never.
        let again = line.pass([from_host(600, 350, 1), from_appliance(400, 550, 1)]);
        let expected: Vec<_> = ends
            .iter()
            .map(|end| match end {
                End::Host => reset(End::Appliance, 850),
                End::Appliance => reset(End::Host, 650),
            })
            .collect();
        assert_eq!(again, expected);
        let resets = [reset(End::Host, 700), reset(End::Appliance, 900)];
        assert_eq!(line.pass(resets.map(|each| Segment { flags: RST | ACK, ..each })), []);
        // Not even that keeps a network from becoming sound.
        line.internet.heal();
        let told = line.pass([from_host(600, 350, 1), from_appliance(400, 550, 1)]);
        assert_eq!(told, [reset(End::Appliance, 850), reset(End::Host, 650)]);
    }
}

#[test]
fn nobody_is_told_before_there_is_a_number_that_it_would_believe() {
    let limit = Limit::Octets(0);
    let mut line = Line::behind(Middlebox::ResetAfter { limit, tells: Tells::Both });
    let [syn, syn_ack, ack] = opening();
    let early = Segment { payload: vec![1; 100], ..syn };
    assert_eq!(line.pass([early.clone()]), [early]);
    assert_eq!(line.pass([syn_ack.clone()]), [syn_ack]);
    assert_eq!(line.pass([ack]), [reset(End::Appliance, 500), reset(End::Host, 100)]);
}

#[test]
fn what_comes_behind_a_gap_is_not_expected_next() {
    let limit = Limit::Octets(3000);
    let mut line = opened(Middlebox::ResetAfter { limit, tells: Tells::Only(End::Host) });
    let passes =
        [from_appliance(0, 0, 100), from_appliance(200, 0, 1400), from_appliance(1600, 0, 1400)];
    assert_eq!(line.pass(passes.clone()), passes);
    assert_eq!(line.pass([from_appliance(3000, 0, 1400)]), [reset(End::Appliance, 600)]);
}

#[test]
fn a_connection_that_lasts_too_long_is_reset_with_its_next_segment() {
    let limit = Limit::Time(ms(100));
    let mut line = opened(Middlebox::ResetAfter { limit, tells: Tells::Both });
    line.wait(ms(99));
    assert_eq!(line.pass([from_host(0, 0, 10)]), [from_host(0, 0, 10)]);
    line.wait(ms(1));
    let resets = line.pass([from_appliance(0, 10, 10)]);
    assert_eq!(resets, [reset(End::Appliance, 500), reset(End::Host, 110)]);
    // The next of the same ends is another connection; so is one after the network was healed.
    assert_eq!(line.pass([opening()[0].clone()]), [], "the same SYN, late");
    let next = segment(End::Host, SYN, (98, 0), 0);
    assert_eq!(line.pass([next.clone()]), [next]);
    line.wait(ms(200));
    line.internet.heal();
    assert_eq!(line.pass([from_host(0, 0, 10)]), [from_host(0, 0, 10)]);
}

#[test]
fn a_connection_that_was_idle_is_forgotten_and_nobody_is_told() {
    let mut line = opened(Middlebox::ForgetIdle { after: ms(100) });
    for _ in 0..5 {
        line.wait(ms(100));
        assert_eq!(line.pass([from_host(0, 0, 10)]), [from_host(0, 0, 10)]);
    }
    line.wait(ms(101));
    for _ in 0..3 {
        let fin = Segment { flags: ACK | FIN, ..from_appliance(0, 10, 0) };
        assert_eq!(line.pass([from_host(0, 0, 10), fin]), []);
    }
    assert_eq!(line.figures().swallowed, 6);
    let [next, ..] = opening();
    assert_eq!(line.pass([next.clone()]), [next], "a connection of the same ends is known again");
    line.wait(ms(101));
    line.internet.heal();
    assert_eq!(line.pass([from_host(0, 0, 10)]), [from_host(0, 0, 10)]);
}
