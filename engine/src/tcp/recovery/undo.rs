//! What it takes to find that a recovery was spurious: nothing was lost, only late or reordered.
//!
//! Two signs. The Eifel detection (RFC 3522): an ACK for what was sent again echoes a timestamp
//! from before that, so it answers the original. And duplicate reports (RFC 2883, RFC 3708): all
//! that was sent again has arrived twice. The response is RFC 4015's: the window and the threshold
//! of before come back.

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
