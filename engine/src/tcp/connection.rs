//! The connection: its state, and what its owner calls.
//!
//! Calls come in this order. For every burst: [`Connection::on_segment`] for each segment,
//! [`Connection::on_deadline`] when [`Connection::deadline`] has come; then the owner moves payload
//! ([`Connection::receive`], [`Connection::send`], [`Connection::set_receive_room`]), and last
//! [`Connection::poll_transmit`] until it returns `None`. Only the last sends, so that one ACK
//! answers a whole burst and rides on payload where there is some.
//!
//! When the state is CLOSED and `poll_transmit` has nothing left, the owner calls
//! [`Connection::release`] and may reuse the memory.

use std::time::Duration;

use super::autotune::{AutoTune, ReceiveRtt};
use super::chunks::NIL;
use super::congestion::{CongestionControl, Controller};
use super::ecn::{EcnPolicy, EcnState};
use super::fast_open::Cookie;
use super::out_of_order::OutOfOrder;
use super::pacing::Pacer;
use super::path_mtu::PathMtu;
use super::receive_queue::ReceiveQueue;
use super::recovery::Recovery;
use super::rtt::RttEstimator;
use super::send_queue::SendQueue;
use super::settings::{Endpoints, LegSettings, Offer};
use super::state::{CloseReason, Event, State};
use super::window::{Offered, step};
use super::{Chunk, Context};
use crate::limits::{
    OUTPUT_RETRY, RECEIVE_ROOM_INITIAL, SEND_MSS_MIN, WINDOW_SCALE_MAX, WINDOW_UNSCALED_MAX,
};
use crate::planted::{self, Fault};
use crate::shield::cookie::CookieOptions;
use crate::time::Instant;
use crate::wire::checksum;
use crate::wire::tcp::{Flags, SeqNum, TcpHeader, TcpOptions};

/// Octets that the timestamps option takes from every segment, with its padding.
pub(super) const TIMESTAMPS_OCTETS: u16 = 12;

/// One TCP connection. See the [module](self) for the order of calls.
///
/// What an established connection touches for a segment in order comes first and fits two cache
/// lines. Names are RFC 9293's, `snd_una` for SND.UNA and so on.
#[derive(Debug)]
#[repr(C)]
pub struct Connection {
    pub(super) state: State,
    pub(super) snd_scale: u8,
    pub(super) rcv_scale: u8,
    pub(super) timestamps: bool,
    /// Something is not in order: only the general path may take the next segment.
    pub(super) disorder: bool,
    /// An ACK must go out with the next poll.
    pub(super) ack_now: bool,
    /// The caller has finished; FIN follows the queue.
    pub(super) fin_queued: bool,
    pub(super) fin_sent: bool,
    /// Most payload per segment [octets].
    pub(super) mss: u16,
    pub(super) local_port: u16,
    pub(super) remote_port: u16,
    pub(super) pseudo_sum: u16,
    pub(super) snd_una: SeqNum,
    pub(super) snd_nxt: SeqNum,
    /// Behind the last octet that the caller has queued; FIN's number.
    pub(super) snd_end: SeqNum,
    pub(super) snd_wnd: u32,
    pub(super) snd_wl1: SeqNum,
    pub(super) rcv_nxt: SeqNum,
    /// The right edge of the window that we have offered.
    pub(super) rcv_edge: SeqNum,
    /// The acknowledgment that we sent last (Last.ACK.sent of RFC 7323 §4.3).
    pub(super) rcv_acked: SeqNum,
    /// What the taker can take, what waits in the receive queue included [octets].
    pub(super) room: u32,
    pub(super) ts_recent: u32,
    pub(super) ts_offset: u32,
    pub(super) ecn: EcnState,
    pub(super) queue: SendQueue,
    pub(super) received: ReceiveQueue,
    /// The retransmission timer; also the persist timer, when nothing is outstanding.
    pub(super) retransmit_at: Instant,
    pub(super) ack_at: Instant,
    /// The last segment of any kind that was acceptable.
    pub(super) last_received: Instant,
    // Here end the two cache lines.
    pub(super) cold: Cold,
}

