//! Devices at work: queues, bursts, figures.

#![allow(unsafe_code, reason = "calls DPDK")]

mod rss;
mod setup;

use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use rss::Rss;
use setup::Started;

use crate::limits::BURST_MAX;
use crate::{DeviceId, Error, PacketPool, raw};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceSettings {
    pub rx_queues: u16,
    pub tx_queues: u16,
    /// Of each queue; brought to what the device can do.
    pub rx_descriptors: u16,
    pub tx_descriptors: u16,
    /// Octets of a packet without Ethernet's header.
    pub mtu: u16,
    /// Have the device verify checksums on arrival, if it can.
    pub rx_checksum: bool,
}

/// A packet in a frame of the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Packet {
    /// Which frame.
    pub index: u32,
    /// Where in its buffer the packet starts [octets].
    pub start: u16,
    /// [octets]
    pub len: u16,
    pub checksum: Checksum,
    reserved: [u8; 3],
}

/// What the device says of a packet's checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Checksum(u8);

/// What a device counts, from when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceStats {
    /// [packets]
    pub ipackets: u64,
    pub opackets: u64,
    /// Lost for want of descriptors: nobody polled in time.
    pub imissed: u64,
    pub ierrors: u64,
    /// Failures to get a frame from the pool.
    pub rx_nombuf: u64,
    pub oerrors: u64,
    /// Received and let go again, as they did not lie in one frame of the pool.
    pub refused: u64,
}

/// A device that is configured and started. Its queues may be used by several threads, each with a
/// pool of its own. Dropped, it stops and is given back, and all its frames are home: drop it while
/// nobody uses its pools.
#[derive(Debug)]
pub struct Device {
    started: Started,
    refused: AtomicU64,
    /// In this order: the device is closed before its pools are freed.
    id: DeviceId,
    /// Of each queue.
    pools: Vec<Arc<PacketPool>>,
}

impl Packet {
    pub fn new(index: u32, start: u16, len: u16) -> Self {
        Packet { index, start, len, ..Packet::default() }
    }
}

impl Checksum {
    pub const UNKNOWN: Self = Checksum(raw::RR_CHECKSUM_UNKNOWN as u8);
    /// The checksum of TCP is right; of the IPv4 header nothing is said.
    pub const GOOD: Self = Checksum(raw::RR_CHECKSUM_GOOD as u8);
    /// One of the two is wrong.
    pub const BAD: Self = Checksum(raw::RR_CHECKSUM_BAD as u8);
}

impl Device {
    /// Configures the device, and starts it. Queue q, of either direction, has frames of the pool q
    /// modulo their number; all have buffers of the same length.
    ///
    /// # Panics
    /// If there is no pool.
    pub fn open(
        id: DeviceId,
        pools: &[Arc<PacketPool>],
        settings: &DeviceSettings,
    ) -> Result<Self, Error> {
        assert!(!pools.is_empty(), "no pool for {}", id.name);
        let queues = usize::from(settings.rx_queues.max(settings.tx_queues));
        let pools: Vec<_> = pools.iter().cycle().take(queues).cloned().collect();
        let started = setup::start(&id, &pools, settings)?;
        let device = Device { started, refused: AtomicU64::new(0), id, pools };
        device.filter()?;
        Ok(device)
    }

    /// Receives up to [`BURST_MAX`] packets; returns how many.
    ///
    /// # Panics
    /// If there is no such queue.
    ///
    /// # Safety
    /// The queue and its pool are used by this thread only. The frames of the packets returned are
    /// the caller's, until they are sent or put on the pool's stack.
    #[inline]
    pub unsafe fn rx_burst(&self, queue: u16, packets: &mut [Packet]) -> usize {
        assert!(queue < self.started.settings.rx_queues);
        let count = packets.len().min(BURST_MAX) as u16;
        let mut refused = 0;
        // SAFETY: the port is started and has this queue; `packets` has room for `count`; the
        // caller keeps others from the queue and the pool.
        let received = usize::from(unsafe {
            raw::rr_rx_burst(
                self.id.port,
                queue,
                self.pools[usize::from(queue)].as_ptr(),
                packets.as_mut_ptr().cast(),
                count,
                &mut refused,
            )
        });
        if refused > 0 {
            self.refused.fetch_add(refused, Ordering::Relaxed);
        }
        received
    }

