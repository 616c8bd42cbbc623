//! The scoreboard (RFC 6675 §3): what is sacked, lost, sent again, in marks on the chunks.
//!
//! Every chunk that was sent and is not acknowledged is in one of three places. In flight, in the
//! order in which it was sent last; to be sent again, in the order in which it was found lost; or
//! sacked, in a run of its neighbours that are sacked too. An ACK costs what it newly says: blocks
//! that the last one carried are passed over, a run is passed in one step, and looking for a
//! block's place begins where the last was found. What still takes more steps than
//! [`SACK_STEPS_MAX`] is left to the next ACK.

use super::rack::Arrived;
use super::{Ack, News, Recovery};
use crate::limits::SACK_STEPS_MAX;
use crate::tcp::chunks::{ChunkSlab, Marks, NIL, Order};
use crate::tcp::send_queue::SendQueue;
use crate::time::Instant;
use crate::wire::tcp::{SackBlock, SackBlocks};

/// Where the scoreboard looks first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// The first chunk of the highest run that is sacked.
    highest: u32,
    /// A chunk that is not sacked or the first of its run: where the last block was found.
    recent: u32,
    /// The blocks of the last ACK.
    blocks: SackBlocks,
}

impl Places {
    pub(super) fn new() -> Self {
        Places { highest: NIL, recent: NIL, blocks: SackBlocks::default() }
    }
}

impl Recovery {
    /// A chunk leaves for the first time.
    #[inline]
    pub(in crate::tcp) fn on_first_sent(&mut self, chunks: &mut ChunkSlab, index: u32) {
        self.in_flight.push_back(chunks, index);
        self.last_sent = index;
        self.probe_is_due = false;
        self.frto.on_new_sent();
    }

    /// A chunk is being sent once more.
    pub(in crate::tcp) fn on_sent_again(
        &mut self,
        chunks: &mut ChunkSlab,
        index: u32,
        now: Instant,
    ) {
        let node = chunks.node_mut(index);
        let len = node.len();
        if node.marks.has(Marks::LOST) && !node.marks.has(Marks::RETRANSMITTED) {
            node.marks.set(Marks::RETRANSMITTED);
            self.retransmitted += len;
            self.to_resend.remove(chunks, index);
        } else {
            self.in_flight.remove(chunks, index);
        }
        self.in_flight.push_back(chunks, index);
        self.repeated = self.repeated.saturating_add(len);
        if let Some(episode) = &mut self.episode {
            episode.on_sent_again(len, now);
        }
        self.first_is_due = false;
    }

    /// `piece`, with the marks of `index`, was split off its front.
    pub(in crate::tcp) fn on_split(&mut self, chunks: &mut ChunkSlab, piece: u32, index: u32) {
        let marks = chunks.node(index).marks;
        if !marks.has(Marks::SENT) {
            return;
        }
        match marks.has(Marks::LOST) && !marks.has(Marks::RETRANSMITTED) {
            true => self.to_resend.insert_before(chunks, piece, index),
            false => self.in_flight.insert_before(chunks, piece, index),
        }
    }

    /// The first `octets` of the chunk at the head of the queue are acknowledged; if that is all of
    /// it, it leaves.
    #[inline]
    pub(in crate::tcp) fn on_acknowledged(
        &mut self,
        chunks: &mut ChunkSlab,
        index: u32,
        octets: u32,
        ack: &Ack,
        news: &mut News,
    ) {
        let node = chunks.node(index);
        let (marks, whole) = (node.marks, octets == node.len());
        if marks.has(Marks::SACKED) {
            self.sacked -= octets;
            news.sacked_before += octets;
        } else {
            if marks.has(Marks::LOST) {
                self.lost -= octets;
            }
            if marks.has(Marks::RETRANSMITTED) {
                self.retransmitted -= octets;
            }
            if whole {
                self.note_arrival(chunks, index, ack, news);
                let sent_at = chunks.node(index).sent_at;
                if marks.has(Marks::AMBIGUOUS) {
                    let since = self.episode.and_then(|episode| episode.sent_again_at());
                    news.retransmission_acked |= since.is_some_and(|since| sent_at >= since);
                } else {
                    news.sent_at = Some(sent_at);
                }
            } else {
                self.delivery.on_delivered((node.sent_at, node.sent), octets, ack.now);
            }
        }
        if whole {
            self.leave(chunks, index, marks);
        }
    }

