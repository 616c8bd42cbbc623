//! Pacing: when the next segment may leave.
//!
//! A window's worth of segments sent at once waits in the queue before the bottleneck, or is lost
//! there. Sent at the rate at which the path delivers, it need not. Segments leave in bursts of up
//! to a [`quantum`], which NICs and receivers handle much better than single ones.
//!
//! A bucket fills at the rate up to one quantum, and what leaves takes its octets out of it; so in
//! any time t, no more than rate × t and a quantum leave. When it holds too little, the pacer
//! waits until it is half full.

use std::time::Duration;

use super::congestion::{CongestionControl, Controller, Rate};
use crate::limits::{PACING_QUANTUM_MAX, WHEEL_TICK};
use crate::time::Instant;

/// Whether segments are paced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pacing {
    /// If the algorithm asks for it: BBR does.
    #[default]
    Auto,
    On,
    Off,
}

/// The pace of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacer {
    /// `None` does not pace.
    rate: Option<Rate>,
    /// When the bucket held nothing: now, what the rate has made since is in it.
    empty_at: Instant,
    /// How much the bucket holds [octets].
    depth: u32,
    /// What may still leave at any pace: the initial window [octets].
    free: u32,
}

impl Pacer {
    /// Does not pace until it is told a rate. `free` octets then leave unpaced, as from Linux: there
    /// are no ACKs yet by which to know a pace.
    pub(super) fn new(free: u32) -> Pacer {
        Pacer { rate: None, empty_at: Instant::ZERO, depth: 0, free }
    }

    /// Takes the rate from the controller, or from its window and the smoothed round trip.
    pub(super) fn follow(
        &mut self,
        pacing: Pacing,
        controller: &Controller,
        srtt: Option<Duration>,
        mss: u16,
    ) {
        let asked = controller.pacing_rate();
        self.rate = match pacing {
            Pacing::Off => None,
            Pacing::Auto => asked,
            Pacing::On => asked.or_else(|| window_rate(controller, srtt?)),
        };
        if let Some(rate) = self.rate {
            self.depth = quantum(rate, mss);
        }
    }

    /// `None` does not pace.
    pub(super) fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// `None` if a segment of `octets` may leave now, or when it may.
    #[inline]
    pub(super) fn hold(&self, octets: u32, now: Instant) -> Option<Instant> {
        let rate = self.rate?;
        if self.free > 0 {
            return None;
        }
        let enough_at = self.empty_at + rate.time_for(octets.min(self.depth).into());
        if enough_at <= now {
            return None;
        }
        Some(self.empty_at + rate.time_for(octets.max(self.depth / 2).min(self.depth).into()))
    }

    /// A segment leaves.
    #[inline]
    pub(super) fn on_sent(&mut self, octets: u32, now: Instant) {
        if self.free > 0 {
            self.free = self.free.saturating_sub(octets);
            self.empty_at = now;
            return;
        }
        let Some(rate) = self.rate else { return };
        // What has been in the bucket for longer than it takes to fill it has run over.
        let full = rate.time_for(self.depth.into());
        let earliest = Instant::from_nanos(
            now.as_nanos().saturating_sub(u64::try_from(full.as_nanos()).unwrap_or(u64::MAX)),
        );
        self.empty_at = self.empty_at.max(earliest) + rate.time_for(octets.into());
    }
}

/// What leaves in one burst: what the rate makes in a millisecond, two segments at least
/// (draft-ietf-ccwg-bbr-06 §5.6.3, C.send_quantum); and at rates at which that much is gone before
/// the timing wheel comes by again, as much as it takes to keep the rate [octets].
pub(super) fn quantum(rate: Rate, mss: u16) -> u32 {
    let per_ms = rate.octets_in(Duration::from_millis(1)).min(PACING_QUANTUM_MAX.into());
    let per_wait = rate.octets_in(3 * WHEEL_TICK);
    let quantum = per_ms.max(per_wait).max(2 * u64::from(mss));
    u32::try_from(quantum).unwrap_or(u32::MAX).min(QUANTUM_LIMIT)
}

/// The window in a smoothed round trip, and more, so that it is the window and not the pace that
/// limits: twice as much in slow start, which is to double it, a fifth more otherwise (Linux,
/// `tcp_pacing_ss_ratio` and `tcp_pacing_ca_ratio`).
fn window_rate(controller: &Controller, srtt: Duration) -> Option<Rate> {
    let window = controller.window_octets();
    let percent = if window < controller.ssthresh_octets() / 2 { 200 } else { 120 };
    (!srtt.is_zero()).then(|| Rate::of(window.into(), srtt).scaled(percent, 100))
}

/// A bound that no rate in use meets, so that sums of quanta fit.
const QUANTUM_LIMIT: u32 = 1 << 24;

#[cfg(test)]
mod tests;
