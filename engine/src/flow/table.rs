//! The flow table: from a flow's key to the slot where its connection lives.
//!
//! Open addressing with linear probing, kept in Robin Hood order: within a stretch of used
//! buckets, entries are sorted by where they belong. A search therefore ends as soon as it meets
//! an entry that is closer to its home than the one sought would be, and a deletion moves what
//! follows back by one: no tombstones, so a table that was full and emptied is as good as new.
//!
//! A bucket is 8 octets: 32 bits of the hash, and the index of the entry that holds key and
//! value. Probing reads buckets alone, eight to a cache line; a key is compared only if all
//! 32 bits agree. Entries never move; only buckets do.
//!
//! What it costs at worst, however keys are chosen: a lookup looks at [`FLOW_PROBES_MAX`]
//! buckets; an insertion moves [`FLOW_SHIFT_MAX`] more by 8 octets each, or is refused. A removal
//! moves back the rest of its stretch, whose length is bounded in probability only, by the
//! hash's key (see [`FLOW_SHIFT_MAX`]). At full capacity a lookup looks at 3 buckets on average.
//!
//! Note: there is no prefetch, as stable Rust has no safe one. Look up a burst in one tight loop:
//! the lookups are independent, so their cache misses overlap.

use super::{FlowHash, FlowKey};
use crate::limits::{FLOW_PROBES_MAX, FLOW_SHIFT_MAX, FLOW_TABLE_LOAD_QUARTERS, FLOWS_MAX};

/// A table of flows with room for a fixed number of them, taken when it is made.
///
/// Every call takes the key's hash besides the key: always of the same [`super::FlowHasher`].
#[derive(Debug)]
pub struct FlowTable {
    buckets: Box<[Bucket]>,
    entries: Box<[Entry]>,
    /// Entries not in use, last freed first.
    free: Vec<u32>,
    /// From a tag to its home bucket: the tag's top bits.
    home_shift: u32,
}

/// Eight octets, so that eight of them share a cache line.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The hash's upper half. Its own top bits say where the entry belongs.
    tag: u32,
    /// Index into `entries`, or [`EMPTY`].
    entry: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: FlowKey,
    value: u32,
}

/// There is no room for another flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the flow table is full: raise its capacity, or refuse new flows earlier")]
pub struct Full;

/// Where a search ended.
enum Search {
    Found {
        bucket: usize,
    },
    /// Not in the table. It would belong into this bucket.
    Missing {
        bucket: usize,
        distance: usize,
    },
}

impl FlowTable {
    /// What one flow takes of a table that is full, at worst [octets]: its entry, its place in the
    /// list of free ones, and buckets, whose number is rounded up to a power of two.
    pub const OCTETS_PER_FLOW_MAX: usize = size_of::<Entry>()
        + size_of::<u32>()
        + (2 * 4 * size_of::<Bucket>()).div_ceil(FLOW_TABLE_LOAD_QUARTERS);

