//! CUBIC (RFC 9438): the window is a cubic function of the time since the last loss.
//!
//! It climbs fast, levels out near the window at which loss last struck, stays there for a while
//! and then probes beyond, ever faster. As that depends on time and not on round trips, long paths
//! fill as well as short ones. Where Reno would be faster, on short paths, it does what Reno does.
//!
//! Windows are in octets, time in ticks of 1/1024 s, so that cubes are scaled by shifts. Against
//! the RFC's real numbers, W_cubic is off by less than 1 % (a test holds it to that); the error is
//! the rounding of K and t to a tick, at most 3·C·K² segments per second for a millisecond.

use std::time::Duration;

use super::credit::Credit;
use super::hystart::{Advice, CSS_GROWTH_DIVISOR, HyStart, slow_start_segments};
use super::window::Window;
use super::{
    AckSample, CongestionControl, CongestionPhase, IdleGap, LossSample, Parameters, Remembered,
    TimeoutSample,
};
use crate::limits::CONGESTION_WINDOW_MAX;
use crate::time::Instant;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Cubic {
    window: Window,
    /// W_max: the window that the curve levels out at [octets]; zero if there is none to aim for.
    w_max: u32,
    /// cwnd_prior: the window when it was last reduced [octets].
    cwnd_prior: u32,
    /// The current congestion avoidance stage; none in slow start and recovery.
    epoch: Option<Epoch>,
    credit: Credit,
    hystart: HyStart,
    /// The most segments that slow start grows by for one ACK.
    slow_start_segments: u32,
    /// What was before the last recovery, should it prove spurious.
    prior: Prior,
}

/// What RFC 9438 §4.9 restores, beside the window and the threshold.
#[derive(Clone, Copy, Debug)]
struct Prior {
    w_max: u32,
    cwnd_prior: u32,
    epoch: Option<Epoch>,
}

/// One stage of congestion avoidance, from its first ACK to the next loss.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// t_epoch, moved forward by the time in which the window was not what limited sending.
    start: Instant,
    last_ack: Instant,
    /// K: when the curve reaches W_max [ticks since the start].
    k: u32,
    /// W_est: the window that Reno would have by now [octets].
    w_est: u32,
    w_est_credit: Credit,
}

impl Cubic {
    pub fn new(parameters: &Parameters) -> Self {
        Cubic {
            window: Window::new(parameters),
            w_max: 0,
            cwnd_prior: 0,
            epoch: None,
            credit: Credit::default(),
            hystart: HyStart::new(parameters.paced),
            slow_start_segments: slow_start_segments(parameters.paced),
            prior: Prior { w_max: 0, cwnd_prior: 0, epoch: None },
        }
    }

    /// Slow start with HyStart++. Returns what of the acknowledged octets is left.
    fn slow_start(&mut self, sample: &AckSample) -> u32 {
        let mut acked = sample.acked_octets;
        // RFC 9406 §4: only for the first slow start, when the path is yet unknown.
        if self.window.in_first_slow_start() {
            match self.hystart.on_ack(sample) {
                Advice::SlowStart => {}
                Advice::Conservative => {
                    let most = self.slow_start_segments.saturating_mul(self.window.mss());
                    let counted = acked.min(most);
                    acked =
                        self.credit.whole_octets(u64::from(counted), u64::from(CSS_GROWTH_DIVISOR));
                }
                Advice::Leave => {
                    self.window.end_slow_start();
                    return acked;
                }
            }
        }
        self.window.slow_start(acked, self.slow_start_segments)
    }

    /// What of the window was in use (RFC 9438 §4.6: what is in flight).
    ///
    /// Segments do not fill it to the octet. The rest, less than one, counts as used: else each
    /// loss would take it away besides, which a window of a dozen segments feels.
    fn used(&self, sample: &LossSample) -> u32 {
        let cwnd = self.window.cwnd();
        let is_full = cwnd.saturating_sub(sample.in_flight_octets) < self.window.mss();
        if is_full { cwnd } else { sample.in_flight_octets }
    }

