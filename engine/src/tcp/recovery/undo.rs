//! What it takes to find that a recovery was spurious: nothing was lost, only late or reordered.
//!
//! Two signs. The Eifel detection (RFC 3522): an ACK for what was sent again echoes a timestamp
//! from before that, so it answers the original. And duplicate reports (RFC 2883, RFC 3708): all
//! that was sent again has arrived twice. The response is RFC 4015's: the window and the threshold
//! of before come back.

use super::frto::Signs;
use super::tlp::Verdict;
use super::{Ack, News, Phase, Recovery, Undone};
use crate::tcp::chunks::ChunkSlab;
use crate::time::Instant;
use crate::wire::tcp::{SackBlock, SeqNum};

/// A recovery that can still turn out to have been spurious; also after it is over, until the next
/// begins, as the last duplicate reports come late.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Episode {
    /// SND.UNA when it began: reports of what is older are not about it.
    begin: SeqNum,
    /// When it first sent something again.
    sent_again_at: Option<Instant>,
    /// Sent again and not yet reported as duplicate [octets].
    unreported: u32,
    pub(in crate::tcp) after_timeout: bool,
}

impl Episode {
    pub(in crate::tcp) fn new(begin: SeqNum, after_timeout: bool) -> Self {
        Episode { begin, sent_again_at: None, unreported: 0, after_timeout }
    }

    pub(in crate::tcp) fn on_sent_again(&mut self, octets: u32, now: Instant) {
        self.sent_again_at.get_or_insert(now);
        self.unreported = self.unreported.saturating_add(octets);
    }

    /// When it first sent something again; an ACK for that which echoes an older timestamp answers
    /// the original (RFC 3522 §3.2 step 5).
    pub(in crate::tcp) fn sent_again_at(&self) -> Option<Instant> {
        self.sent_again_at
    }

    /// Takes a duplicate report into account; whether by now all is reported that was sent again.
    pub(in crate::tcp) fn on_duplicate_report(&mut self, block: SackBlock) -> bool {
        if block.left.before(self.begin) || self.unreported == 0 {
            return false;
        }
        self.unreported = self.unreported.saturating_sub(block.right - block.left);
        self.unreported == 0
    }
}

impl Recovery {
    /// What an ACK says of a probe; whether it has repaired a loss.
    pub(super) fn judge_probe(&mut self, ack: &Ack, is_reported: bool) -> bool {
        let Some(probe) = self.probe else { return false };
        let verdict = probe.judge(ack.una, is_reported, ack.is_plain_duplicate);
        if verdict != Verdict::Waiting {
            self.probe = None;
        }
        verdict == Verdict::Repaired && self.phase == Phase::Open
    }

    /// Whether the recovery under way, or the last one, shows to have been spurious.
    pub(super) fn find_spurious(
        &mut self,
        ack: &Ack,
        news: &News,
        of_probe: bool,
    ) -> Option<Undone> {
        let signs = Signs {
            advances: ack.acked > 0 && ack.una.before(self.recover),
            is_duplicate: ack.is_duplicate || news.newly_sacked > 0,
            original_arrived: news.original_arrived,
            sack: self.sack,
            can_send_new: ack.can_send_new,
        };
        let all_were_late = self.frto.on_ack(&signs);
        let all_twice =
            news.duplicate.is_some_and(|block| self.on_duplicate_report(ack, block, of_probe));
        let episode = self.episode?;
        let answers_original = self.phase != Phase::Open
            && news.retransmission_acked
            && episode.sent_again_at().is_some_and(|at| ack.echo_is_older_than(at));
        let undone = if episode.after_timeout { Undone::Timeout } else { Undone::Fast };
        (all_were_late || all_twice || answers_original).then_some(undone)
    }

    /// RFC 2883: something arrived twice. Whether that makes the last recovery spurious.
    fn on_duplicate_report(&mut self, ack: &Ack, block: SackBlock, of_probe: bool) -> bool {
        // More than was ever sent twice, the network or the peer has invented.
        let octets = block.right - block.left;
        if octets > self.repeated {
            return false;
        }
        self.repeated -= octets;
        if of_probe {
            return false; // RFC 8985 §7.4: not needed, which says nothing about reordering.
        }
        self.rack.on_duplicate_report(ack.una, ack.nxt);
        self.episode.as_mut().is_some_and(|episode| episode.on_duplicate_report(block))
    }

    /// Takes the recovery back.
    pub(super) fn undo(&mut self, chunks: &mut ChunkSlab) {
        self.forget_lost(chunks);
        self.rack.forget_arrivals();
        // What had to arrive late to look lost was overtaken.
        self.rack.reordering.seen |=
            self.episode.take().is_some_and(|episode| !episode.after_timeout);
        self.leave_phase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(left: u32, right: u32) -> SackBlock {
        SackBlock { left: SeqNum(left), right: SeqNum(right) }
    }

    #[test]
    fn all_that_was_sent_again_must_be_reported() {
        let mut episode = Episode::new(SeqNum(1000), false);
        assert!(!episode.on_duplicate_report(block(1000, 2000)), "nothing was sent again");
        episode.on_sent_again(1000, Instant::from_millis(5));
        episode.on_sent_again(1000, Instant::from_millis(9));
        assert!(!episode.on_duplicate_report(block(0, 1000)), "older than the episode");
        assert!(!episode.on_duplicate_report(block(1000, 2000)));
        assert!(episode.on_duplicate_report(block(2000, 3000)));
        assert!(!episode.on_duplicate_report(block(2000, 3000)), "once");
        assert_eq!(episode.sent_again_at(), Some(Instant::from_millis(5)));
    }
}
