//! Every bound of the engine, in one place, with what happens when it is reached.
//!
//! Relations between bounds that the code relies on are asserted at the end, at compile time.

use std::time::Duration;

/// Frames handled between two looks at the clock [frames]. A port hands over at most this many.
pub const BURST: usize = 64;

/// Room kept in front of every received packet [octets]. The kernel reserves the same
/// (`XDP_PACKET_HEADROOM`), so that a packet can be re-headed in place with any header we write.
pub const HEADROOM: usize = 256;

/// Smallest frame that AF_XDP accepts in aligned mode [octets].
pub const FRAME_SIZE_MIN: usize = 2048;

/// Largest frame: one page [octets]. Bounds the MTU of an AF_XDP port without multi-buffer.
pub const FRAME_SIZE_MAX: usize = 4096;

/// Most frames in one pool [frames]; an index with its free-list links stays within 24 bits.
pub const FRAMES_MAX: usize = 1 << 24;

/// Longest headers we ever write in front of a payload [octets]:
/// Ethernet 14 + two VLAN tags 8 + IPv6 40 + TCP with all options 60.
pub const HEADERS_MAX: usize = 14 + 8 + 40 + 60;

/// Largest congestion window [octets]: no peer can advertise a larger window (65,535 << 14,
/// RFC 7323 §2.3), so growth beyond it would mean nothing. A window that reaches it stays there.
pub const CONGESTION_WINDOW_MAX: u32 = 65_535 << 14;

/// Most segments that a connection may be configured to start with; more are taken as this many.
/// Twenty-five times what RFC 6928 allows is a burst that only a path of one's own can want.
pub const INITIAL_WINDOW_SEGMENTS_MAX: u32 = 256;

/// State of a congestion controller, whichever the algorithm [octets]. One per leg.
pub const CONGESTION_STATE_MAX: usize = 112;

/// Shortest retransmission timeout. Note: RFC 6298 §2.4 says one second; every widely deployed
/// stack uses less, as paths and timers have become faster. It is also what the timeout leaves,
/// on top of the round trip, for a peer that delays its acknowledgment.
pub const RTO_MIN: Duration = Duration::from_millis(200);

/// Retransmission timeout before anything was measured (RFC 6298 §2.1).
pub const RTO_INITIAL: Duration = Duration::from_secs(1);

/// Longest retransmission timeout: where doubling ends (RFC 6298 §2.5 wants at least this).
pub const RTO_MAX: Duration = Duration::from_secs(60);

/// How long a round trip counts as the shortest one seen. Routes change; a minimum from before
/// the change would make every later round trip look like queueing.
pub const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);

const _: () = assert!(RTO_MIN.as_micros() <= RTO_INITIAL.as_micros());
const _: () = assert!(RTO_INITIAL.as_micros() < RTO_MAX.as_micros());
const _: () = assert!(RTO_MAX.as_micros() < (u32::MAX / 16) as u128);
/// Largest window scale shift (RFC 7323 §2.3). A larger one is taken for this.
pub const WINDOW_SCALE_MAX: u8 = 14;

/// Largest window without scaling [octets].
pub const WINDOW_UNSCALED_MAX: u32 = 65_535;

/// Frames in one connection's receive queue, in order and out of order each [frames]. What arrives
/// beyond is dropped and not acknowledged: the peer sends it again. Octets are bounded by the
/// window; this bounds what small segments cost.
pub const RECEIVE_FRAMES_MAX: u32 = 4096;

/// Separate ranges of payload held out of order in one connection [ranges]. A segment that would
/// open another is dropped. Bounds the walk through the queue.
pub const OUT_OF_ORDER_RANGES_MAX: u32 = 256;

/// A chunk up to this size is appended by copy to one that waits before it, so that a frame is not
/// held for one octet [octets].
pub const COPYBREAK: usize = 256;

/// Segments in flight per segment's worth of congestion window [segments]. The window counts
/// octets; this bounds the frames that small segments can hold.
pub const SEGMENTS_PER_WINDOW_SEGMENT: u32 = 2;

/// Smallest payload per segment that a peer or a path can ask us to send [octets]. A smaller MSS
/// is taken for this, as in Linux (`tcp_min_snd_mss`): less would be an attack on our packet rate.
pub const SEND_MSS_MIN: u16 = 48;

/// How soon a connection tries again what an empty pool or a frame on its way out held back.
pub const OUTPUT_RETRY: Duration = Duration::from_millis(1);

/// Longest time that an ACK waits for payload to ride on (RFC 9293 §3.8.6.3 asks for less than
/// half a second; Linux waits 40 ms at least).
pub const DELAYED_ACK: Duration = Duration::from_millis(40);

/// Least time between two ACKs that answer segments which cannot be right, per connection (RFC
/// 5961 §7, §10; Linux: `tcp_invalid_ratelimit`). Those in between are dropped silently.
pub const CHALLENGE_ACK_INTERVAL: Duration = Duration::from_millis(500);

/// How long TIME-WAIT lasts (RFC 9293 §3.4.2: 2 MSL, with Linux's 60 s in place of 4 minutes).
pub const TIME_WAIT: Duration = Duration::from_secs(60);

/// Silence after which a peer's last timestamp says nothing any more (RFC 7323 §5.5).
pub const TIMESTAMP_VALID: Duration = Duration::from_secs(24 * 24 * 3600);

const _: () = assert!(HEADERS_MAX <= HEADROOM);
const _: () = assert!(FRAME_SIZE_MAX <= u16::MAX as usize);
const _: () = assert!(FRAME_SIZE_MIN.is_power_of_two() && FRAME_SIZE_MAX.is_power_of_two());
const _: () = assert!(COPYBREAK <= FRAME_SIZE_MIN - HEADROOM);
