//! Timers of many connections: a hierarchical timing wheel.
//!
//! After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987). Arming and
//! cancelling cost the same however many timers there are. It owns no connection: a timer is an
//! index into the caller's slab, at most one per index, and all memory is taken at start.
//!
//! Four levels of 64 slots each. A slot of the lowest level is one tick wide, one of the next
//! level 64 ticks, and so on. A timer waits in the coarsest slot that tells it apart from now;
//! when time reaches that slot, it moves to a finer one, at most three times before it fires. A
//! bitmap per level finds the next slot in use without looking at the others.
//!
//! Connections move their deadline further out with nearly every packet. That only writes the
//! new deadline down: the timer stays where it is, and moves on when its slot comes up.
//!
//! Start reading at [`TimingWheel::arm`], then [`TimingWheel::expired`].

use std::time::Duration;

use crate::limits::TIMERS_MAX;
use crate::time::Instant;

/// Timers for the indices of a slab.
#[derive(Debug)]
pub struct TimingWheel {
    /// One per index, then the heads of the slots' lists, then that of the pending list. The
    /// lists are circular through their head, so that taking a timer out needs no search.
    nodes: Box<[Node]>,
    capacity: u32,
    armed: u32,
    /// Slots in use, one bit each.
    occupied: [u64; LEVELS],
    start: Instant,
    /// A tick is 2^this nanoseconds.
    tick_shift: u32,
    /// All slots up to this tick have been emptied [ticks since the start].
    elapsed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    next: u32,
    prev: u32,
    /// Never before the slot that the node waits in [ticks since the start].
    deadline: u64,
}

impl TimingWheel {
    /// What one timer takes [octets].
    pub const OCTETS_PER_TIMER: usize = size_of::<Node>();

    /// A wheel for indices below `capacity`, for times from `start` on.
    ///
    /// Times are rounded up to ticks of the largest power of two nanoseconds within `tick`:
    /// 0.52 ms for one millisecond, with which the wheel spans 2.4 hours. Later deadlines are
    /// fine, they are just looked at once in that time.
    ///
    /// # Panics
    /// If `capacity` is above [`TIMERS_MAX`]. It is decided at start, from checked settings.
    pub fn new(capacity: usize, tick: Duration, start: Instant) -> Self {
        assert!(capacity <= TIMERS_MAX, "{capacity} timers are more than {TIMERS_MAX}");
        let tick_ns = u64::try_from(tick.as_nanos()).unwrap_or(u64::MAX).max(1);
        let unarmed = Node { next: NONE, prev: NONE, deadline: 0 };
        let mut nodes = vec![unarmed; capacity + LEVELS * SLOTS + 1];
        for (i, head) in nodes.iter_mut().enumerate().skip(capacity) {
            (head.next, head.prev) = (i as u32, i as u32);
        }
        TimingWheel {
            nodes: nodes.into(),
            capacity: capacity as u32,
            armed: 0,
            occupied: [0; LEVELS],
            start,
            tick_shift: tick_ns.ilog2(),
            elapsed: 0,
        }
    }

    /// Makes the timer of `index` expire at `deadline` instead of whenever it would have. One
    /// that is past expires at the next opportunity.
    ///
    /// # Panics
    /// If `index` is not below the capacity.
    #[inline]
    pub fn arm(&mut self, index: u32, deadline: Instant) {
        assert!(index < self.capacity, "timer {index} of {}", self.capacity);
        let deadline = self.tick_not_before(deadline);
        let node = &mut self.nodes[index as usize];
        if node.next != NONE {
            let postponed = deadline >= node.deadline;
            node.deadline = deadline;
            if postponed {
                return;
            }
            self.unlink(index);
        } else {
            node.deadline = deadline;
            self.armed += 1;
        }
        self.place(index);
    }

    /// The timer of `index` does not expire any more. Nothing happens if it was not armed.
    ///
    /// # Panics
    /// If `index` is not below the capacity.
    #[inline]
    pub fn cancel(&mut self, index: u32) {
        assert!(index < self.capacity, "timer {index} of {}", self.capacity);
        if self.is_armed(index) {
            self.unlink(index);
            self.armed -= 1;
        }
    }

    /// Whether the timer of `index` is going to expire.
    #[inline]
    pub fn is_armed(&self, index: u32) -> bool {
        index < self.capacity && self.nodes[index as usize].next != NONE
    }

    /// Timers that are armed.
    pub fn armed_count(&self) -> usize {
        self.armed as usize
    }

    /// An index whose timer has expired by `now`, and is no longer armed; `None` when there is no
    /// more, or when `budget` is used up. Call until it is `None`; it is fine to arm and cancel
    /// in between.
    ///
    /// A timer never expires before its deadline, and no later than at the first call that comes a
    /// tick or more after it, as far as the budget goes. Those that have expired since the last
    /// call come in no particular order. Each step, be it an index returned or a timer moved to a
    /// finer slot, takes one from `budget`; what is left undone when it reaches zero is done by
    /// the next calls.
    #[inline]
    pub fn expired(&mut self, now: Instant, budget: &mut u32) -> Option<u32> {
        let now = self.tick_reached(now).max(self.elapsed);
        while *budget > 0 {
            let first = self.nodes[self.pending() as usize].next;
            if first != self.pending() {
                *budget -= 1;
                self.unlink(first);
                if self.nodes[first as usize].deadline <= now {
                    self.armed -= 1;
                    return Some(first);
                }
                self.place(first);
                continue;
            }
            match self.next_slot() {
                Some((slot, at)) if at <= now => {
                    *budget -= 1;
                    self.elapsed = at;
                    self.make_pending(slot);
                }
                _ => {
                    // Nothing waits between the last slot and now.
                    self.elapsed = now;
                    return None;
                }
            }
        }
        None
    }

