//! How a host's TCP behaves.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub mss: u16,
    pub scale: Option<u8>,
    pub timestamps: bool,
    pub sack: bool,
    /// Reports what has arrived twice (RFC 2883).
    pub dsack: bool,
    /// Asks for ECN, or agrees to it.
    pub ecn: bool,
    /// Asks for Fast Open, and brings a cookie if it has one, with payload.
    pub fast_open: Option<Option<[u8; 8]>>,
    /// What the receiver holds that nobody has read [octets].
    pub buffer: u32,
    pub acks: Acks,
    /// What the sender has in flight at most [octets].
    pub in_flight_max: u64,
    /// Longest payload that it sends, however large the MSS [octets].
    pub segment_max: u64,
    /// How long it waits for any sign of the engine before it gives up; `None`: for ever.
    pub patience: Option<Duration>,
    /// How long it waits for the handshake that it has answered to be completed.
    pub handshake_patience: Option<Duration>,
    /// Whether the network may lose, repeat and reorder. If not, more is demanded.
    pub lossy: bool,
    /// Whether others may send segments in its name, which the engine may answer.
    pub forged: bool,
    /// Whether boxes on the way may have left SACK blocks as they were where they changed the rest.
    pub sack_may_be_foreign: bool,
}

impl Settings {
    pub const MODERN: Settings = Settings {
        mss: 1460,
        scale: Some(7),
        timestamps: true,
        sack: true,
        dsack: false,
        ecn: false,
        fast_open: None,
        buffer: 256 * 1024,
        acks: Acks::AT_ONCE,
        in_flight_max: 64 * 1024,
        segment_max: u64::MAX,
        patience: None,
        handshake_patience: None,
        lossy: false,
        forged: false,
        sack_may_be_foreign: false,
    };

    /// No options but the MSS.
    pub const PLAIN: Settings = Settings {
        scale: None,
        timestamps: false,
        sack: false,
        buffer: 65_535,
        ..Settings::MODERN
    };
}

/// When a receiver acknowledges what arrives in order; what does not, and an end, it answers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acks {
    /// After so many segments …
    pub segments: u32,
    /// … or so long after the first.
    pub at_latest: Duration,
    /// In steps of so much, a segment for each [octets].
    pub step: u64,
}

impl Acks {
    pub const AT_ONCE: Acks = Acks { segments: 1, at_latest: Duration::ZERO, step: u64::MAX };
}
