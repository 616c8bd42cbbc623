//! The end that pops.

#![allow(unsafe_code, reason = "takes items out of slots that it knows to be its own")]

use std::fmt;
use std::iter::FusedIterator;

use crate::shared::{Shared, Slots};
use crate::sync::Arc;

/// The end of a ring that pops. Made by [`ring`](crate::ring).
///
/// What it has not popped is dropped with it; what is pushed later, with the producer.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// The next item to pop.
    head: usize,
    /// Where the producer was when last looked at.
    tail_seen: usize,
}

impl<T> Consumer<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, position: usize) -> Self {
        Consumer { shared, head: position, tail_seen: position }
    }

    /// Takes the first item.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.look_for_items(1) == 0 {
            return None;
        }
        // SAFETY: there is an item at the head, which moves on.
        let item = unsafe { self.shared.slots().take(self.head) };
        self.head = self.head.wrapping_add(1);
        self.shared.publish_head(self.head);
        Some(item)
    }

    /// Takes `max` items, or as many as there are now, first to last. What the iterator has not
    /// handed out when it is dropped stays in the ring; until then the producer sees no new room.
    #[inline]
    pub fn pop_burst(&mut self, max: usize) -> Drain<'_, T> {
        let count = self.look_for_items(max).min(max);
        let first = self.head;
        // Nothing is handed out twice, even if the iterator is leaked.
        self.head = first.wrapping_add(count);
        Drain {
            first,
            next: first,
            end: self.head,
            slots: self.shared.slots(),
            shared: &self.shared,
            head: &mut self.head,
        }
    }

    /// How many items there are now; there may be more at any time, but not fewer.
    #[inline]
    pub fn len(&self) -> usize {
        self.shared.tail().wrapping_sub(self.head)
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All items that the ring can hold.
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// Whether the producer is gone. What is in the ring then is all that will ever be: ask this
    /// before [`Consumer::is_empty`], not after it.
    pub fn is_abandoned(&self) -> bool {
        self.shared.is_abandoned()
    }

    /// Items known of, after a look at the producer if what was seen last is not `enough`.
    #[inline]
    fn look_for_items(&mut self, enough: usize) -> usize {
        if self.tail_seen.wrapping_sub(self.head) < enough {
            self.tail_seen = self.shared.tail();
        }
        self.tail_seen.wrapping_sub(self.head)
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.pop_burst(usize::MAX).for_each(drop);
        // Also what a leaked iterator has handed out is not in the ring any more.
        self.shared.publish_head(self.head);
        self.shared.abandon();
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// See [`Consumer::pop_burst`].
#[must_use = "it pops what is asked of it"]
pub struct Drain<'a, T> {
    first: usize,
    next: usize,
    end: usize,
    slots: Slots<'a, T>,
    shared: &'a Shared<T>,
    /// The consumer's.
    head: &'a mut usize,
}

impl<T> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.next == self.end {
            return None;
        }
        let position = self.next;
        self.next = position.wrapping_add(1);
        // SAFETY: from the head to `end` there are items, and `next` has moved on.
        Some(unsafe { self.slots.take(position) })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end.wrapping_sub(self.next);
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for Drain<'_, T> {}

impl<T> FusedIterator for Drain<'_, T> {}

impl<T> Drop for Drain<'_, T> {
    #[inline]
    fn drop(&mut self) {
        *self.head = self.next;
        if self.next != self.first {
            self.shared.publish_head(self.next);
        }
    }
}

impl<T> fmt::Debug for Drain<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("left", &self.len()).finish_non_exhaustive()
    }
}
