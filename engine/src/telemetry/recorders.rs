//! The histograms of one core.
//!
//! Two sets take turns: the core records into one, and whoever reads brings another, which is empty,
//! and takes the first away ([`Recorders::exchange`]). So reading costs the core a few words, however
//! large the histograms are, and each set holds what was recorded between two readings.

use std::fmt;
use std::hint::black_box;
use std::mem::swap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Measure, Ring};
use crate::time::Instant;

/// A histogram of each measure, or none at all, where nothing is to be recorded.
#[derive(Clone)]
pub struct Recorders {
    /// By measure.
    histograms: Vec<Histogram<u64>>,
}

impl Recorders {
    /// Takes all memory that it will ever need.
    pub fn new() -> Self {
        let histograms = Measure::ALL.map(|measure| {
            Histogram::new_with_bounds(1, measure.most(), SIGNIFICANT_DIGITS)
                .expect("constant bounds that hdrhistogram accepts")
        });
        let mut histograms = Vec::from(histograms);
        // Written to once, or it would be the core that has each page given by Linux, at its first use.
        black_box(&mut histograms).iter_mut().for_each(Histogram::reset);
        Recorders { histograms }
    }

    /// Records nothing.
    pub fn off() -> Self {
        Recorders { histograms: Vec::new() }
    }

    pub fn is_on(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// Takes no memory: the range is fixed, and what lies above counts as its end.
    #[inline]
    pub fn record(&mut self, measure: Measure, value: u64) {
        self.record_n(measure, value, 1);
    }

    /// The same value so many times.
    #[inline]
    pub fn record_n(&mut self, measure: Measure, value: u64, count: u64) {
        if let Some(histogram) = self.histograms.get_mut(measure as usize) {
            histogram.saturating_record_n(value, count);
        }
    }

    /// A time that something took.
    #[inline]
    pub fn record_duration(&mut self, measure: Measure, took: Duration) {
        self.record(measure, took.as_nanos() as u64);
    }

    /// A time that has passed.
    #[inline]
    pub fn record_since(&mut self, measure: Measure, since: Instant, now: Instant) {
        self.record_duration(measure, now.since(since));
    }

    /// Packets were taken out of a ring now that were put in `since` then, each; so many more are in
    /// there.
    #[inline]
    pub fn popped(&mut self, ring: Ring, now: Instant, since: &[Instant], left: usize) {
        if since.is_empty() {
            return;
        }
        self.record(Measure::depth(ring), (since.len() + left) as u64);
        // What was put in at a time bears one stamp.
        for together in since.chunk_by(|one, next| one == next) {
            let wait = now.since(together[0]).as_nanos() as u64;
            self.record_n(Measure::wait(ring), wait, together.len() as u64);
        }
    }

    /// `None`: nothing is recorded here.
    pub fn histogram(&self, measure: Measure) -> Option<&Histogram<u64>> {
        self.histograms.get(measure as usize)
    }

    /// Adds what others recorded; who has recorded nothing so far begins.
    pub fn add(&mut self, other: &Recorders) {
        if !self.is_on() && other.is_on() {
            *self = Recorders::new();
        }
        for (sum, histogram) in self.histograms.iter_mut().zip(&other.histograms) {
            if !histogram.is_empty() {
                sum.add(histogram).expect("all have the bounds of their measure");
            }
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.histograms.iter_mut().filter(|each| !each.is_empty()).for_each(Histogram::reset);
    }

    /// Gives what was recorded for an empty set. Neither side is switched on or off by the other.
    pub fn exchange(&mut self, empty: &mut Recorders) {
        if self.is_on() && empty.is_on() {
            swap(self, empty);
        }
    }
}

impl Default for Recorders {
    fn default() -> Self {
        Recorders::new()
    }
}

impl fmt::Debug for Recorders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Measure::ALL.into_iter().zip(&self.histograms);
        f.debug_map().entries(counts.map(|(m, histogram)| (m.name(), histogram.len()))).finish()
    }
}

/// Relative error of a recorded value is at most 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn count(recorders: &Recorders, measure: Measure) -> u64 {
        recorders.histogram(measure).map_or(0, Histogram::len)
    }

    #[test]
    fn packets_of_one_ring_wait_each_for_its_own_time() {
        let mut recorders = Recorders::new();
        let at = Instant::from_nanos;
        // Put in at a time: three, then one, which is later than the look.
        recorders.popped(Ring::Rx, at(1_000), &[at(0), at(0), at(0), at(1_010)], 2);
        recorders.popped(Ring::Rx, at(1_000), &[], 7);
        let depth = recorders.histogram(Measure::RingDepthRx).unwrap();
        assert_eq!((depth.len(), depth.max()), (1, 6));
        let wait = recorders.histogram(Measure::RingWaitRx).unwrap();
        assert_eq!((wait.len(), wait.count_between(900, 1_100)), (4, 3));
    }

    #[test]
    fn what_is_read_was_recorded_since_it_was_read_before() {
        let (mut core, mut empty) = (Recorders::new(), Recorders::new());
        core.record(Measure::Inside, 10);
        core.exchange(&mut empty);
        let mut all = Recorders::off();
        all.add(&empty);
        assert_eq!(count(&empty, Measure::Inside), 1);
        core.record(Measure::Inside, 20);
        empty.reset();
        core.exchange(&mut empty);
        assert_eq!(empty.histogram(Measure::Inside).unwrap().max(), 20);
        all.add(&empty);
        assert_eq!((count(&all, Measure::Inside), count(&core, Measure::Inside)), (2, 0));
    }

    #[test]
    fn who_records_nothing_is_not_made_to_and_who_reads_nothing_loses_nothing() {
        let mut off = Recorders::off();
        off.record(Measure::Inside, 10);
        let mut empty = Recorders::new();
        off.exchange(&mut empty);
        assert!(!off.is_on() && off.histogram(Measure::Inside).is_none());
        assert_eq!(count(&empty, Measure::Inside), 0);

        let mut core = Recorders::new();
        core.record(Measure::Burst, 64);
        core.exchange(&mut Recorders::off());
        assert_eq!(count(&core, Measure::Burst), 1);
    }

    #[test]
    fn what_is_out_of_range_counts_as_its_end() {
        let mut recorders = Recorders::new();
        for measure in Measure::ALL {
            recorders.record(measure, u64::MAX);
            recorders.record(measure, 0);
            let histogram = recorders.histogram(measure).unwrap();
            assert!(histogram.max() >= measure.most(), "{}", measure.name());
            assert!(histogram.max() as f64 <= measure.most() as f64 * 1.001, "{}", measure.name());
        }
    }
}
