//! When a network is not there: flapping and black holes.

use std::time::Duration;

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use super::Way;
use super::settings::{BlackHole, Flapping, NetworkSettings, Swallows};

/// The schedule of one network's outages, and where in it the network is.
#[derive(Debug)]
pub(super) struct Outage {
    flapping: Option<Flapping>,
    black_hole: Option<BlackHole>,
    random: Random,
    /// The first packet's time.
    since: Option<Instant>,
    up: bool,
    changes_at: Instant,
}

impl Outage {
    pub(super) fn new(settings: &NetworkSettings, seed: u64) -> Self {
        Outage {
            flapping: settings.flapping,
            black_hole: settings.black_hole,
            random: Random::new(seed),
            since: None,
            up: true,
            changes_at: Instant::ZERO,
        }
    }

    /// Whether a packet of so many octets that sets out now is not heard of again.
    pub(super) fn swallows(&mut self, now: Instant, way: Way, ip_octets: usize) -> bool {
        let since = *self.since.get_or_insert(now);
        self.is_down(now, since) || self.is_black_hole(now.since(since), way, ip_octets)
    }

    pub(super) fn heal(&mut self) {
        self.flapping = None;
        self.black_hole = None;
    }

    fn is_down(&mut self, now: Instant, since: Instant) -> bool {
        let Some(flapping) = self.flapping else { return false };
        if self.changes_at == Instant::ZERO {
            self.changes_at = since + self.about(flapping.up_for);
        }
        while self.changes_at <= now {
            self.up = !self.up;
            let lasts = self.about(if self.up { flapping.up_for } else { flapping.down_for });
            self.changes_at += lasts;
        }
        !self.up
    }

    /// From half as long to half as long again; not nothing, so that time goes on.
    fn about(&mut self, time: Duration) -> Duration {
        let nanos = time.as_nanos() as u64;
        Duration::from_nanos(1 + nanos / 2 + self.random.below(nanos + 1))
    }

    fn is_black_hole(&self, after: Duration, way: Way, ip_octets: usize) -> bool {
        let Some(hole) = self.black_hole else { return false };
        let concerns = match hole.swallows {
            Swallows::All => true,
            Swallows::Up => way == Way::Up,
            Swallows::Down => way == Way::Down,
            Swallows::Over(octets) => ip_octets > usize::from(octets),
        };
        concerns && (hole.from..hole.to).contains(&after)
    }
}
