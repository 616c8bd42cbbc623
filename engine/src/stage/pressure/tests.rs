//! Pressure in virtual time.

use std::time::Duration;

use super::*;

const THRESHOLDS: Thresholds = Thresholds { syn_per_second: 10_000, half_open: 1024 };
const MS: Duration = Duration::from_millis(1);

/// A lane's load in time, looked at every millisecond.
struct Lane {
    pressure: Pressure,
    now: Instant,
    load: Load,
    /// Every change, and when it came after the start.
    changes: Vec<(Duration, bool)>,
}

const START: Instant = Instant::from_millis(5_000);

impl Lane {
    fn new(thresholds: Thresholds) -> Self {
        let pressure = Pressure::new(thresholds);
        Lane { pressure, now: START, load: Load::default(), changes: Vec::new() }
    }

    /// So many SYNs a second for a while.
    fn at_rate(&mut self, syn_per_second: u64, time: Duration) {
        let (start, before) = (self.now, self.load.syns);
        while self.now.since(start) < time {
            self.now += MS;
            let micros = self.now.since(start).as_micros() as u64;
            self.load.syns = before + syn_per_second * micros / 1_000_000;
            assert!(self.pressure.is_due(self.now));
            if let Some(on) = self.pressure.look(self.now, self.load) {
                assert_eq!((on, Some(self.now)), (self.pressure.is_on(), self.pressure.since()));
                self.changes.push((self.now.since(START), on));
            }
        }
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_flood_is_noticed_within_milliseconds_and_a_busy_hour_never() {
    let mut lane = Lane::new(THRESHOLDS);
    lane.at_rate(10_000, secs(3600));
    assert_eq!(lane.changes, []);
    assert_eq!(lane.pressure.since(), None);
    for (rate, within) in [(1_000_000, 2 * MS), (100_000, 12 * MS), (20_000, 101 * MS)] {
        let mut lane = Lane::new(THRESHOLDS);
        lane.at_rate(rate, secs(1));
        let [(after, true)] = lane.changes[..] else { panic!("{rate}: {:?}", lane.changes) };
        assert!(after <= within, "{rate} a second: after {after:?}");
    }
}

#[test]
fn many_at_once_are_no_flood() {
    let mut lane = Lane::new(THRESHOLDS);
    for _ in 0..60 {
        lane.load.syns += 1000;
        lane.at_rate(0, secs(1));
    }
    assert_eq!(lane.changes, []);
}

#[test]
fn it_ends_when_both_have_been_below_half_for_the_time() {
    let mut lane = Lane::new(THRESHOLDS);
    lane.at_rate(50_000, secs(1));
    lane.at_rate(6_000, secs(60));
    assert_eq!(lane.changes.len(), 1, "still more than half");
    lane.load.half_open = 513;
    lane.at_rate(4_000, secs(60));
    assert_eq!(lane.changes.len(), 1, "still more than half of them half open");
    lane.load.half_open = 512;
    lane.at_rate(4_000, PRESSURE_HOLD - 2 * MS);
    assert_eq!(lane.changes.len(), 1);
    lane.at_rate(4_000, 2 * MS);
    assert_eq!(lane.changes.len(), 2);
    assert!(!lane.pressure.is_on());
}

#[test]
fn half_open_connections_alone_are_pressure() {
    let mut lane = Lane::new(THRESHOLDS);
    lane.load.half_open = 1024;
    lane.at_rate(10, secs(1));
    assert_eq!(lane.changes, []);
    lane.load.half_open = 1025;
    lane.at_rate(10, MS);
    assert_eq!(lane.changes, [(secs(1) + MS, true)]);
}

#[test]
fn a_flood_that_comes_and_goes_does_not_make_it_flap() {
    let mut lane = Lane::new(THRESHOLDS);
    for _ in 0..100 {
        lane.at_rate(100_000, Duration::from_millis(50));
        lane.at_rate(0, PRESSURE_HOLD - Duration::from_millis(50));
    }
    assert_eq!(lane.changes.len(), 1, "{:?}", lane.changes);
    lane.at_rate(0, secs(1));
    assert_eq!(lane.changes.len(), 2);
    // However it is done, it takes the whole time for each change back.
    for _ in 0..10 {
        lane.at_rate(1_000_000, 5 * MS);
        lane.at_rate(0, PRESSURE_HOLD + secs(1));
    }
    let spans = lane.changes.windows(2).filter(|pair| pair[0].1).map(|pair| pair[1].0 - pair[0].0);
    assert!(spans.clone().all(|span| span >= PRESSURE_HOLD));
    assert_eq!(spans.count(), 11);
}

#[test]
fn thresholds_at_either_end_are_kept() {
    let mut lane = Lane::new(Thresholds { syn_per_second: 1, half_open: 1 });
    for _ in 0..10 {
        lane.load.syns += 1;
        lane.at_rate(0, secs(1));
    }
    assert_eq!(lane.changes, []);
    lane.load.syns += 2;
    lane.at_rate(0, MS);
    assert!(lane.pressure.is_on());

    let mut lane = Lane::new(Thresholds { syn_per_second: u32::MAX, half_open: u32::MAX });
    lane.load.half_open = 1 << 20;
    lane.at_rate(10_000_000, secs(1));
    assert_eq!(lane.changes, []);
}

#[test]
fn it_is_not_looked_at_more_often_than_need_be() {
    let mut pressure = Pressure::new(THRESHOLDS);
    pressure.look(START, Load::default());
    assert!(!pressure.is_due(START + PRESSURE_INTERVAL / 2));
    assert!(pressure.is_due(START + PRESSURE_INTERVAL));
}
