//! TIME-WAIT as a value of its own: what is left of a connection that has finished first.
//!
//! It answers a repeated FIN and decides whether a SYN may open the next connection between the
//! same endpoints (RFC 9293 §3.10.7.4, RFC 6191). Resets are ignored (RFC 1337).

use std::time::Duration;

use super::input::ts_before;
use super::output::{Outgoing, OutgoingKind, control_frame};
use super::settings::Endpoints;
use super::{Connection, State};
use crate::frame::FramePool;
use crate::limits::{CHALLENGE_ACK_INTERVAL, TIME_WAIT};
use crate::time::Instant;
use crate::wire::tcp::{Flags, SeqNum, TcpHeader, TcpOptions, Timestamps};

/// A connection in TIME-WAIT. Holds no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWait {
    local_port: u16,
    remote_port: u16,
    pseudo_sum: u16,
    window: u16,
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    /// The peer's last timestamp, if timestamps were in use.
    ts_recent: Option<u32>,
    ts_offset: u32,
    expires_at: Instant,
    answer_not_before: Instant,
}

/// What to do about a segment that reaches a connection in TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeWaitVerdict {
    Ignore,
    /// Send what [`TimeWait::acknowledge`] makes.
    Acknowledge,
    /// A SYN that cannot be of the old connection: forget this one and take it as new, with an
    /// initial sequence number after this (RFC 9293 §3.10.7.4).
    Reopen {
        after: SeqNum,
    },
}

impl Connection {
    /// What to keep in place of a connection in TIME-WAIT, once it has nothing more to send.
    /// `None` in other states.
    pub fn time_wait(&self) -> Option<TimeWait> {
        (self.state == State::TimeWait).then(|| TimeWait {
            local_port: self.local_port,
            remote_port: self.remote_port,
            pseudo_sum: self.pseudo_sum,
            window: self.offered().advertise().0,
            snd_nxt: self.snd_nxt,
            rcv_nxt: self.rcv_nxt,
            ts_recent: self.timestamps.then_some(self.ts_recent),
            ts_offset: self.ts_offset,
            expires_at: self.retransmit_at,
            answer_not_before: self.cold.challenge_not_before,
        })
    }
}

impl TimeWait {
    /// Whether an ACK that proves a SYN cookie is of a later connection, by the same rule as a SYN:
    /// what else comes again of the old handshake is no new one.
    pub fn is_followed_by(&self, ack: &TcpHeader) -> bool {
        self.is_new(&TcpHeader { sequence: SeqNum(ack.sequence.0.wrapping_sub(1)), ..*ack })
    }

    /// When it may be forgotten.
    pub fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// Whether we may open the next connection between the same endpoints: when timestamps prove
    /// its segments to be new, after a second at least (RFC 6191 §2; Linux: `tcp_tw_reuse`).
    pub fn may_be_reopened(&self, now: Instant) -> bool {
        self.ts_recent.is_some() && self.expires_at <= now + (TIME_WAIT - REOPEN_AFTER)
    }

    /// Judges one segment. `payload_len` is the length of its payload [octets].
    pub fn on_segment(
        &mut self,
        now: Instant,
        header: &TcpHeader,
        payload_len: u32,
    ) -> TimeWaitVerdict {
        let flags = header.flags;
        if flags.contains(Flags::RST) {
            return TimeWaitVerdict::Ignore; // RFC 1337 §3 (F1)
        }
        if flags.contains(Flags::SYN) && !flags.contains(Flags::ACK) && self.is_new(header) {
            // Linux leaves this distance too: farther than any window without scaling.
            return TimeWaitVerdict::Reopen { after: self.snd_nxt + 65_535 };
        }
        if flags.contains(Flags::FIN) {
            self.expires_at = now + TIME_WAIT; // RFC 9293 §3.10.7.4 eighth
        }
        let says_something = payload_len > 0
            || flags.contains(Flags::SYN)
            || flags.contains(Flags::FIN)
            || header.sequence != self.rcv_nxt;
        if !says_something || now < self.answer_not_before {
            return TimeWaitVerdict::Ignore;
        }
        self.answer_not_before = now + CHALLENGE_ACK_INTERVAL;
        TimeWaitVerdict::Acknowledge
    }

    /// The ACK that answers the last segment; `None` for want of a frame.
    pub fn acknowledge(&self, pool: &mut FramePool, now: Instant) -> Option<Outgoing> {
        let clock = (now.as_millis() as u32).wrapping_add(self.ts_offset);
        let header = TcpHeader {
            source_port: self.local_port,
            destination_port: self.remote_port,
            sequence: self.snd_nxt,
            acknowledgment: self.rcv_nxt,
            flags: Flags::ACK,
            window: self.window,
            options: TcpOptions {
                timestamps: self
                    .ts_recent
                    .map(|echo_reply| Timestamps { value: clock, echo_reply }),
                ..TcpOptions::default()
            },
        };
        let frame = control_frame(pool, self.pseudo_sum, &header)?;
        Some(Outgoing { frame, kind: OutgoingKind::Originated, received_at: None, payload_len: 0 })
    }

    /// The endpoints, for a reset or a successor.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            local_port: self.local_port,
            remote_port: self.remote_port,
            pseudo_sum: self.pseudo_sum,
            ts_offset: self.ts_offset,
            ..Endpoints::default()
        }
    }

    /// RFC 6191 §2: a later timestamp, or without timestamps a later number, proves that a SYN is
    /// not an old duplicate.
    fn is_new(&self, syn: &TcpHeader) -> bool {
        match (self.ts_recent, syn.options.timestamps) {
            (Some(recent), Some(timestamps)) if timestamps.value != recent => {
                ts_before(recent, timestamps.value)
            }
            _ => syn.sequence.after(self.rcv_nxt),
        }
    }
}

/// The timestamp clock has moved on by then, whatever its rate (RFC 7323 §5.4).
const REOPEN_AFTER: Duration = Duration::from_secs(1);
