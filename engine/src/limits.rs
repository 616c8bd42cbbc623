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
/// Free frames that each open device may count on [frames]: what one turn can take out of its
/// fill ring, twice. With fewer free, the pool is scarce and nothing more is held back.
pub const DEVICE_RESERVE: usize = 2 * BURST;

/// Least and most entries in a ring shared with the kernel; a power of two [descriptors].
pub const RING_ENTRIES_MIN: u32 = 64;
pub const RING_ENTRIES_MAX: u32 = 1 << 16;

/// Shortest packet given to a device [octets]: an Ethernet header. The kernel takes shorter ones
/// off the ring without ever completing them, which would lose their frames; they are dropped.
pub const PACKET_MIN: usize = 14;

/// Calls into the kernel for one flush. In copy mode each sends at least
/// [`TX_PER_CALL`] packets, so a full burst leaves in two; the rest is for what earlier
/// flushes left. What is unsent after them waits for the next flush.
pub const KICKS_PER_FLUSH: u32 = 4;

/// Packets that the kernel sends per call in copy mode, unless told otherwise.
pub const TX_PER_CALL: u32 = 32;

/// How long opening waits for a queue that the kernel is still taking from its last socket, and
/// closing for the kernel to let go [ms]. Then opening fails (busy) and closing goes on.
pub const QUEUE_RELEASE_MS: u64 = 1_000;

const _: () = assert!(HEADERS_MAX <= HEADROOM);
const _: () = assert!(FRAME_SIZE_MAX <= u16::MAX as usize);
const _: () = assert!(FRAME_SIZE_MIN.is_power_of_two() && FRAME_SIZE_MAX.is_power_of_two());
const _: () = assert!((TX_PER_CALL * KICKS_PER_FLUSH) as usize >= 2 * BURST);
const _: () = assert!(RING_ENTRIES_MIN as usize >= BURST);
