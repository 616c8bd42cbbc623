//! What boxes do to the segments of connections that survive them.

use super::*;
use crate::appliance::ecn::CAPABLE;
use crate::appliance::packet::{CWR, ECE, FIN, PSH, SYN, set_ecn};

/// All that a SYN can offer.
fn syn() -> Segment {
    let options = Options {
        mss: Some(1460),
        scale: Some(7),
        sack_permitted: true,
        timestamps: Some((1000, 0)),
        fast_open: Some(vec![1; 8]),
        sack: Vec::new(),
    };
    Segment { options, ..segment(End::Host, SYN | ECE | CWR, (99, 0), 0) }
}

fn syn_ack() -> Segment {
    let options = Options { timestamps: Some((500, 1000)), ..syn().options };
    Segment { options, ..segment(End::Appliance, SYN | ACK | ECE, (499, 100), 0) }
}

/// The connection's segments once it is open.
fn from_host(offset: u32, len: usize) -> Segment {
    segment(End::Host, ACK, (100 + offset, 500), len)
}

fn from_appliance(offset: u32, len: usize) -> Segment {
    segment(End::Appliance, ACK, (500 + offset, 100), len)
}

/// A connection behind a box, which was opened, and how that looked at the ends.
fn opened(middlebox: Middlebox) -> (Line, [Segment; 2]) {
    let mut line = Line::behind(middlebox);
    let mut opening = line.pass([syn()]);
    opening.extend(line.pass([syn_ack()]));
    (line, opening.try_into().expect("two"))
}

#[test]
fn options_are_stripped_from_syns_one_by_one() {
    let nothing = Stripped::default();
    let all = syn().options;
    let cases = [
        (Stripped { timestamps: true, ..nothing }, Options { timestamps: None, ..all.clone() }),
        (Stripped { sack: true, ..nothing }, Options { sack_permitted: false, ..all.clone() }),
        (Stripped { scale: true, ..nothing }, Options { scale: None, ..all.clone() }),
        (Stripped { fast_open: true, ..nothing }, Options { fast_open: None, ..all.clone() }),
        (Stripped { ecn: true, ..nothing }, all),
    ];
    for (stripped, left) in cases {
        let (_, [syn_at_appliance, syn_ack_at_host]) = opened(Middlebox::StripOptions(stripped));
        let timestamps = left.timestamps.and(syn_ack().options.timestamps);
        assert_eq!(syn_ack_at_host.options, Options { timestamps, ..left.clone() });
        assert_eq!(syn_at_appliance.options, left);
        let ecn = if stripped.ecn { 0 } else { ECE };
        assert_eq!(syn_at_appliance.flags, SYN | ecn | if stripped.ecn { 0 } else { CWR });
        assert_eq!(syn_ack_at_host.flags, SYN | ACK | ecn);
    }
}

#[test]
fn sack_blocks_are_stripped_where_sack_was_agreed_on() {
    let stripped = Stripped { sack_blocks: true, ..Stripped::default() };
    let (mut line, opening) = opened(Middlebox::StripOptions(stripped));
    assert!(opening.iter().all(|segment| segment.options.sack_permitted));
    let timestamps = Some((1001, 501));
    let mut reporting = from_host(0, 0);
    reporting.options = Options { timestamps, sack: vec![(600, 700)], ..Options::default() };
    let passed = line.pass([reporting]);
    assert_eq!(passed[0].options, Options { timestamps, ..Options::default() });
}

#[test]
fn the_mss_is_clamped_and_never_raised() {
    for (box_says, expected) in [(1000, 1000), (9000, 1460)] {
        let (_, opening) = opened(Middlebox::ClampMss { octets: box_says });
        assert_eq!(opening.map(|segment| segment.options.mss), [Some(expected); 2]);
    }
    let mut line = Line::behind(Middlebox::ClampMss { octets: 1000 });
    let without = Segment { options: Options::default(), ..syn() };
    assert_eq!(line.pass([without.clone()]), [without]);
}

