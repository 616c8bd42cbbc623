//! What losses say (draft-ietf-ccwg-bbr-06 §5.5.10), and what is left of it if there were none
//! (§5.5.11).

use std::time::Duration;

use super::random_loss::MILLION;
use super::{Ack, Bbr, INFINITY, QUEUE_MARGIN, State};
use crate::tcp::congestion::{AckSample, Rate};
use crate::tcp::delivery_rate::{LostChunk, RateSample};
use crate::tcp::pacing::quantum;
use crate::time::Instant;

/// What was before a recovery that may prove spurious.
#[derive(Clone, Debug, Default)]
pub(super) struct Undo {
    /// BBR.undo_state: what the losses have put an end to.
    pub(super) state: Option<UndoState>,
    /// BBR.undo_bw_shortterm.
    bw_shortterm: Rate,
    /// BBR.undo_inflight_shortterm [octets].
    inflight_shortterm: u32,
    /// BBR.undo_inflight_longterm [octets].
    inflight_longterm: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UndoState {
    Startup,
    ProbeBwUp,
}

impl Bbr {
    /// NoteLoss and HandleLostPacket (§5.5.10.2), for all that the ACK at hand tells of at once: of
    /// the chunks lost, the one whose flight has lost the largest share decides.
    pub(super) fn take_losses(&mut self, ack: &Ack<'_>) {
        if self.nothing_queues(ack.rate.elapsed) {
            let window = self.cwnd.max(MEMORY_SEGMENTS_MIN * self.mss());
            let AckSample { lost_octets, acked_octets, .. } = *ack.sample;
            self.model.random_loss.take(lost_octets, acked_octets, window);
        }
        if ack.sample.lost_octets > 0 || self.marked {
            self.note_loss(self.marked || self.queue_shows(ack.rate.elapsed));
        }
        if !self.probe.is_sample {
            return;
        }
        if let Some(lost) = ack.rate.worst_loss
            && self.is_inflight_too_high(ack.rate, lost.lost_octets, lost.tx_in_flight_octets)
        {
            let in_flight = inflight_at_loss(lost, self.loss_threshold());
            self.handle_inflight_too_high(in_flight, lost.is_app_limited, ack.sample.now);
        } else if self.marked {
            let in_flight = ack.rate.tx_in_flight_octets;
            self.handle_inflight_too_high(in_flight, ack.rate.is_app_limited, ack.sample.now);
        }
    }

    /// NoteLoss. What is lost where no queue shows is counted, and judged at the end of the round.
    fn note_loss(&mut self, is_congestion: bool) {
        if is_congestion && !self.model.is_loss_in_round {
            self.model.loss_round_delivered = self.model.delivered();
            self.save_state_upon_loss();
        }
        self.model.is_loss_in_round |= is_congestion;
    }

    /// IsInflightTooHigh: whether more of what was in flight is lost than at random, by more than
    /// BBR.LossThresh.
    ///
    /// Note: a path that loses at random loses whatever is in flight, and sending less would not
    /// change that. Nor is loss believed where the round trip shows no queue, unless it is
    /// [`LOSS_CAP`] (docs/decisions/0013-bbr-and-random-loss.md).
    pub(super) fn is_inflight_too_high(&self, rate: RateSample, lost: u32, in_flight: u32) -> bool {
        exceeds(lost, in_flight, self.loss_threshold())
            && (self.model.is_round_lossy || self.queue_shows(rate.elapsed))
    }

    /// The share of a flight that may be lost [ppm].
    fn loss_threshold(&self) -> u32 {
        LOSS_THRESHOLD.saturating_add(self.model.random_loss.likely_ppm()).min(LOSS_CAP)
    }

    /// Whether what the ACK at hand acknowledges has met no queue, not even one of our own burst.
    fn nothing_queues(&self, elapsed: Duration) -> bool {
        self.model.floor().is_some_and(|floor| elapsed <= floor + floor / QUEUE_MARGIN)
    }

    /// Whether what the ACK at hand acknowledges has waited in a queue: for longer than a
    /// sixteenth of the shortest round trip, and than a burst of our own takes at the bottleneck.
    pub(super) fn queue_shows(&self, elapsed: Duration) -> bool {
        let Some(floor) = self.model.floor() else { return true };
        let burst = quantum(self.pacing_rate, self.sizes.mss);
        let margin =
            self.model.max_bw().time_for(burst.into()).saturating_add(floor / QUEUE_MARGIN);
        elapsed > floor.saturating_add(margin)
    }

    /// HandleInflightTooHigh.
    fn handle_inflight_too_high(&mut self, in_flight: u32, is_app_limited: bool, now: Instant) {
        self.probe.too_high = true;
        self.probe.is_sample = false;
        if !is_app_limited {
            self.model.inflight_longterm = in_flight.max(beta(self.target_inflight()));
        }
        if self.state == State::ProbeBwUp {
            self.undo.state = Some(UndoState::ProbeBwUp);
            self.start_probe_bw_down(now);
        }
    }

    /// UpdateCongestionSignals (§5.5.10.3).
    pub(super) fn update_congestion_signals(&mut self, ack: &Ack<'_>) {
        if self.model.update_round(ack.rate) {
            self.probe.count_round();
        }
        self.model.update_max_bw(ack.rate);
        if !self.model.loss_round_start {
            return;
        }
        self.judge_round();
        self.adapt_lower_bounds_from_congestion();
        self.model.is_loss_in_round = false;
    }

