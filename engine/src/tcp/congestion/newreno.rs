//! NewReno: one segment more per round trip, half the window on loss.
//!
//! RFC 5681 with the recovery episodes of RFC 6582, counting octets rather than ACKs (RFC 3465),
//! so that a peer that acknowledges rarely, or in many small pieces, changes nothing.

use super::window::Window;
use super::{
    AckSample, CongestionControl, CongestionPhase, IdleGap, LossSample, Parameters, Remembered,
    TimeoutSample,
};
use crate::time::Instant;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct NewReno {
    window: Window,
    /// RFC 3465 §2.1, bytes_acked: acknowledged in congestion avoidance since the window last
    /// grew [octets].
    acked_octets: u32,
}

impl NewReno {
    pub fn new(parameters: &Parameters) -> Self {
        NewReno { window: Window::new(parameters), acked_octets: 0 }
    }
}

impl CongestionControl for NewReno {
    fn on_ack(&mut self, sample: &AckSample) {
        self.window.grow_as_reno(sample, &mut self.acked_octets);
    }

    fn on_loss(&mut self, sample: &LossSample) {
        // RFC 5681 §3.1 (4): half of what was in flight, at least two segments.
        self.window.reduce(sample.in_flight_octets / 2);
        self.acked_octets = 0;
    }

    fn on_recovery_exit(&mut self, _now: Instant) {
        self.window.recovered();
    }

    fn on_congestion_experienced(&mut self, sample: &LossSample) {
        // RFC 3168 §6.1.2: as for a lost packet.
        if self.window.reduce_for_mark(sample.in_flight_octets / 2) {
            self.acked_octets = 0;
        }
    }

    fn on_spurious(&mut self, _now: Instant) {
        self.window.undo();
    }

    fn on_rto(&mut self, sample: &TimeoutSample) {
        self.window.collapse(sample.in_flight_octets / 2, sample);
        self.acked_octets = 0;
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
        "reno"
    }

    fn phase(&self) -> CongestionPhase {
        self.window.congestion_phase()
    }
}