    /// A chunk is acknowledged and leaves its place.
    #[inline]
    fn leave(&mut self, chunks: &mut ChunkSlab, index: u32, marks: Marks) {
        let mut instead = NIL;
        if marks.has(Marks::SACKED) {
            self.sacked_segments -= 1;
            instead = chunks.shorten_run(index);
            if self.places.highest == index {
                self.places.highest = instead;
            }
        } else if marks.has(Marks::LOST) && !marks.has(Marks::RETRANSMITTED) {
            self.to_resend.remove(chunks, index);
        } else {
            self.in_flight.remove(chunks, index);
        }
        if self.places.recent == index {
            self.places.recent = instead;
        }
        if self.last_sent == index {
            self.last_sent = NIL;
        }
    }

    /// Marks what the blocks of an ACK report. A chunk counts as sacked when one block covers it
    /// wholly.
    pub(in crate::tcp) fn update(
        &mut self,
        chunks: &mut ChunkSlab,
        queue: &SendQueue,
        blocks: &SackBlocks,
        ack: &Ack,
        news: &mut News,
    ) {
        news.duplicate = duplicate_report(blocks, ack);
        news.steps_left = SACK_STEPS_MAX;
        let mut placed = false;
        let seen = self.places.blocks;
        let mut done = SackBlocks::default();
        for block in blocks.iter().filter(|block| ack.can_report(*block)) {
            if seen.iter().any(|before| before == block) {
                done.push(block);
                continue;
            }
            let from = self.find(chunks, queue, block, news);
            let found = self.mark_block(chunks, queue, from, block, ack, news);
            // What lies at the highest run is found from there.
            if found != NIL && found != self.places.highest && !placed && news.steps_left > 0 {
                placed = true;
                self.places.recent = found;
            }
            if news.steps_left > 0 {
                done.push(block);
            }
        }
        self.places.blocks = done;
    }

    /// The first chunk that begins at or behind the block's left edge, or the rest of the run that
    /// it lies in; the first unsent chunk if there is none.
    fn find(
        &mut self,
        chunks: &ChunkSlab,
        queue: &SendQueue,
        block: SackBlock,
        news: &mut News,
    ) -> u32 {
        let mut at = queue.list.head;
        for place in [self.places.recent, self.places.highest] {
            if place != NIL
                && chunks.node(place).seq.at_or_before(block.left)
                && chunks.node(place).seq.after(chunks.node(at).seq)
            {
                at = place;
            }
        }
        while at != queue.unsent && at != NIL && chunks.node(at).seq.before(block.left) {
            if news.steps_left == 0 {
                self.places.recent = at; // The next ACK goes on from here.
                return NIL;
            }
            news.steps_left -= 1;
            let is_run = chunks.node(at).marks.has(Marks::SACKED);
            at = if is_run { chunks.next(chunks.other_end(at)) } else { chunks.next(at) };
        }
        at
    }

    /// Marks what the block covers from `at` on. Returns where that is.
    fn mark_block(
        &mut self,
        chunks: &mut ChunkSlab,
        queue: &SendQueue,
        mut at: u32,
        block: SackBlock,
        ack: &Ack,
        news: &mut News,
    ) -> u32 {
        let mut found = NIL;
        while at != queue.unsent && at != NIL && chunks.node(at).seq.before(block.right) {
            if chunks.node(at).marks.has(Marks::SACKED) {
                if news.steps_left == 0 {
                    break;
                }
                news.steps_left -= 1;
                at = chunks.next(chunks.other_end(at));
            } else if chunks.node(at).end().at_or_before(block.right) {
                found = self.mark_sacked(chunks, at, ack, news);
                at = chunks.next(at);
            } else {
                break;
            }
        }
        found
    }

