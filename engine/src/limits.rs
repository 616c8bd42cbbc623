//! Every bound of the engine, in one place, with what happens when it is reached.
//!
//! Relations between bounds that the code relies on are asserted at the end, at compile time.

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

/// IPv6 extension headers that are skipped to find TCP [headers]. RFC 8200 §4.1 knows fewer in
/// front of it. A packet with more goes to the kernel, so that no packet costs more than this.
pub const IPV6_EXTENSIONS_MAX: usize = 4;

const _: () = assert!(HEADERS_MAX <= HEADROOM);
const _: () = assert!(FRAME_SIZE_MAX <= u16::MAX as usize);
const _: () = assert!(FRAME_SIZE_MIN.is_power_of_two() && FRAME_SIZE_MAX.is_power_of_two());
