//! The worker: everything between an RX burst and a TX burst.
//!
//! Owns the flows, the pairs, the timers, the frames and the counts of one lane, and shares
//! nothing. Sans-I/O like what it is made of: bursts and `now` in, frames out through an
//! [`Outlet`]. In one turn of the lane:
//!
//! 1. [`Worker::on_burst`] for each port: classify, look up, hand each segment to its leg
//!    (`receive.rs`; new connections in `accept.rs`, those by SYN cookie in `cookie.rs`; what is
//!    another worker's in `hand_over.rs`);
//! 2. [`Worker::on_time`]: what is due by itself (`timers.rs`), and who may sleep (`dormant.rs`);
//! 3. [`Worker::flush`]: every pair that something happened to is looked at once: payload
//!    crosses, segments leave (`progress.rs`), and paths are learnt about (`paths.rs`).
//!
//! [`Worker::show`] lets others look at the connections, between two turns (`connections.rs`).

mod accept;
mod awaiting;
mod connections;
mod cookie;
mod dormant;
mod events;
mod hand_over;
mod paths;
mod progress;
mod receive;
mod tapped;
mod timers;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use ringroad_ebpf::{CookieService, KnownFlows, ProvenSources};
use siphasher::sip128::SipHasher24;

use crate::flow::{FlowHash, FlowHasher, FlowKey, FlowTable, Full, Owner, Steering};
use crate::frame::{Frame, FramePool};
use crate::kernel::{NextHop, Routes};
use crate::limits::{BURST, PAIRS_PER_LANE_MAX, TIME_WAIT_MAX, WHEEL_TICK};
use crate::proxy::{
    Fallback, PairTable, Service, ServiceSettings, Side, SpentCookies, TimeWaitTable,
    cookie_service,
};
use crate::shield::cookie::Keys;
use crate::tcp::fast_open;
use crate::tcp::isn::Secret;
use crate::tcp::wheel::TimingWheel;
use crate::tcp::{ChunkSlab, Connection, State, TcpCounters};
use crate::telemetry::capture::Tap;
use crate::telemetry::events::Teller;
use crate::telemetry::{FrameCounts, Ledger, Recorders, ServiceCounters, Snapshot, Sources};
use crate::time::Instant;

use awaiting::Awaiting;
pub use connections::{Page, Wanted};
pub use dormant::idle_connection_octets;
use dormant::{Dormitory, awake_for};
pub use hand_over::Stray;
use receive::Arrival;
pub use tapped::Departure;

/// What a worker is told once, at its start.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The ports of the lane, in the order in which [`Worker::on_burst`] names them.
    pub ports: Vec<PortIdentity>,
    pub services: Vec<ServiceSettings>,
    /// The shield's, if there is one: to be told which flows are the worker's.
    pub known_flows: Option<KnownFlows>,
    /// Where to note who has completed a handshake, if the shield asks.
    pub proven_sources: Option<ProvenSources>,
    /// Secret randomness, from the kernel's source in a running engine, from the seed in a
    /// simulation. The same for all workers among whom flows are divided.
    pub secret: [u8; 16],
    /// Which of them this one is.
    pub owner: Owner,
    /// Whether times and sizes are recorded as histograms.
    pub records: bool,
}

impl WorkerSettings {
    /// What one of several gets of what one would have by itself.
    pub fn share(mut self, of: &Steering, index: u8) -> Self {
        self.owner = Owner::new(of.clone(), index);
        self.services = self.services.into_iter().map(|service| service.share(of)).collect();
        self
    }
}

/// What the worker knows of a port.
#[derive(Clone, Copy, Debug)]
pub struct PortIdentity {
    /// How Linux numbers the interface; routes name it by this.
    pub ifindex: u32,
    /// Largest IP packet [octets].
    pub mtu: u16,
    /// What it hands over has right checksums; see [`crate::port::Port::verifies_checksums`].
    pub verified: bool,
}

/// Where a worker's frames leave; see [`Worker::flush`].
pub trait Outlet {
    /// Whether [`Outlet::send`] by `port` will take another frame.
    fn has_room(&mut self, pool: &mut FramePool, port: u8) -> bool;

    /// Takes a complete packet. Called only after [`Outlet::has_room`] said so.
    fn send(&mut self, pool: &mut FramePool, port: u8, packet: Frame);

    /// Told what goes with a segment, right before it is sent. Only who captures packets wants to know.
    #[inline]
    fn departs(&mut self, _departure: impl FnOnce() -> Departure) {}

