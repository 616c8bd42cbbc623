//! What has arrived: in order and not yet taken, and behind a gap.

use super::chunks::{ChunkSlab, List, Marks, NIL};
use super::{Chunk, Context, TcpCounters};
use crate::frame::FramePool;
use crate::limits::{COPYBREAK, FRAME_SIZE_MAX, OUT_OF_ORDER_RANGES_MAX, RECEIVE_FRAMES_MAX};
use crate::wire::checksum;
use crate::wire::tcp::{SackBlock, SackBlocks, SeqNum};

/// Payload in order, waiting to be taken.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct ReceiveQueue {
    pub(super) list: List,
}

impl ReceiveQueue {
    pub(super) const EMPTY: ReceiveQueue = ReceiveQueue { list: List::EMPTY };

    /// Whether another frame fits.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.list.frames >= RECEIVE_FRAMES_MAX
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
}

/// Payload behind a gap, in order of sequence numbers, without overlap.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutOfOrder {
    list: List,
    /// Runs without a gap in them.
    ranges: u32,
    /// What to report, most recent first (RFC 2018 §4).
    recent: SackBlocks,
    /// A duplicate to report once, before the others (RFC 2883 §4).
    duplicate: Option<SackBlock>,
}

impl OutOfOrder {
    pub(super) const EMPTY: OutOfOrder = OutOfOrder {
        list: List::EMPTY,
        ranges: 0,
        recent: SackBlocks { blocks: [EMPTY_BLOCK; 4], len: 0 },
        duplicate: None,
    };

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether another frame, and a range of its own for it, fits.
    pub(super) fn has_room(&self) -> bool {
        self.list.frames < RECEIVE_FRAMES_MAX && self.ranges < OUT_OF_ORDER_RANGES_MAX
    }

    /// The blocks to report, at most `most`. Reporting a duplicate uses it up.
    pub(super) fn blocks(&mut self, most: usize) -> SackBlocks {
        let mut blocks = SackBlocks::default();
        let duplicate = self.duplicate.take();
        for block in duplicate.into_iter().chain(self.recent.iter()).take(most) {
            blocks.push(block);
        }
        blocks
    }

    pub(super) fn has_blocks(&self) -> bool {
        self.recent.len > 0 || self.duplicate.is_some()
    }

    /// Notes that `[left, right)` arrived though it was already here.
    pub(super) fn note_duplicate(&mut self, left: SeqNum, right: SeqNum) {
        if left.before(right) {
            self.duplicate = Some(SackBlock { left, right });
        }
    }

    /// Keeps payload that begins beyond a gap, without what is already here. Payload that covers
    /// several others replaces them. Gives back what has no place.
    pub(super) fn insert(
        &mut self,
        cx: &mut Context<'_>,
        chunk: Chunk,
        seq: SeqNum,
    ) -> Result<(), Chunk> {
        if self.list.frames >= RECEIVE_FRAMES_MAX {
            return Err(chunk);
        }
        let (mut chunk, mut seq) = (chunk, seq);
        let mut end = seq + chunk.frame.len() as u32;
        let (left, right) = (seq, end);
        // The last that begins at or before it; most often simply the last.
        let before = match self.list.tail {
            NIL => NIL,
            tail if cx.chunks.node(tail).seq.at_or_before(seq) => tail,
            _ => self.last_at_or_before(cx.chunks, seq),
        };
        if before != NIL {
            let covered_to = cx.chunks.node(before).end();
            if covered_to.at_or_after(end) {
                self.note_duplicate(left, right);
                return Err(chunk);
            }
            if covered_to.after(seq) {
                self.note_duplicate(seq, covered_to);
                trim_front(cx.pool, &mut chunk, covered_to - seq);
                seq = covered_to;
            }
        }
        let touches_before = before != NIL && cx.chunks.node(before).end() == seq;
        if self.ranges >= OUT_OF_ORDER_RANGES_MAX && !touches_before {
            return Err(chunk);
        }
        // What follows and is wholly covered goes; what is partly covered stays, and this is cut.
        loop {
            let after = self.after(cx.chunks, before);
            if after == NIL || cx.chunks.node(after).seq.at_or_after(end) {
                break;
            }
            let (after_seq, after_end) = (cx.chunks.node(after).seq, cx.chunks.node(after).end());
            self.note_duplicate(after_seq, after_end.earliest(end));
            if after_end.after(end) {
                trim_back(cx.pool, &mut chunk, end - after_seq);
                end = after_seq;
                break;
            }
            if let Some(gone) = self.list.remove_after(cx.chunks, before) {
                cx.pool.free(gone.frame);
                cx.counters.discarded += 1;
            }
        }
        let newest = &mut self.recent.blocks[0];
        let extends_newest = before == self.list.tail && touches_before && newest.right == seq;
        self.list.insert_after(cx.chunks, before, chunk, seq, Marks::default());
        if extends_newest && self.recent.len > 0 {
            newest.right = end; // One gap, a long run behind it: no walk through the run.
        } else {
            self.report(cx.chunks, seq);
        }
        Ok(())
    }

