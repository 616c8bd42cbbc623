//! A segment arrives (RFC 9293 §3.10.7).
//!
//! A segment that is what the connection expects next takes the fast path: one predicate and a
//! short straight line. All others take the general path, in the order of the RFC:
//! [`acceptance`] (sequence number, RST, SYN), [`acknowledgment`], [`payload`] (text and FIN);
//! before a connection is synchronized [`handshake`] comes first.

mod acceptance;
mod acknowledgment;
mod handshake;
mod payload;
mod refusal;

pub use refusal::DropReason;

use super::state::State;
use super::{Chunk, Connection, Context};
use crate::limits::TIMESTAMP_VALID;
use crate::time::Instant;
use crate::wire::tcp::{Flags, SeqNum, TcpHeader};

/// What became of a segment. Its frame, if it carried payload, is taken care of in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Its payload, or some of it, is queued: it will be forwarded.
    Queued,
    /// It ended here, having told us something.
    Consumed,
    /// It was refused; an answer may be due.
    Dropped(DropReason),
}

impl Connection {
    /// Takes one segment in. `header` has been checked against its checksum; `chunk` is its payload,
    /// if it has any. `ecn_ce` tells that the IP header was marked with congestion experienced.
    #[inline]
    pub fn on_segment(
        &mut self,
        cx: &mut Context<'_>,
        header: &TcpHeader,
        ecn_ce: bool,
        chunk: Option<Chunk>,
    ) -> Disposition {
        cx.counters.ce_received += u64::from(ecn_ce);
        let len = chunk.as_ref().map_or(0, |chunk| chunk.frame.len() as u32);
        if self.is_expected(header, len) && !(cx.pool.is_scarce() && len > 0) {
            if len > 0 {
                self.note_mark(header.flags, ecn_ce);
            }
            self.on_expected(cx, header, chunk)
        } else {
            self.on_unexpected(cx, header, ecn_ce, chunk)
        }
    }

    /// Header prediction: the next payload in order, or news of ours, and nothing else.
    #[inline]
    fn is_expected(&self, header: &TcpHeader, len: u32) -> bool {
        const CONTROL: u8 =
            Flags::FIN.0 | Flags::SYN.0 | Flags::RST.0 | Flags::ACK.0 | Flags::URG.0;
        let timestamps_fit = match (self.timestamps, header.options.timestamps) {
            (true, Some(timestamps)) => !ts_before(timestamps.value, self.ts_recent),
            (false, None) => true,
            _ => false,
        };
        let acked = header.acknowledgment - self.snd_una;
        !self.disorder
            && header.flags.0 & CONTROL == Flags::ACK.0
            && header.sequence == self.rcv_nxt
            && header.options.sack.len == 0
            && timestamps_fit
            && acked <= self.snd_nxt - self.snd_una
            && len <= self.rcv_edge - self.rcv_nxt
            && (len > 0 || acked > 0)
            && !self.received.is_full(self.rcv_edge - self.rcv_nxt)
    }

    #[inline]
    fn on_expected(
        &mut self,
        cx: &mut Context<'_>,
        header: &TcpHeader,
        chunk: Option<Chunk>,
    ) -> Disposition {
        self.last_received = cx.now;
        self.cold.keepalives_sent = 0;
        self.update_ts_recent(header);
        let acked = header.acknowledgment - self.snd_una;
        self.update_send_window(header);
        if acked > 0 {
            self.on_new_acknowledgment(cx, header, false);
        } else {
            self.heed_echo(cx, header, self.snd_nxt - self.snd_una);
        }
        match chunk {
            Some(chunk) if !chunk.frame.is_empty() => {
                cx.counters.queued += 1;
                self.note_arrival(cx.now, header);
                self.take_in_order(cx, chunk);
                Disposition::Queued
            }
            Some(empty) => {
                cx.pool.free(empty.frame);
                Disposition::Consumed
            }
            None => Disposition::Consumed,
        }
    }

