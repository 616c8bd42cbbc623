//! Since when packets are on their way.

use crate::limits::BURST;
use crate::time::Instant;

/// What crosses to another core, and when it was received, or sent by a worker.
///
/// The stamp goes with the handle: four are in a cache line instead of eight. A place beside the pool,
/// or in front of the packet, would be another line for each packet that has to move between the
/// cores, and one stamp a burst a slot that the ring may have no room for.
#[derive(Debug)]
pub(super) struct Stamped<T> {
    pub(super) item: T,
    pub(super) at: Instant,
}

/// The stamps of a burst, in its order.
#[derive(Debug)]
pub(super) struct Stamps {
    at: [Instant; BURST],
    len: usize,
}

impl Stamps {
    pub(super) const fn new() -> Self {
        Stamps { at: [Instant::ZERO; BURST], len: 0 }
    }

    /// # Panics
    /// If there are as many as a burst has.
    #[inline]
    pub(super) fn push(&mut self, at: Instant) {
        self.at[self.len] = at;
        self.len += 1;
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[Instant] {
        &self.at[..self.len]
    }
}

/// When the packets of a burst were received.
#[derive(Clone, Copy, Debug)]
pub enum ReceivedAt<'a> {
    /// All together.
    Once(Instant),
    /// Each by itself, in their order.
    Each(&'a [Instant]),
}

impl ReceivedAt<'_> {
    /// Of the packet at a place.
    ///
    /// # Panics
    /// If there is no such packet.
    #[inline]
    pub(super) fn of(&self, place: usize) -> Instant {
        match self {
            ReceivedAt::Once(at) => *at,
            ReceivedAt::Each(at) => at[place],
        }
    }
}
