//! A core that has the devices and no connections: the RX and TX stages of the pipeline.
//!
//! One turn: what the devices received goes through the gate and to the workers' rings (`rx.rs`);
//! what the workers and Linux send goes to the devices; frames that the devices are done with go
//! home. The workers are lanes whose ports are rings ([`super::hop`]).

use std::time::Duration;

use ringroad_ebpf::CookieService;

use super::absence::Absence;
use super::arrivals::Arrivals;
use super::board::Board;
use super::control::{Command, Commands, Mailbox};
use super::gate::Gate;
use super::hop::{Crossing, Hops};
use super::idle::{Idle, IdlePolicy};
use super::lane::Cookies;
use super::pressure::Load;
use super::rx::Rx;
use super::stamped::{ReceivedAt, Stamped, Stamps};
use super::stopwatch::Stopwatch;
use super::told::Told;
use crate::flow::{FlowHasher, Steering};
use crate::frame::{Burst, FramePool};
use crate::limits::{BURST, HOP_TX_ENTRIES, WORKERS_LOOK};
use crate::port::Port;
use crate::telemetry::capture::Tap;
use crate::telemetry::{FrameCounts, Recorders, Ring, Snapshot, Stage};
use crate::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct IoStage<P: Port, G: Gate> {
    pool: FramePool,
    ports: Vec<P>,
    received: Burst,
    rx: Rx,
    gate: G,
    /// What is on its way to each port.
    out: Vec<Burst>,
    workers: Vec<WorkerEnd>,
    /// A worker that has not turned for so long takes nothing new.
    stalled_after: Duration,
    /// Whose turn it is to send first, so that no worker starves the others.
    first: usize,
    cookies: Cookies,
    /// What the gate was last told of each service.
    told: Vec<Told>,
    says: Vec<CookieService>,
    /// When the workers are looked at next.
    next_look: Instant,
    mailbox: Mailbox,
    idle: Idle,
    watch: Stopwatch,
    arrivals: Arrivals,
    absence: Absence,
    recorders: Recorders,
    /// Since when packets were in the ring that they were just taken from.
    sent_at: Stamps,
    /// Where packets that are dropped here are captured, if they are.
    tap: Option<Box<Tap>>,
}

/// What an [`IoStage`] is made from.
#[derive(Debug)]
pub struct IoSettings<P, G> {
    pub ports: Vec<P>,
    pub gate: G,
    /// Which worker has a flow, by the workers' own hash.
    pub steering: Steering,
    pub hasher: FlowHasher,
    /// In the order of the owners that `steering` names.
    pub workers: Vec<WorkerEnd>,
    /// A worker that has not turned for so long takes nothing new.
    pub stalled_after: Duration,
    /// How the services answer SYNs that are answered by cookies.
    pub says: Vec<CookieService>,
    pub mailbox: Mailbox,
    pub idle: IdlePolicy,
    /// Whether times and sizes are recorded as histograms.
    pub records: bool,
}

/// A worker, seen from the core with the devices: see [`Lane::behind`](super::Lane::behind).
#[derive(Debug)]
pub struct WorkerEnd {
    pub(super) hops: Hops,
    pub(super) board: Board,
    pub(super) commands: Commands,
}

impl<P: Port, G: Gate> IoStage<P, G> {
    /// `pool` is that of the ports.
    pub fn new(pool: FramePool, settings: IoSettings<P, G>) -> Self {
        let IoSettings { ports, gate, steering, hasher, workers, stalled_after, .. } = settings;
        let IoSettings { says, mailbox, idle, records, .. } = settings;
        assert_eq!(usize::from(steering.owners()), workers.len(), "each owner is a worker");
        let verified = ports.iter().map(Port::verifies_checksums).collect();
        IoStage {
            pool,
            received: Burst::new(),
            rx: Rx::new(steering, hasher, verified),
            out: ports.iter().map(|_| Burst::new()).collect(),
            arrivals: Arrivals::new(ports.len()),
            ports,
            absence: Absence::new(gate.patience()),
            gate,
            workers,
            stalled_after,
            first: 0,
            told: vec![Told::NOTHING; says.len()],
            says,
            next_look: Instant::ZERO,
            cookies: Cookies::Off,
            mailbox,
            idle: Idle::new(idle),
            watch: Stopwatch::new(),
            recorders: if records { Recorders::new() } else { Recorders::off() },
            sent_at: Stamps::new(),
            tap: None,
        }
    }

    /// When the shield ahead answers new connections. Unless this is said, it never does.
    pub fn set_cookies(&mut self, cookies: Cookies) {
        self.tell_of_cookies(cookies.are_on());
        self.cookies = cookies;
    }

    pub fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    /// Polls until told to stop, after the workers have ended; returns the last counts. `clock` is
    /// read twice a turn.
    pub fn run(mut self, mut clock: impl FnMut() -> Instant, mut last: Snapshot) -> Snapshot {
        while self.obey() {
            let found = self.turn(&mut clock);
            if let Some(now) = self.idle.rest(found, &mut self.watch, &mut clock) {
                self.sleep(now);
            }
        }
        self.close();
        self.fill(&mut last);
        last
    }

