//! A bounded table: what is remembered of the flows that were seen last. The least recently used one
//! gives way, and nothing is allocated after the start.

use crate::flow::{FlowHasher, FlowKey, FlowTable};

/// See the module.
#[derive(Debug)]
pub(super) struct Recent<T> {
    /// Where in `entries` each flow is.
    table: FlowTable,
    hasher: FlowHasher,
    /// A ring by last use through all that are in use, oldest first. The last place is the anchor:
    /// before the oldest, behind the newest.
    entries: Box<[Entry<T>]>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    key: FlowKey,
    value: T,
    older: u32,
    newer: u32,
}

impl<T: Copy + Default> Recent<T> {
    pub(super) fn new(capacity: usize, secret: &[u8; 16]) -> Self {
        let anchor = capacity as u32;
        let nothing = FlowKey::from_ipv6(([0; 16], 0), ([0; 16], 0));
        let unused = Entry { key: nothing, value: T::default(), older: anchor, newer: anchor };
        Recent {
            table: FlowTable::new(capacity),
            hasher: FlowHasher::new(secret),
            entries: vec![unused; capacity + 1].into(),
            free: (0..anchor).rev().collect(),
        }
    }

    /// What is remembered of a flow.
    #[inline]
    pub(super) fn get(&self, key: &FlowKey) -> Option<T> {
        self.find(key).map(|entry| self.entries[entry as usize].value)
    }

    /// What is remembered of a flow, which becomes the newest. It is added if it is not there.
    /// `None`: the table refuses its hash, which is as good as never.
    pub(super) fn use_or_add(&mut self, key: &FlowKey) -> Option<&mut T> {
        let entry = match self.find(key) {
            Some(entry) => {
                self.unlink(entry);
                entry
            }
            None => self.add(*key)?,
        };
        let anchor = self.anchor();
        let newest = self.at(anchor).older;
        self.entries[newest as usize].newer = entry;
        self.entries[entry as usize].older = newest;
        self.entries[entry as usize].newer = anchor;
        self.entries[anchor as usize].older = entry;
        Some(&mut self.entries[entry as usize].value)
    }

    /// Forgets the oldest, if there is no room for one more; which that was.
    pub(super) fn make_room(&mut self) -> Option<FlowKey> {
        if !self.free.is_empty() {
            return None;
        }
        let oldest = self.at(self.anchor()).newer;
        let key = self.at(oldest).key;
        self.forget(oldest);
        Some(key)
    }

    pub(super) fn remove(&mut self, key: &FlowKey) {
        if let Some(entry) = self.find(key) {
            self.forget(entry);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - 1 - self.free.len()
    }

    #[inline]
    fn find(&self, key: &FlowKey) -> Option<u32> {
        self.table.lookup(key, self.hasher.hash(key))
    }

    fn at(&self, entry: u32) -> &Entry<T> {
        &self.entries[entry as usize]
    }

    /// A place for a new flow, the oldest one's if there is no other; not yet in the ring.
    fn add(&mut self, key: FlowKey) -> Option<u32> {
        self.make_room();
        let entry = *self.free.last()?;
        self.table.insert(key, self.hasher.hash(&key), entry).ok()?;
        self.free.pop();
        self.entries[entry as usize] =
            Entry { key, value: T::default(), older: entry, newer: entry };
        Some(entry)
    }

    fn forget(&mut self, entry: u32) {
        self.unlink(entry);
        let key = self.at(entry).key;
        self.table.remove(&key, self.hasher.hash(&key));
        self.free.push(entry);
    }

    fn unlink(&mut self, entry: u32) {
        let Entry { older, newer, .. } = *self.at(entry);
        self.entries[older as usize].newer = newer;
        self.entries[newer as usize].older = older;
    }

    fn anchor(&self) -> u32 {
        self.entries.len() as u32 - 1
    }
}