    /// Decides whether the round that is over has met congestion.
    ///
    /// Note: to the draft any loss is congestion. Here more must be lost than at random, and nothing in
    /// the round must have got around the queue; or it is much.
    fn judge_round(&mut self) {
        let is_enough = self.model.round_sent() >= JUDGED_SEGMENTS * self.mss();
        let soonest = self.model.take_soonest();
        let queue_shows = self.queue_shows(soonest);
        let model = &mut self.model;
        let random = model.random_loss.likely_ppm();
        let (lost, sent) = (model.round_lost, model.round_sent());
        model.is_round_lossy = is_enough && exceeds(lost, sent, LOSS_CAP);
        let is_random = random > 0 && !(is_enough && exceeds(lost, sent, random));
        if is_enough {
            (model.round_lost, model.round_delivered) = (0, 0);
        }
        if !self.marked && (is_random || !queue_shows) {
            model.is_loss_in_round = false;
        }
        if model.is_round_lossy && !model.is_loss_in_round {
            self.save_state_upon_loss();
            self.model.is_loss_in_round = true;
        }
    }

    /// AdaptLowerBoundsFromCongestion, InitLowerBounds and LossLowerBounds.
    fn adapt_lower_bounds_from_congestion(&mut self) {
        if self.state.accelerates() || !self.model.is_loss_in_round {
            return;
        }
        // Note: the queue that shows when DOWN begins is the one that UP has made, and is being let
        // go of. What still shows later is that of others.
        let is_own = self.state == State::ProbeBwDown && self.probe.has_just_ended();
        if is_own && !self.model.is_round_lossy && !self.marked {
            return;
        }
        let model = &mut self.model;
        let shortterm = model.bw_shortterm.min(model.max_bw());
        model.bw_shortterm = model.bw_latest.max(shortterm.scaled(BETA, 100));
        if model.inflight_shortterm == INFINITY {
            model.inflight_shortterm = self.cwnd;
        }
        model.inflight_shortterm = model.inflight_latest.max(beta(model.inflight_shortterm));
    }

    /// SaveStateUponLoss (§5.5.11.1).
    pub(super) fn save_state_upon_loss(&mut self) {
        self.save_cwnd();
        self.undo = Undo {
            state: None,
            bw_shortterm: self.model.bw_shortterm,
            inflight_shortterm: self.model.inflight_shortterm,
            inflight_longterm: self.model.inflight_longterm,
        };
    }

    /// HandleSpuriousLossDetection (§5.5.11.2).
    pub(super) fn handle_spurious_loss_detection(&mut self) {
        self.restore_cwnd();
        self.model.is_loss_in_round = false;
        self.full_pipe.reset(Rate::ZERO);
        let Undo { state, bw_shortterm, inflight_shortterm, inflight_longterm } = self.undo.clone();
        let model = &mut self.model;
        model.bw_shortterm = model.bw_shortterm.max(bw_shortterm);
        model.inflight_shortterm = model.inflight_shortterm.max(inflight_shortterm);
        model.inflight_longterm = model.inflight_longterm.max(inflight_longterm);
        // ProbeRTT goes on, and leaves for where it would have gone.
        let free = self.state != State::ProbeRtt;
        match state {
            Some(UndoState::Startup) if self.state != State::Startup => {
                self.full_pipe.reached = false;
                if free {
                    self.enter_startup();
                }
            }
            Some(UndoState::ProbeBwUp) if free && self.state != State::ProbeBwUp => {
                self.start_probe_bw_refill();
            }
            _ => {}
        }
        self.undo.state = None;
    }
}

/// InflightAtLoss (§5.5.10.2): how much was in flight when the losses crossed the threshold
/// [octets].
fn inflight_at_loss(lost: LostChunk, threshold: u32) -> u32 {
    let threshold = u64::from(threshold);
    let inflight_prev = lost.tx_in_flight_octets.saturating_sub(lost.octets);
    let lost_prev = lost.lost_octets.saturating_sub(lost.octets);
    let allowed = u64::from(inflight_prev) * threshold;
    let lost_prefix =
        allowed.saturating_sub(u64::from(lost_prev) * MILLION) / (MILLION - threshold);
    inflight_prev.saturating_add(u32::try_from(lost_prefix).unwrap_or(u32::MAX))
}

/// Whether `lost` is more than `ppm` of `octets`.
fn exceeds(lost: u32, octets: u32, ppm: u32) -> bool {
    u64::from(lost) * MILLION > u64::from(octets) * u64::from(ppm)
}

fn beta(octets: u32) -> u32 {
    super::probe_bw::percent(octets, BETA)
}

/// BBR.LossThresh (§3.2) [ppm].
const LOSS_THRESHOLD: u32 = 20_000;

/// Loss that counts as congestion even where no queue shows, as before a policer or a queue of a few
/// packets [ppm]. Probing at 1.25 times what the path takes loses a fifth there.
const LOSS_CAP: u32 = 150_000;

/// The least that counts as a window where what is lost at random is remembered by windows.
const MEMORY_SEGMENTS_MIN: u32 = 128;

/// Congestion is told from chance over so many segments at least.
const JUDGED_SEGMENTS: u32 = 64;

/// BBR.Beta (§5.5.10.2) [percent].
const BETA: u32 = 70;
