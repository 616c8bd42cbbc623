//! Text and FIN (RFC 9293 §3.10.7.4 seventh and eighth).

use super::{Disposition, DropReason};
use crate::limits::{DELAYED_ACK, TIME_WAIT};
use crate::planted::{self, Fault};
use crate::tcp::receive_queue::{frames_max, trim_back, trim_front};
use crate::tcp::state::{Event, State};
use crate::tcp::{Chunk, Connection, Context};
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

/// What counts as full-sized from a peer that has sent nothing larger yet: the default MSS of
/// RFC 9293 §3.7.1 [octets].
const FULL_SIZED_MIN: u32 = 536;

impl Connection {
    /// Payload that passed all checks, cut to what is new and within the window.
    pub(super) fn on_payload(
        &mut self,
        cx: &mut Context<'_>,
        mut chunk: Chunk,
        seq: SeqNum,
    ) -> Disposition {
        let mut seq = seq;
        let end = seq + chunk.frame.len() as u32;
        // Nothing lies behind the peer's FIN.
        let limit = self.cold.rcv_fin.map_or(self.rcv_edge, |fin| fin.earliest(self.rcv_edge));
        let refusal = if end.at_or_before(self.rcv_nxt) {
            Some(DropReason::Duplicate)
        } else if !self.state.can_receive() || seq.latest(self.rcv_nxt).at_or_after(limit) {
            Some(DropReason::OutsideWindow)
        } else {
            None
        };
        if self.cold.recovery.sack && seq.before(self.rcv_nxt) {
            self.cold.out_of_order.note_duplicate(seq, end.earliest(self.rcv_nxt));
        }
        if let Some(reason) = refusal {
            cx.pool.free(chunk.frame);
            self.ack_now = true;
            return Disposition::Dropped(reason);
        }
        if seq.before(self.rcv_nxt) {
            trim_front(cx.pool, &mut chunk, self.rcv_nxt - seq);
            seq = self.rcv_nxt;
            self.ack_now = true;
        }
        if end.after(limit) {
            trim_back(cx.pool, &mut chunk, end - limit);
            self.ack_now = true;
        }
        if cx.pool.is_scarce() {
            // The peer sends it again; what it acknowledged, which frees frames, has been heeded.
            cx.pool.free(chunk.frame);
            return Disposition::Dropped(DropReason::FramesScarce);
        }
        if seq == self.rcv_nxt {
            self.on_next_payload(cx, chunk)
        } else {
            self.on_payload_behind_gap(cx, chunk, seq)
        }
    }

    fn on_next_payload(&mut self, cx: &mut Context<'_>, chunk: Chunk) -> Disposition {
        if self.received.is_full(self.rcv_edge - self.rcv_nxt) {
            cx.pool.free(chunk.frame);
            self.ack_now = true;
            return Disposition::Dropped(DropReason::QueueFull);
        }
        cx.counters.queued += 1;
        self.take_in_order(cx, chunk);
        if !self.cold.out_of_order.is_empty() {
            while let Some((chunk, seq)) = self.cold.out_of_order.pop_in_order(cx, self.rcv_nxt) {
                self.rcv_nxt += chunk.frame.len() as u32;
                self.received.push(cx, chunk, seq);
            }
            self.cold.out_of_order.advance(self.rcv_nxt);
            // RFC 5681 §4.2: a segment that fills a gap is acknowledged at once.
            self.ack_now = true;
        }
        Disposition::Queued
    }

    fn on_payload_behind_gap(
        &mut self,
        cx: &mut Context<'_>,
        chunk: Chunk,
        seq: SeqNum,
    ) -> Disposition {
        cx.counters.out_of_order += 1;
        // RFC 5681 §4.2: answered at once; each, where the peer counts duplicates.
        self.ack_now = true;
        if !self.cold.recovery.sack {
            self.cold.duplicates_owed = self.cold.duplicates_owed.saturating_add(1);
        }
        if cx.pool.is_tight() {
            cx.pool.free(chunk.frame);
            return Disposition::Dropped(DropReason::FramesScarce);
        }
        let frames_max = frames_max(self.rcv_edge - self.rcv_nxt);
        match self.cold.out_of_order.insert(cx, chunk, seq, frames_max) {
            Ok(()) => {
                cx.counters.queued += 1;
                Disposition::Queued
            }
            Err((chunk, reason)) => {
                cx.pool.free(chunk.frame);
                Disposition::Dropped(reason)
            }
        }
    }

    /// The next payload in order, within the window.
    #[inline]
    pub(super) fn take_in_order(&mut self, cx: &mut Context<'_>, chunk: Chunk) {
        let len = chunk.frame.len() as u32;
        self.received.push(cx, chunk, self.rcv_nxt);
        self.rcv_nxt += len;
        self.schedule_acknowledgment(cx.now, len);
    }

    /// RFC 9293 §3.8.6.3, RFC 5681 §4.2: at least every second full-sized segment is acknowledged at
    /// once; less waits, so that the ACK can ride on what is sent in answer.
    #[inline]
    fn schedule_acknowledgment(&mut self, now: Instant, len: u32) {
        let mss = u32::from(self.mss);
        self.cold.rcv_segment_max = self.cold.rcv_segment_max.max(len.min(mss));
        let full = self.cold.rcv_segment_max.max(FULL_SIZED_MIN.min(mss));
        if self.rcv_nxt - self.rcv_acked >= 2 * full {
            self.ack_now = true;
        } else if self.cold.quick_acks > 0 && len >= mss {
            self.cold.quick_acks -= 1;
            self.ack_now = true;
        }
        self.delay_acknowledgment(now);
    }

    fn delay_acknowledgment(&mut self, now: Instant) {
        if self.ack_at == Instant::FAR_FUTURE {
            self.ack_at = now + DELAYED_ACK;
        }
    }

    /// Remembers where the peer's FIN is; the first to say so is believed, within the window.
    pub(super) fn note_fin(&mut self, fin: SeqNum) {
        if self.state.peer_finished() {
            // Repeated: our ACK was lost.
            self.ack_now = true;
        } else if self.cold.rcv_fin.is_none()
            && fin.at_or_after(self.rcv_nxt)
            && fin.at_or_before(self.rcv_edge)
        {
            self.cold.rcv_fin = Some(fin);
        }
    }

    /// Acts on the FIN once everything before it has arrived.
    pub(super) fn take_fin(&mut self, now: Instant) {
        if self.cold.rcv_fin != Some(self.rcv_nxt) || !self.state.can_receive() {
            return;
        }
        self.rcv_nxt += u32::from(!planted::is(Fault::FinNotAcknowledged));
        self.rcv_edge = self.rcv_edge.latest(self.rcv_nxt);
        self.transition(Event::FinArrived);
        if self.state == State::CloseWait {
            // The other side's FIN most often follows soon, and carries the ACK.
            self.delay_acknowledgment(now);
        } else {
            self.ack_now = true;
        }
        if self.state == State::TimeWait {
            self.retransmit_at = now + TIME_WAIT;
        }
    }
}
