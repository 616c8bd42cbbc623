//! Rate and window out of the model (draft-ietf-ccwg-bbr-06 §5.6).

use std::time::Duration;

use super::probe_bw::percent;
use super::{Ack, Bbr, INFINITY, MIN_PIPE_SEGMENTS, State};
use crate::tcp::congestion::Rate;
use crate::tcp::pacing::quantum;

impl Bbr {
    /// InitPacingRate (§5.6.2).
    pub(super) fn init_pacing_rate(&mut self, srtt: Option<Duration>) {
        let rtt = srtt.filter(|srtt| !srtt.is_zero()).unwrap_or(NOMINAL_RTT);
        let nominal = Rate::of(self.sizes.initial().into(), rtt);
        self.pacing_rate = nominal.scaled(State::Startup.pacing_gain(), 100).max(self.slowest());
    }

    /// SetPacingRate (§5.6.2).
    pub(super) fn set_pacing_rate(&mut self, srtt: Option<Duration>) {
        if !self.has_seen_rtt && srtt.is_some() {
            self.has_seen_rtt = true;
            self.init_pacing_rate(srtt);
        }
        self.set_pacing_rate_with_gain(self.state.pacing_gain());
    }

    /// SetPacingRateWithGain (§5.6.2).
    pub(super) fn set_pacing_rate_with_gain(&mut self, gain: u32) {
        let rate = self.model.bw().scaled(gain * (100 - PACING_MARGIN_PERCENT), 100 * 100);
        if rate != Rate::ZERO && (self.full_pipe.reached || rate > self.pacing_rate) {
            self.pacing_rate = rate.max(self.slowest());
        }
    }

    /// A segment per second, so that even a path that seemed dead is asked again.
    fn slowest(&self) -> Rate {
        Rate::from_octets_per_second(self.mss().into())
    }

    /// BBR.bdp (§5.6.4.2) [octets].
    pub(super) fn bdp(&self) -> u32 {
        self.bdp_multiple(self.model.bw(), 100)
    }

    /// BDPMultiple (§5.6.4.2) [octets].
    pub(super) fn bdp_multiple(&self, bw: Rate, gain: u32) -> u32 {
        match self.model.min_rtt {
            Some(min_rtt) if bw != Rate::ZERO => {
                let bdp = u32::try_from(bw.octets_in(min_rtt)).unwrap_or(u32::MAX);
                percent(bdp, gain)
            }
            _ => self.sizes.initial(),
        }
    }

    /// Inflight (§5.6.4.2) [octets].
    pub(super) fn inflight(&self, bw: Rate, gain: u32) -> u32 {
        self.quantization_budget(self.bdp_multiple(bw, gain))
    }

    /// TargetInflight (§5.3.3.8.3) [octets].
    pub(super) fn target_inflight(&self) -> u32 {
        self.bdp().min(self.cwnd)
    }

    /// QuantizationBudget (§5.6.4.2): room for what leaves and arrives in bursts.
    fn quantization_budget(&self, inflight_cap: u32) -> u32 {
        // UpdateOffloadBudget (§5.5.8.1).
        let offload_budget = 3 * quantum(self.pacing_rate, self.sizes.mss);
        let cap = inflight_cap.max(offload_budget).max(MIN_PIPE_SEGMENTS * self.mss());
        match self.state {
            State::ProbeBwUp => cap.saturating_add(2 * self.mss()),
            _ => cap,
        }
    }

    /// UpdateMaxInflight (§5.6.4.2) [octets].
    fn max_inflight(&self) -> u32 {
        let cap = self.bdp_multiple(self.model.bw(), self.state.cwnd_gain());
        self.quantization_budget(cap.saturating_add(self.model.extra_acked()))
    }

    /// SetCwnd (§5.6.4.6).
    pub(super) fn set_cwnd(&mut self, ack: &Ack<'_>) {
        let max_inflight = self.max_inflight();
        let grown = self.cwnd.saturating_add(ack.sample.acked_octets);
        if self.full_pipe.reached {
            self.cwnd = grown.min(max_inflight);
        } else if self.cwnd < max_inflight
            || self.model.delivered() < u64::from(self.sizes.initial())
        {
            self.cwnd = grown;
        }
        self.cwnd = self.cwnd.max(MIN_PIPE_SEGMENTS * self.mss());
        // BoundCwndForProbeRTT (§5.6.4.5).
        if self.state == State::ProbeRtt {
            self.cwnd = self.cwnd.min(self.probe_rtt_cwnd());
        }
        self.bound_cwnd_for_model();
        self.cwnd = self.sizes.bounded(self.cwnd);
    }

    /// BoundCwndForModel (§5.6.4.7).
    fn bound_cwnd_for_model(&mut self) {
        let cap = match self.state {
            State::ProbeBwDown | State::ProbeBwRefill | State::ProbeBwUp => {
                self.model.inflight_longterm
            }
            State::ProbeRtt | State::ProbeBwCruise => self.inflight_with_headroom(),
            State::Startup | State::Drain => INFINITY,
        };
        let cap = cap.min(self.model.inflight_shortterm).max(MIN_PIPE_SEGMENTS * self.mss());
        self.cwnd = self.cwnd.min(cap);
    }

    /// SaveCwnd (§5.6.4.4).
    pub(super) fn save_cwnd(&mut self) {
        if self.in_recovery || self.state == State::ProbeRtt {
            self.prior_cwnd = self.prior_cwnd.max(self.cwnd);
        } else {
            self.prior_cwnd = self.cwnd;
        }
    }

    /// RestoreCwnd (§5.6.4.4).
    pub(super) fn restore_cwnd(&mut self) {
        self.cwnd = self.sizes.bounded(self.cwnd.max(self.prior_cwnd));
    }
}

/// BBR.PacingMarginPercent (§5.6.2).
const PACING_MARGIN_PERCENT: u32 = 1;

/// §5.6.2: the round trip until one was measured.
const NOMINAL_RTT: Duration = Duration::from_millis(1);
