//! Connections in TIME-WAIT, in a table of their own.
//!
//! A leg in TIME-WAIT needs a tenth of what a live one does, and there may be many more of them.
//! All wait equally long, so the table is a ring in order of arrival: no timers. One whose wait
//! starts over (its peer repeats a FIN) keeps its place, and those behind it wait with it.

use crate::flow::FlowKey;
use crate::tcp::TimeWait;
use crate::time::Instant;

use super::LinkPath;

/// One connection in TIME-WAIT.
#[derive(Debug)]
pub struct Waiting {
    pub key: FlowKey,
    /// The port that its segments come by.
    pub port: u8,
    pub tcp: TimeWait,
    pub path: LinkPath,
}

/// The ring; see the module. Full, it lets the oldest go early: the table bounds memory, and a
/// TIME-WAIT cut short is a smaller risk than a refused connection.
#[derive(Debug)]
pub struct TimeWaitTable {
    ring: Vec<Option<Waiting>>,
    /// Entries ever added; the next one goes to this position, modulo the ring.
    added: u64,
    /// The oldest entry that may still be there.
    oldest: u64,
}

impl TimeWaitTable {
    /// A table for at most `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0);
        TimeWaitTable { ring: Vec::with_capacity(capacity), added: 0, oldest: 0 }
    }

    /// Adds an entry and returns its index. The caller has made room with
    /// [`TimeWaitTable::expire`].
    pub fn insert(&mut self, waiting: Waiting) -> u32 {
        debug_assert!(!self.is_full());
        let index = self.slot(self.added);
        if index == self.ring.len() {
            self.ring.push(Some(waiting));
        } else {
            self.ring[index] = Some(waiting);
        }
        self.added += 1;
        index as u32
    }

    pub fn get(&self, index: u32) -> Option<&Waiting> {
        self.ring.get(index as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, index: u32) -> Option<&mut Waiting> {
        self.ring.get_mut(index as usize)?.as_mut()
    }

    /// Takes an entry out before its time.
    pub fn remove(&mut self, index: u32) -> Option<Waiting> {
        self.ring.get_mut(index as usize)?.take()
    }

    /// Takes out the next entry whose time is over, or the oldest when the table is full.
    pub fn expire(&mut self, now: Instant) -> Option<Waiting> {
        while self.oldest < self.added {
            let index = self.slot(self.oldest);
            match &self.ring[index] {
                Some(waiting) if waiting.tcp.expires_at() > now && !self.is_full() => return None,
                Some(_) => {
                    self.oldest += 1;
                    return self.ring[index].take();
                }
                None => self.oldest += 1,
            }
        }
        None
    }

    /// When the next entry's time is over.
    pub fn deadline(&self) -> Instant {
        if self.oldest == self.added {
            return Instant::FAR_FUTURE;
        }
        match &self.ring[self.slot(self.oldest)] {
            Some(waiting) => waiting.tcp.expires_at(),
            None => Instant::ZERO,
        }
    }

    fn is_full(&self) -> bool {
        (self.added - self.oldest) as usize == self.ring.capacity()
    }

    fn slot(&self, position: u64) -> usize {
        (position % self.ring.capacity() as u64) as usize
    }
}
