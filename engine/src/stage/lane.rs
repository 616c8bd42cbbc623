//! A lane: one RX queue of each port, and the worker that owns its connections.

use super::absence::Absence;
use super::arrivals::Arrivals;
use super::control::{Command, Mailbox, Neighbours};
use super::gate::Gate;
use super::hand_over::HandOver;
use super::idle::{Idle, IdlePolicy};
use super::pressure::{Load, Pressure};
use super::stamped::ReceivedAt;
use super::stopwatch::Stopwatch;
use super::told::Told;
use super::worker::{Outlet, Worker};
use crate::frame::{Burst, Frame, FramePool};
use crate::kernel::NextHop;
use crate::limits::STOP_TURNS_MAX;
use crate::port::Port;
use crate::telemetry::{Handshakes, Ring, Snapshot, Stage};
use crate::time::Instant;

/// See the module. Generic in what surrounds it, so that a simulation runs this very code.
#[derive(Debug)]
pub struct Lane<P: Port, G: Gate, N: Neighbours> {
    worker: Worker,
    io: LaneIo<P, N>,
    received: Burst,
    others: HandOver,
    gate: G,
    mailbox: Mailbox,
    idle: Idle,
    watch: Stopwatch,
    arrivals: Arrivals,
    absence: Absence,
    cookies: Cookies,
    /// What the gate was last told of each service.
    told: Vec<Told>,
}

/// When new connections are answered by SYN cookies ahead of the lane.
#[derive(Clone, Debug, Default)]
pub enum Cookies {
    #[default]
    Off,
    Always,
    UnderPressure(Pressure),
}

impl Cookies {
    pub(super) fn are_on(&self) -> bool {
        match self {
            Cookies::Off => false,
            Cookies::Always => true,
            Cookies::UnderPressure(pressure) => pressure.is_on(),
        }
    }

    /// What is to be said of them, while so many connections are half open.
    pub(super) fn handshakes(&self, half_open: usize) -> Handshakes {
        let since = match self {
            Cookies::Off | Cookies::Always => None,
            Cookies::UnderPressure(pressure) => pressure.since(),
        };
        Handshakes { half_open: half_open as u64, cookies: self.are_on(), since }
    }
}

/// The ports of a lane, with the bursts that gather for them.
#[derive(Debug)]
struct LaneIo<P, N> {
    ports: Vec<P>,
    out: Vec<Burst>,
    neighbours: N,
}

impl<P: Port, G: Gate, N: Neighbours> Lane<P, G, N> {
    /// `ports` are in the order of the worker's settings.
    pub fn new(
        worker: Worker,
        ports: Vec<P>,
        gate: G,
        neighbours: N,
        mailbox: Mailbox,
        idle: IdlePolicy,
    ) -> Self {
        let out = ports.iter().map(|_| Burst::new()).collect();
        let arrivals = Arrivals::new(ports.len());
        let told = vec![Told::NOTHING; worker.services()];
        Lane {
            worker,
            io: LaneIo { ports, out, neighbours },
            received: Burst::new(),
            others: HandOver::default(),
            arrivals,
            absence: Absence::new(gate.patience()),
            gate,
            mailbox,
            idle: Idle::new(idle),
            watch: Stopwatch::new(),
            cookies: Cookies::Off,
            told,
        }
    }

    /// Puts the lane among others that have flows, too.
    pub fn set_others(&mut self, others: HandOver) {
        self.others = others;
    }

    /// When the shield ahead answers new connections. Unless this is said, it never does.
    pub fn set_cookies(&mut self, cookies: Cookies) {
        self.worker.set_cookies_on(cookies.are_on());
        self.cookies = cookies;
    }

    pub fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    /// Polls until told to stop; returns the last counts. `clock` is read twice a turn.
    pub fn run(mut self, mut clock: impl FnMut() -> Instant, mut last: Snapshot) -> Snapshot {
        while self.obey() {
            let found = self.turn(&mut clock);
            if let Some(now) = self.idle.rest(found, &mut self.watch, &mut clock) {
                self.sleep(now);
            }
        }
        self.begin_to_stop();
        for _ in 0..STOP_TURNS_MAX {
            if self.may_close() {
                break;
            }
            if self.turn(&mut clock) == 0 {
                self.idle.nap();
            }
        }
        self.close(clock());
        self.fill(&mut last);
        last
    }

