//! What has arrived behind a gap.
//!
//! Payload lies in order of sequence numbers, without overlap, in runs ([`super::chunks`]) that are
//! what selective acknowledgments report. At the end it is appended at once; elsewhere its place is
//! found by walking over runs, never through them, from where a gap was filled last or from the
//! nearer end. Frames are bounded, and so are the runs, as each is a frame at least; a walk that
//! takes too long is given up, and the segment is refused, but the next such walk goes on from
//! there. Payload in order does not come here: whatever a peer sends, the first gap can be closed.

use super::chunks::{ChunkSlab, List, Marks, NIL};
use super::input::DropReason;
use super::receive_queue::{clear, trim_back, trim_front};
use super::{Chunk, Context, TcpCounters};
use crate::frame::FramePool;
use crate::limits::{FRAME_SIZE_MAX, REASSEMBLY_STEPS_MAX};
use crate::planted::{self, Fault};
use crate::wire::tcp::{SackBlock, SackBlocks, SeqNum};

#[derive(Clone, Copy, Debug)]
pub(super) struct OutOfOrder {
    list: List,
    /// The first chunk of the run that payload was added to last, but for what came behind all.
    place: u32,
    /// What to report, most recent first (RFC 2018 §4).
    recent: SackBlocks,
    /// A duplicate to report once, before the others (RFC 2883 §4).
    duplicate: Option<SackBlock>,
}