    fn congestion_avoidance(&mut self, acked_octets: u32, sample: &AckSample) {
        let (cwnd, mss) = (self.window.cwnd(), self.window.mss());
        let epoch = self.epoch.get_or_insert_with(|| {
            // RFC 9438 §4.8, §4.10: without a loss window above, K is zero and W_max is here.
            self.w_max = self.w_max.max(cwnd);
            Epoch {
                start: sample.now,
                last_ack: sample.now,
                k: time_to_climb(self.w_max - cwnd, mss),
                w_est: cwnd,
                w_est_credit: Credit::default(),
            }
        });
        epoch.last_ack = sample.now;
        let acked = u64::from(acked_octets.min(cwnd));

        // RFC 9438 §4.3: W_est grows by alpha segments per window acknowledged; alpha is
        // 3 × (1 - beta) / (1 + beta) = 9/17, and 1 from the window of the last loss on.
        let (alpha, per) = if epoch.w_est < self.cwnd_prior { (9, 17) } else { (1, 1) };
        let step =
            epoch.w_est_credit.whole_octets(alpha * acked * u64::from(mss), per * u64::from(cwnd));
        epoch.w_est = epoch.w_est.saturating_add(step).min(CONGESTION_WINDOW_MAX);

        let elapsed = sample.now.since(epoch.start);
        if cubic_window(self.w_max, epoch.k, ticks(elapsed), mss) < epoch.w_est {
            // RFC 9438 §4.3: the Reno-friendly region.
            self.window.grow(epoch.w_est.saturating_sub(cwnd));
        } else {
            // RFC 9438 §4.2: where the curve will be a round trip from now, within [cwnd, 1.5 × cwnd].
            let ahead = elapsed.saturating_add(sample.srtt.unwrap_or_default());
            let target = cubic_window(self.w_max, epoch.k, ticks(ahead), mss)
                .clamp(cwnd, cwnd.saturating_add(cwnd / 2));
            // RFC 9438 §4.4, §4.5: (target - cwnd) / cwnd of a segment per segment acknowledged.
            let growth = self.credit.whole_octets(u64::from(target - cwnd) * acked, cwnd.into());
            self.window.grow(growth);
        }
    }

    /// A recovery may be about to begin that proves spurious.
    fn save(&mut self) {
        if self.window.save() {
            let Cubic { w_max, cwnd_prior, epoch, .. } = *self;
            self.prior = Prior { w_max, cwnd_prior, epoch };
        }
    }

    /// RFC 9438 §4.7: the window before the loss becomes what the curve aims for; less than that
    /// if it had not even regained the one before, as then another flow has taken its share.
    fn note_loss_window(&mut self) {
        let cwnd = self.window.cwnd();
        self.w_max = if cwnd < self.w_max {
            (u64::from(cwnd) * 17 / 20) as u32 // (1 + beta) / 2
        } else {
            cwnd
        };
        self.cwnd_prior = cwnd;
        self.epoch = None;
        self.credit = Credit::default();
    }
}

impl CongestionControl for Cubic {
    fn on_ack(&mut self, sample: &AckSample) {
        if sample.acked_octets == 0 {
            return;
        }
        if !self.window.may_grow(sample) {
            // RFC 9438 §5.8: time in which the window was not tried must not count, or it would
            // leap when it is.
            if let Some(epoch) = &mut self.epoch {
                epoch.start += sample.now.since(epoch.last_ack);
                epoch.last_ack = epoch.last_ack.max(sample.now);
            }
            return;
        }
        let mut acked = sample.acked_octets;
        if self.window.in_slow_start() {
            acked = self.slow_start(sample);
        }
        if !self.window.in_slow_start() && acked > 0 {
            self.congestion_avoidance(acked, sample);
        }
    }

    fn on_loss(&mut self, sample: &LossSample) {
        self.save();
        self.note_loss_window();
        self.window.reduce(beta(self.used(sample)));
    }

    fn on_recovery_exit(&mut self, _now: Instant) {
        self.window.recovered();
    }

    fn on_congestion_experienced(&mut self, sample: &LossSample) {
        // RFC 9438 §4.6: a mark counts as a loss does.
        if !self.window.in_repair() {
            self.note_loss_window();
        }
        self.window.reduce_for_mark(beta(sample.in_flight_octets));
    }

