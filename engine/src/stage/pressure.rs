//! When SYN cookies are worth their price: on at once when new connections come too fast or too
//! many are half open, off when there has been calm for a while.
//!
//! A connection that a cookie opens is a little poorer than one that was remembered: its segment
//! size is of a few classes, and if its handshake's last segment is lost, an origin that speaks first
//! has to wait for the client.

use crate::limits::{PRESSURE_HOLD, PRESSURE_INTERVAL, PRESSURE_WINDOW};
use crate::time::Instant;

/// Where pressure begins, on one lane. It ends below half of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// New connections, answered by cookies or not [SYN/s].
    pub syn_per_second: u32,
    /// Connections whose client has not acknowledged our SYN-ACK.
    pub half_open: u32,
}

/// What a lane has to do with new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// All that ever came.
    pub syns: u64,
    /// At this moment.
    pub half_open: usize,
}

/// Whether a lane is under pressure. It is not at first.
#[derive(Clone, Debug)]
pub struct Pressure {
    thresholds: Thresholds,
    on: bool,
    /// When that changed last, if ever.
    since: Option<Instant>,
    syns_seen: u64,
    /// Of the threshold, and of half of it.
    full_rate: Meter,
    half_rate: Meter,
    /// When one of the two was last above half of its threshold.
    pressed_at: Instant,
    next_look: Instant,
}

impl Pressure {
    pub fn new(thresholds: Thresholds) -> Self {
        let interval_ns = 1_000_000_000 / u64::from(thresholds.syn_per_second.max(1));
        Pressure {
            thresholds,
            on: false,
            since: None,
            syns_seen: 0,
            full_rate: Meter { interval_ns, level_ns: 0, at: Instant::ZERO },
            half_rate: Meter { interval_ns: 2 * interval_ns, level_ns: 0, at: Instant::ZERO },
            pressed_at: Instant::ZERO,
            next_look: Instant::ZERO,
        }
    }

    /// Whether it is time to [look](Pressure::look): the count of SYNs is another core's memory.
    #[inline]
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.next_look
    }

    /// What is to be done about `load`, if anything is new: cookies on, or off.
    pub fn look(&mut self, now: Instant, load: Load) -> Option<bool> {
        self.next_look = now + PRESSURE_INTERVAL;
        let syns = load.syns.saturating_sub(self.syns_seen);
        self.syns_seen = load.syns;
        let half_open_max = self.thresholds.half_open as usize;
        // Both meters see every SYN.
        let above = self.full_rate.exceeds(now, syns) | (load.half_open > half_open_max);
        if self.half_rate.exceeds(now, syns) | (load.half_open > half_open_max / 2) {
            self.pressed_at = now;
        }
        let on = above || self.on && now.since(self.pressed_at) < PRESSURE_HOLD;
        if on == self.on {
            return None;
        }
        self.on = on;
        self.since = Some(now);
        Some(on)
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// When pressure last began or ended; `None` if there never was any.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }
}

/// A bucket that leaks at a rate, and holds what the rate makes in [`PRESSURE_WINDOW`].
#[derive(Clone, Copy, Debug)]
struct Meter {
    /// Between two at the rate.
    interval_ns: u64,
    level_ns: u64,
    at: Instant,
}

impl Meter {
    /// Whether `count` more are too many. The bucket is then full, and no more.
    fn exceeds(&mut self, now: Instant, count: u64) -> bool {
        let leaked_ns = now.since(self.at).as_nanos() as u64;
        let room_ns = (PRESSURE_WINDOW.as_nanos() as u64).max(self.interval_ns);
        let level_ns = self
            .level_ns
            .saturating_sub(leaked_ns)
            .saturating_add(count.saturating_mul(self.interval_ns));
        self.at = now;
        self.level_ns = level_ns.min(room_ns);
        level_ns > room_ns
    }
}

#[cfg(test)]
mod tests;
