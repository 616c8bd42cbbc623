//! The appliance itself, in either arrangement, on one thread.
//!
//! Run to completion it is one lane. As a pipeline it is a core with the devices and some workers: in
//! each round all of them turn, some of them again, in an order that follows from the seed, as cores
//! do that run at speeds of their own. One may be made to stand still for a while.

use std::num::NonZeroU8;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ringroad_ebpf::CookieService;
use ringroad_engine::flow::Steering;
use ringroad_engine::frame::FramePool;
use ringroad_engine::kernel::Routes;
use ringroad_engine::limits::SLEEP_MAX;
use ringroad_engine::random::Random;
use ringroad_engine::stage::{
    Board, Command, Commands, Cookies, Gate, Hop, IdlePolicy, IoSettings, IoStage, Lane, Worker,
    WorkerSettings, flow_hasher, mailbox, split_for_pipeline,
};
use ringroad_engine::telemetry::{Recorders, Snapshot};
use ringroad_engine::time::Instant;

use super::rig::{Asked, Wire};

/// See the module.
pub struct Edge<P: Wire, G: Gate> {
    stages: Stages<P, G>,
    /// In the order of the threads that an engine would have.
    commands: Vec<Commands>,
}

enum Stages<P: Wire, G: Gate> {
    Lane(Box<Lane<P, G, Asked>>),
    Pipeline(Box<Pipeline<P, G>>),
}

struct Pipeline<P: Wire, G: Gate> {
    io: IoStage<P, G>,
    workers: Vec<Lane<Hop, Board, Asked>>,
    /// In what order they turn.
    random: Random,
    /// By worker.
    stalls: Vec<Stall>,
    /// Room for the order of a round.
    order: Vec<usize>,
    /// When the last round was.
    turned_at: Instant,
}

/// From when on and until when a worker stands still, or did.
#[derive(Clone, Copy)]
struct Stall {
    since: Instant,
    until: Instant,
}

impl Stall {
    fn lasts(&self, now: Instant) -> bool {
        self.until > now
    }
}

/// What an appliance is made from.
pub struct Parts<P, G> {
    /// On cores of their own. None: one lane does all.
    pub workers: u8,
    pub pool: FramePool,
    pub ports: Vec<P>,
    pub gate: G,
    /// Of one worker that has everything.
    pub settings: WorkerSettings,
    pub says: Vec<CookieService>,
    pub cookies: Cookies,
    pub routes: Arc<Routes>,
    pub asked: Asked,
    pub now: Instant,
    /// In what order cores turn.
    pub seed: u64,
}

impl<P: Wire, G: Gate> Edge<P, G> {
    pub fn new(parts: Parts<P, G>) -> Self {
        match NonZeroU8::new(parts.workers) {
            None => Edge::lane(parts),
            Some(workers) => Edge::pipeline(workers, parts),
        }
    }

    fn lane(parts: Parts<P, G>) -> Self {
        let Parts { pool, ports, gate, settings, cookies, routes, asked, now, .. } = parts;
        let (commands, mailbox) = mailbox().expect("an eventfd");
        let worker = Worker::new(settings, pool, routes, now);
        let mut lane = Lane::new(worker, ports, gate, asked, mailbox, IdlePolicy::Spin);
        lane.set_cookies(cookies);
        Edge { stages: Stages::Lane(Box::new(lane)), commands: vec![commands] }
    }

    fn pipeline(workers: NonZeroU8, parts: Parts<P, G>) -> Self {
        let Parts { pool, ports, gate, settings, says, cookies, routes, asked, now, seed, .. } =
            parts;
        let steering = Steering::hashed(workers);
        let count = usize::from(workers.get());
        let devices = pool.capacity().div_ceil(4);
        let (io_pool, pools) = split_for_pipeline(pool, devices, count);
        let (io_commands, io_mailbox) = mailbox().expect("an eventfd");
        let mut all_commands = vec![io_commands];
        let mut lanes = Vec::new();
        let mut ends = Vec::new();
        for (index, pool) in (0..).zip(pools) {
            let told_by = mailbox().expect("an eventfd");
            all_commands.push(told_by.0.clone());
            let settings = settings.clone().share(&steering, index);
            let worker = Worker::new(settings, pool, routes.clone(), now);
            let (lane, end) =
                Lane::behind(io_mailbox.bell(), worker, asked.clone(), told_by, IdlePolicy::Spin);
            lanes.push(lane);
            ends.push(end);
        }
        let mut io = IoStage::new(
            io_pool,
            IoSettings {
                ports,
                gate,
                steering,
                hasher: flow_hasher(&settings.secret),
                workers: ends,
                stalled_after: STALLED_AFTER,
                says,
                mailbox: io_mailbox,
                idle: IdlePolicy::Spin,
                records: true,
            },
        );
        io.set_cookies(cookies);
        let pipeline = Pipeline {
            io,
            workers: lanes,
            random: Random::new(seed),
            stalls: vec![Stall { since: now, until: now }; count],
            order: Vec::with_capacity(2 * count + 2),
            turned_at: now,
        };
        Edge { stages: Stages::Pipeline(Box::new(pipeline)), commands: all_commands }
    }

