//! New connections: a client's SYN, and the connection to an origin that it leads to.

use std::net::SocketAddr;

use super::receive::{Arrival, mss_for, pseudo_sum};
use super::{Outlet, Slot, Worker, context};
use crate::flow::{FlowHash, FlowKey};
use crate::kernel::{NoPath, Path};
use crate::limits::{IPV6_MTU_MIN, SOURCE_PORT_TRIES};
use crate::proxy::{
    Fallback, Leg, LegAccount, LegPath, LinkPath, Milestones, Pair, Phase, Service, Side,
};
use crate::tcp::fast_open::Verdict;
use crate::tcp::isn::{Secret, initial_sequence, timestamp_offset};
use crate::tcp::{CloseReason, Connection, Disposition, Endpoints, Offer, State};
use crate::telemetry::events::EventKind;
use crate::telemetry::{DropReason, Measure, Source};
use crate::time::Instant;
use crate::wire::ethernet::{VlanId, VlanTags};
use crate::wire::tcp::{Flags, SeqNum};

impl Worker {
    /// LISTEN: a SYN for one of our services. Our initial sequence number will be `after` what the
    /// flow's last connection used, if that is still in TIME-WAIT (RFC 9293 §3.10.7.4).
    pub(super) fn accept(&mut self, service: u16, arrival: Arrival, after: Option<SeqNum>) {
        if !self.has_room(service) {
            return self.turn_away(service, arrival);
        }
        let sequence = initial_sequence(&self.secret, &arrival.key, self.now);
        let sequence = after.map_or(sequence, |after| sequence.latest(after));
        let endpoints = self.client_endpoints(&arrival);
        let settings = &self.services[usize::from(service)].settings.client_leg;
        let mut tcp = Connection::accept(settings, endpoints, &arrival.header, sequence, self.now);
        tcp.offer_mss_at_most(self.client_mss(service, &arrival));
        let fast_open = self.judge_fast_open(service, &arrival);
        if let Some(cookie) = fast_open.cookie {
            tcp.bring_cookie(cookie);
        }
        match self.add_pair(service, &arrival, tcp) {
            Some(index) if fast_open.proven => self.open_early(index, service, arrival),
            Some(index) => {
                self.consume(arrival.frame);
                self.enqueue(index);
            }
            None => self.drop_frame(arrival.frame, DropReason::NotAccepting),
        }
    }

    /// What becomes of a SYN's wish for Fast Open: nothing, where the service has none; and no
    /// payload is taken of more clients than there is room for, before they are heard of again.
    fn judge_fast_open(&mut self, service: u16, arrival: &Arrival) -> Verdict {
        let service = &mut self.services[usize::from(service)];
        match arrival.header.options.fast_open {
            Some(brought) if service.settings.client_leg.fast_open => {
                let verdict = self.fast_open_cookies.judge(&arrival.key, brought, self.now);
                let room = !arrival.is_empty() && service.fast_opens.has_room(self.now);
                Verdict { proven: verdict.proven && room, ..verdict }
            }
            _ => Verdict::default(),
        }
    }

    /// Hands a pair the payload of its client's SYN.
    fn open_early(&mut self, index: u32, service: u16, arrival: Arrival) {
        let (_, payload) = arrival.into_payload(&mut self.pool);
        if let Some(pair) = self.pairs.get_mut(index)
            && let Some(client) = &mut pair.legs[Side::Client as usize]
            && let Some(chunk) = payload
        {
            match client.tcp.open_early(&mut context!(self), chunk) {
                Disposition::Dropped(reason) => {
                    self.ledger.refused(reason);
                    self.tell_dropped(reason.as_str());
                }
                Disposition::Consumed => self.ledger.consumed += 1,
                Disposition::Queued => {
                    pair.fast_open_pending = true;
                    self.services[usize::from(service)].fast_opens.begin();
                }
            }
        }
        self.enqueue(index);
    }

