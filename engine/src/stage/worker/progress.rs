//! One look at each pair that something happened to: payload crosses, segments leave, what has
//! ended is taken down.

use super::accept::{NoWay, Way};
use super::events::why_closed;
use super::paths::hear;
use super::receive::mss_for;
use super::tapped::{Departure, TappedOutlet};
use super::{Outlet, Slot, Worker, context};
use crate::frame::{Frame, FramePool};
use crate::kernel::NoPath;
use crate::limits::{ORIGIN_PATH_INTERVAL, SEGMENTS_PER_TURN_MAX, UNFINISHED_PER_TURN_MAX};
use crate::planted::{self, Fault};
use crate::proxy::{Leg, LegPath, Pair, Phase, Side, Waiting};
use crate::tcp::{OutgoingKind, State};
use crate::telemetry::{Measure, Recorders};
use crate::time::Instant;
use crate::wire::ip::Ecn;

impl Worker {
    /// Sends what is due, as far as `outlet` has room. What did not fit stays queued for the next
    /// turn: a full device slows its connections down, it loses nothing.
    pub fn flush(&mut self, now: Instant, outlet: &mut impl Outlet) {
        match self.tap.take() {
            None => self.send_due(now, outlet),
            Some(mut tap) => {
                let mut tapped = TappedOutlet { outlet, tap: &mut tap, now, departure: None };
                self.send_due(now, &mut tapped);
                self.tap = Some(tap);
            }
        }
    }

    fn send_due(&mut self, now: Instant, outlet: &mut impl Outlet) {
        self.now = now;
        self.look_after_origins(outlet);
        self.go_on_aborting();
        for (port, frame) in self.replies.drain(..) {
            if outlet.has_room(&mut self.pool, port) {
                outlet.send(&mut self.pool, port, frame);
                self.ledger.sent += 1;
                self.ledger.originated += 1;
            } else {
                self.pool.free(frame);
            }
        }
        let mut unfinished = 0;
        for _ in 0..self.queue.len() {
            let Some(index) = self.queue.pop_front() else { break };
            let Some(pair) = self.pairs.get_mut(index) else { continue };
            pair.queued = false;
            if self.progress(index, outlet) == Sent::More {
                self.enqueue(index);
                unfinished += 1;
                if unfinished == UNFINISHED_PER_TURN_MAX {
                    // The others have their turn first in the next.
                    break;
                }
            }
        }
    }

    /// Whether a pair waits for room to send.
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    fn progress(&mut self, index: u32, outlet: &mut impl Outlet) -> Sent {
        self.advance(index, outlet);
        let Some(pair) = self.pairs.get_mut(index) else { return Sent::All };
        pair.carry_reset();
        let counters = &mut self.services[usize::from(pair.service)].counters;
        if let Some(took) = pair.shuttle(&mut context!(self), counters) {
            self.recorders.record_duration(Measure::FirstByte, took);
        }
        record_round_trips(pair, self.now, &mut self.recorders);
        let mut sent = Sent::All;
        for side in Side::BOTH {
            if self.transmit(index, side, outlet) == Sent::More {
                sent = Sent::More;
            }
        }
        self.take_samples(index);
        self.settle_fast_open(index);
        self.take_down(index, sent);
        self.arm(index);
        sent
    }

    /// Moves the pair to its next phase when a handshake has been completed or has failed.
    fn advance(&mut self, index: u32, outlet: &mut impl Outlet) {
        let Some(pair) = self.pairs.get_mut(index) else { return };
        match pair.phase {
            Phase::ClientHandshake => {
                let Some(client) = pair.leg(Side::Client) else { return };
                let early = client.tcp.opened_early() && client.tcp.state() == State::SynReceived;
                if early || client.tcp.state().is_synchronized() {
                    if let Some(proven) = &self.proven_sources {
                        proven.prove(client.key.remote().ip());
                    }
                    self.open_origin(index, outlet);
                }
            }
            Phase::OriginHandshake => {
                let client_is_here =
                    pair.leg(Side::Client).is_some_and(|leg| leg.tcp.state() != State::Closed);
                let Some(origin) = pair.leg(Side::Origin) else { return };
                let state = origin.tcp.state();
                if state.is_synchronized() {
                    if !self.greet_origin(index) {
                        return;
                    }
                    let Some(pair) = self.pairs.get_mut(index) else { return };
                    pair.phase = Phase::Open;
                    pair.moved_at = self.now;
                    if let Some(took) = pair.milestones.on_open(self.now) {
                        self.recorders.record_duration(Measure::HandshakeOrigin, took);
                    }
                    self.origin_answered(index);
                } else if state == State::Closed && client_is_here {
                    // Refused or unreachable before anything was sent: another origin may do.
                    let reason = why_closed(&origin.tcp);
                    self.origin_failed(index, reason);
                    self.forget_leg(index, Side::Origin);
                    self.open_origin(index, outlet);
                }
            }
            Phase::Open => {}
        }
    }

