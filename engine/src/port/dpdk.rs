//! A NIC, or a virtual device, that DPDK drives: Linux does not see it.
//!
//! A lane's [`FramePool`] *is* the memory pool of the drivers: a frame is an mbuf, its count of
//! holders the mbuf's count of references, and the free ones lie on the one stack that both take
//! from ([`Memory`]). So a driver that is done with a frame puts it where the engine finds it,
//! and one that is kept for retransmission only loses a holder. There is nothing to reclaim and
//! nothing to refill.
//!
//! Of several lanes each has such a pool, all over one memory, and queues of the device that take from
//! it and send for it alone. An mbuf that goes from lane to lane says from then on that it is of the
//! other's pool, and so drivers put it there when they are done with it.
//!
//! In a pipeline the first pool is the drivers', and the device is polled with it alone. What another
//! lends to be sent is marked in its mbuf's count ([`Loan`]), so that a driver that is done with it does
//! not put it on the stack but only counts down. The port keeps a handle to each of those guests, and
//! looks when it has become the last.
//!
//! [`Loan`]: crate::frame::Loan
//!
//! Checksums: a device that verifies them on arrival saves the pass over the payload. On departure
//! there is no such pass to save: the payload's sum is known since it arrived.

#![allow(unsafe_code, reason = "drivers own frames between two calls")]

mod memory;
mod parting;

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::slice;
use std::sync::Arc;

use dpdk_sys::limits::{BURST_MAX, HEADROOM};
use dpdk_sys::{Checksum, Device, DeviceId, DeviceSettings, DeviceStats, Error, Packet};

pub use self::memory::Memory;
use self::parting::Parting;
use super::{Port, PortStats};
use crate::flow::Rss;
use crate::frame::{Burst, Frame, FramePool};
use crate::limits::{BURST, DEVICE_RESERVE, HEADERS_MAX, RECLAIM_FOR};
use crate::time::Instant;
use crate::wire::packet::{self, Transport};

/// How a device's queues are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Receive queues. The device spreads flows over them, both directions of a flow to the same.
    pub rx_queues: u16,
    /// [descriptors]
    pub rx_descriptors: u16,
    pub tx_descriptors: u16,
    /// Largest IP packet [octets].
    pub mtu: u16,
}

/// What one lane has of a device: receive queues, and one to send by.
#[derive(Debug)]
pub struct Dpdk {
    /// `None` once closed.
    device: Option<Arc<Device>>,
    parting: Arc<Parting>,
    /// Where the stack of the lane's pool lies: how that is known.
    stack: usize,
    /// Handles to frames of other pools' that the device was given, in this order.
    guests: VecDeque<Frame>,
    queues: Queues,
    verifies_checksums: bool,
    received: u64,
    sent: u64,
    /// Dropped here: what makes no sense, and what the device found damaged.
    rx_refused: u64,
    rx_checksum_errors: u64,
    now: Instant,
    /// Until then the device may have frames that it has sent.
    reclaim_until: Instant,
    /// What the device had counted when it was closed.
    last_stats: PortStats,
}

/// The queues of a device that a lane has: of *n* lanes, lane *i* receives by *i*, *i + n* … and sends by
/// *i*.
#[derive(Clone, Copy, Debug)]
struct Queues {
    lane: u16,
    lanes: u16,
    /// Receive queues that the device has, and those of the lane.
    all: u16,
    own: u16,
    /// Looked at first in the next turn, so that no queue starves the others.
    next: u16,
}

impl Queues {
    fn new(lane: u16, lanes: u16, all: u16) -> Self {
        let own = all.saturating_sub(lane).div_ceil(lanes);
        Queues { lane, lanes, all, own, next: lane }
    }

    /// The next to receive by.
    #[inline]
    fn take_next(&mut self) -> u16 {
        let queue = self.next;
        let after = queue.saturating_add(self.lanes);
        self.next = if after < self.all { after } else { self.lane };
        queue
    }

    fn tx(self) -> u16 {
        self.lane
    }
}

impl Dpdk {
    /// Configures and starts a device that one core has, with all its queues.
    ///
    /// # Panics
    /// If `memory` is not that of `pool`; so do all calls that are lent another pool.
    pub fn open(
        pool: &mut FramePool,
        memory: &Memory,
        id: DeviceId,
        settings: Settings,
    ) -> Result<Self, Error> {
        let mut ports = Self::open_for_lanes(slice::from_mut(pool), memory, id, settings)?;
        Ok(ports.pop().unwrap_or_else(|| unreachable!("a port for each pool")))
    }