    /// One round. Returns how much was received.
    pub fn turn(&mut self, now: Instant) -> usize {
        match &mut self.stages {
            Stages::Lane(lane) => lane.turn(&mut || now),
            Stages::Pipeline(pipeline) => pipeline.turn(now),
        }
    }

    /// The core with the devices has slept until now.
    pub fn woken(&mut self) {
        match &mut self.stages {
            Stages::Lane(lane) => lane.woken(),
            Stages::Pipeline(pipeline) => pipeline.io.woken(),
        }
    }

    /// Tells all threads, who take it at once.
    pub fn tell(&mut self, command: impl Fn() -> Command) {
        for commands in &self.commands {
            commands.send(command()).expect("room for a command");
        }
        self.obey();
    }

    pub fn obey(&mut self) {
        match &mut self.stages {
            Stages::Lane(lane) => {
                lane.obey();
            }
            Stages::Pipeline(pipeline) => {
                pipeline.io.obey();
                pipeline.workers.iter_mut().for_each(|worker| {
                    worker.obey();
                });
            }
        }
    }

    /// See [`Lane::set_cookies`].
    pub fn set_cookies(&mut self, cookies: Cookies) {
        match &mut self.stages {
            Stages::Lane(lane) => lane.set_cookies(cookies),
            Stages::Pipeline(pipeline) => pipeline.io.set_cookies(cookies),
        }
    }

    pub fn cookies(&self) -> &Cookies {
        match &self.stages {
            Stages::Lane(lane) => lane.cookies(),
            Stages::Pipeline(pipeline) => pipeline.io.cookies(),
        }
    }

    /// Those that take commands, in the order of the threads.
    pub fn commands(&self) -> &[Commands] {
        &self.commands
    }

    /// Has a worker stand still for a while, if it has a core of its own.
    pub fn stall(&mut self, worker: usize, time: Range<Instant>) {
        if let Stages::Pipeline(pipeline) = &mut self.stages {
            let count = pipeline.stalls.len();
            let stall = &mut pipeline.stalls[worker % count];
            if !stall.lasts(time.start) {
                stall.since = time.start;
            }
            stall.until = stall.until.max(time.end);
        }
    }