    /// The origin leg has just opened: learns its segment size, and tells it who the client is
    /// where the service asks for that. `false` if there is no frame for it: an origin that expects the
    /// header must not see data without it, so the pair is not open before there is one.
    fn greet_origin(&mut self, index: u32) -> bool {
        use crate::proxy::proxy_protocol::{self, HEADER_MAX};
        let Some(pair) = self.pairs.get_mut(index) else { return false };
        let [Some(client), Some(origin)] = &mut pair.legs else { return true };
        let service = &mut self.services[usize::from(pair.service)];
        service.learn_origin_mss(usize::from(pair.origin), origin.tcp.path_mss());
        let Some(version) = service.settings.proxy_protocol else { return true };
        let mut header = [0; HEADER_MAX];
        let len =
            proxy_protocol::write(version, client.key.remote(), client.key.local(), &mut header);
        let header = &header[..len];
        let is_queued = origin.tcp.send_copy(&mut context!(self), header);
        if is_queued {
            pair.greeting_octets = len as u8;
        }
        is_queued
    }

    fn transmit(&mut self, index: u32, side: Side, outlet: &mut impl Outlet) -> Sent {
        self.refresh_path(index, side, outlet);
        let Some(pair) = self.pairs.get_mut(index) else { return Sent::All };
        let service = usize::from(pair.service);
        let stirred_at = &mut pair.stirred_at;
        let other = pair.legs[side.other() as usize].as_ref().map(|leg| leg.key);
        let Some(leg) = pair.legs[side as usize].as_mut() else { return Sent::All };
        let LegPath::Known(envelope) = &leg.path else { return Sent::All };
        let port = envelope.path().port;
        let counters = &mut self.services[service].counters;
        let before = self.tcp_counters;
        let mut segments = 0;
        let sent = loop {
            if segments == SEGMENTS_PER_TURN_MAX || !outlet.has_room(&mut self.pool, port) {
                break Sent::More;
            }
            segments += 1;
            let mut cx = context!(self);
            let seal = |pool: &mut FramePool, segment: &mut Frame, ecn: Ecn| {
                envelope.seal(pool, segment, ecn);
            };
            let Some(outgoing) = leg.tcp.poll_transmit(&mut cx, seal) else {
                break Sent::All;
            };
            outlet.departs(|| Departure {
                service: service as u16,
                side,
                other,
                kind: outgoing.kind,
                received_at: outgoing.received_at,
            });
            outlet.send(&mut self.pool, port, outgoing.frame);
            *stirred_at = self.now;
            let ledger = &mut self.ledger;
            ledger.sent += 1;
            match outgoing.kind {
                OutgoingKind::Forwarded => ledger.forwarded += 1,
                OutgoingKind::Originated => ledger.originated += 1,
                OutgoingKind::Retransmitted => {
                    ledger.retransmitted += 1;
                    leg.account.past.retransmitted += 1;
                    counters.segments_retransmitted += u64::from(outgoing.payload_len > 0);
                }
            }
            if let Some(received_at) = outgoing.received_at {
                self.recorders.record_since(Measure::Inside, received_at, self.now);
            }
        };
        let after = &self.tcp_counters;
        counters.segments_zero_copy += after.zero_copy_segments - before.zero_copy_segments;
        counters.segments_copied += after.copied_segments - before.copied_segments;
        sent
    }

    /// Looks a leg's path up again when Linux knows something new.
    fn refresh_path(&mut self, index: u32, side: Side, outlet: &mut impl Outlet) {
        let generation = self.routes.generation();
        let Some(pair) = self.pairs.get(index) else { return };
        let Some(leg) = pair.leg(side) else { return };
        if leg.routes_generation == generation {
            return;
        }
        let (key, came_by, old) = (leg.key, pair.came_by, leg.path);
        let answer = LegPath::along(&came_by, key.local().ip(), key.remote().ip());
        let (path, mtu) = match side {
            // A tagged client is answered by its tags.
            Side::Client if !came_by.vlans.is_empty() => (answer, None),
            // Where Linux has no path yet, or routes by an interface that is not ours, a client is
            // answered the way it came.
            Side::Client => match self.path_of(&key, outlet) {
                Ok(Way { path: path @ LegPath::Known(_), mtu, .. }) => (path, Some(mtu)),
                Ok(Way { path: LegPath::Awaited, .. }) | Err(NoWay) => (answer, None),
            },
            // The old path is the best guess while Linux has none; retransmission carries on.
            Side::Origin => match self.path_of(&key, outlet) {
                Ok(Way { path, mtu, .. }) => (path, Some(mtu)),
                Err(NoWay) => (old, None),
            },
        };
        if matches!(path, LegPath::Awaited) {
            self.awaiting_path.push(index);
        }
        if let Some(leg) = self.pairs.get_mut(index).and_then(|pair| pair.leg_mut(side)) {
            leg.path = path;
            leg.routes_generation = generation;
            if let Some(mtu) = mtu {
                leg.tcp.on_link_mtu(&mut context!(self), mss_for(mtu, &key));
            }
        }
    }