    /// One turn: receive, process, send. Returns the packets received, and those taken from Linux.
    pub fn turn(&mut self, clock: &mut impl FnMut() -> Instant) -> usize {
        let now = clock();
        self.watch.begin(now);
        self.arrivals.begin(now);
        self.absence.begin(now);
        let mut found = 0;
        for (index, port) in self.io.ports.iter_mut().enumerate() {
            port.set_now(now);
            port.rx_burst(&mut self.worker.pool, &mut self.received);
            let received = self.received.len();
            found += received;
            self.watch.burst(received, &mut self.worker.recorders);
            self.watch.lap(Stage::Rx, received, clock);
            let (pool, tap) = self.worker.pool_and_tap();
            self.gate.screen(now, index as u8, pool, &mut self.received, tap);
            self.watch.lap(Stage::Gate, received, clock);
            let (stamps, left) = (port.received_at(), port.waiting());
            self.worker.recorders.popped(Ring::Rx, now, stamps, left);
            let received_at = match (self.absence.found(received), stamps) {
                (Some(since), _) => ReceivedAt::Once(since),
                (None, []) => ReceivedAt::Once(self.arrivals.found(index, received, left)),
                (None, stamps) => ReceivedAt::Each(stamps),
            };
            self.watch.passed_on(received, received_at, &mut self.worker.recorders);
            let screened = self.received.len();
            self.worker.on_burst_of(now, index as u8, received_at, &mut self.received);
            self.watch.lap(Stage::Worker, screened, clock);
        }
        let handed_over = self.others.take_in(now, &mut self.worker);
        self.others.give(&mut self.worker);
        found += handed_over + self.io.relay(now, &mut self.gate, &mut self.worker.pool);
        self.worker.on_time(now);
        let now = clock();
        self.watch.lap_at(Stage::Worker, handed_over, now);
        self.watch.begin_to_send(now);
        let before = self.worker.sent();
        self.io.set_now(now);
        self.worker.flush(now, &mut self.io);
        let sent = (self.worker.sent() - before) as usize;
        self.watch.lap(Stage::Worker, 0, clock);
        self.io.flush(&mut self.worker.pool);
        self.watch.lap(Stage::Tx, sent, clock);
        self.report(now);
        self.watch.end(found + sent, sent, &mut self.worker.recorders);
        found
    }

    /// The core has slept until something came. For who turns the lane instead of [running](Lane::run) it.
    pub fn woken(&mut self) {
        self.arrivals.woken();
    }

    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    pub fn ports_mut(&mut self) -> &mut [P] {
        &mut self.io.ports
    }

    /// Says what was counted; see [`Snapshot`].
    pub fn fill(&mut self, snapshot: &mut Snapshot) {
        self.worker.fill(snapshot);
        for (slot, port) in snapshot.ports.iter_mut().zip(&self.io.ports) {
            *slot = port.stats();
        }
        snapshot.handshakes.clear();
        // Where another core decides on cookies, it speaks for this one as well.
        if self.gate.cookies_on().is_none() {
            snapshot.handshakes.push(self.cookies.handshakes(self.worker.half_open()));
        }
        let times = snapshot.core_mut();
        *times = *self.watch.times();
        self.others.fill(times);
        self.io.ports.iter().for_each(|port| port.fill(times));
        self.gate.fill(snapshot);
    }

    /// Shows the gate a sign of life, whether there is pressure, which services still take
    /// connections, and what segments their origins take.
    fn report(&mut self, now: Instant) {
        self.mailbox.beat(now);
        if self.absence.is_over() {
            self.gate.beat(now);
        }
        self.gate.set_half_open(self.worker.half_open());
        self.look_at_pressure(now);
        self.others.look(now);
        for (service, told) in self.told.iter_mut().enumerate() {
            let accepting = self.others.accept(service, self.worker.is_accepting(service));
            if let Some(accepting) = told.update(accepting, now) {
                self.gate.set_accepting(service, accepting);
            }
            let origin_mss = self.worker.origin_mss(service);
            if origin_mss != told.origin_mss {
                told.origin_mss = origin_mss;
                self.gate.set_cookie_mss(service, &self.worker.cookie_service(service));
            }
        }
    }

    #[inline]
    fn look_at_pressure(&mut self, now: Instant) {
        if let Some(on) = self.gate.cookies_on() {
            self.worker.set_cookies_on(on);
        }
        let Cookies::UnderPressure(pressure) = &mut self.cookies else { return };
        if !pressure.is_due(now) {
            return;
        }
        let load = Load { syns: self.gate.new_connections(), half_open: self.worker.half_open() };
        if let Some(on) = pressure.look(now, load) {
            self.worker.set_cookies_on(on);
            self.gate.set_pressure(on);
        }
    }