    /// Of workers on cores of their own.
    fn stalls(&self) -> &[Stall] {
        match &self.stages {
            Stages::Lane(_) => &[],
            Stages::Pipeline(pipeline) => &pipeline.stalls,
        }
    }

    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        let (lane, workers) = match &self.stages {
            Stages::Lane(lane) => (Some(lane.worker()), &[][..]),
            Stages::Pipeline(pipeline) => (None, &pipeline.workers[..]),
        };
        lane.into_iter().chain(workers.iter().map(Lane::worker))
    }

    /// The one that does all.
    ///
    /// # Panics
    /// If there are several.
    pub fn worker(&self) -> &Worker {
        let mut workers = self.workers();
        let worker = workers.next().expect("a worker");
        assert!(workers.next().is_none(), "which of them?");
        worker
    }

    /// Connections that are proxied now.
    pub fn active(&self) -> usize {
        self.workers().map(Worker::active).sum()
    }

    /// Whether there is something to do before time goes on, for those who do not stand still.
    pub fn is_busy(&self, now: Instant) -> bool {
        let queued = self.turning(now, Duration::ZERO).any(Worker::has_queued);
        match &self.stages {
            Stages::Lane(_) => queued,
            Stages::Pipeline(pipeline) => queued || pipeline.has_under_way(now),
        }
    }

    /// Whether nobody has anything to do, nor will have when it goes on.
    pub fn is_at_rest(&self, now: Instant) -> bool {
        !self.is_busy(now) && !self.stalls().iter().any(|stall| stall.lasts(now))
    }

    /// When somebody has something to do by itself: a timer is due, or one who stands still goes on.
    pub fn next_deadline(&self, now: Instant) -> Instant {
        let stalls = self.stalls().iter().filter(|stall| stall.lasts(now));
        let goes_on = stalls.map(|stall| stall.until).min().unwrap_or(Instant::FAR_FUTURE);
        goes_on.min(
            self.turning(now, Duration::ZERO).map(Worker::next_deadline).min().unwrap_or(goes_on),
        )
    }

    /// The earliest timer of the workers that have nothing else to do, and have caught up with what they
    /// stood still for.
    pub fn next_deadline_at(&self, now: Instant) -> Instant {
        let at_rest = self.turning(now, CATCH_UP).filter(|worker| !worker.has_queued());
        at_rest.map(Worker::next_deadline).min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// The workers that have not stood still for some time.
    fn turning(&self, now: Instant, for_some: Duration) -> impl Iterator<Item = &Worker> {
        let stalls = self.stalls();
        let stands =
            move |index: usize| stalls.get(index).is_some_and(|stall| stall.until + for_some > now);
        let workers = self.workers().enumerate();
        workers.filter(move |(index, _)| !stands(*index)).map(|(_, worker)| worker)
    }

    pub fn ports_mut(&mut self) -> &mut [P] {
        match &mut self.stages {
            Stages::Lane(lane) => lane.ports_mut(),
            Stages::Pipeline(pipeline) => pipeline.io.ports_mut(),
        }
    }

    /// Free frames of all pools.
    pub fn frames_free(&self) -> usize {
        self.pools().map(FramePool::free_count).sum()
    }

    pub fn pools(&self) -> impl Iterator<Item = &FramePool> {
        let io = match &self.stages {
            Stages::Lane(_) => None,
            Stages::Pipeline(pipeline) => Some(pipeline.io.pool()),
        };
        io.into_iter().chain(self.workers().map(|worker| &worker.pool))
    }

    /// What all have counted together; and what each has recorded, if that is asked for.
    pub fn fill(&mut self, snapshot: &mut Snapshot) {
        match &mut self.stages {
            Stages::Lane(lane) => lane.fill(snapshot),
            Stages::Pipeline(pipeline) => {
                let (services, ports) = (snapshot.services.len(), snapshot.ports.len());
                let records = snapshot.recorders.iter().any(Recorders::is_on);
                pipeline.io.fill(snapshot);
                for worker in &mut pipeline.workers {
                    let mut own = Snapshot::new(services, ports);
                    if records {
                        own = own.with_recorders(Recorders::new());
                    }
                    worker.fill(&mut own);
                    snapshot.add(own);
                }
            }
        }
    }

    /// Ends it as a running engine is ended, turn by turn of `clock`. Returns the last counts.
    pub fn stop(mut self, mut clock: impl FnMut() -> Instant, mut last: Snapshot) -> Snapshot {
        match &mut self.stages {
            Stages::Lane(lane) => lane.begin_to_stop(),
            Stages::Pipeline(pipeline) => {
                pipeline.workers.iter_mut().for_each(Lane::begin_to_stop);
            }
        }
        for _ in 0..TURNS_TO_STOP {
            let may_close = match &self.stages {
                Stages::Lane(lane) => lane.may_close(),
                Stages::Pipeline(pipeline) => pipeline.workers.iter().all(Lane::may_close),
            };
            if may_close {
                break;
            }
            self.turn(clock());
        }
        let now = clock();
        match &mut self.stages {
            Stages::Lane(lane) => lane.close(now),
            Stages::Pipeline(pipeline) => {
                pipeline.workers.iter_mut().for_each(|worker| worker.close(now));
                pipeline.io.close();
            }
        }
        self.fill(&mut last);
        last
    }
}

impl<P: Wire, G: Gate> Pipeline<P, G> {
    fn turn(&mut self, now: Instant) -> usize {
        let count = self.workers.len() + 1;
        let mut order = std::mem::take(&mut self.order);
        order.extend(0..count);
        let again = self.random.below(count as u64) as usize;
        order.extend((0..again).map(|_| self.random.below(count as u64) as usize));
        for last in (1..order.len()).rev() {
            order.swap(last, self.random.below(last as u64 + 1) as usize);
        }
        // Nothing happened for a while: a worker that slept has woken now and then all the same.
        if now.since(self.turned_at) > SLEEP_MAX {
            (0..self.workers.len()).for_each(|worker| {
                self.turn_worker(worker, now);
            });
        }
        self.turned_at = now;
        let turn = |turning: usize| match turning.checked_sub(1) {
            None => self.io.turn(&mut || now),
            Some(worker) => self.turn_worker(worker, now),
        };
        let found = order.drain(..).map(turn).sum();
        self.order = order;
        found
    }

    /// Whether something is in a ring to or from a worker that does not stand still.
    fn has_under_way(&self, now: Instant) -> bool {
        self.io.has_under_way(|worker| !self.stalls[worker].lasts(now))
    }

    fn turn_worker(&mut self, worker: usize, now: Instant) -> usize {
        match self.stalls[worker].lasts(now) {
            true => 0,
            false => self.workers[worker].turn(&mut || now),
        }
    }
}

/// As the engine's default.
const STALLED_AFTER: Duration = Duration::from_millis(100);

/// What a worker may take to do what came due while it stood still: it does so much in a turn.
const CATCH_UP: Duration = Duration::from_millis(10);

const TURNS_TO_STOP: usize = 10_000;
