//! The rig: the appliance, the hosts on both sides of it, and a clock that jumps.
//!
//! [`World::new`] takes a [`Plan`]; tests open clients, let time pass with [`World::run_until`] and
//! end with [`World::finish`], which demands that every frame is home and the ledger balances.
//! Everything follows from the seed. A test that fails says how to replay it.

mod places;
mod plan;
mod seeds;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use ringroad_ebpf::{EgressRange, KnownFlows, ServiceAddress};
use ringroad_engine::flow::Owner;
use ringroad_engine::frame::FramePool;
use ringroad_engine::kernel::{NextHop, SimulatedHost};
use ringroad_engine::limits::TIME_WAIT;
use ringroad_engine::port::Port;
use ringroad_engine::port::impair::{self, Impair};
use ringroad_engine::port::sim::{self, SimPort};
pub use ringroad_engine::random::Random;
use ringroad_engine::shield::{self, KernelPathCounts, Rates, Twin};
use ringroad_engine::stage::{
    Command, Gate, Neighbours, NoGate, PortIdentity, TwinGate, Worker, WorkerSettings,
};
use ringroad_engine::telemetry::{Ledger, ServiceCounters, Snapshot};
use ringroad_engine::time::Instant;

use self::places::learn_neighbour;
pub use self::places::{
    CLIENTS, IFINDEX, ORIGINS, OURS, THEIRS, address, ip, linux, origin, origin_settings, routes,
    service, service_v6,
};
pub use self::plan::Plan;
use self::seeds::Replay;
pub use self::seeds::{pattern, pick, seed, seeds};
use super::edge::{Edge, Parts};
use super::linux::LinuxServes;
use super::packet::{Link, Tags};
use super::peer::{App, Peer, Settings};
pub use super::side::{Hosts, Key, Listener, Side, SideStats};

/// A port whose packets may be on their way for a while.
pub trait Wire: Port {
    fn next_due(&self) -> Option<Instant>;
    /// Frames that it holds.
    fn held(&self) -> usize;
}

impl Wire for SimPort {
    fn next_due(&self) -> Option<Instant> {
        None
    }

    fn held(&self) -> usize {
        self.sending()
    }
}

impl<P: Wire> Wire for Impair<P> {
    fn next_due(&self) -> Option<Instant> {
        Impair::next_due(self).into_iter().chain(self.inner().next_due()).min()
    }

    fn held(&self) -> usize {
        Impair::held(self) + self.inner().held()
    }
}

/// Neighbours that the engine has asked for.
#[derive(Clone, Default)]
pub struct Asked(pub Rc<RefCell<BTreeSet<(u32, IpAddr)>>>);

impl Neighbours for Asked {
    fn resolve(&mut self, next_hop: NextHop) {
        self.0.borrow_mut().insert((next_hop.ifindex, next_hop.address));
    }

    fn in_use(&mut self, _next_hop: NextHop) {}
}

pub struct World<P: Wire, G: Gate = NoGate> {
    pub edge: Edge<P, G>,
    pub hosts: Hosts,
    pub now: Instant,
    pub asked: Asked,
    pub linux: SimulatedHost,
    pub random: Random,
    /// All that there are.
    frames: usize,
    known_flows: KnownFlows,
    linux_serves: LinuxServes,
    _replay: Option<Replay>,
}

impl World<SimPort> {
    /// Bare devices.
    pub fn new(plan: Plan) -> Self {
        let pool = plan.pool();
        World::with(plan, pool, |port, _| port, NoGate, Vec::new())
    }
}

impl World<SimPort, TwinGate<SimPort>> {
    /// Bare devices behind the shield's twin, with Linux as a host behind each of them.
    pub fn behind_twin(plan: Plan, rates: Rates) -> Self {
        let pool = plan.pool();
        World::with_twin(plan, pool, rates, |port, _| port)
    }
}

