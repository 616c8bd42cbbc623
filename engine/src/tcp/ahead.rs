//! Fetching ahead: what a connection will touch, while the processor works on others.
//!
//! With more connections than the cache holds, each segment would wait for memory several times, one
//! after the other. Who has a burst of them says so for all first, and the waits overlap:
//! [`Connection::prefetch`] for each, then [`Connection::prefetch_queue`] for each, then the segments.

use super::{ChunkSlab, Connection};
use crate::frame::{FramePool, prefetch};

impl Connection {
    /// All of its state.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(self);
    }

    /// What is oldest in its send queue, which an acknowledgment will free; and what is sent next.
    #[inline]
    pub fn prefetch_queue(&self, chunks: &ChunkSlab, pool: &FramePool) {
        let (head, unsent) = (self.queue.list.head, self.queue.unsent);
        chunks.prefetch(pool, head);
        if unsent != head {
            chunks.prefetch(pool, unsent);
        }
    }
}
