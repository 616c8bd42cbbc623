//! What BBR knows of the path (draft-ietf-ccwg-bbr-06 §5.5).

use std::time::Duration;

use super::random_loss::RandomLoss;
use super::{Ack, INFINITY, QUEUE_MARGIN};
use crate::tcp::congestion::{AckSample, Rate};
use crate::tcp::delivery_rate::RateSample;
use crate::time::Instant;

#[derive(Clone, Debug)]
pub(super) struct Model {
    /// BBR.max_bw_filter: the most of this cycle of ProbeBW and of the one before.
    max_bw: [Rate; 2],
    /// BBR.bw_latest: the most of the last round trip.
    pub(super) bw_latest: Rate,
    /// BBR.bw_shortterm: what recent losses leave of it.
    pub(super) bw_shortterm: Rate,
    /// BBR.bw: what is counted on now.
    bw: Rate,
    /// BBR.min_rtt; `None` before a round trip was measured.
    pub(super) min_rtt: Option<Duration>,
    pub(super) min_rtt_at: Instant,
    /// The shortest round trip that the path is known to have [µs]; `u32::MAX` before one was
    /// measured. Unlike BBR.min_rtt it is not forgotten in ten seconds, through all of which flows
    /// that share a queue may keep it full.
    floor_us: u32,
    /// BBR.inflight_latest: the most that was delivered within a round trip, of the last [octets].
    pub(super) inflight_latest: u32,
    /// BBR.inflight_shortterm: what recent losses leave to be in flight [octets].
    pub(super) inflight_shortterm: u32,
    /// BBR.inflight_longterm: what probing has shown to be too much [octets].
    pub(super) inflight_longterm: u32,
    /// BBR.extra_acked_interval_start and BBR.extra_acked_delivered [octets].
    extra_acked_start: Instant,
    extra_acked_delivered: u32,
    /// BBR.extra_acked_filter: the most of this half of the filter's rounds and of the one before
    /// [octets], and when this half began [rounds].
    extra_acked: [u32; 2],
    extra_acked_round: u32,
    /// C.delivered [octets].
    delivered: u64,
    /// BBR.next_round_delivered [octets].
    next_round_delivered: u64,
    /// BBR.loss_round_delivered [octets].
    pub(super) loss_round_delivered: u64,
    /// BBR.round_count.
    pub(super) round_count: u32,
    /// BBR.round_start: this ACK begins a round trip.
    pub(super) round_start: bool,
    /// BBR.loss_round_start: this ACK ends a round trip that began with a loss.
    pub(super) loss_round_start: bool,
    /// BBR.is_loss_in_round: there was a loss that counts as congestion.
    pub(super) is_loss_in_round: bool,
    /// The last loss round has lost more than can be by chance.
    pub(super) is_round_lossy: bool,
    /// What was acknowledged soonest after it was sent, since the loss round began [µs].
    pub(super) round_elapsed_us: u32,
    /// Lost and delivered since rounds were last judged by it [octets].
    pub(super) round_lost: u32,
    pub(super) round_delivered: u32,
    /// What is lost although nothing queues.
    pub(super) random_loss: RandomLoss,
}

impl Model {
    pub(super) fn new() -> Model {
        Model {
            max_bw: [Rate::ZERO; 2],
            bw_latest: Rate::ZERO,
            bw_shortterm: Rate::INFINITY,
            bw: Rate::ZERO,
            min_rtt: None,
            min_rtt_at: Instant::ZERO,
            floor_us: u32::MAX,
            inflight_latest: 0,
            inflight_shortterm: INFINITY,
            inflight_longterm: INFINITY,
            extra_acked_start: Instant::ZERO,
            extra_acked_delivered: 0,
            extra_acked: [0; 2],
            extra_acked_round: 0,
            delivered: 0,
            next_round_delivered: 0,
            loss_round_delivered: 0,
            round_count: 0,
            round_start: false,
            loss_round_start: false,
            is_loss_in_round: false,
            is_round_lossy: false,
            round_elapsed_us: u32::MAX,
            round_lost: 0,
            round_delivered: 0,
            random_loss: RandomLoss::default(),
        }
    }