impl<P: Wire> World<P, TwinGate<SimPort>> {
    /// As [`World::behind_twin`], with devices that `wrap` makes of a side's cable and number.
    pub fn with_twin(
        plan: Plan,
        pool: FramePool,
        rates: Rates,
        wrap: impl FnMut(SimPort, usize) -> P,
    ) -> Self {
        let mut random = Random::new(plan.seed ^ 0x1147);
        let listen = plan.service.listen.iter();
        let services = listen
            .map(|&address| ServiceAddress {
                address,
                port_index: CLIENTS as u32,
                service_index: 0,
            })
            .collect();
        let origins = plan.service.origins.iter();
        let egress = origins
            .map(|origin| EgressRange {
                address: origin.egress_address,
                ports: origin.source_ports.clone(),
                port_index: ORIGINS as u32,
            })
            .collect();
        let mut twin = Twin::new(&shield::Settings {
            services,
            egress,
            cookies: vec![plan.cookie_service()],
            ..shield::Settings::new(2, plan.known_flows.clone(), [7; 16])
        });
        let linux_serves = LinuxServes::default();
        twin.ask_linux(Box::new(linux_serves.clone()));
        let (kernels, linux): (Vec<_>, Vec<_>) = [CLIENTS, ORIGINS]
            .map(|_| {
                let device = sim::Settings { reserve: 0, ..plan.device };
                let (kernel, cable) = SimPort::with_peer(device);
                (kernel, Side::new(cable, Random::new(random.draw())))
            })
            .into_iter()
            .unzip();
        let gate = TwinGate::new(twin, kernels, rates);
        let mut world = World::with(plan, pool, wrap, gate, linux);
        world.linux_serves = linux_serves;
        for side in world.hosts.all_mut() {
            side.others = Some(Vec::new());
        }
        // The lane tells the gate in its first turn what it accepts.
        world.run_for(ms(1));
        world
    }
}

impl World<Impair<SimPort>> {
    /// A bad network on both sides: `settings[side]` for each direction of that side.
    pub fn impaired(plan: Plan, settings: [impair::Settings; 2]) -> Self {
        let seed = plan.seed;
        let wrap = |port, side| {
            Impair::new(port, seed ^ (side as u64) << 32, settings[side], settings[side])
        };
        let pool = plan.pool();
        let mut world = World::with(plan, pool, wrap, NoGate, Vec::new());
        for (side, settings) in world.hosts.0.iter_mut().zip(settings) {
            side.corrupting = settings.corrupt_ppm > 0;
        }
        world
    }
}

impl<P: Wire, G: Gate> World<P, G> {
    /// A device on each side that `wrap` makes of its cable and number, behind `gate`; and what is
    /// `behind` that.
    pub fn with(
        plan: Plan,
        pool: FramePool,
        mut wrap: impl FnMut(SimPort, usize) -> P,
        gate: G,
        behind: Vec<Side>,
    ) -> Self {
        let says = plan.cookie_service();
        let frames = pool.capacity();
        let _replay = plan.is_replayed_by_seed.then_some(Replay { seed: plan.seed });
        let mut random = Random::new(plan.seed);
        let now = Instant::from_millis(10_000 + random.below(1000));
        let mut linux = linux(&plan);
        let mut secret = [0; 16];
        secret.fill_with(|| random.draw() as u8);
        let settings = WorkerSettings {
            ports: IFINDEX
                .map(|ifindex| PortIdentity { ifindex, mtu: 1500, verified: plan.verified })
                .to_vec(),
            services: vec![plan.service],
            known_flows: Some(plan.known_flows.clone()),
            proven_sources: plan.proven_sources,
            secret,
            owner: Owner::default(),
            records: true,
        };
        let asked = Asked::default();
        let (ports, sides): (Vec<P>, Vec<Side>) = [CLIENTS, ORIGINS]
            .map(|side| {
                let (port, cable) = SimPort::with_peer(plan.device);
                (wrap(port, side), Side::new(cable, Random::new(random.draw())))
            })
            .into_iter()
            .unzip();
        let Ok(sides) = <[Side; 2]>::try_from(sides) else { unreachable!("two were made") };
        let edge = Edge::new(Parts {
            workers: plan.workers,
            pool,
            ports,
            gate,
            settings,
            says: vec![says],
            cookies: plan.cookies,
            routes: linux.snapshot(),
            asked: asked.clone(),
            now,
            seed: plan.seed,
        });
        World {
            edge,
            hosts: Hosts(sides, behind),
            now,
            asked,
            linux,
            random,
            frames,
            known_flows: plan.known_flows,
            linux_serves: LinuxServes::default(),
            _replay,
        }
    }

