//! Whether an origin answers, as its handshakes show.

use crate::limits::ORIGIN_DOWN_AFTER;

/// Of one origin, as one worker sees it: up until so many handshakes in a row have failed, then down until
/// one succeeds. Nothing but what is told of it follows from this: the next connection tries anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    failures: u32,
}

impl Health {
    /// A handshake has failed. Returns how many in a row, if it counts as down from this one on.
    pub fn failed(&mut self) -> Option<u32> {
        self.failures = self.failures.saturating_add(1);
        (self.failures == ORIGIN_DOWN_AFTER).then_some(self.failures)
    }

    /// Whether it counts as down.
    pub fn is_down(&self) -> bool {
        self.failures >= ORIGIN_DOWN_AFTER
    }

    /// A handshake has succeeded. Returns how many had failed before, if it was down.
    #[inline]
    pub fn answered(&mut self) -> Option<u32> {
        let failures = std::mem::take(&mut self.failures);
        (failures >= ORIGIN_DOWN_AFTER).then_some(failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn down_once_and_up_once() {
        let mut health = Health::default();
        assert_eq!(health.answered(), None, "it was up");
        assert!((1..ORIGIN_DOWN_AFTER).all(|_| health.failed().is_none()));
        assert_eq!(health.answered(), None, "too few in a row");
        assert!((1..ORIGIN_DOWN_AFTER).all(|_| health.failed().is_none()));
        assert!(!health.is_down());
        assert_eq!(health.failed(), Some(ORIGIN_DOWN_AFTER));
        assert!(health.is_down());
        assert_eq!(health.failed(), None, "it is known");
        assert_eq!((health.answered(), health.answered()), (Some(ORIGIN_DOWN_AFTER + 1), None));
    }
}