#[test]
fn each_end_sees_rewritten_numbers_that_agree() {
    for of in [End::Host, End::Appliance] {
        let (mut line, [syn_at_appliance, syn_ack_at_host]) =
            opened(Middlebox::RewriteSequence { of, forgets_sack: false });
        let by = syn_at_appliance.seq.wrapping_sub(99) | syn_ack_at_host.seq.wrapping_sub(499);
        assert_ne!(by, 0);
        let (of_host, of_appliance) = if of == End::Host { (by, 0) } else { (0, by) };
        // What an end acknowledges is what the other has sent.
        let mut acknowledging = from_host(0, 10);
        acknowledging.ack = 500u32.wrapping_add(of_appliance);
        acknowledging.options.sack = vec![(600, 700), (800, 900)]
            .into_iter()
            .map(|(from, to): (u32, u32)| {
                (from.wrapping_add(of_appliance), to.wrapping_add(of_appliance))
            })
            .collect();
        let mut expected = from_host(0, 10);
        expected.seq = 100u32.wrapping_add(of_host);
        expected.options.sack = vec![(600, 700), (800, 900)];
        assert_eq!(line.pass([acknowledging]), [expected]);
        let mut answer = from_appliance(0, 1000);
        answer.ack = 110u32.wrapping_add(of_host);
        answer.options.sack = vec![(120u32.wrapping_add(of_host), 130u32.wrapping_add(of_host))];
        let mut expected = from_appliance(0, 1000);
        (expected.seq, expected.ack) = (500u32.wrapping_add(of_appliance), 110);
        expected.options.sack = vec![(120, 130)];
        assert_eq!(line.pass([answer]), [expected]);
        // The same SYN again looks the same. Of another between the same ends the box cannot know
        // whether the old connection is over, and changes all of them alike.
        assert_eq!(line.pass([syn()]), [syn_at_appliance]);
        assert!(line.pass([syn_ack()]) == [syn_ack_at_host]);
        let next = [Segment { seq: 98, ..syn() }, Segment { seq: 498, ..syn_ack() }];
        let next = line.pass(next.clone());
        let by_next = next[0].seq.wrapping_sub(98) | next[1].seq.wrapping_sub(498);
        assert_eq!(by_next, by);
    }
}

#[test]
fn sack_blocks_stay_foreign_where_the_box_forgets_them() {
    let rewriting = Middlebox::RewriteSequence { of: End::Appliance, forgets_sack: true };
    let (mut line, [_, syn_ack_at_host]) = opened(rewriting);
    let by = syn_ack_at_host.seq.wrapping_sub(499);
    let mut reporting = from_host(0, 0);
    reporting.ack = 500u32.wrapping_add(by);
    reporting.options.sack = vec![(600u32.wrapping_add(by), 700u32.wrapping_add(by))];
    let passed = line.pass([reporting.clone()]);
    assert_eq!((passed[0].ack, &passed[0].options), (500, &reporting.options));
}

#[test]
fn windows_are_clamped_by_the_scale_that_was_agreed_on() {
    let (mut line, opening) = opened(Middlebox::ClampWindow { octets: 4096 });
    assert_eq!(opening.map(|segment| segment.window), [4096; 2], "RFC 7323 §2.2");
    let window = |line: &mut Line, window| {
        let sent = Segment { window, ..from_host(0, 0) };
        line.pass([sent])[0].window
    };
    assert_eq!(window(&mut line, 5000), 4096 >> 7);
    assert_eq!(window(&mut line, 20), 20);
    assert_eq!(window(&mut line, 0), 0);
    // Only one end scales: nobody does.
    let mut line = Line::behind(Middlebox::ClampWindow { octets: 4096 });
    let mut unscaled = syn_ack();
    unscaled.options.scale = None;
    line.pass([syn(), unscaled]);
    assert_eq!(window(&mut line, 5000), 4096);
    // A window smaller than its unit is not shut.
    let (mut line, _) = opened(Middlebox::ClampWindow { octets: 100 });
    assert_eq!(window(&mut line, 5000), 1);
}

#[test]
fn payload_is_split_and_every_part_says_what_is_true_of_it() {
    let (mut line, _) = opened(Middlebox::SplitSegments { octets: 400 });
    let mut sent = from_host(0, 1000);
    sent.flags |= PSH | FIN | CWR;
    sent.options.timestamps = Some((7, 8));
    let part = |offset, len, flags| {
        let part = from_host(offset, len);
        Segment { flags, options: sent.options.clone(), ..part }
    };
    let parts = [part(0, 400, ACK | CWR), part(400, 400, ACK), part(800, 200, ACK | PSH | FIN)];
    assert_eq!(line.pass([sent.clone()]), parts);
    let small = from_host(0, 400);
    assert_eq!(line.pass([small.clone()]), [small]);
    let v6 = line.pass([over_v6(from_appliance(0, 500))]);
    assert_eq!(v6, [over_v6(from_appliance(0, 400)), over_v6(from_appliance(400, 100))]);
}

#[test]
fn payload_of_a_syn_does_not_pass() {
    let mut line = Line::behind(Middlebox::StripPayloadOfSyn);
    let early = Segment { payload: vec![1; 700], ..syn() };
    assert_eq!(line.pass([early.clone()]), [syn()]);
    assert_eq!(line.pass([over_v6(early)]), [over_v6(syn())]);
    assert_eq!(line.pass([from_host(0, 10)]), [from_host(0, 10)]);
}

