//! The threads that poll, as the control plane sees them: told together, asked together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use ringroad_engine::kernel::Routes;
use ringroad_engine::stage::{Command, Commands, monotonic};
use ringroad_engine::telemetry::Snapshot;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cores::CorePlan;

/// See the module. There is at least one.
#[derive(Clone, Debug)]
pub(crate) struct Crew {
    members: Arc<[Member]>,
}

#[derive(Debug)]
struct Member {
    /// As Linux shows it.
    name: String,
    commands: Commands,
    /// How often it has stood still.
    stalls: AtomicU64,
}

impl Crew {
    /// `commands`: of the threads that `cores` names, in their order.
    pub(crate) fn new(cores: &CorePlan, commands: Vec<Commands>) -> Self {
        let members = cores.threads().zip(commands);
        Crew {
            members: members
                .map(|(thread, commands)| Member {
                    name: thread.name,
                    commands,
                    stalls: AtomicU64::new(0),
                })
                .collect(),
        }
    }

    /// Tells all what Linux knows now.
    pub(crate) fn tell_routes(&self, routes: &Arc<Routes>) {
        for member in self.members.iter() {
            // Never refused: the latest routes have a place of their own.
            let _ = member.commands.send(Command::Routes(routes.clone()));
        }
    }

    /// Tells all, or nobody any more as soon as one is too busy to be told.
    pub(crate) fn try_tell(&self, command: impl Fn() -> Command) -> bool {
        self.members.iter().all(|member| member.commands.send(command()).is_ok())
    }

    /// Tells all, each for as long as one may be busy; one that hangs is not waited for.
    pub(crate) async fn tell(&self, command: impl Fn() -> Command) {
        for member in self.members.iter() {
            tell(&member.commands, command()).await;
        }
    }

    /// What each has counted, and what it has recorded since it was asked last. Each says so at one
    /// instant; between those of two lie microseconds.
    pub(crate) async fn count(&self, services: usize, ports: usize) -> Vec<Result<Snapshot>> {
        let until = Instant::now() + ANSWER_MAX;
        let ask = |member: &Member| {
            let (reply, answer) = oneshot::channel();
            let empty = Box::new(Snapshot::with_recorders(services, ports));
            let asked = member.commands.send(Command::Snapshot(empty, reply));
            asked.map(|()| answer).map_err(drop)
        };
        let asked: Vec<_> = self.members.iter().map(ask).collect();
        let mut counts = Vec::with_capacity(asked.len());
        for (Member { name, .. }, asked) in self.members.iter().zip(asked) {
            counts.push(match asked {
                Ok(answer) => await_count(name, answer, until).await,
                Err(()) => Err(anyhow!(
                    "{name} takes no commands: it hangs, or is busy with earlier ones; try again"
                )),
            });
        }
        counts
    }

    /// How often each thread has stood still.
    pub(crate) fn stalls(&self) -> impl Iterator<Item = u64> {
        self.members.iter().map(|member| member.stalls.load(Ordering::Relaxed))
    }

    /// Says when a thread stands still and when it turns again; never ends.
    pub(crate) async fn watch(&self, limit: Duration) {
        let mut stands = vec![false; self.members.len()];
        loop {
            sleep(WATCH_INTERVAL).await;
            let now = monotonic();
            for (member, stands) in self.members.iter().zip(&mut stands) {
                let Member { name, commands, stalls } = member;
                let silent = now.since(commands.last_beat());
                let still = silent > limit.max(WATCH_INTERVAL);
                match (still, *stands) {
                    (true, false) => {
                        stalls.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(
                            "{name} has not turned for {silent:?}; its new connections are left to \
                             Linux until it does"
                        );
                    }
                    (false, true) => tracing::warn!("{name} turns again"),
                    _ => {}
                }
                *stands = still;
            }
        }
    }
}

async fn await_count(
    name: &str,
    answer: oneshot::Receiver<Box<Snapshot>>,
    until: Instant,
) -> Result<Snapshot> {
    let answer = timeout_at(until, answer).await.ok().with_context(|| {
        format!("{name} has not answered within {ANSWER_MAX:?}: it hangs; try again")
    })?;
    Ok(*answer.ok().with_context(|| format!("{name} has ended"))?)
}

/// Hands a command to a thread that may be busy; one that hangs is not waited for.
pub(crate) async fn tell(member: &Commands, command: Command) {
    let mut command = command;
    for _ in 0..TELL_TRIES {
        match member.send(command) {
            Ok(()) => return,
            Err(back) => command = back,
        }
        sleep(TELL_PAUSE).await;
    }
    tracing::error!("a polling thread takes no commands");
}

/// How long a thread may take to say what it has counted: many times what one takes that is kept
/// from its core by others.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How often is looked whether all threads turn.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// How long a thread may take to look at its queue, in tries and time between them.
const TELL_TRIES: u32 = 100;
const TELL_PAUSE: Duration = Duration::from_millis(10);
