//! One packet of a capture.

use std::time::Duration;

use super::{About, Copied};
use crate::proxy::Side;
use crate::tcp::OutgoingKind;
use crate::time::Instant;

/// A packet as it passed. Its memory is the reader's, who gives it back for the next.
#[derive(Debug)]
pub struct Captured {
    /// When the core looked at it: with the burst that brought it, or that it left with.
    pub at: Instant,
    pub port: u8,
    /// By index.
    pub service: Option<u16>,
    /// The leg whose it is; `None`: it belongs to no connection.
    pub side: Option<Side>,
    pub what: What,
    copied: Copied,
}

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Received {
        /// For the core that looked at it, in the ring from the one that received it.
        waited: Option<Duration>,
        /// Why it was dropped; `None`: it was taken.
        dropped: Option<&'static str>,
    },
    Sent {
        kind: OutgoingKind,
        /// How long ago its payload was received, when it leaves for the first time.
        inside: Option<Duration>,
    },
}

impl Captured {
    pub(super) fn new(at: Instant, port: u8, about: &About, what: What, copied: Copied) -> Self {
        Captured { at, port, service: about.service, side: about.side, what, copied }
    }

    /// The packet from its Ethernet header on, as far as it was copied.
    pub fn octets(&self) -> &[u8] {
        &self.copied.buffer[..self.copied.len]
    }

    /// Length of the whole packet [octets].
    pub fn original_len(&self) -> u32 {
        self.copied.of
    }

    pub(super) fn into_buffer(self) -> Box<[u8]> {
        self.copied.buffer
    }
}