    /// One turn: receive, send, bring home. Returns the packets received and those sent.
    pub fn turn(&mut self, clock: &mut impl FnMut() -> Instant) -> usize {
        let now = clock();
        self.watch.begin(now);
        self.arrivals.begin(now);
        self.absence.begin(now);
        // What the gate is to know, it knows before it is shown what has come.
        self.report(now);
        let mut found = 0;
        for (index, port) in self.ports.iter_mut().enumerate() {
            port.set_now(now);
            port.rx_burst(&mut self.pool, &mut self.received);
            let received = self.received.len();
            found += received;
            self.watch.burst(received, &mut self.recorders);
            self.watch.lap(Stage::Rx, received, clock);
            let tap = self.tap.as_deref_mut();
            self.gate.screen(now, index as u8, &mut self.pool, &mut self.received, tap);
            self.watch.lap(Stage::Gate, received, clock);
            let tap = self.tap.as_deref_mut();
            let found_at = self.arrivals.found(index, received, port.waiting());
            let received_at = self.absence.found(received).unwrap_or(found_at);
            let arrived = (received_at, index, &mut self.received);
            self.rx.on_burst(&mut self.pool, arrived, &mut self.workers, tap);
            self.watch.lap(Stage::Rx, 0, clock);
            self.watch.passed_on(received, ReceivedAt::Once(received_at), &mut self.recorders);
        }
        let now = clock();
        self.watch.begin_to_send(now);
        let sent = self.send(now);
        self.bring_home();
        self.watch.lap(Stage::Tx, sent, clock);
        self.watch.end(found + sent, sent, &mut self.recorders);
        found + sent
    }

    /// The core has slept until something came. For who turns the stage instead of [running](IoStage::run) it.
    pub fn woken(&mut self) {
        self.arrivals.woken();
    }

    /// What Linux sends comes first: it is little, and bounded by the gate.
    fn send(&mut self, now: Instant) -> usize {
        let mut found = 0;
        for index in 0..self.ports.len() {
            self.ports[index].set_now(now);
            let out = &mut self.out[index];
            let waiting = out.len();
            self.gate.relay(now, index as u8, &mut self.pool, out);
            found += out.len() - waiting;
            // As much as there can be at one time: what workers send meanwhile must not keep this core
            // from receiving.
            for _ in 0..self.workers.len() * (HOP_TX_ENTRIES / BURST) {
                found += self.collect(now, index);
                let out = &mut self.out[index];
                if out.is_empty() {
                    break;
                }
                self.ports[index].tx_burst(&mut self.pool, out);
                if !out.is_empty() {
                    // The device is full: its workers wait, as their rings fill up.
                    break;
                }
            }
            self.ports[index].flush(&mut self.pool);
        }
        self.first = if self.first + 1 < self.workers.len() { self.first + 1 } else { 0 };
        found
    }

    /// Takes what the workers send by a port, as far as there is room in its burst.
    fn collect(&mut self, now: Instant, port: usize) -> usize {
        let out = &mut self.out[port];
        let waiting = out.len();
        let (later, sooner) = self.workers.split_at_mut(self.first);
        for worker in sooner.iter_mut().chain(later) {
            let room = BURST - out.len();
            let tx = &mut worker.hops.ports[port].tx;
            self.sent_at.clear();
            for stamped in tx.pop_burst(room) {
                let Stamped { item, at } = Crossing::into_inner(stamped);
                self.sent_at.push(at);
                if let Err(frame) = out.push(self.pool.host(item)) {
                    debug_assert!(false, "no more were asked for than there is room");
                    self.pool.free(frame);
                }
            }
            let sent_at = self.sent_at.as_slice();
            if !sent_at.is_empty() {
                self.recorders.popped(Ring::Tx, now, sent_at, tx.len());
            }
        }
        out.len() - waiting
    }

    /// Loans go back to whom they are from; free frames come back to where devices get them.
    fn bring_home(&mut self) {
        for worker in &mut self.workers {
            let Hops { fill, completion, lender, .. } = &mut worker.hops;
            completion.push_burst(&mut self.pool.departing_guests(*lender).map(Crossing::new));
            for transit in fill.pop_burst(usize::MAX) {
                self.pool.arrive_free(Crossing::into_inner(transit));
            }
        }
    }