    /// Once the client of a pair that was opened early has been heard of, or is gone, there is room
    /// for another.
    pub(super) fn settle_fast_open(&mut self, index: u32) {
        let Some(pair) = self.pairs.get_mut(index) else { return };
        if !pair.fast_open_pending {
            return;
        }
        let client = pair.leg(Side::Client).map(|client| &client.tcp);
        if client.is_some_and(|tcp| tcp.state() == State::SynReceived) {
            return;
        }
        let was_reset =
            client.is_none_or(|tcp| tcp.close_reason() == Some(CloseReason::ResetByPeer));
        pair.fast_open_pending = false;
        let service = usize::from(pair.service);
        self.services[service].fast_opens.end(self.now, was_reset);
    }

    /// Whether a new connection to a service may be taken; others may fall asleep for it.
    pub(super) fn has_room(&mut self, service: u16) -> bool {
        !self.draining
            && self.services[usize::from(service)].has_room()
            && !self.pool.is_scarce()
            && self.active() < self.dormitory.capacity()
            && (!self.pairs.is_full() || self.make_room())
    }

    /// The ends of a client's connection. The route back to it, which may take less than the port, is
    /// looked at when something is sent.
    pub(super) fn client_endpoints(&self, arrival: &Arrival) -> Endpoints {
        let mtu = self.ports[usize::from(arrival.port)].mtu;
        endpoints(&self.secret, &arrival.key, mss_for(mtu, &arrival.key))
    }

    /// The MSS to offer to a client: what it may send in one segment comes by the route, if that is as
    /// narrow in both directions, and fits the origins' segments too [octets].
    fn client_mss(&self, service: u16, arrival: &Arrival) -> u16 {
        let origin_mss = self.services[usize::from(service)].origin_mss();
        // A tagged client is answered by its tags, whatever Linux routes by.
        let path = match arrival.vlans.is_empty() {
            true => self.routes.path_to(arrival.key.remote().ip()).ok(),
            false => None,
        };
        let Some(path) = path else { return origin_mss };
        let mtu = path.mtu.try_into().unwrap_or(u16::MAX);
        let advmss = path.advmss.unwrap_or(u16::MAX);
        mss_for(mtu, &arrival.key).min(advmss).min(origin_mss)
    }

    /// A pair with its client's leg, found by the flow; `None` if there is no room for it.
    pub(super) fn add_pair(
        &mut self,
        service: u16,
        arrival: &Arrival,
        tcp: Connection,
    ) -> Option<u32> {
        let (key, came_by) = (arrival.key, self.way_back(arrival));
        let path = LegPath::along(&came_by, key.local().ip(), key.remote().ip());
        let client = Leg {
            tcp,
            key,
            port: arrival.port,
            path,
            routes_generation: NEVER,
            rtt_due: self.now,
            account: LegAccount::default(),
        };
        let pair = Pair {
            service,
            origin: 0,
            tries: 0,
            phase: Phase::ClientHandshake,
            queued: false,
            fast_open_pending: false,
            legs: [Some(client), None],
            came_by,
            awake_since: self.now,
            crossed_octets: [0; 2],
            greeting_octets: 0,
            sample_at: self.now,
            moved_at: self.now,
            stirred_at: self.now,
            queued_octets: 0,
            armed: Instant::FAR_FUTURE,
            milestones: Milestones::opened(self.now),
        };
        let index = self.pairs.insert(pair).ok()?;
        let slot = Slot::Leg { pair: index, side: Side::Client };
        if self.add_flow(&key, arrival.hash, arrival.port, slot).is_err() {
            self.pairs.remove(index);
            return None;
        }
        let counters = &mut self.services[usize::from(service)].counters;
        counters.active += 1;
        counters.accepted += 1;
        self.half_open += 1;
        self.line_up(index);
        Some(index)
    }

    /// A new connection that is not taken. The shield is told to leave the next ones to Linux; the
    /// client's next SYN gets there.
    ///
    /// A client that has proven a cookie takes itself for connected, and Linux knows nothing of
    /// it: it is told by a reset, and its next SYN gets there.
    pub(super) fn turn_away(&mut self, service: u16, arrival: Arrival) {
        let opens = arrival.header.flags.contains(Flags::SYN);
        let client = arrival.key.remote();
        let Service { settings, counters, .. } = &mut self.services[usize::from(service)];
        match settings.fallback {
            Fallback::Kernel if opens => {
                counters.fell_back += 1;
                self.tell_of_client(EventKind::FellBack, service, client, None);
                self.drop_frame(arrival.frame, DropReason::NotAccepting);
            }
            Fallback::Kernel | Fallback::Reset => {
                counters.refused += 1;
                self.tell_of_client(EventKind::Refused, service, client, None);
                self.answer_with_reset(&arrival);
                self.drop_frame(arrival.frame, DropReason::Refused);
            }
            Fallback::Drop => {
                counters.refused += 1;
                self.tell_of_client(EventKind::Refused, service, client, None);
                self.drop_frame(arrival.frame, DropReason::Refused);
            }
        }
    }

