mod middleboxes;
mod outages;
mod paths;
mod resets;

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::appliance::packet::{ACK, Link, Options, Segment};
use crate::appliance::rig::{OURS, THEIRS, address, ip, ms};
use crate::appliance::side::Network as _;
use crate::link::Loss;
use middlebox::{Limit, Stripped, Tells};

/// One network, and a time that goes on as packets are sent and arrive.
struct Line {
    internet: Internet,
    now: Instant,
}

impl Line {
    fn new(settings: NetworkSettings) -> Line {
        let mut internet = Internet::new(1);
        internet.add(settings);
        Line { internet, now: Instant::from_millis(1000) }
    }

    fn behind(middlebox: Middlebox) -> Line {
        Line::new(NetworkSettings { middleboxes: vec![middlebox], ..NetworkSettings::default() })
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn send(&mut self, packet: Vec<u8>) {
        match is_from_host(&packet) {
            true => self.internet.take_from_host(self.now, packet),
            false => self.internet.take_from_appliance(self.now, packet),
        }
    }

    fn send_all(&mut self, segments: &[Segment]) {
        segments.iter().for_each(|segment| self.send(segment.build()));
    }

    /// All that will still arrive, and how long after now; then that time has passed.
    fn rest(&mut self) -> Vec<(Duration, Arrival)> {
        let begin = self.now;
        let mut rest = Vec::new();
        while self.internet.under_way() > 0 {
            self.now = self.internet.next_due();
            let arrival = self.internet.arrive(self.now);
            rest.extend(arrival.map(|arrival| (self.now.since(begin), arrival)));
        }
        rest
    }

    /// What came of segments that are sent now, at either end.
    fn pass(&mut self, segments: impl IntoIterator<Item = Segment>) -> Vec<Segment> {
        segments.into_iter().for_each(|segment| self.send(segment.build()));
        self.rest().iter().map(|(_, arrival)| read(arrival)).collect()
    }

    fn figures(&self) -> NetworkFigures {
        self.internet.figures().next().expect("a network").1
    }
}

fn host() -> SocketAddr {
    address("198.51.100.7:30000")
}

fn appliance() -> SocketAddr {
    address("10.10.1.1:80")
}

fn is_from_host(packet: &[u8]) -> bool {
    packet[6..12] == THEIRS[0]
}

fn link(from: End) -> Link {
    let (source, destination) = match from {
        End::Host => (THEIRS[0], OURS[0]),
        End::Appliance => (OURS[0], THEIRS[0]),
    };
    Link { source, destination, tags: None.into() }
}

/// A segment of the connection between [`host`] and [`appliance`].
fn segment(from: End, flags: u8, (seq, ack): (u32, u32), len: usize) -> Segment {
    let (source, destination) = match from {
        End::Host => (host(), appliance()),
        End::Appliance => (appliance(), host()),
    };
    Segment {
        link: link(from),
        source,
        destination,
        seq,
        ack,
        flags,
        window: 5000,
        options: Options::default(),
        payload: (0..len).map(|at| (seq as usize + at) as u8).collect(),
    }
}

/// Payload that goes to the appliance.
fn up(seq: u32, len: usize) -> Segment {
    segment(End::Host, ACK, (seq, 1), len)
}

fn down(seq: u32, len: usize) -> Segment {
    segment(End::Appliance, ACK, (seq, 1), len)
}

/// The same between addresses of the other family.
fn over_v6(segment: Segment) -> Segment {
    let of_v6 = |address: SocketAddr| {
        let ip = ip(if address.ip() == host().ip() { "2001:db8:99::7" } else { "2001:db8:1::1" });
        SocketAddr::new(ip, address.port())
    };
    let (source, destination) = (of_v6(segment.source), of_v6(segment.destination));
    Segment { source, destination, ..segment }
}

#[track_caller]
fn read(arrival: &Arrival) -> Segment {
    let (Arrival::AtHost(packet) | Arrival::AtAppliance(packet)) = arrival;
    assert_eq!(is_from_host(packet), matches!(arrival, Arrival::AtAppliance(_)));
    Segment::parse(packet).expect("a sound packet")
}

/// Anything that could be on a cable.
fn any_packet(random: &mut Random, from: End) -> Vec<u8> {
    let seq = random.draw() as u32;
    let len = random.below(1400) as usize;
    let tcp = match from {
        End::Host => up(seq, len),
        End::Appliance => down(seq, len),
    };
    let mut packet = tcp.build();
    match random.below(6) {
        0 => packet = over_v6(tcp).build(),
        1 => packet[12..].fill_with(|| random.draw() as u8),
        2 => packet.truncate(14 + random.below(60) as usize),
        3 => packet[40] ^= 1, // The sequence number.
        _ => {}
    }
    packet
}

#[test]
fn where_nothing_goes_wrong_every_packet_arrives_once_unchanged_after_its_delay() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut internet = Internet::new(seed);
        let delays: Vec<[Duration; 2]> =
            (0..5).map(|_| [(); 2].map(|()| ms(random.below(20)))).collect();
        for (number, [up, down]) in delays.iter().enumerate() {
            let path = |delay| PathSettings { delay, ..PathSettings::default() };
            let (up, down) = (path(*up), path(*down));
            internet.add(NetworkSettings { up, down, ..NetworkSettings::default() });
            internet.place([198, 51, 100, number as u8].into(), number);
        }
        let (mut expected, mut arrived) = (Vec::new(), Vec::new());
        let mut now = Instant::from_millis(10_000);
        for _ in 0..500 {
            now += Duration::from_micros(random.below(300));
            let network = random.below(delays.len() as u64) as usize;
            let placed = SocketAddr::new([198, 51, 100, network as u8].into(), 30_000);
            if random.below(2) == 0 {
                let packet = Segment { source: placed, ..up(random.draw() as u32, 100) }.build();
                internet.take_from_host(now, packet.clone());
                expected.push((now + delays[network][0], Arrival::AtAppliance(packet)));
            } else {
                let packet = Segment { destination: placed, ..down(5, 1460) }.build();
                internet.take_from_appliance(now, packet.clone());
                expected.push((now + delays[network][1], Arrival::AtHost(packet)));
            }
            // What is due is taken now and then, so late.
            while random.below(4) == 0 && internet.next_due() <= now {
                arrived.push((internet.next_due(), internet.arrive(now).expect("it was due")));
            }
        }
        while internet.under_way() > 0 {
            let at = internet.next_due();
            arrived.extend(internet.arrive(at).map(|arrival| (at, arrival)));
        }
        expected.sort_by_key(|(at, _)| *at);
        assert!(arrived == expected, "seed {seed}");
        assert_eq!(internet.next_due(), Instant::FAR_FUTURE);
    }
}

