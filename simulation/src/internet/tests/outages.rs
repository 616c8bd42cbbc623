//! What a network does not take: while it is not there, and what is too big for it.

use super::*;
use crate::appliance::packet;

fn after_a_while(line: &mut Line, segments: &[Segment]) -> Vec<Segment> {
    line.wait(ms(1));
    line.pass(segments.iter().cloned())
}

#[test]
fn a_black_hole_swallows_what_it_is_said_to_for_as_long() {
    let [small_up, large_up, small_down, large_down] =
        [up(1, 100), up(2, 1000), down(3, 100), down(4, 1000)];
    let all = [small_up.clone(), large_up.clone(), small_down.clone(), large_down.clone()];
    let left: [(Swallows, &[&Segment]); 4] = [
        (Swallows::All, &[]),
        (Swallows::Up, &[&small_down, &large_down]),
        (Swallows::Down, &[&small_up, &large_up]),
        (Swallows::Over(140), &[&small_up, &small_down]),
    ];
    for (swallows, left) in left {
        let black_hole = Some(BlackHole { from: ms(10), to: ms(20), swallows });
        let mut line = Line::new(NetworkSettings { black_hole, ..NetworkSettings::default() });
        assert_eq!(line.pass(all.clone()), all, "times count from the first packet");
        line.wait(ms(9));
        for _ in 0..10 {
            let arrived = after_a_while(&mut line, &all);
            assert!(arrived.iter().eq(left.iter().copied()), "{swallows:?}");
        }
        assert_eq!(after_a_while(&mut line, &all), all);
        let figures = line.figures();
        let swallowed = figures.up.swallowed + figures.down.swallowed;
        assert_eq!(swallowed as usize, 10 * (all.len() - left.len()));
    }
}

#[test]
fn a_network_that_flaps_is_there_for_a_part_of_the_time() {
    let flapping = Some(Flapping { up_for: ms(300), down_for: ms(100) });
    let mut line = Line::new(NetworkSettings { flapping, ..NetworkSettings::default() });
    let there: Vec<bool> =
        (0..40_000).map(|_| !after_a_while(&mut line, &[up(1, 0)]).is_empty()).collect();
    assert!(there[..150].iter().all(|there| *there), "it begins up");
    let runs: Vec<&[bool]> = there.chunk_by(|one, next| one == next).collect();
    assert!((80..120).contains(&(runs.len() / 2)), "{}", runs.len());
    for run in &runs[..runs.len() - 1] {
        let about = if run[0] { 300 } else { 100 };
        assert!((about / 2..=about * 3 / 2 + 1).contains(&run.len()), "{}", run.len());
    }
}

/// IP packet of so many octets.
fn of_ip_octets(segment: Segment, octets: usize) -> Segment {
    let headers = if segment.source.is_ipv4() { 40 } else { 60 };
    Segment { payload: vec![7; octets - headers], ..segment }
}

#[test]
fn the_appliance_is_told_of_what_is_too_big_unless_that_is_filtered() {
    for (v6, mtu) in [(false, 1000), (true, 1300)] {
        for filters_icmp in [false, true] {
            let delayed = PathSettings { delay: ms(4), ..PathSettings::default() };
            let mut line = Line::new(NetworkSettings {
                up: delayed,
                down: delayed,
                mtu,
                filters_icmp,
                ..NetworkSettings::default()
            });
            let of = |segment: Segment| if v6 { over_v6(segment) } else { segment };
            let fits = of_ip_octets(of(down(1, 0)), mtu.into());
            let too_big = of_ip_octets(of(down(2, 0)), usize::from(mtu) + 1);
            let of_host = of_ip_octets(of(up(3, 0)), usize::from(mtu) + 1);
            line.send_all(&[fits.clone(), too_big.clone(), of_host]);
            let router = ip(if v6 { "fd99::1" } else { "10.99.0.1" });
            let message = packet::too_big(&too_big.build(), router, mtu);
            let mut expected = vec![(ms(4), Arrival::AtHost(fits.build()))];
            if !filters_icmp {
                expected.push((ms(8), Arrival::AtAppliance(message)));
            }
            assert_eq!(line.rest(), expected);
            let figures = line.figures();
            assert_eq!((figures.too_big, figures.told), (2, u64::from(!filters_icmp)));
        }
    }
}

#[test]
fn ipv6_is_never_too_big_at_1280_octets() {
    let mut line = Line::new(NetworkSettings { mtu: 600, ..NetworkSettings::default() });
    let least = of_ip_octets(over_v6(down(1, 0)), 1280);
    assert_eq!(line.pass([least.clone()]), [least]);
    let over = of_ip_octets(over_v6(down(1, 0)), 1281);
    line.send(over.build());
    let message = packet::too_big(&over.build(), ip("fd99::1"), 1280);
    assert_eq!(line.rest(), [(ms(0), Arrival::AtAppliance(message))]);
}

#[test]
fn nobody_is_told_of_what_no_router_could_quote() {
    let mut line = Line::new(NetworkSettings { mtu: 600, ..NetworkSettings::default() });
    let mut without_df = down(1, 1000).build();
    without_df[20] = 0;
    assert!(packet::fix_checksums(&mut without_df));
    let mut damaged = down(1, 1000).build();
    damaged[24] ^= 1;
    let mut noise = down(1, 1000).build();
    noise[12..].fill(0xff);
    for packet in [without_df, damaged, noise] {
        line.send(packet);
    }
    assert_eq!(line.rest(), []);
    assert_eq!(line.figures().too_big, 3);
}