    /// The client has completed its handshake: opens the connection to the next origin that has
    /// not been tried. Without one, the client's connection is reset.
    pub(super) fn open_origin(&mut self, index: u32, outlet: &mut impl Outlet) {
        loop {
            let Some(pair) = self.pairs.get_mut(index) else { return };
            let service = &mut self.services[usize::from(pair.service)];
            if usize::from(pair.tries) == service.origins.len() {
                service.counters.refused += 1;
                if let Some(client) = pair.leg_mut(Side::Client) {
                    client.tcp.abort();
                }
                return self.tell_of_no_origin(index);
            }
            // Whoever has got so far is who it says it is.
            if pair.tries == 0
                && let Some(client) = pair.leg(Side::Client)
            {
                self.sources.add(Source::of(client.key.remote().ip()));
            }
            pair.origin = match pair.tries {
                0 => service.choose_origin() as u16,
                _ => (pair.origin + 1) % service.origins.len() as u16,
            };
            pair.tries += 1;
            self.half_open -= usize::from(pair.phase == Phase::ClientHandshake);
            pair.phase = Phase::OriginHandshake;
            pair.moved_at = self.now;
            // What a client took that came by a cookie is not known.
            if let Some(took) = pair.milestones.on_origin_asked(self.now)
                && !took.is_zero()
            {
                self.recorders.record_duration(Measure::HandshakeClient, took);
            }
            match self.connect(index, outlet) {
                Ok(()) => return,
                Err(Unconnected(reason)) => self.origin_failed(index, reason),
            }
        }
    }

    /// CLOSED → SYN-SENT towards the pair's chosen origin, if there are a source port and a route.
    fn connect(&mut self, index: u32, outlet: &mut impl Outlet) -> Result<(), Unconnected> {
        let Some((key, hash)) = self.free_source_port(index) else {
            return Err(Unconnected("no_source_port"));
        };
        let Way { path, mtu, advmss } = match self.path_of(&key, outlet) {
            Ok(found) => found,
            Err(NoWay) => {
                self.give_back_source_port(index, key.local().port());
                return Err(Unconnected("no_route"));
            }
        };
        let Some(pair) = self.pairs.get(index) else { return Err(Unconnected::GONE) };
        let origins = &self.services[usize::from(pair.service)].origins;
        let port = origins[usize::from(pair.origin)].egress_port;
        let slot = Slot::Leg { pair: index, side: Side::Origin };
        if self.add_flow(&key, hash, port, slot).is_err() {
            self.give_back_source_port(index, key.local().port());
            return Err(Unconnected("flow_table_full"));
        }
        let sequence = initial_sequence(&self.secret, &key, self.now);
        let endpoints = endpoints(&self.secret, &key, mss_for(mtu, &key));
        let generation = self.routes.generation();
        let Some(pair) = self.pairs.get_mut(index) else { return Err(Unconnected::GONE) };
        let settings = &self.services[usize::from(pair.service)].settings.origin_leg;
        // Headers of equal length on both legs let payload cross without being copied: the
        // origin is offered the options that the client uses.
        let Some(client) = pair.leg(Side::Client) else { return Err(Unconnected::GONE) };
        let offer = Offer { timestamps: client.tcp.options_in_force().timestamps, ..Offer::ALL };
        let mut tcp = Connection::connect(settings, endpoints, offer, sequence, self.now);
        // Clamped in both directions: what the origin sends in one segment fits the client's.
        tcp.offer_mss_at_most(client.tcp.path_mss().min(advmss.unwrap_or(u16::MAX)));
        let awaited = matches!(path, LegPath::Awaited);
        pair.legs[Side::Origin as usize] = Some(Leg {
            tcp,
            key,
            port,
            path,
            routes_generation: generation,
            rtt_due: self.now,
            account: LegAccount::default(),
        });
        if awaited {
            self.awaiting_path.push(index);
        }
        Ok(())
    }