    /// Configures and starts a device, and makes a port of it for each lane, by its pool. The ports are
    /// closed together: each waits for the others.
    ///
    /// # Panics
    /// If `memory` is not that of `pools`; so do all calls that are lent another pool than the port's.
    pub fn open_for_lanes(
        pools: &mut [FramePool],
        memory: &Memory,
        id: DeviceId,
        settings: Settings,
    ) -> Result<Vec<Self>, Error> {
        let Settings { rx_queues, rx_descriptors, tx_descriptors, mtu } = settings;
        let lanes = u16::try_from(pools.len()).unwrap_or(u16::MAX);
        let settings = DeviceSettings {
            rx_queues,
            // Each lane sends by one. Some devices, as TAPs, want as many of these as of those.
            tx_queues: rx_queues.min(id.capabilities()?.tx_queues_max).max(lanes),
            rx_descriptors,
            tx_descriptors,
            mtu,
            rx_checksum: true,
        };
        assert!(memory.is_of(pools), "the memory of another pool");
        let device = Arc::new(Device::open(id, memory.packets(), &settings)?);
        let parting = Parting::new(pools.len());
        let ports = (0..lanes).zip(pools).map(|(lane, pool)| {
            pool.add_device_reserve(DEVICE_RESERVE);
            Dpdk {
                verifies_checksums: device.rx_checksum(),
                device: Some(Arc::clone(&device)),
                parting: Arc::clone(&parting),
                stack: pool.stack_address(),
                guests: VecDeque::with_capacity(pool.guests_max()),
                queues: Queues::new(lane, lanes, rx_queues),
                received: 0,
                sent: 0,
                rx_refused: 0,
                rx_checksum_errors: 0,
                now: Instant::ZERO,
                reclaim_until: Instant::ZERO,
                last_stats: PortStats::default(),
            }
        });
        Ok(ports.collect())
    }

    /// How the device spreads packets over its receive queues; `None` if it does not say.
    pub fn rss(&self) -> Option<Rss> {
        let rss = self.device.as_ref()?.rss()?;
        Rss::new(&rss.key, rss.indirection)
    }

    /// The packet's frame, if there is any sense in it. One that makes none stays where it is: a
    /// driver's mistake costs a frame.
    #[inline]
    fn accept(&mut self, pool: &mut FramePool, packet: Packet) -> Option<Frame> {
        let (start, len) = (usize::from(packet.start), usize::from(packet.len));
        let Some(mut frame) = pool.take_over(packet.index, start, len) else {
            self.rx_refused += 1;
            return None;
        };
        if pool.is_shared(&frame) {
            let Some(copy) = own(pool, frame) else {
                self.rx_refused += 1;
                return None;
            };
            frame = copy;
        }
        let right = !self.verifies_checksums
            || match packet.checksum {
                Checksum::GOOD => true,
                Checksum::BAD => false,
                _ => is_right(pool.bytes(&frame)),
            };
        if !right {
            self.rx_checksum_errors += 1;
            pool.free(frame);
            return None;
        }
        Some(frame)
    }

    /// Sends home the guests that the device is done with. It is so in the order in which it was
    /// given them, or some stay a little longer.
    #[inline]
    fn release_guests(&mut self, pool: &mut FramePool) {
        while let Some(guest) = self.guests.front()
            && pool.is_last_handle(guest)
        {
            self.guests.pop_front().into_iter().for_each(|guest| pool.free(guest));
        }
    }

    /// Receives from one queue, as far as there is room.
    #[inline]
    fn receive(&mut self, queue: u16, pool: &mut FramePool, burst: &mut Burst) {
        let Some(device) = &self.device else { return };
        assert!(pool.stack_address() == self.stack, "the memory of another pool");
        let mut packets = [Packet::default(); BURST_MAX];
        let room = BURST - burst.len();
        // SAFETY: the pool is that of the queue (just checked), and this thread has it: `pool` is
        // borrowed exclusively, and so is this port, which alone has the queue. Each packet becomes a
        // frame, or nobody's.
        let count = unsafe { device.rx_burst(queue, &mut packets[..room]) };
        for packet in packets.iter().take(count) {
            let Some(frame) = self.accept(pool, *packet) else { continue };
            match burst.push(frame) {
                Ok(()) => self.received += 1,
                Err(frame) => pool.free(frame),
            }
        }
    }
}