#[test]
fn what_is_no_sound_segment_passes_all_boxes_as_it_is() {
    let stripped = Stripped { timestamps: true, ..Stripped::default() };
    let limit = Limit::Octets(0);
    let boxes = [
        Middlebox::StripOptions(stripped),
        Middlebox::RewriteSequence { of: End::Host, forgets_sack: false },
        Middlebox::ClampWindow { octets: 10 },
        Middlebox::ClampMss { octets: 536 },
        Middlebox::ResetAfter { limit, tells: Tells::Both },
        Middlebox::ForgetIdle { after: ms(0) },
        Middlebox::JoinSegments { within: ms(1) },
        Middlebox::StripPayloadOfSyn,
    ];
    let mut line =
        Line::new(NetworkSettings { middleboxes: boxes.to_vec(), ..NetworkSettings::default() });
    let mut random = Random::new(7);
    for _ in 0..2000 {
        line.wait(ms(1));
        for from in [End::Host, End::Appliance] {
            let packet = any_packet(&mut random, from);
            line.send(packet.clone());
            let arrived = match from {
                End::Host => Arrival::AtAppliance(packet),
                End::Appliance => Arrival::AtHost(packet),
            };
            // Segments of connections that nobody saw begin are among them.
            assert_eq!(line.rest(), [(ms(0), arrived)]);
        }
    }
}

