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

/// Most prefixes learnt from each of Linux's routing tables, IPv4 and IPv6 together: the whole
/// Internet's, with room to grow. A million take some 270 MB. Further ones are not learnt; what
/// they cover is reached by a wider route or not at all. Counted, warned of, and read again when
/// there is room.
pub const ROUTES_MAX: usize = 1 << 21;

/// Most addresses with a neighbour entry, well over Linux's own default bound (`gc_thresh3`, 1024)
/// for each family. Further ones are not learnt and stay unresolved; counted and warned of.
pub const NEIGHBOURS_MAX: usize = 1 << 16;

/// Most network devices. Further ones are not learnt: routes over them count as down.
pub const LINKS_MAX: usize = 1 << 13;

/// Most addresses of this host. Further ones are not learnt, and not chosen as sources.
pub const ADDRESSES_MAX: usize = 1 << 14;

/// Most neighbours kept from going stale at a time. Further ones are not: Linux may forget them
/// while they are in use, and they are resolved anew.
pub const NEIGHBOURS_IN_USE_MAX: usize = 1 << 12;

/// Questions for Linux that wait to be asked; a further one is refused, its asker tries later.
pub const KERNEL_QUESTIONS_MAX: usize = 1024;

/// Receive buffer of a netlink socket [octets]: some ten thousand notifications. When it
/// overflows everything is read again.
pub const NETLINK_BUFFER: usize = 8 << 20;

/// Most sockets reported as being in the way of our source ports: enough to see why.
pub const CLASHES_MAX: usize = 16;

const _: () = assert!(HEADERS_MAX <= HEADROOM);
const _: () = assert!(FRAME_SIZE_MAX <= u16::MAX as usize);
const _: () = assert!(FRAME_SIZE_MIN.is_power_of_two() && FRAME_SIZE_MAX.is_power_of_two());