    /// C.delivered [octets].
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn max_bw(&self) -> Rate {
        self.max_bw[0].max(self.max_bw[1])
    }

    pub(super) fn bw(&self) -> Rate {
        self.bw
    }

    /// Continues with a bandwidth that was known before.
    pub(super) fn recall(&mut self, bw: Rate) {
        self.max_bw[0] = bw;
        self.bw = bw;
    }

    /// The ACK at hand brings the count of what is delivered up to date.
    pub(super) fn begin_ack(&mut self, ack: &Ack<'_>) {
        self.delivered = ack.rate.delivered_total;
        self.round_lost = self.round_lost.saturating_add(ack.sample.lost_octets);
        self.round_delivered = self.round_delivered.saturating_add(ack.sample.acked_octets);
        let elapsed_us = u32::try_from(ack.rate.elapsed.as_micros()).unwrap_or(u32::MAX);
        self.round_elapsed_us = self.round_elapsed_us.min(elapsed_us);
    }

    /// Lost or delivered since rounds were last judged by it [octets].
    pub(super) fn round_sent(&self) -> u32 {
        self.round_delivered.saturating_add(self.round_lost)
    }

    /// What was acknowledged soonest in the loss round that is over took so long; the next begins.
    pub(super) fn take_soonest(&mut self) -> Duration {
        let soonest_us = std::mem::replace(&mut self.round_elapsed_us, u32::MAX);
        Duration::from_micros(soonest_us.into())
    }

    /// BBR.min_rtt has fallen, or has been renewed as its time was over.
    ///
    /// The floor rises by little at a time, so that in some minutes it follows a path that has become
    /// longer. Where it falls, what seemed to be lost without a queue had met one.
    pub(super) fn follow_min_rtt(&mut self, min_rtt: Duration, is_renewed: bool) {
        let us = u32::try_from(min_rtt.as_micros()).unwrap_or(u32::MAX - 1);
        if us.saturating_add(us / QUEUE_MARGIN) < self.floor_us {
            self.random_loss = RandomLoss::default();
        }
        let rise = if is_renewed { self.floor_us / FLOOR_RISE } else { 0 };
        self.floor_us = us.min(self.floor_us.saturating_add(rise));
    }

    /// The shortest round trip that the path is known to have; `None` before one was measured.
    pub(super) fn floor(&self) -> Option<Duration> {
        (self.floor_us < u32::MAX).then(|| Duration::from_micros(self.floor_us.into()))
    }

    /// StartRound (§5.5.1).
    pub(super) fn start_round(&mut self) {
        self.next_round_delivered = self.delivered;
    }

    /// UpdateLatestDeliverySignals (§5.5.10.3).
    pub(super) fn update_latest_delivery_signals(&mut self, rate: RateSample) {
        self.bw_latest = self.bw_latest.max(rate.delivery_rate.unwrap_or_default());
        self.inflight_latest = self.inflight_latest.max(delivered_octets(rate));
        self.loss_round_start = rate.prior_delivered >= self.loss_round_delivered;
        if self.loss_round_start {
            self.loss_round_delivered = self.delivered;
        }
    }

    /// AdvanceLatestDeliverySignals (§5.5.10.3).
    pub(super) fn advance_latest_delivery_signals(&mut self, rate: RateSample) {
        if self.loss_round_start {
            self.bw_latest = rate.delivery_rate.unwrap_or_default();
            self.inflight_latest = delivered_octets(rate);
        }
    }

    /// ResetCongestionSignals (§5.5.10.3).
    pub(super) fn reset_congestion_signals(&mut self) {
        self.is_loss_in_round = false;
        self.bw_latest = Rate::ZERO;
        self.inflight_latest = 0;
    }

    /// ResetShortTermModel (§5.5.10.3).
    pub(super) fn reset_short_term(&mut self) {
        self.bw_shortterm = Rate::INFINITY;
        self.inflight_shortterm = INFINITY;
    }

    /// UpdateRound (§5.5.1). Returns whether a round trip is over.
    pub(super) fn update_round(&mut self, rate: RateSample) -> bool {
        self.round_start = rate.prior_delivered >= self.next_round_delivered;
        if self.round_start {
            self.start_round();
            self.round_count = self.round_count.wrapping_add(1);
        }
        self.round_start
    }