    /// A source port whose flow is free: not in use, nor in a TIME-WAIT too young to reuse.
    fn free_source_port(&mut self, index: u32) -> Option<(FlowKey, FlowHash)> {
        let pair = self.pairs.get(index)?;
        let (service, origin) = (usize::from(pair.service), usize::from(pair.origin));
        let origin = &mut self.services[service].origins[origin];
        for _ in 0..SOURCE_PORT_TRIES {
            let port = origin.source_ports.take()?;
            let key = FlowKey::new(SocketAddr::new(origin.egress_address, port), origin.address);
            let hash = self.hasher.hash(&key);
            let Some(taken) = self.flows.lookup(&key, hash) else { return Some((key, hash)) };
            if let Slot::TimeWait { index } = Slot::decode(taken)
                && self.waiting.get(index).is_none_or(|old| old.tcp.may_be_reopened(self.now))
            {
                self.forget_time_wait(index, &key, hash);
                return Some((key, hash));
            }
            origin.source_ports.give_back(port);
        }
        None
    }

    pub(super) fn give_back_source_port(&mut self, index: u32, port: u16) {
        if let Some(pair) = self.pairs.get(index) {
            let service = &mut self.services[usize::from(pair.service)];
            service.origins[usize::from(pair.origin)].source_ports.give_back(port);
        }
    }

    /// The path of a leg by Linux's routes.
    pub(super) fn path_of(&self, key: &FlowKey, outlet: &mut impl Outlet) -> Result<Way, NoWay> {
        let (local, remote) = (key.local().ip(), key.remote().ip());
        match self.routes.path_to(remote) {
            Ok(path) => {
                let link_path = self.link_path(&path).ok_or(NoWay)?;
                let mtu = path.mtu.try_into().unwrap_or(u16::MAX);
                let leg_path = LegPath::along(&link_path, local, remote);
                Ok(Way { path: leg_path, mtu, advmss: path.advmss })
            }
            Err(NoPath::Unresolved(next_hop)) => {
                outlet.resolve(next_hop);
                let mtu = self.mtu_by(next_hop.ifindex);
                Ok(Way { path: LegPath::Awaited, mtu, advmss: None })
            }
            Err(NoPath::Failed(next_hop)) => {
                // Not now; but a later connection may find it.
                outlet.resolve(next_hop);
                Err(NoWay)
            }
            Err(_) => Err(NoWay),
        }
    }

    fn mtu_by(&self, ifindex: u32) -> u16 {
        let port = self.ports.iter().find(|port| port.ifindex == ifindex);
        port.map_or(IPV6_MTU_MIN, |port| port.mtu)
    }

    /// A path by one of the lane's ports; `None` when Linux routes by another interface.
    fn link_path(&self, path: &Path) -> Option<LinkPath> {
        let port = self.ports.iter().position(|port| port.ifindex == path.ifindex)?;
        Some(LinkPath {
            port: port as u8,
            source: path.source_mac,
            destination: path.destination_mac,
            vlans: VlanTags::one(path.vlan.and_then(VlanId::new)),
        })
    }
}

/// What Linux says of the way to a leg's far end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) path: LegPath,
    /// The largest packet that it takes [octets].
    pub(super) mtu: u16,
    /// The MSS to offer at most, if the route says so [octets].
    advmss: Option<u16>,
}

/// No route, or none by a port of this lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoWay;

/// Why no segment was sent to an origin.
#[derive(Clone, Copy, Debug)]
struct Unconnected(&'static str);

impl Unconnected {
    /// The pair, or its client, which nobody has taken away.
    const GONE: Unconnected = Unconnected("gone");
}

fn endpoints(secret: &Secret, key: &FlowKey, mss: u16) -> Endpoints {
    Endpoints {
        local_port: key.local().port(),
        remote_port: key.remote().port(),
        pseudo_sum: pseudo_sum(key),
        ts_offset: timestamp_offset(secret, key),
        mss,
        default_mss: mss_for(0, key),
    }
}

/// A generation that routes never have: the path is looked up before it is first used.
const NEVER: u64 = u64::MAX;
