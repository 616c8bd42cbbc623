//! How many connections a service has opened early whose clients are still to be heard of
//! (RFC 7413 §5.1: PendingFastOpenRequests).

use std::collections::VecDeque;

use crate::limits::{FAST_OPEN_PENDING_MAX, FAST_OPEN_RESET_MEMORY};
use crate::time::Instant;

/// Of one service on one lane. Whoever has a cookie could otherwise open as many as it likes in the
/// name of the address that the cookie is for.
#[derive(Debug)]
pub struct FastOpens {
    pending: usize,
    /// When those were reset that count on. Whose name was used resets what it knows nothing of,
    /// which must not make room for the next.
    reset: VecDeque<Instant>,
}

impl FastOpens {
    /// Takes all memory that it will need.
    pub fn new() -> Self {
        FastOpens { pending: 0, reset: VecDeque::with_capacity(FAST_OPEN_PENDING_MAX) }
    }

    /// Whether another may be opened early.
    pub fn has_room(&mut self, now: Instant) -> bool {
        while self.reset.front().is_some_and(|at| now.since(*at) >= FAST_OPEN_RESET_MEMORY) {
            self.reset.pop_front();
        }
        self.pending + self.reset.len() < FAST_OPEN_PENDING_MAX
    }

    /// One is opened early, as there is room.
    pub fn begin(&mut self) {
        self.pending += 1;
    }

    /// The client of one was heard of, or it was given up.
    pub fn end(&mut self, now: Instant, was_reset: bool) {
        debug_assert!(self.pending > 0, "each ends once");
        self.pending = self.pending.saturating_sub(1);
        if was_reset && self.reset.len() < FAST_OPEN_PENDING_MAX {
            self.reset.push_back(now);
        }
    }

    /// For tests.
    pub fn pending(&self) -> usize {
        self.pending
    }
}

impl Default for FastOpens {
    fn default() -> Self {
        FastOpens::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_again_when_their_clients_were_heard_of() {
        let (mut opens, now) = (FastOpens::new(), Instant::from_millis(1));
        for _ in 0..FAST_OPEN_PENDING_MAX {
            assert!(opens.has_room(now));
            opens.begin();
        }
        assert!(!opens.has_room(now));
        opens.end(now, false);
        assert!(opens.has_room(now));
    }

    #[test]
    fn one_that_was_reset_counts_on_for_a_while() {
        let (mut opens, now) = (FastOpens::new(), Instant::from_millis(1));
        for _ in 0..FAST_OPEN_PENDING_MAX {
            opens.begin();
            opens.end(now, true);
        }
        assert_eq!(opens.pending(), 0);
        assert!(!opens.has_room(now));
        let almost = FAST_OPEN_RESET_MEMORY - Duration::from_millis(1);
        assert!(!opens.has_room(now + almost));
        assert!(opens.has_room(now + FAST_OPEN_RESET_MEMORY));
    }
}