/// What handshakes, ACKs of new data and trouble touch.
#[derive(Debug)]
pub(super) struct Cold {
    pub(super) controller: Controller,
    pub(super) pacer: Pacer,
    pub(super) rtt: RttEstimator,
    pub(super) receive_rtt: ReceiveRtt,
    pub(super) autotune: AutoTune,
    pub(super) path: PathMtu,
    pub(super) recovery: Recovery,
    pub(super) out_of_order: OutOfOrder,
    pub(super) settings: LegSettings,
    pub(super) endpoints: Endpoints,
    /// The MSS that a SYN offers [octets].
    pub(super) offered_mss: u16,
    pub(super) offer: Offer,
    pub(super) close_reason: Option<CloseReason>,
    /// Behind all that was sent when the window was last reduced, until that is acknowledged.
    pub(super) reduced_at: Option<SeqNum>,
    /// The number of a FIN that has arrived, perhaps ahead of payload before it.
    pub(super) rcv_fin: Option<SeqNum>,
    /// A RST to answer a segment that cannot be of this connection, with this number.
    pub(super) reset_reply: Option<SeqNum>,
    /// The last segment with payload that went out, for restart after idle.
    pub(super) last_sent: Instant,
    pub(super) challenge_not_before: Instant,
    /// When to try again what a full pool or a frame on its way out held back.
    pub(super) retry_at: Instant,
    /// When what the pacer holds back may leave.
    pub(super) pace_at: Instant,
    /// SND.NXT when the congestion window last held something back.
    pub(super) limited_at: SeqNum,
    pub(super) syn_sent_at: Instant,
    /// Since when nothing of what is queued has been acknowledged; `FAR_FUTURE` while there is
    /// nothing to wait for.
    pub(super) waiting_since: Instant,
    /// The largest window the peer has offered (RFC 5961 §5.2 MAX.SND.WND) [octets].
    pub(super) max_snd_wnd: u32,
    /// The largest segment that has arrived [octets]; decides what counts as full-sized.
    pub(super) rcv_segment_max: u32,
    /// Unacknowledged transmissions in a row.
    pub(super) retries: u8,
    pub(super) keepalives_sent: u8,
    /// ACKs still to be sent at once because slow start at the other end feeds on them.
    pub(super) quick_acks: u8,
    /// Duplicate ACKs owed to a peer without SACK, one for each segment out of order.
    pub(super) duplicates_owed: u8,
    pub(super) syn_due: bool,
    pub(super) fin_lost: bool,
    pub(super) probe_due: bool,
    pub(super) reset_due: bool,
    /// The persist timer has expired: send what the window takes, even if it is little.
    pub(super) override_sws: bool,
    /// The last poll ended for want of congestion window.
    pub(super) cwnd_limited: bool,
    /// Opened by us (RFC 9293 §3.10.7.4 treats resets of SYN-RECEIVED by it).
    pub(super) active: bool,
    /// Asks for ECN with our SYN, or agrees if the peer's does.
    pub(super) ecn_willing: bool,
    /// The SYN brought payload that was taken: what is queued need not wait for the ACK of ours.
    pub(super) early: bool,
    /// For our SYN-ACK to bring (RFC 7413 §4.1.2).
    pub(super) fast_open_cookie: Option<Cookie>,
}

/// Full-sized segments at the start of a connection that are acknowledged at once, so that the
/// peer's slow start is not held up (Linux: quickack).
const QUICK_ACKS: u8 = 10;

impl Connection {
    /// Answers a SYN that reached a listener: SYN-RECEIVED (RFC 9293 §3.10.7.2). Payload on the
    /// SYN is left for the peer to send again, or is for [`Connection::open_early`].
    pub fn accept(
        settings: &LegSettings,
        endpoints: Endpoints,
        syn: &TcpHeader,
        isn: SeqNum,
        now: Instant,
    ) -> Connection {
        let offer = Offer::of(syn);
        let mut connection = Connection::new(settings, endpoints, offer, isn, now);
        connection.state = State::SynReceived;
        connection.learn_from_syn(syn);
        connection
    }

    /// Takes up a connection whose SYN was answered in our place by a cookie, and which `ack`, the
    /// first segment of it to come here, has proven: what SYN-RECEIVED becomes when our SYN is
    /// acknowledged (RFC 9293 §3.10.7.4). The segment itself is then a segment like any other.
    pub fn accept_cookie(
        settings: &LegSettings,
        mut endpoints: Endpoints,
        ack: &TcpHeader,
        cookie: &CookieOptions,
        now: Instant,
    ) -> Connection {
        if let Some(timestamps) = ack.options.timestamps {
            // Our clock goes on from the cookie, which the peer takes for our last timestamp: PAWS
            // would discard what says less.
            endpoints.ts_offset = timestamps.echo_reply.wrapping_sub(now.as_millis() as u32);
        }
        let isn = SeqNum(ack.acknowledgment.0.wrapping_sub(1));
        let mut connection =
            Connection::accept(settings, endpoints, &syn_before(ack, cookie), isn, now);
        connection.rcv_edge = connection.offered_in_syn().1;
        connection.cold.syn_due = false;
        // Nobody knows when the SYN-ACK was sent: the first round trip is that of payload.
        connection.snd_una += 1;
        connection.transition(Event::SynAcknowledged);
        connection
    }

