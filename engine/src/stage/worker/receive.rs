//! From a burst of frames to the legs they belong to.
//!
//! Works stage by stage over the burst: prefetch all, parse and verify all, look all up and fetch
//! their pairs where those are too many for the cache, then hand each to its leg.

use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use super::cookie::Unproven;
use super::hand_over::Came;
use super::{Slot, Worker, context};
use crate::flow::{FlowHash, FlowKey};
use crate::frame::{Burst, Frame, FramePool};
use crate::limits::{BURST, CACHED_PAIRS, IPV6_MTU_MIN, RESETS_PER_SECOND_MAX, UNKNOWN_WAIT_MAX};
use crate::proxy::{Envelope, LinkPath, Side};
use crate::stage::ReceivedAt;
use crate::tcp::settings::{Family, mss_within};
use crate::tcp::{
    Chunk, Disposition, Endpoints, Outgoing, TimeWaitVerdict, plateau_below, reset_in_reply,
};
use crate::telemetry::DropReason;
use crate::time::Instant;
use crate::wire::checksum;
use crate::wire::ethernet::{MacAddr, VlanTags};
use crate::wire::icmp::{IcmpError, IcmpErrorKind};
use crate::wire::ip::{Ecn, PROTOCOL_TCP};
use crate::wire::packet::{self, Transport};
use crate::wire::tcp::{Flags, SeqNum, TcpHeader};

/// A verified TCP segment on its way to its leg.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The whole packet.
    pub(super) frame: Frame,
    pub(super) header: TcpHeader,
    pub(super) key: FlowKey,
    pub(super) hash: FlowHash,
    /// Where the payload is within the packet [octets].
    payload: std::ops::Range<u16>,
    /// See [`Chunk::sum`].
    payload_sum: u16,
    congestion_experienced: bool,
    pub(super) port: u8,
    pub(super) vlans: VlanTags,
    pub(super) received_at: Instant,
}

impl Arrival {
    /// Whether it brings no payload.
    pub(super) fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// What is left for its leg: the header, and the payload if there is any.
    pub(super) fn into_payload(self, pool: &mut FramePool) -> (TcpHeader, Option<Chunk>) {
        let Arrival { mut frame, header, payload, payload_sum, received_at, .. } = self;
        if payload.is_empty() {
            pool.free(frame);
            return (header, None);
        }
        frame.truncate(payload.end.into());
        frame.trim_front(payload.start.into());
        (header, Some(Chunk { frame, sum: payload_sum, received_at }))
    }
}

impl Worker {
    /// Takes in a burst that `port` received. Empties `burst`.
    pub fn on_burst(&mut self, now: Instant, port: u8, burst: &mut Burst) {
        self.on_burst_of(now, port, ReceivedAt::Once(now), burst);
    }

    /// The same of a burst that was received before.
    #[inline]
    pub fn on_burst_of(
        &mut self,
        now: Instant,
        port: u8,
        received_at: ReceivedAt<'_>,
        burst: &mut Burst,
    ) {
        self.ledger.received += burst.len() as u64;
        self.take_in(now, port, Came::ByPort, received_at, burst);
    }

    #[inline]
    pub(super) fn take_in(
        &mut self,
        now: Instant,
        port: u8,
        came: Came,
        received_at: ReceivedAt<'_>,
        burst: &mut Burst,
    ) {
        self.now = now;
        if self.tap.is_some() {
            return self.take_in_tapped(port, came, received_at, burst);
        }
        burst.iter().for_each(|frame| self.pool.prefetch(frame));
        let mut arrivals = std::mem::take(&mut self.arrivals);
        for (place, frame) in burst.drain().enumerate() {
            if let Some(arrival) = self.classify(port, came, received_at.of(place), frame) {
                arrivals.push(arrival);
            }
        }
        if self.pairs.len() > CACHED_PAIRS {
            self.look_ahead(&arrivals);
        }
        self.one_by_one(arrivals.drain(..), |worker, arrival| worker.dispatch(came, arrival));
        self.arrivals = arrivals;
    }

