//! Startup and Drain (draft-ietf-ccwg-bbr-06 §5.3.1, §5.3.2): find the bandwidth, then let go of the
//! queue that this has made.

use super::loss::UndoState;
use super::{Ack, Bbr, State};
use crate::tcp::congestion::Rate;
use crate::tcp::delivery_rate::RateSample;

/// Whether sending more still gets more delivered (§5.3.1.2).
#[derive(Clone, Debug, Default)]
pub(super) struct FullPipe {
    /// BBR.full_bw: what is to be exceeded by a quarter.
    pub(super) bw: Rate,
    /// BBR.full_bw_count: rounds in which it was not.
    count: u8,
    /// BBR.full_bw_now.
    pub(super) now: bool,
    /// BBR.full_bw_reached.
    pub(super) reached: bool,
    /// ACKs that told of losses, in this round trip.
    loss_events: u8,
    /// BBR.drain_start_round.
    drain_start_round: u32,
}

impl FullPipe {
    /// ResetFullBW, with what is to be exceeded.
    pub(super) fn reset(&mut self, bw: Rate) {
        self.bw = bw;
        self.count = 0;
        self.now = false;
    }
}

impl Bbr {
    /// EnterStartup (§5.3.1.1).
    pub(super) fn enter_startup(&mut self) {
        self.state = State::Startup;
    }

    /// CheckFullBWReached (§5.3.1.2).
    ///
    /// Note: by the best sample of the round. The draft takes the one at hand, which where segments are
    /// sent twice may be of one alone.
    pub(super) fn check_full_bw_reached(&mut self, rate: RateSample) {
        if self.full_pipe.now || !self.model.round_start || rate.is_app_limited {
            return;
        }
        // Note: nor does a flight tell anything that could not fill the pipe, as when the peer's window
        // is closed behind a gap.
        if self.state == State::Startup && rate.tx_in_flight_octets < self.bdp() {
            return;
        }
        let full = &mut self.full_pipe;
        let measured = self.model.bw_latest;
        if measured >= full.bw.scaled(5, 4) {
            full.reset(measured);
            return;
        }
        full.count += 1;
        full.now = full.count >= FULL_BW_ROUNDS;
        full.reached |= full.now;
    }

    /// CheckStartupDone.
    pub(super) fn check_startup_done(&mut self, ack: &Ack<'_>) {
        self.check_startup_high_loss(ack);
        if self.state == State::Startup && self.full_pipe.reached {
            self.enter_drain();
        }
    }

    /// CheckStartupHighLoss (§5.3.1.3). What it calls discontiguous ranges are here the ACKs that
    /// told of losses.
    ///
    /// Note: as long as the bandwidth grows and no queue shows, no loss ends it. The first rounds are
    /// short, and chance may lose much of them.
    fn check_startup_high_loss(&mut self, ack: &Ack<'_>) {
        if self.full_pipe.reached {
            return;
        }
        if ack.sample.lost_octets > 0 {
            self.full_pipe.loss_events = self.full_pipe.loss_events.saturating_add(1);
        }
        let lossy = self.model.loss_round_start
            && ack.sample.in_recovery
            && self.full_pipe.loss_events >= FULL_LOSS_COUNT
            && (self.full_pipe.count > 0 || self.queue_shows(ack.rate.elapsed))
            && self.is_inflight_too_high(
                ack.rate,
                ack.rate.lost_octets,
                ack.rate.tx_in_flight_octets,
            );
        if lossy || self.marked {
            self.undo.state = Some(UndoState::Startup);
            self.full_pipe.reached = true;
            self.model.inflight_longterm = self.bdp().max(self.model.inflight_latest);
        }
        if self.model.loss_round_start {
            self.full_pipe.loss_events = 0;
        }
    }

    /// EnterDrain (§5.3.2).
    fn enter_drain(&mut self) {
        self.state = State::Drain;
        self.full_pipe.drain_start_round = self.model.round_count;
    }

    /// CheckDrainDone (§5.3.2).
    pub(super) fn check_drain_done(&mut self, ack: &Ack<'_>) {
        if self.state != State::Drain {
            return;
        }
        let rounds = self.model.round_count.wrapping_sub(self.full_pipe.drain_start_round);
        let bw = self.model.bw();
        if ack.sample.in_flight_after_octets <= self.inflight(bw, 100) || rounds > DRAIN_ROUNDS_MAX
        {
            self.enter_probe_bw(ack);
        }
    }
}

/// §5.3.1.2: rounds without much growth after which the pipe counts as full.
const FULL_BW_ROUNDS: u8 = 3;

/// BBRStartupFullLossCnt (§5.3.1.3).
const FULL_LOSS_COUNT: u8 = 6;

/// §5.3.2.
const DRAIN_ROUNDS_MAX: u32 = 3;