    /// Every now and then, sees to it that Linux knows the way to every origin, and keeps it: it
    /// does not see that packets go there.
    fn look_after_origins(&mut self, outlet: &mut impl Outlet) {
        if self.now < self.origins_looked_after {
            return;
        }
        self.origins_looked_after = self.now + ORIGIN_PATH_INTERVAL;
        for origin in self.services.iter().flat_map(|service| &service.origins) {
            match self.routes.path_to(origin.address.ip()) {
                Ok(path) => outlet.in_use(path.next_hop),
                Err(NoPath::Unresolved(next_hop) | NoPath::Failed(next_hop)) => {
                    outlet.resolve(next_hop);
                }
                Err(_) => {}
            }
        }
    }

    /// Takes down legs that have ended, and the pair with the last of them.
    fn take_down(&mut self, index: u32, sent: Sent) {
        for side in Side::BOTH {
            let Some(leg) = self.pairs.get(index).and_then(|pair| pair.leg(side)) else { continue };
            match leg.tcp.state() {
                // Its last word is still to be sent.
                _ if sent == Sent::More => {}
                // As is its reset, which found no frame.
                State::Closed if leg.tcp.deadline() < Instant::FAR_FUTURE => {}
                State::Closed => self.forget_leg(index, side),
                State::TimeWait => self.retire_leg(index, side),
                _ => {}
            }
        }
        let Some(pair) = self.pairs.get(index) else { return };
        if pair.legs.iter().all(Option::is_none) {
            let service = &mut self.services[usize::from(pair.service)];
            service.counters.active -= 1;
            if pair.phase == Phase::Open {
                service.origin_mut(pair.origin).counters.active -= 1;
            }
            self.half_open -= usize::from(pair.phase == Phase::ClientHandshake);
            let opened_at = pair.milestones.opened_at;
            self.recorders.record_since(Measure::Duration, opened_at, self.now);
            self.wheel.cancel(index);
            self.pairs.remove(index);
        }
    }

    /// Frees all that a closed leg holds.
    pub(super) fn forget_leg(&mut self, index: u32, side: Side) {
        let Some(leg) = self.release_leg(index, side) else { return };
        if planted::is(Fault::FlowNotForgotten) {
            return;
        }
        self.remove_flow(&leg.key, self.hash(&leg.key), leg.port);
    }

    /// A leg in TIME-WAIT keeps its flow, and nothing else.
    fn retire_leg(&mut self, index: u32, side: Side) {
        let Some(tcp) = self
            .pairs
            .get(index)
            .and_then(|pair| pair.leg(side))
            .and_then(|leg| leg.tcp.time_wait())
        else {
            return;
        };
        let Some(leg) = self.release_leg(index, side) else { return };
        self.expire_time_wait();
        let hash = self.hash(&leg.key);
        let LegPath::Known(envelope) = &leg.path else {
            return self.remove_flow(&leg.key, hash, leg.port);
        };
        let Leg { key, port, .. } = leg;
        let waiting = Waiting { key, port, tcp, path: *envelope.path() };
        let slot = Slot::TimeWait { index: self.waiting.insert(waiting) };
        let replaced = self.flows.insert(key, hash, slot.encode());
        debug_assert!(matches!(replaced, Ok(Some(_))), "{key} has an entry all the time");
    }

    fn release_leg(&mut self, index: u32, side: Side) -> Option<Leg> {
        let pair = self.pairs.get_mut(index)?;
        let mut leg = pair.legs[side as usize].take()?;
        let (service, origin) = (usize::from(pair.service), pair.origin);
        hear(self.services[service].path_mut(side, origin), &mut leg);
        leg.tcp.release(&mut context!(self));
        if side == Side::Origin && !planted::is(Fault::SourcePortNotGivenBack) {
            self.give_back_source_port(index, leg.key.local().port());
        }
        Some(leg)
    }
}

/// Records how long round trips take, each leg's once in one.
#[inline]
fn record_round_trips(pair: &mut Pair, now: Instant, recorders: &mut Recorders) {
    for side in Side::BOTH {
        if let Some(leg) = pair.leg_mut(side)
            && leg.rtt_due <= now
            && let Some(srtt) = leg.tcp.srtt()
        {
            leg.rtt_due = now + srtt;
            let measure = match side {
                Side::Client => Measure::RttClient,
                Side::Origin => Measure::RttOrigin,
            };
            recorders.record_duration(measure, srtt);
        }
    }
}

/// Whether a leg has sent all it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    All,
    More,
}
