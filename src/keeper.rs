//! Keeps what the polling threads have recorded. They give it away, so there is one who takes it and
//! from whom everybody else has it: since the start, and in intervals.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use ringroad_engine::telemetry::{Recorders, Snapshot};
use tokio::sync::{Mutex, MutexGuard, broadcast};

use crate::crew::Crew;
use crate::stats::Stats;

/// See the module.
#[derive(Debug)]
pub(crate) struct Keeper {
    crew: Crew,
    services: usize,
    ports: usize,
    kept: Mutex<Kept>,
    intervals: broadcast::Sender<Arc<Interval>>,
}

/// What has been recorded.
#[derive(Debug)]
pub(crate) struct Kept {
    /// By core, in the order of the threads; since `started`.
    pub(crate) cores: Vec<Recorders>,
    pub(crate) started: SystemTime,
    /// By all cores; since `interval_began`.
    interval: Recorders,
    interval_began: SystemTime,
    /// Whether anybody listened when the interval began.
    is_heard: bool,
}

/// A stretch of time.
#[derive(Debug)]
pub(crate) struct Interval {
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
    /// What all cores recorded in it.
    pub(crate) recorded: Recorders,
    /// Counts since the start, as of its end.
    pub(crate) stats: Stats,
}

/// All counts, and all recordings: of one instant.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    pub(crate) snapshot: Snapshot,
    pub(crate) kept: MutexGuard<'a, Kept>,
}

impl Keeper {
    /// For so many services and ports.
    pub(crate) fn new(crew: Crew, services: usize, ports: usize) -> Self {
        let now = SystemTime::now();
        let kept = Kept {
            cores: Vec::new(),
            started: now,
            interval: Recorders::off(),
            interval_began: now,
            is_heard: false,
        };
        let (intervals, _) = broadcast::channel(INTERVALS_WAITING_MAX);
        Keeper { crew, services, ports, kept: Mutex::new(kept), intervals }
    }

    /// Asks all threads. Who reads meanwhile waits.
    pub(crate) async fn count(&self) -> Result<Counted<'_>> {
        let mut kept = self.kept.lock().await;
        let counts = self.crew.count(self.services, self.ports).await;
        // What those have given that did answer is kept, even if one did not.
        let kept_now = &mut *kept;
        kept_now.cores.resize_with(counts.len(), Recorders::off);
        for (core, count) in counts.iter().enumerate() {
            let Ok(snapshot) = count else { continue };
            for recorded in &snapshot.recorders {
                kept_now.cores[core].add(recorded);
                kept_now.interval.add(recorded);
            }
        }
        let mut sum = None;
        for count in counts {
            let count = count?;
            match &mut sum {
                None => sum = Some(count),
                Some(sum) => sum.add(count),
            }
        }
        let snapshot = sum.expect("at least one thread polls");
        Ok(Counted { snapshot, kept })
    }

    /// From now on; one that falls behind misses some.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Interval>> {
        self.intervals.subscribe()
    }

    pub(crate) fn is_heard(&self) -> bool {
        self.intervals.receiver_count() > 0
    }

    /// Ends an interval, and tells those who listen. The first that is heard begins now.
    pub(crate) async fn end_interval(&self, stats: Option<Stats>) {
        let mut kept = self.kept.lock().await;
        let ended = SystemTime::now();
        let recorded = std::mem::replace(&mut kept.interval, Recorders::off());
        let began = std::mem::replace(&mut kept.interval_began, ended);
        let was_heard = std::mem::replace(&mut kept.is_heard, self.is_heard());
        if let Some(stats) = stats
            && was_heard
        {
            // Nobody may listen any more.
            let _ = self.intervals.send(Arc::new(Interval { began, ended, recorded, stats }));
        }
    }
}

/// Intervals that one who listens may be behind.
const INTERVALS_WAITING_MAX: usize = 8;

/// How long an interval is.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
