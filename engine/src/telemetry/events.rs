//! What a worker has to say of what happens rarely, or should: connections that are refused or left to
//! Linux, origins that do not answer.
//!
//! Told by a ring of its own that the control plane reads. Of each kind a few are told in each window of
//! time; a flood of the others costs a count each, and how many they were is told when the window is over.

use std::net::SocketAddr;

use ringroad_ring::{Consumer, Producer, ring};

use crate::limits::{EVENTS_MAX, EVENTS_PER_WINDOW, EVENTS_WINDOW};
use crate::time::Instant;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A client was not served, and told so or not.
    Refused,
    /// A new connection was left to Linux.
    FellBack,
    /// Handshakes with an origin have failed one after the other.
    OriginDown,
    /// The first that succeeds after that.
    OriginUp,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Instant,
    pub kind: EventKind,
    /// `None`: more of the kind happened, so many, and these are not told one by one.
    pub details: Option<Details>,
    /// How many there were: of connections one; failures of an origin, in a row.
    pub count: u32,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// By index.
    pub service: u16,
    /// By index within the service.
    pub origin: Option<u16>,
    pub client: Option<SocketAddr>,
    pub reason: &'static str,
}

/// A worker's end.
#[derive(Debug)]
pub struct Teller {
    ring: Producer<Event>,
    budgets: [Budget; EventKind::ALL.len()],
    /// When the next window with something held back is over.
    due: Instant,
}

/// The end that is read.
#[derive(Debug)]
pub struct EventReader {
    ring: Consumer<Event>,
}

impl EventReader {
    /// The next event.
    pub fn take(&mut self) -> Option<Event> {
        self.ring.pop()
    }
}

/// What may still be told of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    window_ends: Instant,
    left: u32,
    held_back: u32,
}

/// Makes a worker's end, and the one that is read.
pub fn events() -> (Teller, EventReader) {
    let (ring, from_teller) = ring(EVENTS_MAX);
    let budgets = [Budget::default(); _];
    (Teller { ring, budgets, due: Instant::FAR_FUTURE }, EventReader { ring: from_teller })
}

impl EventKind {
    pub const ALL: [EventKind; 4] =
        [EventKind::Refused, EventKind::FellBack, EventKind::OriginDown, EventKind::OriginUp];

    /// As logs have it.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Refused => "connection_refused",
            EventKind::FellBack => "fell_back",
            EventKind::OriginDown => "origin_down",
            EventKind::OriginUp => "origin_up",
        }
    }
}

impl Teller {
    /// Tells an event, or counts it if too many of its kind have been told of late.
    #[inline]
    pub fn tell(
        &mut self,
        now: Instant,
        kind: EventKind,
        count: u32,
        details: impl FnOnce() -> Details,
    ) {
        let budget = &mut self.budgets[kind as usize];
        if now >= budget.window_ends {
            // What was held back before is told by `look`.
            (budget.window_ends, budget.left) = (now + EVENTS_WINDOW, EVENTS_PER_WINDOW);
        }
        if budget.left > 0 {
            budget.left -= 1;
            let event = Event { at: now, kind, details: Some(details()), count };
            if self.ring.push(event).is_ok() {
                return;
            }
        }
        budget.held_back = budget.held_back.saturating_add(1);
        self.due = self.due.min(budget.window_ends);
    }

    /// Says how many were held back, of each kind whose window is over.
    #[inline]
    pub fn look(&mut self, now: Instant) {
        if now >= self.due {
            self.sum_up(now);
        }
    }

    /// When [`Teller::look`] next has something to say.
    #[inline]
    pub fn due(&self) -> Instant {
        self.due
    }

    #[cold]
    fn sum_up(&mut self, now: Instant) {
        self.due = Instant::FAR_FUTURE;
        for (kind, budget) in EventKind::ALL.into_iter().zip(&mut self.budgets) {
            if budget.held_back == 0 {
                continue;
            }
            let event = Event { at: now, kind, details: None, count: budget.held_back };
            if now >= budget.window_ends && self.ring.push(event).is_ok() {
                budget.held_back = 0;
            } else {
                // A reader that is late has it a window later.
                let again =
                    if now < budget.window_ends { budget.window_ends } else { now + EVENTS_WINDOW };
                self.due = self.due.min(again);
            }
        }
    }
}

const _: () = assert!(EVENTS_MAX.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(teller: &mut Teller, at: Instant) {
        let details = Details { service: 1, origin: None, client: None, reason: "draining" };
        teller.tell(at, EventKind::Refused, 1, || details);
    }

    #[test]
    fn a_flood_is_told_of_by_a_few_and_their_number() {
        let (mut teller, mut reader) = events();
        let start = Instant::from_millis(1_000);
        (0..1_000).for_each(|_| refused(&mut teller, start));
        let told: Vec<Event> = std::iter::from_fn(|| reader.take()).collect();
        assert_eq!(told.len(), EVENTS_PER_WINDOW as usize);
        assert!(told.iter().all(|event| event.details.is_some() && event.count == 1));

        // Others are told meanwhile.
        let details = Details { service: 0, origin: Some(2), client: None, reason: "refused" };
        teller.tell(start, EventKind::OriginDown, 3, || details);
        assert_eq!(reader.take().and_then(|event| event.details), Some(details));

        assert_eq!(teller.due(), start + EVENTS_WINDOW);
        teller.look(start + EVENTS_WINDOW / 2);
        assert_eq!(reader.take(), None, "the window is not over");
        let over = start + EVENTS_WINDOW;
        teller.look(over);
        let held_back = 1_000 - EVENTS_PER_WINDOW;
        let sum = Event { at: over, kind: EventKind::Refused, details: None, count: held_back };
        assert_eq!((reader.take(), teller.due()), (Some(sum), Instant::FAR_FUTURE));

        refused(&mut teller, over);
        assert!(reader.take().is_some_and(|event| event.details.is_some()), "a new window");
    }

    #[test]
    fn what_a_late_reader_has_no_room_for_is_counted() {
        let (mut teller, mut reader) = events();
        let at = |window: u32| Instant::from_millis(1) + EVENTS_WINDOW * window;
        let windows = EVENTS_MAX as u32;
        (0..windows).for_each(|window| {
            teller.look(at(window));
            (0..2 * EVENTS_PER_WINDOW).for_each(|_| refused(&mut teller, at(window)));
        });
        let mut count = 0;
        let mut add = |reader: &mut EventReader| {
            count += std::iter::from_fn(|| reader.take()).map(|event| event.count).sum::<u32>();
        };
        add(&mut reader);
        teller.look(at(windows));
        teller.look(at(windows + 1));
        add(&mut reader);
        assert_eq!(count, windows * 2 * EVENTS_PER_WINDOW);
    }
}
