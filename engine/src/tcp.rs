//! One TCP connection, sans-I/O: segments and `now` in, segments and the next deadline out.

pub mod congestion;
pub mod isn;
pub mod rtt;
pub mod wheel;

use crate::frame::{Frame, FramePool};
use crate::time::Instant;

/// A run of payload in one frame, as it moves from a receive queue to a send queue.
#[derive(Debug)]
#[must_use = "a chunk owns a frame"]
pub struct Chunk {
    /// Its window is exactly the payload.
    pub frame: Frame,
    /// Ones' complement sum of the payload as 16-bit big-endian words, folded, not complemented:
    /// derived from the checksum that was verified when the segment arrived.
    pub sum: u16,
    /// When the packet that brought it was received.
    pub received_at: Instant,
}

/// What a connection needs from its surroundings for one call.
#[derive(Debug)]
pub struct Context<'a> {
    pub now: Instant,
    pub pool: &'a mut FramePool,
}