    /// Opens a connection: SYN-SENT (RFC 9293 §3.10.1). The first poll sends the SYN.
    pub fn connect(
        settings: &LegSettings,
        endpoints: Endpoints,
        offer: Offer,
        isn: SeqNum,
        now: Instant,
    ) -> Connection {
        let mut connection = Connection::new(settings, endpoints, offer, isn, now);
        connection.state = State::SynSent;
        connection.cold.active = true;
        connection.cold.ecn_willing = settings.asks_for_ecn();
        connection
    }

    fn new(
        settings: &LegSettings,
        endpoints: Endpoints,
        offer: Offer,
        isn: SeqNum,
        now: Instant,
    ) -> Connection {
        let mss = endpoints.mss.max(SEND_MSS_MIN);
        let controller = Controller::new(&settings.parameters(mss, isn));
        Connection {
            state: State::Closed,
            snd_scale: 0,
            rcv_scale: if offer.window_scale { settings.window_scale() } else { 0 },
            timestamps: offer.timestamps,
            disorder: true,
            ack_now: false,
            fin_queued: false,
            fin_sent: false,
            mss,
            local_port: endpoints.local_port,
            remote_port: endpoints.remote_port,
            pseudo_sum: endpoints.pseudo_sum,
            snd_una: isn,
            snd_nxt: isn + 1,
            snd_end: isn + 1,
            snd_wnd: 0,
            snd_wl1: SeqNum(0),
            rcv_nxt: SeqNum(0),
            rcv_edge: SeqNum(0),
            rcv_acked: SeqNum(0),
            room: settings.receive_room.min(RECEIVE_ROOM_INITIAL),
            ts_recent: 0,
            ts_offset: endpoints.ts_offset,
            ecn: EcnState::of(settings),
            queue: SendQueue::EMPTY,
            received: ReceiveQueue::EMPTY,
            retransmit_at: Instant::FAR_FUTURE,
            ack_at: Instant::FAR_FUTURE,
            last_received: now,
            cold: Cold {
                pacer: Pacer::new(controller.window_octets()),
                controller,
                rtt: RttEstimator::new(),
                receive_rtt: ReceiveRtt::UNKNOWN,
                autotune: AutoTune::START,
                path: PathMtu::new(mss, settings.mtu_probing, endpoints.default_mss),
                recovery: Recovery::new(isn),
                out_of_order: OutOfOrder::EMPTY,
                settings: *settings,
                endpoints,
                offered_mss: endpoints.mss,
                offer,
                close_reason: None,
                reduced_at: None,
                rcv_fin: None,
                reset_reply: None,
                last_sent: now,
                challenge_not_before: Instant::ZERO,
                retry_at: Instant::FAR_FUTURE,
                pace_at: Instant::FAR_FUTURE,
                limited_at: isn,
                syn_sent_at: now,
                waiting_since: Instant::FAR_FUTURE,
                max_snd_wnd: 0,
                rcv_segment_max: 0,
                retries: 0,
                keepalives_sent: 0,
                quick_acks: QUICK_ACKS,
                duplicates_owed: 0,
                syn_due: true,
                fin_lost: false,
                probe_due: false,
                reset_due: false,
                override_sws: false,
                cwnd_limited: false,
                active: false,
                ecn_willing: settings.ecn != EcnPolicy::Off,
                early: false,
                fast_open_cookie: None,
            },
        }
    }

