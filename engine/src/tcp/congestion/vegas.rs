//! Vegas (Brakmo and Peterson, 1995): keeps a few segments queued, and no more.
//!
//! What the window would deliver on an empty path, less what it does deliver, is what waits in
//! queues: `diff = cwnd × (rtt - base_rtt) / rtt`. Once per round trip the window goes up by a segment
//! if that is less than two, down if it is more than four. So it leaves others' queues short and
//! yields to everything that fills them; losses count as for Reno.

use std::time::Duration;

use super::window::{SLOW_START_SEGMENTS_PER_ACK, Window};
use super::{
    AckSample, CongestionControl, CongestionPhase, IdleGap, LossSample, Parameters, Remembered,
    TimeoutSample,
};
use crate::time::Instant;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Vegas {
    window: Window,
    /// BaseRTT: the shortest round trip since the connection began, or was last idle; `u32::MAX`
    /// before the first [µs].
    base_us: u32,
    /// The shortest of this round, and how many there were. The shortest, as delayed ACKs and
    /// noise only ever lengthen them.
    round_us: u32,
    samples: u8,
    /// What is to be acknowledged before the round is over [octets].
    round_left_octets: u32,
    /// In slow start, the window grows in every other round only, so that the rounds between
    /// measure a window that stands still.
    grows: bool,
    /// RFC 3465 §2.1, bytes_acked; for rounds with too few samples.
    avoidance_octets: u32,
}

impl Vegas {
    pub fn new(parameters: &Parameters) -> Self {
        Vegas {
            window: Window::new(parameters),
            base_us: u32::MAX,
            round_us: u32::MAX,
            samples: 0,
            round_left_octets: 0,
            grows: true,
            avoidance_octets: 0,
        }
    }

    fn forget_round(&mut self) {
        (self.round_us, self.samples, self.round_left_octets) = (u32::MAX, 0, 0);
    }

    fn measure(&mut self, rtt: Duration) {
        let us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX - 1).max(1);
        self.base_us = self.base_us.min(us);
        self.round_us = self.round_us.min(us);
        self.samples = self.samples.saturating_add(1);
    }

    /// What waits in queues by the shortest round trip of this round [octets].
    fn queued(&self) -> u32 {
        let waiting_us = self.round_us.saturating_sub(self.base_us);
        let octets = u64::from(self.window.cwnd()) * u64::from(waiting_us);
        (octets / u64::from(self.round_us.max(1))) as u32
    }

    /// Slow start is over when something waits. What was sent while the window stood still is
    /// measured in the round after, so it is there that it is looked at, and at once.
    fn check_slow_start(&mut self) {
        if self.grows && self.samples >= ROUND_SAMPLES {
            let queued = self.queued();
            if queued > GAMMA * self.window.mss() {
                // What waits goes, and the window is where it shall stay.
                self.window.step_down(queued);
                self.window.end_slow_start();
            }
        }
    }

    /// A round trip is over. Returns whether Vegas has decided; if not, Reno does.
    fn end_round(&mut self, may_grow: bool) -> bool {
        let enough = self.samples >= ROUND_SAMPLES;
        if enough && !self.window.in_slow_start() {
            let (queued, mss) = (self.queued(), self.window.mss());
            if queued > BETA * mss {
                self.window.step_down(mss);
                self.window.end_slow_start();
            } else if queued < ALPHA * mss && may_grow {
                self.window.grow(mss);
            }
        }
        self.grows = !self.grows;
        self.round_us = u32::MAX;
        self.samples = 0;
        enough
    }
}

impl CongestionControl for Vegas {
    fn on_ack(&mut self, sample: &AckSample) {
        if sample.acked_octets == 0 {
            return;
        }
        if let Some(rtt) = sample.rtt {
            self.measure(rtt);
        }
        let may_grow = self.window.may_grow(sample);
        if self.window.in_repair() || sample.in_recovery {
            // RFC 5681 after a timeout; and what is measured now is not of this window.
            self.forget_round();
            self.window.grow_as_reno(sample, &mut self.avoidance_octets);
            return;
        }
        if self.round_left_octets == 0 {
            self.round_left_octets = sample.in_flight_octets.max(1);
        }
        self.round_left_octets = self.round_left_octets.saturating_sub(sample.acked_octets);
        if self.window.in_slow_start() {
            self.check_slow_start();
        }
        let grows = self.grows;
        let few_samples = self.round_left_octets == 0 && !self.end_round(may_grow);
        if self.window.in_slow_start() {
            if grows && may_grow {
                self.window.slow_start(sample.acked_octets, SLOW_START_SEGMENTS_PER_ACK);
            }
        } else if few_samples && may_grow {
            // A window too small to measure grows by a segment per round trip, as Reno's.
            self.window.grow(self.window.mss());
        }
    }

    fn on_loss(&mut self, sample: &LossSample) {
        self.window.reduce(sample.in_flight_octets / 2);
        self.avoidance_octets = 0;
        self.forget_round();
    }

    fn on_recovery_exit(&mut self, _now: Instant) {
        self.window.recovered();
    }

    fn on_congestion_experienced(&mut self, sample: &LossSample) {
        self.window.reduce_for_mark(sample.in_flight_octets / 2);
    }

    fn on_spurious(&mut self, _now: Instant) {
        self.window.undo();
    }

    fn on_rto(&mut self, sample: &TimeoutSample) {
        self.window.collapse(sample.in_flight_octets / 2, sample);
        self.avoidance_octets = 0;
    }

    fn on_idle_restart(&mut self, gap: IdleGap) {
        self.window.restart(gap);
        // The path may be another one.
        self.base_us = u32::MAX;
    }

    fn on_mss(&mut self, mss: u16) {
        self.window.set_mss(mss);
    }

    fn window_octets(&self) -> u32 {
        self.window.cwnd()
    }

    fn ssthresh_octets(&self) -> u32 {
        self.window.ssthresh()
    }

    fn remember(&self) -> Remembered {
        self.window.remember()
    }

    fn recall(&mut self, remembered: &Remembered) {
        self.window.recall(remembered);
    }

    fn name(&self) -> &'static str {
        "vegas"
    }

    fn phase(&self) -> CongestionPhase {
        self.window.congestion_phase()
    }
}

// Brakmo and Peterson §3.2, §3.3 [segments].
const ALPHA: u32 = 2;
const BETA: u32 = 4;
const GAMMA: u32 = 1;

/// Round trips that a round must have measured to be judged by the shortest: with one or two, a
/// delayed ACK may be all there was.
const ROUND_SAMPLES: u8 = 3;