impl OutOfOrder {
    pub(super) const EMPTY: OutOfOrder = OutOfOrder {
        list: List::EMPTY,
        place: NIL,
        recent: SackBlocks { blocks: [EMPTY_BLOCK; 4], len: 0 },
        duplicate: None,
    };

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Frames that are kept.
    pub(super) fn frames(&self) -> u32 {
        self.list.frames
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

    /// Keeps payload that begins beyond a gap, without what is already here, in at most
    /// `frames_max` frames. Payload that covers whole runs replaces them. Gives back what has no
    /// place, and why.
    pub(super) fn insert(
        &mut self,
        cx: &mut Context<'_>,
        chunk: Chunk,
        seq: SeqNum,
        frames_max: u32,
    ) -> Result<(), (Chunk, DropReason)> {
        let (mut chunk, mut seq) = (chunk, seq);
        let mut end = seq + chunk.frame.len() as u32;
        if self.list.frames >= frames_max {
            return Err((chunk, DropReason::QueueFull));
        }
        let Some(run) = self.last_run_at_or_before(cx.chunks, seq) else {
            return Err((chunk, DropReason::QueueFull));
        };
        let mut before = NIL;
        let mut touches_before = false;
        if run != NIL {
            before = cx.chunks.other_end(run);
            let covered_to = cx.chunks.node(before).end();
            if covered_to.at_or_after(end) {
                self.note_duplicate(seq, end);
                return Err((chunk, DropReason::Duplicate));
            }
            if covered_to.after(seq) {
                self.note_duplicate(seq, covered_to);
                trim_front(cx.pool, &mut chunk, covered_to - seq);
                seq = covered_to;
            }
            touches_before = covered_to == seq || planted::is(Fault::ReassembledAcrossGap);
        }
        let after = if before == NIL { self.list.head } else { cx.chunks.next(before) };
        let after = self.make_room(cx, &mut chunk, seq, after);
        end = seq + chunk.frame.len() as u32;
        let (mut first, mut last) = (run, before);
        let rest = if touches_before { self.append(cx, before, chunk) } else { Err(chunk) };
        if let Err(chunk) = rest {
            last = self.list.insert_after(cx.chunks, before, chunk, seq, Marks::default());
            if touches_before {
                cx.chunks.join_runs(before, last);
            } else {
                first = last;
            }
        }
        if after != NIL && cx.chunks.node(after).seq == end {
            cx.chunks.join_runs(last, after);
        }
        if after != NIL {
            self.place = first;
        }
        self.report(cx.chunks, first);
        Ok(())
    }

    /// Appends a small run of payload by copy to the chunk that it continues, as in order.
    fn append(&mut self, cx: &mut Context<'_>, index: u32, chunk: Chunk) -> Result<(), Chunk> {
        let octets = chunk.frame.len() as u32;
        cx.chunks.node_mut(index).append(cx.pool, chunk, FRAME_SIZE_MAX)?;
        self.list.octets += octets;
        cx.counters.coalesced += 1;
        cx.counters.copied_octets += u64::from(octets);
        Ok(())
    }

    /// Makes payload and runs disjoint: the run `after` and those behind it, as far as the chunk at
    /// `seq` covers them wholly, go; the chunk is cut where one begins that it covers in part.
    /// Returns the run that follows then.
    fn make_room(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Chunk,
        seq: SeqNum,
        mut after: u32,
    ) -> u32 {
        let end = seq + chunk.frame.len() as u32;
        while after != NIL && cx.chunks.node(after).seq.before(end) {
            let last = cx.chunks.other_end(after);
            let (run_seq, run_end) = (cx.chunks.node(after).seq, cx.chunks.node(last).end());
            self.note_duplicate(run_seq, run_end.earliest(end));
            if run_end.after(end) {
                trim_back(cx.pool, chunk, end - run_seq);
                return after;
            }
            if self.place == after {
                self.place = NIL;
            }
            let behind = cx.chunks.next(last);
            while after != behind {
                let next = cx.chunks.next(after);
                if let Some(gone) = self.list.remove(cx.chunks, after) {
                    cx.pool.free(gone.frame);
                    cx.counters.superseded += u64::from(!planted::is(Fault::SupersededNotCounted));
                }
                after = next;
            }
        }
        after
    }

    /// Takes out the next payload that `rcv_nxt` has reached, without what lies before it.
    pub(super) fn pop_in_order(
        &mut self,
        cx: &mut Context<'_>,
        rcv_nxt: SeqNum,
    ) -> Option<(Chunk, SeqNum)> {
        while !self.list.is_empty() {
            let head = self.list.head;
            let (seq, end) = (cx.chunks.node(head).seq, cx.chunks.node(head).end());
            if seq.after(rcv_nxt) {
                break;
            }
            let second = cx.chunks.shorten_run(head);
            if self.place == head {
                self.place = second;
            }
            let mut chunk = self.list.pop_front(cx.chunks)?;
            if end.after(rcv_nxt) {
                trim_front(cx.pool, &mut chunk, rcv_nxt - seq);
                return Some((chunk, rcv_nxt));
            }
            cx.pool.free(chunk.frame);
            cx.counters.superseded += 1;
        }
        None
    }

    /// Drops reports of what `rcv_nxt` has passed.
    pub(super) fn advance(&mut self, rcv_nxt: SeqNum) {
        let mut left = SackBlocks::default();
        self.recent.iter().filter(|b| b.left.after(rcv_nxt)).for_each(|b| left.push(b));
        self.recent = left;
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

    /// The last run that begins at or before `seq`, by its first chunk; `NIL` if there is none;
    /// `None` if it is too far from anywhere to be found now.
    fn last_run_at_or_before(&mut self, chunks: &ChunkSlab, seq: SeqNum) -> Option<u32> {
        if self.list.is_empty() {
            return Some(NIL);
        }
        let begins_after = |run: u32| chunks.node(run).seq.after(seq);
        let (first, last) = (self.list.head, chunks.other_end(self.list.tail));
        if !begins_after(last) {
            return Some(last); // Most often: behind all that is here.
        }
        if begins_after(first) {
            return Some(NIL);
        }
        let distance = |run: u32| {
            let begin = chunks.node(run).seq;
            if begins_after(run) { begin - seq } else { seq - begin }
        };
        let mut run = if distance(first) < distance(last) { first } else { last };
        if self.place != NIL && distance(self.place) < distance(run) {
            run = self.place;
        }
        for _ in 0..REASSEMBLY_STEPS_MAX {
            if begins_after(run) {
                // The first run does not begin after it, so there is one before.
                run = chunks.other_end(chunks.prev(run));
                continue;
            }
            // The last run does, so there is one behind.
            let next = chunks.next(chunks.other_end(run));
            if begins_after(next) {
                return Some(run);
            }
            run = next;
        }
        self.place = run;
        None
    }

    /// The run that payload was added to last, which begins at `first`, comes first (RFC 2018 §4).
    fn report(&mut self, chunks: &ChunkSlab, first: u32) {
        let last = chunks.other_end(first);
        let right = chunks.node(last).end() + u32::from(planted::is(Fault::SackOneTooMany));
        let newest = SackBlock { left: chunks.node(first).seq, right };
        let mut reports = SackBlocks::default();
        reports.push(newest);
        let separate = |b: &SackBlock| b.right.before(newest.left) || b.left.after(newest.right);
        self.recent.iter().filter(separate).for_each(|b| reports.push(b));
        self.recent = reports;
    }

    /// The runs, in order.
    #[cfg(any(test, fuzzing))]
    pub(super) fn runs(&self, chunks: &ChunkSlab) -> impl Iterator<Item = SackBlock> {
        let some = |run: u32| (run != NIL).then_some(run);
        std::iter::successors(some(self.list.head), move |run| {
            some(chunks.next(chunks.other_end(*run)))
        })
        .map(|run| SackBlock {
            left: chunks.node(run).seq,
            right: chunks.node(chunks.other_end(run)).end(),
        })
    }

    /// Compares what is kept incrementally with what is in the queue.
    #[cfg(any(test, fuzzing))]
    pub(super) fn check(&self, chunks: &ChunkSlab) {
        let mut place_seen = self.place == NIL;
        let mut run = self.list.head;
        while run != NIL {
            place_seen |= run == self.place;
            let last = chunks.other_end(run);
            assert_eq!(chunks.other_end(last), run);
            let mut at = run;
            while at != last {
                let next = chunks.next(at);
                assert_eq!(chunks.node(next).seq, chunks.node(at).end(), "a gap within a run");
                at = next;
            }
            run = chunks.next(last);
            assert!(run == NIL || chunks.node(run).seq.after(chunks.node(last).end()));
        }
        assert!(place_seen);
    }
}

const EMPTY_BLOCK: SackBlock = SackBlock { left: SeqNum(0), right: SeqNum(0) };
