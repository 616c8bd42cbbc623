//! BBR version 3 (draft-ietf-ccwg-bbr-06): sends at the rate at which the path delivers.
//!
//! From each ACK it learns how fast the path delivers at most and how long a round trip takes at
//! least. Sending at the first rate, with the product of both in flight, fills the path and leaves
//! its queues empty. As the two cannot be measured at once, it takes turns: it sends faster for a
//! round trip to see whether more is delivered, then slower to let the queue that this made drain,
//! and now and then little for a moment to see the path without queues. Loss bounds how much
//! it dares to have in flight.
//!
//! Names and steps are the draft's; its pseudocode runs here in its order, in [`Bbr::update`]. The
//! parts: [`model`] is what is known of the path, [`startup`], [`probe_bw`] and [`probe_rtt`] are the
//! states, [`loss`] is what losses say, [`control`] makes window and rate of it all. Rates are in
//! octets per second, gains in percent.

mod control;
mod loss;
mod model;
mod probe_bw;
mod probe_rtt;
mod random_loss;
mod startup;

use std::time::Duration;

use super::window::Sizes;
use super::{
    AckSample, CongestionControl, CongestionPhase, IdleGap, LossSample, Parameters, Rate,
    Remembered, SendSample, TimeoutSample,
};
use crate::random::Random;
use crate::tcp::delivery_rate::RateSample;
use crate::time::Instant;
use loss::Undo;
use model::Model;
use probe_bw::Probe;
use probe_rtt::ProbeRtt;
use startup::FullPipe;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Bbr {
    state: State,
    model: Model,
    full_pipe: FullPipe,
    probe: Probe,
    probe_rtt: ProbeRtt,
    undo: Undo,
    /// C.pacing_rate.
    pacing_rate: Rate,
    /// C.cwnd [octets].
    cwnd: u32,
    /// The last window that neither recovery nor ProbeRTT had held down [octets].
    prior_cwnd: u32,
    sizes: Sizes,
    /// Nothing was acknowledged yet; the window is the initial one.
    fresh: bool,
    /// A loss or a timeout is being repaired.
    in_recovery: bool,
    /// Sending begins again after a pause.
    idle_restart: bool,
    /// The pacing rate goes by a round trip that was measured.
    has_seen_rtt: bool,
    /// The path has marked a packet since the last ACK was taken in.
    marked: bool,
    random: Random,
}

/// Where in its cycle the connection is (§5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    ProbeBwDown,
    ProbeBwCruise,
    ProbeBwRefill,
    ProbeBwUp,
    ProbeRtt,
}

impl State {
    /// IsInAProbeBWState.
    fn is_probe_bw(self) -> bool {
        use State::{ProbeBwCruise, ProbeBwDown, ProbeBwRefill, ProbeBwUp};
        matches!(self, ProbeBwDown | ProbeBwCruise | ProbeBwRefill | ProbeBwUp)
    }

    /// IsProbingBW: sending more than what is known to fit, losses are a part of the plan.
    fn accelerates(self) -> bool {
        matches!(self, State::Startup | State::ProbeBwRefill | State::ProbeBwUp)
    }

    /// §5.6.1 [percent].
    fn pacing_gain(self) -> u32 {
        match self {
            State::Startup => 277,
            State::Drain => 50,
            State::ProbeBwDown => 90,
            State::ProbeBwUp => 125,
            State::ProbeBwCruise | State::ProbeBwRefill | State::ProbeRtt => 100,
        }
    }

    /// §5.6.1 [percent].
    fn cwnd_gain(self) -> u32 {
        match self {
            State::ProbeBwUp => 225,
            State::ProbeRtt => PROBE_RTT_CWND_GAIN,
            _ => 200,
        }
    }
}

/// What one ACK brings, with its rate sample at hand.
#[derive(Clone, Copy)]
struct Ack<'a> {
    sample: &'a AckSample,
    rate: RateSample,
}

impl Bbr {
    pub fn new(parameters: &Parameters) -> Self {
        let sizes = Sizes::new(parameters);
        let mut bbr = Bbr {
            state: State::Startup,
            model: Model::new(),
            full_pipe: FullPipe::default(),
            probe: Probe::new(),
            probe_rtt: ProbeRtt::new(),
            undo: Undo::default(),
            pacing_rate: Rate::ZERO,
            cwnd: sizes.initial(),
            prior_cwnd: 0,
            sizes,
            fresh: true,
            in_recovery: false,
            idle_restart: false,
            has_seen_rtt: false,
            marked: false,
            random: Random::new(parameters.seed.into()),
        };
        bbr.init_pacing_rate(None);
        bbr
    }

    /// UpdateOnACK (§5.2.3).
    fn update(&mut self, ack: &Ack<'_>) {
        self.model.begin_ack(ack);
        self.take_losses(ack);
        // UpdateModelAndState.
        self.model.update_latest_delivery_signals(ack.rate);
        self.update_congestion_signals(ack);
        let filter_rounds = if self.full_pipe.reached { EXTRA_ACKED_ROUNDS } else { 1 };
        self.model.update_ack_aggregation(ack.sample, self.cwnd, filter_rounds);
        self.check_full_bw_reached(ack.rate);
        self.check_startup_done(ack);
        self.check_drain_done(ack);
        self.update_probe_bw_cycle_phase(ack);
        self.update_min_rtt(ack);
        self.check_probe_rtt(ack);
        self.model.advance_latest_delivery_signals(ack.rate);
        self.model.bound_bw();
        // UpdateControlParameters.
        self.set_pacing_rate(ack.sample.srtt);
        self.set_cwnd(ack);
        self.marked = false;
    }