    /// UpdateMaxBw (§5.5.5), after [`Model::update_round`].
    pub(super) fn update_max_bw(&mut self, rate: RateSample) {
        // §5.5.4: what the application had set the rate of can only show that there is more.
        if let Some(measured) = rate.delivery_rate
            && (measured >= self.max_bw() || !rate.is_app_limited)
        {
            self.max_bw[0] = self.max_bw[0].max(measured);
        }
    }

    /// AdvanceMaxBwFilter (§5.5.6): another cycle; the one before the last is forgotten.
    pub(super) fn advance_max_bw_filter(&mut self) {
        // A cycle that measured nothing is no reason to forget.
        if self.max_bw[0] != Rate::ZERO {
            self.max_bw = [Rate::ZERO, self.max_bw[0]];
        }
    }

    /// BoundBWForModel (§5.5.10.3).
    pub(super) fn bound_bw(&mut self) {
        self.bw = self.max_bw().min(self.bw_shortterm);
    }

    /// Sending begins again: what is acknowledged from now on is expected from now on.
    pub(super) fn restart_aggregation(&mut self, now: Instant) {
        self.extra_acked_start = now;
    }

    /// UpdateACKAggregation (§5.5.9). The maximum over `filter_rounds` is kept in two halves, so it
    /// is forgotten after between half as many rounds and as many.
    pub(super) fn update_ack_aggregation(
        &mut self,
        sample: &AckSample,
        cwnd: u32,
        filter_rounds: u32,
    ) {
        if self.round_count.wrapping_sub(self.extra_acked_round) >= filter_rounds.div_ceil(2) {
            self.extra_acked_round = self.round_count;
            self.extra_acked = [0, self.extra_acked[0]];
        }
        let mut expected = self.bw.octets_in(sample.now.since(self.extra_acked_start));
        // The ACKs have fallen behind: what came in a burst has been used up.
        if u64::from(self.extra_acked_delivered) <= expected {
            self.extra_acked_delivered = 0;
            self.extra_acked_start = sample.now;
            expected = 0;
        }
        self.extra_acked_delivered = self.extra_acked_delivered.saturating_add(sample.acked_octets);
        let extra = u64::from(self.extra_acked_delivered).saturating_sub(expected);
        let extra = u32::try_from(extra).unwrap_or(u32::MAX).min(cwnd);
        self.extra_acked[0] = self.extra_acked[0].max(extra);
    }

    /// BBR.extra_acked [octets].
    pub(super) fn extra_acked(&self) -> u32 {
        self.extra_acked[0].max(self.extra_acked[1])
    }
}

/// The part of itself by which the floor rises each time that BBR.min_rtt is renewed, which is every
/// ten seconds.
const FLOOR_RISE: u32 = 64;

fn delivered_octets(rate: RateSample) -> u32 {
    u32::try_from(rate.delivered_octets).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_floor_falls_at_once_and_rises_by_little() {
        let mut model = Model::new();
        assert_eq!(model.floor(), None);
        model.follow_min_rtt(40 * MS, false);
        model.follow_min_rtt(20 * MS, false);
        assert_eq!(model.floor(), Some(20 * MS));
        model.follow_min_rtt(60 * MS, true);
        assert_eq!(model.floor(), Some(Duration::from_micros(20_000 + 20_000 / 64)));
        // In ten minutes it is where a longer path has it.
        (0..60).for_each(|_| model.follow_min_rtt(40 * MS, true));
        assert_eq!(model.floor(), Some(40 * MS));
    }

    #[test]
    fn what_was_lost_in_a_queue_is_not_known_as_random_once_the_path_is_seen_without() {
        let mut model = Model::new();
        model.follow_min_rtt(40 * MS, false);
        model.random_loss.take(3_000, 97_000, 1_000_000);
        model.follow_min_rtt(39 * MS, false);
        assert!(model.random_loss.likely_ppm() > 0, "as good as the same");
        model.follow_min_rtt(20 * MS, false);
        assert_eq!(model.random_loss.likely_ppm(), 0);
    }
}
