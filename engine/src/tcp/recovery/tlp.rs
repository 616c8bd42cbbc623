//! Tail loss probe (RFC 8985 §7): when the tail of a flight stays unanswered for two round trips,
//! one segment is sent, so that its acknowledgment shows what is lost, long before the timer.

use std::time::Duration;

use crate::limits::{RTO_INITIAL, TLP_ACK_DELAY_MAX};
use crate::wire::tcp::{SackBlock, SeqNum};

/// A probe that is on its way.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Probe {
    /// TLP.end_seq: SND.NXT when it was sent.
    pub(in crate::tcp) end: SeqNum,
    /// TLP.is_retrans: it repeats the last segment; otherwise it was new.
    pub(in crate::tcp) repeats: bool,
}

/// What an ACK says of the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Verdict {
    /// Nothing yet.
    Waiting,
    /// It was not needed, or new data: nothing follows.
    Harmless,
    /// It has repaired a loss, of which congestion control must hear.
    Repaired,
}

impl Probe {
    /// Whether the peer says of the probe that it was a duplicate. A FIN behind the payload is not
    /// part of what is reported.
    pub(in crate::tcp) fn is_reported_by(&self, duplicate: Option<SackBlock>) -> bool {
        duplicate.is_some_and(|block| block.right == self.end || block.right + 1 == self.end)
    }

    /// RFC 8985 §7.4.2. `reports_duplicate`: the ACK says that what ends at [`Probe::end`] arrived
    /// twice; `is_plain_duplicate`: it acknowledges nothing new and carries no blocks.
    pub(in crate::tcp) fn judge(
        &self,
        ack: SeqNum,
        reports_duplicate: bool,
        is_plain_duplicate: bool,
    ) -> Verdict {
        if ack.before(self.end) {
            Verdict::Waiting
        } else if !self.repeats || reports_duplicate {
            Verdict::Harmless
        } else if ack.after(self.end) {
            Verdict::Repaired
        } else if is_plain_duplicate {
            Verdict::Harmless // Both have arrived: the second is what this answers.
        } else {
            Verdict::Waiting
        }
    }
}

/// PTO (RFC 8985 §7.2). A single segment may have its ACK delayed.
pub(in crate::tcp) fn timeout(srtt: Option<Duration>, one_segment: bool) -> Duration {
    match srtt {
        None => RTO_INITIAL,
        Some(srtt) if one_segment => srtt * 2 + TLP_ACK_DELAY_MAX,
        Some(srtt) => srtt * 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Probe = Probe { end: SeqNum(5000), repeats: false };
    const AGAIN: Probe = Probe { end: SeqNum(5000), repeats: true };

    #[test]
    fn a_probe_of_new_data_needs_no_verdict_on_losses() {
        assert_eq!(NEW.judge(SeqNum(4000), false, false), Verdict::Waiting);
        assert_eq!(NEW.judge(SeqNum(5000), false, false), Verdict::Harmless);
    }

    #[test]
    fn a_probe_that_arrived_twice_was_not_needed() {
        assert_eq!(AGAIN.judge(SeqNum(5000), true, false), Verdict::Harmless);
        assert_eq!(AGAIN.judge(SeqNum(5000), false, true), Verdict::Harmless);
    }

    #[test]
    fn a_probe_that_arrived_once_has_repaired_a_loss() {
        assert_eq!(AGAIN.judge(SeqNum(5000), false, false), Verdict::Waiting);
        assert_eq!(AGAIN.judge(SeqNum(5001), false, false), Verdict::Repaired);
    }

    #[test]
    fn one_segment_waits_for_a_delayed_ack() {
        let srtt = Some(Duration::from_millis(30));
        assert_eq!(timeout(srtt, false), Duration::from_millis(60));
        assert_eq!(timeout(srtt, true), Duration::from_millis(260));
        assert_eq!(timeout(None, true), Duration::from_secs(1));
    }
}