    /// Sends up to [`BURST_MAX`] packets; returns how many the device took, from the front.
    ///
    /// # Panics
    /// If there is no such queue.
    ///
    /// # Safety
    /// The queue and its pool are used by this thread only. Each packet is a frame of the pool that is
    /// the caller's, with its window inside the buffer. What the device took is no longer the
    /// caller's, but for a second reference; its octets must not change until the device has
    /// given up the first.
    #[inline]
    pub unsafe fn tx_burst(&self, queue: u16, packets: &[Packet]) -> usize {
        assert!(queue < self.started.settings.tx_queues);
        let count = packets.len().min(BURST_MAX) as u16;
        // SAFETY: the port is started and has this queue; the caller vouches for the packets.
        usize::from(unsafe {
            raw::rr_tx_burst(
                self.id.port,
                queue,
                self.pools[usize::from(queue)].as_ptr(),
                packets.as_ptr().cast(),
                count,
            )
        })
    }

    /// Has the device give up frames that it has sent, where the driver can be asked to.
    ///
    /// # Panics
    /// If there is no such queue.
    ///
    /// # Safety
    /// The queue and its pool are used by this thread only.
    pub unsafe fn reclaim(&self, queue: u16) {
        assert!(queue < self.started.settings.tx_queues);
        // SAFETY: the port is started and has this queue; the caller keeps others from both.
        // A driver that cannot says so, which changes nothing.
        unsafe { raw::rte_eth_tx_done_cleanup(self.id.port, queue, 0) };
    }

    pub fn stats(&self) -> Result<DeviceStats, Error> {
        let mut stats = MaybeUninit::zeroed();
        // SAFETY: the port exists; `stats` outlives the call.
        self.id.call("read the counters of", || unsafe {
            raw::rte_eth_stats_get(self.id.port, stats.as_mut_ptr())
        })?;
        // SAFETY: plain data, zeroed and then written.
        let stats: raw::rte_eth_stats = unsafe { stats.assume_init() };
        Ok(DeviceStats {
            ipackets: stats.ipackets,
            opackets: stats.opackets,
            imissed: stats.imissed,
            ierrors: stats.ierrors,
            rx_nombuf: stats.rx_nombuf,
            oerrors: stats.oerrors,
            refused: self.refused.load(Ordering::Relaxed),
        })
    }

    pub fn name(&self) -> &str {
        &self.id.name
    }

    pub fn mac(&self) -> [u8; 6] {
        self.started.mac
    }

    /// Whether the device verifies checksums on arrival.
    pub fn rx_checksum(&self) -> bool {
        self.started.rx_checksum
    }

    /// As asked for, with descriptors as the device has them.
    pub fn settings(&self) -> &DeviceSettings {
        &self.started.settings
    }

    /// What to sleep on: readable for as long as packets wait. `None` if the device has to be
    /// polled.
    pub fn rx_interrupt_fd(&self, queue: u16) -> Option<BorrowedFd<'_>> {
        if !self.started.rx_interrupts || queue >= self.started.settings.rx_queues {
            return None;
        }
        // SAFETY: the port is started and has this queue.
        let fd = unsafe { raw::rte_eth_dev_rx_intr_ctl_q_get_fd(self.id.port, queue) };
        // SAFETY: a descriptor of the driver's, open until the device stops.
        (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Only what is sent to the device, and multicast: neighbour discovery comes by that.
    fn filter(&self) -> Result<(), Error> {
        let port = self.id.port;
        // SAFETY: the port is started.
        self.id.call_if_supported("end promiscuous reception on", || unsafe {
            raw::rte_eth_promiscuous_disable(port)
        })?;
        // SAFETY: the port is started.
        self.id.call_if_supported("receive multicast on", || unsafe {
            raw::rte_eth_allmulticast_enable(port)
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        for (queue, pool) in (0..self.started.settings.rx_queues).zip(&self.pools) {
            // What waits in a queue of software stays there when the device closes. No more than
            // all frames can.
            // SAFETY: the port is started and has this queue; nobody uses a pool.
            unsafe { raw::rr_rx_discard(self.id.port, queue, pool.layout().frames) };
        }
        // SAFETY: nobody polls it any more, as `self` is borrowed exclusively.
        unsafe { raw::rte_eth_dev_stop(self.id.port) };
    }
}

const _: () = assert!(size_of::<Packet>() == size_of::<raw::rr_packet>());
