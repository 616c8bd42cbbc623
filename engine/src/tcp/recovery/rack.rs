//! RACK (RFC 8985 §6): what was sent before something that has arrived, and has been on its way
//! for longer than that took and reordering explains, is lost.
//!
//! Holds for originals and retransmissions alike, so that a retransmission that is lost again is
//! found without the timer. Which chunks are in flight, and in which order they were sent, is the
//! scoreboard's; this file holds what RACK remembers of arrivals, and the reordering window.

use std::time::Duration;

use super::DUP_THRESH;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

/// A segment that has arrived, as far as RACK asks.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Arrived {
    pub(in crate::tcp) sent_at: Instant,
    pub(in crate::tcp) end: SeqNum,
    pub(in crate::tcp) retransmitted: bool,
    /// The ACK echoes a timestamp from before `sent_at`: an earlier transmission has arrived.
    pub(in crate::tcp) echo_is_older: bool,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Rack {
    /// Of what has arrived, what was sent last: RACK.xmit_ts and RACK.end_seq; and RACK.rtt.
    newest: Option<(Instant, SeqNum)>,
    rtt: Duration,
    /// RACK.fack: the highest number that has arrived.
    fack: SeqNum,
    /// RACK.dsack_round: what SND.UNA must reach before the window may widen again.
    dsack_round: Option<SeqNum>,
    pub(in crate::tcp) reordering: Reordering,
}

/// What has been learnt of how far the path changes the order of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) struct Reordering {
    /// RACK.reordering_seen.
    pub(in crate::tcp) seen: bool,
    /// RACK.reo_wnd_mult: quarters of the shortest round trip that reordering is given.
    quarters: u8,
    /// RACK.reo_wnd_persist: recoveries until it is one quarter again.
    persist: u8,
}

impl Reordering {
    const UNSEEN: Reordering = Reordering { seen: false, quarters: 1, persist: 0 };
}

/// What the reordering window depends on, besides what RACK remembers.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Conditions {
    pub(in crate::tcp) in_recovery: bool,
    /// Chunks that are sacked (RACK.segs_sacked).
    pub(in crate::tcp) sacked_segments: u32,
    pub(in crate::tcp) min_rtt: Duration,
    pub(in crate::tcp) srtt: Duration,
}

/// RFC 8985 §6.2 step 4: how many recoveries a widened window outlives.
const PERSIST: u8 = 16;

impl Rack {
    pub(in crate::tcp) fn new(isn: SeqNum) -> Self {
        Rack {
            newest: None,
            rtt: Duration::ZERO,
            fack: isn,
            dsack_round: None,
            reordering: Reordering::UNSEEN,
        }
    }

    /// RFC 8985 §6.2 steps 2 and 3, for each segment newly acknowledged, in either way.
    #[inline]
    pub(in crate::tcp) fn on_arrival(&mut self, now: Instant, min_rtt: Duration, segment: Arrived) {
        if segment.end.after(self.fack) {
            self.fack = segment.end;
        } else if segment.end.before(self.fack) && !segment.retransmitted {
            self.reordering.seen = true;
        }
        let rtt = now.since(segment.sent_at);
        // A retransmission that cannot have been there and back: the original has arrived.
        if segment.retransmitted && (segment.echo_is_older || rtt < min_rtt) {
            return;
        }
        let is_newer = |(sent_at, end): (Instant, SeqNum)| {
            sent_at < segment.sent_at || (sent_at == segment.sent_at && end.before(segment.end))
        };
        if self.newest.is_none_or(is_newer) {
            self.newest = Some((segment.sent_at, segment.end));
            self.rtt = rtt;
        }
    }

    /// RFC 8985 §6.2 step 4: a retransmission was in vain, so reordering takes longer than the
    /// window. Once per round trip.
    pub(in crate::tcp) fn on_duplicate_report(&mut self, una: SeqNum, nxt: SeqNum) {
        if self.dsack_round.is_none_or(|round| una.at_or_after(round)) {
            self.dsack_round = Some(nxt);
            self.reordering.quarters = self.reordering.quarters.saturating_add(1);
            self.reordering.persist = PERSIST;
        }
    }

    /// RFC 8985 §6.2 step 4: a recovery is over.
    pub(in crate::tcp) fn on_recovery_exit(&mut self) {
        let reordering = &mut self.reordering;
        reordering.persist = reordering.persist.saturating_sub(1);
        if reordering.persist == 0 {
            reordering.quarters = 1;
        }
    }

    /// What was sent again turns out not to have been needed: its arrival was the original's, and
    /// says nothing of when what else is in flight should have arrived.
    pub(in crate::tcp) fn forget_arrivals(&mut self) {
        self.newest = None;
    }

    /// The reordering window (RFC 8985 §6.2 step 4). As long as no reordering has been seen, three
    /// segments beyond a gap are as good a sign of loss as they ever were (DupThresh), and
    /// recovery need not wait either.
    pub(in crate::tcp) fn reordering_window(&self, on: &Conditions) -> Duration {
        if !self.reordering.seen && (on.in_recovery || on.sacked_segments >= DUP_THRESH) {
            return Duration::ZERO;
        }
        (on.min_rtt / 4 * u32::from(self.reordering.quarters)).min(on.srtt)
    }

