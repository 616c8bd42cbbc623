//! A queue in front of a rate.

use std::time::Duration;

use ringroad_engine::time::Instant;

/// First in, first out, and bounded in octets (drop-tail). As nothing is ever taken out of its
/// middle, it is no more than the time until the link behind it is idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    rate_bps: u64,
    octets_max: u64,
    mark_octets: Option<u64>,
    /// When the last packet that was taken will have been sent.
    idle_at: Instant,
}

/// What a packet that the queue has taken finds there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// When the last of it has been sent.
    pub sent_at: Instant,
    pub waiting: Duration,
    pub sending: Duration,
    /// So many full packets could have been sent since the one before, itself included.
    pub slots: u64,
    /// So much waits that it should be marked.
    pub marked: bool,
}

impl Queue {
    /// See [`super::LinkSettings`].
    pub(crate) fn new(rate_bps: u64, octets_max: u64, mark_octets: Option<u64>) -> Self {
        Queue { rate_bps, octets_max, mark_octets, idle_at: Instant::ZERO }
    }

    /// Takes a packet that arrives at `now`; `None` if it finds no room.
    pub(crate) fn take(&mut self, now: Instant, octets: u32) -> Option<Turn> {
        let octets = u64::from(octets);
        let waiting = self.queueing(now);
        let before = self.idle_at;
        let Some(sending_ns) = (octets * 8 * NANOS).checked_div(self.rate_bps) else {
            self.idle_at = now;
            let (sent_at, sending) = (now, Duration::ZERO);
            let slots = octets_in(now.since(before), NOMINAL_RATE_BPS) / SLOT_OCTETS;
            return Some(Turn { sent_at, waiting, sending, slots, marked: false });
        };
        let backlog = octets_in(waiting, self.rate_bps);
        if backlog + octets > self.octets_max {
            return None;
        }
        let sending = Duration::from_nanos(sending_ns);
        self.idle_at = self.idle_at.max(now) + sending;
        Some(Turn {
            sent_at: self.idle_at,
            waiting,
            sending,
            slots: octets_in(self.idle_at.since(before), self.rate_bps) / SLOT_OCTETS,
            marked: self.mark_octets.is_some_and(|threshold| backlog > threshold),
        })
    }

    /// How long a packet that arrived now would wait.
    pub(crate) fn queueing(&self, now: Instant) -> Duration {
        self.idle_at.since(now)
    }
}

/// What is sent in that time [octets].
fn octets_in(time: Duration, rate_bps: u64) -> u64 {
    (time.as_nanos() * u128::from(rate_bps) / (8 * u128::from(NANOS))) as u64
}

const NANOS: u64 = 1_000_000_000;

/// Where there is no rate, slots are those of a link so fast.
const NOMINAL_RATE_BPS: u64 = 1_000_000_000;

/// What is sent in a slot of [`super::Loss::Bursts`] [octets].
const SLOT_OCTETS: u64 = 1500;