#[test]
fn segments_that_follow_each_other_are_joined_up_to_the_mss() {
    let (mut line, _) = opened(Middlebox::JoinSegments { within: ms(2) });
    let parts = [from_host(0, 500), from_host(500, 500), from_host(1000, 460), from_host(1460, 9)];
    line.send_all(&parts);
    let rest = line.rest();
    assert_eq!(rest[0], (ms(0), Arrival::AtAppliance(from_host(0, 1460).build())), "is full");
    assert_eq!(rest[1], (ms(2), Arrival::AtAppliance(from_host(1460, 9).build())), "waited");
    assert_eq!(rest.len(), 2);
    // However many join, the first does not wait for longer.
    line.send(from_host(0, 10).build());
    line.wait(ms(1));
    line.send(from_host(10, 10).build());
    assert_eq!(line.rest(), [(ms(1), Arrival::AtAppliance(from_host(0, 20).build()))]);
    // The last word on everything but the sequence number is that of the last.
    let last = Segment { window: 77, flags: ACK | PSH, ack: 600, ..from_host(510, 10) };
    let joined = line.pass([from_host(500, 10), last.clone()]);
    assert_eq!(joined, [Segment { seq: 600, payload: from_host(500, 20).payload, ..last }]);
}

#[test]
fn nothing_is_joined_beyond_the_mtu() {
    let middleboxes = vec![Middlebox::JoinSegments { within: ms(2) }];
    let mut line = Line::new(NetworkSettings { mtu: 940, middleboxes, ..Default::default() });
    line.pass([syn(), syn_ack()]);
    let joined = line.pass([from_host(0, 450), from_host(450, 450), from_host(900, 450)]);
    assert_eq!(joined, [from_host(0, 900), from_host(900, 450)]);
}

#[test]
fn only_what_follows_and_is_alike_is_joined() {
    let (mut line, _) = opened(Middlebox::JoinSegments { within: ms(2) });
    let first = from_host(0, 100);
    let with_sack = Options { sack: vec![(600, 700)], ..Options::default() };
    let apart = [
        from_host(101, 10),
        from_host(0, 100),
        from_host(100, 0),
        from_host(100, 1361),
        Segment { flags: ACK | CWR, ..from_host(100, 10) },
        Segment { ack: 499, ..from_host(100, 10) },
        Segment { options: with_sack, ..from_host(100, 10) },
    ];
    for second in apart {
        let sent = [first.clone(), second];
        assert_eq!(line.pass(sent.clone()), sent, "as they came, in order");
    }
    let mut marked = from_host(100, 10).build();
    set_ecn(&mut marked, CAPABLE);
    line.send(first.build());
    line.send(marked.clone());
    let arrived = line.rest();
    assert_eq!(arrived.last(), Some(&(ms(2), Arrival::AtAppliance(marked))));
    assert_eq!(arrived.len(), 2);
}

#[test]
fn of_acknowledgments_the_last_arrives_and_every_duplicate() {
    let (mut line, _) = opened(Middlebox::ThinAcks { within: ms(2) });
    let ack = |ack| Segment { ack, ..from_host(0, 0) };
    let sent = [ack(1000), ack(2000), ack(3000), ack(3000), ack(3000)];
    assert_eq!(line.pass(sent.clone()), [ack(3000), ack(3000), ack(3000)]);
    assert_eq!(line.figures().swallowed, 2);
    line.send(ack(3500).build());
    line.wait(ms(1));
    line.send(ack(3600).build());
    assert_eq!(line.rest(), [(ms(1), Arrival::AtAppliance(ack(3600).build()))]);
    // What says more is not held, and comes behind what came before it.
    let data = Segment { ack: 4000, ..from_host(0, 10) };
    let mut reporting = ack(5000);
    reporting.options.sack = vec![(6000, 7000)];
    let echoing = Segment { flags: ACK | ECE, ..ack(5000) };
    for more in [data, reporting, echoing] {
        let sent = [ack(3700), more];
        line.send_all(&sent);
        let expected = sent.map(|segment| (ms(0), Arrival::AtAppliance(segment.build())));
        assert_eq!(line.rest()[..2], expected);
    }
}

#[test]
fn each_box_is_met_in_its_turn() {
    // Nearest to the host is the one that splits: the other never sees a large segment.
    let split = Middlebox::SplitSegments { octets: 100 };
    let join = Middlebox::JoinSegments { within: ms(1) };
    for (boxes, expected) in [([split, join], 1), ([join, split], 5)] {
        let middleboxes = boxes.to_vec();
        let mut line = Line::new(NetworkSettings { middleboxes, ..NetworkSettings::default() });
        line.pass([syn(), syn_ack()]);
        assert_eq!(line.pass([from_host(0, 500)]).len(), expected);
        assert_eq!(line.pass([from_appliance(0, 500)]).len(), 6 - expected);
    }
}
