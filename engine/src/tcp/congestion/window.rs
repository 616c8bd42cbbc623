//! What all loss-based algorithms share: the window, the threshold, and the rules of RFC 5681
//! for slow start, timeouts and restarts after idleness.

use super::{
    AckSample, CongestionPhase, IdleGap, Parameters, Remembered, TimeoutSample, WindowBounds,
};
use crate::limits::{CONGESTION_WINDOW_MAX, INITIAL_WINDOW_SEGMENTS_MAX};

/// A congestion window and its slow start threshold; both stay within their bounds.
#[derive(Clone, Debug)]
pub(super) struct Window {
    cwnd: u32,
    ssthresh: u32,
    sizes: Sizes,
    phase: Phase,
    /// Window and threshold before the last recovery, should it prove spurious.
    prior: Option<(u32, u32)>,
}

/// What a window is measured in, and what bounds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) mss: u16,
    initial_segments: u16,
    bounds: WindowBounds,
}

impl Sizes {
    pub(super) fn new(parameters: &Parameters) -> Self {
        let segments = parameters.initial_window_segments.clamp(1, INITIAL_WINDOW_SEGMENTS_MAX);
        Sizes {
            mss: parameters.mss.max(1),
            initial_segments: segments as u16,
            bounds: parameters.bounds,
        }
    }

    #[inline]
    pub(super) fn mss(&self) -> u32 {
        u32::from(self.mss)
    }

    /// `octets`, brought within the configured bounds; at least one segment.
    pub(super) fn bounded(&self, octets: u32) -> u32 {
        let least = u32::from(self.bounds.min_segments.max(1)) * self.mss();
        let most = self.bounds.max_segments.saturating_mul(self.mss());
        let most = most.min(CONGESTION_WINDOW_MAX).max(least);
        octets.clamp(least, most)
    }

    /// RFC 6928 §2: min(10 × MSS, max(2 × MSS, 14,600)), with the configured count for 10. The
    /// last term keeps jumbo segments from making a burst of many times the octets.
    pub(super) fn initial(&self) -> u32 {
        let segments = u32::from(self.initial_segments);
        let plain = segments * self.mss();
        self.bounded(plain.min((2 * self.mss()).max(segments * 1460)))
    }
}

/// Where the connection is between a loss and its repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was acknowledged yet; the window is the initial one.
    Fresh,
    /// Nothing to repair.
    Open,
    /// Repairing what was found lost; the window holds still.
    Recovery,
    /// Repairing after a timeout, in slow start.
    TimeoutRecovery,
}

impl Window {
    pub(super) fn new(parameters: &Parameters) -> Self {
        let sizes = Sizes::new(parameters);
        Window {
            cwnd: sizes.initial(),
            ssthresh: u32::MAX,
            sizes,
            phase: Phase::Fresh,
            prior: None,
        }
    }

    fn bounded(&self, octets: u32) -> u32 {
        self.sizes.bounded(octets)
    }

    #[inline]
    pub(super) fn cwnd(&self) -> u32 {
        self.cwnd
    }

    #[inline]
    pub(super) fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    #[inline]
    pub(super) fn mss(&self) -> u32 {
        self.sizes.mss()
    }

    #[inline]
    pub(super) fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Whether nothing has ever ended slow start.
    #[inline]
    pub(super) fn in_first_slow_start(&self) -> bool {
        self.ssthresh == u32::MAX
    }

    /// Whether what was lost, or seemed to be, is not all repaired yet.
    pub(super) fn in_repair(&self) -> bool {
        matches!(self.phase, Phase::Recovery | Phase::TimeoutRecovery)
    }

    pub(super) fn congestion_phase(&self) -> CongestionPhase {
        match self.phase {
            Phase::Recovery => CongestionPhase::Recovery,
            Phase::TimeoutRecovery => CongestionPhase::TimeoutRecovery,
            Phase::Fresh | Phase::Open if self.in_slow_start() => CongestionPhase::SlowStart,
            Phase::Fresh | Phase::Open => CongestionPhase::Avoidance,
        }
    }