    /// Asks Linux to find the link-layer address of a neighbour.
    fn resolve(&mut self, next_hop: NextHop);

    /// Tells Linux that packets go to a neighbour, so that it does not forget it.
    fn in_use(&mut self, next_hop: NextHop);
}

/// See the module.
#[derive(Debug)]
pub struct Worker {
    /// Public for the lane, which receives into it and reclaims from its ports.
    pub pool: FramePool,
    chunks: ChunkSlab,
    tcp_counters: TcpCounters,
    flows: FlowTable,
    known_flows: Option<KnownFlows>,
    hasher: FlowHasher,
    owner: Owner,
    /// Packets of this turn that are another worker's.
    strays: Vec<Stray>,
    /// Pairs that are awake.
    pairs: PairTable,
    dormitory: Dormitory,
    /// Of the pairs, those whose client has yet to acknowledge our SYN-ACK.
    half_open: usize,
    waiting: TimeWaitTable,
    wheel: TimingWheel,
    services: Vec<Service>,
    listeners: HashMap<SocketAddr, u16>,
    ports: Vec<PortIdentity>,
    routes: Arc<Routes>,
    secret: Secret,
    proven_sources: Option<ProvenSources>,
    /// Those of the SYN cookies that the shield hands out, if it does.
    cookie_keys: Option<Keys>,
    fast_open_cookies: fast_open::Cookies,
    /// Whether it does at present.
    cookies_on: bool,
    spent_cookies: SpentCookies,
    /// Segments of the burst being worked on.
    arrivals: Vec<Arrival>,
    /// Pairs that something happened to, each once.
    queue: VecDeque<u32>,
    /// Pairs with a leg that waits for a neighbour to be resolved.
    awaiting_path: Awaiting,
    /// When the ways to the origins are next confirmed.
    origins_looked_after: Instant,
    /// Packets that answer segments without a connection.
    replies: Vec<(u8, Frame)>,
    reset_budget: receive::ResetBudget,
    /// Where the search for held memory goes on.
    reclaimed_to: u32,
    draining: bool,
    now: Instant,
    ledger: Ledger,
    /// Of the whole core: the lane records what it sees of packets on their way.
    pub(super) recorders: Recorders,
    sources: Sources,
    /// Where packets are captured, if they are.
    tap: Option<Box<Tap>>,
    /// Where events are told, if somebody listens.
    events: Option<Teller>,
}

impl Worker {
    /// Takes all memory that the worker will ever need.
    pub fn new(
        settings: WorkerSettings,
        pool: FramePool,
        routes: Arc<Routes>,
        now: Instant,
    ) -> Self {
        let WorkerSettings { ports, services, known_flows, proven_sources, secret, owner, .. } =
            settings;
        let records = settings.records;
        let hasher = flow_hasher(&secret);
        let pairs = pairs_for(&services);
        let awake = awake_for(pairs, pool.capacity_max());
        let replies_max = BURST * ports.len();
        // Who has seen many of our source ports may find this seed, and from it nothing else.
        let [s0, s1, s2, s3, s4, s5, s6, s7, ..] = derive(&secret, b"source ports");
        let ports_seed = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let listeners = services
            .iter()
            .enumerate()
            .flat_map(|(index, s)| s.listen.iter().map(move |address| (*address, index as u16)))
            .collect();
        Worker {
            chunks: ChunkSlab::for_pool(&pool),
            pool,
            tcp_counters: TcpCounters::default(),
            flows: FlowTable::new(flows_for(&services)),
            known_flows,
            pairs: PairTable::new(awake),
            dormitory: Dormitory::new(pairs, awake, now),
            half_open: 0,
            waiting: TimeWaitTable::new(TIME_WAIT_MAX),
            wheel: TimingWheel::new(awake, WHEEL_TICK, now),
            services: services
                .into_iter()
                .enumerate()
                .map(|(index, s)| {
                    Service::new(s, &owner, &hasher, ports_seed.wrapping_add(index as u64))
                })
                .collect(),
            hasher,
            strays: Vec::with_capacity(if owner.is_alone() { 0 } else { BURST * ports.len() }),
            owner,
            listeners,
            ports,
            routes,
            secret: Secret::new(derive(&secret, b"sequence numbers")),
            proven_sources,
            cookie_keys: None,
            fast_open_cookies: fast_open::Cookies::new(derive(&secret, b"fast open")),
            cookies_on: false,
            spent_cookies: SpentCookies::new(),
            arrivals: Vec::with_capacity(BURST),
            queue: VecDeque::with_capacity(awake),
            awaiting_path: Awaiting::new(awake),
            origins_looked_after: now,
            replies: Vec::with_capacity(replies_max),
            reset_budget: receive::ResetBudget::new(derive(&secret, b"resets")),
            reclaimed_to: 0,
            draining: false,
            now,
            ledger: Ledger::default(),
            recorders: if records { Recorders::new() } else { Recorders::off() },
            sources: Sources::of_core(),
            tap: None,
            events: None,
        }
    }

