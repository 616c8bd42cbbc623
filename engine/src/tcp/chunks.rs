//! Nodes beside the frame pool, and lists through them.
//!
//! A frame is in at most one queue at a time, so one node per frame, under the frame's index, is
//! all the memory that queues ever need. The node keeps the frame itself while it is queued.

mod order;
mod runs;

use super::Chunk;
use super::delivery_rate::SendState;
use crate::frame::{Frame, FramePool, prefetch};
use crate::limits::COPYBREAK;
use crate::planted::{self, Fault};
use crate::time::Instant;
use crate::wire::checksum;
use crate::wire::tcp::SeqNum;
pub(super) use order::Order;

/// The end of a list.
pub(super) const NIL: u32 = u32::MAX;

/// One node for each frame of a pool.
#[derive(Debug)]
pub struct ChunkSlab {
    nodes: Vec<Node>,
    /// Links that were followed, for tests of what something costs.
    #[cfg(test)]
    followed: std::cell::Cell<u64>,
}

/// A chunk in a queue.
#[derive(Debug)]
pub(super) struct Node {
    /// Its window is the payload. `Some` while the node is in a queue.
    frame: Option<Frame>,
    pub(super) received_at: Instant,
    /// When it was last sent; meaningful once [`Marks::SENT`] is set.
    pub(super) sent_at: Instant,
    /// How delivery stood then.
    pub(super) sent: SendState,
    pub(super) seq: SeqNum,
    next: u32,
    prev: u32,
    /// In an [`Order`]: what was put into it before this and after it.
    earlier: u32,
    later: u32,
    /// Of the first node of a run its last, and the other way round.
    other_end: u32,
    sum: u16,
    pub(super) marks: Marks,
}

/// What is known of a queued chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    /// Sent at least once.
    pub(super) const SENT: Marks = Marks(1);
    /// Selectively acknowledged.
    pub(super) const SACKED: Marks = Marks(1 << 1);
    /// Presumed lost, in the current recovery.
    pub(super) const LOST: Marks = Marks(1 << 2);
    /// Sent again since it was marked lost: it counts as in flight once more.
    pub(super) const RETRANSMITTED: Marks = Marks(1 << 3);
    /// Sent more than once: an acknowledgment of it says nothing about the round trip (Karn).
    pub(super) const AMBIGUOUS: Marks = Marks(1 << 4);
    /// The payload was copied into this frame; it did not arrive in it.
    pub(super) const COPY: Marks = Marks(1 << 5);
    /// Payload of other frames was appended to this one.
    pub(super) const COALESCED: Marks = Marks(1 << 6);
    /// The sum no longer belongs to the window, and is taken anew before sending.
    pub(super) const SUM_STALE: Marks = Marks(1 << 7);

    #[inline]
    pub(super) const fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 != 0
    }

    #[inline]
    pub(super) const fn set(&mut self, mark: Marks) {
        self.0 |= mark.0;
    }

    #[inline]
    pub(super) const fn clear(&mut self, mark: Marks) {
        self.0 &= !mark.0;
    }
}

impl ChunkSlab {
    /// Nodes for every frame of `pool`; memory is taken here and never again.
    pub fn for_pool(pool: &FramePool) -> Self {
        let mut nodes = Vec::new();
        nodes.resize_with(pool.index_end(), || Node {
            frame: None,
            received_at: Instant::ZERO,
            sent_at: Instant::ZERO,
            sent: SendState::default(),
            seq: SeqNum(0),
            next: NIL,
            prev: NIL,
            earlier: NIL,
            later: NIL,
            other_end: NIL,
            sum: 0,
            marks: Marks::default(),
        });
        ChunkSlab {
            nodes,
            #[cfg(test)]
            followed: std::cell::Cell::new(0),
        }
    }

    #[inline]
    pub(super) fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    #[inline]
    pub(super) fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }

    /// Has the processor fetch a node, and where its frame's headers go, while others are worked on.
    #[inline]
    pub(super) fn prefetch(&self, pool: &FramePool, index: u32) {
        if let Some(node) = self.nodes.get(index as usize) {
            prefetch(node);
            pool.prefetch_room(index);
        }
    }

    /// What follows `index` in its list.
    #[inline]
    pub(super) fn next(&self, index: u32) -> u32 {
        self.count_step();
        self.node(index).next
    }

    #[inline]
    fn count_step(&self) {
        #[cfg(test)]
        self.followed.set(self.followed.get() + 1);
    }

    /// How many links have been followed.
    #[cfg(test)]
    pub(super) fn steps(&self) -> u64 {
        self.followed.get()
    }

    /// What precedes `index` in its list.
    #[inline]
    pub(super) fn prev(&self, index: u32) -> u32 {
        self.count_step();
        self.node(index).prev
    }

    /// What follows `index` in the [`Order`] that it is in.
    #[inline]
    pub(super) fn later(&self, index: u32) -> u32 {
        self.count_step();
        self.node(index).later
    }

    /// Puts a chunk into its node, outside of any list yet.
    #[inline]
    fn put(&mut self, chunk: Chunk, seq: SeqNum, marks: Marks) -> u32 {
        let index = chunk.frame.index();
        let Chunk { frame, sum, received_at } = chunk;
        *self.node_mut(index) = Node {
            frame: Some(frame),
            received_at,
            sent_at: Instant::ZERO,
            sent: SendState::default(),
            seq,
            next: NIL,
            prev: NIL,
            earlier: NIL,
            later: NIL,
            other_end: index,
            sum,
            marks,
        };
        index
    }

    /// The frame out of a node that leaves its list.
    #[inline]
    fn take(&mut self, index: u32) -> Option<Chunk> {
        let node = self.node_mut(index);
        let (received_at, sum) = (node.received_at, node.sum);
        node.frame.take().map(|frame| Chunk { frame, sum, received_at })
    }
}

