//! A bad network around any port: loss, duplication, corruption, delay, reordering, a narrow link.
//!
//! Each direction is a [`Path`] with its own [`Settings`] and its own random numbers, both from
//! one seed: the same packets at the same times suffer the same fate, always. Time is what
//! [`Port::set_now`] says. A packet on a path meets, in this order: loss, corruption, duplication;
//! then the narrow link, where it waits for its turn; then the delay, and perhaps an extra one
//! that lets later packets overtake it.
//!
//! Frames that a path holds are counted ([`Impair::held`]); those that it drops go back to the
//! pool and are counted too. Start reading at [`Path::enter`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::{Port, PortStats};
use crate::frame::{Burst, Frame, FramePool};
use crate::limits::{BURST, IMPAIR_QUEUE_MAX};
use crate::random::Random;
use crate::time::Instant;

/// What one direction does to packets. Rates are in parts per million; the default does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub loss_ppm: u32,
    /// Packets that arrive twice.
    pub duplicate_ppm: u32,
    /// Packets in which one bit is flipped, anywhere behind the Ethernet header.
    pub corrupt_ppm: u32,
    /// Every packet takes this long …
    pub delay: Duration,
    /// … and up to this much longer, each by its own chance. Reorders, if packets are closer.
    pub jitter: Duration,
    /// Packets that are held back so that later ones overtake them.
    pub reorder_ppm: u32,
    pub reorder: Reorder,
    /// Speed of the narrow link [bit/s]; `None` is as fast as packets come.
    pub rate_bps: Option<u64>,
    /// What may be on the path at a time, however long it is; more is dropped [packets]. `None`:
    /// the engine's limit.
    pub queue: Option<usize>,
    /// What may wait for the narrow link, the packet that it is sending included; a packet that
    /// would make it more is dropped [octets]. `None`: whatever `queue` allows.
    pub queue_octets: Option<u64>,
}

/// How a reordered packet is held back: until either has happened.
#[derive(Clone, Copy, Debug)]
pub struct Reorder {
    /// So many later packets have gone by.
    pub packets: u32,
    /// So much time has passed since it was due.
    pub at_most: Duration,
}

impl Default for Reorder {
    /// By three packets, as a loss looks to TCP; for no longer than a tenth of a second.
    fn default() -> Self {
        Reorder { packets: 3, at_most: Duration::from_millis(100) }
    }
}

/// What a path did [packets].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathStats {
    /// Given to it.
    pub entered: u64,
    /// Copies that it made.
    pub duplicated: u64,
    /// Let out again.
    pub left: u64,
    pub lost: u64,
    pub corrupted: u64,
    pub reordered: u64,
    /// Found its queue full.
    pub queue_full: u64,
    /// The most that has waited for the narrow link [octets].
    pub queued_octets_max: u64,
    /// Not duplicated or corrupted after all, because the pool was empty.
    pub no_frame: u64,
}

/// A port with a bad network in front of it.
#[derive(Debug)]
pub struct Impair<P> {
    inner: P,
    rx: Path,
    tx: Path,
    now: Instant,
}

impl<P: Port> Impair<P> {
    /// Impairs what `inner` receives by `rx`, and what it sends by `tx`.
    pub fn new(inner: P, seed: u64, rx: Settings, tx: Settings) -> Self {
        let mut seeds = Random::new(seed);
        Impair {
            inner,
            rx: Path::new(rx, seeds.draw()),
            tx: Path::new(tx, seeds.draw()),
            now: Instant::ZERO,
        }
    }

    pub fn inner(&self) -> &P {
        &self.inner
    }

    pub fn inner_mut(&mut self) -> &mut P {
        &mut self.inner
    }

    /// Changes the network from here on; packets on their way keep their fate.
    pub fn set(&mut self, rx: Settings, tx: Settings) {
        self.rx.settings = rx;
        self.tx.settings = tx;
    }

    /// What happened on the way in and on the way out.
    pub fn path_stats(&self) -> (PathStats, PathStats) {
        (self.rx.stats, self.tx.stats)
    }

    /// Frames on their way [frames].
    pub fn held(&self) -> usize {
        self.rx.held() + self.tx.held()
    }

    /// When the next packet on its way is due, so that virtual time can go there at once.
    pub fn next_due(&self) -> Option<Instant> {
        [self.rx.next_due(), self.tx.next_due()].into_iter().flatten().min()
    }

    /// Sends what is due; what the device has no room for stays first in line.
    fn send_due(&mut self, pool: &mut FramePool) {
        loop {
            let mut burst = Burst::new();
            self.tx.leave(self.now, &mut burst);
            if burst.is_empty() {
                return;
            }
            self.inner.tx_burst(pool, &mut burst);
            if !burst.is_empty() {
                return burst.drain().for_each(|frame| self.tx.put_back(frame));
            }
        }
    }
}

