//! One TCP connection, sans-I/O: segments and `now` in, segments and the next deadline out.
//!
//! RFC 9293 with what Linux does today: window scaling, timestamps and PAWS (RFC 7323), selective
//! acknowledgments (RFC 2018, RFC 2883), loss recovery by RACK-TLP (RFC 8985), blind-attack
//! resistance (RFC 5961), the retransmission timer of RFC 6298 and exchangeable congestion control.
//!
//! What a [`Connection`] promises: no input makes it panic; it allocates nothing; it reads no
//! clock; every frame that it was given is in one of its queues, was handed out again, or went
//! back to the pool. It is plain data: frames and list links are indices, so it can be exported.
//!
//! Payload stays in the frame it arrived in. A frame that is queued has a [`chunks`] node beside
//! the pool, under the frame's index; queues are lists through those nodes.
//!
//! Start at [`Connection`] (the caller's calls, in order), then `input` for a segment that
//! arrives and `output` for one that leaves.

mod ahead;
mod autotune;
pub mod chunks;
pub mod congestion;
pub mod connection;
pub mod counters;
mod deadlines;
pub mod delivery_rate;
mod dormant;
pub mod ecn;
#[cfg(any(test, fuzzing))]
pub mod exercise;
pub mod fast_open;
mod input;
pub mod isn;
mod out_of_order;
mod output;
pub mod pacing;
mod path;
mod path_mtu;
mod receive_queue;
mod recovery;
pub mod rtt;
mod send_queue;
pub mod settings;
pub mod state;
pub mod time_wait;
mod view;
pub mod wheel;
mod window;

pub use chunks::ChunkSlab;
pub use connection::Connection;
pub use counters::TcpCounters;
pub use dormant::Asleep;
pub use ecn::EcnPolicy;
pub use input::{Disposition, DropReason};
pub use output::{Outgoing, OutgoingKind, reset_in_reply};
pub use path_mtu::plateau_below;
pub use settings::{Endpoints, Keepalive, LegSettings, MtuProbing, Offer};
pub use state::{CloseReason, State};
pub use time_wait::{TimeWait, TimeWaitVerdict};
pub use view::{AgreedView, CongestionView, Limit, RoundTripView, TcpView, TimersView};

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
    /// List nodes for the frames of `pool`, see [`ChunkSlab::for_pool`].
    pub chunks: &'a mut ChunkSlab,
    pub counters: &'a mut TcpCounters,
}

#[cfg(test)]
mod tests;
