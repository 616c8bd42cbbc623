//! What the gate was last told of a service.

use crate::limits::REOPEN_AFTER;
use crate::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    accepting: bool,
    at: Instant,
    /// The least MSS of the service's origins [octets].
    pub(super) origin_mss: u16,
}

impl Told {
    /// Nothing yet: the first look tells all.
    pub(super) const NOTHING: Told =
        Told { accepting: false, at: Instant::ZERO, origin_mss: u16::MAX };

    /// What is to be told now, if anything. That no more is taken is said at once; that there is
    /// room again not before it has had time to last, or SYNs would come for what is gone already.
    #[inline]
    pub(super) fn update(&mut self, accepting: bool, now: Instant) -> Option<bool> {
        let due = !accepting || now.since(self.at) >= REOPEN_AFTER;
        if accepting == self.accepting || !due {
            return None;
        }
        (self.accepting, self.at) = (accepting, now);
        Some(accepting)
    }
}