    /// Takes the peer's number, window and options from its SYN or SYN-ACK.
    pub(super) fn learn_from_syn(&mut self, syn: &TcpHeader) {
        let offer = self.cold.offer;
        self.rcv_nxt = syn.sequence + 1;
        self.rcv_acked = self.rcv_nxt;
        self.rcv_edge = self.rcv_nxt;
        self.cold.receive_rtt = ReceiveRtt::start(self.rcv_nxt);
        self.snd_wl1 = syn.sequence;
        // RFC 7323 §2.2: the window of a SYN is never scaled.
        self.snd_wnd = u32::from(syn.window);
        self.cold.max_snd_wnd = self.snd_wnd;
        // RFC 7323 §1.3, RFC 2018 §2: in force if both SYNs carry it.
        match syn.options.window_scale {
            // RFC 7323 §2.3: a larger shift than 14 is taken for 14.
            Some(shift) if offer.window_scale => self.snd_scale = shift.min(WINDOW_SCALE_MAX),
            _ => (self.snd_scale, self.rcv_scale) = (0, 0),
        }
        self.timestamps = false;
        if let Some(timestamps) = syn.options.timestamps
            && offer.timestamps
        {
            self.timestamps = true;
            self.ts_recent = timestamps.value;
        }
        self.cold.recovery.sack = syn.options.sack_permitted && offer.sack;
        self.agree_on_ecn(syn.flags);
        let endpoints = self.cold.endpoints;
        // RFC 9293 §3.7.1; RFC 6691 §3: options come out of it, the sender's part to subtract.
        let offered = match planted::is(Fault::PeerMssIgnored) {
            true => endpoints.mss,
            false => syn.options.mss.unwrap_or(endpoints.default_mss),
        };
        let limit = offered.min(endpoints.mss).max(SEND_MSS_MIN);
        let probing = self.cold.settings.mtu_probing;
        self.cold.path = PathMtu::new(limit, probing, endpoints.default_mss);
        self.set_mss(self.cold.path.mss());
        let parameters = self.cold.settings.parameters(self.mss, self.snd_una);
        self.cold.controller = Controller::new(&parameters);
        self.cold.pacer = Pacer::new(self.cold.controller.window_octets());
        self.set_pace();
    }

    /// Sets what a segment can carry, from an MSS that knows nothing of options.
    pub(super) fn set_mss(&mut self, mss: u16) {
        self.mss = mss.saturating_sub(self.options_octets()).max(SEND_MSS_MIN);
    }

    /// What the options take that every segment carries [octets].
    pub(super) fn options_octets(&self) -> u16 {
        options_octets(self.timestamps)
    }

    /// Has the SYN offer no more than `mss`, whatever our own link takes: what arrives is to fit
    /// somebody else's segments. At least every path takes what is offered. To be called before
    /// the first poll.
    pub fn offer_mss_at_most(&mut self, mss: u16) {
        let endpoints = &self.cold.endpoints;
        self.cold.offered_mss = endpoints.mss.min(mss.max(endpoints.default_mss));
    }

    /// The next payload in order.
    #[inline]
    pub fn receive(&mut self, cx: &mut Context<'_>) -> Option<Chunk> {
        self.received.pop(cx.chunks, cx.pool)
    }

    /// Whether the peer has finished and everything it sent has been taken.
    #[inline]
    pub fn receive_finished(&self) -> bool {
        self.state.peer_finished() && self.received.list.is_empty()
    }

    /// Payload in order that waits to be taken [octets].
    pub fn receivable_octets(&self) -> u32 {
        self.received.list.octets
    }

    /// Tells what the taker can still take, beyond what it has taken [octets]: it bounds the
    /// window that is offered. Returns whether the peer should hear of it at once; the next
    /// poll then tells it.
    #[inline]
    pub fn set_receive_room(&mut self, octets: u32) -> bool {
        self.room = octets;
        let due = self.state.can_receive() && self.offered().update_is_due();
        self.ack_now |= due;
        due
    }

    /// What the peer may still send of what it was offered [octets].
    pub fn open_window(&self) -> u32 {
        self.rcv_edge - self.rcv_nxt
    }

    /// The largest segment that has arrived [octets]; zero before the first.
    pub fn peer_segment(&self) -> u32 {
        self.cold.rcv_segment_max
    }

    /// Queues payload. In a state that takes none it is freed.
    pub fn send(&mut self, cx: &mut Context<'_>, chunk: Chunk) {
        self.check_app_limited();
        let octets = chunk.frame.len() as u32;
        if !self.state.takes_payload() || self.fin_queued || octets == 0 {
            cx.pool.free(chunk.frame);
            cx.counters.discarded += 1;
            return;
        }
        self.queue.push(cx, chunk, self.snd_end, self.mss);
        self.snd_end += octets;
    }

