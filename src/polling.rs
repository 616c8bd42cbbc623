//! From what a backend has opened to threads that poll, laid out as the plan of cores says.

use std::mem::take;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{SigSet, Signal};
use ringroad_engine::flow::Steering;
use ringroad_engine::frame::FramePool;
use ringroad_engine::kernel::{Resolver, Routes};
use ringroad_engine::port::Port;
use ringroad_engine::proxy::require_source_ports;
use ringroad_engine::stage::{
    Command, Commands, Cookies, Gate, HandOver, IdlePolicy, IoSettings, IoStage, Lane, Mailbox,
    Worker, WorkerSettings, flow_hasher, mailbox, monotonic,
};
use ringroad_engine::telemetry::Snapshot;
use tokio::sync::mpsc;

use crate::backend::Opened;
use crate::cores::{self, CorePlan, PollingThread, Role};
use crate::crew;
use crate::plan::Plan;

/// The threads before they run: what each is told by.
#[derive(Debug)]
pub(crate) struct Posts {
    io: Option<Post>,
    /// Who has connections: lanes, or workers behind the I/O core.
    owners: Vec<Post>,
}

/// One of them.
#[derive(Debug)]
struct Post {
    thread: PollingThread,
    commands: Commands,
    mailbox: Mailbox,
}

/// What the engine is made of, whatever its arrangement.
#[derive(Debug)]
pub(crate) struct Parts<P, G> {
    pub(crate) opened: Opened<P>,
    /// One for each that has devices, in their order.
    pub(crate) gates: Vec<G>,
    pub(crate) steering: Steering,
    /// Of one worker that would have everything.
    pub(crate) worker: WorkerSettings,
    pub(crate) routes: Arc<Routes>,
    pub(crate) resolver: Resolver,
    pub(crate) cookies: Cookies,
    pub(crate) idle: IdlePolicy,
    /// Who has not turned for so long takes nothing new.
    pub(crate) heartbeat_limit: Duration,
}

/// The threads at work.
#[derive(Debug)]
pub(crate) struct Polling {
    io: Option<Working>,
    owners: Vec<Working>,
    ended: mpsc::UnboundedReceiver<()>,
}

#[derive(Debug)]
struct Working {
    commands: Commands,
    thread: JoinHandle<Snapshot>,
}

impl Posts {
    pub(crate) fn new(cores: &CorePlan) -> Result<Self> {
        let posts = cores.threads().map(|thread| {
            let (commands, mailbox) = mailbox()?;
            Ok(Post { thread, commands, mailbox })
        });
        let mut posts = posts.collect::<Result<Vec<_>>>()?;
        let io = cores.io.is_some().then(|| posts.remove(0));
        Ok(Posts { io, owners: posts })
    }

    /// All that are told, in the order of the threads.
    pub(crate) fn commands(&self) -> Vec<Commands> {
        self.io.iter().chain(&self.owners).map(|post| post.commands.clone()).collect()
    }

    /// How many have connections.
    pub(crate) fn owners(&self) -> Result<NonZeroU8> {
        let owners = u8::try_from(self.owners.len()).ok().and_then(NonZeroU8::new);
        owners.with_context(|| format!("{} cores are too many, or none", self.owners.len()))
    }
}

impl Polling {
    /// Starts all threads.
    pub(crate) fn start<P, G>(posts: Posts, parts: Parts<P, G>, plan: &Plan) -> Result<Self>
    where
        P: Port + Send + 'static,
        G: Gate + Send + 'static,
    {
        let hasher = flow_hasher(&parts.worker.secret);
        require_source_ports(&parts.worker.services, &parts.steering, &hasher)?;
        let Posts { io, owners } = posts;
        let (ended, all_ended) = mpsc::unbounded_channel();
        let spawn = Spawn { services: plan.services.len(), ports: plan.ports.len(), ended };
        let (io, owners) = match io {
            None => (None, parts.lanes(owners, &spawn)?),
            Some(io) => parts.pipeline(io, owners, plan, &spawn)?,
        };
        Ok(Polling { io, owners, ended: all_ended })
    }

    /// Returns as soon as one has ended by itself.
    pub(crate) async fn ended(&mut self) {
        // The channel is open as long as a thread runs.
        let _ = self.ended.recv().await;
    }

    /// Has all end, and returns what they have counted. Who has devices ends last: the others have
    /// resets to send, and frames to bring home, also where one of them is not there any more.
    pub(crate) async fn stop(self) -> Result<Snapshot> {
        let mut sum = None;
        let mut has_failed = false;
        for threads in [self.owners, self.io.into_iter().collect()] {
            for working in &threads {
                crew::tell(&working.commands, Command::Stop).await;
            }
            for working in threads {
                match (working.thread.join(), &mut sum) {
                    (Err(_), _) => has_failed = true,
                    (Ok(last), None) => sum = Some(last),
                    (Ok(last), Some(sum)) => sum.add(last),
                }
            }
        }
        ensure!(!has_failed, "a polling thread ended by a fault of its own; see above");
        sum.context("nothing has polled")
    }
}

