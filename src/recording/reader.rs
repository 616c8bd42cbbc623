//! Reads pairs back, and says by file and line what it cannot make sense of.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, LogEntry,
};
use ringroad_engine::telemetry::{Measure, Recorders};

use super::files::PairPath;
use super::log::FORMAT;
use super::packed::{Packed, PackedHistograms};
use super::{Counts, RecordedInterval, seconds};
use crate::stats::Stats;

/// See the module.
pub(super) struct Reader<'a> {
    span: &'a Range<f64>,
    /// Whose bounds all histograms have.
    like: Recorders,
    intervals: Vec<RecordedInterval>,
    cuts: Vec<String>,
}

/// By when their interval began, since 1970 [ms].
type ByBegin = BTreeMap<u64, PackedHistograms>;

impl<'a> Reader<'a> {
    /// Takes the intervals that began within `span`, since 1970 [s].
    pub(super) fn new(span: &'a Range<f64>) -> Self {
        Reader { span, like: Recorders::new(), intervals: Vec::new(), cuts: Vec::new() }
    }

    /// What was read, in the order of the pairs, and what is to be said of files that are cut off.
    pub(super) fn finish(self) -> (Vec<RecordedInterval>, Vec<String>) {
        (self.intervals, self.cuts)
    }

    pub(super) fn read(&mut self, pair: &PairPath) -> Result<()> {
        let (hlog, jsonl) = (pair.hlog(), pair.jsonl());
        let mut histograms = self.read_histograms(&hlog, &load(&hlog)?)?;
        self.read_counts(&jsonl, &load(&jsonl)?, &mut histograms)?;
        if let Some((began, _)) = histograms.pop_first() {
            self.cuts.push(format!(
                "{}: lacks the interval that began at {:.3}, which {} has; it is left out",
                jsonl.display(),
                seconds(began),
                hlog.display()
            ));
        }
        Ok(())
    }

    fn read_histograms(&mut self, path: &Path, text: &[u8]) -> Result<ByBegin> {
        let mut base = 0;
        let mut histograms = ByBegin::new();
        for (number, line) in self.whole_lines(path, text) {
            let place = || format!("{}:{number}", path.display());
            if number == 1 && line != format!("#{FORMAT}\n").as_bytes() {
                bail!("{}: not a log of histograms that ringroad wrote; take it away", place());
            }
            match IntervalLogIterator::new(line).next() {
                // A comment, or the legend.
                None | Some(Ok(LogEntry::StartTime(_))) => {}
                Some(Ok(LogEntry::BaseTime(time))) => base = time.as_millis() as u64,
                Some(Ok(LogEntry::Interval(interval))) => {
                    let began = base.saturating_add(interval.start_timestamp().as_millis() as u64);
                    if self.span.contains(&seconds(began)) {
                        let (measure, histogram) = self.histogram(&interval).with_context(place)?;
                        histograms.entry(began).or_default().insert(measure.name(), histogram);
                    }
                }
                Some(Err(_)) => bail!("{}: not a line of an interval log", place()),
            }
        }
        Ok(histograms)
    }

    fn histogram(&self, interval: &IntervalLogHistogram<'_>) -> Result<(Measure, Packed)> {
        let tag = interval.tag().context("there is no Tag= that names the measure")?;
        let measure = Measure::by_name(&tag)
            .with_context(|| format!("Tag={}: no measure that this version has", tag.as_str()))?;
        let like = self.like.histogram(measure).expect("a new set has one of each measure");
        Ok((measure, Packed::from_base64(interval.encoded_histogram(), like)?))
    }

    /// Takes from `histograms` what belongs to each line.
    fn read_counts(&mut self, path: &Path, text: &[u8], histograms: &mut ByBegin) -> Result<()> {
        for (number, line) in self.whole_lines(path, text) {
            let counts: Counts<Stats> = serde_json::from_slice(line).map_err(|error| {
                // Its own place is one within the line.
                anyhow::anyhow!("{}:{number}: not a line of counts: {error}", path.display())
            })?;
            let Counts { began, ended, stats } = counts;
            if self.span.contains(&began) {
                let histograms =
                    histograms.remove(&((began * 1_000.0).round() as u64)).unwrap_or_default();
                self.intervals.push(RecordedInterval { began, ended, histograms, stats });
            }
        }
        Ok(())
    }

    /// The lines with their numbers, without one that has no end: that is where writing ended.
    fn whole_lines<'t>(
        &mut self,
        path: &Path,
        text: &'t [u8],
    ) -> impl Iterator<Item = (usize, &'t [u8])> + use<'t> {
        let whole = text.iter().rposition(|octet| *octet == b'\n').map_or(0, |last| last + 1);
        let lines = text[..whole].split_inclusive(|octet| *octet == b'\n');
        if whole < text.len() {
            self.cuts.push(format!(
                "{}:{}: cut off; what is before it is used",
                path.display(),
                lines.clone().count() + 1
            ));
        }
        (1..).zip(lines)
    }
}

fn load(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
