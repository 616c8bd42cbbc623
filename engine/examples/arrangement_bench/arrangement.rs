//! The arrangements: which core does what, with connections open on it.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use core_affinity::CoreId;
use ringroad_engine::flow::{FlowKey, Owner, Steering};
use ringroad_engine::frame::FramePool;
use ringroad_engine::port::Port;
use ringroad_engine::port::sim::{Settings, SimPeer, SimPort};
use ringroad_engine::stage::{
    Commands, Gate, HandOver, IdlePolicy, IoSettings, IoStage, Lane, Mailbox, NoGate, Worker,
    flow_hasher, mailbox, split_for_pipeline,
};
use ringroad_engine::time::Instant;

use super::hosts::Hosts;
use super::parts::{
    CLIENT, FRAME_SIZE, FRAMES, NoOne, PORTS, SERVICE, START, routes, worker_settings,
};

/// Of each core that has devices.
pub const FLOWS: usize = 1024;

/// Of a lane's packets, each so many-th comes by the other lane.
const ASTRAY_EVERY: usize = 10;

#[derive(Clone, Copy, Debug)]
pub enum Arrangement {
    OneLane,
    /// `astray`: some flows come by the wrong one.
    TwoLanes {
        astray: bool,
    },
    /// A core with the devices, and one with the connections.
    Pipeline,
}

/// What one core does, over and over. Returns how many packets it has found.
pub trait Stage: Send {
    fn turn(&mut self, now: Instant) -> usize;
}

/// A core at work.
pub struct Core {
    pub id: CoreId,
    pub stage: Box<dyn Stage>,
    /// Behind its devices, if it has some.
    pub hosts: Option<Hosts>,
}

/// An arrangement that is ready to be measured.
pub struct Setup {
    pub cores: Vec<Core>,
    /// Places of the flows, in each core's, whose packets come by the next core.
    pub astray: Vec<usize>,
}

impl Arrangement {
    pub fn name(self) -> &'static str {
        match self {
            Arrangement::OneLane => "one lane",
            Arrangement::TwoLanes { astray: false } => "two lanes",
            Arrangement::TwoLanes { astray: true } => "two lanes, 10 % by the other lane",
            Arrangement::Pipeline => "pipeline: I/O core and worker",
        }
    }

    pub fn build(self, cores: [CoreId; 2]) -> Setup {
        let (cores, astray) = match self {
            Arrangement::OneLane => (lanes(&cores[..1]), false),
            Arrangement::TwoLanes { astray } => (lanes(&cores), astray),
            Arrangement::Pipeline => (pipeline(cores), false),
        };
        let astray = if astray { (0..FLOWS).step_by(ASTRAY_EVERY).collect() } else { Vec::new() };
        let mut setup = Setup { cores, astray };
        setup.open();
        setup
    }
}

impl Setup {
    /// Opens the connections of all cores, on this thread.
    fn open(&mut self) {
        let mut hosts: Vec<Option<Hosts>> =
            self.cores.iter_mut().map(|core| core.hosts.take()).collect();
        let owners = hosts.iter().flatten().count() as u8;
        for (owner, hosts) in (0..).zip(hosts.iter_mut().flatten()) {
            hosts.open(&client_ports(owner, owners), || self.turn_until_quiet());
        }
        for (core, hosts) in self.cores.iter_mut().zip(hosts) {
            core.hosts = hosts;
        }
    }

    fn turn_until_quiet(&mut self) {
        // What one sends in a turn another may find in its next.
        let mut quiet = 0;
        while quiet < 2 {
            let found: usize = self.cores.iter_mut().map(|core| core.stage.turn(START)).sum();
            quiet = if found == 0 { quiet + 1 } else { 0 };
        }
    }
}

impl<P: Port + Send, G: Gate + Send> Stage for Lane<P, G, NoOne> {
    fn turn(&mut self, now: Instant) -> usize {
        self.turn(&mut || now)
    }
}

