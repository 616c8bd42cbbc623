//! A segment arrives in SYN-SENT (RFC 9293 §3.10.7.3).

use super::{Disposition, DropReason};
use crate::limits::SYN_AGAIN;
use crate::tcp::state::{CloseReason, Event};
use crate::tcp::{Connection, Context};
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};

impl Connection {
    pub(super) fn on_segment_in_syn_sent(
        &mut self,
        cx: &mut Context<'_>,
        header: &TcpHeader,
    ) -> Disposition {
        let flags = header.flags;
        let acknowledges = flags.contains(Flags::ACK);
        // First, the ACK: only our SYN can be acknowledged.
        if acknowledges && header.acknowledgment != self.snd_nxt {
            if !flags.contains(Flags::RST) {
                self.cold.reset_reply = Some(header.acknowledgment);
                // The peer is in TIME-WAIT, or half open, from a connection before this one. The
                // reset ends that, so our SYN need not wait a second to be sent again (so Linux).
                if self.cold.retries == 0 {
                    self.retransmit_at = self.retransmit_at.min(cx.now + SYN_AGAIN);
                }
            }
            return Disposition::Dropped(DropReason::BadAcknowledgment);
        }
        // Second, the RST: believed only if it acknowledges our SYN.
        if flags.contains(Flags::RST) {
            if !acknowledges {
                return Disposition::Dropped(DropReason::NoAcknowledgment);
            }
            self.end(CloseReason::Refused);
            self.discard(cx);
            return Disposition::Consumed;
        }
        // Fourth, the SYN. Payload on it is left for the peer to send again.
        if !flags.contains(Flags::SYN) {
            return Disposition::Dropped(DropReason::OutsideWindow);
        }
        self.last_received = cx.now;
        self.learn_from_syn(header);
        // What a SYN promises of the window it was sent with.
        self.rcv_edge = self.offered_in_syn().1;
        if acknowledges {
            self.transition(Event::SynAckArrived);
            self.on_syn_acknowledged(cx.now);
            // Waits for the next poll, so that payload or FIN that is queued carries it.
            self.ack_now = true;
        } else {
            // Simultaneous open: our SYN is sent again, as a SYN-ACK.
            self.transition(Event::SynArrived);
            self.cold.syn_due = true;
        }
        Disposition::Consumed
    }

    /// Our SYN, or SYN-ACK, has arrived: payload may flow.
    pub(super) fn on_syn_acknowledged(&mut self, now: Instant) {
        self.snd_una += 1;
        if self.cold.retries == 0 {
            self.cold.rtt.on_sample(now.since(self.cold.syn_sent_at), now);
        } else {
            self.cold.rtt.on_established_after_syn_timeout();
        }
        self.cold.retries = 0;
        self.cold.syn_due = false;
        self.retransmit_at = Instant::FAR_FUTURE;
        self.cold.waiting_since = Instant::FAR_FUTURE;
        if self.snd_una != self.snd_nxt {
            // Payload has left ahead of this ACK, and may be lost.
            self.arm_retransmission(now);
        }
        self.note_disorder();
    }
}
