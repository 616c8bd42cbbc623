//! Brings intervals to the thread that writes them. A slow disk holds up that thread, and nothing else.

use std::iter;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::oneshot;

use super::writer::{Tally, Writer};
use crate::keeper::Interval;

/// Where intervals are given to be written.
#[derive(Debug)]
pub(crate) struct Feed {
    /// None when no more are taken.
    waiting: Mutex<Option<SyncSender<Interval>>>,
    tally: Arc<Tally>,
}

impl Feed {
    /// Has it written, unless the disk is so slow that others wait: then it is counted as lost.
    pub(crate) fn give(&self, interval: Interval) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.as_ref().is_some_and(|waiting| waiting.try_send(interval).is_err()) {
            self.tally.lose(1);
        }
    }

    /// What becomes of the intervals.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A thread that writes intervals as they end.
#[derive(Debug)]
pub(crate) struct Recorder {
    feed: Arc<Feed>,
    ended: oneshot::Receiver<()>,
}

impl Recorder {
    pub(crate) fn start(writer: Writer) -> Result<Self> {
        let (waiting, waited_for) = sync_channel(WAITING_MAX);
        let (end, ended) = oneshot::channel();
        let feed = Feed { waiting: Mutex::new(Some(waiting)), tally: writer.tally() };
        std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                let length = writer.interval();
                writer.run(joined(waited_for, length));
                // Nobody may be waiting for it.
                let _ = end.send(());
            })
            .context("cannot start the thread that records")?;
        Ok(Recorder { feed: Arc::new(feed), ended })
    }

    pub(crate) fn feed(&self) -> Arc<Feed> {
        self.feed.clone()
    }

    /// Has what is left written, as long as the disk is not too slow for that.
    pub(crate) async fn end(self) {
        self.feed.close();
        if tokio::time::timeout(END_MAX, self.ended).await.is_err() {
            tracing::warn!("recording: the disk is slow; the last intervals may be missing");
        }
    }
}

/// Intervals of `length` and a little more, each put together of those that wait. They end where
/// no more come.
pub(super) fn joined(
    waiting: Receiver<Interval>,
    length: Duration,
) -> impl Iterator<Item = Interval> {
    iter::from_fn(move || {
        let mut sum = waiting.recv().ok()?;
        // By the clock on the wall, which may be set: then the interval is a little off once.
        while sum.ended.duration_since(sum.began).is_ok_and(|so_far| so_far + SLACK < length) {
            let Ok(next) = waiting.recv() else { break };
            sum.recorded.add(&next.recorded);
            (sum.ended, sum.stats) = (next.ended, next.stats);
        }
        Some(sum)
    })
}

/// Intervals that may wait for the disk.
const WAITING_MAX: usize = 16;

/// How long the disk may take at the end.
const END_MAX: Duration = Duration::from_secs(2);

/// An interval that ends so much early is long enough: half of what one of the keeper's takes.
const SLACK: Duration = Duration::from_millis(500);
