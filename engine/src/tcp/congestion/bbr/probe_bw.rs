//! ProbeBW (draft-ietf-ccwg-bbr-06 §5.3.3): the steady state, which probes for more in cycles.
//!
//! DOWN lets the queue drain, CRUISE goes along with the path, REFILL fills it again without a
//! queue, and UP sends faster, to see whether more is delivered or more is lost.

use std::time::Duration;

use super::{Ack, Bbr, INFINITY, MIN_PIPE_SEGMENTS, State};
use crate::time::Instant;

/// Where the cycle is, and what the last probe has shown.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    /// BBR.cycle_stamp and BBR.bw_probe_wait: when the next probe is due by the clock.
    due_at: Instant,
    /// BBR.rounds_since_probe_up.
    rounds_since_up: u32,
    /// BBR.probe_up_acked_per_inc [octets].
    acked_per_increment: u32,
    /// BBR.bw_probe_up_acked [octets].
    up_acked: u32,
    /// BBR.bw_probe_up_rounds.
    up_rounds: u8,
    phase: AckPhase,
    /// BBR.is_bw_probe_sample: what is acknowledged now may have been sent while probing.
    pub(super) is_sample: bool,
    /// BBR.prev_probe_too_high.
    pub(super) too_high: bool,
    /// BBR.prev_probe_precautionary.
    precautionary: bool,
}

/// BBR.ack_phase: which part of the cycle the ACKs that arrive are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AckPhase {
    Init,
    Refilling,
    Starting,
    Feedback,
    Stopping,
}

impl Probe {
    pub(super) fn new() -> Probe {
        Probe {
            due_at: Instant::ZERO,
            rounds_since_up: 0,
            acked_per_increment: INFINITY,
            up_acked: 0,
            up_rounds: 0,
            phase: AckPhase::Init,
            is_sample: false,
            too_high: false,
            precautionary: false,
        }
    }

    /// What arrives from now on is about a time of sending less.
    pub(super) fn stop(&mut self) {
        self.phase = AckPhase::Stopping;
    }

    /// Whether what UP has made to wait may not be gone yet.
    pub(super) fn has_just_ended(&self) -> bool {
        self.rounds_since_up < DRAINED_ROUNDS
    }

    /// Another round trip has passed.
    pub(super) fn count_round(&mut self) {
        self.rounds_since_up = self.rounds_since_up.saturating_add(1);
    }
}

impl Bbr {
    /// EnterProbeBW.
    pub(super) fn enter_probe_bw(&mut self, ack: &Ack<'_>) {
        self.start_probe_bw_down(ack.sample.now);
    }

    /// StartProbeBW_DOWN.
    pub(super) fn start_probe_bw_down(&mut self, now: Instant) {
        self.model.reset_congestion_signals();
        self.probe.acked_per_increment = INFINITY;
        // PickProbeWait (§5.3.3.8.3).
        self.probe.rounds_since_up = self.random.below(2) as u32;
        let spread = self.random.below(PROBE_WAIT_SPREAD.as_nanos() as u64);
        self.probe.due_at = now + PROBE_WAIT_MIN + Duration::from_nanos(spread);
        self.probe.stop();
        self.model.start_round();
        self.state = State::ProbeBwDown;
    }

    /// StartProbeBW_CRUISE.
    pub(super) fn start_probe_bw_cruise(&mut self) {
        self.state = State::ProbeBwCruise;
    }

    /// StartProbeBW_REFILL.
    pub(super) fn start_probe_bw_refill(&mut self) {
        self.model.reset_short_term();
        self.probe.up_rounds = 0;
        self.probe.up_acked = 0;
        self.probe.precautionary = false;
        self.probe.phase = AckPhase::Refilling;
        self.model.start_round();
        self.state = State::ProbeBwRefill;
    }

    /// StartProbeBW_UP.
    fn start_probe_bw_up(&mut self) {
        self.probe.phase = AckPhase::Starting;
        self.model.start_round();
        self.full_pipe.reset(self.model.bw_latest);
        self.state = State::ProbeBwUp;
        self.raise_inflight_longterm_slope();
    }

    /// UpdateProbeBWCyclePhase (§5.3.3.9).
    pub(super) fn update_probe_bw_cycle_phase(&mut self, ack: &Ack<'_>) {
        if !self.full_pipe.reached || self.adapt_long_term_model(ack) {
            return;
        }
        match self.state {
            State::ProbeBwDown => {
                if !self.is_time_to_probe_bw(ack.sample.now) && self.is_time_to_cruise(ack) {
                    self.start_probe_bw_cruise();
                }
            }
            State::ProbeBwCruise => {
                self.is_time_to_probe_bw(ack.sample.now);
            }
            State::ProbeBwRefill => {
                if self.model.round_start {
                    self.probe.is_sample = true;
                    self.start_probe_bw_up();
                }
            }
            State::ProbeBwUp => {
                if self.is_time_to_go_down(ack) {
                    self.probe.too_high = false;
                    self.start_probe_bw_down(ack.sample.now);
                }
            }
            State::Startup | State::Drain | State::ProbeRtt => {}
        }
    }

