//! Since when packets are in a device's ring.
//!
//! Devices stamp nothing for us, but a core knows when it looks: what it finds and the look before did not has
//! come between the two, and is taken to have come in the middle. What a look leaves in the ring keeps its
//! time. So a ring in which packets queue up shows in every latency, and not only what happens after
//! the core has got to them.

use std::collections::VecDeque;

use crate::limits::LOOKS_KEPT;
use crate::time::Instant;

/// See the module. Of all ports of a core.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// When the last turn began that looked, and the one that goes on.
    looked_at: Instant,
    now: Instant,
    rings: Vec<Ring>,
}

/// What is known of one ring.
#[derive(Debug)]
struct Ring {
    /// Packets taken out of it, since the start.
    taken: u64,
    /// Looks that found new packets of which some are there still: how many had come by then, since the
    /// start, and since when they are there; oldest first.
    looks: VecDeque<(u64, Instant)>,
}

impl Arrivals {
    pub(super) fn new(ports: usize) -> Self {
        let ring = || Ring { taken: 0, looks: VecDeque::with_capacity(LOOKS_KEPT) };
        let rings = (0..ports).map(|_| ring()).collect();
        Arrivals { looked_at: Instant::FAR_FUTURE, now: Instant::FAR_FUTURE, rings }
    }

    /// A turn begins.
    #[inline]
    pub(super) fn begin(&mut self, now: Instant) {
        self.looked_at = std::mem::replace(&mut self.now, now);
    }

    /// The core has slept until something came: when it looked last says nothing.
    pub(super) fn woken(&mut self) {
        self.now = Instant::FAR_FUTURE;
    }

    /// So many packets were taken from a port's ring, and so many are left. Returns since when the
    /// first of those taken was there.
    #[inline]
    pub(super) fn found(&mut self, port: usize, packets: usize, left: usize) -> Instant {
        if packets == 0 {
            return self.now;
        }
        let since = self.now.midway_since(self.looked_at);
        let ring = &mut self.rings[port];
        if left == 0 && ring.looks.is_empty() {
            return since;
        }
        ring.look(since, packets as u64, left as u64)
    }
}

impl Ring {
    fn look(&mut self, since: Instant, packets: u64, left: u64) -> Instant {
        let known = self.looks.back().map_or(self.taken, |(count, _)| *count);
        let count = self.taken + packets + left;
        if count > known {
            let is_full = self.looks.len() == LOOKS_KEPT;
            match self.looks.back_mut() {
                // Those are said to be there for longer than they are.
                Some(last) if is_full => last.0 = count,
                _ => self.looks.push_back((count, since)),
            }
        }
        let first = self.looks.front().map_or(since, |(_, since)| *since);
        self.taken += packets;
        while self.looks.front().is_some_and(|(count, _)| *count <= self.taken) {
            self.looks.pop_front();
        }
        if left == 0 {
            // Also where something was thrown away that was counted as left.
            self.looks.clear();
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BURST;

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(1_000 * micros)
    }

    /// A turn at a core with one port.
    fn turn(arrivals: &mut Arrivals, now: u64, packets: usize, left: usize) -> Instant {
        arrivals.begin(at(now));
        arrivals.found(0, packets, left)
    }

    #[test]
    fn what_a_look_finds_has_come_since_the_last() {
        let arrivals = &mut Arrivals::new(1);
        assert_eq!(turn(arrivals, 1_000, 1, 0), at(1_000), "there was no look before");
        assert_eq!(turn(arrivals, 1_100, 3, 0), at(1_050));
        assert_eq!(turn(arrivals, 1_110, 0, 0), at(1_110));
        assert_eq!(turn(arrivals, 1_120, BURST, 0), at(1_115));
    }

    #[test]
    fn who_is_woken_by_a_packet_finds_it_new() {
        let arrivals = &mut Arrivals::new(1);
        turn(arrivals, 1_000, 0, 0);
        arrivals.woken();
        assert_eq!(turn(arrivals, 5_000, 1, 0), at(5_000));
        assert_eq!(turn(arrivals, 5_002, 1, 0), at(5_001));
    }

    #[test]
    fn what_is_left_keeps_its_time() {
        let arrivals = &mut Arrivals::new(1);
        turn(arrivals, 1_000, 0, 0);
        // 200 come in the first 100 us, 10 in each that follows.
        assert_eq!(turn(arrivals, 1_100, 64, 136), at(1_050));
        assert_eq!(turn(arrivals, 1_200, 64, 82), at(1_050));
        assert_eq!(turn(arrivals, 1_300, 64, 28), at(1_050));
        assert_eq!(turn(arrivals, 1_400, 38, 0), at(1_050), "the last eight of the first 200");
        assert_eq!(turn(arrivals, 1_500, 10, 0), at(1_450), "the ring was empty");
    }

    #[test]
    fn in_a_ring_that_is_never_empty_all_wait_for_as_long() {
        let arrivals = &mut Arrivals::new(1);
        turn(arrivals, 0, 0, 0);
        turn(arrivals, 100, 64, 2_000);
        let waits: Vec<u64> = (2..200)
            .map(|n| at(100 * n).since(turn(arrivals, 100 * n, 64, 2_000)).as_micros() as u64)
            .collect();
        // 2,000 packets are 31 turns' and some.
        assert!(waits[100..].iter().all(|wait| (3_100..3_300).contains(wait)), "{waits:?}");
    }

    #[test]
    fn what_is_thrown_away_of_what_was_left_makes_nothing_older() {
        let arrivals = &mut Arrivals::new(1);
        turn(arrivals, 0, 0, 0);
        turn(arrivals, 100, 64, 36);
        assert_eq!(turn(arrivals, 200, 30, 0), at(50), "six of them made no sense");
        assert_eq!(turn(arrivals, 300, 1, 0), at(250));
    }
}
