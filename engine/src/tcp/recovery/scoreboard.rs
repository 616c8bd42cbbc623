//! The SACK scoreboard (RFC 6675 §3, §4): marks on the chunks that were sent.

use super::{DUP_THRESH, Recovery};
use crate::tcp::chunks::{ChunkSlab, Marks, NIL};
use crate::tcp::send_queue::SendQueue;
use crate::time::Instant;
use crate::wire::tcp::{SackBlock, SackBlocks, SeqNum};

/// What was sent, and so can be acknowledged: `[una, nxt)`.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Sent {
    pub(in crate::tcp) una: SeqNum,
    pub(in crate::tcp) nxt: SeqNum,
    pub(in crate::tcp) now: Instant,
}

impl Sent {
    /// Whether a block can be an honest report of it. Blocks at or below SND.UNA are reports of
    /// duplicates (RFC 2883), and no news.
    fn contains(self, block: SackBlock) -> bool {
        block.left.before(block.right)
            && block.left.at_or_after(self.una)
            && block.right.after(self.una)
            && block.right.at_or_before(self.nxt)
    }
}

impl Recovery {
    /// RFC 6675 §4 Update (): marks what `blocks` acknowledge, then what that shows to be lost.
    /// Returns what is newly sacked [octets].
    ///
    /// A chunk counts as sacked when one block covers it wholly. One walk over what is in flight.
    pub(in crate::tcp) fn update(
        &mut self,
        chunks: &mut ChunkSlab,
        queue: &SendQueue,
        blocks: &SackBlocks,
        sent: Sent,
        mss: u32,
    ) -> u32 {
        let mut valid = SackBlocks::default();
        blocks.iter().filter(|block| sent.contains(*block)).for_each(|block| valid.push(block));
        if valid.len == 0 {
            return 0;
        }
        let mut newly = 0;
        let mut runs = 0;
        let mut in_run = false;
        let mut at = queue.list.head;
        while at != queue.unsent && at != NIL {
            let node = chunks.node_mut(at);
            let (left, right) = (node.seq, node.end());
            if !node.marks.has(Marks::SACKED)
                && valid.iter().any(|b| b.left.at_or_before(left) && b.right.at_or_after(right))
            {
                let len = node.len();
                node.marks.set(Marks::SACKED);
                newly += len;
                self.sacked += len;
                self.delivery.on_delivered((node.sent_at, node.sent), len, sent.now);
                // It has arrived, whatever was presumed.
                if node.marks.has(Marks::LOST) {
                    node.marks.clear(Marks::LOST);
                    self.lost -= len;
                }
                if node.marks.has(Marks::RETRANSMITTED) {
                    node.marks.clear(Marks::RETRANSMITTED);
                    self.retransmitted -= len;
                }
            }
            let sacked = node.marks.has(Marks::SACKED);
            runs += u32::from(sacked && !in_run);
            in_run = sacked;
            at = chunks.next(at);
        }
        if newly > 0 {
            self.mark_holes(chunks, queue, runs, mss);
        }
        newly
    }

    /// RFC 6675 §4 IsLost (): what has DupThresh separate runs of sacked payload above it, or more
    /// than (DupThresh - 1) segments' worth of it.
    fn mark_holes(&mut self, chunks: &mut ChunkSlab, queue: &SendQueue, runs: u32, mss: u32) {
        let (mut octets_above, mut runs_above) = (self.sacked, runs);
        let mut in_run = false;
        let mut at = queue.list.head;
        while at != queue.unsent && at != NIL {
            let node = chunks.node_mut(at);
            let sacked = node.marks.has(Marks::SACKED);
            if sacked {
                octets_above -= node.len();
                runs_above -= u32::from(!in_run);
            } else if octets_above <= (DUP_THRESH - 1) * mss && runs_above < DUP_THRESH {
                return; // And so for all that follow.
            } else if !node.marks.has(Marks::LOST) {
                node.marks.set(Marks::LOST);
                self.lost += node.len();
                self.delivery.on_lost(node.sent, node.len());
            }
            in_run = sacked;
            at = chunks.next(at);
        }
    }
}