    /// A chunk has arrived, whatever was presumed. Returns the first of the run that it is in then.
    fn mark_sacked(
        &mut self,
        chunks: &mut ChunkSlab,
        index: u32,
        ack: &Ack,
        news: &mut News,
    ) -> u32 {
        self.note_arrival(chunks, index, ack, news);
        let node = chunks.node_mut(index);
        let (marks, len, seq) = (node.marks, node.len(), node.seq);
        node.marks.set(Marks::SACKED);
        node.marks.clear(Marks::LOST);
        node.marks.clear(Marks::RETRANSMITTED);
        news.newly_sacked += len;
        self.sacked += len;
        self.sacked_segments += 1;
        if marks.has(Marks::LOST) {
            self.lost -= len;
        }
        if marks.has(Marks::RETRANSMITTED) {
            self.retransmitted -= len;
        }
        match marks.has(Marks::LOST) && !marks.has(Marks::RETRANSMITTED) {
            true => self.to_resend.remove(chunks, index),
            false => self.in_flight.remove(chunks, index),
        }
        let is_sacked =
            |chunks: &ChunkSlab, at: u32| at != NIL && chunks.node(at).marks.has(Marks::SACKED);
        let (before, after) = (chunks.prev(index), chunks.next(index));
        chunks.begin_run(index);
        let mut first = index;
        if is_sacked(chunks, before) {
            first = chunks.other_end(before);
            chunks.join_runs(before, index);
        }
        if is_sacked(chunks, after) {
            chunks.join_runs(index, after);
        }
        let highest = &mut self.places.highest;
        if *highest == NIL || *highest == after || chunks.node(*highest).seq.before(seq) {
            *highest = first;
        }
        if self.places.recent == index || self.places.recent == after {
            self.places.recent = first;
        }
        first
    }

    /// A chunk has arrived: tells all that measure by it.
    #[inline]
    fn note_arrival(&mut self, chunks: &ChunkSlab, index: u32, ack: &Ack, news: &mut News) {
        let node = chunks.node(index);
        self.delivery.on_delivered((node.sent_at, node.sent), node.len(), ack.now);
        let retransmitted = node.marks.has(Marks::AMBIGUOUS);
        news.original_arrived |= !retransmitted && node.end().at_or_before(self.recover);
        if self.sack {
            let arrived = Arrived {
                sent_at: node.sent_at,
                end: node.end(),
                retransmitted,
                echo_is_older: retransmitted && ack.echo_is_older_than(node.sent_at),
            };
            self.rack.on_arrival(ack.now, ack.min_rtt, arrived);
        }
    }

    /// What is to be sent again goes from SND.UNA on (RFC 6675 §4, NextSeg's rule 1). Without SACK a peer
    /// acknowledges that first, and what was sent again in another order waits for one timeout after
    /// another.
    pub(super) fn resend_in_order(&mut self, chunks: &mut ChunkSlab, queue: &SendQueue) {
        let mut at = queue.list.head;
        while at != queue.unsent && at != NIL {
            let marks = chunks.node(at).marks;
            if marks.has(Marks::LOST) && !marks.has(Marks::RETRANSMITTED) {
                self.to_resend.remove(chunks, at);
                self.to_resend.push_back(chunks, at);
            }
            at = chunks.next(at);
        }
    }

    /// The path has lost it: marks it, and counts it where the path's share of losses is.
    pub(super) fn lose(&mut self, chunks: &mut ChunkSlab, index: u32) {
        if self.mark_lost(chunks, index) {
            let node = chunks.node(index);
            self.delivery.on_lost(node.sent, node.len());
        }
    }

    /// Marks a chunk that is in flight as lost; whether it was in flight.
    pub(super) fn mark_lost(&mut self, chunks: &mut ChunkSlab, index: u32) -> bool {
        let node = chunks.node_mut(index);
        let len = node.len();
        if node.marks.has(Marks::SACKED) {
            return false;
        } else if !node.marks.has(Marks::LOST) {
            node.marks.set(Marks::LOST);
            self.lost += len;
        } else if node.marks.has(Marks::RETRANSMITTED) {
            node.marks.clear(Marks::RETRANSMITTED);
            self.retransmitted -= len;
        } else {
            return false;
        }
        self.in_flight.remove(chunks, index);
        self.to_resend.push_back(chunks, index);
        true
    }

    /// Puts a chunk that is lost before all others.
    pub(super) fn resend_first(&mut self, chunks: &mut ChunkSlab, index: u32) {
        self.to_resend.remove(chunks, index);
        self.to_resend.push_front(chunks, index);
    }

    /// The peer has thrown away what it had reported (RFC 2018 §8): no report counts any more. The
    /// chunks go where the list of what is in flight begins, as what was sent longest ago.
    pub(super) fn forget_sacked(&mut self, chunks: &mut ChunkSlab, queue: &SendQueue) {
        let mut forgotten = Order::EMPTY;
        let mut at = queue.list.head;
        while at != queue.unsent && at != NIL {
            if chunks.node(at).marks.has(Marks::SACKED) {
                chunks.node_mut(at).marks.clear(Marks::SACKED);
                forgotten.push_back(chunks, at);
            }
            at = chunks.next(at);
        }
        self.in_flight.prepend(chunks, forgotten);
        (self.sacked, self.sacked_segments) = (0, 0);
        self.places = Places::new();
    }