    /// Queues payload of the caller's own, at most a frame of it; `false`, with nothing queued, if
    /// the state takes no payload, or the pool is empty: the deadline is then when to try again.
    pub fn send_copy(&mut self, cx: &mut Context<'_>, payload: &[u8]) -> bool {
        if !self.state.takes_payload() || self.fin_queued {
            return false;
        }
        if payload.is_empty() {
            return true; // A chunk without octets could never be acknowledged.
        }
        let Some(mut frame) = cx.pool.alloc() else {
            cx.counters.pool_empty += 1;
            self.cold.retry_at = self.cold.retry_at.min(cx.now + OUTPUT_RETRY);
            return false;
        };
        let Some(room) = cx.pool.push_back(&mut frame, payload.len()) else {
            cx.pool.free(frame);
            return false;
        };
        room.copy_from_slice(payload);
        let chunk = Chunk { frame, sum: checksum::sum(payload), received_at: cx.now };
        self.check_app_limited();
        self.queue.push_copy(cx, chunk, self.snd_end);
        self.snd_end += payload.len() as u32;
        true
    }

    /// Payload that is queued or sent and not acknowledged [octets].
    #[inline]
    pub fn queued_octets(&self) -> u32 {
        self.queue.list.octets
    }

    /// Frames that hold it [frames].
    #[inline]
    pub fn queued_frames(&self) -> u32 {
        self.queue.list.frames
    }

    /// Whether some of it may still be acknowledged.
    pub fn holds_unacknowledged(&self) -> bool {
        self.state.can_send() && !self.queue.list.is_empty()
    }

    /// Finishes: FIN follows what is queued. What the peer sends is still received.
    pub fn finish(&mut self) {
        if self.state.takes_payload() {
            self.fin_queued = true;
        }
    }

    /// Gives the connection up: the next poll sends RST, where the peer knows of the connection.
    pub fn abort(&mut self) {
        // RFC 9293 §3.10.5: in SYN-SENT nothing needs to be told.
        self.cold.reset_due = !matches!(self.state, State::Closed | State::SynSent);
        self.end(CloseReason::Aborted);
    }

    /// Gives back every frame, whatever the state, which is CLOSED afterwards.
    pub fn release(&mut self, cx: &mut Context<'_>) {
        self.end(CloseReason::Aborted);
        self.discard(cx);
    }

    /// Gives up what waits behind a gap, for want of memory; it is sent again. Of what the peer was told
    /// by SACK it learns when its retransmission timer expires (RFC 2018 §8). Whether there was any.
    pub fn give_up_out_of_order(&mut self, cx: &mut Context<'_>) -> bool {
        let waited = !self.cold.out_of_order.is_empty();
        self.cold.out_of_order.clear(cx.pool, cx.chunks, cx.counters);
        self.note_disorder();
        waited
    }