    /// Connections that are proxied now, those that sleep included.
    pub fn active(&self) -> usize {
        self.pairs.len() + self.dormitory.len()
    }

    /// Of these, those on which nothing happens.
    pub fn asleep(&self) -> usize {
        self.dormitory.len()
    }

    /// Connections whose client has yet to acknowledge our SYN-ACK.
    #[inline]
    pub fn half_open(&self) -> usize {
        self.half_open
    }

    /// The same, counted one by one, for tests.
    pub fn count_half_open(&self) -> usize {
        let pairs = self.pairs.indices().filter_map(|index| self.pairs.get(index));
        let clients = pairs.filter_map(|pair| pair.leg(Side::Client));
        // One that was opened early has proven itself.
        let unproven = |tcp: &Connection| tcp.state() == State::SynReceived && !tcp.opened_early();
        clients.filter(|client| unproven(&client.tcp)).count()
    }

    /// The MSS that every origin of service `index` is known to take [octets].
    #[inline]
    pub fn origin_mss(&self, index: usize) -> u16 {
        self.services[index].origin_mss()
    }

    /// What a SYN-ACK of service `index` says of us, where the shield writes it.
    pub fn cookie_service(&self, index: usize) -> CookieService {
        let service = &self.services[index];
        let mtu = self.ports[usize::from(service.settings.port)].mtu;
        cookie_service(&service.settings.client_leg, mtu, service.origin_mss())
    }

    /// Whether new connections to service `index` are to come here; else the shield leaves them to
    /// Linux. Where they are not Linux's to have, they come in any case, to be refused here.
    pub fn is_accepting(&self, index: usize) -> bool {
        let service = &self.services[index];
        service.settings.fallback != Fallback::Kernel
            || !(self.draining
                || !service.has_room()
                || self.pool.is_scarce()
                || self.pairs.is_full()
                || self.active() >= self.dormitory.capacity())
    }

    pub(super) fn ports_mut(&mut self) -> &mut [PortIdentity] {
        &mut self.ports
    }

    pub fn services(&self) -> usize {
        self.services.len()
    }

    /// Flows that are the worker's, those in TIME-WAIT included.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Source ports that connections to origins have taken, for tests.
    pub fn source_ports_taken(&self) -> usize {
        let origins = self.services.iter().flat_map(|service| &service.origins);
        origins.map(|origin| origin.source_ports.taken()).sum()
    }

    /// Stops taking new connections; what is open goes on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Takes SYN cookies of these keys from now on, and of no others.
    pub fn set_cookie_keys(&mut self, keys: Keys) {
        self.cookie_keys = Some(keys);
    }

    /// Whether the shield answers SYNs at present. If so, segments that prove nothing may be a flood of
    /// forged proofs, and get no answer.
    pub fn set_cookies_on(&mut self, on: bool) {
        self.cookies_on = on;
    }

    /// Takes over what Linux knows now. Paths are looked up again as they are next used.
    pub fn set_routes(&mut self, routes: Arc<Routes>) {
        self.routes = routes;
        while let Some(index) = self.awaiting_path.pop() {
            self.enqueue(index);
        }
    }

    /// Resets every connection: the end of a drain. The resets leave with the next flush.
    pub fn abort_all(&mut self) {
        for index in self.pairs.indices() {
            if let Some(pair) = self.pairs.get_mut(index) {
                pair.legs.iter_mut().flatten().for_each(|leg| leg.tcp.abort());
                self.enqueue(index);
            }
        }
        self.abort_sleepers();
    }

    /// Says what was counted, as of now; see [`Snapshot`].
    pub fn fill(&mut self, snapshot: &mut Snapshot) {
        snapshot.take_from(&mut self.recorders);
        snapshot.take_sources(&mut self.sources);
        snapshot.ledger = self.ledger();
        snapshot.tcp = self.tcp_counters;
        let counters = self.services.iter().map(|service| service.counters);
        for (slot, counters) in snapshot.services.iter_mut().zip(counters) {
            *slot = counters;
        }
        let paths = self.services.iter().flat_map(Service::paths);
        for (slot, sums) in snapshot.paths.iter_mut().zip(paths) {
            *slot = *sums;
        }
        let origins = self.services.iter().flat_map(|service| &service.origins);
        for (slot, origin) in snapshot.origins.iter_mut().zip(origins) {
            *slot = origin.counters;
        }
        snapshot.frames = FrameCounts::of(&self.pool);
    }

