//! Figures on disk: each interval's histograms and counts, in pairs of files that are read back.
//!
//! A pair is an HDR interval log, `ringroad-YYYYMMDDTHHMMSSZ.hlog`, which HdrHistogram's own tools
//! read, and beside it a `.jsonl` with the counts as `ringroad stats --json` shows them, a line for
//! each interval. That line is written last: an interval whose line is whole is whole. [`Recorder`]
//! writes, [`Recording`] reads.

mod feed;
mod files;
mod log;
mod packed;
mod reader;
mod writer;

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

pub(crate) use self::feed::{Feed, Recorder};
pub(crate) use self::log::LogBuffers;
pub(crate) use self::packed::PackedHistograms;
pub(crate) use self::writer::Writer;
use crate::stats::Stats;
use crate::unix_time::since_1970;

/// What a directory holds, in order of time.
#[derive(Debug)]
pub(crate) struct Recording {
    /// At least one.
    pub(crate) intervals: Vec<RecordedInterval>,
}

/// What happened within a second, or `telemetry.interval`.
#[derive(Debug)]
pub(crate) struct RecordedInterval {
    /// Since 1970 [s].
    pub(crate) began: f64,
    pub(crate) ended: f64,
    /// What was recorded within it.
    pub(crate) histograms: PackedHistograms,
    /// Counts since the engine's start, as of its end.
    pub(crate) stats: Stats,
}

impl Recording {
    /// Reads all that `directory` holds. Where a file ends in the middle of a line, what is whole is
    /// taken, and standard error says where it ends.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        Recording::of(directory, f64::NEG_INFINITY..f64::INFINITY)
    }

    /// The same of the intervals that began within `span`, since 1970 [s].
    pub(crate) fn of(directory: &Path, span: Range<f64>) -> Result<Self> {
        let (recording, cuts) = Recording::read(directory, &span)?;
        for cut in cuts {
            eprintln!("ringroad: {cut}");
        }
        Ok(recording)
    }

    /// With what is to be said of files that are cut off.
    fn read(directory: &Path, span: &Range<f64>) -> Result<(Self, Vec<String>)> {
        let pairs = files::pairs(directory).with_context(|| {
            format!(
                "cannot read {}; give the directory that telemetry.directory names",
                directory.display()
            )
        })?;
        if pairs.is_empty() {
            bail!(
                "{} holds no recording (ringroad-*.hlog); give the directory that \
                 telemetry.directory names",
                directory.display()
            );
        }
        let mut reader = reader::Reader::new(span);
        for pair in &pairs {
            reader.read(pair)?;
        }
        let (mut intervals, cuts) = reader.finish();
        if intervals.is_empty() {
            let within = match span.start.is_finite() || span.end.is_finite() {
                true => " that began within that time; give another",
                false => " yet; let the engine run for longer",
            };
            bail!("{} holds no interval{within}", directory.display());
        }
        // A clock that was set back has begun a pair of its own.
        intervals.sort_by(|a, b| a.began.total_cmp(&b.began));
        Ok((Recording { intervals }, cuts))
    }
}

/// A line of a `.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct Counts<S> {
    began: f64,
    ended: f64,
    stats: S,
}

/// Since 1970 [ms]: both files of a pair say the same.
fn milliseconds(time: SystemTime) -> u64 {
    u64::try_from(since_1970(time).as_millis()).unwrap_or(u64::MAX)
}

/// The other way.
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1_000.0
}

/// In whole milliseconds.
pub(crate) fn whole(time: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds(time))
}

#[cfg(test)]
mod tests;
