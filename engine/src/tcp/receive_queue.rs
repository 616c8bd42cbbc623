//! What has arrived in order and was not yet taken.

use super::chunks::{ChunkSlab, List, Marks};
use super::{Chunk, Context, TcpCounters};
use crate::frame::FramePool;
use crate::limits::{COPYBREAK, FRAME_SIZE_MAX, RECEIVE_FRAMES_MIN, RECEIVE_OCTETS_PER_FRAME};
use crate::wire::checksum;
use crate::wire::tcp::SeqNum;

/// Most frames that may hold what arrives within `window` octets [frames]. The window bounds
/// octets; this bounds what small segments cost.
#[inline]
pub(super) fn frames_max(window: u32) -> u32 {
    RECEIVE_FRAMES_MIN + window / RECEIVE_OCTETS_PER_FRAME
}

/// Payload in order, waiting to be taken.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct ReceiveQueue {
    pub(super) list: List,
}

impl ReceiveQueue {
    pub(super) const EMPTY: ReceiveQueue = ReceiveQueue { list: List::EMPTY };

    /// Whether no other frame fits, while the peer may still send `open` octets.
    #[inline]
    pub(super) fn is_full(&self, open: u32) -> bool {
        self.list.frames >= frames_max(self.list.octets + open)
    }

    /// Adds payload at the end; a small run is appended by copy to one that waits before it.
    #[inline]
    pub(super) fn push(&mut self, cx: &mut Context<'_>, mut chunk: Chunk, seq: SeqNum) {
        let octets = chunk.frame.len();
        if octets <= COPYBREAK && !self.list.is_empty() {
            let tail = cx.chunks.node_mut(self.list.tail);
            match tail.append(cx.pool, chunk, FRAME_SIZE_MAX) {
                Ok(()) => {
                    self.list.octets += octets as u32;
                    cx.counters.coalesced += 1;
                    cx.counters.copied_octets += octets as u64;
                    return;
                }
                Err(back) => chunk = back,
            }
        }
        self.list.push_back(cx.chunks, chunk, seq, Marks::default());
    }

    /// The next payload in order.
    #[inline]
    pub(super) fn pop(&mut self, chunks: &mut ChunkSlab, pool: &FramePool) -> Option<Chunk> {
        if self.list.is_empty() {
            return None;
        }
        let node = chunks.node_mut(self.list.head);
        let sum = node.sum(pool);
        let mut chunk = self.list.pop_front(chunks)?;
        chunk.sum = sum;
        Some(chunk)
    }

    pub(super) fn clear(
        &mut self,
        pool: &mut FramePool,
        chunks: &mut ChunkSlab,
        counters: &mut TcpCounters,
    ) {
        clear(&mut self.list, pool, chunks, counters);
    }
}

/// Takes `octets` off the front of a chunk.
pub(super) fn trim_front(pool: &FramePool, chunk: &mut Chunk, octets: u32) {
    let octets = (octets as usize).min(chunk.frame.len());
    if octets > 0 {
        chunk.frame.trim_front(octets);
        chunk.sum = checksum::sum(pool.bytes(&chunk.frame));
    }
}

/// Takes `octets` off the end of a chunk.
pub(super) fn trim_back(pool: &FramePool, chunk: &mut Chunk, octets: u32) {
    if octets > 0 {
        chunk.frame.truncate(chunk.frame.len().saturating_sub(octets as usize));
        chunk.sum = checksum::sum(pool.bytes(&chunk.frame));
    }
}

/// Gives every frame of a list back.
pub(super) fn clear(
    list: &mut List,
    pool: &mut FramePool,
    chunks: &mut ChunkSlab,
    counters: &mut TcpCounters,
) {
    while let Some(chunk) = list.pop_front(chunks) {
        pool.free(chunk.frame);
        counters.discarded += 1;
    }
}
