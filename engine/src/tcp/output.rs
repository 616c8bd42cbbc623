//! A segment leaves: what to send next, in which order.
//!
//! [`Connection::poll_transmit`] is the list of what may be due, most urgent first; how a segment
//! is put together is in [`segment`].

mod segment;

pub(super) use segment::control_frame;
pub use segment::reset_in_reply;

use super::chunks::NIL;
use super::congestion::{CongestionControl, IdleGap};
use super::state::{Event, State};
use super::{Connection, Context};
use crate::frame::{Frame, FramePool};
use crate::limits::{OUTPUT_RETRY, SEGMENTS_PER_WINDOW_SEGMENT};
use crate::planted::{self, Fault};
use crate::time::Instant;
use crate::wire::ip::Ecn;
use crate::wire::tcp::{Flags, SeqNum, TcpHeader};

/// A segment to be sent.
#[derive(Debug)]
#[must_use = "an outgoing segment owns a frame"]
pub struct Outgoing {
    /// A complete TCP segment, checksum included, behind whatever lower headers were written.
    pub frame: Frame,
    pub kind: OutgoingKind,
    /// When the payload arrived, if this is the first time that it leaves.
    pub received_at: Option<Instant>,
    pub payload_len: u32,
}

/// How a segment counts in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutgoingKind {
    /// The frame that brought the payload leaves with it, for the first time.
    Forwarded,
    /// Made here: no payload, or payload split off into a frame of its own.
    Originated,
    /// Sent before.
    Retransmitted,
}

/// Why a chunk was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Nothing to do, or the peer's or the congestion window is full.
    Nothing,
    /// No frame, or the frame is still on its way out: try again soon.
    Retry,
}

impl Connection {
    /// The next segment to send, if any; to be called until it returns `None`.
    ///
    /// `wrap` writes lower headers in front of the segment. It runs before the frame is shared with
    /// the retransmission queue, because nobody may write a shared frame; it only extends the
    /// window at its front. It is told the ECN field of the IP header (RFC 3168 §5).
    pub fn poll_transmit(
        &mut self,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        match self.state {
            State::Closed => self.transmit_reset(cx, wrap),
            State::SynSent | State::SynReceived => self.transmit_handshake(cx, wrap),
            State::TimeWait => self.transmit_acknowledgment(cx, wrap),
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => self.transmit_synchronized(cx, wrap),
        }
    }

    fn transmit_reset(
        &mut self,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        if !self.cold.reset_due {
            return None;
        }
        // RFC 9293 §3.10.5: <SEQ=SND.NXT><CTL=RST>; with ACK, as Linux sends it.
        let header = self.header(cx.now, self.snd_nxt, Flags::RST.with(Flags::ACK));
        let outgoing = self.send_control(cx, header, OutgoingKind::Originated, wrap)?;
        self.cold.reset_due = false;
        Some(outgoing)
    }

    fn transmit_handshake(
        &mut self,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        if let Some(sequence) = self.cold.reset_reply {
            return self.transmit_reset_reply(cx, sequence, wrap);
        }
        if self.cold.syn_due {
            let kind = match self.cold.retries {
                0 => OutgoingKind::Originated,
                _ => OutgoingKind::Retransmitted,
            };
            let (header, edge) = self.syn_header(cx.now);
            let outgoing = self.send_control(cx, header, kind, wrap)?;
            // What was offered before is not taken back.
            self.rcv_edge = if self.cold.early { edge.latest(self.rcv_edge) } else { edge };
            self.cold.syn_due = false;
            self.cold.syn_sent_at = cx.now;
            cx.counters.retransmitted += u64::from(kind == OutgoingKind::Retransmitted);
            self.arm_retransmission(cx.now);
            return Some(outgoing);
        }
        if self.state != State::SynReceived {
            return None;
        }
        if self.cold.early {
            // RFC 7413 §4.2.2: up to the initial window may leave before our SYN is acknowledged.
            match self.pick_unsent(cx) {
                Ok(index) => return self.transmit_chunk(cx, index, wrap),
                Err(Held::Retry) => {
                    self.cold.retry_at = self.cold.retry_at.min(cx.now + OUTPUT_RETRY);
                }
                Err(Held::Nothing) => {}
            }
        }
        self.transmit_acknowledgment(cx, wrap)
    }