impl Port for Dpdk {
    fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    #[inline]
    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        for _ in 0..self.queues.own {
            if burst.is_full() {
                return;
            }
            let queue = self.queues.take_next();
            self.receive(queue, pool, burst);
        }
    }

    #[inline]
    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let Some(device) = &self.device else { return };
        assert!(pool.stack_address() == self.stack, "the memory of another pool");
        let mut packets = [Packet::default(); BURST_MAX];
        let mut count = 0;
        for (packet, frame) in packets.iter_mut().zip(burst.iter()) {
            // Drivers believe what they are told; `bytes` does not, if it is another pool's frame.
            let len = pool.bytes(frame).len();
            *packet = Packet::new(frame.index(), frame.start() as u16, len as u16);
            if pool.is_guest(frame) {
                self.guests.push_back(pool.share(frame));
            }
            count += 1;
        }
        // SAFETY: the pool is that of the queue, and this thread has both, as above. The frames are
        // handles of ours with windows inside their frames (just checked); those that the device takes
        // are given up below, and one that is kept besides is counted so, and cannot be written.
        let taken = unsafe { device.tx_burst(self.queues.tx(), &packets[..count]) };
        for frame in burst.drain().take(taken) {
            pool.hand_over(frame);
        }
        let refused = burst.iter().filter(|frame| pool.is_guest(frame)).count();
        let kept = self.guests.len() - refused;
        self.guests.drain(kept..).for_each(|guest| pool.free(guest));
        self.sent += taken as u64;
        if taken > 0 {
            self.reclaim_until = self.now + RECLAIM_FOR;
        }
    }

    /// Drivers send at once, and let go of what was sent when they send more. What was the last for
    /// now they are asked for.
    #[inline]
    fn flush(&mut self, pool: &mut FramePool) {
        if let Some(device) = &self.device
            && (self.now < self.reclaim_until || !self.guests.is_empty())
        {
            assert!(pool.stack_address() == self.stack, "the memory of another pool");
            // SAFETY: the pool is that of the queue, and this thread has both, as above.
            unsafe { device.reclaim(self.queues.tx()) };
            self.release_guests(pool);
        }
    }

    fn close(&mut self, pool: &mut FramePool) {
        assert!(pool.stack_address() == self.stack, "the memory of another pool");
        self.last_stats = self.stats();
        if let Some(device) = self.device.take() {
            // `pool` is borrowed exclusively until all are here, and the device has stopped.
            self.parting.leave(device);
            pool.remove_device_reserve(DEVICE_RESERVE);
        }
        self.guests.drain(..).for_each(|guest| pool.free(guest));
    }

    fn stats(&self) -> PortStats {
        let Some(device) = &self.device else { return self.last_stats };
        // What is counted of the whole device the first lane says. A driver that does not count has
        // nothing to add.
        let counted = match self.queues.lane {
            0 => device.stats().unwrap_or_default(),
            _ => DeviceStats::default(),
        };
        PortStats {
            received: self.received,
            sent: self.sent,
            rx_dropped: counted.imissed
                + counted.ierrors
                + counted.rx_nombuf
                + counted.refused
                + self.rx_refused,
            rx_checksum_errors: self.rx_checksum_errors,
            tx_dropped: counted.oerrors,
        }
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        match self.queues.own {
            1 => self.device.as_ref()?.rx_interrupt_fd(self.queues.lane),
            _ => None,
        }
    }

    fn verifies_checksums(&self) -> bool {
        self.verifies_checksums
    }
}

impl Drop for Dpdk {
    /// A device that was not closed stays as it is until the process ends: stopped, it would give
    /// frames back, and nothing says that this thread has their pool.
    fn drop(&mut self) {
        if let Some(device) = self.device.take() {
            self.parting.abandon(device);
        }
        self.guests.drain(..).for_each(std::mem::forget);
    }
}

/// A copy, if there is room for one, in place of a frame that its sender keeps too: some devices in
/// software bring the sender's own, and who receives a frame may write to it.
#[cold]
fn own(pool: &mut FramePool, frame: Frame) -> Option<Frame> {
    let copy = pool.copy(&frame);
    pool.free(frame);
    copy
}

/// Whether the checksum of a TCP segment is right that the device has said nothing of. All else is
/// for others to judge.
fn is_right(bytes: &[u8]) -> bool {
    match packet::parse(bytes) {
        Ok(parsed) if matches!(parsed.transport, Transport::Tcp { .. }) => {
            parsed.verify_tcp_checksum(bytes).is_ok()
        }
        _ => true,
    }
}

const _: () = assert!(BURST <= BURST_MAX);
const _: () = assert!(HEADERS_MAX <= HEADROOM as usize);
