//! Plays a case: builds the world, has everything happen when it is due, and looks on.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringroad_engine::limits::WHEEL_TICK;
use ringroad_engine::port::sim::SimPort;
use ringroad_engine::proxy::OriginSettings;
use ringroad_engine::shield::Rates;
use ringroad_engine::stage::{Cookies, Pressure, TwinGate};
use ringroad_engine::telemetry::Snapshot;
use ringroad_engine::time::Instant;

use super::case::{Case, Client, CookieUse, service_for};
use super::failure::{Failure, Oracle, catching};
use super::highlights::Seen;
use super::judge;
use super::report::Report;
use super::watch::Watch;
use crate::actors::{Behaviour, Scene};
use crate::appliance::peer::Settings;
use crate::appliance::rig::{CLIENTS, Hosts, Listener, ORIGINS, Plan, World, secs};
use crate::faults::{AdminFault, AdminFaultKind, After, Faulty, OriginFaults, WorkerStall, stop};
use crate::internet::{Internet, NetworkSettings};

/// Plays a case to its end, or to where something is wrong. The same case has the same outcome, and
/// the same packets, always.
pub fn run(case: &Case, watch: &Watch) -> Result<Report, Failure> {
    catching(|| Run::new(case, watch).play())
}

struct Run<'a> {
    case: &'a Case,
    world: World<Faulty<SimPort>, TwinGate<SimPort>>,
    onlooker: Onlooker<'a>,
    began: Instant,
    /// What is still to come, the next first.
    clients: VecDeque<&'a Client>,
    admin: VecDeque<AdminFault>,
    stalls: VecDeque<WorkerStall>,
    origin_faults: OriginFaults,
    is_calm: bool,
    /// When the world has last turned. Where nothing is due any more, its time goes on to the end.
    turned_at: Instant,
}

/// What is known of a run beside its world.
struct Onlooker<'a> {
    case: &'a Case,
    watch: &'a Watch,
    internets: [Rc<RefCell<Internet>>; 2],
    began: Instant,
    frames_free_least: usize,
}

impl<'a> Run<'a> {
    fn new(case: &'a Case, watch: &'a Watch) -> Self {
        let mut world = build(case);
        let began = world.now;
        let internets = [CLIENTS, ORIGINS].map(|side| internet(case, side));
        for (side, internet) in world.hosts.0.iter_mut().zip(&internets) {
            side.network = Some(Box::new(internet.clone()));
        }
        // What is damaged on its way may reach Linux as well.
        world.hosts.all_mut().for_each(|side| side.corrupting = true);
        for (index, side) in world.hosts.0.iter_mut().enumerate() {
            side.observer = Some(watch.observer(index));
        }
        for origin in &case.origins {
            let behaviour = origin.behaviour;
            world.listen(origin.address, origin.settings, move || behaviour.origin());
        }
        // Linux serves what the engine leaves to it, as it does by default (tcp_max_syn_backlog and
        // tcp_synack_retries).
        world.hosts.1[CLIENTS].backlog = 128;
        for address in &case.service.listen {
            // Whoever speaks to it is no engine, and its TCP knows nothing of narrow paths.
            let settings = Settings {
                lossy: true,
                forged: true,
                sack_may_be_foreign: true,
                segment_max: 1200,
                patience: Some(secs(900)),
                handshake_patience: Some(secs(63)),
                ..Settings::MODERN
            };
            let plain = || Behaviour::Plain.origin();
            let listener = Listener::Accept(settings, Box::new(plain));
            world.hosts.1[CLIENTS].listeners.insert(*address, listener);
        }
        let scenes = [Scene::clients(clients_known(case)), Scene::origins(origins_known(case))];
        for intruding in &case.intruders {
            let scene = scenes[intruding.side].clone();
            let actor = intruding.attack.actor(case.seed, began, scene);
            world.hosts.0[intruding.side].actors.push(actor);
        }
        let mut clients: Vec<&Client> = case.clients.iter().collect();
        clients.sort_by_key(|client| client.opens_at);
        let mut admin = case.admin_faults.clone();
        admin.sort_by_key(|fault| fault.at);
        let mut stalls = case.stalls.clone();
        stalls.sort_by_key(|stall| stall.from);
        let frames_free_least = world.edge.frames_free();
        Run {
            case,
            world,
            onlooker: Onlooker { case, watch, internets, began, frames_free_least },
            began,
            turned_at: began,
            clients: clients.into(),
            admin: admin.into(),
            stalls: stalls.into(),
            origin_faults: OriginFaults::new(case.origin_faults.clone()),
            is_calm: false,
        }
    }