    /// A table for `capacity` flows.
    ///
    /// # Panics
    /// If `capacity` is above [`FLOWS_MAX`]. It is decided at start, from checked settings.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity <= FLOWS_MAX, "{capacity} flows are more than {FLOWS_MAX}");
        let buckets =
            (capacity * 4).div_ceil(FLOW_TABLE_LOAD_QUARTERS).max(BUCKETS_MIN).next_power_of_two();
        let nothing = FlowKey::from_ipv6(([0; 16], 0), ([0; 16], 0));
        FlowTable {
            buckets: vec![Bucket { tag: 0, entry: EMPTY }; buckets].into(),
            entries: vec![Entry { key: nothing, value: 0 }; capacity].into(),
            free: (0..capacity as u32).rev().collect(),
            home_shift: u32::BITS - buckets.trailing_zeros(),
        }
    }

    /// The value stored for `key`.
    #[inline]
    pub fn lookup(&self, key: &FlowKey, hash: FlowHash) -> Option<u32> {
        match self.search(key, tag(hash)) {
            Search::Found { bucket } => Some(self.entry(bucket).value),
            Search::Missing { .. } => None,
        }
    }

    /// Stores `value` for `key`, and returns what was stored for it before, if anything.
    /// If it is refused, nothing has changed.
    pub fn insert(
        &mut self,
        key: FlowKey,
        hash: FlowHash,
        value: u32,
    ) -> Result<Option<u32>, Full> {
        let tag = tag(hash);
        let (bucket, distance) = match self.search(&key, tag) {
            Search::Found { bucket } => {
                let entry = &mut self.entries[self.buckets[bucket].entry as usize];
                return Ok(Some(std::mem::replace(&mut entry.value, value)));
            }
            Search::Missing { bucket, distance } => (bucket, distance),
        };
        if distance >= FLOW_PROBES_MAX {
            return Err(Full);
        }
        let gap = self.gap_behind(bucket).ok_or(Full)?;
        let entry = self.free.pop().ok_or(Full)?;
        let mut at = gap;
        while at != bucket {
            let before = at.wrapping_sub(1) & self.mask();
            self.buckets[at] = self.buckets[before];
            at = before;
        }
        self.buckets[bucket] = Bucket { tag, entry };
        self.entries[entry as usize] = Entry { key, value };
        Ok(None)
    }

    /// Forgets `key`, and returns what was stored for it.
    pub fn remove(&mut self, key: &FlowKey, hash: FlowHash) -> Option<u32> {
        let Search::Found { bucket } = self.search(key, tag(hash)) else {
            return None;
        };
        let entry = self.buckets[bucket].entry;
        let mut at = bucket;
        loop {
            let next = (at + 1) & self.mask();
            let follower = self.buckets[next];
            // What is at home, or is nothing, stays; so does all that follows.
            if follower.entry == EMPTY || self.distance(follower.tag, next) == 0 {
                break;
            }
            self.buckets[at] = follower;
            at = next;
        }
        self.buckets[at].entry = EMPTY;
        self.free.push(entry);
        Some(self.entries[entry as usize].value)
    }

    /// Flows in the table.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Flows that it has room for.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    fn search(&self, key: &FlowKey, tag: u32) -> Search {
        let mut at = (tag >> self.home_shift) as usize;
        let mut distance = 0;
        // No entry is ever further from home than this; and the load leaves gaps.
        while distance < FLOW_PROBES_MAX {
            let bucket = self.buckets[at];
            if bucket.entry == EMPTY || self.distance(bucket.tag, at) < distance {
                break;
            }
            if bucket.tag == tag && self.entries[bucket.entry as usize].key == *key {
                return Search::Found { bucket: at };
            }
            at = (at + 1) & self.mask();
            distance += 1;
        }
        Search::Missing { bucket: at, distance }
    }

    /// The first unused bucket from `bucket` on, if what lies between may all move up by one.
    fn gap_behind(&self, bucket: usize) -> Option<usize> {
        let mut at = bucket;
        for _ in 0..=FLOW_SHIFT_MAX {
            let follower = self.buckets[at];
            if follower.entry == EMPTY {
                return Some(at);
            }
            if self.distance(follower.tag, at) + 1 >= FLOW_PROBES_MAX {
                return None;
            }
            at = (at + 1) & self.mask();
        }
        None
    }

    /// How far from its home an entry with this tag is in bucket `at` [buckets].
    #[inline]
    fn distance(&self, tag: u32, at: usize) -> usize {
        at.wrapping_sub((tag >> self.home_shift) as usize) & self.mask()
    }

    #[inline]
    fn entry(&self, bucket: usize) -> &Entry {
        &self.entries[self.buckets[bucket].entry as usize]
    }

    #[inline]
    fn mask(&self) -> usize {
        self.buckets.len() - 1
    }
}

#[inline]
fn tag(hash: FlowHash) -> u32 {
    (hash.0 >> 32) as u32
}

const EMPTY: u32 = u32::MAX;

/// More than [`FLOW_PROBES_MAX`], so that no search comes round to where it began.
const BUCKETS_MIN: usize = 256;

const _: () = assert!(BUCKETS_MIN > FLOW_PROBES_MAX);
const _: () = assert!(FLOWS_MAX < EMPTY as usize);
const _: () = assert!(size_of::<Bucket>() == 8);

#[cfg(test)]
mod tests;