#[test]
fn a_host_that_is_placed_nowhere_is_in_the_first_network() {
    let mut internet = Internet::new(1);
    for (name, delay) in [("near", 1), ("far", 50)] {
        let up = PathSettings { delay: ms(delay), ..PathSettings::default() };
        internet.add(NetworkSettings { name: name.into(), up, ..NetworkSettings::default() });
    }
    internet.place(ip("2001:db8:99::7"), 1);
    let now = Instant::from_millis(1);
    internet.take_from_host(now, over_v6(up(1, 10)).build());
    internet.take_from_host(now, up(2, 10).build());
    assert_eq!(internet.next_due(), now + ms(1));
    assert_eq!(read(&internet.arrive(now + ms(1)).unwrap()).source, host());
    assert_eq!(internet.next_due(), now + ms(50));
    let entered: Vec<_> = internet.figures().map(|(name, f)| (name, f.up.entered)).collect();
    assert_eq!(entered, [("near", 1), ("far", 1)]);
}

/// All that can go wrong, does.
fn terrible() -> NetworkSettings {
    let path = PathSettings {
        delay: ms(5),
        jitter: ms(5),
        reordering: Reordering { ppm: 200_000, late_by: ms(30) },
        loss: Loss::Bursts { ppm: 200_000, length: 3 },
        duplicate_ppm: 200_000,
        corrupt_ppm: 200_000,
        ..PathSettings::default()
    };
    let swallows = Swallows::Over(700);
    NetworkSettings {
        up: path,
        down: path,
        flapping: Some(Flapping { up_for: ms(100), down_for: ms(100) }),
        black_hole: Some(BlackHole { from: ms(0), to: Duration::from_secs(9), swallows }),
        middleboxes: vec![Middlebox::ForgetIdle { after: ms(20) }],
        ..NetworkSettings::default()
    }
}

#[test]
fn the_same_seed_has_the_same_fate_in_store() {
    let arrivals = |seed| {
        let mut internet = Internet::new(seed);
        internet.add(terrible());
        let mut line = Line { internet, now: Instant::from_millis(1000) };
        for number in 0..300 {
            line.wait(ms(1));
            line.send(up(number, 500).build());
            line.send(down(number, 500).build());
        }
        line.rest()
    };
    assert_eq!(arrivals(5), arrivals(5));
    assert_ne!(arrivals(5), arrivals(6));
}

#[test]
fn nothing_is_lost_in_a_network_that_was_healed() {
    let mut line = Line::new(terrible());
    let send = |line: &mut Line, number| {
        line.wait(ms(1));
        let sent = [up(number, 1000), down(number, 1000)];
        line.send_all(&sent);
        sent
    };
    let before: Vec<_> = (0..400).flat_map(|number| send(&mut line, number)).collect();
    assert!(line.rest().len() < before.len() / 2);
    line.internet.heal();
    let sent: Vec<_> = (0..400).flat_map(|number| send(&mut line, number)).collect();
    let arrived: Vec<_> = line.rest().iter().map(|(_, arrival)| read(arrival)).collect();
    for from in [End::Host, End::Appliance] {
        let of_end = |all: &[Segment]| -> Vec<Segment> {
            all.iter().filter(|segment| segment.link == link(from)).cloned().collect()
        };
        assert!(of_end(&sent) == of_end(&arrived), "each once, as it was, in order");
    }
    // And so is one that comes later.
    let healed = line.internet.add(terrible());
    line.internet.place(host().ip(), healed);
    line.wait(ms(60));
    assert_eq!(line.pass([up(1, 1000)]), [up(1, 1000)]);
}
