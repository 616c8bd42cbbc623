//! How fast the path delivers (draft-ietf-ccwg-bbr-06 §4.1, "Delivery Rate Samples").
//!
//! Each chunk carries, from when it was last sent, how much had been delivered by then and when that
//! was. When it is acknowledged, what has been delivered since, over the longer of the times that
//! sending and acknowledging it took, is a sample of the path's rate: bursts of ACKs cannot make
//! it larger than the rate at which was sent. A sample during which the application had nothing to
//! send says so.
//!
//! For one ACK: [`DeliveryRate::on_delivered`] for every chunk that is newly acknowledged or sacked
//! and [`DeliveryRate::on_lost`] for every one newly presumed lost, then once
//! [`DeliveryRate::sample`].

use std::time::Duration;

use super::congestion::Rate;
use crate::time::Instant;

/// What is counted of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeliveryRate {
    /// C.delivered: acknowledged so far, cumulatively or selectively [octets].
    delivered: u64,
    /// C.lost: presumed lost so far, each time that it was [octets].
    lost: u64,
    /// C.delivered_time: when `delivered` last grew.
    delivered_at: Instant,
    /// C.first_send_time: when the chunk was sent that was delivered last.
    first_sent_at: Instant,
    /// C.app_limited: until this much is delivered, samples are of the application [octets]; zero if
    /// they are not.
    app_limited_until: u64,
    /// `lost` at the last sample.
    lost_reported: u64,
    /// Of what the ACK at hand delivered, what was sent last.
    newest: Option<(Instant, SendState)>,
    /// Of what was lost since the last sample, what had the largest share of its flight lost.
    worst: Option<LostChunk>,
    /// For people alone.
    latest: LatestRate,
}

/// The last rate that was measured while the path, not the application, set it; or a higher one
/// that was measured since (as Linux, `tcp_rate_gen`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatestRate {
    /// Zero before the first.
    pub rate: Rate,
    pub is_app_limited: bool,
    /// The path has set it, and nobody has asked since.
    is_news: bool,
}

/// What a chunk remembers of the moment at which it was last sent. Intervals are in units of
/// 2^[`INTERVAL_SHIFT`] ns, counts wrap: both only ever matter as differences over a round trip.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SendState {
    /// P.delivered [octets].
    delivered: u32,
    /// P.lost [octets].
    lost: u32,
    /// P.tx_in_flight, what was sent included [octets]; the top bit is P.is_app_limited.
    in_flight: u32,
    /// From P.delivered_time to P.send_time.
    since_delivered: u32,
    /// From P.first_send_time to P.send_time.
    since_first_sent: u32,
}

/// What one ACK says about the rate of delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSample {
    /// `None` if the sample cannot be relied on: it took less than the shortest round trip.
    pub delivery_rate: Option<Rate>,
    /// RS.delivered: delivered over the interval [octets].
    pub delivered_octets: u64,
    /// C.delivered: delivered in all [octets].
    pub delivered_total: u64,
    /// RS.prior_delivered: delivered in all when the newest chunk was sent [octets]. A round trip
    /// is over when this has reached what was delivered at its beginning.
    pub prior_delivered: u64,
    pub interval: Duration,
    /// How long the newest chunk took, there and back. Not a measurement by Karn's rule: if it was
    /// sent more than once, it may have been the earlier sending that arrived.
    pub elapsed: Duration,
    /// Presumed lost since the newest chunk was sent [octets].
    pub lost_octets: u32,
    /// In flight when the newest chunk had been sent [octets].
    pub tx_in_flight_octets: u32,
    /// The application, not the path, may have set the rate.
    pub is_app_limited: bool,
    /// Of what is newly presumed lost, the chunk with the largest share of its flight lost.
    pub worst_loss: Option<LostChunk>,
}

/// A chunk that is presumed lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostChunk {
    pub octets: u32,
    /// In flight when it had been sent [octets].
    pub tx_in_flight_octets: u32,
    /// Presumed lost since it was sent, itself included [octets].
    pub lost_octets: u32,
    pub is_app_limited: bool,
}

impl DeliveryRate {
    pub(super) fn new() -> DeliveryRate {
        DeliveryRate {
            delivered: 0,
            lost: 0,
            delivered_at: Instant::ZERO,
            first_sent_at: Instant::ZERO,
            app_limited_until: 0,
            lost_reported: 0,
            newest: None,
            worst: None,
            latest: LatestRate::default(),
        }
    }

