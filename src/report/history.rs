//! What a recording comes down to: what changed from each interval to the next, and over all of it.
//!
//! Counts are since the engine's start. What happened in an interval is what they grew by since the
//! interval before it. Where that is missing, or counts fell since the engine had started anew,
//! nobody can say, and nothing is made up: there is a gap.

mod counts;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hdrhistogram::Histogram;
use ringroad_engine::telemetry::Measure;

use self::counts::Count as _;
pub(super) use self::counts::{CoreCounts, Counts, ServiceCounts};
use crate::recording::RecordedInterval;

#[derive(Debug)]
pub(super) struct History<'a> {
    /// Never empty.
    pub(super) steps: Vec<Step<'a>>,
    /// What was counted in all of them, as far as that is known.
    pub(super) total: Counts,
    /// What was recorded in all of them, by measure; none is empty.
    pub(super) histograms: BTreeMap<&'static str, Histogram<u64>>,
    /// How often the engine started anew.
    pub(super) restarts: usize,
    /// Between intervals that do not follow one upon the other [s].
    pub(super) missing_s: f64,
}

/// One interval.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) interval: &'a RecordedInterval,
    /// Of the time that payload was inside the engine, if any was forwarded.
    pub(super) inside: Option<Spread>,
    /// What was counted in it. `None`: it does not follow upon the one before, in one run of the engine.
    pub(super) counts: Option<Counts>,
}

/// How values are spread [ns].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl<'a> History<'a> {
    /// Of intervals in the order of time. `None`: there are none.
    pub(super) fn new(intervals: &'a [RecordedInterval]) -> Option<Self> {
        let mut history = History {
            steps: Vec::with_capacity(intervals.len()),
            total: Counts::default(),
            histograms: BTreeMap::new(),
            restarts: 0,
            missing_s: 0.0,
        };
        let mut before = None;
        for interval in intervals {
            let inside = history.merge(interval);
            let counts = before.and_then(|before| history.counted(before, interval));
            history.steps.push(Step { interval, inside, counts });
            before = Some(interval);
        }
        before.map(|_| history)
    }

    /// Adds what was recorded in an interval; returns how the time inside is spread.
    fn merge(&mut self, interval: &RecordedInterval) -> Option<Spread> {
        let mut inside = None;
        for name in interval.histograms.names() {
            let Some(histogram) = interval.histograms.get(name).filter(|h| !h.is_empty()) else {
                continue;
            };
            if name == Measure::Inside.name() {
                inside = Some(Spread::of(&histogram));
            }
            match self.histograms.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert(histogram);
                }
                Entry::Occupied(mut entry) => entry
                    .get_mut()
                    .add(histogram)
                    .expect("those that are read back have their measure's bounds"),
            }
        }
        inside
    }

    /// Takes account of what was counted between the ends of two intervals, if that can be told.
    fn counted(&mut self, before: &RecordedInterval, after: &RecordedInterval) -> Option<Counts> {
        let as_of = |interval: &RecordedInterval| Counts::of(&interval.stats, interval.ended);
        let missing_s = after.began - before.ended;
        let late = missing_s > JOINT * (after.ended - after.began);
        if late {
            self.missing_s += missing_s;
        }
        let grown = as_of(after).since(&as_of(before));
        self.restarts += usize::from(grown.is_none());
        let counts = grown.filter(|counts| !late && counts.seconds > 0.0)?;
        self.total.add(&counts);
        Some(counts)
    }

    /// When it begins and ends [s since 1970].
    pub(super) fn period(&self) -> (f64, f64) {
        (self.steps[0].interval.began, self.last().ended)
    }

    pub(super) fn last(&self) -> &'a RecordedInterval {
        self.steps[self.steps.len() - 1].interval
    }

    /// What was counted at each step of which that is known.
    pub(super) fn counts(&self) -> impl Iterator<Item = &Counts> {
        self.steps.iter().filter_map(|step| step.counts.as_ref())
    }

    /// The largest of a figure at any step; 0 if none is known.
    pub(super) fn most(&self, figure: impl Fn(&Counts) -> f64) -> f64 {
        self.counts().map(figure).fold(0.0, f64::max)
    }

    /// Which part of the time SYNs were answered by cookies, on any lane; from 0 to 1.
    pub(super) fn cookies_share(&self) -> f64 {
        let on = self
            .steps
            .iter()
            .filter(|step| step.interval.stats.cookies.lanes.iter().any(|lane| lane.on));
        on.count() as f64 / self.steps.len() as f64
    }
}

impl Step<'_> {
    /// What stands for it on an axis of time [s since 1970].
    pub(super) fn middle(&self) -> f64 {
        f64::midpoint(self.interval.began, self.interval.ended)
    }

    /// At its end, of all services.
    pub(super) fn active_connections(&self) -> u64 {
        self.interval.stats.services.iter().map(|service| service.connections.active).sum()
    }
}

impl Spread {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64;
        Spread { p50: at(0.5), p99: at(0.99), max: histogram.max() as f64 }
    }
}

/// Intervals follow one upon the other if no more than this part of one lies between them.
const JOINT: f64 = 0.5;

#[cfg(test)]
mod tests;