    /// Frames given to ports, since the start.
    #[inline]
    pub fn sent(&self) -> u64 {
        self.ledger.sent
    }

    /// The ledger as of now, for tests.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.ledger.clone();
        ledger.settle(&self.tcp_counters);
        ledger.held += self.strays.len() as u64;
        ledger
    }

    /// What the connections counted, for tests.
    pub fn tcp_counters(&self) -> &TcpCounters {
        &self.tcp_counters
    }

    /// One service's counts, for tests.
    pub fn service_counters(&self, index: usize) -> ServiceCounters {
        self.services[index].counters
    }

    fn enqueue(&mut self, index: u32) {
        if let Some(pair) = self.pairs.get_mut(index)
            && !pair.queued
        {
            pair.queued = true;
            self.queue.push_back(index);
        }
    }

    fn hash(&self, key: &FlowKey) -> FlowHash {
        self.hasher.hash(key)
    }

    /// A flow that is not in the table is ours from now on. `port`: what its segments come by.
    fn add_flow(
        &mut self,
        key: &FlowKey,
        hash: FlowHash,
        port: u8,
        slot: Slot,
    ) -> Result<(), Full> {
        let earlier = self.flows.insert(*key, hash, slot.encode())?;
        debug_assert_eq!(earlier, None, "{key} had an entry");
        if let Some(known_flows) = &self.known_flows {
            known_flows.insert(port.into(), &key.to_octets());
        }
        Ok(())
    }

    /// A flow that was added is ours no more.
    fn remove_flow(&mut self, key: &FlowKey, hash: FlowHash, port: u8) {
        let removed = self.flows.remove(key, hash);
        debug_assert!(removed.is_some(), "{key} had no entry");
        if let Some(known_flows) = &self.known_flows {
            known_flows.remove(port.into(), &key.to_octets());
        }
    }
}

/// How workers hash flows: [`crate::flow::Steering`] wants it of whoever steers packets to them.
pub fn flow_hasher(secret: &[u8; 16]) -> FlowHasher {
    FlowHasher::new(&derive(secret, b"flows"))
}

/// Flows that a worker of these services has at most.
pub fn flows_for(services: &[ServiceSettings]) -> usize {
    2 * pairs_for(services) + TIME_WAIT_MAX
}

fn pairs_for(services: &[ServiceSettings]) -> usize {
    let wanted: usize = services.iter().map(|service| service.max_connections as usize).sum();
    wanted.min(PAIRS_PER_LANE_MAX)
}

/// A secret for one purpose, which tells nothing of the others.
fn derive(secret: &[u8; 16], purpose: &[u8]) -> [u8; 16] {
    SipHasher24::new_with_key(secret).hash(purpose).as_bytes()
}

/// What the flow table says of a flow, in its 32-bit values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Leg { pair: u32, side: Side },
    Dormant { index: u32, side: Side },
    TimeWait { index: u32 },
}

impl Slot {
    const TIME_WAIT: u32 = 1 << 31;
    const DORMANT: u32 = 1 << 30;

    fn encode(self) -> u32 {
        match self {
            Slot::Leg { pair, side } => pair << 1 | side as u32,
            Slot::Dormant { index, side } => index << 1 | side as u32 | Slot::DORMANT,
            Slot::TimeWait { index } => index | Slot::TIME_WAIT,
        }
    }

    #[inline]
    fn decode(value: u32) -> Self {
        if value & Slot::TIME_WAIT != 0 {
            return Slot::TimeWait { index: value & !Slot::TIME_WAIT };
        }
        let side = if value & 1 == 0 { Side::Client } else { Side::Origin };
        let index = (value & !Slot::DORMANT) >> 1;
        match value & Slot::DORMANT {
            0 => Slot::Leg { pair: index, side },
            _ => Slot::Dormant { index, side },
        }
    }
}

const _: () = assert!((PAIRS_PER_LANE_MAX as u32) << 1 <= Slot::DORMANT);

/// Borrows the parts of a worker that a connection needs.
macro_rules! context {
    ($worker:expr) => {
        crate::tcp::Context {
            now: $worker.now,
            pool: &mut $worker.pool,
            chunks: &mut $worker.chunks,
            counters: &mut $worker.tcp_counters,
        }
    };
}
use context;