    /// Notes that something was acknowledged; true if the window may grow for it.
    #[inline]
    pub(super) fn may_grow(&mut self, sample: &AckSample) -> bool {
        if sample.acked_octets == 0 {
            return false;
        }
        if self.phase == Phase::Fresh {
            self.phase = Phase::Open;
        }
        sample.cwnd_limited
            && !sample.in_recovery
            // RFC 3168 §6.1.2: not while the path says that it is congested.
            && !sample.ece
            && self.phase != Phase::Recovery
    }

    /// Grows by what was acknowledged, at most `limit_segments` for one ACK, up to the threshold.
    /// Returns what of the acknowledged octets is left for congestion avoidance.
    pub(super) fn slow_start(&mut self, acked_octets: u32, limit_segments: u32) -> u32 {
        // RFC 3465 §2.3: after a timeout an ACK may cover much that had arrived before, so it
        // shows less of what the path can take: L is 1.
        let limit_segments = match self.phase {
            Phase::TimeoutRecovery => 1,
            _ => limit_segments,
        };
        let counted = acked_octets.min(self.mss().saturating_mul(limit_segments));
        let room = self.ssthresh.saturating_sub(self.cwnd);
        self.grow(counted.min(room));
        counted.saturating_sub(room)
    }

    /// Reno: slow start (RFC 5681 §3.1), then a segment for every window that was acknowledged.
    /// `avoidance_octets` is RFC 3465's bytes_acked.
    pub(super) fn grow_as_reno(&mut self, sample: &AckSample, avoidance_octets: &mut u32) {
        if !self.may_grow(sample) {
            return;
        }
        let mut acked = sample.acked_octets;
        if self.in_slow_start() {
            acked = self.slow_start(acked, SLOW_START_SEGMENTS_PER_ACK);
        }
        if self.in_slow_start() || acked == 0 {
            return;
        }
        // RFC 3465 §2.1: one segment for every window that was acknowledged. A single ACK pays
        // for one window at most, as no more than that was in flight.
        let cwnd = self.cwnd;
        *avoidance_octets = avoidance_octets.saturating_add(acked.min(cwnd));
        if *avoidance_octets >= cwnd {
            *avoidance_octets -= cwnd;
            self.grow(self.mss());
        }
    }

    /// Shrinks by `octets`, without a loss; at least two segments are left.
    pub(super) fn step_down(&mut self, octets: u32) {
        let least = (2 * self.mss()).min(self.cwnd);
        self.cwnd = self.bounded(self.cwnd.saturating_sub(octets).max(least)).min(self.cwnd);
    }

    #[inline]
    pub(super) fn grow(&mut self, octets: u32) {
        // The window may be above the bound if the segment size is; it never shrinks here.
        self.cwnd = self.bounded(self.cwnd.saturating_add(octets)).max(self.cwnd);
    }

    /// Ends slow start where it is, without a loss.
    pub(super) fn end_slow_start(&mut self) {
        self.ssthresh = self.cwnd;
    }

    /// A recovery is about to begin: keeps what is now, unless one is under way already. True if it
    /// did.
    pub(super) fn save(&mut self) -> bool {
        let begins = !self.in_repair();
        if begins {
            self.prior = Some((self.cwnd, self.ssthresh));
        }
        begins
    }

    /// The last recovery was spurious: nothing of it remains. True if there was one.
    pub(super) fn undo(&mut self) -> bool {
        let Some((cwnd, ssthresh)) = self.prior.take() else { return false };
        self.cwnd = self.bounded(self.cwnd.max(cwnd));
        self.ssthresh = self.ssthresh.max(ssthresh);
        self.recovered();
        true
    }

    /// A mark by the path: the window falls to `target`, at least two segments, and nothing is to be
    /// repaired. While a recovery is under way it has fallen already. True if it fell.
    pub(super) fn reduce_for_mark(&mut self, target: u32) -> bool {
        if self.in_repair() {
            return false;
        }
        self.ssthresh = self.threshold(target);
        self.cwnd = self.bounded(self.ssthresh);
        self.prior = None;
        true
    }