impl<P: Port> Port for Impair<P> {
    fn set_now(&mut self, now: Instant) {
        self.now = now;
        self.inner.set_now(now);
    }

    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let mut arrived = Burst::new();
        self.inner.rx_burst(pool, &mut arrived);
        for frame in arrived.drain() {
            self.rx.enter(pool, self.now, frame);
        }
        self.rx.leave(self.now, burst);
    }

    fn waiting(&self) -> usize {
        self.inner.waiting()
    }

    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        for frame in burst.drain() {
            self.tx.enter(pool, self.now, frame);
        }
        self.send_due(pool);
    }

    fn flush(&mut self, pool: &mut FramePool) {
        self.send_due(pool);
        self.inner.flush(pool);
    }

    fn close(&mut self, pool: &mut FramePool) {
        self.rx.clear(pool);
        self.tx.clear(pool);
        self.inner.close(pool);
    }

    /// The device's and the paths' together: as if the bad network were in the device.
    fn stats(&self) -> PortStats {
        let device = self.inner.stats();
        PortStats {
            received: self.rx.stats.left,
            sent: self.tx.stats.entered,
            rx_dropped: device.rx_dropped + self.rx.stats.lost + self.rx.stats.queue_full,
            rx_checksum_errors: device.rx_checksum_errors,
            tx_dropped: device.tx_dropped + self.tx.stats.lost + self.tx.stats.queue_full,
        }
    }

    /// None: a packet may be due while the device has nothing to say.
    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Never: a bit may be flipped behind the device.
    fn verifies_checksums(&self) -> bool {
        false
    }
}

/// One direction.
#[derive(Debug)]
struct Path {
    settings: Settings,
    random: Random,
    /// Packets on their way, the one due first on top.
    on_the_way: BinaryHeap<Reverse<Packet>>,
    /// Packets to be overtaken.
    waiting: Vec<Waiting>,
    /// Packets that had left, but found no room behind the path; first in line.
    returned: VecDeque<Frame>,
    /// When the narrow link is free again.
    link_free: Instant,
    /// Numbers packets, so that those due at the same time keep their order.
    entered: u64,
    stats: PathStats,
}

/// Ordered by when it is due, then by when it came.
#[derive(Debug)]
struct Packet {
    due: Instant,
    number: u64,
    frame: Frame,
}

#[derive(Debug)]
struct Waiting {
    packet: Packet,
    /// Leaves before this many packets have left, all in all.
    until_left: u64,
}

impl Path {
    fn new(settings: Settings, seed: u64) -> Self {
        Path {
            settings,
            random: Random::new(seed),
            on_the_way: BinaryHeap::new(),
            waiting: Vec::new(),
            returned: VecDeque::with_capacity(BURST),
            link_free: Instant::ZERO,
            entered: 0,
            stats: PathStats::default(),
        }
    }

    fn held(&self) -> usize {
        self.on_the_way.len() + self.waiting.len() + self.returned.len()
    }

    fn next_due(&self) -> Option<Instant> {
        if !self.returned.is_empty() {
            return Some(Instant::ZERO);
        }
        let overtaken = self.waiting.iter().map(|w| w.packet.due);
        self.on_the_way.peek().map(|p| p.0.due).into_iter().chain(overtaken).min()
    }

    /// Decides a packet's fate.
    fn enter(&mut self, pool: &mut FramePool, now: Instant, frame: Frame) {
        self.stats.entered += 1;
        // Every packet draws the same count of numbers, so that one setting's change does not
        // alter what another does to the packets that follow.
        let lost = self.random.one_in(self.settings.loss_ppm);
        let corrupted = self.random.one_in(self.settings.corrupt_ppm);
        let flipped = self.random.draw();
        let duplicated = self.random.one_in(self.settings.duplicate_ppm);
        let late = self.random.draw();
        let reordered = self.random.one_in(self.settings.reorder_ppm);
        if lost {
            self.stats.lost += 1;
            return pool.free(frame);
        }
        let frame = if corrupted { self.corrupt(pool, frame, flipped) } else { frame };
        let copy = if duplicated { self.copy(pool, &frame) } else { None };
        let late = (self.settings.jitter.as_nanos().saturating_mul(u128::from(late))) >> 64;
        let late = Duration::from_nanos(u64::try_from(late).unwrap_or(u64::MAX));
        self.travel(pool, now, frame, late, reordered);
        if let Some(copy) = copy {
            self.stats.duplicated += 1;
            self.travel(pool, now, copy, late, false);
        }
    }

