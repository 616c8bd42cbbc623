//! Loss recovery: what is presumed lost, and what is still in flight.
//!
//! With selective acknowledgments this is RFC 6675, without them NewReno (RFC 6582), both on the
//! same figures: *pipe*, kept incrementally from what is sacked, lost and sent again. Duplicate
//! ACKs without SACK count as one segment each that has left the network, which is what RFC 5681
//! §3.2 means by inflating the window. Limited transmit (RFC 3042) follows from the same.
//!
//! The scoreboard's marks are on the queue's nodes ([`scoreboard`] reads and writes them); this
//! file holds the phases and decides when to enter and leave them.

pub(super) mod scoreboard;

use super::chunks::{ChunkSlab, Marks, NIL};
use super::delivery_rate::DeliveryRate;
use super::send_queue::{Acknowledged, SendQueue};
use crate::wire::tcp::SeqNum;
pub(super) use scoreboard::Sent;

/// RFC 5681 §3.2, RFC 6675 §2: DupThresh [duplicate ACKs, or segments].
pub(super) const DUP_THRESH: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is presumed lost.
    Open,
    /// Fast recovery, until `recover` is acknowledged.
    Fast,
    /// After a timeout, until `recover` is acknowledged.
    Timeout,
}

/// What an ACK says about losses; found before it is acted upon.
#[derive(Clone, Copy, Debug)]
pub(super) struct AckNews {
    /// Acknowledged cumulatively [octets].
    pub(super) acked: u32,
    /// Newly acknowledged selectively [octets].
    pub(super) newly_sacked: u32,
    /// Whether it is a duplicate by RFC 5681 §2.
    pub(super) is_duplicate: bool,
}

/// What the connection must tell its congestion controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Entered,
    Left,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    pub(super) phase: Phase,
    /// SND.NXT when the phase began (RFC 6582 `recover`, RFC 6675 RecoveryPoint).
    recover: SeqNum,
    /// Whether the peer sends selective acknowledgments.
    pub(super) sack: bool,
    /// The phase began without a loss that the controller was told of.
    silent: bool,
    dup_acks: u32,
    /// Payload marked [`Marks::SACKED`] [octets].
    sacked: u32,
    /// Payload marked [`Marks::LOST`] [octets]; never sacked too.
    lost: u32,
    /// Payload marked [`Marks::RETRANSMITTED`] [octets]; always lost too.
    retransmitted: u32,
    /// Without SACK: what duplicate ACKs say has left the network [octets].
    left_network: u32,
    /// Where [`Recovery::next_lost`] goes on: a chunk, and the one before it.
    searched_to: Option<(u32, u32)>,
    /// Fast retransmit sends its first segment whatever the window says (RFC 6675 §5 (4.3)).
    pub(super) first_is_due: bool,
    /// Told of every chunk that is marked, as sacked or as lost.
    pub(super) delivery: DeliveryRate,
}

impl Recovery {
    pub(super) fn new(isn: SeqNum) -> Self {
        Recovery {
            phase: Phase::Open,
            recover: isn,
            sack: false,
            silent: false,
            dup_acks: 0,
            sacked: 0,
            lost: 0,
            retransmitted: 0,
            left_network: 0,
            searched_to: None,
            first_is_due: false,
            delivery: DeliveryRate::new(),
        }
    }

    /// Whether nothing is amiss, so that an ACK needs no look at the scoreboard.
    pub(super) fn is_quiet(&self) -> bool {
        self.phase == Phase::Open && self.dup_acks == 0 && self.sacked == 0 && self.lost == 0
    }

    /// What is in flight of `outstanding` octets (RFC 6675 §4 SetPipe).
    pub(super) fn pipe(&self, outstanding: u32) -> u32 {
        let gone = self.sacked + self.lost + self.left_network;
        (outstanding + self.retransmitted).saturating_sub(gone)
    }

    /// What is marked sacked, lost and retransmitted [octets], for a check against the marks.
    #[cfg(any(test, fuzzing))]
    pub(super) fn figures(&self) -> [u32; 3] {
        [self.sacked, self.lost, self.retransmitted]
    }

