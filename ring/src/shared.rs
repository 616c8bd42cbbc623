//! The memory of a ring.

#![allow(
    unsafe_code,
    reason = "slots are written by one thread and read by another, without a lock"
)]

use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicBool, AtomicUsize, UnsafeCell};

/// What both ends see.
///
/// Positions count items from the first one on and wrap around at `usize`; the slot of a position is
/// its remainder by the capacity. Slots of `[head, tail)` hold an item and are the consumer's, the
/// others are empty and the producer's. Each end gives slots away by moving its own position (with
/// `Release`), and has those that it sees given to it (with `Acquire`).
pub(crate) struct Shared<T> {
    /// Behind the last item; the producer's to move.
    tail: CachePadded<AtomicUsize>,
    /// The first item; the consumer's to move.
    head: CachePadded<AtomicUsize>,
    /// Whether one of the ends is gone.
    abandoned: AtomicBool,
    /// A power of two of them.
    slots: Box<[Slot<T>]>,
}

type Slot<T> = UnsafeCell<MaybeUninit<T>>;

// SAFETY: of what a shared reference reaches, only slots are not atomic. They are reached through
// `Slots::put` and `Slots::take`, whose contracts give each slot to one end at a time; so items move
// from thread to thread (`T: Send`), and are never seen by two.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// An empty ring, whose positions begin at `position`.
    pub(crate) fn new(position: usize, capacity: usize) -> Self {
        assert!(capacity.is_power_of_two(), "a ring of {capacity} slots: not a power of two");
        let slots = (0..capacity).map(|_| Slot::new(MaybeUninit::uninit())).collect();
        Shared {
            tail: CachePadded::new(AtomicUsize::new(position)),
            head: CachePadded::new(AtomicUsize::new(position)),
            abandoned: AtomicBool::new(false),
            slots,
        }
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Behind the last item that the producer has given to the consumer.
    #[inline]
    pub(crate) fn tail(&self) -> usize {
        self.tail.load(Ordering::Acquire)
    }

    /// The first item that the consumer has not given back the slot of.
    #[inline]
    pub(crate) fn head(&self) -> usize {
        self.head.load(Ordering::Acquire)
    }

    /// Gives the consumer all slots in front of `tail`.
    #[inline]
    pub(crate) fn publish_tail(&self, tail: usize) {
        self.tail.store(tail, Ordering::Release);
    }

    /// Gives the producer all slots in front of `head`, for its next time around.
    #[inline]
    pub(crate) fn publish_head(&self, head: usize) {
        self.head.store(head, Ordering::Release);
    }

    /// Whether an end is gone. What it did before that is then seen.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    #[inline]
    pub(crate) fn slots(&self) -> Slots<'_, T> {
        Slots(&self.slots)
    }
}

impl<T> Drop for Shared<T> {
    /// Drops what was pushed after the consumer had gone.
    fn drop(&mut self) {
        let (mut head, tail) = (self.head(), self.tail());
        while head != tail {
            // SAFETY: both ends are gone, and both have published where they were. The loop comes by
            // each position once.
            drop(unsafe { self.slots().take(head) });
            head = head.wrapping_add(1);
        }
    }
}

/// Where the slots lie. Who moves a burst asks once: the processor need not look for them again for
/// each item.
pub(crate) struct Slots<'a, T>(&'a [Slot<T>]);

impl<'a, T> Slots<'a, T> {
    /// Puts an item into the slot of `position`.
    ///
    /// # Safety
    /// The caller is the producer, and `position` is in `[tail, head + capacity)`, by its own tail
    /// and a head that it has seen.
    #[inline]
    pub(crate) unsafe fn put(&self, position: usize, item: T) {
        self.slot(position).with_mut(|slot| {
            // SAFETY: the slot is in place as long as the ring is, and the producer's alone: the
            // consumer has given it back, which the producer has seen (`Acquire`). It is empty, so
            // nothing is lost by writing over it.
            unsafe { (*slot).write(item) };
        });
    }

    /// Takes the item out of the slot of `position`.
    ///
    /// # Safety
    /// The caller is the consumer, or nobody else has the ring any more; `position` is in
    /// `[head, tail)`, by its own head and a tail that it has seen, and is not taken twice.
    #[inline]
    pub(crate) unsafe fn take(&self, position: usize) -> T {
        // SAFETY: the slot is in place as long as the ring is, and the consumer's alone: the producer
        // has put an item there and given it away, which the consumer has seen (`Acquire`).
        self.slot(position).with(|slot| unsafe { (*slot).assume_init_read() })
    }

    #[inline]
    fn slot(&self, position: usize) -> &'a Slot<T> {
        &self.0[position & (self.0.len() - 1)]
    }
}
