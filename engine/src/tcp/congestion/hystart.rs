//! HyStart++ (RFC 9406): leaves the first slow start when round trips grow, before loss ends it.
//!
//! Slow start doubles until something breaks, and then a whole window may be lost at once. A
//! queue that builds up shows earlier, in longer round trips. When they do, growth slows down
//! for some rounds (conservative slow start); if the round trips stay long, slow start is over.

use std::time::Duration;

/// What slow start should do for the ACK at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Grow as usual.
    SlowStart,
    /// Grow by a quarter of that.
    Conservative,
    /// Slow start is over.
    Leave,
}

/// Measures rounds of slow start.
#[derive(Clone, Debug)]
pub(super) struct HyStart {
    /// lastRoundMinRTT, currentRoundMinRTT and cssBaselineMinRtt; `u32::MAX` is infinity [µs].
    last_round_us: u32,
    round_us: u32,
    css_baseline_us: u32,
    /// What is to be acknowledged before the round is over [octets]. RFC 9406 §4.2 marks the
    /// round's end with SND.NXT; the octets in flight at its start say the same.
    round_left_octets: u32,
    /// rttSampleCount of this round.
    samples: u8,
    /// Rounds begun in conservative slow start; zero outside of it.
    css_rounds: u8,
}

impl HyStart {
    pub(super) fn new() -> Self {
        HyStart {
            last_round_us: u32::MAX,
            round_us: u32::MAX,
            css_baseline_us: u32::MAX,
            round_left_octets: 0,
            samples: 0,
            css_rounds: 0,
        }
    }

    /// Takes in one ACK of slow start. `in_flight_octets` is before the ACK.
    pub(super) fn on_ack(
        &mut self,
        rtt: Option<Duration>,
        acked_octets: u32,
        in_flight_octets: u32,
    ) -> Advice {
        if self.round_left_octets == 0 {
            self.begin_round(in_flight_octets);
        }
        if let Some(rtt) = rtt {
            let us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX - 1);
            self.round_us = self.round_us.min(us);
            self.samples = self.samples.saturating_add(1);
        }
        self.judge();
        self.round_left_octets = self.round_left_octets.saturating_sub(acked_octets);
        // RFC 9406 §4.2: if CSS_ROUNDS rounds are complete, enter congestion avoidance.
        let round_over = self.round_left_octets == 0;
        match self.css_rounds {
            0 => Advice::SlowStart,
            CSS_ROUNDS if round_over => Advice::Leave,
            _ => Advice::Conservative,
        }
    }

    fn begin_round(&mut self, in_flight_octets: u32) {
        self.last_round_us = self.round_us;
        self.round_us = u32::MAX;
        self.samples = 0;
        self.round_left_octets = in_flight_octets;
        if self.css_rounds > 0 {
            self.css_rounds = (self.css_rounds + 1).min(CSS_ROUNDS);
        }
    }

    /// RFC 9406 §4.2: compares this round's shortest round trip, once it has samples enough.
    fn judge(&mut self) {
        if self.samples < ROUND_SAMPLES || self.round_us == u32::MAX {
            return;
        }
        if self.css_rounds > 0 {
            // The delay went away, so it was no queue of ours: back to slow start.
            if self.round_us < self.css_baseline_us {
                self.css_baseline_us = u32::MAX;
                self.css_rounds = 0;
            }
        } else if self.last_round_us != u32::MAX {
            let threshold_us = (self.last_round_us / RTT_DIVISOR)
                .clamp(RTT_THRESHOLD_US_MIN, RTT_THRESHOLD_US_MAX);
            if self.round_us >= self.last_round_us.saturating_add(threshold_us) {
                self.css_baseline_us = self.round_us;
                self.css_rounds = 1;
            }
        }
    }
}

// RFC 9406 §4.3, all of them the recommended values.
const RTT_THRESHOLD_US_MIN: u32 = 4_000;
const RTT_THRESHOLD_US_MAX: u32 = 16_000;
const RTT_DIVISOR: u32 = 8;
const ROUND_SAMPLES: u8 = 8;
const CSS_ROUNDS: u8 = 5;

/// RFC 9406 §4.3, CSS_GROWTH_DIVISOR.
pub(super) const CSS_GROWTH_DIVISOR: u32 = 4;

/// RFC 9406 §4.3, L: the most segments to grow by for one ACK; no bound for a sender that paces.
///
/// Note: the recommended bound is 8. Receive offload merges up to 64 KiB, and its ACK tells of them
/// all at once: with 8, slow start towards today's hosts would not double (Linux has no bound).
pub(super) fn slow_start_segments(paced: bool) -> u32 {
    if paced { u32::MAX } else { 65_535 / 1_460 }
}