    /// Does `work` with each packet of a burst, while packet memory knows how many are behind it.
    #[inline]
    pub(super) fn one_by_one<T>(
        &mut self,
        mut packets: impl ExactSizeIterator<Item = T>,
        mut work: impl FnMut(&mut Self, T),
    ) {
        while let Some(packet) = packets.next() {
            self.pool.set_passing(packets.len());
            work(self, packet);
        }
    }

    /// Has the processor fetch what the segments will touch: all flows first, then all pairs, then
    /// what they have queued, so that the waits for memory overlap instead of adding up.
    fn look_ahead(&self, arrivals: &[Arrival]) {
        let mut legs = [None; BURST];
        for (arrival, leg) in arrivals.iter().zip(&mut legs) {
            let slot = self.flows.lookup(&arrival.key, arrival.hash).map(Slot::decode);
            if let Some(Slot::Leg { pair, side }) = slot {
                self.pairs.prefetch(pair);
                *leg = Some((pair, side));
            }
        }
        for (pair, side) in legs.into_iter().flatten() {
            if let Some(leg) = self.pairs.get(pair).and_then(|pair| pair.leg(side)) {
                leg.tcp.prefetch_queue(&self.chunks, &self.pool);
            }
        }
    }

    /// Verifies a packet; `None` when it was accounted for here and is gone.
    pub(super) fn classify(
        &mut self,
        port: u8,
        came: Came,
        received_at: Instant,
        frame: Frame,
    ) -> Option<Arrival> {
        let bytes = self.pool.bytes(&frame);
        let verified = self.ports[usize::from(port)].verified;
        let parsed = packet::parse(bytes).and_then(|packet| {
            let payload_sum = match packet.transport {
                Transport::Tcp { .. } if verified => packet.derive_payload_sum(bytes)?,
                Transport::Tcp { .. } => packet.verify_tcp_checksum(bytes)?,
                _ => 0,
            };
            Ok((packet, payload_sum))
        });
        let (packet, payload_sum) = match parsed {
            Ok(parsed) => parsed,
            Err(malformed) => {
                self.ledger.malformed(malformed);
                self.tell_dropped(malformed.as_str());
                self.pool.free(frame);
                return None;
            }
        };
        match packet.transport {
            Transport::Tcp { header, payload_offset } => {
                let key = FlowKey::of_segment(&packet, &header);
                Some(Arrival {
                    frame,
                    header,
                    hash: self.hash(&key),
                    key,
                    payload: payload_offset..packet.end,
                    payload_sum,
                    congestion_experienced: packet.ecn == Ecn::CongestionExperienced,
                    port,
                    vlans: packet.vlans,
                    received_at,
                })
            }
            Transport::IcmpError(error) => {
                self.on_icmp_error(port, came, &error, frame);
                None
            }
            Transport::Other => {
                self.drop_frame(frame, DropReason::NotOurs);
                None
            }
        }
    }

    pub(super) fn dispatch(&mut self, came: Came, arrival: Arrival) {
        match self.flows.lookup(&arrival.key, arrival.hash).map(Slot::decode) {
            Some(Slot::Leg { pair, side }) => self.on_leg(pair, side, arrival),
            Some(Slot::Dormant { index, side }) => match self.wake(index) {
                Some(pair) => self.on_leg(pair, side, arrival),
                None => self.drop_frame(arrival.frame, DropReason::AllAwakeBusy),
            },
            Some(Slot::TimeWait { index }) => self.on_time_wait(index, arrival),
            None => {
                if let Some(arrival) = self.keep_own(came, arrival) {
                    self.on_unknown(arrival);
                }
            }
        }
    }

    #[inline]
    fn on_leg(&mut self, pair: u32, side: Side, arrival: Arrival) {
        match self.supersedes(pair, side, &arrival) {
            Some(proven) => self.take_over(pair, &proven, arrival),
            None => self.on_segment(pair, side, arrival),
        }
    }

