//! The threads that poll, as the control plane sees them: told together, asked together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ringroad_engine::kernel::Routes;
use ringroad_engine::stage::{Command, Commands, Page, monotonic};
use ringroad_engine::telemetry::Snapshot;
use ringroad_engine::telemetry::capture::Tap;
use ringroad_engine::telemetry::events::{EventReader, events};
use tokio::sync::Mutex;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::{Instant, sleep, timeout_at};

use crate::cores::CorePlan;
use crate::events::{Events, Happening};

/// See the module. There is at least one.
#[derive(Clone, Debug)]
pub(crate) struct Crew {
    members: Arc<[Member]>,
    /// Whoever looks at connections: one page is under way at a time, whoever asks.
    showing: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Member {
    /// As Linux shows it.
    name: String,
    commands: Commands,
    /// How often it has stood still.
    stalls: AtomicU64,
}

/// What a thread was asked for, and is still to say.
#[derive(Debug)]
pub(crate) struct Answer {
    name: String,
    answer: oneshot::Receiver<Box<Snapshot>>,
}

impl Crew {
    /// `commands`: of the threads that `cores` names, in their order.
    pub(crate) fn new(cores: &CorePlan, commands: Vec<Commands>) -> Self {
        Crew::of(cores.threads().map(|thread| thread.name).zip(commands))
    }

    /// Of threads by their names.
    pub(crate) fn of(members: impl IntoIterator<Item = (String, Commands)>) -> Self {
        let members = members.into_iter();
        Crew {
            members: members
                .map(|(name, commands)| Member { name, commands, stalls: AtomicU64::new(0) })
                .collect(),
            showing: Arc::default(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// What comes next of one thread's connections.
    pub(crate) async fn show(&self, member: usize, page: Box<Page>) -> Result<Box<Page>> {
        let _alone = self.showing.lock().await;
        let Member { name, commands, .. } = &self.members[member];
        let (reply, answer) = oneshot::channel();
        if commands.send(Command::Connections(page, reply)).is_err() {
            bail!("{name} takes no commands: it hangs, or is busy with earlier ones; try again");
        }
        let answer = timeout_at(Instant::now() + ANSWER_MAX, answer).await;
        let answer = answer.ok().with_context(|| no_answer(name))?;
        answer.ok().with_context(|| format!("{name} has ended"))
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

    /// Asks one, by its place, what it has counted; `room` is for the answer. It says so as of one
    /// instant; between those of two who are asked one after the other lie microseconds.
    pub(crate) fn ask(&self, member: usize, room: Snapshot) -> Result<Answer> {
        let Member { name, commands, .. } = &self.members[member];
        let (reply, answer) = oneshot::channel();
        match commands.send(Command::Snapshot(Box::new(room), reply)) {
            Ok(()) => Ok(Answer { name: name.clone(), answer }),
            Err(_) => {
                bail!("{name} takes no commands: it hangs, or is busy with earlier ones; try again")
            }
        }
    }

    /// Gives each thread a tap to capture packets with, in their order.
    pub(crate) async fn tap(&self, taps: impl IntoIterator<Item = Box<Tap>>) {
        for (member, tap) in self.members.iter().zip(taps) {
            let (reply, _) = oneshot::channel();
            tell(&member.commands, Command::Capture(Some(tap), reply)).await;
        }
    }

    /// Takes the taps back from all threads, and frees their memory here. One that hangs keeps its own, and
    /// captures nothing with it once the reader is gone.
    pub(crate) async fn untap(&self) {
        let mut answers = Vec::with_capacity(self.members.len());
        for member in self.members.iter() {
            let (reply, answer) = oneshot::channel();
            tell(&member.commands, Command::Capture(None, reply)).await;
            answers.push(answer);
        }
        let until = Instant::now() + ANSWER_MAX;
        for answer in answers {
            drop(timeout_at(until, answer).await);
        }
    }

    /// Has each thread tell its events by an end of its own.
    pub(crate) async fn listen(&self) -> Vec<EventReader> {
        let mut readers = Vec::with_capacity(self.members.len());
        for member in self.members.iter() {
            let (teller, reader) = events();
            tell(&member.commands, Command::Events(teller)).await;
            readers.push(reader);
        }
        readers
    }

    /// How often each thread has stood still.
    pub(crate) fn stalls(&self) -> impl Iterator<Item = u64> {
        self.members.iter().map(|member| member.stalls.load(Ordering::Relaxed))
    }

    /// Tells when a thread stands still and when it turns again; never ends.
    pub(crate) async fn watch(&self, limit: Duration, events: &Events) {
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
                        events.tell(Happening::new(
                        "watchdog",
                        format!(
                            "{name} has not turned for {silent:?}; its new connections are left \
                             to Linux until it does"
                        ),
                    ));
                    }
                    (false, true) => {
                        events.tell(Happening::new("watchdog_over", format!("{name} turns again")));
                    }
                    _ => {}
                }
                *stands = still;
            }
        }
    }
}

impl Answer {
    /// Waits no longer than one may be busy. May be asked for again.
    pub(crate) async fn get(&mut self, until: Instant) -> Result<Snapshot> {
        let name = &self.name;
        let answer = timeout_at(until, &mut self.answer).await;
        let answer = answer.ok().with_context(|| no_answer(name))?;
        Ok(*answer.ok().with_context(|| format!("{name} has ended"))?)
    }

    /// What has come; `None`: nothing has, or will.
    pub(crate) fn has_come(&mut self) -> Option<Snapshot> {
        self.answer.try_recv().ok().map(|snapshot| *snapshot)
    }

    /// Whether it is still to come.
    pub(crate) fn is_open(&mut self) -> bool {
        matches!(self.answer.try_recv(), Err(TryRecvError::Empty))
    }
}

fn no_answer(name: &str) -> String {
    format!("{name} has not answered within {ANSWER_MAX:?}: it hangs; try again")
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
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How often is looked whether all threads turn.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// How long a thread may take to look at its queue, in tries and time between them.
const TELL_TRIES: u32 = 100;
const TELL_PAUSE: Duration = Duration::from_millis(10);