    /// Takes out the next payload that `rcv_nxt` has reached, without what lies before it.
    pub(super) fn pop_in_order(
        &mut self,
        cx: &mut Context<'_>,
        rcv_nxt: SeqNum,
    ) -> Option<(Chunk, SeqNum)> {
        while !self.list.is_empty() {
            let node = cx.chunks.node(self.list.head);
            let (seq, end) = (node.seq, node.end());
            if seq.after(rcv_nxt) {
                break;
            }
            let mut chunk = self.list.pop_front(cx.chunks)?;
            if end.after(rcv_nxt) {
                trim_front(cx.pool, &mut chunk, rcv_nxt - seq);
                return Some((chunk, rcv_nxt));
            }
            cx.pool.free(chunk.frame);
            cx.counters.discarded += 1;
        }
        None
    }

    /// Drops reports of what `rcv_nxt` has passed.
    pub(super) fn advance(&mut self, chunks: &ChunkSlab, rcv_nxt: SeqNum) {
        let mut left = SackBlocks::default();
        self.recent.iter().filter(|b| b.left.after(rcv_nxt)).for_each(|b| left.push(b));
        self.recent = left;
        self.ranges = self.count_ranges(chunks);
    }

    pub(super) fn clear(
        &mut self,
        pool: &mut FramePool,
        chunks: &mut ChunkSlab,
        counters: &mut TcpCounters,
    ) {
        clear(&mut self.list, pool, chunks, counters);
        *self = OutOfOrder::EMPTY;
    }

    fn after(&self, chunks: &ChunkSlab, before: u32) -> u32 {
        if before == NIL { self.list.head } else { chunks.next(before) }
    }

    fn last_at_or_before(&self, chunks: &ChunkSlab, seq: SeqNum) -> u32 {
        let (mut before, mut at) = (NIL, self.list.head);
        while at != NIL && chunks.node(at).seq.at_or_before(seq) {
            before = at;
            at = chunks.next(at);
        }
        before
    }

    /// Brings the reports up to date after the arrival of payload at `seq`: the run that it is
    /// part of comes first (RFC 2018 §4).
    fn report(&mut self, chunks: &ChunkSlab, seq: SeqNum) {
        let mut found = None;
        self.ranges = for_each_range(chunks, &self.list, |range| {
            if range.left.at_or_before(seq) && range.right.after(seq) {
                found = Some(range);
            }
        });
        let Some(newest) = found else { return };
        let mut reports = SackBlocks::default();
        reports.push(newest);
        let separate = |b: &SackBlock| b.right.before(newest.left) || b.left.after(newest.right);
        self.recent.iter().filter(separate).for_each(|b| reports.push(b));
        self.recent = reports;
    }

    fn count_ranges(&self, chunks: &ChunkSlab) -> u32 {
        for_each_range(chunks, &self.list, |_| {})
    }
}

impl ReceiveQueue {
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

const EMPTY_BLOCK: SackBlock = SackBlock { left: SeqNum(0), right: SeqNum(0) };

/// Calls `f` with each run of payload without a gap; returns their number.
fn for_each_range(chunks: &ChunkSlab, list: &List, mut f: impl FnMut(SackBlock)) -> u32 {
    let mut count = 0;
    let mut range: Option<SackBlock> = None;
    let mut at = list.head;
    while at != NIL {
        let node = chunks.node(at);
        match &mut range {
            Some(open) if open.right == node.seq => open.right = node.end(),
            _ => {
                if let Some(done) = range.replace(SackBlock { left: node.seq, right: node.end() }) {
                    f(done);
                }
                count += 1;
            }
        }
        at = chunks.next(at);
    }
    if let Some(last) = range {
        f(last);
    }
    count
}

fn clear(
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