    pub(super) fn on_segment(&mut self, index: u32, side: Side, arrival: Arrival) {
        let Some((stirred_at, leg)) = self.pairs.get_mut(index).and_then(|pair| {
            let leg = pair.legs[side as usize].as_mut()?;
            Some((&mut pair.stirred_at, leg))
        }) else {
            debug_assert!(false, "the flow table names a leg that is gone");
            self.drop_frame(arrival.frame, DropReason::NoConnection);
            return;
        };
        *stirred_at = self.now;
        let congestion_experienced = arrival.congestion_experienced;
        let (header, chunk) = arrival.into_payload(&mut self.pool);
        let mut cx = context!(self);
        match leg.tcp.on_segment(&mut cx, &header, congestion_experienced, chunk) {
            // Counted by the connection from here on; see `Ledger::settle`.
            Disposition::Queued => {}
            Disposition::Consumed => self.ledger.consumed += 1,
            Disposition::Dropped(reason) => {
                self.ledger.refused(reason);
                self.tell_dropped(reason.as_str());
            }
        }
        self.enqueue(index);
    }

    fn on_time_wait(&mut self, index: u32, arrival: Arrival) {
        let proof = self.prove(&arrival);
        let Some(waiting) = self.waiting.get_mut(index) else {
            debug_assert!(false, "the flow table names a TIME-WAIT that is gone");
            self.drop_frame(arrival.frame, DropReason::NoConnection);
            return;
        };
        if let Ok(proven) = proof
            && waiting.tcp.is_followed_by(&arrival.header)
        {
            self.forget_time_wait(index, &arrival.key, arrival.hash);
            return self.accept_cookie(&proven, arrival);
        }
        let payload_len = arrival.payload.len() as u32;
        let path = waiting.path;
        match waiting.tcp.on_segment(self.now, &arrival.header, payload_len) {
            TimeWaitVerdict::Ignore => self.consume(arrival.frame),
            TimeWaitVerdict::Acknowledge => {
                let answer = waiting.tcp.acknowledge(&mut self.pool, self.now);
                self.reply(&path, &arrival.key, answer);
                self.consume(arrival.frame);
            }
            TimeWaitVerdict::Reopen { after } => {
                self.forget_time_wait(index, &arrival.key, arrival.hash);
                self.on_new(arrival, Some(after));
            }
        }
    }

    /// RFC 9293 §3.10.7.1: a segment for a connection that does not exist; or a new connection.
    ///
    /// What has waited while we stood still opens nothing any more: it has been sent again since, and
    /// Linux may have the connection.
    fn on_unknown(&mut self, arrival: Arrival) {
        if self.now.since(arrival.received_at) > UNKNOWN_WAIT_MAX {
            return self.drop_frame(arrival.frame, DropReason::WorkerBehind);
        }
        let flags = arrival.header.flags;
        if flags.contains(Flags::SYN) && !flags.contains(Flags::ACK) {
            return self.on_new(arrival, None);
        }
        match self.prove(&arrival) {
            Ok(proven) => self.accept_cookie(&proven, arrival),
            Err(Unproven::BadCookie) if self.cookies_on => {
                self.drop_frame(arrival.frame, DropReason::BadCookie);
            }
            Err(_) => self.refuse(arrival),
        }
    }

    /// A SYN for a service opens a connection; see [`Worker::accept`] for `after`.
    fn on_new(&mut self, arrival: Arrival, after: Option<SeqNum>) {
        match self.listeners.get(&arrival.key.local()) {
            Some(&service) => self.accept(service, arrival, after),
            None => self.refuse(arrival),
        }
    }

    pub(super) fn refuse(&mut self, arrival: Arrival) {
        self.answer_with_reset(&arrival);
        self.drop_frame(arrival.frame, DropReason::NoConnection);
    }

