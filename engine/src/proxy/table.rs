//! A slab of fixed size: the pairs of one lane, awake or asleep.

use super::{DormantPair, Pair};
use crate::frame::prefetch;

/// Values by index. Memory for all of them is reserved at the start and touched as it is needed; a
/// full table refuses. What was freed last is used again first, so that what is touched stays as
/// little as was ever in use at once.
#[derive(Debug)]
pub struct Table<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

/// Pairs that are awake.
pub type PairTable = Table<Pair>;

/// Pairs that sleep.
pub type DormantTable = Table<DormantPair>;

impl<T> Table<T> {
    /// What an entry takes, with its place in the list of free ones [octets].
    pub const ENTRY_OCTETS: usize = size_of::<Option<T>>() + size_of::<u32>();

    pub fn new(capacity: usize) -> Self {
        Table { slots: Vec::with_capacity(capacity), free: Vec::with_capacity(capacity) }
    }

    /// Values in the table.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.free.is_empty() && self.slots.len() == self.slots.capacity()
    }

    /// Values that it still has room for.
    #[inline]
    pub fn free_count(&self) -> usize {
        self.capacity() - self.len()
    }

    /// Values that it has room for at most.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Adds a value; gives it back when the table is full.
    pub fn insert(&mut self, value: T) -> Result<u32, T> {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(value);
            return Ok(index);
        }
        if self.is_full() {
            return Err(value);
        }
        self.slots.push(Some(value));
        Ok(self.slots.len() as u32 - 1)
    }

    pub fn get(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.as_ref()
    }

    /// Has the processor fetch a value while others are worked on.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        if let Some(slot) = self.slots.get(index as usize) {
            prefetch(slot);
        }
    }

    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    pub fn remove(&mut self, index: u32) -> Option<T> {
        let value = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(value)
    }

    /// Indices that may be in use; for rare walks over everything.
    pub fn indices(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }
}