    /// When a segment counts as lost, if nothing is heard of it until then (RFC 8985 §6.2 step 5);
    /// `None` if nothing that was sent after it has arrived.
    #[inline]
    pub(in crate::tcp) fn lost_at(
        &self,
        sent_at: Instant,
        end: SeqNum,
        window: Duration,
    ) -> Option<Instant> {
        let (newest_at, newest_end) = self.newest?;
        let overtaken = sent_at < newest_at || (sent_at == newest_at && end.before(newest_end));
        overtaken.then(|| sent_at + self.rtt + window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sent(ms: u64, end: u32) -> Arrived {
        Arrived { sent_at: at(ms), end: SeqNum(end), retransmitted: false, echo_is_older: false }
    }

    const CALM: Conditions = Conditions {
        in_recovery: false,
        sacked_segments: 0,
        min_rtt: Duration::from_millis(40),
        srtt: Duration::from_millis(60),
    };

    #[test]
    fn what_was_sent_before_an_arrival_is_lost_after_a_round_trip_and_the_window() {
        let mut rack = Rack::new(SeqNum(0));
        assert_eq!(rack.lost_at(at(0), SeqNum(1000), ms(10)), None);
        rack.on_arrival(at(102), ms(40), sent(2, 3000));
        assert_eq!(rack.lost_at(at(1), SeqNum(2000), ms(10)), Some(at(111)));
        assert_eq!(rack.lost_at(at(2), SeqNum(2000), ms(10)), Some(at(112)), "same burst");
        assert_eq!(rack.lost_at(at(2), SeqNum(4000), ms(10)), None);
        assert_eq!(rack.lost_at(at(3), SeqNum(1000), ms(10)), None, "sent after it");
    }

    #[test]
    fn a_retransmission_that_came_back_too_soon_is_no_sample() {
        let mut rack = Rack::new(SeqNum(0));
        rack.on_arrival(at(50), ms(40), sent(0, 1000));
        let again = Arrived { retransmitted: true, ..sent(60, 2000) };
        rack.on_arrival(at(99), ms(40), again);
        assert_eq!(rack.lost_at(at(30), SeqNum(500), ms(0)), None, "39 ms is not a round trip");
        rack.on_arrival(at(110), ms(40), Arrived { echo_is_older: true, ..again });
        assert_eq!(rack.lost_at(at(30), SeqNum(500), ms(0)), None, "the echo is the original's");
        rack.on_arrival(at(110), ms(40), again);
        assert_eq!(rack.lost_at(at(30), SeqNum(500), ms(0)), Some(at(80)));
    }

    #[test]
    fn an_original_below_what_has_arrived_shows_reordering() {
        let mut rack = Rack::new(SeqNum(0));
        rack.on_arrival(at(50), ms(40), sent(0, 3000));
        rack.on_arrival(at(51), ms(40), Arrived { retransmitted: true, ..sent(0, 1000) });
        assert!(!rack.reordering.seen);
        rack.on_arrival(at(51), ms(40), sent(0, 2000));
        assert!(rack.reordering.seen);
    }

    #[test]
    fn until_reordering_is_seen_three_segments_are_enough() {
        let mut rack = Rack::new(SeqNum(0));
        let three = Conditions { sacked_segments: 3, ..CALM };
        let recovering = Conditions { in_recovery: true, ..CALM };
        assert_eq!(rack.reordering_window(&CALM), ms(10));
        assert_eq!(rack.reordering_window(&three), ms(0));
        assert_eq!(rack.reordering_window(&recovering), ms(0));
        rack.reordering.seen = true;
        assert_eq!(rack.reordering_window(&three), ms(10));
        assert_eq!(rack.reordering_window(&recovering), ms(10));
    }

    #[test]
    fn reports_of_duplicates_widen_the_window_for_sixteen_recoveries_once_a_round_trip() {
        let mut rack = Rack::new(SeqNum(0));
        rack.on_duplicate_report(SeqNum(100), SeqNum(900));
        rack.on_duplicate_report(SeqNum(500), SeqNum(1500));
        assert_eq!(rack.reordering_window(&CALM), ms(20));
        rack.on_duplicate_report(SeqNum(900), SeqNum(1500));
        assert_eq!(rack.reordering_window(&CALM), ms(30));
        for round in 0..255u32 {
            rack.on_duplicate_report(SeqNum(1500 + round), SeqNum(1501 + round));
        }
        assert_eq!(rack.reordering_window(&CALM), CALM.srtt, "never more than a round trip");
        for _ in 0..15 {
            rack.on_recovery_exit();
        }
        assert_eq!(rack.reordering_window(&CALM), CALM.srtt);
        rack.on_recovery_exit();
        assert_eq!(rack.reordering_window(&CALM), ms(10));
    }
}