    /// Sends the reset that RFC 9293 §3.10.7.1 demands, within the rate limit.
    pub(super) fn answer_with_reset(&mut self, arrival: &Arrival) {
        if arrival.header.flags.contains(Flags::RST) || !self.reset_budget.take(self.now) {
            return;
        }
        let endpoints = Endpoints {
            local_port: arrival.key.local().port(),
            remote_port: arrival.key.remote().port(),
            pseudo_sum: pseudo_sum(&arrival.key),
            ..Endpoints::default()
        };
        let payload_len = arrival.payload.len() as u32;
        let reset = reset_in_reply(&mut self.pool, &endpoints, &arrival.header, payload_len);
        let path = self.way_back(arrival);
        self.reply(&path, &arrival.key, reset);
    }

    /// The way a packet came, backwards.
    pub(super) fn way_back(&self, arrival: &Arrival) -> LinkPath {
        let bytes = self.pool.bytes(&arrival.frame);
        let mac = |at: usize| MacAddr(bytes[at..at + 6].try_into().expect("six octets"));
        LinkPath { port: arrival.port, source: mac(0), destination: mac(6), vlans: arrival.vlans }
    }

    /// Queues a segment that belongs to no leg, if there was a frame for it; the next flush sends
    /// it. There is room for one reply to each frame of each port's burst.
    fn reply(&mut self, path: &LinkPath, key: &FlowKey, reply: Option<Outgoing>) {
        let Some(Outgoing { mut frame, .. }) = reply else { return };
        if self.replies.len() == self.replies.capacity() {
            return self.pool.free(frame);
        }
        let envelope = Envelope::new(path, key.local().ip(), key.remote().ip());
        envelope.seal(&mut self.pool, &mut frame, Ecn::NotCapable);
        self.replies.push((path.port, frame));
    }

    /// A router or the peer's host says something about a segment of ours; its leg learns of it. Whose
    /// it is, the segment says that it quotes.
    fn on_icmp_error(&mut self, port: u8, came: Came, error: &IcmpError, frame: Frame) {
        let key = FlowKey::of_quoted(error);
        let hash = self.hash(&key);
        match self.flows.lookup(&key, hash).map(Slot::decode) {
            Some(Slot::Leg { pair, side }) => self.on_error_about(pair, side, &key, error),
            // A leg that sleeps has nothing in flight that an error could be about.
            Some(_) => {}
            None => match self.keep_own_frame(came, (port, &key, hash), frame) {
                Some(frame) => return self.consume(frame),
                None => return,
            },
        }
        self.consume(frame);
    }

    fn on_error_about(&mut self, pair: u32, side: Side, key: &FlowKey, error: &IcmpError) {
        let Some(leg) = self.pairs.get_mut(pair).and_then(|pair| pair.leg_mut(side)) else {
            return;
        };
        // RFC 5927 §4.1: who does not know what is in flight did not see our segment.
        if !leg.tcp.is_outstanding(error.quoted.sequence) {
            return;
        }
        match error.kind {
            // RFC 1191, RFC 8201: the packet was too big for some hop.
            IcmpErrorKind::PacketTooBig { mtu } => {
                let mtu = mtu.try_into().unwrap_or(u16::MAX);
                if let Some(mss) = believed_mss(mtu, leg.tcp.path_mss(), key) {
                    leg.tcp.on_path_mtu(&mut context!(self), mss);
                }
            }
            // RFC 5461 §4: soft errors end a handshake, and nothing that is open.
            IcmpErrorKind::PortUnreachable | IcmpErrorKind::Unreachable { .. } => {
                leg.tcp.on_unreachable();
            }
        }
        self.enqueue(pair);
    }

    pub(super) fn consume(&mut self, frame: Frame) {
        self.ledger.consumed += 1;
        self.pool.free(frame);
    }

    pub(super) fn drop_frame(&mut self, frame: Frame, reason: DropReason) {
        self.ledger.dropped(reason);
        self.tell_dropped(reason.as_str());
        self.pool.free(frame);
    }
}

/// Ones' complement sum of a flow's addresses and protocol, for the checksums of what we send.
pub(super) fn pseudo_sum(key: &FlowKey) -> u16 {
    match (key.local().ip(), key.remote().ip()) {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            checksum::pseudo_header_v4(local, remote, PROTOCOL_TCP)
        }
        (IpAddr::V6(local), IpAddr::V6(remote)) => {
            checksum::pseudo_header_v6(local, remote, PROTOCOL_TCP)
        }
        // Both ends of a flow are of one family.
        _ => 0,
    }
}