    pub(super) fn remember(&self) -> Remembered {
        Remembered {
            window_octets: self.cwnd,
            ssthresh_octets: self.ssthresh,
            ..Remembered::default()
        }
    }

    pub(super) fn recall(&mut self, remembered: &Remembered) {
        if *remembered == self.remember() {
            return; // Nothing was learnt yet.
        }
        self.cwnd = self.bounded(remembered.window_octets);
        self.ssthresh = remembered.ssthresh_octets.max(2 * self.mss());
        self.phase = Phase::Open;
    }

    /// A loss: the window falls to `target`, at least two segments, and stays there till the
    /// recovery is over.
    pub(super) fn reduce(&mut self, target: u32) {
        self.save();
        self.ssthresh = self.threshold(target);
        self.cwnd = self.bounded(self.ssthresh);
        self.phase = Phase::Recovery;
    }

    /// A timeout: slow start from one segment up to `target`.
    pub(super) fn collapse(&mut self, target: u32, sample: &TimeoutSample) {
        self.save();
        if !self.holds_threshold(sample) {
            // While a timeout is repaired, the window is on its way back to the threshold, which
            // stands for it.
            let most = match self.phase {
                Phase::TimeoutRecovery => self.cwnd.max(self.ssthresh),
                _ => self.cwnd,
            };
            self.ssthresh = target.min(most).max(2 * self.mss());
        }
        // RFC 5681 §3.1: the loss window is one full-sized segment.
        self.cwnd = self.bounded(self.mss());
        self.phase = Phase::TimeoutRecovery;
    }

    /// RFC 5681 §3.1: when the same segment times out again, the threshold is held.
    pub(super) fn holds_threshold(&self, sample: &TimeoutSample) -> bool {
        sample.is_repeated && self.phase == Phase::TimeoutRecovery
    }

    pub(super) fn recovered(&mut self) {
        if self.in_repair() {
            self.phase = Phase::Open;
        }
    }

    /// After a pause the path may have changed, and no ACKs pace what is sent: the window must
    /// shrink before it is used (RFC 5681 §4.1). Returns whether it did.
    ///
    /// Note: RFC 5681 takes it to the restart window at once. Here it halves for every timeout
    /// that has passed, down to the restart window, which it reaches within a few timeouts. A
    /// keep-alive connection with a second between requests so keeps a part of what it learnt.
    /// The threshold remembers three quarters of it, so the rest is regained by slow start.
    pub(super) fn restart(&mut self, gap: IdleGap) -> bool {
        if gap.idle < gap.rto || gap.rto.is_zero() {
            return false;
        }
        // RFC 5681 §4.1: the restart window is min(IW, cwnd).
        let floor = self.sizes.initial().min(self.cwnd);
        let halvings = gap.idle.as_nanos() / gap.rto.as_nanos();
        let decayed = self.cwnd.checked_shr(halvings.min(32) as u32).unwrap_or(0).max(floor);
        let decayed = self.bounded(decayed).min(self.cwnd);
        if decayed == self.cwnd {
            return false;
        }
        if !self.in_first_slow_start() {
            self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
        }
        self.cwnd = decayed;
        true
    }

    /// The window is in octets and stays, as what the path carries has not changed. Before the
    /// first ACK it is the initial window for the new size.
    pub(super) fn set_mss(&mut self, mss: u16) {
        self.sizes.mss = mss.max(1);
        self.cwnd = match self.phase {
            Phase::Fresh => self.sizes.initial(),
            _ => self.bounded(self.cwnd),
        };
        self.ssthresh = self.ssthresh.max(2 * self.mss());
    }

    /// RFC 5681 §3.1, RFC 9438 §4.6: never below two segments. Nor above the window: what was
    /// in flight beyond it, from before a reduction, shows nothing.
    fn threshold(&self, target: u32) -> u32 {
        target.min(self.cwnd).max(2 * self.mss())
    }
}

/// RFC 3465 §2.3: L, the most segments that slow start grows by for one ACK.
pub(super) const SLOW_START_SEGMENTS_PER_ACK: u32 = 2;

const _: () = assert!(INITIAL_WINDOW_SEGMENTS_MAX <= u16::MAX as u32);
