//! Keeps what the polling threads have recorded. They give it away, so there is one who takes it and
//! from whom everybody else has it: since the start, and in intervals.

use std::collections::VecDeque;
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use ringroad_engine::telemetry::{Recorders, Snapshot};
use tokio::sync::{Mutex, MutexGuard, broadcast};
use tokio::time::Instant;

use crate::crew::{ANSWER_MAX, Answer, Crew};
use crate::sources::RecentSources;
use crate::stats::Stats;

/// See the module.
#[derive(Debug)]
pub(crate) struct Keeper {
    crew: Crew,
    services: usize,
    ports: usize,
    paths: usize,
    kept: Mutex<Kept>,
    intervals: broadcast::Sender<Arc<Interval>>,
}

/// What has been recorded.
#[derive(Debug)]
pub(crate) struct Kept {
    /// By core, in the order of the threads; since `started`.
    pub(crate) cores: Vec<Recorders>,
    pub(crate) started: SystemTime,
    /// Who opened connections of late.
    pub(crate) sources: RecentSources,
    /// By all cores, since `interval_began`; nothing while nobody listens.
    interval: Recorders,
    interval_began: SystemTime,
    /// Whether anybody listened when the interval began.
    is_heard: bool,
    /// By core, empty, for the next exchange.
    spare: Vec<Option<Recorders>>,
    /// By core, what it was asked for and is still to say, the newest last.
    asked: Vec<VecDeque<Answer>>,
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
    /// For so many services, ports and paths.
    pub(crate) fn new(crew: Crew, services: usize, ports: usize, paths: usize) -> Self {
        let now = SystemTime::now();
        let kept = Kept {
            cores: vec![Recorders::off(); crew.len()],
            started: now,
            sources: RecentSources::new(Instant::now().into_std()),
            interval: Recorders::off(),
            interval_began: now,
            is_heard: false,
            spare: vec![None; crew.len()],
            asked: (0..crew.len()).map(|_| VecDeque::new()).collect(),
        };
        let (intervals, _) = broadcast::channel(INTERVALS_WAITING_MAX);
        Keeper { crew, services, ports, paths, kept: Mutex::new(kept), intervals }
    }

    /// Asks all threads. Who reads meanwhile waits; who does not wait for the end loses nothing.
    pub(crate) async fn count(&self) -> Result<Counted<'_>> {
        let mut kept = self.kept.lock().await;
        kept.take_late();
        let until = Instant::now() + ANSWER_MAX;
        let mut asked = Vec::with_capacity(self.crew.len());
        for core in 0..self.crew.len() {
            let mut room = Snapshot::new(self.services, self.ports).with_paths(self.paths);
            // One that hangs is not given a set of histograms with each question.
            if kept.asked[core].is_empty() {
                let empty = kept.spare[core].take().unwrap_or_else(Recorders::new);
                room = room.with_recorders(empty);
            }
            let late = &mut kept.asked[core];
            asked.push(self.crew.ask(core, room).map(|answer| late.push_back(answer)));
        }
        let mut sum = None;
        let mut failed = None;
        for (core, asked) in asked.into_iter().enumerate() {
            let count = match asked {
                Ok(()) => kept.await_newest(core, until).await,
                Err(error) => Err(error),
            };
            match (count, &mut sum) {
                (Err(error), _) => failed = failed.or(Some(error)),
                (Ok(count), None) => sum = Some(count),
                (Ok(count), Some(sum)) => Snapshot::add(sum, count),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(Counted { snapshot: sum.context("nothing polls")?, kept }),
        }
    }

    /// From now on; one that falls behind misses some.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Interval>> {
        self.intervals.subscribe()
    }

    pub(crate) fn is_heard(&self) -> bool {
        self.intervals.receiver_count() > 0
    }

    /// Ends an interval as of these counts, and tells those who listen. The first that is heard begins now.
    pub(crate) async fn end_interval(&self, stats: Stats) {
        let mut kept = self.kept.lock().await;
        let ended = SystemTime::now();
        let recorded = std::mem::replace(&mut kept.interval, Recorders::off());
        let began = std::mem::replace(&mut kept.interval_began, ended);
        if std::mem::replace(&mut kept.is_heard, self.is_heard()) {
            // Nobody may listen any more.
            let _ = self.intervals.send(Arc::new(Interval { began, ended, recorded, stats }));
        }
    }
}

impl Kept {
    /// Takes what came after whoever asked had stopped waiting.
    fn take_late(&mut self) {
        for core in 0..self.asked.len() {
            let mut answers = take(&mut self.asked[core]);
            for answer in &mut answers {
                if let Some(mut snapshot) = answer.has_come() {
                    self.take(core, &mut snapshot);
                }
            }
            answers.retain_mut(Answer::is_open);
            self.asked[core] = answers;
        }
    }

    /// The answer stays where it is until it has come, so that it is not lost with who waits for it.
    async fn await_newest(&mut self, core: usize, until: Instant) -> Result<Snapshot> {
        let answer = self.asked[core].back_mut().context("nothing was asked")?;
        let mut snapshot = answer.get(until).await?;
        self.asked[core].pop_back();
        self.take(core, &mut snapshot);
        Ok(snapshot)
    }

    fn take(&mut self, core: usize, snapshot: &mut Snapshot) {
        for mut recorded in snapshot.recorders.drain(..) {
            self.cores[core].add(&recorded);
            if self.is_heard {
                self.interval.add(&recorded);
            }
            recorded.reset();
            self.spare[core] = Some(recorded).filter(Recorders::is_on);
        }
        self.sources.add(Instant::now().into_std(), snapshot.sources.iter());
    }
}

/// Intervals that one who listens may be behind.
const INTERVALS_WAITING_MAX: usize = 8;

/// How long an interval is.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use ringroad_engine::stage::{Command, Mailbox, mailbox};
    use ringroad_engine::telemetry::Measure;

    use super::*;

    /// What a thread does that polls: answers what it was asked so far.
    fn answer(mailbox: &Mailbox, recorders: &mut Recorders) {
        while let Some(command) = mailbox.take() {
            if let Command::Snapshot(mut snapshot, reply) = command {
                snapshot.take_from(recorders);
                let _ = reply.send(snapshot);
            }
        }
    }

    fn inside(kept: &Kept) -> u64 {
        kept.cores[0].histogram(Measure::Inside).map_or(0, hdrhistogram::Histogram::len)
    }

    /// As when a client hangs up, or a thread hangs for a while.
    #[tokio::test]
    async fn what_comes_after_nobody_waits_any_more_is_kept() {
        let (commands, mailbox) = mailbox().unwrap();
        let mut recorders = Recorders::new();
        let keeper = Keeper::new(Crew::of([("lane-0".to_owned(), commands)]), 0, 0, 0);
        let hung = keeper.count().await.unwrap_err().to_string();
        assert!(hung.starts_with("lane-0 has not answered within"), "{hung}");

        recorders.record(Measure::Inside, 10);
        answer(&mailbox, &mut recorders);
        recorders.record(Measure::Inside, 20);
        let late = tokio::join!(keeper.count(), async { answer(&mailbox, &mut recorders) }).0;
        assert_eq!(inside(&late.unwrap().kept), 2);

        // Dropped half-way.
        recorders.record(Measure::Inside, 30);
        tokio::select! {
            biased;
            _ = keeper.count() => unreachable!("nobody has answered"),
            () = std::future::ready(()) => {}
        }
        answer(&mailbox, &mut recorders);
        let last = tokio::join!(keeper.count(), async { answer(&mailbox, &mut recorders) }).0;
        assert_eq!(inside(&last.unwrap().kept), 3);
    }
}
