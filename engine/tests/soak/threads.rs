//! The engine's threads, laid out as `ringroad run` does it, each with a clock that holds it up.

use std::fmt;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringroad_engine::flow::{Owner, Steering};
use ringroad_engine::frame::FramePool;
use ringroad_engine::kernel::{NextHop, Routes};
use ringroad_engine::port::sim::{SimPeer, SimPort};
use ringroad_engine::proxy::require_source_ports;
use ringroad_engine::random::Random;
use ringroad_engine::stage::{
    Command, Commands, HandOver, IdlePolicy, IoSettings, IoStage, Lane, Mailbox, Neighbours,
    NoGate, PortIdentity, Worker, WorkerSettings, flow_hasher, mailbox, monotonic,
    split_for_pipeline,
};
use ringroad_engine::telemetry::Snapshot;
use ringroad_engine::time::Instant;
use ringroad_simulation::appliance::rig::{CLIENTS, IFINDEX, ORIGINS, Plan, linux, secs};
use tokio::sync::oneshot;

/// All that there are.
pub(crate) const FRAMES: usize = 8192;

/// Who does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each does all for itself, and has queues of its own.
    Lanes(u8),
    /// One has the devices, so many others the connections.
    Pipeline(u8),
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Lanes(lanes) => write!(f, "{lanes} lanes"),
            Shape::Pipeline(workers) => write!(f, "pipeline of {workers} workers"),
        }
    }
}

/// The threads at work.
pub(crate) struct Threads {
    owners: Vec<Working>,
    io: Option<Working>,
}

struct Working {
    commands: Commands,
    thread: JoinHandle<Snapshot>,
}

impl Threads {
    /// Returns them with the far ends of their cables: by queue, for each port.
    pub(crate) fn start(shape: Shape, seed: u64) -> (Threads, Vec<[SimPeer; 2]>) {
        let mut plan = Plan::new(seed).origins(ORIGINS_SERVING);
        plan.service.connect_timeout = secs(60);
        plan.service.idle_timeout = secs(600);
        for origin in &mut plan.service.origins {
            origin.source_ports = 10_000..=59_999;
        }
        let parts = Parts {
            pool: FramePool::in_memory(FRAMES, 2048),
            settings: WorkerSettings {
                ports: IFINDEX
                    .map(|ifindex| PortIdentity { ifindex, mtu: 1500, verified: false })
                    .to_vec(),
                services: vec![plan.service.clone()],
                known_flows: Some(plan.known_flows.clone()),
                proven_sources: None,
                secret: *b"not much of one.",
                owner: Owner::default(),
                records: true,
            },
            routes: linux(&plan).snapshot(),
            random: Random::new(seed),
        };
        match shape {
            Shape::Lanes(lanes) => parts.lanes(lanes),
            Shape::Pipeline(workers) => parts.pipeline(workers),
        }
    }

    /// What all have counted together; each of them balances by itself.
    ///
    /// # Panics
    /// If one does not, or a thread has ended.
    pub(crate) fn count(&self) -> Snapshot {
        let mut sum = Snapshot::new(1, 2);
        for working in self.owners.iter().chain(&self.io) {
            let (reply, answer) = oneshot::channel();
            let question = Command::Snapshot(Box::new(Snapshot::new(1, 2)), reply);
            assert!(working.commands.send(question).is_ok(), "a thread takes no commands");
            let counted = answer.blocking_recv().expect("a thread has ended; see above");
            counted.ledger.assert_balanced();
            let frames = counted.frames;
            assert_eq!(frames.free + frames.held, frames.capacity);
            sum.add(*counted);
        }
        sum
    }

    /// Ends them, who has devices last. Returns all that was counted.
    pub(crate) fn stop(&mut self) -> Snapshot {
        let mut sum = Snapshot::new(1, 2);
        for threads in [std::mem::take(&mut self.owners), self.io.take().into_iter().collect()] {
            for working in &threads {
                assert!(working.commands.send(Command::Stop).is_ok(), "a thread takes no commands");
            }
            for working in threads {
                sum.add(working.thread.join().expect("a thread has panicked; see above"));
            }
        }
        sum
    }
}

/// What the threads are made from.
struct Parts {
    pool: FramePool,
    /// Of one worker that would have everything.
    settings: WorkerSettings,
    routes: Arc<Routes>,
    random: Random,
}

