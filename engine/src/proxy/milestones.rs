//! When a pair came to where it is: what the times of a connection are told by.

use std::time::Duration;

use crate::time::Instant;

/// The points of a pair's life that times are taken between.
#[derive(Clone, Copy, Debug)]
pub struct Milestones {
    /// When its first segment came.
    pub opened_at: Instant,
    awaits: Awaits,
}

/// What the pair waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    Client,
    /// An origin to complete its handshake, since our SYN.
    Origin(Instant),
    /// Payload, by either side.
    Request,
    /// The first payload from the origin, since the first to it.
    FirstByte(Instant),
    /// It has come.
    Nothing,
}

impl Milestones {
    /// The client's first segment has come.
    pub fn opened(now: Instant) -> Self {
        Milestones { opened_at: now, awaits: Awaits::Client }
    }

    /// The client has completed its handshake, and an origin is asked for its own: how long the
    /// client's took, if it was not tried with another origin before.
    pub fn on_origin_asked(&mut self, now: Instant) -> Option<Duration> {
        let was_first = self.awaits == Awaits::Client;
        self.awaits = Awaits::Origin(now);
        was_first.then(|| now.since(self.opened_at))
    }

    /// The origin has completed its handshake: how long that took.
    pub fn on_open(&mut self, now: Instant) -> Option<Duration> {
        match std::mem::replace(&mut self.awaits, Awaits::Request) {
            Awaits::Origin(since) => Some(now.since(since)),
            _ => None,
        }
    }

    /// So much payload has crossed [octets]: how long the origin took for its first, if that was just
    /// now. Of one that speaks first nothing can be told.
    #[inline]
    pub fn on_crossed(&mut self, now: Instant, to_origin: u64, to_client: u64) -> Option<Duration> {
        match self.awaits {
            Awaits::FirstByte(since) if to_client > 0 => {
                self.awaits = Awaits::Nothing;
                Some(now.since(since))
            }
            Awaits::Request if to_client > 0 => {
                self.awaits = Awaits::Nothing;
                None
            }
            Awaits::Request if to_origin > 0 => {
                self.awaits = Awaits::FirstByte(now);
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    const fn took(millis: u64) -> Option<Duration> {
        Some(Duration::from_millis(millis))
    }

    #[test]
    fn each_time_is_told_once_and_an_origin_that_refuses_is_not_counted_to_the_next() {
        let mut pair = Milestones::opened(at(10));
        assert_eq!(pair.on_origin_asked(at(30)), took(20));
        // Refused: another is asked.
        assert_eq!(pair.on_origin_asked(at(100)), None);
        assert_eq!(pair.on_open(at(105)), took(5));
        assert_eq!(pair.on_crossed(at(110), 0, 0), None);
        assert_eq!(pair.on_crossed(at(120), 100, 0), None);
        assert_eq!(pair.on_crossed(at(125), 100, 0), None);
        assert_eq!(pair.on_crossed(at(127), 0, 1), took(7));
        assert_eq!(pair.on_crossed(at(130), 100, 0), None);
        assert_eq!(pair.on_crossed(at(150), 0, 1), None);
    }

    #[test]
    fn an_origin_that_speaks_first_has_no_first_byte() {
        let mut pair = Milestones::opened(at(0));
        pair.on_origin_asked(at(0));
        pair.on_open(at(1));
        assert_eq!(pair.on_crossed(at(2), 0, 50), None);
        assert_eq!(pair.on_crossed(at(3), 9, 0), None);
        assert_eq!(pair.on_crossed(at(4), 0, 50), None);
    }
}
