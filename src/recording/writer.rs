//! Writes pairs, one after another, for as long as there are intervals. What cannot be written is
//! counted and told of, and the next interval is tried in a new pair: a torn line ends its file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::iter::Peekable;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::{AccessFlags, eaccess};
use ringroad_config::schema::Telemetry;
use ringroad_engine::telemetry::Measure;

use super::files::{self, Pair};
use super::log::{Log, LogBuffers};
use super::{Counts, milliseconds, seconds, whole};
use crate::keeper::Interval;

/// How many intervals were written, and how many were not.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    written: AtomicU64,
    lost: AtomicU64,
}

impl Tally {
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn lose(&self, intervals: u64) {
        self.lost.fetch_add(intervals, Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Writer {
    directory: PathBuf,
    interval: Duration,
    /// Size of a pair after which the next begins [octets].
    rotate: u64,
    keep: usize,
    tally: Arc<Tally>,
    trouble: Option<Trouble>,
}

/// Since when nothing could be written.
#[derive(Debug)]
struct Trouble {
    lost_before: u64,
    told: Instant,
}

impl Writer {
    /// `None` if the configuration asks for none. Refuses a directory that cannot be written to.
    pub(crate) fn new(telemetry: &Telemetry) -> Result<Option<Self>> {
        let Some(directory) = telemetry.directory.clone() else { return Ok(None) };
        let shown = directory.display();
        fs::create_dir_all(&directory)
            .with_context(|| format!("telemetry.directory: cannot make {shown}"))?;
        eaccess(&directory, AccessFlags::W_OK | AccessFlags::X_OK).with_context(|| {
            format!("telemetry.directory: cannot write to {shown}; grant that, or choose another")
        })?;
        Ok(Some(Writer {
            directory,
            interval: telemetry.interval,
            rotate: telemetry.rotate,
            keep: telemetry.keep as usize,
            tally: Arc::default(),
            trouble: None,
        }))
    }

    /// What becomes of the intervals.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// How long one is to be.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Writes all intervals that there will be.
    pub(super) fn run(mut self, intervals: impl Iterator<Item = Interval>) {
        let mut intervals = intervals.peekable();
        while let Some(first) = intervals.next() {
            if let Err(error) = self.write_pair(first, &mut intervals) {
                self.tally.lose(1);
                self.tell(&error);
            }
        }
    }

    /// Writes a pair until it is full, the clock is set back or nothing more comes.
    fn write_pair(
        &mut self,
        first: Interval,
        intervals: &mut Peekable<impl Iterator<Item = Interval>>,
    ) -> Result<()> {
        let base = whole(first.began);
        let pair = Pair::create(&self.directory, base)
            .with_context(|| format!("cannot begin a file in {}", self.directory.display()))?;
        let before = self.tally.written();
        let outcome = self.fill(&pair, first, intervals);
        if self.tally.written() == before {
            // Many tries are not to leave many files. Who could not write may not be able to remove.
            let _ = pair.path.remove();
        }
        outcome
    }

    fn fill(
        &mut self,
        pair: &Pair,
        first: Interval,
        intervals: &mut Peekable<impl Iterator<Item = Interval>>,
    ) -> Result<()> {
        let base = whole(first.began);
        let mut buffers = LogBuffers::new(&pair.hlog);
        let mut log = (buffers.begin(base))
            .with_context(|| format!("cannot write {}", pair.path.hlog().display()))?;
        let mut octets = self.write(pair, &mut log, &first)?;
        // Only now: on a disk that is full nothing old is given up for something empty.
        if let Err(error) = files::prune(&self.directory, self.keep, &pair.path) {
            tracing::warn!("telemetry.keep: cannot remove old recordings: {error}");
        }
        while octets < self.rotate
            && let Some(next) = intervals.next_if(|next| next.began >= base)
        {
            octets = self.write(pair, &mut log, &next)?;
        }
        Ok(())
    }

    /// Returns how large the pair is now [octets].
    fn write(&mut self, pair: &Pair, log: &mut Log<'_, &File>, interval: &Interval) -> Result<u64> {
        write_histograms(log, interval)
            .with_context(|| format!("cannot write {}", pair.path.hlog().display()))?;
        let octets = write_counts(pair, interval)
            .and_then(|()| pair.octets())
            .with_context(|| format!("cannot write {}", pair.path.jsonl().display()))?;
        self.tally.written.fetch_add(1, Ordering::Relaxed);
        if let Some(Trouble { lost_before, .. }) = self.trouble.take() {
            let lost = self.tally.lost() - lost_before;
            let path = pair.path.hlog();
            tracing::warn!("recording goes on in {}; intervals lost: {lost}", path.display());
        }
        Ok(octets)
    }

    /// Says what is wrong, once in a while.
    fn tell(&mut self, error: &anyhow::Error) {
        let now = Instant::now();
        let lost_before = match &self.trouble {
            Some(trouble) if now.duration_since(trouble.told) < TELL_INTERVAL => return,
            Some(trouble) => trouble.lost_before,
            None => self.tally.lost() - 1,
        };
        tracing::warn!(
            "recording: {error:#}; make room there, or lower telemetry.keep or telemetry.rotate; it \
             goes on by itself, and traffic is not affected"
        );
        self.trouble = Some(Trouble { lost_before, told: now });
    }
}

fn write_histograms(log: &mut Log<'_, &File>, interval: &Interval) -> io::Result<()> {
    let (began, ended) = (whole(interval.began), whole(interval.ended));
    for measure in Measure::ALL {
        if let Some(histogram) = interval.recorded.histogram(measure)
            && !histogram.is_empty()
        {
            log.write(began, ended, measure, histogram)?;
        }
    }
    Ok(())
}

/// The line that makes the interval whole, in one piece.
fn write_counts(pair: &Pair, interval: &Interval) -> io::Result<()> {
    let [began, ended] = [interval.began, interval.ended].map(|time| seconds(milliseconds(time)));
    let mut line = serde_json::to_vec(&Counts { began, ended, stats: &interval.stats })?;
    line.push(b'\n');
    (&pair.jsonl).write_all(&line)
}

/// How often is said that nothing can be written.
const TELL_INTERVAL: Duration = Duration::from_secs(60);