    fn play(mut self) -> Result<Report, Failure> {
        match self.go_on() {
            Ok(After::GoesOn) => self.finish(),
            Ok(After::Stops) => self.stop(),
            Err(failure) => {
                // It holds frames, which object to being dropped: that is not what is wrong with it.
                std::mem::forget(self.world);
                Err(failure)
            }
        }
    }

    /// Until nothing is left to be done, or the engine is told to stop.
    fn go_on(&mut self) -> Result<After, Failure> {
        let patience = self.case.calm_at + self.case.service.idle_timeout + LIVENESS;
        loop {
            let since = self.since();
            if since >= self.case.calm_at && !self.is_calm {
                self.calm();
            }
            self.open(since);
            if self.administer(since) == After::Stops {
                return Ok(After::Stops);
            }
            self.stall(since);
            self.origin_faults.pass(since, &mut self.world.hosts.0[ORIGINS]);
            if self.is_over() {
                return Ok(After::GoesOn);
            }
            if since > patience {
                return Err(self.failure(Oracle::Liveness, &self.world.describe()));
            }
            self.turned_at = self.world.now;
            let end = self.began + patience + Duration::from_secs(1);
            self.world.step(self.next_event().min(end));
            self.look()?;
        }
    }

    fn since(&self) -> Duration {
        self.world.now - self.began
    }

    /// Opens the connections that are due.
    fn open(&mut self, since: Duration) {
        while let Some(client) =
            self.clients.front().filter(|client| client.opens_at <= since).copied()
        {
            self.clients.pop_front();
            let key = (client.address, service_for(client.address));
            let app = client.behaviour.client(client.script);
            self.world.client_at(key, None, client.settings, app);
        }
    }

    /// Has those workers stand still whose time has come.
    fn stall(&mut self, since: Duration) {
        while let Some(stall) = self.stalls.front().filter(|stall| stall.from <= since).copied() {
            self.stalls.pop_front();
            let until = self.began + stall.to;
            self.world.edge.stall(stall.worker, self.world.now..until);
        }
    }

    fn administer(&mut self, since: Duration) -> After {
        while let Some(fault) = self.admin.front().filter(|fault| fault.at <= since).copied() {
            self.admin.pop_front();
            if fault.apply(&mut self.world) == After::Stops {
                return After::Stops;
            }
        }
        After::GoesOn
    }

    /// From here on nothing goes wrong.
    fn calm(&mut self) {
        self.is_calm = true;
        for internet in &self.onlooker.internets {
            internet.borrow_mut().heal();
        }
        self.world.edge.ports_mut().iter_mut().for_each(Faulty::heal);
        for side in &mut self.world.hosts.0 {
            side.actors.iter_mut().for_each(|actor| actor.stop());
        }
        self.origin_faults.heal(&mut self.world.hosts.0[ORIGINS]);
        let restored = [CLIENTS, ORIGINS].map(AdminFaultKind::RouteBack);
        for kind in restored {
            AdminFault { at: self.case.calm_at, kind }.apply(&mut self.world);
        }
    }

    fn is_over(&self) -> bool {
        self.clients.is_empty()
            && self.admin.is_empty()
            && self.world.hosts.all_over()
            && self.world.edge.active() == 0
    }

    /// When something happens that nobody in the world knows of.
    fn next_event(&self) -> Instant {
        let client = self.clients.front().map(|client| self.began + client.opens_at);
        let admin = self.admin.front().map(|fault| self.began + fault.at);
        let stall = self.stalls.front().map(|stall| self.began + stall.from);
        let calm = (!self.is_calm).then(|| self.began + self.case.calm_at);
        let origins = self.origin_faults.next_due(self.began);
        let known = [client, admin, stall, calm].into_iter().flatten().min();
        known.unwrap_or(Instant::FAR_FUTURE).min(origins)
    }

    /// What must hold after each turn. The rig itself sees to the ledger and to the frames.
    fn look(&mut self) -> Result<(), Failure> {
        let edge = &self.world.edge;
        let least = &mut self.onlooker.frames_free_least;
        *least = edge.frames_free().min(*least);
        // Each worker has its share, rounded up.
        let rounded = edge.workers().count() - 1;
        if edge.active() > self.case.service.max_connections as usize + rounded {
            let message = format!("{} connections are open", edge.active());
            return Err(self.failure(Oracle::Limits, &message));
        }
        let due = edge.next_deadline_at(self.turned_at);
        if due + 2 * WHEEL_TICK < self.turned_at {
            let late = self.turned_at - due;
            return Err(self.failure(Oracle::Timers, &format!("something is {late:?} overdue")));
        }
        Ok(())
    }

