//! The pairs of one lane, in a slab of fixed size.

use super::Pair;

/// Pairs by index. Memory for all of them is reserved at the start and touched as it is needed;
/// a full table refuses.
#[derive(Debug)]
pub struct PairTable {
    slots: Vec<Option<Pair>>,
    free: Vec<u32>,
}

impl PairTable {
    pub fn new(capacity: usize) -> Self {
        PairTable { slots: Vec::with_capacity(capacity), free: Vec::with_capacity(capacity) }
    }

    /// Pairs in the table.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty() && self.slots.len() == self.slots.capacity()
    }

    /// Adds a pair; gives it back when the table is full.
    pub fn insert(&mut self, pair: Pair) -> Result<u32, Box<Pair>> {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(pair);
            return Ok(index);
        }
        if self.is_full() {
            return Err(Box::new(pair));
        }
        self.slots.push(Some(pair));
        Ok(self.slots.len() as u32 - 1)
    }

    pub fn get(&self, index: u32) -> Option<&Pair> {
        self.slots.get(index as usize)?.as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut Pair> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    pub fn remove(&mut self, index: u32) -> Option<Pair> {
        let pair = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(pair)
    }

    /// Indices that may be in use; for rare walks over everything.
    pub fn indices(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }
}