    /// Sends a packet through the narrow link and on its way.
    fn travel(
        &mut self,
        pool: &mut FramePool,
        now: Instant,
        frame: Frame,
        late: Duration,
        reordered: bool,
    ) {
        let queue = self.settings.queue.unwrap_or(IMPAIR_QUEUE_MAX).min(IMPAIR_QUEUE_MAX);
        if self.held() >= queue || !self.fits_queue(now, frame.len()) {
            self.stats.queue_full += 1;
            return pool.free(frame);
        }
        let mut due = now;
        if let Some(rate_bps) = self.settings.rate_bps {
            let nanos = (frame.len() as u64 * 8).saturating_mul(1_000_000_000) / rate_bps.max(1);
            due = self.link_free.max(now) + Duration::from_nanos(nanos);
            self.link_free = due;
            let queued = self.queued_octets(now, rate_bps);
            self.stats.queued_octets_max = self.stats.queued_octets_max.max(queued);
        }
        due = due + self.settings.delay + late;
        let number = self.entered;
        self.entered += 1;
        let packet = Packet { due, number, frame };
        if reordered {
            self.stats.reordered += 1;
            let Reorder { packets, at_most } = self.settings.reorder;
            let packet = Packet { due: due + at_most, ..packet };
            // Those before it on the path leave before it in any case.
            let before = self.on_the_way.len() as u64;
            let until_left = self.stats.left + before + u64::from(packets);
            self.waiting.push(Waiting { packet, until_left });
        } else {
            self.on_the_way.push(Reverse(packet));
        }
    }

    /// What waits for the narrow link, as the time says that it still needs [octets].
    fn queued_octets(&self, now: Instant, rate_bps: u64) -> u64 {
        let bits = self.link_free.since(now).as_nanos() * u128::from(rate_bps) / 1_000_000_000;
        u64::try_from(bits / 8).unwrap_or(u64::MAX)
    }

    fn fits_queue(&self, now: Instant, len: usize) -> bool {
        match (self.settings.rate_bps, self.settings.queue_octets) {
            (Some(rate_bps), Some(most)) => {
                self.queued_octets(now, rate_bps).saturating_add(len as u64) <= most
            }
            _ => true,
        }
    }

    /// Lets out what is due, as far as `burst` has room.
    fn leave(&mut self, now: Instant, burst: &mut Burst) {
        while !burst.is_full() {
            let Some(frame) = self.next_out(now) else { return };
            self.stats.left += 1;
            if let Err(frame) = burst.push(frame) {
                return self.put_back(frame);
            }
        }
    }

    fn next_out(&mut self, now: Instant) -> Option<Frame> {
        if let Some(frame) = self.returned.pop_front() {
            return Some(frame);
        }
        let left = self.stats.left;
        let is_overtaken = |w: &Waiting| w.packet.due <= now || w.until_left <= left;
        if let Some(index) = self.waiting.iter().position(is_overtaken) {
            return Some(self.waiting.remove(index).packet.frame);
        }
        if self.on_the_way.peek()?.0.due > now {
            return None;
        }
        self.on_the_way.pop().map(|packet| packet.0.frame)
    }

    /// Takes back what could not go on after all.
    fn put_back(&mut self, frame: Frame) {
        self.stats.left -= 1;
        self.returned.push_back(frame);
    }

    /// Flips one bit; in a copy, if the frame is also kept elsewhere.
    fn corrupt(&mut self, pool: &mut FramePool, frame: Frame, flipped: u64) -> Frame {
        let bits = frame.len().saturating_sub(ETHERNET_HEADER) as u64 * 8;
        if bits == 0 {
            return frame;
        }
        let mut frame = if pool.is_shared(&frame) {
            let Some(copy) = self.copy(pool, &frame) else { return frame };
            pool.free(frame);
            copy
        } else {
            frame
        };
        let bit = flipped % bits;
        pool.bytes_mut(&mut frame)[ETHERNET_HEADER + (bit / 8) as usize] ^= 1 << (bit % 8);
        self.stats.corrupted += 1;
        frame
    }

    fn copy(&mut self, pool: &mut FramePool, frame: &Frame) -> Option<Frame> {
        let copy = pool.copy(frame);
        self.stats.no_frame += u64::from(copy.is_none());
        copy
    }

    fn clear(&mut self, pool: &mut FramePool) {
        let waiting = self.waiting.drain(..).map(|w| w.packet.frame);
        let on_the_way = self.on_the_way.drain().map(|p| p.0.frame);
        on_the_way.chain(waiting).chain(self.returned.drain(..)).for_each(|f| pool.free(f));
    }
}

/// Left intact by corruption: on a real link a wrong one would not have come here [octets].
const ETHERNET_HEADER: usize = 14;

impl Ord for Packet {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl PartialOrd for Packet {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Packet {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Packet {}

#[cfg(test)]
mod tests;
