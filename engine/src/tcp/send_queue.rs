//! What the caller wants sent: chunks from the oldest that is not acknowledged to the newest.
//!
//! The list has two parts: what was sent, up to SND.NXT, and behind it what was not.

use super::chunks::{ChunkSlab, List, Marks, NIL, copy};
use super::recovery::{Ack, News, Recovery};
use super::{Chunk, Context, TcpCounters};
use crate::frame::FramePool;
use crate::planted::{self, Fault};
use crate::wire::tcp::SeqNum;

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct SendQueue {
    pub(super) list: List,
    /// The first chunk that was never sent; `NIL` if all were.
    pub(super) unsent: u32,
}

impl SendQueue {
    pub(super) const EMPTY: SendQueue = SendQueue { list: List::EMPTY, unsent: NIL };

    /// Adds a chunk at the end, at sequence number `seq`. A small one is appended by copy to an
    /// unsent one before it, if the result stays within `mss`.
    pub(super) fn push(&mut self, cx: &mut Context<'_>, mut chunk: Chunk, seq: SeqNum, mss: u16) {
        if self.unsent != NIL {
            let octets = chunk.frame.len() as u32;
            let tail = cx.chunks.node_mut(self.list.tail);
            match tail.append(cx.pool, chunk, usize::from(mss)) {
                Ok(()) => {
                    self.list.octets += octets;
                    cx.counters.coalesced += 1;
                    cx.counters.copied_octets += u64::from(octets);
                    return;
                }
                Err(back) => chunk = back,
            }
        }
        self.append(cx, chunk, seq, Marks::default());
    }

    /// Adds a chunk whose payload did not arrive in its frame.
    pub(super) fn push_copy(&mut self, cx: &mut Context<'_>, chunk: Chunk, seq: SeqNum) {
        self.append(cx, chunk, seq, Marks::COPY);
    }

    fn append(&mut self, cx: &mut Context<'_>, chunk: Chunk, seq: SeqNum, marks: Marks) {
        let index = self.list.push_back(cx.chunks, chunk, seq, marks);
        if self.unsent == NIL {
            self.unsent = index;
        }
    }

    /// The first unsent chunk has been sent.
    pub(super) fn advance(&mut self, chunks: &mut ChunkSlab) {
        if self.unsent != NIL {
            self.unsent = chunks.next(self.unsent);
        }
    }

    /// Frees everything before SND.UNA, and trims the chunk that it falls into.
    pub(super) fn acknowledge(
        &mut self,
        cx: &mut Context<'_>,
        recovery: &mut Recovery,
        ack: &Ack,
        news: &mut News,
    ) {
        while self.list.head != self.unsent {
            let head = self.list.head;
            let node = cx.chunks.node(head);
            let (octets, len) = (ack.una - node.seq, node.len());
            if octets == 0 || node.seq.after(ack.una) {
                break;
            }
            recovery.on_acknowledged(cx.chunks, head, octets.min(len), ack, news);
            if octets < len && !planted::is(Fault::ReleasedEarly) {
                cx.chunks.node_mut(head).trim_front(octets);
                self.list.octets -= octets;
                break;
            }
            if let Some(chunk) = self.list.pop_front(cx.chunks) {
                cx.pool.free(chunk.frame);
            }
        }
    }

    /// Makes the chunk at `index` at most `len` octets long, by copying its beginning into a fresh
    /// frame that takes its place before it. Returns the place of the
    /// new chunk; `None` if the pool is empty.
    pub(super) fn split(&mut self, cx: &mut Context<'_>, index: u32, len: u32) -> Option<u32> {
        let before = cx.chunks.prev(index);
        let mut piece = cx.pool.alloc()?;
        let node = cx.chunks.node_mut(index);
        let (seq, sent_at, sent, received_at) =
            (node.seq, node.sent_at, node.sent, node.received_at);
        let mut marks = node.marks;
        let Some(frame) = node.take_frame() else {
            cx.pool.free(piece);
            return None;
        };
        copy(cx.pool, &frame, 0..len as usize, &mut piece);
        node.put_frame(frame);
        node.trim_front(len);
        self.list.octets -= len;
        marks.set(Marks::COPY);
        marks.set(Marks::SUM_STALE);
        let chunk = Chunk { frame: piece, sum: 0, received_at };
        let at = self.list.insert_after(cx.chunks, before, chunk, seq, marks);
        let node = cx.chunks.node_mut(at);
        (node.sent_at, node.sent) = (sent_at, sent);
        if self.unsent == index {
            self.unsent = at;
        }
        cx.counters.copied_octets += u64::from(len);
        Some(at)
    }

    /// Puts the first `len` octets that were never sent into one fresh frame, by copying.
    /// Returns the place of the new chunk, the first unsent one;
    /// `None`, with nothing changed, if the pool is empty or a frame too small.
    pub(super) fn gather(&mut self, cx: &mut Context<'_>, len: u32) -> Option<u32> {
        if self.unsent == NIL {
            return None;
        }
        let mut piece = cx.pool.alloc()?;
        if cx.pool.room_behind(&piece) < len as usize {
            cx.pool.free(piece);
            return None;
        }
        let first = cx.chunks.node(self.unsent);
        let (seq, received_at) = (first.seq, first.received_at);
        let before = cx.chunks.prev(self.unsent);
        let mut missing = len;
        while missing > 0 && self.unsent != NIL {
            let node = cx.chunks.node_mut(self.unsent);
            let octets = node.len().min(missing);
            let Some(frame) = node.take_frame() else { break };
            copy(cx.pool, &frame, 0..octets as usize, &mut piece);
            node.put_frame(frame);
            missing -= octets;
            if octets < node.len() {
                node.trim_front(octets);
                self.list.octets -= octets;
                break;
            }
            cx.counters.coalesced += u64::from(!node.marks.has(Marks::COPY));
            let copied = self.unsent;
            self.unsent = cx.chunks.next(copied);
            if let Some(gone) = self.list.remove(cx.chunks, copied) {
                cx.pool.free(gone.frame);
            }
        }
        let mut marks = Marks::COPY;
        marks.set(Marks::SUM_STALE);
        let chunk = Chunk { frame: piece, sum: 0, received_at };
        self.unsent = self.list.insert_after(cx.chunks, before, chunk, seq, marks);
        cx.counters.copied_octets += u64::from(len);
        Some(self.unsent)
    }

    /// Gives every frame back.
    pub(super) fn clear(
        &mut self,
        pool: &mut FramePool,
        chunks: &mut ChunkSlab,
        counters: &mut TcpCounters,
    ) {
        loop {
            let marks = match self.list.head {
                NIL => break,
                head => chunks.node(head).marks,
            };
            if !marks.has(Marks::SENT) && !marks.has(Marks::COPY) {
                counters.discarded += 1;
            }
            if let Some(chunk) = self.list.pop_front(chunks) {
                pool.free(chunk.frame);
            }
        }
        *self = SendQueue::EMPTY;
    }
}