    /// IsTimeToProbeBW (§5.3.3.8.3); if so, REFILL begins.
    fn is_time_to_probe_bw(&mut self, now: Instant) -> bool {
        let waited = now > self.probe.due_at;
        let due = waited || self.is_reno_coexistence_probe_time();
        if due {
            self.start_probe_bw_refill();
        }
        due
    }

    /// IsRenoCoexistenceProbeTime: no less often than Reno would be back at the window it lost
    /// something at.
    fn is_reno_coexistence_probe_time(&self) -> bool {
        let reno_rounds = self.target_inflight() / self.mss();
        self.probe.rounds_since_up >= reno_rounds.min(RENO_ROUNDS_MAX)
    }

    /// IsTimeToCruise.
    fn is_time_to_cruise(&self, ack: &Ack<'_>) -> bool {
        let in_flight = ack.sample.in_flight_after_octets;
        in_flight <= self.inflight_with_headroom()
            && in_flight <= self.inflight(self.model.max_bw(), 100)
    }

    /// IsTimeToGoDown.
    fn is_time_to_go_down(&mut self, ack: &Ack<'_>) -> bool {
        let longterm = self.model.inflight_longterm;
        // §5.3.3.6: what was too much the last time is not kept up for a whole round trip.
        if self.probe.too_high && ack.sample.in_flight_after_octets >= longterm {
            self.probe.precautionary = true;
            return true;
        }
        if ack.sample.cwnd_limited && self.cwnd >= longterm {
            // The bound, not the path, keeps the rate where it is.
            self.full_pipe.reset(self.model.bw_latest);
            return false;
        }
        self.full_pipe.now
    }

    /// InflightWithHeadroom: leaves room for others below what was too much [octets].
    pub(super) fn inflight_with_headroom(&self) -> u32 {
        let longterm = self.model.inflight_longterm;
        if longterm == INFINITY {
            return INFINITY;
        }
        let headroom = percent(longterm, HEADROOM).max(self.mss());
        longterm.saturating_sub(headroom).max(MIN_PIPE_SEGMENTS * self.mss())
    }

    /// RaiseInflightLongtermSlope: twice as many steps per round trip as in the one before.
    fn raise_inflight_longterm_slope(&mut self) {
        let growth_this_round = 1u32 << self.probe.up_rounds;
        self.probe.up_rounds = (self.probe.up_rounds + 1).min(30);
        self.probe.acked_per_increment = (self.cwnd / growth_this_round).max(self.mss());
    }

    /// ProbeInflightLongtermUpward.
    fn probe_inflight_longterm_upward(&mut self, ack: &Ack<'_>) {
        if !ack.sample.cwnd_limited || self.cwnd < self.model.inflight_longterm {
            return; // Not in full use, so nothing is known of more.
        }
        let acked = self.probe.up_acked.saturating_add(ack.sample.acked_octets);
        let steps = acked / self.probe.acked_per_increment;
        self.probe.up_acked = acked % self.probe.acked_per_increment;
        let longterm = self.model.inflight_longterm;
        self.model.inflight_longterm = longterm.saturating_add(steps.saturating_mul(self.mss()));
        if self.model.round_start {
            self.raise_inflight_longterm_slope();
        }
    }

    /// AdaptLongTermModel (§5.3.3.9). True if it has changed the state.
    fn adapt_long_term_model(&mut self, ack: &Ack<'_>) -> bool {
        if self.probe.phase == AckPhase::Starting && self.model.round_start {
            self.probe.phase = AckPhase::Feedback;
        }
        if self.probe.phase == AckPhase::Stopping && self.model.round_start {
            self.probe.is_sample = false;
            self.probe.phase = AckPhase::Init;
            if self.state.is_probe_bw() && !ack.rate.is_app_limited {
                self.model.advance_max_bw_filter();
            }
            // §5.3.3.6: the short probe has done no harm; now a whole one.
            if self.state.is_probe_bw() && self.probe.precautionary && !self.probe.too_high {
                self.start_probe_bw_refill();
                return true;
            }
        }
        let sample = ack.rate;
        if self.model.inflight_longterm != INFINITY
            && !self.is_inflight_too_high(sample, sample.lost_octets, sample.tx_in_flight_octets)
        {
            // So much was in flight, and all was well.
            self.model.inflight_longterm =
                self.model.inflight_longterm.max(sample.tx_in_flight_octets);
            if self.state == State::ProbeBwUp {
                self.probe_inflight_longterm_upward(ack);
            }
        }
        false
    }
}

/// `share` percent of `octets`.
pub(super) fn percent(octets: u32, share: u32) -> u32 {
    u32::try_from(u64::from(octets) * u64::from(share) / 100).unwrap_or(u32::MAX)
}

/// BBR.Headroom (§5.3.3.1) [percent].
const HEADROOM: u32 = 15;

/// In so many round trips DOWN lets the queue go that UP has made, unless others make it anew.
const DRAINED_ROUNDS: u32 = 4;

/// §5.3.3.8: T_bbr is between two and three seconds, T_reno at most this many round trips.
const PROBE_WAIT_MIN: Duration = Duration::from_secs(2);
const PROBE_WAIT_SPREAD: Duration = Duration::from_secs(1);
const RENO_ROUNDS_MAX: u32 = 63;