    /// Shows that this core is alive, and tells the gate how the workers are.
    fn report(&mut self, now: Instant) {
        self.mailbox.beat(now);
        if self.absence.is_over() {
            self.gate.beat(now);
        }
        self.look_at_pressure(now);
        if now < self.next_look {
            return;
        }
        self.next_look = now + WORKERS_LOOK;
        let workers = || self.workers.iter();
        let turning = workers().all(|worker| !worker.is_stalled(now, self.stalled_after));
        for (service, (told, says)) in self.told.iter_mut().zip(&mut self.says).enumerate() {
            // Whose a new connection will be is not known before it is here: as long as one worker
            // takes none, all are left to Linux.
            let accepting = turning && workers().all(|worker| worker.board.is_accepting(service));
            if let Some(accepting) = told.update(accepting, now) {
                self.gate.set_accepting(service, accepting);
            }
            let (mss_v4, mss_v6) = workers()
                .map(|worker| worker.board.mss(service))
                .fold((u16::MAX, u16::MAX), |least, mss| (least.0.min(mss.0), least.1.min(mss.1)));
            if (mss_v4, mss_v6) != (says.mss_v4, says.mss_v6) {
                (says.mss_v4, says.mss_v6) = (mss_v4, mss_v6);
                self.gate.set_cookie_mss(service, says);
            }
        }
    }

    #[inline]
    fn look_at_pressure(&mut self, now: Instant) {
        let Cookies::UnderPressure(pressure) = &mut self.cookies else { return };
        if !pressure.is_due(now) {
            return;
        }
        let load = Load { syns: self.gate.new_connections(), half_open: half_open(&self.workers) };
        if let Some(on) = pressure.look(now, load) {
            self.tell_of_cookies(on);
            self.gate.set_pressure(on);
        }
    }

    fn tell_of_cookies(&self, on: bool) {
        self.workers.iter().for_each(|worker| worker.board.set_cookies_on(on));
    }

    /// Carries out what this core was told; `false` when it was told to stop.
    pub fn obey(&mut self) -> bool {
        while let Some(command) = self.mailbox.take() {
            match command {
                Command::Snapshot(mut snapshot, reply) => {
                    self.fill(&mut snapshot);
                    // A reader that has gone away wants no answer.
                    let _ = reply.send(snapshot);
                }
                Command::Connections(mut page, reply) => {
                    page.end();
                    let _ = reply.send(page);
                }
                Command::CookieKeys(keys) => self.gate.set_cookie_keys(keys),
                Command::Capture(tap, reply) => {
                    // A reader that has gone away has no use for its memory.
                    let _ = reply.send(std::mem::replace(&mut self.tap, tap));
                }
                // The workers' business.
                Command::Routes(_) | Command::Events(_) | Command::Drain => {}
                Command::Stop => return false,
            }
        }
        true
    }

    pub fn pool(&self) -> &FramePool {
        &self.pool
    }

    pub fn ports_mut(&mut self) -> &mut [P] {
        &mut self.ports
    }

    /// Says what was counted here; see [`Snapshot`].
    pub fn fill(&mut self, snapshot: &mut Snapshot) {
        snapshot.take_from(&mut self.recorders);
        snapshot.ledger = self.rx.ledger.clone();
        for (slot, port) in snapshot.ports.iter_mut().zip(&self.ports) {
            *slot = port.stats();
        }
        snapshot.frames = FrameCounts::of(&self.pool);
        snapshot.handshakes.clear();
        snapshot.handshakes.push(self.cookies.handshakes(half_open(&self.workers)));
        let times = snapshot.core_mut();
        *times = *self.watch.times();
        *times.full_mut(Ring::Rx) += self.rx.full;
        self.gate.fill(snapshot);
    }

    fn sleep(&mut self, now: Instant) {
        self.mailbox.bell().arm();
        if !self.has_waiting() {
            let devices = self.ports.iter().map(Port::wait_fd);
            let deadline = Instant::FAR_FUTURE;
            self.idle.sleep(devices, self.gate.wait_fds(), &self.mailbox, now, deadline);
            if self.ports.iter().all(|port| port.wait_fd().is_some()) {
                self.woken();
            }
        }
        self.mailbox.bell().disarm();
    }

    /// Whether a worker has sent something, or a device is to be tried again.
    fn has_waiting(&self) -> bool {
        let hops = || self.workers.iter().map(|worker| &worker.hops);
        self.out.iter().any(|out| !out.is_empty())
            || hops().any(|hops| hops.ports.iter().any(|port| !port.tx.is_empty()))
    }

    /// Whether anything is on its way between this core and a worker that `turns`, either way.
    pub fn has_under_way(&self, turns: impl Fn(usize) -> bool) -> bool {
        let mut workers = self.workers.iter().enumerate();
        self.has_waiting()
            || workers.any(|(index, worker)| turns(index) && worker.hops.has_under_way())
    }

    /// Takes every frame back that is not a worker's.
    pub fn close(&mut self) {
        for (port, out) in self.ports.iter_mut().zip(&mut self.out) {
            for frame in out.drain() {
                self.pool.free(frame);
            }
            port.close(&mut self.pool);
        }
        self.gate.close(&mut self.pool);
        self.bring_home();
    }
}

/// Connections of all workers that are half open.
#[inline]
fn half_open(workers: &[WorkerEnd]) -> usize {
    workers.iter().map(|worker| worker.board.half_open()).sum()
}

impl WorkerEnd {
    #[inline]
    fn is_stalled(&self, now: Instant, after: Duration) -> bool {
        now.since(self.commands.last_beat()) > after
    }
}

#[cfg(test)]
mod tests;
