//! The timers that run ahead of the retransmission timer (RFC 8985 §8): the reordering timer, and
//! that of the tail loss probe. One at a time.

use std::time::Duration;

use super::tlp::{self, Probe};
use super::{Ack, Outcome, Phase, Recovery};
use crate::tcp::chunks::ChunkSlab;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

/// What [`Recovery::soon_at`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Soon {
    Nothing,
    /// RFC 8985 §6.2 step 5: something may be lost by then.
    Reordering,
    /// RFC 8985 §7.2: the tail of the flight has not been heard of.
    Probe,
}

impl Recovery {
    /// Takes what is due, if anything is at `now`.
    pub(in crate::tcp) fn take_due(&mut self, now: Instant) -> Soon {
        if now < self.soon_at {
            return Soon::Nothing;
        }
        let due = self.soon;
        self.forget_timers();
        due
    }

    /// The reordering timer has expired.
    pub(in crate::tcp) fn on_reordering_timer(
        &mut self,
        chunks: &mut ChunkSlab,
        ack: &Ack,
    ) -> Outcome {
        let found_loss = self.detect(chunks, ack);
        let entered = found_loss && self.phase == Phase::Open;
        if entered {
            self.enter_fast(ack);
        }
        Outcome { entered, found_loss, ..Outcome::default() }
    }

    /// RFC 8985 §7.2: arms the timer of the probe anew, after something was sent or acknowledged.
    /// `rto_at` is when the retransmission timer expires, which the probe comes before.
    #[inline]
    pub(in crate::tcp) fn arm_probe(
        &mut self,
        now: Instant,
        srtt: Option<Duration>,
        rto_at: Instant,
    ) {
        if self.soon == Soon::Reordering && !self.is_quiet() {
            return;
        }
        let wanted = self.sack
            && self.phase == Phase::Open
            && self.sacked == 0
            && self.lost == 0
            && self.probe.is_none()
            && self.measured
            && !self.in_flight.is_empty();
        if !wanted {
            return self.forget_timers();
        }
        let one_segment = self.in_flight.count == 1;
        self.soon = Soon::Probe;
        self.soon_at = (now + tlp::timeout(srtt, one_segment)).min(rto_at);
    }

    /// A probe has left. It repeats the last segment, or was new.
    pub(in crate::tcp) fn on_probe_sent(&mut self, nxt: SeqNum, repeats: bool) {
        self.probe = Some(Probe { end: nxt, repeats });
        self.measured = false;
        self.forget_timers();
    }

    /// A round trip was measured.
    #[inline]
    pub(in crate::tcp) fn on_round_trip(&mut self) {
        self.measured = true;
    }

    pub(super) fn arm_reordering_timer(&mut self, at: Instant) {
        self.soon = Soon::Reordering;
        self.soon_at = at;
    }

    pub(super) fn forget_reordering_timer(&mut self) {
        if self.soon == Soon::Reordering {
            self.forget_timers();
        }
    }

    pub(in crate::tcp) fn forget_timers(&mut self) {
        self.soon = Soon::Nothing;
        self.soon_at = Instant::FAR_FUTURE;
    }
}
