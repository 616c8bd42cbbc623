//! What a path does to packets.

use super::*;
use crate::appliance::ecn::{CAPABLE, MARKED, NOT_CAPABLE};
use crate::appliance::packet::{ecn_of, set_ecn};

/// A network that is bad on the way to the appliance only.
fn bad_up(up: PathSettings) -> Line {
    Line::new(NetworkSettings { up, ..NetworkSettings::default() })
}

fn numbers(arrivals: &[(Duration, Arrival)]) -> Vec<u32> {
    arrivals.iter().map(|(_, arrival)| read(arrival).seq).collect()
}

#[test]
fn each_direction_has_a_rate_and_a_delay_of_its_own() {
    // 8 Mbit/s: an octet takes a microsecond. 1000 octets of IP.
    let path = |rate_bps, delay| PathSettings {
        rate_bps,
        queue_octets: 3000,
        delay: ms(delay),
        ..PathSettings::default()
    };
    let (up, down) = (path(8_000_000, 10), path(800_000, 1));
    let mut line = Line::new(NetworkSettings { up, down, ..NetworkSettings::default() });
    for number in 0..5 {
        line.send(super::up(number, 960).build());
        line.send(super::down(number, 960).build());
    }
    let arrived: Vec<_> = line.rest().iter().map(|(at, each)| (*at, read(each).seq)).collect();
    let expected = [(11, 0), (11, 0), (12, 1), (13, 2), (21, 1), (31, 2)];
    assert_eq!(arrived, expected.map(|(at, number)| (ms(at), number)));
    assert_eq!((line.figures().up.dropped, line.figures().down.dropped), (2, 2));
}

#[test]
fn packets_are_lost_and_doubled_as_often_as_they_should() {
    let loss = Loss::Random { ppm: 100_000 };
    let mut line = bad_up(PathSettings { loss, duplicate_ppm: 50_000, ..PathSettings::default() });
    for number in 0..10_000 {
        line.send(up(number, 0).build());
    }
    let arrived = numbers(&line.rest());
    let figures = line.figures().up;
    assert_eq!(arrived.len() as u64, 10_000 - figures.lost + figures.duplicated);
    assert!((900..1100).contains(&figures.lost), "{figures:?}");
    assert!((400..500).contains(&figures.duplicated), "{figures:?}");
    assert!(arrived.is_sorted());
}

#[test]
fn jitter_delays_and_keeps_the_order() {
    let mut line = bad_up(PathSettings { delay: ms(10), jitter: ms(5), ..PathSettings::default() });
    for number in 0..1000 {
        line.wait(Duration::from_micros(100));
        line.send(up(number, 0).build());
    }
    let sent = line.now;
    let arrived = line.rest();
    assert!(numbers(&arrived).is_sorted());
    let first = line.now.since(sent) + arrived[0].0;
    assert!(first < ms(15));
    let together = arrived.windows(2).filter(|two| two[0].0 == two[1].0).count();
    assert!((500..1000).contains(&together), "{together} wait for one in front of them");
}

#[test]
fn a_late_packet_is_overtaken_by_those_that_are_not() {
    let reordering = Reordering { ppm: 100_000, late_by: ms(3) };
    let mut line = bad_up(PathSettings { delay: ms(1), reordering, ..PathSettings::default() });
    for number in 0..1000 {
        line.wait(ms(1));
        line.send(up(number, 0).build());
    }
    let arrived = numbers(&line.rest());
    let late = line.figures().up.late;
    assert!((70..130).contains(&late), "{late}");
    let mut expected = arrived.clone();
    expected.sort_unstable();
    assert_eq!(expected, (0..1000).collect::<Vec<_>>());
    let overtaken =
        |at: usize| arrived[at + 1..].iter().take(5).filter(|n| **n < arrived[at]).count();
    assert!((0..1000).any(|at| overtaken(at) > 0));
    assert!((0..1000).all(|at| overtaken(at) <= 3), "by three at most");
}

#[test]
fn damage_is_such_that_every_host_notices() {
    let mut line = bad_up(PathSettings { corrupt_ppm: 1_000_000, ..PathSettings::default() });
    let mut random = Random::new(3);
    let mut flipped = [0; 64];
    for number in 0..20_000 {
        let sent = up(number, random.below(200) as usize);
        let sent = if number % 2 == 0 { sent } else { over_v6(sent) }.build();
        line.send(sent.clone());
        let [(_, Arrival::AtAppliance(packet))] = &line.rest()[..] else { panic!("one") };
        assert_eq!(packet.len(), sent.len());
        assert_eq!(packet[..14], sent[..14], "no link would deliver it");
        let bits: u32 = packet.iter().zip(&sent).map(|(a, b)| (a ^ b).count_ones()).sum();
        flipped[bits as usize] += 1;
        assert!(Segment::parse(packet).is_err(), "{sent:?}\n{packet:?}");
    }
    assert_eq!(flipped[0], 0);
    assert!(flipped[1] > 8_000 && flipped[2..].iter().sum::<i32>() > 8_000, "{flipped:?}");
    assert_eq!(line.figures().up.corrupted, 20_000);
}

#[test]
fn what_waits_behind_more_than_the_threshold_is_marked_if_it_can_be() {
    let marking = PathSettings {
        rate_bps: 8_000_000,
        queue_octets: 100_000,
        mark_octets: Some(1500),
        ..PathSettings::default()
    };
    for v6 in [false, true] {
        let mut line = bad_up(marking);
        for (number, field) in [2, 2, 2, 1, 0, 3].into_iter().enumerate() {
            let sent = up(number as u32, 940);
            let mut packet = if v6 { over_v6(sent) } else { sent }.build();
            set_ecn(&mut packet, field);
            line.send(packet);
        }
        let arrived = line.rest();
        assert_eq!(numbers(&arrived), [0, 1, 2, 3, 4, 5], "with right checksums");
        let fields: Vec<u8> = arrived
            .iter()
            .map(|(_, arrival)| match arrival {
                Arrival::AtHost(packet) | Arrival::AtAppliance(packet) => ecn_of(packet),
            })
            .collect();
        assert_eq!(fields, [CAPABLE, CAPABLE, MARKED, MARKED, NOT_CAPABLE, MARKED]);
        assert_eq!(line.figures().up.marked, 3);
    }
}

#[test]
fn a_mark_does_not_hide_damage() {
    let mut packet = up(1, 100).build();
    set_ecn(&mut packet, CAPABLE);
    packet[22] ^= 1;
    assert!(octets::mark(&mut packet));
    assert_eq!(Segment::parse(&packet), Err("IPv4 header checksum".to_owned()));
}
