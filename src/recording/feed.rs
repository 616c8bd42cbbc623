//! Brings intervals to the thread that writes them. A slow disk holds up that thread, and nothing else.

use std::iter;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result};
use ringroad_engine::telemetry::Recorders;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;

use super::writer::{Tally, Writer};
use crate::keeper::Interval;

/// A thread that writes intervals as they end.
#[derive(Debug)]
pub(crate) struct Recorder {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Recorder {
    pub(crate) fn start(
        writer: Writer,
        intervals: broadcast::Receiver<Arc<Interval>>,
    ) -> Result<Self> {
        let (waiting, waited_for) = sync_channel(WAITING_MAX);
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        tokio::spawn(feed(intervals, waiting, writer.tally(), stopped));
        std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                let length = writer.interval();
                writer.run(joined(waited_for, length));
                // Nobody may be waiting for it.
                let _ = end.send(());
            })
            .context("cannot start the thread that records")?;
        Ok(Recorder { stop, ended })
    }

    /// Has what is left written, as long as the disk is not too slow for that.
    pub(crate) async fn end(self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(END_MAX, self.ended).await.is_err() {
            tracing::warn!("recording: the disk is slow; the last intervals may be missing");
        }
    }
}

/// Hands over each interval until told to stop; the last of them, too.
async fn feed(
    mut intervals: broadcast::Receiver<Arc<Interval>>,
    waiting: SyncSender<Arc<Interval>>,
    tally: Arc<Tally>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = intervals.recv() => next,
            _ = &mut stopped => return,
        };
        match next {
            Ok(interval) => {
                if waiting.try_send(interval).is_err() {
                    tally.lose(1);
                }
            }
            Err(RecvError::Lagged(intervals)) => tally.lose(intervals),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Intervals of `length` and a little more, each put together of those that wait. They end where
/// no more come.
pub(super) fn joined(
    waiting: Receiver<Arc<Interval>>,
    length: Duration,
) -> impl Iterator<Item = Interval> {
    iter::from_fn(move || {
        let first = waiting.recv().ok()?;
        let mut sum = Interval {
            began: first.began,
            ended: first.ended,
            recorded: Recorders::new(),
            stats: first.stats.clone(),
        };
        sum.recorded.add(&first.recorded);
        // By the clock on the wall, which may be set: then the interval is a little off once.
        while sum.ended.duration_since(sum.began).is_ok_and(|so_far| so_far + SLACK < length) {
            let Ok(next) = waiting.recv() else { break };
            sum.recorded.add(&next.recorded);
            sum.ended = next.ended;
            sum.stats = next.stats.clone();
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
