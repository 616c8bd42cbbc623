//! What crosses between a port and its interface in Linux.

use std::os::fd::BorrowedFd;

use ringroad_ebpf::Verdict;

use super::Class;
use super::bucket::Bucket;
use crate::frame::{Burst, Frame, FramePool};
use crate::limits::{
    KERNEL_CONNECTIONS_PER_SECOND, KERNEL_CONTROL_PER_SECOND, KERNEL_LINK_PER_SECOND,
    KERNEL_LOOK_INTERVAL, KERNEL_REST_PER_SECOND,
};
use crate::port::Port;
use crate::telemetry::add_counts;
use crate::time::Instant;

/// What one port may hand to Linux of each class [packets per second]; zero is taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    pub link: u32,
    pub control: u32,
    pub connections: u32,
    pub rest: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            link: KERNEL_LINK_PER_SECOND,
            control: KERNEL_CONTROL_PER_SECOND,
            connections: KERNEL_CONNECTIONS_PER_SECOND,
            rest: KERNEL_REST_PER_SECOND,
        }
    }
}

/// What crossed between a port and its interface in Linux by way of the engine, since the start
/// [packets]. All zero behind an XDP program, which leaves to Linux what it never takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelPathCounts {
    /// Handed to Linux.
    pub to_kernel: u64,
    /// Not handed over: beyond what their class may have per second.
    pub limited: u64,
    /// Not handed over: the interface refused them.
    pub full: u64,
    /// Taken from Linux to be sent by the port. Not in the ledger's `sent`, which is the engine's
    /// own.
    pub from_kernel: u64,
    /// Sent by Linux and lost before the port: no frame to take them into, or too long for one.
    pub from_kernel_dropped: u64,
}

impl KernelPathCounts {
    /// Adds what another core counted of the same port.
    pub fn add(&mut self, other: &KernelPathCounts) {
        add_counts!(self, other; KernelPathCounts {
            to_kernel, limited, full, from_kernel, from_kernel_dropped,
        });
    }
}

/// The way between a port and Linux; see the module. `K` is the interface in Linux: what it is
/// given arrives there, what it receives is what Linux sends.
#[derive(Debug)]
pub struct KernelPath<K: Port> {
    kernel: K,
    /// In the order of [`Class::ALL`].
    buckets: [Bucket; Class::ALL.len()],
    /// What was taken out of the burst that is being looked at.
    out: Burst,
    /// Linux is not looked at before.
    next_look: Instant,
    limited: u64,
    /// Did not fit into the interface's queue.
    full: u64,
}

impl<K: Port> KernelPath<K> {
    pub fn new(kernel: K, rates: Rates) -> Self {
        KernelPath {
            kernel,
            buckets: [rates.link, rates.control, rates.connections, rates.rest].map(Bucket::new),
            out: Burst::new(),
            next_look: Instant::ZERO,
            limited: 0,
            full: 0,
        }
    }

    /// Takes a packet that was judged to be Linux's; [`KernelPath::flush`] hands it over. At most
    /// a burst between two of those.
    pub fn take(&mut self, now: Instant, pool: &mut FramePool, verdict: Verdict, packet: Frame) {
        let class = Class::of(verdict, pool.bytes(&packet));
        if !self.buckets[class as usize].take(now) {
            self.limited += 1;
            return pool.free(packet);
        }
        if let Err(packet) = self.out.push(packet) {
            self.full += 1;
            pool.free(packet);
        }
    }

    /// Hands over what was taken; called once a turn, and first. What Linux has no room for is dropped: waiting for it would hold
    /// frames that are the engine's.
    pub fn flush(&mut self, now: Instant, pool: &mut FramePool) {
        self.kernel.set_now(now);
        if !self.out.is_empty() {
            self.kernel.tx_burst(pool, &mut self.out);
            self.full += self.out.len() as u64;
            self.out.drain().for_each(|packet| pool.free(packet));
        }
        self.kernel.flush(pool);
    }

    /// Appends what Linux sends, as far as there is room. Looks again at once while packets come.
    pub fn relay(&mut self, now: Instant, pool: &mut FramePool, out: &mut Burst) {
        if now < self.next_look || out.is_full() {
            return;
        }
        let waiting = out.len();
        self.kernel.rx_burst(pool, out);
        if out.len() == waiting {
            self.next_look = now + KERNEL_LOOK_INTERVAL;
        }
    }

    pub fn counts(&self) -> KernelPathCounts {
        let stats = self.kernel.stats();
        KernelPathCounts {
            to_kernel: stats.sent - stats.tx_dropped,
            limited: self.limited,
            full: self.full + stats.tx_dropped,
            from_kernel: stats.received,
            from_kernel_dropped: stats.rx_dropped,
        }
    }

    /// See [`Port::wait_fd`].
    pub fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        self.kernel.wait_fd()
    }

    /// The interface in Linux.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    pub fn close(&mut self, pool: &mut FramePool) {
        self.kernel.close(pool);
    }
}
