//! Times the turns of a core.
//!
//! A turn lasts until the next begins, so that to time them all costs no reading of the clock beyond
//! those that a core makes anyway. What the stages take of a turn does cost one at the end of each; so
//! that is measured in one turn of [`SAMPLE_EVERY`].

use super::stamped::ReceivedAt;
use crate::telemetry::{CoreTimes, Measure, Recorders, Stage};
use crate::time::Instant;

/// See the module.
#[derive(Debug)]
pub(super) struct Stopwatch {
    times: CoreTimes,
    /// When the turn began that goes on, or the pause; `None` before the first.
    since: Option<Instant>,
    /// Whether it is to count as busy.
    is_busy: bool,
    /// Whether the stages of this turn are measured.
    is_sampled: bool,
    /// Turns until the next that is.
    until_sample: u32,
    /// When the last stage of this turn ended.
    lap_began: Instant,
    /// When the last look at a port began, and when the turn began to send.
    look_began: Instant,
    sending_began: Instant,
    /// What each stage has taken in this turn, if it is sampled: time [ns] and packets.
    laps: [(u64, u64); Stage::ALL.len()],
}

impl Stopwatch {
    pub(super) fn new() -> Self {
        Stopwatch {
            times: CoreTimes::new(),
            since: None,
            is_busy: false,
            is_sampled: false,
            until_sample: 0,
            lap_began: Instant::ZERO,
            look_began: Instant::ZERO,
            sending_began: Instant::ZERO,
            laps: [(0, 0); _],
        }
    }

    /// A turn begins.
    #[inline]
    pub(super) fn begin(&mut self, now: Instant) {
        self.settle(now);
        self.times.turns += 1;
        self.is_sampled = self.until_sample == 0;
        if self.is_sampled {
            self.until_sample = SAMPLE_EVERY;
            self.lap_began = now;
        }
        self.until_sample -= 1;
    }

    /// A look at a port found so many packets.
    #[inline]
    pub(super) fn burst(&mut self, packets: usize, recorders: &mut Recorders) {
        self.times.bursts[packets] += 1;
        if packets > 0 {
            recorders.record(Measure::Burst, packets as u64);
        }
        self.look_began = self.lap_began;
    }

    /// Those have come to whoever works on them, or into its ring. Called after a stage's lap. What they
    /// have waited in a ring between cores counts by itself.
    #[inline]
    pub(super) fn passed_on(
        &mut self,
        packets: usize,
        received_at: ReceivedAt<'_>,
        recorders: &mut Recorders,
    ) {
        if self.is_sampled && packets > 0 {
            let since = match received_at {
                ReceivedAt::Once(at) => at,
                ReceivedAt::Each(_) => self.look_began,
            };
            let wait = self.lap_began.since(since).as_nanos() as u64;
            recorders.record_n(Measure::RxWait, wait, packets as u64);
        }
    }

    /// From here on the turn sends what is ready.
    #[inline]
    pub(super) fn begin_to_send(&mut self, now: Instant) {
        self.sending_began = now;
    }

    /// What was done since the last call was this stage's, for so many packets.
    #[inline]
    pub(super) fn lap(
        &mut self,
        stage: Stage,
        packets: usize,
        clock: &mut impl FnMut() -> Instant,
    ) {
        self.times.stage_mut(stage).packets += packets as u64;
        if self.is_sampled {
            self.sample(stage, packets, clock());
        }
    }

    /// As [`Stopwatch::lap`], by a reading that was made for another reason.
    #[inline]
    pub(super) fn lap_at(&mut self, stage: Stage, packets: usize, now: Instant) {
        self.lap(stage, packets, &mut || now);
    }

    #[cold]
    fn sample(&mut self, stage: Stage, packets: usize, now: Instant) {
        let (nanos, count) = &mut self.laps[stage as usize];
        *nanos += now.since(self.lap_began).as_nanos() as u64;
        *count += packets as u64;
        self.lap_began = now;
    }

    /// The turn has found so much to do, and has sent so many packets. What it took is known when
    /// something else begins.
    #[inline]
    pub(super) fn end(&mut self, found: usize, sent: usize, recorders: &mut Recorders) {
        self.is_busy = found > 0;
        self.times.busy_turns += u64::from(self.is_busy);
        if self.is_sampled {
            self.keep_sample(sent, recorders);
        }
    }