/// The MSS of a flow over a path of `mtu` octets.
pub(super) fn mss_for(mtu: u16, key: &FlowKey) -> u16 {
    mss_within(mtu, if key.local().is_ipv4() { Family::V4 } else { Family::V6 })
}

/// What a router's word leaves for a segment that now carries `mss`; `None` if it is not to be
/// believed.
fn believed_mss(mtu: u16, mss: u16, key: &FlowKey) -> Option<u16> {
    match key.local().ip() {
        // RFC 8201 §4: a node must discard what claims less than every link has.
        IpAddr::V6(_) if mtu < IPV6_MTU_MIN => None,
        // RFC 1191 §5: a router older than that says nothing.
        IpAddr::V4(_) if mtu == 0 => Some(mss_for(plateau_below(mss + 40), key)),
        _ => Some(mss_for(mtu, key)),
    }
}

/// How many resets may still be sent in this second: a flood of stray segments is not answered
/// with one of our own.
///
/// It is the one limit that strangers share, and a shared limit that is known tells them of each other:
/// who forges a segment of a connection and then counts the resets that are left to himself learns
/// whether the connection exists (CVE-2016-5696 did so with challenge ACKs, which are limited by the
/// connection here). So in each second it is another, that nobody outside can know.
#[derive(Debug)]
pub(super) struct ResetBudget {
    key: [u8; 16],
    second: u64,
    left: u32,
}

impl ResetBudget {
    pub(super) fn new(key: [u8; 16]) -> Self {
        ResetBudget { key, second: u64::MAX, left: 0 }
    }

    fn take(&mut self, now: Instant) -> bool {
        let second = now.as_nanos() / 1_000_000_000;
        if second != self.second {
            let random = SipHasher24::new_with_key(&self.key).hash(&second.to_le_bytes());
            let half = RESETS_PER_SECOND_MAX / 2;
            (self.second, self.left) = (second, half + (random % u64::from(half)) as u32);
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_know_how_many_resets_are_left() {
        let mut budget = ResetBudget::new([7; 16]);
        let mut other = ResetBudget::new([8; 16]);
        let count = |second: u64, budget: &mut ResetBudget| {
            let now = Instant::from_millis(second * 1000);
            (0..2 * RESETS_PER_SECOND_MAX).filter(|_| budget.take(now)).count() as u32
        };
        let counts: Vec<u32> = (0..20).map(|second| count(second, &mut budget)).collect();
        let range = RESETS_PER_SECOND_MAX / 2..RESETS_PER_SECOND_MAX;
        assert!(counts.iter().all(|count| range.contains(count)), "{counts:?}");
        let mut distinct = counts.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() > 15, "{counts:?}");
        let others: Vec<u32> = (0..20).map(|second| count(second, &mut other)).collect();
        assert_ne!(counts, others, "it follows from the secret");
    }

    #[test]
    fn a_router_is_believed_as_far_as_it_can_be_right() {
        let key = |local: &str, remote: &str| {
            FlowKey::new(local.parse().unwrap(), remote.parse().unwrap())
        };
        let v4 = key("10.0.0.1:80", "192.0.2.1:5000");
        let v6 = key("[fd00::1]:80", "[2001:db8::1]:5000");
        assert_eq!(believed_mss(1400, 1460, &v4), Some(1360));
        assert_eq!(believed_mss(68, 1460, &v4), Some(512), "no less than 552 octets");
        assert_eq!(believed_mss(0, 1460, &v4), Some(1452), "the plateau below 1500");
        assert_eq!(believed_mss(0, 966, &v4), Some(512), "and that below 1006");
        assert_eq!(believed_mss(1280, 1440, &v6), Some(1220));
        assert_eq!(believed_mss(1279, 1440, &v6), None, "every link has 1280");
        assert_eq!(believed_mss(0, 1440, &v6), None);
    }
}