    /// The general path.
    fn on_unexpected(
        &mut self,
        cx: &mut Context<'_>,
        header: &TcpHeader,
        ecn_ce: bool,
        chunk: Option<Chunk>,
    ) -> Disposition {
        let mut chunk = chunk;
        let disposition = match self.state {
            State::Closed => Disposition::Dropped(DropReason::Closed),
            State::SynSent => self.on_segment_in_syn_sent(cx, header),
            State::TimeWait => self.on_segment_in_time_wait(cx.now, header),
            _ => self.on_segment_in_order_of_rfc(cx, header, ecn_ce, &mut chunk),
        };
        // Whatever was not queued ends here.
        if let Some(chunk) = chunk {
            cx.pool.free(chunk.frame);
        }
        if self.state != State::Closed {
            self.note_disorder();
        }
        disposition
    }

    /// RFC 9293 §3.10.7.4.
    fn on_segment_in_order_of_rfc(
        &mut self,
        cx: &mut Context<'_>,
        header: &TcpHeader,
        ecn_ce: bool,
        chunk: &mut Option<Chunk>,
    ) -> Disposition {
        let len = chunk.as_ref().map_or(0, |chunk| chunk.frame.len() as u32);
        if let Err(reason) = self.check_acceptance(cx, header, len) {
            return Disposition::Dropped(reason);
        }
        if header.flags.contains(Flags::RST) {
            return self.on_reset(cx);
        }
        if let Err(reason) = self.on_acknowledgment(cx, header, len) {
            return Disposition::Dropped(reason);
        }
        // Not of a segment whose ACK cannot be right: a timestamp far ahead, accepted from whoever
        // guesses a number, would have PAWS refuse all that the peer sends.
        self.forget_old_timestamp(cx.now, header);
        self.last_received = cx.now;
        self.cold.keepalives_sent = 0;
        self.update_ts_recent(header);
        if self.state == State::Closed {
            return Disposition::Consumed; // LAST-ACK was acknowledged.
        }
        // RFC 3168 §6.1.5: marks on what lies outside the window, or came before, say nothing.
        if len > 0 && (header.sequence + len).after(self.rcv_nxt) {
            self.note_mark(header.flags, ecn_ce);
        }
        // RFC 9293 §3.10.7.4, sixth: urgent payload is payload.
        let disposition = match chunk.take() {
            Some(chunk) if len > 0 => {
                if header.sequence == self.rcv_nxt {
                    self.note_arrival(cx.now, header);
                }
                self.on_payload(cx, chunk, header.sequence)
            }
            empty => {
                *chunk = empty;
                Disposition::Consumed
            }
        };
        if header.flags.contains(Flags::FIN) {
            self.note_fin(header.sequence + len);
        }
        self.take_fin(cx.now);
        disposition
    }

    /// RFC 7323 §5.5: the peer's last timestamp from before a long silence says nothing, so that the
    /// next one takes its place whichever of them looks older. Kept, it would refuse all that follow.
    fn forget_old_timestamp(&mut self, now: Instant, header: &TcpHeader) {
        if let Some(timestamps) = header.options.timestamps
            && self.timestamps
            && now.since(self.last_received) >= TIMESTAMP_VALID
        {
            self.ts_recent = timestamps.value;
        }
    }

    /// RFC 7323 §4.3: the timestamp to echo is that of the segment that began at or before what we
    /// acknowledged last, so that a delayed ACK is part of the round trip that the peer measures.
    #[inline]
    fn update_ts_recent(&mut self, header: &TcpHeader) {
        if let Some(timestamps) = header.options.timestamps
            && self.timestamps
            && header.sequence.at_or_before(self.rcv_acked)
            && !ts_before(timestamps.value, self.ts_recent)
        {
            self.ts_recent = timestamps.value;
        }
    }
}

/// Whether timestamp `a` is older than `b`, on the same kind of circle as sequence numbers
/// (RFC 7323 §5.2).
#[inline]
pub(super) fn ts_before(a: u32, b: u32) -> bool {
    SeqNum(a).before(SeqNum(b))
}
