//! How good a path is: a score from its round trips, their variation, loss and bandwidth, and how far
//! it can be relied on. The curves are argued for in `docs/decisions/0018-path-quality.md`.
//!
//! Two halves. Workers add what connections see to [`PathSums`]: integers, of which those of several
//! cores add up. Who reads them keeps a [`PathQuality`] for each path, in which what is past counts
//! for less and less, and judges by it. A single connection is judged by the same curves.

use std::time::Duration;

use super::add_counts;
use crate::tcp::congestion::Rate;
use crate::time::Instant;

/// What one connection has seen of its path since it was last asked.
#[derive(Clone, Copy, Debug)]
pub struct PathSample {
    /// SRTT and RTTVAR (RFC 6298).
    pub rtt: Duration,
    pub variation: Duration,
    /// Newly delivered, and newly presumed lost [octets].
    pub delivered_octets: u64,
    pub lost_octets: u64,
    /// As measured while the path, not the application, set it.
    pub rate: Option<Rate>,
}

/// What the connections of one path have seen of it, added up since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSums {
    pub samples: u64,
    /// SRTT and RTTVAR of each sample [µs].
    pub rtt_us: u64,
    pub variation_us: u64,
    pub delivered_octets: u64,
    pub lost_octets: u64,
    /// Samples with a rate, and their rates [octets/s].
    pub rate_samples: u64,
    pub rate: u64,
}

impl PathSums {
    #[inline]
    pub fn add_sample(&mut self, sample: &PathSample) {
        self.samples += 1;
        self.rtt_us += sample.rtt.as_micros() as u64;
        self.variation_us += sample.variation.as_micros() as u64;
        self.delivered_octets += sample.delivered_octets;
        self.lost_octets += sample.lost_octets;
        if let Some(rate) = sample.rate {
            self.rate_samples += 1;
            self.rate = self.rate.saturating_add(rate.octets_per_second());
        }
    }

    /// Adds what another core's connections have seen of the same path.
    pub fn add(&mut self, other: &PathSums) {
        add_counts!(self, other; PathSums {
            samples,
            rtt_us,
            variation_us,
            delivered_octets,
            lost_octets,
            rate_samples,
            rate,
        });
    }
}

/// What is seen of a path, or of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    pub rtt: Duration,
    /// Mean deviation of the round trip.
    pub jitter: Duration,
    /// Of what was sent, from 0 to 1.
    pub loss: f64,
    /// [octets/s]; `None` if the path was never what limited sending.
    pub bandwidth: Option<f64>,
}

/// A judgement. Scores are from 0, useless, to 100, nothing left to wish for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// What is left of 100 by all four impairments.
    pub score: f64,
    /// What would be left by each alone.
    pub delay: f64,
    pub jitter: f64,
    pub loss: f64,
    pub bandwidth: f64,
    /// From 0 to 1, by how much was seen, and how long ago.
    pub confidence: f64,
}

impl Quality {
    /// `weight`: the samples that this rests on, older ones for less than one.
    pub fn of(seen: &Seen, weight: f64) -> Self {
        let delay = delay_impairment(seen.rtt);
        let jitter = delay_impairment(seen.rtt + JITTER_BUFFER * seen.jitter) - delay;
        let loss = loss_impairment(seen.loss);
        let bandwidth = seen.bandwidth.map_or(0.0, bandwidth_impairment);
        let left = |impairment: f64| (BEST - impairment).clamp(0.0, BEST);
        Quality {
            score: left(delay + jitter + loss + bandwidth),
            delay: left(delay),
            jitter: left(jitter),
            loss: left(loss),
            bandwidth: left(bandwidth),
            confidence: weight / (weight + WEIGHT_OF_DOUBT),
        }
    }
}

/// What so many samples are worth that were taken a while ago.
pub fn aged(samples: f64, age: Duration) -> f64 {
    samples * (-age.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
}

/// What is known of one path: what came [`HALF_LIFE`] ago counts half.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathQuality {
    last: PathSums,
    updated: Instant,
    samples: f64,
    rtt_us: f64,
    variation_us: f64,
    delivered_octets: f64,
    lost_octets: f64,
    rate_samples: f64,
    rate: f64,
}