impl Node {
    /// Length of the payload [octets].
    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.frame.as_ref().map_or(0, |frame| frame.len() as u32)
    }

    /// The sequence number behind the payload.
    #[inline]
    pub(super) fn end(&self) -> SeqNum {
        self.seq + self.len()
    }

    /// Whether the frame is still on its way out.
    #[inline]
    pub(super) fn is_shared(&self, pool: &FramePool) -> bool {
        self.frame.as_ref().is_some_and(|frame| pool.is_shared(frame))
    }

    /// Takes the frame for as long as it is worked on; [`Node::put_frame`] returns it.
    #[inline]
    pub(super) fn take_frame(&mut self) -> Option<Frame> {
        self.frame.take()
    }

    #[inline]
    pub(super) fn put_frame(&mut self, frame: Frame) {
        debug_assert!(self.frame.is_none());
        self.frame = Some(frame);
    }

    /// The payload's sum, taken anew where trimming has made it stale.
    #[inline]
    pub(super) fn sum(&mut self, pool: &FramePool) -> u16 {
        if self.marks.has(Marks::SUM_STALE)
            && !planted::is(Fault::StaleSumTrusted)
            && let Some(frame) = &self.frame
        {
            self.sum = checksum::sum(pool.bytes(frame));
            self.marks.clear(Marks::SUM_STALE);
        }
        self.sum
    }

    /// Takes `octets` off the front of the payload.
    pub(super) fn trim_front(&mut self, octets: u32) {
        if let Some(frame) = &mut self.frame {
            let octets = octets.min(frame.len() as u32);
            frame.trim_front(octets as usize);
            self.seq += octets;
            self.marks.set(Marks::SUM_STALE);
        }
    }

    /// Appends a small chunk by copy, if nobody reads this frame, the result stays within
    /// `len_max` octets and the frame has room; otherwise gives it back.
    pub(super) fn append(
        &mut self,
        pool: &mut FramePool,
        chunk: Chunk,
        len_max: usize,
    ) -> Result<(), Chunk> {
        let added = chunk.frame.len();
        let Some(frame) = &mut self.frame else { return Err(chunk) };
        let before = frame.len();
        if added > COPYBREAK
            || before + added > len_max
            || pool.is_shared(frame)
            || pool.room_behind(frame) < added
        {
            return Err(chunk);
        }
        copy(pool, &chunk.frame, 0..added, frame);
        if !self.marks.has(Marks::SUM_STALE) {
            let sum = if before % 2 == 1 { checksum::swap(chunk.sum) } else { chunk.sum };
            self.sum = checksum::combine(self.sum, sum);
        }
        self.marks.set(Marks::COALESCED);
        pool.free(chunk.frame);
        Ok(())
    }
}

/// Appends a range of one frame's payload to another frame, as far as there is room.
pub(super) fn copy(
    pool: &mut FramePool,
    from: &Frame,
    range: std::ops::Range<usize>,
    to: &mut Frame,
) {
    // Both frames are borrowed from the same pool, so the octets pass through a small buffer.
    let mut buffer = [0; COPYBREAK];
    let mut at = range.start;
    while at < range.end {
        let step = (range.end - at).min(buffer.len());
        buffer[..step].copy_from_slice(&pool.bytes(from)[at..at + step]);
        let Some(room) = pool.push_back(to, step) else { return };
        room.copy_from_slice(&buffer[..step]);
        at += step;
    }
}

/// A list of chunks, first to last.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) frames: u32,
    pub(super) octets: u32,
}

impl List {
    pub(super) const EMPTY: List = List { head: NIL, tail: NIL, frames: 0, octets: 0 };

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == NIL
    }

    #[inline]
    pub(super) fn push_back(
        &mut self,
        slab: &mut ChunkSlab,
        chunk: Chunk,
        seq: SeqNum,
        marks: Marks,
    ) -> u32 {
        self.insert_after(slab, self.tail, chunk, seq, marks)
    }

    /// Inserts behind `before`; `NIL` inserts at the front.
    #[inline]
    pub(super) fn insert_after(
        &mut self,
        slab: &mut ChunkSlab,
        before: u32,
        chunk: Chunk,
        seq: SeqNum,
        marks: Marks,
    ) -> u32 {
        self.frames += 1;
        self.octets += chunk.frame.len() as u32;
        let index = slab.put(chunk, seq, marks);
        let next = if before == NIL { self.head } else { slab.next(before) };
        self.link(slab, before, index);
        self.link(slab, index, next);
        index
    }

    #[inline]
    pub(super) fn pop_front(&mut self, slab: &mut ChunkSlab) -> Option<Chunk> {
        if self.head == NIL {
            return None;
        }
        self.remove(slab, self.head)
    }

    /// Removes a node of this list.
    #[inline]
    pub(super) fn remove(&mut self, slab: &mut ChunkSlab, index: u32) -> Option<Chunk> {
        let (prev, next) = (slab.prev(index), slab.next(index));
        self.link(slab, prev, next);
        self.frames -= 1;
        self.octets -= slab.node(index).len();
        slab.take(index)
    }

    /// Makes `next` follow `prev`; `NIL` is the end of the list on either side.
    #[inline]
    fn link(&mut self, slab: &mut ChunkSlab, prev: u32, next: u32) {
        match prev {
            NIL => self.head = next,
            _ => slab.node_mut(prev).next = next,
        }
        match next {
            NIL => self.tail = prev,
            _ => slab.node_mut(next).prev = prev,
        }
    }
}