    /// Has an origin listen.
    pub fn listen(
        &mut self,
        address: SocketAddr,
        settings: Settings,
        app: impl FnMut() -> App + 'static,
    ) {
        let listener = Listener::Accept(settings, Box::new(app));
        self.hosts.0[ORIGINS].listeners.insert(address, listener);
    }

    /// Opens a client's connection to the service, from the address of its family.
    pub fn client(&mut self, number: u16, settings: Settings, app: App) -> Key {
        let from =
            SocketAddr::new([198, 51, 100, (number >> 12) as u8 + 1].into(), 30_000 + number);
        self.client_at((from, service()), None, settings, app)
    }

    pub fn client_at(
        &mut self,
        key: Key,
        tags: impl Into<Tags>,
        settings: Settings,
        app: App,
    ) -> Key {
        let link = Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: tags.into() };
        let peer = Peer::connect(settings, key, link, self.random.draw() as u32, app);
        self.hosts.0[CLIENTS].peers.insert(key, peer);
        key
    }

    pub fn peer(&mut self, key: Key) -> &mut Peer {
        self.hosts.0[CLIENTS].peers.get_mut(&key).expect("a client that was opened")
    }

    /// The origins' connections, oldest key first.
    pub fn origin_peers(&mut self) -> Vec<&mut Peer> {
        self.hosts.0[ORIGINS].peers.values_mut().collect()
    }

    /// Tells the engine what Linux knows now; taken before the next turn.
    pub fn publish_routes(&mut self) {
        let routes = self.linux.snapshot();
        self.edge.tell(|| Command::Routes(routes.clone()));
    }

    pub fn learn_neighbour(&mut self, side: usize, address: IpAddr) {
        learn_neighbour(&mut self.linux, side, address);
        self.publish_routes();
    }

    pub fn drain(&mut self) {
        self.edge.tell(|| Command::Drain);
    }

    /// One round: hosts answer, the lane turns, and time goes on: a little if packets moved, else
    /// to when something is due, at most to `limit`. Returns whether anything moved.
    pub fn step(&mut self, limit: Instant) -> bool {
        let moved = self.hosts.turn(self.now);
        self.linux_serves.update(&self.hosts.1);
        let found = self.edge.turn(self.now);
        self.assert_accounts();
        let waiting = self.hosts.all().any(|side| side.cable.waiting() > 0);
        let busy = moved > 0 || found > 0 || waiting || self.edge.is_busy(self.now);
        let next = if busy { self.now + TICK } else { self.next_due() };
        if !busy {
            self.edge.woken();
        }
        self.now = next.max(self.now + TICK).min(limit.max(self.now));
        busy
    }

    fn next_due(&mut self) -> Instant {
        let on_the_way = self.edge.ports_mut().iter().filter_map(|port| port.next_due()).min();
        let peers = self.hosts.deadline();
        peers.min(self.edge.next_deadline(self.now)).min(on_the_way.unwrap_or(Instant::FAR_FUTURE))
    }

    /// Lets things happen until `done` says so.
    ///
    /// # Panics
    /// If that is not within `limit`.
    #[track_caller]
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.now < end, "not done after {limit:?}: {}", self.describe());
            self.step(end);
        }
    }

    /// Lets all happen that happens within `time`.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..TURNS_AT_LEAST {
            self.step(end);
        }
        while self.now < end {
            self.step(end);
        }
        self.assert_half_open();
        self.assert_known_flows();
    }

    /// The shield knows of as many connections as there are.
    fn assert_known_flows(&self) {
        assert_eq!(self.known_flows.count(), self.edge.workers().map(Worker::flows).sum());
    }

    /// Counted on the way, and counted one by one.
    fn assert_half_open(&self) {
        for worker in self.edge.workers() {
            assert_eq!(worker.half_open(), worker.count_half_open());
        }
    }

    /// Until every client's and every origin's connection is over.
    #[track_caller]
    pub fn run_to_the_end(&mut self, limit: Duration) {
        self.run_until(limit, |world| world.hosts.all_over() && world.edge.active() == 0);
    }

    /// What must hold between any two turns.
    fn assert_accounts(&mut self) {
        self.edge.workers().for_each(|worker| worker.ledger().assert_balanced());
        for pool in self.edge.pools() {
            assert_eq!(pool.free_count() + pool.held_count(), pool.capacity());
        }
    }

    /// The end of every test: nothing is open, every frame is home, the ledger balances.
    #[track_caller]
    pub fn finish(mut self) -> Ended {
        self.run_for(ms(1));
        self.run_until(secs(300), |world| {
            world.edge.is_at_rest(world.now)
                && world.edge.active() == 0
                && world.edge.ports_mut().iter().all(|port| port.held() == 0)
                && world.hosts.all().all(|side| side.under_way() == 0)
        });
        let mut snapshot = Snapshot::new(1, 2);
        self.edge.fill(&mut snapshot);
        assert_ended(&snapshot);
        assert_eq!(snapshot.frames.capacity, self.frames as u64, "none is lost between two pools");
        let taken: usize = self.edge.workers().map(Worker::source_ports_taken).sum();
        assert_eq!(taken, 0, "nobody has them any more");
        self.assert_known_flows();
        self.run_for(TIME_WAIT + secs(1));
        assert_eq!(self.known_flows.count(), 0, "nothing is left");
        Ended {
            ledger: snapshot.ledger,
            service: snapshot.services[0],
            kernel_paths: snapshot.kernel_paths,
        }
    }

    pub fn counters(&self) -> ServiceCounters {
        let mut counters = ServiceCounters::default();
        self.edge.workers().for_each(|worker| counters.add(&worker.service_counters(0)));
        counters
    }

    /// Who is not done yet.
    pub fn describe(&self) -> String {
        let mut text = format!("{} pairs, {:?}", self.edge.active(), self.counters());
        for (name, side) in ["client", "origin", "Linux", "Linux"].iter().zip(self.hosts.all()) {
            if side.under_way() > 0 {
                text +=
                    &format!("\n{} packets are on their way to or from {name}s", side.under_way());
            }
            for peer in side.peers.values().filter(|peer| !peer.is_over()).take(5) {
                text += &format!(
                    "\n{name} {}: {:?}, received {}, unacknowledged {}, window {}, {:?}",
                    peer.local,
                    peer.status,
                    peer.received.len(),
                    peer.unacknowledged(),
                    peer.window(),
                    peer.stats
                );
            }
        }
        text
    }
}

/// What was counted, at the end.
pub struct Ended {
    pub ledger: Ledger,
    pub service: ServiceCounters,
    pub kernel_paths: Vec<KernelPathCounts>,
}

pub fn assert_ended(snapshot: &Snapshot) {
    snapshot.ledger.assert_balanced();
    assert_eq!(snapshot.ledger.held, 0, "payload waits, but nobody is there");
    assert_eq!(snapshot.frames.free, snapshot.frames.capacity, "{:?}", snapshot.frames);
    assert_eq!(snapshot.frames.with_devices, 0);
    assert_eq!(snapshot.services[0].active, 0);
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What passes while packets move: a round trip to a host takes two of these.
const TICK: Duration = Duration::from_micros(50);

/// Turns that a device with a slow memory may need to give back what it has sent.
const TURNS_AT_LEAST: usize = 8;