    /// Until when there is no need to call [`TimingWheel::expired`]: not after any deadline, often
    /// before the first one by what its slot is wide. [`Instant::FAR_FUTURE`] if nothing is armed.
    pub fn next_deadline_hint(&self) -> Instant {
        let pending = self.pending();
        let tick = if self.nodes[pending as usize].next != pending {
            self.elapsed
        } else if let Some((_, at)) = self.next_slot() {
            at
        } else {
            return Instant::FAR_FUTURE;
        };
        let nanos = tick.saturating_mul(1 << self.tick_shift);
        self.start + Duration::from_nanos(nanos)
    }

    /// Puts an unlinked node where its deadline belongs.
    fn place(&mut self, index: u32) {
        let deadline = self.nodes[index as usize].deadline;
        if deadline <= self.elapsed {
            self.link(self.pending(), index);
            return;
        }
        // Beyond the wheel's range it waits in the last slot before the present one comes again.
        let tick = deadline.min(self.elapsed.saturating_add(RANGE));
        // The finest level on which the deadline and now are in different slots of one turn. On
        // the coarsest they may be in different turns: the range keeps that unambiguous.
        let differing = (tick ^ self.elapsed) | 1;
        let level = ((differing.ilog2() / SLOT_BITS) as usize).min(LEVELS - 1);
        let slot = (tick >> (level as u32 * SLOT_BITS)) as usize % SLOTS;
        self.occupied[level] |= 1 << slot;
        self.link(self.capacity + (level * SLOTS + slot) as u32, index);
    }

    /// The next slot in use and the tick at which it begins. What waits on a finer level always
    /// comes before what waits on a coarser one.
    fn next_slot(&self) -> Option<(usize, u64)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let shift = level as u32 * SLOT_BITS;
        let present = self.elapsed >> shift;
        let ahead =
            self.occupied[level].rotate_right((present % SLOTS as u64) as u32).trailing_zeros();
        let at = present.saturating_add(u64::from(ahead));
        let slot = level * SLOTS + (at % SLOTS as u64) as usize;
        Some((slot, at << shift))
    }

    /// Moves a slot's whole list to the end of the pending one.
    fn make_pending(&mut self, slot: usize) {
        self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
        let (head, pending) = (self.capacity + slot as u32, self.pending());
        let Node { next: first, prev: last, .. } = self.nodes[head as usize];
        let end = self.nodes[pending as usize].prev;
        self.join(end, first);
        self.join(last, pending);
        self.join(head, head);
    }

    #[inline]
    fn link(&mut self, head: u32, index: u32) {
        let last = self.nodes[head as usize].prev;
        self.join(last, index);
        self.join(index, head);
    }

    #[inline]
    fn unlink(&mut self, index: u32) {
        let Node { next, prev, .. } = self.nodes[index as usize];
        self.join(prev, next);
        self.nodes[index as usize].next = NONE;
        // What is left is a head alone: of a slot that is now empty, or of the pending list.
        if next == prev && next >= self.capacity && next != self.pending() {
            let slot = (next - self.capacity) as usize;
            self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
        }
    }

    #[inline]
    fn join(&mut self, before: u32, after: u32) {
        self.nodes[before as usize].next = after;
        self.nodes[after as usize].prev = before;
    }

    /// Head of the list of timers whose slot has come: expired, or to be moved to a finer slot.
    #[inline]
    fn pending(&self) -> u32 {
        self.capacity + (LEVELS * SLOTS) as u32
    }

    /// The last tick that `now` has reached.
    #[inline]
    fn tick_reached(&self, now: Instant) -> u64 {
        now.as_nanos().saturating_sub(self.start.as_nanos()) >> self.tick_shift
    }

    /// The first tick that is not before `deadline`.
    #[inline]
    fn tick_not_before(&self, deadline: Instant) -> u64 {
        let nanos = deadline.as_nanos().saturating_sub(self.start.as_nanos());
        let rounding = (1u64 << self.tick_shift) - 1;
        nanos.saturating_add(rounding) >> self.tick_shift
    }
}

const LEVELS: usize = 4;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

/// How far ahead a timer can be placed: 63 slots of the coarsest level [ticks].
const RANGE: u64 = (SLOTS as u64 - 1) << ((LEVELS as u32 - 1) * SLOT_BITS);

/// In place of a link: not armed.
const NONE: u32 = u32::MAX;

/// A bit per slot.
const _: () = assert!(SLOTS == u64::BITS as usize);
const _: () = assert!(TIMERS_MAX + LEVELS * SLOTS < NONE as usize);
const _: () = assert!(size_of::<Node>() == 16);

#[cfg(test)]
mod tests;