    /// Nothing is open any more.
    fn finish(mut self) -> Result<Report, Failure> {
        let lasted = self.turned_at - self.began;
        let mut snapshot = Snapshot::new(1, 2);
        self.world.edge.fill(&mut snapshot);
        let report = self.onlooker.report(&self.world.hosts, &snapshot, lasted)?;
        self.world.finish();
        Ok(report)
    }

    /// The engine is ended in the middle of everything.
    fn stop(self) -> Result<Report, Failure> {
        let lasted = self.since();
        let (snapshot, hosts) = stop(self.world);
        self.onlooker.report(&hosts, &snapshot, lasted)
    }

    fn failure(&self, oracle: Oracle, message: &str) -> Failure {
        Failure { at: Some(self.since()), ..Failure::new(oracle, message.to_owned()) }
    }
}

impl Onlooker<'_> {
    /// Nothing more happens: judges what became of everybody.
    fn report(
        &self,
        hosts: &Hosts,
        snapshot: &Snapshot,
        lasted: Duration,
    ) -> Result<Report, Failure> {
        let tally = judge::judge(self.case, hosts, snapshot)?;
        let figures = |internet: &Rc<RefCell<Internet>>| {
            internet.borrow().figures().map(|(_, figures)| figures).collect()
        };
        let seen = Seen {
            case: self.case,
            hosts,
            networks: self.internets.each_ref().map(figures),
            snapshot,
            frames_free_least: self.frames_free_least,
            began: self.began,
            lasted,
        };
        Ok(Report::new(&seen, self.watch, tally))
    }
}

fn build(case: &Case) -> World<Faulty<SimPort>, TwinGate<SimPort>> {
    let cookies = match case.cookies {
        CookieUse::Off => Cookies::Off,
        CookieUse::Always => Cookies::Always,
        CookieUse::UnderPressure(thresholds) => Cookies::UnderPressure(Pressure::new(thresholds)),
    };
    let plan = Plan {
        workers: case.workers,
        frames: case.frames,
        device: case.device,
        service: case.service.clone(),
        cookies,
        is_replayed_by_seed: false,
        ..Plan::new(case.seed)
    };
    let pool = plan.pool();
    let mut world = World::with_twin(plan, pool, Rates::default(), |port, side| {
        let faults = case.port_faults.iter().filter(|(of, _)| *of == side);
        Faulty::new(port, case.seed ^ side as u64, faults.map(|(_, fault)| *fault).collect())
    });
    if case.cookies != CookieUse::Off {
        AdminFault { at: Duration::ZERO, kind: AdminFaultKind::Keys(0) }.apply(&mut world);
    }
    world
}

/// The connections that an intruder among the clients knows of: theirs, and the service's address.
fn clients_known(case: &Case) -> Vec<(SocketAddr, SocketAddr)> {
    let known = |client: &Client| (client.address, service_for(client.address));
    case.clients.iter().map(known).collect()
}

/// One among the origins knows who they are and where the appliance connects from, not by which port
/// at the moment: any may be.
fn origins_known(case: &Case) -> Vec<(SocketAddr, SocketAddr)> {
    let of = |origin: &OriginSettings| {
        let (address, egress) = (origin.address, origin.egress_address);
        let ports = origin.source_ports.clone().step_by(SOURCE_PORTS_STEP);
        ports.map(move |port| (address, SocketAddr::new(egress, port)))
    };
    case.service.origins.iter().flat_map(of).collect()
}

/// The networks on a side, with everybody in theirs.
fn internet(case: &Case, side: usize) -> Rc<RefCell<Internet>> {
    let mut internet = Internet::new(case.seed ^ (side as u64) << 32);
    for network in &case.networks[side] {
        internet.add(network.clone());
    }
    let clients = case.clients.iter().map(|client| (client.address, client.network));
    let origins = case.origins.iter().map(|origin| (origin.address, origin.network));
    let hosts: Vec<_> = if side == CLIENTS { clients.collect() } else { origins.collect() };
    for (address, network) in hosts {
        internet.place(address.ip(), network);
    }
    let elsewhere = internet.add(NetworkSettings::default());
    internet.place_others(elsewhere);
    Rc::new(RefCell::new(internet))
}

/// What anything that can still finish may take when nothing goes wrong any more, and what can not
/// to be given up: some retransmission timeouts at their longest.
const LIVENESS: Duration = Duration::from_secs(30 * 60);

/// Of source ports, an intruder tries one in so many: fewer, and more often.
const SOURCE_PORTS_STEP: usize = 16;
