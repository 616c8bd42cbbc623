//! What a link has measured.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Counted since the last [`super::Link::forget_figures`].
#[derive(Debug)]
pub struct Figures {
    /// Packets that were sent, those lost behind the queue included.
    pub sent: u64,
    /// Packets that found the queue full.
    pub dropped: u64,
    /// Packets that the path lost.
    pub lost: u64,
    pub marked: u64,
    /// Time in which the link was sending.
    pub busy: Duration,
    /// How long packets waited, as a sum, at most, and in detail [µs].
    waited_us: u64,
    waited_us_max: u64,
    waits_us: Histogram<u64>,
}

/// Waits beyond this count as this [µs].
const WAIT_US_MAX: u64 = 60_000_000;

impl Default for Figures {
    fn default() -> Self {
        let waits_us = Histogram::new_with_bounds(1, WAIT_US_MAX, 3);
        Figures {
            sent: 0,
            dropped: 0,
            lost: 0,
            marked: 0,
            busy: Duration::ZERO,
            waited_us: 0,
            waited_us_max: 0,
            waits_us: waits_us.expect("bounds that hdrhistogram takes"),
        }
    }
}

impl Figures {
    pub(super) fn on_sent(&mut self, waiting: Duration, sending: Duration) {
        let waiting_us = (waiting.as_micros() as u64).min(WAIT_US_MAX);
        self.sent += 1;
        self.busy += sending;
        self.waited_us += waiting_us;
        self.waited_us_max = self.waited_us_max.max(waiting_us);
        self.waits_us.saturating_record(waiting_us);
    }

    /// How long a packet waited in the queue on average [µs].
    pub fn wait_us_mean(&self) -> u64 {
        self.waited_us / self.sent.max(1)
    }

    /// How long 95 of 100 packets waited at most [µs], to three digits.
    pub fn wait_us_p95(&self) -> u64 {
        self.waits_us.value_at_quantile(0.95)
    }

    /// The longest wait [µs].
    pub fn wait_us_max(&self) -> u64 {
        self.waited_us_max
    }
}
