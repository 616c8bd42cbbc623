//! What connections count. One set per lane or service, as the caller likes.

/// Monotonic counts. Frames with payload that were queued are accounted for by
/// `queued = forwarded + coalesced + discarded + still queued`, where forwarded is the number of
/// [`super::OutgoingKind::Forwarded`] segments handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Frames with payload taken into a receive queue [frames].
    pub queued: u64,
    /// Frames whose payload was appended to another by copy, and ended so [frames].
    pub coalesced: u64,
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
    /// Packets marked with congestion experienced; ECN is not negotiated, so they are only counted.
    pub ce_marked: u64,
    /// Segments that could not be built for want of a free frame, and are tried again.
    pub pool_empty: u64,
}