    /// Nothing was lost: takes every mark back.
    pub(super) fn forget_lost(&mut self, chunks: &mut ChunkSlab) {
        self.in_flight.prepend(chunks, self.to_resend);
        self.to_resend = Order::EMPTY;
        let mut at = self.in_flight.first;
        while at != NIL {
            let node = chunks.node_mut(at);
            node.marks.clear(Marks::LOST);
            node.marks.clear(Marks::RETRANSMITTED);
            at = chunks.later(at);
        }
        (self.lost, self.retransmitted) = (0, 0);
    }

    /// Compares what is kept incrementally with the marks.
    #[cfg(any(test, fuzzing))]
    pub(in crate::tcp) fn check(&self, chunks: &ChunkSlab, queue: &SendQueue) {
        let (mut sacked, mut lost, mut retransmitted) = (0, 0, 0);
        let (mut sacked_segments, mut waiting, mut flying) = (0, 0, 0);
        let (mut run, mut highest, mut last, mut recent_seen) = (NIL, NIL, NIL, false);
        let mut at = queue.list.head;
        while at != queue.unsent && at != NIL {
            let node = chunks.node(at);
            let has = |mark: Marks| if node.marks.has(mark) { node.len() } else { 0 };
            lost += has(Marks::LOST);
            retransmitted += has(Marks::RETRANSMITTED);
            sacked += has(Marks::SACKED);
            assert!(has(Marks::SACKED) == 0 || has(Marks::LOST) == 0);
            assert!(has(Marks::RETRANSMITTED) == 0 || has(Marks::LOST) > 0);
            if has(Marks::SACKED) > 0 {
                sacked_segments += 1;
                if run == NIL {
                    (run, highest) = (at, at);
                }
            } else {
                let is_waiting = has(Marks::LOST) > 0 && has(Marks::RETRANSMITTED) == 0;
                *(if is_waiting { &mut waiting } else { &mut flying }) += 1;
                if run != NIL {
                    assert_eq!((chunks.other_end(run), chunks.other_end(last)), (last, run));
                }
                run = NIL;
            }
            if self.places.recent == at {
                recent_seen = has(Marks::SACKED) == 0 || run == at;
            }
            last = at;
            at = chunks.next(at);
        }
        if run != NIL {
            assert_eq!((chunks.other_end(run), chunks.other_end(last)), (last, run));
        }
        assert_eq!([sacked, lost, retransmitted], [self.sacked, self.lost, self.retransmitted]);
        assert_eq!(sacked_segments, self.sacked_segments);
        assert_eq!((highest, last), (self.places.highest, self.last_sent));
        assert!(recent_seen || self.places.recent == NIL);
        for (order, count) in [(self.to_resend, waiting), (self.in_flight, flying)] {
            let (mut at, mut seen) = (order.first, 0);
            while at != NIL {
                seen += 1;
                assert!(seen <= count, "one list runs into another");
                at = chunks.later(at);
            }
            assert_eq!((seen, order.count), (count, count));
        }
    }
}

impl Ack {
    /// Whether a block can be an honest report of what was sent and is not acknowledged. Blocks at
    /// or below SND.UNA are reports of duplicates (RFC 2883), and no news.
    fn can_report(&self, block: SackBlock) -> bool {
        block.left.before(block.right)
            && block.left.at_or_after(self.una)
            && block.right.at_or_before(self.nxt)
    }
}

/// RFC 2883 §4: the first block reports a duplicate if it lies below the cumulative
/// acknowledgment, or within the second.
fn duplicate_report(blocks: &SackBlocks, ack: &Ack) -> Option<SackBlock> {
    let mut all = blocks.iter();
    let (first, second) = (all.next()?, all.next());
    let within = |outer: SackBlock| {
        first.left.at_or_after(outer.left) && first.right.at_or_before(outer.right)
    };
    let is_report = first.left.before(first.right)
        && (first.right.at_or_before(ack.una)
            || (second.is_some_and(within) && ack.can_report(first)));
    is_report.then_some(first)
}
