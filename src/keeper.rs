//! Keeps what the polling threads have recorded. They give it away, so there is one who takes it and
//! from whom everybody else has it: since the start, and in intervals.

mod spares;

use std::collections::VecDeque;
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use ringroad_engine::telemetry::{Recorders, Snapshot};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use self::spares::{Lent, Spares};
use crate::backend::ShieldHandle;
use crate::crew::{ANSWER_MAX, Answer, Crew};
use crate::recording::Feed;
use crate::sources::RecentSources;
use crate::stats::Stats;

/// See the module.
#[derive(Debug)]
pub(crate) struct Keeper {
    crew: Crew,
    shield: Arc<dyn ShieldHandle>,
    services: usize,
    ports: usize,
    paths: usize,
    kept: Mutex<Kept>,
    spares: Spares,
    /// Who gets each interval.
    feed: Option<Arc<Feed>>,
}

/// What has been recorded.
#[derive(Debug)]
pub(crate) struct Kept {
    /// By core, in the order of the threads; since `started`.
    pub(crate) cores: Vec<Recorders>,
    pub(crate) started: SystemTime,
    /// Who opened connections of late.
    pub(crate) sources: RecentSources,
    /// By all cores, since `interval_began`; kept only if somebody gets it.
    interval: Option<Lent>,
    interval_began: SystemTime,
    /// By core, what it was asked for and is still to say, the newest last.
    asked: Vec<VecDeque<Answer>>,
}

/// A stretch of time.
#[derive(Debug)]
pub(crate) struct Interval {
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
    /// What all cores recorded in it.
    pub(crate) recorded: Lent,
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
    /// For so many services, ports and paths.
    pub(crate) fn new(
        crew: Crew,
        shield: Arc<dyn ShieldHandle>,
        (services, ports, paths): (usize, usize, usize),
        feed: Option<Arc<Feed>>,
    ) -> Self {
        let now = SystemTime::now();
        let kept = Kept {
            cores: vec![Recorders::off(); crew.len()],
            started: now,
            sources: RecentSources::new(Instant::now().into_std()),
            interval: None,
            interval_began: now,
            asked: (0..crew.len()).map(|_| VecDeque::new()).collect(),
        };
        let spares = Spares::new(crew.len() + SPARES_OF_INTERVALS);
        Keeper { crew, shield, services, ports, paths, kept: Mutex::new(kept), spares, feed }
    }

    /// Asks the shield and all threads. Who reads meanwhile waits; who does not wait for the end loses
    /// nothing.
    pub(crate) async fn count(&self) -> Result<Counted<'_>> {
        let mut kept = self.kept.lock().await;
        self.take_late(&mut kept);
        // The shield first: see `ShieldCounts::add_to`.
        let shield = self.shield.counts(self.services)?;
        let until = Instant::now() + ANSWER_MAX;
        let mut asked = Vec::with_capacity(self.crew.len());
        for core in 0..self.crew.len() {
            let mut room = Snapshot::new(self.services, self.ports).with_paths(self.paths);
            // One that hangs is not given a set of histograms with each question.
            if kept.asked[core].is_empty() {
                room = room.with_recorders(self.spares.take());
            }
            let late = &mut kept.asked[core];
            asked.push(self.crew.ask(core, room).map(|answer| late.push_back(answer)));
        }
        let mut sum = None;
        let mut failed = None;
        for (core, asked) in asked.into_iter().enumerate() {
            let count = match asked {
                Ok(()) => self.await_newest(&mut kept, core, until).await,
                Err(error) => Err(error),
            };
            match (count, &mut sum) {
                (Err(error), _) => failed = failed.or(Some(error)),
                (Ok(count), None) => sum = Some(count),
                (Ok(count), Some(sum)) => Snapshot::add(sum, count),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let mut snapshot = sum.context("nothing polls")?;
        shield.add_to(&mut snapshot);
        Ok(Counted { snapshot, kept })
    }

    /// Ends an interval as of these counts, and gives it to whoever gets them.
    pub(crate) async fn end_interval(&self, stats: Stats) {
        let Some(feed) = &self.feed else { return };
        let mut kept = self.kept.lock().await;
        let ended = SystemTime::now();
        let recorded = kept.interval.take().unwrap_or_else(|| Recorders::off().into());
        let began = std::mem::replace(&mut kept.interval_began, ended);
        feed.give(Interval { began, ended, recorded, stats });
    }

    /// Takes what came after whoever asked had stopped waiting.
    fn take_late(&self, kept: &mut Kept) {
        for core in 0..kept.asked.len() {
            let mut answers = take(&mut kept.asked[core]);
            for answer in &mut answers {
                if let Some(mut snapshot) = answer.has_come() {
                    self.keep(kept, core, &mut snapshot);
                }
            }
            answers.retain_mut(Answer::is_open);
            kept.asked[core] = answers;
        }
    }

    /// The answer stays where it is until it has come, so that it is not lost with who waits for it.
    async fn await_newest(&self, kept: &mut Kept, core: usize, until: Instant) -> Result<Snapshot> {
        let answer = kept.asked[core].back_mut().context("nothing was asked")?;
        let mut snapshot = answer.get(until).await?;
        kept.asked[core].pop_back();
        self.keep(kept, core, &mut snapshot);
        Ok(snapshot)
    }

    fn keep(&self, kept: &mut Kept, core: usize, snapshot: &mut Snapshot) {
        for recorded in snapshot.recorders.drain(..) {
            let recorded = self.spares.lend(recorded);
            kept.cores[core].add(&recorded);
            if self.feed.is_some() {
                match &mut kept.interval {
                    Some(interval) => interval.add(&recorded),
                    None => kept.interval = Some(recorded),
                }
            }
        }
        kept.sources.add(Instant::now().into_std(), snapshot.sources.iter());
    }
}

/// Sets of histograms in the interval that lasts and in that which is written, as a rule.
const SPARES_OF_INTERVALS: usize = 2;

/// How long an interval is.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