    fn transmit_reset_reply(
        &mut self,
        cx: &mut Context<'_>,
        sequence: SeqNum,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        // It answers as if there were no connection (RFC 9293 §3.10.7.3), so without timestamps:
        // ours would mean nothing to whatever the peer has, and PAWS would discard it.
        let header = TcpHeader {
            source_port: self.local_port,
            destination_port: self.remote_port,
            sequence,
            flags: Flags::RST,
            ..TcpHeader::default()
        };
        let outgoing = self.send_control(cx, header, OutgoingKind::Originated, wrap)?;
        self.cold.reset_reply = None;
        Some(outgoing)
    }

    fn transmit_synchronized(
        &mut self,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        // Reports of what is out of order never ride on payload: there they would take room that
        // a full segment does not have, and they are what the peer's recovery waits for.
        let reports = (self.cold.recovery.sack && self.cold.out_of_order.has_blocks())
            || self.cold.duplicates_owed > 0;
        if self.ack_now && reports {
            return self.transmit_acknowledgment(cx, wrap);
        }
        if self.state.can_send() {
            if let Some(index) = self.pick_mtu_probe(cx) {
                return self.transmit_chunk(cx, index, wrap);
            }
            let mut retry = false;
            for pick in [Connection::pick_lost, Connection::pick_unsent] {
                match pick(self, cx) {
                    Ok(index) => return self.transmit_chunk(cx, index, wrap),
                    Err(Held::Retry) => retry = true,
                    Err(Held::Nothing) => {}
                }
            }
            if self.cold.recovery.probe_is_due {
                self.cold.recovery.probe_is_due = false;
                if let Ok(index) = self.pick_probe(cx) {
                    return self.transmit_tail_probe(cx, index, wrap);
                }
            }
            if retry {
                self.cold.retry_at = self.cold.retry_at.min(cx.now + OUTPUT_RETRY);
            }
            if self.fin_is_due() {
                return self.transmit_fin(cx, wrap);
            }
        }
        if self.cold.probe_due {
            return self.transmit_probe(cx, wrap);
        }
        self.transmit_acknowledgment(cx, wrap)
    }

    /// RFC 6675 §5 NextSeg () rule 1: the first that was found lost and is not yet sent again.
    ///
    /// Note: rules 3 and 4 (retransmitting what may only be late) are not used; probes cover the
    /// tail.
    fn pick_lost(&mut self, cx: &mut Context<'_>) -> Result<u32, Held> {
        if !self.cold.recovery.has_lost() {
            return Err(Held::Nothing);
        }
        let at = self.cold.recovery.next_lost();
        if at == NIL {
            return Err(Held::Nothing);
        }
        let node = cx.chunks.node(at);
        if node.is_shared(cx.pool) && !planted::is(Fault::SentWhileWithDevice) {
            return Err(Held::Retry);
        }
        let len = node.len().min(u32::from(self.mss));
        let window = self.send_window();
        let pipe = self.in_flight();
        if !self.cold.recovery.first_is_due && pipe > 0 && pipe + len > window {
            return Err(Held::Nothing);
        }
        // Fast retransmit is what the peer waits for.
        if !self.cold.recovery.first_is_due && self.is_paced_out(cx.now, len) {
            return Err(Held::Nothing);
        }
        if len < node.len() {
            let seq = node.seq;
            self.note_resegmented(cx.now, seq);
            return self.split(cx, at, len);
        }
        Ok(at)
    }

    /// Whether it is too early for a segment of `len` octets; if so, the connection will be woken
    /// when it is time.
    fn is_paced_out(&mut self, now: Instant, len: u32) -> bool {
        match self.cold.pacer.hold(len, now) {
            None => false,
            Some(until) => {
                self.cold.pace_at = until;
                true
            }
        }
    }