    /// OnPacketSent (§4.1.2.2): `octets` are sent with `in_flight` before them [octets]. What is
    /// returned belongs to the chunk until it is sent again.
    #[inline]
    pub(super) fn on_send(&mut self, octets: u32, in_flight: u32, now: Instant) -> SendState {
        if in_flight == 0 {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        let limited = if self.is_app_limited() { APP_LIMITED } else { 0 };
        SendState {
            delivered: self.delivered as u32,
            lost: self.lost as u32,
            in_flight: in_flight.saturating_add(octets) & !APP_LIMITED | limited,
            since_delivered: interval(now.since(self.delivered_at)),
            since_first_sent: interval(now.since(self.first_sent_at)),
        }
    }

    /// UpdateRateSample (§4.1.2.3): of a chunk that was sent at `sent_at`, `octets` are newly
    /// acknowledged. Within one ACK, in order of sequence numbers.
    #[inline]
    pub(super) fn on_delivered(
        &mut self,
        (sent_at, state): (Instant, SendState),
        octets: u32,
        now: Instant,
    ) {
        self.delivered += u64::from(octets);
        self.delivered_at = now;
        // IsNewestPacket; of those sent at the same time, the last in the sequence.
        if self.newest.is_none_or(|(newest, _)| sent_at >= newest) {
            self.newest = Some((sent_at, state));
            self.first_sent_at = sent_at;
        }
    }

    /// A chunk, or the rest of it, is newly presumed lost.
    pub(super) fn on_lost(&mut self, state: SendState, octets: u32) {
        self.lost += u64::from(octets);
        let chunk = LostChunk {
            octets,
            tx_in_flight_octets: state.in_flight & !APP_LIMITED,
            lost_octets: (self.lost as u32).wrapping_sub(state.lost),
            is_app_limited: state.in_flight & APP_LIMITED != 0,
        };
        if self.worst.is_none_or(|worst| chunk.share_exceeds(&worst)) {
            self.worst = Some(chunk);
        }
    }

    /// GenerateRateSample (§4.1.2.3): the end of an ACK. `None` if it delivered nothing; losses are
    /// then told with the next.
    pub(super) fn sample(&mut self, now: Instant, min_rtt: Option<Duration>) -> Option<RateSample> {
        let (sent_at, state) = self.newest.take()?;
        if self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        let delivered = (self.delivered as u32).wrapping_sub(state.delivered);
        let elapsed = now.since(sent_at);
        let ack_elapsed = elapsed.saturating_add(duration(state.since_delivered));
        let interval = ack_elapsed.max(duration(state.since_first_sent));
        // A chunk that was sent again needlessly may be acknowledged for its first sending, which
        // makes the interval too short.
        let reliable = !interval.is_zero() && min_rtt.is_none_or(|min_rtt| interval >= min_rtt);
        let delivery_rate = reliable.then(|| Rate::of(delivered.into(), interval));
        let is_app_limited = state.in_flight & APP_LIMITED != 0;
        if let Some(rate) = delivery_rate
            && (!is_app_limited || rate > self.latest.rate)
        {
            self.latest = LatestRate { rate, is_app_limited, is_news: !is_app_limited };
        }
        Some(RateSample {
            delivery_rate,
            delivered_octets: delivered.into(),
            delivered_total: self.delivered,
            prior_delivered: self.delivered - u64::from(delivered).min(self.delivered),
            interval,
            elapsed,
            lost_octets: (self.lost as u32).wrapping_sub(state.lost),
            tx_in_flight_octets: state.in_flight & !APP_LIMITED,
            is_app_limited,
            worst_loss: self.worst.take(),
        })
    }

    /// Delivered and presumed lost in all [octets].
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.delivered, self.lost)
    }

    /// `None` before the first.
    pub(super) fn latest(&self) -> Option<LatestRate> {
        (self.latest.rate > Rate::ZERO).then_some(self.latest)
    }

    /// The rate that the path has set, if it has set one since this was last asked.
    pub(super) fn take_path_rate(&mut self) -> Option<Rate> {
        std::mem::take(&mut self.latest.is_news).then_some(self.latest.rate)
    }

    /// What was presumed lost since this was last asked [octets].
    pub(super) fn take_lost(&mut self) -> u32 {
        let lost = self.lost - std::mem::replace(&mut self.lost_reported, self.lost);
        u32::try_from(lost).unwrap_or(u32::MAX)
    }

    /// MarkConnectionAppLimited (§4.1.2.4): nothing is left to send, though the window has room.
    #[inline]
    pub(super) fn mark_app_limited(&mut self, in_flight: u32) {
        self.app_limited_until = (self.delivered + u64::from(in_flight)).max(1);
    }

    #[inline]
    pub(super) fn is_app_limited(&self) -> bool {
        self.app_limited_until != 0
    }
}

impl LostChunk {
    /// Whether more of this one's flight was lost than of the other's.
    fn share_exceeds(&self, other: &LostChunk) -> bool {
        u64::from(self.lost_octets) * u64::from(other.tx_in_flight_octets)
            > u64::from(other.lost_octets) * u64::from(self.tx_in_flight_octets)
    }
}

fn interval(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos() >> INTERVAL_SHIFT).unwrap_or(u32::MAX)
}

fn duration(interval: u32) -> Duration {
    Duration::from_nanos(u64::from(interval) << INTERVAL_SHIFT)
}

/// 16 ns: fine enough for 100 Gbit/s, and 68 s at most, more than any timeout.
const INTERVAL_SHIFT: u32 = 4;

const APP_LIMITED: u32 = 1 << 31;

// In flight is never so much that it would meet the bit for the application.
const _: () = assert!(2 * (crate::limits::CONGESTION_WINDOW_MAX as u64) <= APP_LIMITED as u64);
const _: () = assert!(crate::limits::RTO_MAX.as_nanos() < (u32::MAX as u128) << INTERVAL_SHIFT,);

#[cfg(test)]
mod tests;
