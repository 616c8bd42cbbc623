//! Whether a segment is believed: PAWS, sequence number, RST and SYN (RFC 9293 §3.10.7.4 first to
//! fourth, RFC 7323 §5, RFC 5961 §3 and §4).

use super::{Disposition, DropReason, ts_before};
use crate::limits::{CHALLENGE_ACK_INTERVAL, TIME_WAIT, TIMESTAMP_VALID};
use crate::tcp::state::{CloseReason, State};
use crate::tcp::{Connection, Context};
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};

impl Connection {
    /// Everything before the ACK field counts. A RST that passes is to be obeyed.
    pub(super) fn check_acceptance(
        &mut self,
        cx: &mut Context<'_>,
        header: &TcpHeader,
        len: u32,
    ) -> Result<(), DropReason> {
        let flags = header.flags;
        if flags.contains(Flags::RST) {
            return self.check_reset(cx, header);
        }
        if self.state == State::SynReceived && flags.contains(Flags::SYN) {
            return Err(self.on_syn_again(cx, header));
        }
        if self.fails_paws(cx.now, header) {
            cx.counters.paws_rejected += 1;
            self.answer_unacceptable(cx, len);
            return Err(DropReason::OldTimestamp);
        }
        let seq = header.sequence;
        let end = seq + len + u32::from(flags.contains(Flags::FIN));
        // Note: as Linux, a segment that ends at or behind what we acknowledged last still passes,
        // so that ACKs that were overtaken count; and one at the very end of the window, where the
        // peer's ACKs stand once it has filled the window. While that is shut, they may stand an octet
        // further: behind a probe of it. RFC 9293 §3.10.7.4 wants their news heard, or two that
        // have shut their windows to each other would hear no more of them.
        let is_shut = self.rcv_edge == self.rcv_nxt;
        if end.before(self.rcv_acked) || seq.after(self.rcv_edge + u32::from(is_shut)) {
            let reason = self.refusal(header, len);
            self.answer_unacceptable(cx, len);
            return Err(reason);
        }
        if flags.contains(Flags::SYN) {
            // RFC 5961 §4.2: whatever its number, it is challenged and never obeyed.
            self.challenge(cx);
            return Err(DropReason::SuspectSyn);
        }
        Ok(())
    }

    /// Why a segment outside the window is refused; a duplicate is noted for the next ACK.
    fn refusal(&mut self, header: &TcpHeader, len: u32) -> DropReason {
        let end = header.sequence + len;
        if len == 0 || end.after(self.rcv_nxt) {
            return DropReason::OutsideWindow;
        }
        if self.cold.recovery.sack {
            self.cold.out_of_order.note_duplicate(header.sequence, end);
        }
        DropReason::Duplicate
    }

    /// RFC 5961 §3.2: only a RST with exactly the expected number is obeyed at once.
    ///
    /// Note: behind a FIN, so is one with the FIN's own number (Linux: `tcp_reset_check`). It is what
    /// answers payload of ours that crossed the FIN, and what macOS sends right after it.
    fn check_reset(&mut self, cx: &mut Context<'_>, header: &TcpHeader) -> Result<(), DropReason> {
        let seq = header.sequence;
        if seq == self.rcv_nxt || (self.state.peer_finished() && seq + 1 == self.rcv_nxt) {
            return Ok(());
        }
        if seq.after(self.rcv_nxt) && seq.before(self.rcv_edge) {
            self.challenge(cx);
            return Err(DropReason::SuspectReset);
        }
        Err(DropReason::OutsideWindow)
    }

    pub(super) fn on_reset(&mut self, cx: &mut Context<'_>) -> Disposition {
        let refused = self.state == State::SynReceived && self.cold.active;
        self.end(if refused { CloseReason::Refused } else { CloseReason::ResetByPeer });
        self.discard(cx);
        Disposition::Consumed
    }

    /// The peer has not heard our SYN-ACK and repeats its SYN: so do we. A SYN-ACK ends a
    /// simultaneous open: it is answered by an ACK (RFC 9293 §3.5, figure 8).
    fn on_syn_again(&mut self, cx: &mut Context<'_>, header: &TcpHeader) -> DropReason {
        // SND.WL1 is the number of the SYN as long as only SYNs have come.
        if header.sequence == self.snd_wl1 && !header.flags.contains(Flags::ACK) {
            self.reconsider_ecn(header.flags);
            if self.may_answer(cx.now) {
                self.cold.syn_due = true;
                self.cold.retries = self.cold.retries.max(1);
            }
        } else {
            self.challenge(cx);
        }
        DropReason::SuspectSyn
    }

    /// RFC 7323 §5.3 R1. A segment without timestamps passes, as in Linux: some middleboxes strip
    /// them.
    fn fails_paws(&self, now: Instant, header: &TcpHeader) -> bool {
        self.timestamps
            && header.options.timestamps.is_some_and(|t| ts_before(t.value, self.ts_recent))
            // RFC 7323 §5.5: after 24 days of silence the clock may have gone half round.
            && now.since(self.last_received) < TIMESTAMP_VALID
    }

    /// RFC 9293 §3.10.7.4 first: what cannot be accepted is answered by an ACK. Payload at once,
    /// since its sender waits; anything else within the limit, or two sides could answer each
    /// other's answers for ever.
    fn answer_unacceptable(&mut self, cx: &mut Context<'_>, len: u32) {
        if len > 0 || self.may_answer(cx.now) {
            self.ack_now = true;
        }
    }

    /// RFC 5961 §7: a challenge ACK, within the limit.
    pub(super) fn challenge(&mut self, cx: &mut Context<'_>) {
        if self.may_answer(cx.now) {
            self.ack_now = true;
            cx.counters.challenge_acks += 1;
        }
    }

    fn may_answer(&mut self, now: Instant) -> bool {
        let may = now >= self.cold.challenge_not_before;
        if may {
            self.cold.challenge_not_before = now + CHALLENGE_ACK_INTERVAL;
        }
        may
    }

    /// RFC 9293 §3.10.7.4 for TIME-WAIT: the FIN may be repeated, and is acknowledged again.
    /// RFC 1337 §3 (F1): resets are ignored.
    pub(super) fn on_segment_in_time_wait(
        &mut self,
        now: Instant,
        header: &TcpHeader,
    ) -> Disposition {
        if header.flags.contains(Flags::RST) {
            return Disposition::Dropped(DropReason::SuspectReset);
        }
        if header.flags.contains(Flags::FIN) {
            self.retransmit_at = now + TIME_WAIT;
        }
        if self.may_answer(now) {
            self.ack_now = true;
        }
        Disposition::Consumed
    }
}