    /// What a turn takes that finds nothing is no packet's.
    #[cold]
    fn keep_sample(&mut self, sent: usize, recorders: &mut Recorders) {
        let laps = std::mem::take(&mut self.laps);
        if sent > 0 {
            let wait = self.lap_began.since(self.sending_began).as_nanos() as u64;
            recorders.record_n(Measure::TxWait, wait, sent as u64);
        }
        let (nanos, packets) = laps[Stage::Worker as usize];
        if let Some(each) = nanos.checked_div(packets) {
            recorders.record_n(Measure::Worker, each, packets);
        }
        for (stage, (nanos, packets)) in Stage::ALL.into_iter().zip(laps) {
            if self.is_busy {
                let times = self.times.stage_mut(stage);
                times.sampled_ns += nanos;
                times.sampled_packets += packets;
            }
        }
    }

    /// The turn is over, and a pause begins.
    pub(super) fn rest(&mut self, now: Instant) {
        self.settle(now);
    }

    /// Counts the time since the last turn or pause began.
    #[inline]
    fn settle(&mut self, now: Instant) {
        let since = self.since.replace(now).unwrap_or(now);
        let nanos = now.since(since).as_nanos() as u64;
        match std::mem::take(&mut self.is_busy) {
            true => self.times.busy_ns += nanos,
            false => self.times.idle_ns += nanos,
        }
    }

    pub(super) fn times(&self) -> &CoreTimes {
        &self.times
    }
}

/// A reading of the clock takes some 20 to 50 ns, and a turn makes up to four of each port: in so many
/// turns that is nanoseconds for each.
const SAMPLE_EVERY: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn busy_is_the_time_from_a_turn_that_found_something_to_what_comes_next() {
        let mut watch = Stopwatch::new();
        let mut recorders = Recorders::off();
        let mut end = |watch: &mut Stopwatch, found| watch.end(found, 0, &mut recorders);
        watch.begin(at(1_000));
        end(&mut watch, 3);
        // Another turn, at once.
        watch.begin(at(1_040));
        end(&mut watch, 0);
        watch.begin(at(1_050));
        end(&mut watch, 1);
        // A sleep, and the turn that it ends with.
        watch.rest(at(1_055));
        watch.begin(at(2_000));
        end(&mut watch, 0);
        let times = watch.times();
        assert_eq!((times.turns, times.busy_turns), (4, 2));
        assert_eq!((times.busy_ns, times.idle_ns), (40 + 5, 10 + 945));
    }

    /// Of a stage that takes 10 ns for each packet, after 5 ns for the look, and 7 ns to send.
    #[test]
    fn a_few_busy_turns_tell_what_a_packet_takes() {
        let mut watch = Stopwatch::new();
        let mut recorders = Recorders::new();
        let mut now = 0;
        let mut readings = 0;
        for turn in 0..10 * u64::from(SAMPLE_EVERY) {
            let packets = if turn < 5 * u64::from(SAMPLE_EVERY) { 4 } else { 0 };
            watch.begin(at(now));
            watch.burst(packets, &mut recorders);
            now += 5;
            watch.lap(Stage::Rx, packets, &mut || {
                readings += 1;
                at(now)
            });
            watch.passed_on(packets, ReceivedAt::Each(&[]), &mut recorders);
            now += 10 * packets as u64;
            watch.lap_at(Stage::Worker, packets, at(now));
            watch.begin_to_send(at(now));
            now += 7;
            watch.lap_at(Stage::Tx, packets, at(now));
            watch.end(packets, packets, &mut recorders);
        }
        assert_eq!(readings, 10);
        let (rx, worker) = (watch.times().stage(Stage::Rx), watch.times().stage(Stage::Worker));
        assert_eq!(worker.packets, 20 * u64::from(SAMPLE_EVERY));
        assert_eq!((rx.sampled_packets, rx.sampled_ns), (20, 25), "turns that found nothing count");
        assert_eq!(worker.nanos_per_packet(), Some(10.0));
        for (measure, count, value) in [
            (Measure::Burst, 5 * u64::from(SAMPLE_EVERY), 4),
            (Measure::RxWait, 20, 5),
            (Measure::Worker, 20, 10),
            (Measure::TxWait, 20, 7),
        ] {
            let histogram = recorders.histogram(measure).unwrap();
            let seen = (histogram.len(), histogram.min(), histogram.max());
            assert_eq!(seen, (count, value, value), "{}", measure.name());
        }
    }
}
