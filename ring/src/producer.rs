//! The end that pushes.

#![allow(unsafe_code, reason = "puts items into slots that it knows to be its own")]

use std::fmt;

use crate::shared::Shared;
use crate::sync::Arc;

/// The end of a ring that pushes. Made by [`ring`](crate::ring).
///
/// What is in the ring when its producer is dropped can still be popped.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// Where the next item goes.
    tail: usize,
    /// Where the consumer was when last looked at.
    head_seen: usize,
}

impl<T> Producer<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, position: usize) -> Self {
        Producer { shared, tail: position, head_seen: position }
    }

    /// Adds an item; gives it back if the ring is full.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.look_for_room(1) == 0 {
            return Err(item);
        }
        // SAFETY: there is room behind the tail.
        unsafe { self.shared.slots().put(self.tail, item) };
        self.advance_to(self.tail.wrapping_add(1));
        Ok(())
    }

    /// Adds items, in order, until there is no room or are no more; returns how many. `items` is
    /// asked for no more than fit, and the consumer sees all of them at once.
    #[inline]
    pub fn push_burst(&mut self, items: impl ExactSizeIterator<Item = T>) -> usize {
        let room = self.look_for_room(items.len());
        let slots = self.shared.slots();
        let mut tail = self.tail;
        for item in items.take(room) {
            // SAFETY: `take` hands out no more than there is room for behind the tail.
            unsafe { slots.put(tail, item) };
            tail = tail.wrapping_add(1);
        }
        let pushed = tail.wrapping_sub(self.tail);
        if pushed > 0 {
            self.advance_to(tail);
        }
        pushed
    }

    /// How many items fit now; there may be more room at any time, but not less.
    #[inline]
    pub fn room(&self) -> usize {
        self.room_before(self.shared.head())
    }

    /// All items that the ring can hold.
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// Whether the consumer is gone: nobody will take what is pushed.
    pub fn is_abandoned(&self) -> bool {
        self.shared.is_abandoned()
    }

    /// Room known of, after a look at the consumer if what was seen last is not `enough`.
    #[inline]
    fn look_for_room(&mut self, enough: usize) -> usize {
        if self.room_before(self.head_seen) < enough {
            self.head_seen = self.shared.head();
        }
        self.room_before(self.head_seen)
    }

    #[inline]
    fn room_before(&self, head: usize) -> usize {
        self.capacity() - self.tail.wrapping_sub(head)
    }

    #[inline]
    fn advance_to(&mut self, tail: usize) {
        self.tail = tail;
        self.shared.publish_tail(tail);
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("capacity", &self.capacity())
            .field("room", &self.room())
            .finish_non_exhaustive()
    }
}
