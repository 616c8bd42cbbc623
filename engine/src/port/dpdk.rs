//! A NIC, or a virtual device, that DPDK drives: Linux does not see it.
//!
//! The lane's [`FramePool`] *is* the memory pool of the drivers: a frame is an mbuf, its count of
//! holders the mbuf's count of references, and the free ones lie on the one stack that both take
//! from ([`Memory`]). So a driver that is done with a frame puts it where the engine finds it,
//! and one that is kept for retransmission only loses a holder. There is nothing to reclaim and
//! nothing to refill.
//!
//! Where several cores have pools over this memory, the first is the drivers', and the device is
//! polled with it alone. What another lends to be sent is marked in its mbuf's count ([`Loan`]), so
//! that a driver that is done with it does not put it on the stack but only counts down. The port
//! keeps a handle to each of those guests, and looks when it has become the last.
//!
//! [`Loan`]: crate::frame::Loan
//!
//! Checksums: a device that verifies them on arrival saves the pass over the payload. On departure
//! there is no such pass to save: the payload's sum is known since it arrived.

#![allow(unsafe_code, reason = "drivers own frames between two calls")]

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use dpdk_sys::limits::{BURST_MAX, HEADROOM};
use dpdk_sys::{Checksum, Device, DeviceId, DeviceSettings, Eal, Error, Packet, PacketPool};

use super::{Port, PortStats};
use crate::frame::{Burst, Frame, FramePool, Layout, Store};
use crate::limits::{BURST, DEVICE_RESERVE, HEADERS_MAX, RECLAIM_FOR};
use crate::time::Instant;
use crate::wire::packet::{self, Transport};

/// Packet memory of DPDK's, for the devices of one core.
#[derive(Debug)]
pub struct Memory {
    packets: Arc<PacketPool>,
}

impl Memory {
    /// Takes `frames` frames of `frame_size` octets, on NUMA node `node` if that matters, and makes
    /// the core's pool of them. If that is [split](FramePool::split), the first is for devices.
    pub fn new(
        eal: &Arc<Eal>,
        name: &str,
        frames: u32,
        frame_size: u16,
        node: Option<u32>,
    ) -> Result<(FramePool, Memory), Error> {
        let packets = PacketPool::new(eal, name, frames, frame_size, node)?;
        let layout = packets.layout();
        let foreign = Layout {
            frames: layout.buffers,
            stride: layout.stride,
            frame_size: usize::from(layout.buffer_len),
            headroom: usize::from(HEADROOM),
            index_end: layout.frames,
            capacity: layout.usable,
            holders: layout.refcounts,
            holders_stride: layout.stride,
            // An mbuf in its pool keeps the reference that whoever takes it will have.
            holders_when_free: 1,
            free: layout.free.cast(),
        };
        // SAFETY: the layout says where the frames, their counts and the stack are, as long as
        // `packets` lives, which the store keeps; it is the only store that has those counts and
        // that stack. Drivers use them in calls of this module alone, on the thread that has the
        // frame pool, as it lends it to each call; and they put on the stack what they are the last
        // to hold.
        let store = unsafe { Store::foreign(foreign, Box::new(Arc::clone(&packets))) };
        Ok((FramePool::from_store(store), Memory { packets }))
    }

    /// Whether drivers take from the stack of `pool` and give to it.
    fn is_of(&self, pool: &FramePool) -> bool {
        pool.stack_address() == self.packets.layout().free.as_ptr() as usize
    }
}

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

/// A device, with all its receive queues and one to send by.
#[derive(Debug)]
pub struct Dpdk {
    /// `None` once closed.
    device: Option<Device>,
    /// Where the stack of the device's pool lies: how that is known.
    stack: usize,
    /// Handles to frames of other pools' that the device was given, in this order.
    guests: VecDeque<Frame>,
    rx_queues: u16,
    /// Looked at first in the next turn, so that no queue starves the others.
    next_queue: u16,
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

impl Dpdk {
    /// Configures and starts a device.
    ///
    /// # Panics
    /// If `memory` is not that of `pool`; so do all calls that are lent another pool.
    pub fn open(
        pool: &mut FramePool,
        memory: &Memory,
        id: DeviceId,
        settings: Settings,
    ) -> Result<Self, Error> {
        let Settings { rx_queues, rx_descriptors, tx_descriptors, mtu } = settings;
        let settings = DeviceSettings {
            rx_queues,
            // One is sent by. Some devices, as TAPs, want as many of these as of those.
            tx_queues: rx_queues.min(id.capabilities()?.tx_queues_max),
            rx_descriptors,
            tx_descriptors,
            mtu,
            rx_checksum: true,
        };
        assert!(memory.is_of(pool), "the memory of another pool");
        let device = Device::open(id, &memory.packets, &settings)?;
        pool.add_device_reserve(DEVICE_RESERVE);
        Ok(Dpdk {
            verifies_checksums: device.rx_checksum(),
            device: Some(device),
            stack: pool.stack_address(),
            guests: VecDeque::with_capacity(pool.guests_max()),
            rx_queues,
            next_queue: 0,
            received: 0,
            sent: 0,
            rx_refused: 0,
            rx_checksum_errors: 0,
            now: Instant::ZERO,
            reclaim_until: Instant::ZERO,
            last_stats: PortStats::default(),
        })
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
        let Some(device) = &mut self.device else { return };
        assert!(pool.stack_address() == self.stack, "the memory of another pool");
        let mut packets = [Packet::default(); BURST_MAX];
        let room = BURST - burst.len();
        // SAFETY: the pool is that of the device (just checked), and this thread has it: `pool` is
        // borrowed exclusively. Each packet becomes a frame, or nobody's.
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
        for _ in 0..self.rx_queues {
            if burst.is_full() {
                return;
            }
            let queue = self.next_queue;
            self.next_queue = if queue + 1 == self.rx_queues { 0 } else { queue + 1 };
            self.receive(queue, pool, burst);
        }
    }

    #[inline]
    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let Some(device) = &mut self.device else { return };
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
        // SAFETY: the pool is that of the device, and this thread has it. The frames are handles
        // of ours with windows inside their frames (just checked); those that the device takes are
        // given up below, and one that is kept besides is counted so, and cannot be written.
        let taken = unsafe { device.tx_burst(TX_QUEUE, &packets[..count]) };
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
        if let Some(device) = &mut self.device
            && (self.now < self.reclaim_until || !self.guests.is_empty())
        {
            assert!(pool.stack_address() == self.stack, "the memory of another pool");
            // SAFETY: the pool is that of the device, and this thread has it.
            unsafe { device.reclaim(TX_QUEUE) };
            self.release_guests(pool);
        }
    }

    fn close(&mut self, pool: &mut FramePool) {
        assert!(pool.stack_address() == self.stack, "the memory of another pool");
        self.last_stats = self.stats();
        if self.device.take().is_some() {
            pool.remove_device_reserve(DEVICE_RESERVE);
        }
        self.guests.drain(..).for_each(|guest| pool.free(guest));
    }

    fn stats(&self) -> PortStats {
        let Some(device) = &self.device else { return self.last_stats };
        // A driver that does not count has nothing to add.
        let counted = device.stats().unwrap_or_default();
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
        match self.rx_queues {
            1 => self.device.as_ref()?.rx_interrupt_fd(0),
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
        std::mem::forget(self.device.take());
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

const TX_QUEUE: u16 = 0;

const _: () = assert!(BURST <= BURST_MAX);
const _: () = assert!(HEADERS_MAX <= HEADROOM as usize);