    fn on_spurious(&mut self, _now: Instant) {
        // RFC 9438 §4.9: as if the reduction had not been.
        if self.window.undo() {
            let Prior { w_max, cwnd_prior, epoch } = self.prior;
            (self.w_max, self.cwnd_prior, self.epoch) = (w_max, cwnd_prior, epoch);
        }
    }

    fn on_rto(&mut self, sample: &TimeoutSample) {
        self.save();
        if !self.window.holds_threshold(sample) {
            self.note_loss_window();
        }
        // RFC 9438 §4.8: the stage after a timeout starts at its W_max, wherever that will be.
        self.w_max = 0;
        self.window.collapse(beta(sample.in_flight_octets), sample);
    }

    fn on_idle_restart(&mut self, gap: IdleGap) {
        if self.window.restart(gap) {
            // Slow start follows; what the curve aimed for stays.
            self.epoch = None;
        } else if let Some(epoch) = &mut self.epoch {
            // RFC 9438 §5.8, as in `on_ack`.
            epoch.start += gap.idle;
            epoch.last_ack += gap.idle;
        }
    }

    fn on_mss(&mut self, mss: u16) {
        self.window.set_mss(mss);
        // K is in segments: the curve goes on from here with the new size.
        self.epoch = None;
    }

    fn window_octets(&self) -> u32 {
        self.window.cwnd()
    }

    fn ssthresh_octets(&self) -> u32 {
        self.window.ssthresh()
    }

    fn remember(&self) -> Remembered {
        Remembered { w_max_octets: self.w_max, ..self.window.remember() }
    }

    fn recall(&mut self, remembered: &Remembered) {
        self.window.recall(remembered);
        self.w_max = remembered.w_max_octets;
    }

    fn name(&self) -> &'static str {
        "cubic"
    }

    fn phase(&self) -> CongestionPhase {
        self.window.congestion_phase()
    }
}

/// RFC 9438 §4.6: beta_cubic × `octets`, with beta_cubic = 0.7.
fn beta(octets: u32) -> u32 {
    (u64::from(octets) * 7 / 10) as u32
}

/// W_cubic(t) = C × (t - K)³ + W_max (RFC 9438 §4.2), with C = 0.4 segments per cubic second
/// [octets; `k` and `t` in ticks].
fn cubic_window(w_max: u32, k: u32, t: u32, mss: u32) -> u32 {
    let distance = u64::from(t.abs_diff(k).min(DISTANCE_MAX));
    // Cubic ticks are 2^-30 cubic seconds; ten of the bits go first so that all fits into 64.
    let cube = (distance * distance * distance) >> 10;
    let octets = (cube * u64::from(2 * mss) / 5) >> 20;
    let octets = u32::try_from(octets).unwrap_or(u32::MAX);
    if t < k {
        w_max.saturating_sub(octets)
    } else {
        w_max.saturating_add(octets).min(CONGESTION_WINDOW_MAX)
    }
}

/// K = cbrt(climb / C) (RFC 9438 §4.2), rounded down [ticks]. `climb` is W_max - cwnd [octets].
fn time_to_climb(climb: u32, mss: u32) -> u32 {
    let cubic_seconds_2_30 = ((u64::from(climb) * 5) << 29) / u64::from(mss.max(1));
    cube_root(cubic_seconds_2_30)
}

/// The largest integer whose cube is at most `n`, found from the top bit down. Runs once per
/// congestion avoidance stage.
fn cube_root(n: u64) -> u32 {
    let mut root = 0u64;
    for bit in (0..22).rev() {
        let candidate = root | 1 << bit;
        // 22 bits: a cube of up to 66 of them.
        if u128::from(candidate).pow(3) <= u128::from(n) {
            root = candidate;
        }
    }
    root as u32
}

/// A duration in ticks of 1/1024 s, rounded down; as many as there can be if it is too long.
fn ticks(duration: Duration) -> u32 {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX) >> 10;
    // 2^10 nanoseconds are 2^20 / 10^9 ticks.
    u32::try_from(nanos.saturating_mul(1 << 20) / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Distances from K beyond four minutes count as that much. The curve is then 6.7 million
/// segments away from W_max, more than a window can hold, and its cube still fits into 64 bits.
const DISTANCE_MAX: u32 = 1 << 18;

#[cfg(test)]
mod tests;