    /// Whether anything waits to be sent again.
    pub(super) fn has_lost(&self) -> bool {
        self.lost > self.retransmitted
    }

    /// Takes what was acknowledged cumulatively out of the figures.
    pub(super) fn forget(&mut self, gone: &Acknowledged) {
        self.restart_search();
        self.sacked -= gone.sacked;
        self.lost -= gone.lost;
        self.retransmitted -= gone.retransmitted;
    }

    /// Decides what an ACK means, after the scoreboard has been brought up to date.
    pub(super) fn on_ack(
        &mut self,
        chunks: &mut ChunkSlab,
        queue: &SendQueue,
        sent: Sent,
        mss: u32,
        news: AckNews,
    ) -> Change {
        let Sent { una, nxt, .. } = sent;
        if !self.sack {
            self.count_duplicate(news, nxt - una, mss);
        } else if news.is_duplicate && news.newly_sacked > 0 {
            self.dup_acks += 1;
        } else if news.acked > 0 {
            self.dup_acks = 0;
        }
        let mut change = Change::None;
        if self.phase != Phase::Open && una.at_or_after(self.recover) {
            change = if self.silent { Change::None } else { Change::Left };
            self.silent = false;
            self.phase = Phase::Open;
            self.dup_acks = 0;
            self.left_network = 0;
            self.first_is_due = false;
        }
        match self.phase {
            Phase::Open => {
                let head = queue.list.head;
                let head_lost = head != NIL && chunks.node(head).marks.has(Marks::LOST);
                // RFC 6675 §5 (1), (2): DupThresh duplicates, or the scoreboard says so.
                // RFC 6582 §3.2 (2): not again for what was sent before the last recovery.
                let enough = self.dup_acks >= DUP_THRESH && (self.sack || una.after(self.recover));
                if (head_lost || enough) && head != queue.unsent {
                    self.phase = Phase::Fast;
                    self.recover = nxt;
                    self.first_is_due = true;
                    self.lose(chunks, head);
                    return Change::Entered;
                }
            }
            // RFC 6582 §3.2 (3), partial acknowledgment: the next hole begins at SND.UNA.
            Phase::Fast if !self.sack && news.acked > 0 && queue.list.head != queue.unsent => {
                self.unmark_retransmitted(chunks, queue.list.head);
                self.lose(chunks, queue.list.head);
                self.first_is_due = true;
            }
            Phase::Fast | Phase::Timeout => {}
        }
        change
    }

    /// RFC 5681 §3.2 without SACK: each duplicate says that one segment has arrived somewhere.
    fn count_duplicate(&mut self, news: AckNews, outstanding: u32, mss: u32) {
        if news.is_duplicate {
            self.dup_acks += 1;
            let most = outstanding.saturating_sub(self.lost);
            self.left_network = (self.left_network + mss).min(most);
        } else if news.acked > 0 {
            self.dup_acks = 0;
            // What had left the network is now acknowledged; the segment that was missing was
            // not among it.
            self.left_network = if self.phase == Phase::Fast {
                self.left_network.saturating_sub(news.acked.saturating_sub(mss))
            } else {
                0
            };
        }
    }

    /// The timer expired: all that is not sacked is presumed lost, sent again or not.
    pub(super) fn on_timeout(&mut self, chunks: &mut ChunkSlab, queue: &SendQueue, nxt: SeqNum) {
        let head = queue.list.head;
        // RFC 2018 §8: what the peer has not yet taken, it may have thrown away again; a sacked
        // chunk at SND.UNA proves it. RFC 6675 §5.1 keeps the marks otherwise.
        let reneged = head != queue.unsent && chunks.node(head).marks.has(Marks::SACKED);
        let mut at = head;
        (self.sacked, self.lost, self.retransmitted) = (0, 0, 0);
        self.restart_search();
        while at != queue.unsent {
            let node = chunks.node_mut(at);
            let in_flight = !node.marks.has(Marks::LOST) || node.marks.has(Marks::RETRANSMITTED);
            if in_flight && !node.marks.has(Marks::SACKED) {
                self.delivery.on_lost(node.sent, node.len());
            }
            node.marks.clear(Marks::RETRANSMITTED);
            if reneged {
                node.marks.clear(Marks::SACKED);
            }
            if node.marks.has(Marks::SACKED) {
                self.sacked += node.len();
            } else {
                node.marks.set(Marks::LOST);
                self.lost += node.len();
            }
            at = chunks.next(at);
        }
        self.phase = Phase::Timeout;
        self.recover = nxt;
        self.silent = false;
        self.dup_acks = 0;
        self.left_network = 0;
        self.first_is_due = true;
    }

