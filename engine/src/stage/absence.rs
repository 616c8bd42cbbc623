//! A core that was away: hung, halted, or without its processor.
//!
//! Meanwhile the shield ahead leaves what is new to Linux ([`Gate::patience`]). What lies in the devices'
//! rings when the core goes on bears no stamp: it may have been there since the core last looked, and is
//! taken to have been. So it belongs to the connections that there are, or to none
//! ([`UNKNOWN_WAIT_MAX`]). Until the rings are empty the gate is shown no sign of life, and nothing new
//! comes to lie behind what is old.
//!
//! [`Gate::patience`]: super::gate::Gate::patience
//! [`UNKNOWN_WAIT_MAX`]: crate::limits::UNKNOWN_WAIT_MAX

use std::time::Duration;

use crate::limits::{ABSENCE_TURNS_MAX, BURST};
use crate::time::Instant;

/// See the module. Costs a core that is never away a comparison each turn and each burst.
#[derive(Debug)]
pub(super) struct Absence {
    /// How long a core may take to look again and nobody minds.
    patience: Duration,
    /// When the last turn began. It looked after that.
    looked_at: Instant,
    /// What is left of the last absence.
    backlog: Option<Backlog>,
}

#[derive(Clone, Copy, Debug)]
struct Backlog {
    /// When the core had last looked.
    since: Instant,
    turns_left: u32,
    /// Some ring may have had more than was taken out in this turn.
    has_more: bool,
}

impl Absence {
    pub(super) fn new(patience: Duration) -> Self {
        Absence { patience, looked_at: Instant::FAR_FUTURE, backlog: None }
    }

    /// A turn begins.
    #[inline]
    pub(super) fn begin(&mut self, now: Instant) {
        let looked_at = std::mem::replace(&mut self.looked_at, now);
        if now.since(looked_at) > self.patience || self.backlog.is_some() {
            self.look_back(looked_at, now);
        }
    }

    #[cold]
    fn look_back(&mut self, looked_at: Instant, now: Instant) {
        let left = self.backlog.take().filter(|left| left.has_more && left.turns_left > 0);
        self.backlog = match left {
            _ if now.since(looked_at) > self.patience => Some(Backlog {
                since: left.map_or(looked_at, |left| left.since),
                turns_left: ABSENCE_TURNS_MAX,
                has_more: false,
            }),
            Some(left) => {
                Some(Backlog { turns_left: left.turns_left - 1, has_more: false, ..left })
            }
            None => None,
        };
    }

    /// So much was found at a port. Returns since when it may have been there, if that is from before the
    /// core was away.
    #[inline]
    pub(super) fn found(&mut self, packets: usize) -> Option<Instant> {
        let backlog = self.backlog.as_mut()?;
        backlog.has_more |= packets == BURST;
        Some(backlog.since)
    }

    /// Whether the core is back, and what it finds is new.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.backlog.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// A turn that finds so much at each of some ports; what it is told of the last.
    fn turn<const PORTS: usize>(
        absence: &mut Absence,
        now: Instant,
        packets: [usize; PORTS],
    ) -> Option<Instant> {
        absence.begin(now);
        packets.map(|packets| absence.found(packets))[PORTS - 1]
    }

    fn absence() -> Absence {
        Absence::new(Duration::from_millis(100))
    }

    #[test]
    fn who_looks_often_enough_finds_what_is_new() {
        let mut absence = absence();
        for millis in [5_000, 5_001, 5_100, 5_200] {
            assert_eq!(turn(&mut absence, at(millis), [BURST]), None);
            assert!(absence.is_over());
        }
    }

    #[test]
    fn all_that_lay_in_a_ring_is_as_old_as_the_last_look() {
        let mut absence = absence();
        turn(&mut absence, at(1_000), [0, 0]);
        for (millis, packets) in [(3_000, [BURST, 0]), (3_001, [1, BURST]), (3_002, [1, BURST - 1])]
        {
            assert_eq!(turn(&mut absence, at(millis), packets), Some(at(1_000)));
            assert!(!absence.is_over());
        }
        assert_eq!(turn(&mut absence, at(3_003), [BURST, BURST]), None);
        assert!(absence.is_over());
    }

    #[test]
    fn away_again_before_all_is_looked_at_it_counts_from_the_first_time() {
        let mut absence = absence();
        turn(&mut absence, at(1_000), [0]);
        turn(&mut absence, at(3_000), [BURST]);
        assert_eq!(turn(&mut absence, at(4_000), [1]), Some(at(1_000)));
        assert_eq!(turn(&mut absence, at(5_000), [1]), Some(at(4_000)), "it was done with");
    }

    #[test]
    fn a_core_that_is_never_done_is_back_all_the_same() {
        let mut absence = absence();
        turn(&mut absence, at(1_000), [0]);
        let turns = (0..).take_while(|turns| {
            turn(&mut absence, at(3_000 + turns), [BURST]);
            !absence.is_over()
        });
        assert_eq!(turns.count(), ABSENCE_TURNS_MAX as usize + 1);
    }
}