impl PathQuality {
    /// Takes in what was added to the sums since they were last looked at.
    pub fn update(&mut self, sums: &PathSums, now: Instant) {
        let keep = aged(1.0, now.since(self.updated));
        let last = std::mem::replace(&mut self.last, *sums);
        let weigh = |kept: &mut f64, sum: u64, before: u64| {
            *kept = *kept * keep + sum.saturating_sub(before) as f64;
        };
        weigh(&mut self.samples, sums.samples, last.samples);
        weigh(&mut self.rtt_us, sums.rtt_us, last.rtt_us);
        weigh(&mut self.variation_us, sums.variation_us, last.variation_us);
        weigh(&mut self.delivered_octets, sums.delivered_octets, last.delivered_octets);
        weigh(&mut self.lost_octets, sums.lost_octets, last.lost_octets);
        weigh(&mut self.rate_samples, sums.rate_samples, last.rate_samples);
        weigh(&mut self.rate, sums.rate, last.rate);
        self.updated = now;
    }

    /// What it comes to, as of the last update; `None` as long as nothing is known, or nothing any
    /// more.
    pub fn judge(&self) -> Option<(Seen, Quality)> {
        if self.samples < FORGOTTEN_SAMPLES {
            return None;
        }
        let mean = |sum_us: f64| Duration::from_secs_f64(sum_us / self.samples / 1e6);
        let sent = self.delivered_octets + self.lost_octets;
        let seen = Seen {
            rtt: mean(self.rtt_us),
            jitter: mean(self.variation_us),
            loss: if sent > 0.0 { self.lost_octets / sent } else { 0.0 },
            bandwidth: (self.rate_samples >= FORGOTTEN_SAMPLES)
                .then_some(self.rate / self.rate_samples),
        };
        Some((seen, Quality::of(&seen, self.samples)))
    }
}

/// The E-model's delay impairment (ITU-T G.107), in the short form of Cole and Rosenbluth ("Voice over IP
/// performance monitoring", CCR 31(2), 2001). It is made for one way, mouth to ear; who asks over TCP
/// waits for the answer too, so here it is the round trip.
fn delay_impairment(round_trip: Duration) -> f64 {
    let ms = round_trip.as_secs_f64() * 1e3;
    0.024 * ms + 0.11 * (ms - 177.3).max(0.0)
}

/// The E-model's loss impairment (ITU-T G.107, Ie,eff) of a codec that conceals nothing (G.113, G.711
/// without PLC: Bpl 4.3 %): TCP has to send again whatever is lost.
fn loss_impairment(share: f64) -> f64 {
    let percent = share * 100.0;
    95.0 * percent / (percent + 4.3)
}

/// What people think of waiting for data goes by the logarithm of the time (ITU-T G.1030).
fn bandwidth_impairment(octets_per_second: f64) -> f64 {
    let tenfolds_short = (BANDWIDTH_ENOUGH / octets_per_second.max(1.0)).log10();
    (POINTS_PER_TENFOLD * tenfolds_short).clamp(0.0, BEST)
}

const BEST: f64 = 100.0;

/// What arrives within so many mean deviations of the round trip is nearly all (RFC 6298 §2, K): waiting
/// for it is what variation costs.
const JITTER_BUFFER: u32 = 4;

/// Bandwidth of one connection beyond which nothing is missed: 100 Mbit/s [octets/s].
const BANDWIDTH_ENOUGH: f64 = 12_500_000.0;

/// What a tenth of it costs, and a hundredth twice.
const POINTS_PER_TENFOLD: f64 = 15.0;

/// As many samples make it as likely to be right as not (Bühlmann's credibility, n / (n + k)).
const WEIGHT_OF_DOUBT: f64 = 20.0;

/// Long enough to see a one-percent loss, short enough to see that it is over.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// With less than this nothing is said any more: one sample, ten half-lives ago.
const FORGOTTEN_SAMPLES: f64 = 1.0 / 1024.0;

#[cfg(test)]
mod tests;