    /// The first chunk that is lost and not yet sent again, and the one before it; the first unsent
    /// chunk if there is none. Goes on from where it was, so that sending n holes in one go walks
    /// the queue once.
    pub(super) fn next_lost(&mut self, chunks: &ChunkSlab, queue: &SendQueue) -> (u32, u32) {
        let (mut before, mut at) = self.searched_to.unwrap_or((NIL, queue.list.head));
        while at != queue.unsent && at != NIL {
            let marks = chunks.node(at).marks;
            if marks.has(Marks::LOST) && !marks.has(Marks::RETRANSMITTED) {
                break;
            }
            (before, at) = (at, chunks.next(at));
        }
        self.searched_to = Some((before, at));
        (before, at)
    }

    /// Marks or links have changed: the next search begins at the front.
    pub(super) fn restart_search(&mut self) {
        self.searched_to = None;
    }

    /// A chunk is being sent once more.
    pub(super) fn on_retransmit(&mut self, chunks: &mut ChunkSlab, index: u32) {
        let node = chunks.node_mut(index);
        if node.marks.has(Marks::LOST) && !node.marks.has(Marks::RETRANSMITTED) {
            node.marks.set(Marks::RETRANSMITTED);
            self.retransmitted += node.len();
        }
        self.first_is_due = false;
    }

    /// The recovery that has just begun repairs what is no sign of congestion: its end is not told
    /// either.
    pub(super) fn keep_silent(&mut self) {
        self.silent = true;
    }

    /// The path does not take what is larger than `mss`: it did not arrive.
    ///
    /// That is no sign of congestion, so the recovery it begins is silent: the controller does not
    /// hear of it (RFC 8899 §3, "congestion control").
    pub(super) fn mark_larger(
        &mut self,
        chunks: &mut ChunkSlab,
        queue: &SendQueue,
        nxt: SeqNum,
        mss: u32,
    ) {
        let before = self.lost;
        self.restart_search();
        let mut at = queue.list.head;
        while at != queue.unsent {
            if chunks.node(at).len() > mss {
                self.unmark_retransmitted(chunks, at);
                self.mark_lost(chunks, at);
            }
            at = chunks.next(at);
        }
        if self.phase == Phase::Open && self.lost > before {
            self.phase = Phase::Timeout;
            self.recover = nxt;
            self.silent = true;
        }
    }

    /// The path has lost it: marks it, and counts it where the path's share of losses is.
    fn lose(&mut self, chunks: &mut ChunkSlab, index: u32) {
        let before = self.lost;
        self.mark_lost(chunks, index);
        if self.lost > before {
            let node = chunks.node(index);
            self.delivery.on_lost(node.sent, node.len());
        }
    }

    fn mark_lost(&mut self, chunks: &mut ChunkSlab, index: u32) {
        let node = chunks.node_mut(index);
        if !node.marks.has(Marks::LOST) && !node.marks.has(Marks::SACKED) {
            node.marks.set(Marks::LOST);
            self.lost += node.len();
        }
    }

    fn unmark_retransmitted(&mut self, chunks: &mut ChunkSlab, index: u32) {
        let node = chunks.node_mut(index);
        if node.marks.has(Marks::RETRANSMITTED) {
            node.marks.clear(Marks::RETRANSMITTED);
            self.retransmitted -= node.len();
        }
    }
}