    /// The next payload that was never sent, as far as both windows allow.
    fn pick_unsent(&mut self, cx: &mut Context<'_>) -> Result<u32, Held> {
        let at = self.queue.unsent;
        if at == NIL {
            self.cold.cwnd_limited = self.fills_congestion_window();
            return Err(Held::Nothing);
        }
        let outstanding = self.snd_nxt - self.snd_una;
        let whole = cx.chunks.node(at).len();
        let mut len = whole.min(u32::from(self.mss));
        let usable = self.usable_window();
        if len > usable {
            // RFC 9293 §3.8.6.2.1, sender's SWS avoidance: a part is sent if it is half of the
            // largest window ever, or if waiting has not helped.
            if usable == 0 || (usable < self.cold.max_snd_wnd / 2 && !self.cold.override_sws) {
                self.cold.cwnd_limited = false;
                if outstanding == 0 && self.retransmit_at == Instant::FAR_FUTURE {
                    // RFC 9293 §3.8.6.1: nothing in flight will bring news of the window.
                    self.arm_retransmission(cx.now);
                }
                return Err(Held::Nothing);
            }
            len = usable;
        }
        if outstanding == 0 {
            self.restart_after_idle(cx.now);
        }
        let window = self.send_window();
        let pipe = self.in_flight();
        let segments = self.cold.recovery.segments_in_flight();
        // What is outstanding counts too: full segments that were sent before the window fell, or
        // have left the network, must not hold back what keeps the ACKs coming.
        let octets = window.max(outstanding);
        let segments_max = SEGMENTS_PER_WINDOW_SEGMENT * octets.div_ceil(u32::from(self.mss));
        if pipe > 0 && (pipe + len > window || segments >= segments_max) {
            self.cold.cwnd_limited = true;
            self.cold.limited_at = self.snd_nxt;
            return Err(Held::Nothing);
        }
        if self.is_paced_out(cx.now, len) {
            // The window has held sending back if it did so within the last round trip.
            self.cold.cwnd_limited =
                self.snd_una.before(self.cold.limited_at) || self.fills_congestion_window();
            return Err(Held::Nothing);
        }
        if !self.cold.recovery.lets_new_out() {
            return Err(Held::Nothing);
        }
        if cx.chunks.node(at).is_shared(cx.pool) {
            return Err(Held::Retry);
        }
        if len < whole {
            return self.split(cx, at, len);
        }
        Ok(at)
    }

    /// What a tail loss probe carries (RFC 8985 §7.3): something new, whatever the congestion window
    /// says, or else the last segment once more.
    fn pick_probe(&mut self, cx: &mut Context<'_>) -> Result<u32, Held> {
        let is_new = self.can_send_new(cx);
        let at = if is_new { self.queue.unsent } else { self.cold.recovery.last_sent };
        if at == NIL || cx.chunks.node(at).is_shared(cx.pool) {
            return Err(Held::Nothing);
        }
        let (seq, whole) = (cx.chunks.node(at).seq, cx.chunks.node(at).len());
        let len = whole.min(u32::from(self.mss));
        if len == whole {
            return Ok(at);
        }
        if !is_new {
            self.note_resegmented(cx.now, seq);
        }
        self.split(cx, at, len)
    }

    fn transmit_tail_probe(
        &mut self,
        cx: &mut Context<'_>,
        index: u32,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        let outgoing = self.transmit_chunk(cx, index, wrap)?;
        let repeats = outgoing.kind == OutgoingKind::Retransmitted;
        self.cold.recovery.on_probe_sent(self.snd_nxt, repeats);
        cx.counters.tail_probes += 1;
        Some(outgoing)
    }

    /// Whether there is something new to send, and the peer's window takes it.
    pub(super) fn can_send_new(&self, cx: &Context<'_>) -> bool {
        let at = self.queue.unsent;
        at != NIL && cx.chunks.node(at).len().min(u32::from(self.mss)) <= self.usable_window()
    }

