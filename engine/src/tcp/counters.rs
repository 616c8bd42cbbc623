//! What connections count. One set per lane or service, as the caller likes.

use crate::telemetry::add_counts;

/// Monotonic counts. Frames with payload that were queued are accounted for by
/// `queued = forwarded + coalesced + superseded + discarded + still queued`, where forwarded is the
/// number of [`super::OutgoingKind::Forwarded`] segments handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Frames with payload taken into a receive queue [frames].
    pub queued: u64,
    /// Frames whose payload was appended to another by copy, and ended so [frames].
    pub coalesced: u64,
    /// Frames that waited out of order until another brought all of theirs [frames].
    pub superseded: u64,
    /// Frames that were queued and given up before they were ever sent [frames].
    pub discarded: u64,
    /// First transmissions of payload in the frame it arrived in [segments].
    pub zero_copy_segments: u64,
    /// First transmissions of payload that was copied: split, or coalesced [segments].
    pub copied_segments: u64,
    /// Payload copied for either reason [octets].
    pub copied_octets: u64,
    /// Segments sent again, SYN and FIN included [segments].
    pub retransmitted: u64,
    /// Times the retransmission timer expired.
    pub timeouts: u64,
    /// Times that fast recovery was entered.
    pub fast_recoveries: u64,
    /// Of those, times that nothing had been lost.
    pub spurious_recoveries: u64,
    /// Of the timeouts, those that nothing had been lost before.
    pub spurious_timeouts: u64,
    /// Tail loss probes sent (RFC 8985 §7) [segments].
    pub tail_probes: u64,
    /// Reports that something arrived twice (RFC 2883).
    pub duplicate_reports: u64,
    /// Connections on which the path was seen to change the order of segments.
    pub reordering_seen: u64,
    /// Times that a peer had thrown away what it had reported (RFC 2018 §8).
    pub reneged: u64,
    /// ACKs sent to challenge a segment that may be forged (RFC 5961) [segments].
    pub challenge_acks: u64,
    /// Segments sent to find out whether one of their size arrives (RFC 4821).
    pub mtu_probes: u64,
    /// Times that full-sized segments vanished, and smaller ones were sent from then on.
    pub black_holes: u64,
    /// Segments refused by PAWS (RFC 7323 §5) [segments].
    pub paws_rejected: u64,
    /// Segments that carried payload out of order [segments].
    pub out_of_order: u64,
    /// Connections that were opened by a SYN with payload (RFC 7413).
    pub fast_opens: u64,
    /// Packets that came marked with congestion experienced, agreed on or not [packets].
    pub ce_received: u64,
    /// Acknowledgments that echo a mark (RFC 3168 §6.1.2) [segments].
    pub ece_received: u64,
    /// Segments that tell of a reduced window [segments].
    pub cwr_sent: u64,
    /// Segments that could not be built for want of a free frame, and are tried again.
    pub pool_empty: u64,
}

impl TcpCounters {
    /// Adds what others counted.
    pub fn add(&mut self, other: &TcpCounters) {
        add_counts!(self, other; TcpCounters {
            queued,
            coalesced,
            superseded,
            discarded,
            zero_copy_segments,
            copied_segments,
            copied_octets,
            retransmitted,
            timeouts,
            fast_recoveries,
            spurious_recoveries,
            spurious_timeouts,
            tail_probes,
            duplicate_reports,
            reordering_seen,
            reneged,
            challenge_acks,
            mtu_probes,
            black_holes,
            paws_rejected,
            out_of_order,
            fast_opens,
            ce_received,
            ece_received,
            cwr_sent,
            pool_empty,
        });
    }

    /// What tells an operator how connections fare, with its names in `stats` and the metrics.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("retransmitted", self.retransmitted),
            ("timeouts", self.timeouts),
            ("fast_recoveries", self.fast_recoveries),
            ("tail_probes", self.tail_probes),
            ("spurious_recoveries", self.spurious_recoveries),
            ("spurious_timeouts", self.spurious_timeouts),
            ("duplicate_reports", self.duplicate_reports),
            ("reordering_seen", self.reordering_seen),
            ("reneged", self.reneged),
            ("out_of_order", self.out_of_order),
            ("paws_rejected", self.paws_rejected),
            ("challenge_acks", self.challenge_acks),
            ("fast_opens", self.fast_opens),
            ("ce_received", self.ce_received),
            ("ece_received", self.ece_received),
            ("cwr_sent", self.cwr_sent),
            ("mtu_probes", self.mtu_probes),
            ("black_holes", self.black_holes),
            ("pool_empty", self.pool_empty),
        ]
        .into_iter()
    }
}
