//! DCTCP (RFC 8257): the window falls in proportion to how much of it the path has marked.
//!
//! For networks whose switches mark early and all of whose hosts report each mark: the queue stays
//! short and the links stay full. Where nothing is marked, because ECN is not in force, it is Reno.

use super::window::Window;
use super::{
    AckSample, CongestionControl, CongestionPhase, IdleGap, LossSample, Parameters, Remembered,
    TimeoutSample,
};
use crate::time::Instant;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Dctcp {
    window: Window,
    /// DCTCP.Alpha: the estimated share of marked octets [2^-20].
    alpha: u32,
    /// DCTCP.BytesAcked and DCTCP.BytesMarked, of the observation window.
    acked_octets: u32,
    marked_octets: u32,
    /// What is to be acknowledged before the observation window is over [octets]. RFC 8257 §3.3
    /// marks its end with SND.NXT; what was in flight at its beginning says the same.
    observe_octets: u32,
    /// RFC 3465 §2.1, bytes_acked.
    avoidance_octets: u32,
}

impl Dctcp {
    pub fn new(parameters: &Parameters) -> Self {
        Dctcp {
            window: Window::new(parameters),
            // RFC 8257 §3.3, §4.2: the first mark halves the window.
            alpha: ALPHA_ONE,
            acked_octets: 0,
            marked_octets: 0,
            observe_octets: 0,
            avoidance_octets: 0,
        }
    }

    /// RFC 8257 §3.3: counts what was marked, and updates the estimate once per window of data.
    fn observe(&mut self, sample: &AckSample) {
        if self.observe_octets == 0 {
            self.observe_octets = sample.in_flight_octets.max(1);
        }
        self.acked_octets = self.acked_octets.saturating_add(sample.acked_octets);
        if sample.ece {
            self.marked_octets = self.marked_octets.saturating_add(sample.acked_octets);
        }
        if self.acked_octets < self.observe_octets {
            return;
        }
        // M = BytesMarked / BytesAcked; Alpha = Alpha × (1 - g) + g × M.
        let marked = (u64::from(self.marked_octets) << ALPHA_SHIFT) / u64::from(self.acked_octets);
        // Rounded up, so that it reaches zero.
        self.alpha -= self.alpha.div_ceil(1 << GAIN_SHIFT);
        self.alpha += (marked >> GAIN_SHIFT) as u32;
        (self.acked_octets, self.marked_octets, self.observe_octets) = (0, 0, 0);
    }
}

impl CongestionControl for Dctcp {
    fn on_ack(&mut self, sample: &AckSample) {
        if sample.acked_octets > 0 {
            self.observe(sample);
        }
        self.window.grow_as_reno(sample, &mut self.avoidance_octets);
    }

    fn on_loss(&mut self, sample: &LossSample) {
        // RFC 8257 §3.5: a loss is one, whatever the marks say.
        self.window.reduce(sample.in_flight_octets / 2);
        self.avoidance_octets = 0;
    }

    fn on_recovery_exit(&mut self, _now: Instant) {
        self.window.recovered();
    }

    fn on_congestion_experienced(&mut self, _sample: &LossSample) {
        // RFC 8257 §3.3: cwnd = cwnd × (1 - Alpha / 2), once per window of data.
        let cwnd = u64::from(self.window.cwnd());
        let cut = (cwnd * u64::from(self.alpha)) >> (ALPHA_SHIFT + 1);
        if self.window.reduce_for_mark((cwnd - cut) as u32) {
            self.avoidance_octets = 0;
        }
    }

    fn on_spurious(&mut self, _now: Instant) {
        self.window.undo();
    }

    fn on_rto(&mut self, sample: &TimeoutSample) {
        self.window.collapse(sample.in_flight_octets / 2, sample);
        self.avoidance_octets = 0;
        // What was marked of data that is lost now will never be known.
        (self.acked_octets, self.marked_octets, self.observe_octets) = (0, 0, 0);
    }

    fn on_idle_restart(&mut self, gap: IdleGap) {
        self.window.restart(gap);
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
        "dctcp"
    }

    fn phase(&self) -> CongestionPhase {
        self.window.congestion_phase()
    }
}

const ALPHA_SHIFT: u32 = 20;
const ALPHA_ONE: u32 = 1 << ALPHA_SHIFT;

/// RFC 8257 §4.2: g, the estimation gain, is 1/16.
const GAIN_SHIFT: u32 = 4;
