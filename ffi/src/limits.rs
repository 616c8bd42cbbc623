//! Every bound of the crate, with what happens when it is reached.

use crate::raw;

/// Packets of one burst. Longer slices are used up to here: the shim keeps a burst on its stack.
pub const BURST_MAX: usize = raw::RR_BURST as usize;

/// What stays free in front of a received packet [octets].
pub const HEADROOM: u16 = raw::RR_HEADROOM as u16;

/// Buffer of a frame: a jumbo frame of 10 KiB and the headroom [octets]. Larger ones are refused,
/// no device that we know of could fill them.
pub const BUFFER_LEN_MAX: u16 = HEADROOM + 10 * 1024;

/// The least buffer: a minimal Ethernet frame and the headroom [octets]. Smaller ones are refused.
pub const BUFFER_LEN_MIN: u16 = HEADROOM + 64;

/// Frames of one pool: indices then fit any place that keeps 24 bits for them. More are refused.
pub const FRAMES_MAX: u32 = 1 << 24;

/// Name of a pool, as DPDK bounds it [octets]. Longer ones are refused.
pub const POOL_NAME_OCTETS_MAX: usize = raw::RR_POOL_NAME_OCTETS_MAX as usize - 1;

/// Ethernet's header with a VLAN tag, and the checksum that some devices deliver [octets]: what a
/// buffer holds besides the MTU.
pub const FRAMING: u16 = 14 + 4 + 4;

/// Longest key for receive side scaling of any device [octets]. To a device with a longer one the
/// driver's own key is left.
pub const RSS_KEY_OCTETS_MAX: usize = 64;

/// Complaints of DPDK that are kept for an error message [lines]. Later ones only go to the log.
pub const COMPLAINTS_MAX: usize = 16;

/// Lines of the log that wait while the standard descriptors are caught. Later ones are lost; a
/// start says some ten.
pub const HELD_LINES_MAX: usize = 1024;