    /// Carries out what the lane was told; `false` when it was told to stop. [`Lane::run`] does so
    /// after every turn.
    pub fn obey(&mut self) -> bool {
        while let Some(command) = self.mailbox.take() {
            match command {
                Command::Routes(routes) => self.worker.set_routes(routes),
                Command::Snapshot(mut snapshot, reply) => {
                    self.fill(&mut snapshot);
                    // A reader that has gone away wants no answer.
                    let _ = reply.send(snapshot);
                }
                Command::Connections(mut page, reply) => {
                    self.worker.show(&mut page);
                    let _ = reply.send(page);
                }
                Command::CookieKeys(keys) => {
                    self.worker.set_cookie_keys(keys);
                    self.gate.set_cookie_keys(keys);
                }
                Command::Capture(tap, reply) => {
                    // A reader that has gone away has no use for its memory.
                    let _ = reply.send(self.worker.set_tap(tap));
                }
                Command::Events(teller) => self.worker.set_events(teller),
                Command::Drain => self.worker.drain(),
                Command::Stop => return false,
            }
        }
        true
    }

    fn sleep(&mut self, now: Instant) {
        if self.has_to_send() {
            return;
        }
        self.mailbox.bell().arm();
        if !(self.others.has_waiting() || self.io.ports.iter_mut().any(Port::has_waiting)) {
            let deadline = self.worker.next_deadline();
            let devices = self.io.ports.iter().map(Port::wait_fd);
            self.idle.sleep(devices, self.gate.wait_fds(), &self.mailbox, now, deadline);
            if self.io.ports.iter().all(|port| port.wait_fd().is_some()) {
                self.woken();
            }
        }
        self.mailbox.bell().disarm();
    }

    /// Whether something waits for room in a device.
    fn has_to_send(&self) -> bool {
        self.worker.has_queued() || self.io.out.iter().any(|out| !out.is_empty())
    }

    /// Resets what is open. The resets leave in the next turns.
    pub fn begin_to_stop(&mut self) {
        self.worker.drain();
        self.worker.abort_all();
    }

    /// Whether nothing is open and all has been sent.
    pub fn may_close(&self) -> bool {
        self.worker.active() == 0
            && !self.has_to_send()
            && self.io.ports.iter().all(|port| port.may_close(&self.worker.pool))
    }

    /// Takes every frame back. The lane is unusable afterwards.
    pub fn close(&mut self, now: Instant) {
        self.report(now);
        for (port, out) in self.io.ports.iter_mut().zip(&mut self.io.out) {
            for frame in out.drain() {
                self.worker.pool.free(frame);
            }
            port.close(&mut self.worker.pool);
        }
        self.gate.close(&mut self.worker.pool);
        self.others.close(&mut self.worker);
    }
}

impl<P: Port, N> LaneIo<P, N> {
    /// Takes what Linux sends by the ports, and returns how much that was. The engine's own come
    /// after it: each of the two finds room when a device has little.
    #[inline]
    fn relay(&mut self, now: Instant, gate: &mut impl Gate, pool: &mut FramePool) -> usize {
        let mut found = 0;
        for (index, out) in self.out.iter_mut().enumerate() {
            let waiting = out.len();
            gate.relay(now, index as u8, pool, out);
            found += out.len() - waiting;
        }
        found
    }

    #[inline]
    fn set_now(&mut self, now: Instant) {
        self.ports.iter_mut().for_each(|port| port.set_now(now));
    }

    fn flush(&mut self, pool: &mut FramePool) {
        for (port, out) in self.ports.iter_mut().zip(&mut self.out) {
            if !out.is_empty() {
                port.tx_burst(pool, out);
            }
            port.flush(pool);
        }
    }
}

impl<P: Port, N: Neighbours> Outlet for LaneIo<P, N> {
    #[inline]
    fn has_room(&mut self, pool: &mut FramePool, port: u8) -> bool {
        let index = usize::from(port);
        if self.out[index].is_full() {
            self.ports[index].tx_burst(pool, &mut self.out[index]);
        }
        !self.out[index].is_full()
    }

    #[inline]
    fn send(&mut self, pool: &mut FramePool, port: u8, packet: Frame) {
        if let Err(refused) = self.out[usize::from(port)].push(packet) {
            debug_assert!(false, "sent without asking for room");
            pool.free(refused);
        }
    }

    fn resolve(&mut self, next_hop: NextHop) {
        self.neighbours.resolve(next_hop);
    }

    fn in_use(&mut self, next_hop: NextHop) {
        self.neighbours.in_use(next_hop);
    }
}

#[cfg(test)]
mod tests;
