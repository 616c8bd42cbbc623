//! Devices: where bursts of frames come from and go to.
//!
//! A [`Port`] is one queue pair of one device behind a backend. What arrives is handed over as
//! whole packets, from the Ethernet header on; what is sent is taken the same way. A port knows
//! nothing of TCP. Ports wrap ports: a recorder or an impairment is a port around another.

pub mod af_xdp;
#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod impair;
pub mod pcap;
pub mod queues;
pub mod sim;
pub mod tap;

use std::os::fd::BorrowedFd;

use crate::frame::{Burst, FramePool};
use crate::telemetry::{CoreTimes, add_counts};
use crate::time::Instant;

/// One queue pair of a device.
///
/// The lane calls, in every turn of its loop: [`Port::rx_burst`], and after processing
/// [`Port::tx_burst`] until its bursts are gone or the port takes no more. Completed frames come
/// home to the pool, and the device is given fresh ones to receive into, within these calls.
pub trait Port {
    /// Says what time it is: before the other calls of a turn, and, where that has taken a while, again
    /// before what is to be sent. Ports that wrap ports need it (to delay, to stamp what they record)
    /// and pass it inward; no port reads a clock.
    fn set_now(&mut self, _now: Instant) {}

    /// Appends received packets to `burst`, until it is full or nothing is left.
    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst);

    /// When each packet of the last burst was received, in their order; nothing where nobody but who looks
    /// knows, as with all ports but those that come from another core.
    fn received_at(&self) -> &[Instant] {
        &[]
    }

    /// How many more wait in the ring that they came by, where the device says so.
    fn waiting(&self) -> usize {
        0
    }

    /// Takes frames off the front of `burst` and sends them in order. Frames that the device has
    /// no room for stay in the burst: the caller tries again later, or frees and counts them.
    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst);

    /// Pushes out what was queued and reclaims what was sent. Called once a turn, also when there
    /// was nothing to send.
    fn flush(&mut self, pool: &mut FramePool);

    /// Whether every frame can be given back now: those that another core has take a while to come
    /// home.
    fn may_close(&self, _pool: &FramePool) -> bool {
        true
    }

    /// Gives every frame that the device still holds back to the pool, as far as the device lets
    /// go of them. The port is unusable afterwards.
    fn close(&mut self, pool: &mut FramePool);

    /// What the device itself counted.
    fn stats(&self) -> PortStats;

    /// Adds what was seen of the rings to another core, if there are.
    fn fill(&self, _times: &mut CoreTimes) {}

    /// A file descriptor that becomes readable when packets arrive, for sleeping on; `None` if
    /// the device has none.
    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Whether something waits to be received that [`Port::wait_fd`] may not tell of any more: asked
    /// before sleeping on it, by ports that come from another core.
    fn has_waiting(&mut self) -> bool {
        false
    }

    /// Whether no TCP segment with a wrong checksum is ever handed over, because the device
    /// verifies them: nobody needs to do it again.
    fn verifies_checksums(&self) -> bool {
        false
    }
}

/// Counts kept by a device or the kernel for it, since the port was opened [packets].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Handed to us by [`Port::rx_burst`].
    pub received: u64,
    /// Accepted by [`Port::tx_burst`].
    pub sent: u64,
    /// Reached the device for us but were lost before us: no frame to receive into, ring full.
    pub rx_dropped: u64,
    /// Dropped by us, since the device found their checksums wrong.
    pub rx_checksum_errors: u64,
    /// Refused by the device as unsendable after [`Port::tx_burst`] accepted them.
    pub tx_dropped: u64,
}

impl PortStats {
    /// Adds what another queue of the same device counted.
    pub fn add(&mut self, other: &PortStats) {
        add_counts!(self, other; PortStats {
            received, sent, rx_dropped, rx_checksum_errors, tx_dropped,
        });
    }
}