    /// Frees everything that is queued, in all directions.
    pub(super) fn discard(&mut self, cx: &mut Context<'_>) {
        self.queue.clear(cx.pool, cx.chunks, cx.counters);
        self.received.clear(cx.pool, cx.chunks, cx.counters);
        if !planted::is(Fault::FrameLeaked) {
            self.cold.out_of_order.clear(cx.pool, cx.chunks, cx.counters);
        }
        self.cold.recovery = Recovery::new(self.snd_nxt);
        (self.snd_una, self.snd_end) = (self.snd_nxt, self.snd_nxt);
    }

    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// Why the connection is CLOSED; `None` while it is not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.cold.close_reason
    }

    /// Most payload per segment that we send [octets].
    pub fn mss(&self) -> u16 {
        self.mss
    }

    /// What both sides agreed on, once the handshake is over.
    pub fn options_in_force(&self) -> Offer {
        Offer {
            timestamps: self.timestamps,
            sack: self.cold.recovery.sack,
            window_scale: self.snd_scale > 0 || self.rcv_scale > 0,
        }
    }

    /// The smoothed round-trip time; `None` until there is a sample.
    pub fn srtt(&self) -> Option<Duration> {
        self.cold.rtt.srtt()
    }

    /// The congestion window [octets].
    pub fn congestion_window(&self) -> u32 {
        self.cold.controller.window_octets()
    }

    /// What is in flight by the scoreboard's account [octets].
    pub fn in_flight(&self) -> u32 {
        self.cold.recovery.pipe(self.snd_nxt - self.snd_una)
    }

    /// How much may be in flight: the congestion window, or what is left of it while fast recovery
    /// reduces it [octets].
    pub(super) fn send_window(&self) -> u32 {
        let controller = &self.cold.controller;
        self.cold.recovery.window(controller.window_octets(), controller.manages_recovery())
    }

    /// The controller may have changed its mind about how fast to send.
    pub(super) fn set_pace(&mut self) {
        let Cold { pacer, controller, settings, rtt, .. } = &mut self.cold;
        pacer.follow(settings.pacing, controller, rtt.srtt(), self.mss);
    }

    /// Notes if nothing is left to send though the congestion window has room, before that changes
    /// (draft-ietf-ccwg-bbr-06 §4.1.2.4, CheckIfApplicationLimited).
    #[inline]
    pub(super) fn check_app_limited(&mut self) {
        if self.queue.unsent == NIL && !self.cold.recovery.has_lost() {
            let in_flight = self.in_flight();
            if in_flight < self.cold.controller.window_octets() {
                self.cold.recovery.delivery.mark_app_limited(in_flight);
            }
        }
    }

    /// What the peer's window still takes [octets].
    pub(super) fn usable_window(&self) -> u32 {
        let window = self.snd_wnd + u32::from(planted::is(Fault::WindowOverrun));
        window.saturating_sub(self.snd_nxt - self.snd_una)
    }

    /// How far the peer has acknowledged what we send: moves on by an octet for each that it has, and
    /// for SYN and FIN.
    #[inline]
    pub fn acknowledged(&self) -> SeqNum {
        self.snd_una
    }

    /// The next number that we expect to send, for a successor's initial number.
    pub fn send_next(&self) -> SeqNum {
        self.snd_nxt
    }

    #[inline]
    pub(super) fn offered(&self) -> Offered {
        Offered {
            rcv_nxt: self.rcv_nxt,
            edge: self.rcv_edge,
            free: self.room.saturating_sub(self.received.list.octets),
            step: step(self.cold.settings.receive_room, self.mss),
            shift: self.rcv_scale,
        }
    }

    /// The window field for a SYN or SYN-ACK, which is never scaled, and the edge it promises.
    pub(super) fn offered_in_syn(&self) -> (u16, SeqNum) {
        let free = self.room.saturating_sub(self.received.list.octets);
        let window = free.min(WINDOW_UNSCALED_MAX);
        (window as u16, self.rcv_nxt + window)
    }

    /// Moves along the table of [`State::after`]. What is not in the table changes nothing.
    pub(super) fn transition(&mut self, event: Event) {
        if let Some(next) = self.state.after(event) {
            self.state = next;
        }
        self.note_disorder();
    }

    /// Enters CLOSED; the first reason stays.
    pub(super) fn end(&mut self, reason: CloseReason) {
        self.transition(Event::Ended);
        self.cold.close_reason.get_or_insert(reason);
        self.retransmit_at = Instant::FAR_FUTURE;
        self.ack_at = Instant::FAR_FUTURE;
        self.ack_now = false;
        self.ecn = EcnState::default();
        self.cold.retry_at = Instant::FAR_FUTURE;
        self.cold.recovery.forget_timers();
        self.cold.pace_at = Instant::FAR_FUTURE;
    }

    /// Recomputes whether the next segment needs the general path.
    pub(super) fn note_disorder(&mut self) {
        self.disorder = self.state != State::Established
            || !self.cold.recovery.is_quiet()
            || !self.cold.out_of_order.is_empty()
            || self.cold.rcv_fin.is_some();
    }
}

/// What the options take that every segment carries [octets].
pub(super) fn options_octets(timestamps: bool) -> u16 {
    if timestamps { TIMESTAMPS_OCTETS } else { 0 }
}

/// The SYN that an ACK of its cookie followed, as far as it matters. The window that it offered was
/// carried nowhere; the ACK's own takes its place before anything is sent.
fn syn_before(ack: &TcpHeader, cookie: &CookieOptions) -> TcpHeader {
    let ecn = if cookie.ecn { Flags::ECE.with(Flags::CWR) } else { Flags(0) };
    TcpHeader {
        sequence: SeqNum(ack.sequence.0.wrapping_sub(1)),
        flags: Flags::SYN.with(ecn),
        options: TcpOptions {
            mss: Some(cookie.mss),
            window_scale: cookie.window_scale,
            sack_permitted: cookie.sack,
            timestamps: ack.options.timestamps,
            ..TcpOptions::default()
        },
        ..TcpHeader::default()
    }
}

/// What the fast path touches.
pub const HOT_OCTETS: usize = std::mem::offset_of!(Connection, cold);

const _: () = assert!(HOT_OCTETS == 128);
const _: () = assert!(size_of::<Connection>() <= 1280);
