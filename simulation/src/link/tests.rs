use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Octets {
    number: u32,
    octets: u32,
    marked: bool,
}

impl Packet for Octets {
    fn octets(&self) -> u32 {
        self.octets
    }

    fn may_be_lost(&self) -> bool {
        true
    }

    fn mark(&mut self) -> bool {
        self.marked = true;
        true
    }
}

const MS: Duration = Duration::from_millis(1);

/// 12 Mbit/s: a packet of 1500 octets takes a millisecond.
fn settings() -> LinkSettings {
    LinkSettings {
        rate_bps: 12_000_000,
        queue_octets: 4 * 1500,
        ..LinkSettings::uncongested(10 * MS)
    }
}

fn packet(number: u32) -> Octets {
    Octets { number, octets: 1500, marked: false }
}

fn fill(link: &mut Link<Octets>, numbers: std::ops::Range<u32>) {
    numbers.for_each(|n| {
        link.take(Instant::ZERO, packet(n));
    });
}

fn arrivals(link: &mut Link<Octets>) -> Vec<(u64, u32)> {
    let mut all = Vec::new();
    loop {
        let at = link.next_arrival();
        match link.deliver(at) {
            Some(packet) => all.push((at.as_millis(), packet.number)),
            None => return all,
        }
    }
}

#[test]
fn packets_leave_at_the_rate_and_what_does_not_fit_the_queue_is_dropped() {
    let mut link = Link::new(settings(), 1);
    let fates: Vec<Fate> = (0..6).map(|n| link.take(Instant::ZERO, packet(n))).collect();
    assert_eq!(fates[3..], [Fate::UnderWay, Fate::Dropped, Fate::Dropped]);
    assert_eq!(arrivals(&mut link), [(11, 0), (12, 1), (13, 2), (14, 3)]);
    let figures = link.figures();
    assert_eq!((figures.sent, figures.dropped, figures.busy), (4, 2, 4 * MS));
    assert_eq!((figures.wait_us_mean(), figures.wait_us_max()), (1500, 3000));
}

#[test]
fn a_queue_drains_with_time() {
    let mut link = Link::new(settings(), 1);
    fill(&mut link, 0..4);
    let later = Instant::from_nanos(1_500_000);
    assert_eq!(link.take(later, packet(4)), Fate::UnderWay);
    assert_eq!(link.queueing(later), Duration::from_micros(3500));
    assert_eq!(link.take(later, packet(5)), Fate::Dropped);
    assert_eq!(link.take(Instant::from_millis(50), packet(6)), Fate::UnderWay);
    assert_eq!(arrivals(&mut link).last(), Some(&(61, 6)));
}

#[test]
fn what_waits_behind_more_than_the_threshold_is_marked() {
    let mut link =
        Link::new(LinkSettings { mark_octets: Some(1500), queue_octets: 9000, ..settings() }, 1);
    fill(&mut link, 0..4);
    let marked: Vec<bool> = (0..4)
        .filter_map(|_| link.deliver(Instant::from_millis(100)))
        .map(|packet| packet.marked)
        .collect();
    assert_eq!(marked, [false, false, true, true]);
    assert_eq!(link.figures().marked, 2);
}

#[test]
fn a_late_packet_is_overtaken() {
    let late = LinkSettings { late_ppm: 200_000, late_by: 5 * MS / 2, ..settings() };
    let mut link = Link::new(LinkSettings { queue_octets: 1 << 30, ..late }, 7);
    fill(&mut link, 0..1000);
    let order = arrivals(&mut link);
    assert_eq!(order.len(), 1000);
    assert!(order.is_sorted_by_key(|(at, _)| *at));
    let overtaken = order.windows(2).filter(|two| two[1].1 < two[0].1).count();
    assert!((100..300).contains(&overtaken), "{overtaken}");
}

/// Mean rate and mean length of a run of losses, in a million packets.
fn observed(loss: Loss, slots: u64) -> (f64, f64) {
    let mut process = LossProcess::new(loss);
    let mut random = Random::new(3);
    let (mut lost, mut runs, mut before) = (0, 0, false);
    for _ in 0..1_000_000 {
        let takes = process.takes(&mut random, slots);
        lost += u32::from(takes);
        runs += u32::from(takes && !before);
        before = takes;
    }
    (f64::from(lost) / 1e6, f64::from(lost) / f64::from(runs.max(1)))
}

#[test]
fn random_and_bursty_losses_have_the_same_mean_and_other_runs() {
    assert_eq!(observed(Loss::None, 1).0, 0.0);
    for ppm in [1_000, 10_000, 50_000] {
        let wanted = f64::from(ppm) / 1e6;
        let (rate, run) = observed(Loss::Random { ppm }, 1);
        assert!((rate / wanted - 1.0).abs() < 0.1 && run < 1.1, "{ppm}: {rate} {run}");
        let (rate, run) = observed(Loss::Bursts { ppm, length: 5 }, 1);
        assert!((rate / wanted - 1.0).abs() < 0.2, "{ppm}: {rate}");
        assert!((4.5..5.5).contains(&run), "{ppm}: runs of {run}");
        let (rate, run) = observed(Loss::Bursts { ppm, length: 5 }, 1000);
        assert!((rate / wanted - 1.0).abs() < 0.2, "{ppm}: {rate} of packets far apart");
        assert!(run < 1.1, "{ppm}: runs of {run} packets far apart");
    }
}

#[test]
fn the_same_seed_loses_the_same_packets() {
    let lossy = LinkSettings { loss: Loss::Random { ppm: 100_000 }, ..settings() };
    let lossy = LinkSettings { queue_octets: 1 << 30, ..lossy };
    let survivors = |seed| {
        let mut link = Link::new(lossy, seed);
        fill(&mut link, 0..500);
        arrivals(&mut link)
    };
    assert_eq!(survivors(5), survivors(5));
    assert_ne!(survivors(5), survivors(6));
}

#[test]
fn a_burst_of_losses_does_not_wait_for_packets_where_there_is_no_rate_either() {
    let loss = Loss::Bursts { ppm: 50_000, length: 5 };
    let runs = |apart: Duration| {
        let mut link = Link::new(LinkSettings { loss, ..LinkSettings::uncongested(MS) }, 3);
        let mut now = Instant::ZERO;
        let lost = (0..100_000).map(|number| {
            now += apart;
            link.take(now, packet(number)) == Fate::Lost
        });
        let lost: Vec<bool> = lost.collect();
        let runs = lost.chunk_by(|one, next| one == next).filter(|run| run[0]).count();
        lost.iter().filter(|lost| **lost).count() as f64 / runs as f64
    };
    assert!(runs(Duration::ZERO) > 4.0);
    assert!(runs(MS) < 1.2);
}
