//! HyStart++ (RFC 9406): leaves the first slow start when round trips grow, before loss ends it;
//! and when ACKs show that the window fills the path (Ha and Rhee, 2011), before there is a queue.
//!
//! Slow start doubles until something breaks, and then a whole window may be lost at once. A
//! queue that builds up shows earlier, in longer round trips. When they do, growth slows down
//! for some rounds (conservative slow start); if the round trips stay long, slow start is over.
//!
//! By then the window is up to twice what the path and the queue before it take. What shows earlier
//! is how long the ACKs of a round go on without a gap, for segments that leave as fast as ACKs
//! arrive: it is the part of the round trip that the window fills. When that is half, the window,
//! which is doubling, is about to fill it all.

use super::AckSample;
use crate::time::Instant;

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
    train: Option<Train>,
    paced: bool,
}

/// ACKs without a gap, from a round's first on.
#[derive(Clone, Copy, Debug)]
struct Train {
    first: Instant,
    last: Instant,
}

impl HyStart {
    /// `paced` segments leave spread over a round trip, so ACKs do not tell how much of it they fill.
    pub(super) fn new(paced: bool) -> Self {
        HyStart {
            last_round_us: u32::MAX,
            round_us: u32::MAX,
            css_baseline_us: u32::MAX,
            round_left_octets: 0,
            samples: 0,
            css_rounds: 0,
            train: None,
            paced,
        }
    }

    /// Takes in one ACK of slow start.
    pub(super) fn on_ack(&mut self, sample: &AckSample) -> Advice {
        if self.round_left_octets == 0 {
            self.begin_round(sample);
        }
        if self.train_fills_path(sample) {
            return Advice::Leave;
        }
        if let Some(rtt) = sample.rtt {
            let us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX - 1);
            self.round_us = self.round_us.min(us);
            self.samples = self.samples.saturating_add(1);
        }
        self.judge();
        self.round_left_octets = self.round_left_octets.saturating_sub(sample.acked_octets);
        // RFC 9406 §4.2: if CSS_ROUNDS rounds are complete, enter congestion avoidance.
        let round_over = self.round_left_octets == 0;
        match self.css_rounds {
            0 => Advice::SlowStart,
            CSS_ROUNDS if round_over => Advice::Leave,
            _ => Advice::Conservative,
        }
    }

    fn begin_round(&mut self, sample: &AckSample) {
        self.last_round_us = self.round_us;
        self.round_us = u32::MAX;
        self.samples = 0;
        self.round_left_octets = sample.in_flight_octets;
        self.train = (!self.paced).then_some(Train { first: sample.now, last: sample.now });
        if self.css_rounds > 0 {
            self.css_rounds = (self.css_rounds + 1).min(CSS_ROUNDS);
        }
    }

    /// Whether the ACKs of this round have gone on without a gap for half of the round trip.
    fn train_fills_path(&mut self, sample: &AckSample) -> bool {
        let (Some(train), Some(min_rtt)) = (&mut self.train, sample.min_rtt) else { return false };
        if sample.now.since(train.last) > min_rtt / TRAIN_GAP_DIVISOR {
            self.train = None;
            return false;
        }
        train.last = sample.now;
        sample.now.since(train.first) > min_rtt / TRAIN_DIVISOR
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

/// The part of the round trip that a window fills when it is time to leave.
const TRAIN_DIVISOR: u32 = 2;

/// The part of the round trip by which ACKs may be apart. Linux takes 2 ms whatever the path; ACKs of a
/// slow one, which are for two segments or more, are further apart.
const TRAIN_GAP_DIVISOR: u32 = 8;

/// RFC 9406 §4.3, CSS_GROWTH_DIVISOR.
pub(super) const CSS_GROWTH_DIVISOR: u32 = 4;

/// RFC 9406 §4.3, L: the most segments to grow by for one ACK; no bound for a sender that paces.
///
/// Note: the recommended bound is 8. Receive offload merges up to 64 KiB, and its ACK tells of them
/// all at once: with 8, slow start towards today's hosts would not double (Linux has no bound).
pub(super) fn slow_start_segments(paced: bool) -> u32 {
    if paced { u32::MAX } else { 65_535 / 1_460 }
}