impl Parts {
    fn lanes(mut self, count: u8) -> (Threads, Vec<[SimPeer; 2]>) {
        let steering = self.steering(count);
        let first = FRAMES - FRAMES / usize::from(count) * usize::from(count - 1);
        let others = std::iter::repeat_n(FRAMES / usize::from(count), usize::from(count - 1));
        let shares: Vec<usize> = std::iter::once(first).chain(others).collect();
        let pools = self.take_pool().split(&shares);
        let posts: Vec<_> = pools.iter().map(|_| post()).collect();
        let lanes: Vec<_> = posts.iter().map(|(commands, _)| commands.clone()).collect();
        let mut cables = Vec::new();
        let mut owners = Vec::new();
        let others = HandOver::among(&lanes, IFINDEX.len());
        for (((index, pool), (commands, mailbox)), others) in
            (0..).zip(pools).zip(posts).zip(others)
        {
            let (ports, far) = cabled();
            cables.push(far);
            let worker = self.worker(&steering, index, pool);
            let mut lane = Lane::new(worker, ports, NoGate, NoOne, mailbox, IdlePolicy::Adaptive);
            lane.set_others(others);
            let clock = self.clock();
            owners.push(spawn(format!("lane{index}"), commands, |last| lane.run(clock, last)));
        }
        (Threads { owners, io: None }, cables)
    }

    fn pipeline(mut self, count: u8) -> (Threads, Vec<[SimPeer; 2]>) {
        let steering = self.steering(count);
        let (io_pool, pools) = split_for_pipeline(self.take_pool(), FRAMES / 4, count.into());
        let (io_commands, io_mailbox) = post();
        let (mut owners, mut ends) = (Vec::new(), Vec::new());
        for (index, pool) in (0..).zip(pools) {
            let told_by = post();
            let commands = told_by.0.clone();
            let worker = self.worker(&steering, index, pool);
            let (lane, end) =
                Lane::behind(io_mailbox.bell(), worker, NoOne, told_by, IdlePolicy::Adaptive);
            ends.push(end);
            let clock = self.clock();
            owners.push(spawn(format!("worker{index}"), commands, |last| lane.run(clock, last)));
        }
        let (ports, far) = cabled();
        let settings = IoSettings {
            ports,
            gate: NoGate,
            steering,
            hasher: flow_hasher(&self.settings.secret),
            workers: ends,
            stalled_after: Duration::from_millis(100),
            says: Vec::new(),
            mailbox: io_mailbox,
            idle: IdlePolicy::Adaptive,
            records: true,
        };
        let (stage, clock) = (IoStage::new(io_pool, settings), self.clock());
        let io = spawn("io".to_owned(), io_commands, |last| stage.run(clock, last));
        (Threads { owners, io: Some(io) }, vec![far])
    }

    fn steering(&self, owners: u8) -> Steering {
        let steering = Steering::hashed(NonZeroU8::new(owners).expect("somebody"));
        let hasher = flow_hasher(&self.settings.secret);
        require_source_ports(&self.settings.services, &steering, &hasher).expect("ports for all");
        steering
    }

    fn take_pool(&mut self) -> FramePool {
        std::mem::replace(&mut self.pool, FramePool::in_memory(0, 2048))
    }

    fn worker(&self, steering: &Steering, index: u8, pool: FramePool) -> Worker {
        let settings = self.settings.clone().share(steering, index);
        Worker::new(settings, pool, self.routes.clone(), monotonic())
    }

    /// One that holds its reader up now and then, as somebody does who has the core meanwhile.
    fn clock(&mut self) -> impl FnMut() -> Instant + Send + 'static {
        let mut random = Random::new(self.random.draw());
        let mut next = monotonic();
        move || {
            let now = monotonic();
            if now < next {
                return now;
            }
            thread::sleep(Duration::from_millis(random.below(HELD_UP_MS_MAX + 1)));
            next = monotonic() + Duration::from_millis(random.below(BETWEEN_MS_MAX + 1));
            monotonic()
        }
    }
}

fn post() -> (Commands, Mailbox) {
    mailbox().expect("an eventfd")
}

/// Two ports, and the other ends of their cables.
fn cabled() -> (Vec<SimPort>, [SimPeer; 2]) {
    let device = Plan::new(0).device;
    let (clients, to_clients) = SimPort::with_peer(device);
    let (origins, to_origins) = SimPort::with_peer(device);
    const { assert!(CLIENTS == 0 && ORIGINS == 1) };
    (vec![clients, origins], [to_clients, to_origins])
}

fn spawn(
    name: String,
    commands: Commands,
    run: impl FnOnce(Snapshot) -> Snapshot + Send + 'static,
) -> Working {
    let run = || run(Snapshot::new(1, 2));
    let thread = thread::Builder::new().name(name).spawn(run).expect("a thread");
    Working { commands, thread }
}

/// Everybody is known from the start.
struct NoOne;

impl Neighbours for NoOne {
    fn resolve(&mut self, next_hop: NextHop) {
        panic!("who is {next_hop:?}?");
    }

    fn in_use(&mut self, _next_hop: NextHop) {}
}

pub(crate) const ORIGINS_SERVING: u8 = 4;

/// How long a thread is held up, and what lies between two such times, at most.
const HELD_UP_MS_MAX: u64 = 50;
const BETWEEN_MS_MAX: u64 = 400;