impl<P: Port + Send, G: Gate + Send> Stage for IoStage<P, G> {
    fn turn(&mut self, now: Instant) -> usize {
        self.turn(&mut || now)
    }
}

/// Run to completion.
fn lanes(cores: &[CoreId]) -> Vec<Core> {
    let steering = Steering::hashed(owners(cores.len() as u8));
    let memory = FramePool::in_memory(cores.len() * FRAMES, FRAME_SIZE);
    let pools = memory.split(&vec![FRAMES; cores.len()]);
    let posts: Vec<(Commands, Mailbox)> = cores.iter().map(|_| post()).collect();
    let commands: Vec<Commands> = posts.iter().map(|(commands, _)| commands.clone()).collect();
    let others = HandOver::among(&commands, PORTS);
    let lanes = (0..).zip(cores).zip(pools).zip(posts).zip(others);
    lanes
        .map(|((((index, id), pool), (_, mailbox)), others)| {
            let (ports, hosts) = devices();
            let settings = worker_settings(Owner::new(steering.clone(), index));
            let worker = Worker::new(settings, pool, routes(), START);
            let mut lane = Lane::new(worker, ports, NoGate, NoOne, mailbox, IdlePolicy::Spin);
            lane.set_others(others);
            Core { id: *id, stage: Box::new(lane), hosts: Some(hosts) }
        })
        .collect()
}

/// The first core has the devices, the second the connections.
fn pipeline([io, worker]: [CoreId; 2]) -> Vec<Core> {
    let all = 2 * FRAMES;
    let memory = FramePool::in_memory(all, FRAME_SIZE);
    let (io_pool, mut pools) = split_for_pipeline(memory, all / 4, 1);
    let settings = worker_settings(Owner::default());
    let hasher = flow_hasher(&settings.secret);
    let its_worker = Worker::new(settings, pools.remove(0), routes(), START);
    let (_, io_mailbox) = post();
    let (lane, end) = Lane::behind(io_mailbox.bell(), its_worker, NoOne, post(), IdlePolicy::Spin);
    let (ports, hosts) = devices();
    let settings = IoSettings {
        ports,
        gate: NoGate,
        steering: Steering::default(),
        hasher,
        workers: vec![end],
        stalled_after: Duration::from_millis(100),
        says: Vec::new(),
        mailbox: io_mailbox,
        idle: IdlePolicy::Spin,
        records: true,
    };
    let stage = IoStage::new(io_pool, settings);
    vec![
        Core { id: io, stage: Box::new(stage), hosts: Some(hosts) },
        Core { id: worker, stage: Box::new(lane), hosts: None },
    ]
}

fn devices() -> (Vec<SimPort>, Hosts) {
    let (ports, cables): (Vec<SimPort>, Vec<SimPeer>) =
        (0..PORTS).map(|_| SimPort::with_peer(Settings::default())).unzip();
    let cables: [SimPeer; PORTS] = cables.try_into().expect("one for each port");
    (ports, Hosts::new(cables))
}

fn post() -> (Commands, Mailbox) {
    mailbox().expect("an eventfd")
}

fn owners(count: u8) -> NonZeroU8 {
    NonZeroU8::new(count).expect("a core")
}

/// Ports from which the client's flows are the `owner`th's.
fn client_ports(owner: u8, count: u8) -> Vec<u16> {
    let settings = worker_settings(Owner::default());
    let (hasher, steering) = (flow_hasher(&settings.secret), Steering::hashed(owners(count)));
    let is_own = |port: &u16| {
        let flow = FlowKey::new(SERVICE, SocketAddr::new(CLIENT, *port));
        steering.owner(0, &flow, hasher.hash(&flow)) == owner
    };
    (FIRST_PORT..=u16::MAX).filter(is_own).take(FLOWS).collect()
}

const FIRST_PORT: u16 = 1024;