    /// Whether what is in flight uses the congestion window up: in slow start, where it is about to
    /// double, more than half of it counts.
    fn fills_congestion_window(&self) -> bool {
        let window = self.send_window();
        let enough = if self.cold.controller.in_slow_start() { window / 2 } else { window };
        self.in_flight() + u32::from(self.mss) > enough
    }

    fn split(&mut self, cx: &mut Context<'_>, index: u32, len: u32) -> Result<u32, Held> {
        let Some(piece) = self.queue.split(cx, index, len) else {
            cx.counters.pool_empty += 1;
            return Err(Held::Retry);
        };
        self.cold.recovery.on_split(cx.chunks, piece, index);
        Ok(piece)
    }

    /// RFC 5681 §4.1: a window that was not used for a while says little about the path.
    fn restart_after_idle(&mut self, now: Instant) {
        let gap = IdleGap { idle: now.since(self.cold.last_sent), rto: self.cold.rtt.rto().get() };
        if gap.idle > gap.rto {
            self.cold.controller.on_idle_restart(gap);
        }
    }

    /// Whether FIN is to be sent in a segment of its own: everything before it has been sent.
    fn fin_is_due(&self) -> bool {
        self.queue.unsent == NIL
            && ((self.fin_queued && !self.fin_sent)
                || (self.cold.fin_lost && !self.cold.recovery.has_lost()))
    }

    fn transmit_fin(
        &mut self,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        let kind = match self.fin_sent {
            false => OutgoingKind::Originated,
            true => OutgoingKind::Retransmitted,
        };
        let header = self.header(cx.now, self.snd_end, Flags::FIN.with(Flags::ACK));
        let outgoing = self.send_control(cx, header, kind, wrap)?;
        cx.counters.retransmitted += u64::from(self.fin_sent);
        self.note_fin_sent();
        self.note_acknowledged();
        if self.retransmit_at == Instant::FAR_FUTURE {
            self.arm_retransmission(cx.now);
        }
        Some(outgoing)
    }

    /// FIN has left, alone or behind payload.
    fn note_fin_sent(&mut self) {
        self.cold.fin_lost = false;
        if !self.fin_sent {
            self.fin_sent = true;
            self.snd_nxt = self.snd_end + 1;
            self.transition(Event::FinSent);
        }
    }

    /// Asks the peer for a sign of life: a segment before its window, which it must answer.
    ///
    /// Note: RFC 9293 §3.8.6.1 probes with one octet of new payload; as Linux, we send none, so
    /// that a window that stays closed costs no split.
    fn transmit_probe(
        &mut self,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        let before_una = SeqNum(self.snd_una.0.wrapping_sub(1));
        let header = self.header(cx.now, before_una, Flags::ACK);
        let outgoing = self.send_control(cx, header, OutgoingKind::Originated, wrap)?;
        self.cold.probe_due = false;
        self.note_acknowledged();
        Some(outgoing)
    }

    fn transmit_acknowledgment(
        &mut self,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        if !self.ack_now {
            return None;
        }
        let header = self.acknowledgment_header(cx.now);
        let outgoing = self.send_control(cx, header, OutgoingKind::Originated, wrap)?;
        self.note_acknowledged();
        // RFC 5681 §4.2: each segment out of order is answered, for a peer that must count.
        if self.cold.duplicates_owed > 1 {
            self.cold.duplicates_owed -= 1;
            self.ack_now = true;
        } else {
            self.cold.duplicates_owed = 0;
        }
        Some(outgoing)
    }

    /// An acknowledgment of everything has left.
    #[inline]
    fn note_acknowledged(&mut self) {
        self.ack_now = false;
        self.ack_at = Instant::FAR_FUTURE;
        self.rcv_acked = self.rcv_nxt;
    }

    /// Sets the retransmission timer anew (RFC 6298 §5.1), no later than the user timeout.
    pub(super) fn arm_retransmission(&mut self, now: Instant) {
        if planted::is(Fault::RetransmissionTimerForgotten) {
            return;
        }
        self.cold.waiting_since = self.cold.waiting_since.min(now);
        self.retransmit_at = (now + self.cold.rtt.rto().get()).min(self.user_timeout_at());
    }
}