    fn mss(&self) -> u32 {
        self.sizes.mss()
    }
}

impl CongestionControl for Bbr {
    fn on_ack(&mut self, sample: &AckSample) {
        self.fresh &= sample.acked_octets == 0;
        if let Some(rate) = sample.rate {
            self.update(&Ack { sample, rate });
        }
    }

    fn on_sent(&mut self, sample: &SendSample) {
        // HandleRestartFromIdle (§5.4.1).
        if sample.in_flight_octets == 0 && sample.app_limited {
            self.idle_restart = true;
            self.model.restart_aggregation(sample.now);
            if self.state.is_probe_bw() {
                self.set_pacing_rate_with_gain(100);
            } else if self.state == State::ProbeRtt {
                self.check_probe_rtt_done(sample.now);
            }
        }
    }

    fn on_loss(&mut self, _sample: &LossSample) {
        // OnEnterFastRecovery (§5.6.4.4). What was lost comes with the ACK.
        self.save_cwnd();
        self.save_state_upon_loss();
        self.in_recovery = true;
    }

    fn on_recovery_exit(&mut self, _now: Instant) {
        if std::mem::take(&mut self.in_recovery) {
            self.restore_cwnd();
        }
    }

    /// Note: the draft leaves the reaction to marks open but demands one (§3.7). Here a mark says
    /// what too much loss would.
    fn on_congestion_experienced(&mut self, _sample: &LossSample) {
        self.marked = true;
    }

    fn on_spurious(&mut self, _now: Instant) {
        self.in_recovery = false;
        self.handle_spurious_loss_detection();
    }

    fn on_rto(&mut self, _sample: &TimeoutSample) {
        // OnEnterRTO (§5.6.4.4); nothing is in flight now.
        self.save_cwnd();
        self.save_state_upon_loss();
        self.in_recovery = true;
        self.fresh = false;
        self.cwnd = self.sizes.bounded(self.mss());
    }

    fn on_idle_restart(&mut self, _gap: IdleGap) {
        // §5.4.2: what is sent then is paced, so the window may stay.
    }

    fn on_mss(&mut self, mss: u16) {
        self.sizes.mss = mss.max(1);
        self.cwnd = if self.fresh { self.sizes.initial() } else { self.sizes.bounded(self.cwnd) };
    }

    fn window_octets(&self) -> u32 {
        self.cwnd
    }

    /// Where slow start would end has no meaning here; what it is asked for is whether the window
    /// is still searching for the path's capacity.
    fn ssthresh_octets(&self) -> u32 {
        if self.full_pipe.reached { self.cwnd.max(2 * self.mss()) } else { u32::MAX }
    }

    fn in_slow_start(&self) -> bool {
        self.state == State::Startup
    }

    fn pacing_rate(&self) -> Option<Rate> {
        Some(self.pacing_rate)
    }

    fn manages_recovery(&self) -> bool {
        true
    }

    fn limits_itself(&self) -> bool {
        self.state == State::ProbeRtt
    }

    fn remember(&self) -> Remembered {
        Remembered {
            window_octets: self.cwnd.max(self.prior_cwnd),
            ssthresh_octets: self.ssthresh_octets(),
            w_max_octets: 0,
            bandwidth: if self.full_pipe.reached {
                self.model.max_bw().octets_per_second()
            } else {
                0
            },
        }
    }

    /// Without a bandwidth to go on from, it starts up as if new, though with the window it had.
    fn recall(&mut self, remembered: &Remembered) {
        if *remembered == self.remember() {
            return; // Nothing was learnt yet.
        }
        self.cwnd = self.sizes.bounded(remembered.window_octets);
        self.fresh = false;
        if remembered.bandwidth == 0 {
            return;
        }
        self.model.recall(Rate::from_octets_per_second(remembered.bandwidth));
        self.full_pipe.reached = true;
        self.has_seen_rtt = true;
        // Its wait being over, the first ACK begins to probe anew.
        self.state = State::ProbeBwCruise;
        self.set_pacing_rate_with_gain(100);
    }

    fn name(&self) -> &'static str {
        "bbr"
    }

    fn phase(&self) -> CongestionPhase {
        match self.state {
            State::Startup => CongestionPhase::Startup,
            State::Drain => CongestionPhase::Drain,
            State::ProbeBwDown => CongestionPhase::ProbeBwDown,
            State::ProbeBwCruise => CongestionPhase::ProbeBwCruise,
            State::ProbeBwRefill => CongestionPhase::ProbeBwRefill,
            State::ProbeBwUp => CongestionPhase::ProbeBwUp,
            State::ProbeRtt => CongestionPhase::ProbeRtt,
        }
    }
}

/// BBR.MinPipeCwnd (§5.6.4.3) [segments].
const MIN_PIPE_SEGMENTS: u32 = 4;

/// BBR.ProbeRTTCwndGain (§5.3.4) [percent].
const PROBE_RTT_CWND_GAIN: u32 = 50;

/// BBR.ExtraAckedFilterLen (§5.5.9) [round trips].
const EXTRA_ACKED_ROUNDS: u32 = 10;

/// BBR.ProbeRTTInterval, BBR.ProbeRTTDuration (§5.3.4) and BBR.MinRTTFilterLen (§5.5.7.2).
const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);
const MIN_RTT_FILTER: Duration = Duration::from_secs(10);

/// The part of the shortest round trip beyond which a longer one shows a queue.
const QUEUE_MARGIN: u32 = 16;

/// As large as a volume can be: no bound.
const INFINITY: u32 = u32::MAX;