impl<P, G> Parts<P, G>
where
    P: Port + Send + 'static,
    G: Gate + Send + 'static,
{
    /// One of the owners.
    fn worker(&self, index: u8, pool: FramePool) -> Worker {
        let settings = self.worker.clone().share(&self.steering, index);
        Worker::new(settings, pool, self.routes.clone(), monotonic())
    }

    /// Run to completion: each does all for itself.
    fn lanes(mut self, posts: Vec<Post>, spawn: &Spawn) -> Result<Vec<Working>> {
        let commands: Vec<_> = posts.iter().map(|post| post.commands.clone()).collect();
        let mut others = HandOver::among(&commands, spawn.ports);
        if !self.steering.is_by_cards() {
            HandOver::join(&mut others, &commands, spawn.services, self.heartbeat_limit);
        }
        let (lanes, gates) = (take(&mut self.opened.lanes), take(&mut self.gates));
        let all = (0..).zip(posts).zip(lanes).zip(gates).zip(others);
        let lanes = all.map(|((((index, post), (pool, ports)), gate), others)| {
            let Post { thread, commands, mailbox } = post;
            let (worker, resolver) = (self.worker(index, pool), self.resolver.clone());
            let mut lane = Lane::new(worker, ports, gate, resolver, mailbox, self.idle);
            lane.set_cookies(self.cookies.clone());
            lane.set_others(others);
            spawn.thread(thread, commands, |last| lane.run(monotonic, last))
        });
        lanes.collect()
    }

    /// Pipeline: one has the devices, the others the connections.
    fn pipeline(
        mut self,
        io: Post,
        posts: Vec<Post>,
        plan: &Plan,
        spawn: &Spawn,
    ) -> Result<(Option<Working>, Vec<Working>)> {
        let (pool, ports) = self.opened.lanes.pop().context("no ports were opened")?;
        let gate = self.gates.pop().context("nothing is put in front")?;
        let mut ends = Vec::new();
        let mut lanes = Vec::new();
        for ((index, post), pool) in (0..).zip(posts).zip(take(&mut self.opened.workers)) {
            let Post { thread, commands, mailbox } = post;
            let (worker, resolver) = (self.worker(index, pool), self.resolver.clone());
            let told_by = (commands.clone(), mailbox);
            let (lane, end) = Lane::behind(io.mailbox.bell(), worker, resolver, told_by, self.idle);
            ends.push(end);
            lanes.push((thread, commands, lane));
        }
        let settings = IoSettings {
            ports,
            gate,
            steering: self.steering.clone(),
            hasher: flow_hasher(&self.worker.secret),
            workers: ends,
            stalled_after: self.heartbeat_limit,
            says: plan.cookies.clone(),
            mailbox: io.mailbox,
            idle: self.idle,
            records: self.worker.records,
        };
        let mut stage = IoStage::new(pool, settings);
        stage.set_cookies(self.cookies);
        let io = spawn.thread(io.thread, io.commands, |last| stage.run(monotonic, last))?;
        let workers = lanes.into_iter().map(|(thread, commands, lane)| {
            spawn.thread(thread, commands, |last| lane.run(monotonic, last))
        });
        Ok((Some(io), workers.collect::<Result<_>>()?))
    }
}

/// How a thread is started, whatever it does.
#[derive(Debug)]
struct Spawn {
    services: usize,
    ports: usize,
    ended: mpsc::UnboundedSender<()>,
}

impl Spawn {
    fn thread(
        &self,
        PollingThread { name, core, role, .. }: PollingThread,
        commands: Commands,
        run: impl FnOnce(Snapshot) -> Snapshot + Send + 'static,
    ) -> Result<Working> {
        let last = Snapshot::new(self.services, self.ports);
        let ended = Ended(self.ended.clone());
        let thread = thread::Builder::new().name(name).spawn(move || {
            let _ended = ended;
            if let Err(error) = cores::pin(core) {
                tracing::warn!("{error}");
            }
            if role == Role::Worker {
                // DPDK's TAPs tell of packets by signals, which are for who has the devices. A fault is
                // still told of by who makes it.
                let mut signals = SigSet::all();
                [Signal::SIGSEGV, Signal::SIGBUS]
                    .into_iter()
                    .for_each(|fault| signals.remove(fault));
                let _ = signals.thread_block();
            }
            // Naps and timeouts are meant to the microsecond.
            let _ = nix::sys::prctl::set_timerslack(1);
            run(last)
        })?;
        Ok(Working { commands, thread })
    }
}

/// Says that a thread has ended, also when it panics.
#[derive(Debug)]
struct Ended(mpsc::UnboundedSender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // Nobody listens any more when the engine ends by itself.
        let _ = self.0.send(());
    }
}
