//! The way between the core that has the devices and a worker on another.
//!
//! A worker has the rings that an AF_XDP socket has, and by each pass the same things: received
//! frames come by *rx* and free ones go home by *fill*; what is sent goes by *tx*, lent, and comes
//! back by *completion* when the device is done with it. So to a worker it is a [`Port`] like others.
//! The first two move frames from pool to pool; the others only lend them, so that whatever is
//! kept for retransmission is counted in one place ([`crate::frame`]).
//!
//! There is one rx and one tx for each port. Fill and completion are the worker's, and looked
//! after by its first port.

use std::mem::ManuallyDrop;
use std::os::fd::BorrowedFd;

use ringroad_ring::{Consumer, Producer, ring};

use super::bell::Bell;
use super::stamped::{Stamped, Stamps};
use crate::frame::{Burst, FramePool, Loan, Transit};
use crate::limits::{BURST, HOP_RX_ENTRIES, HOP_TX_ENTRIES};
use crate::port::{Port, PortStats};
use crate::telemetry::{CoreTimes, Ring};
use crate::time::Instant;

/// What is in a ring. When neither end is left, which is at the end of the engine alone, it is lost
/// with the memory that it is part of.
pub(super) type Crossing<T> = ManuallyDrop<T>;

/// A worker's end: one port.
#[derive(Debug)]
pub struct Hop {
    rx: Consumer<Crossing<Stamped<Transit>>>,
    tx: Producer<Crossing<Stamped<Loan>>>,
    home: Option<Home>,
    now: Instant,
    /// Of the last burst.
    received_at: Stamps,
    /// How often there was no room for what was to be sent.
    tx_full: u64,
    /// Of this core, and of the one with the devices.
    own_bell: Bell,
    far_bell: Bell,
    /// Something went by a ring that the other core may have to be woken for.
    unheard: bool,
}

/// The way home, for the frames of all ports of a worker.
#[derive(Debug)]
struct Home {
    fill: Producer<Crossing<Transit>>,
    completion: Consumer<Crossing<Loan>>,
    /// Frames that are the worker's own; what it has beyond these came by a port, and goes home
    /// once free.
    share: usize,
}

/// The other end of all of a worker's ports.
#[derive(Debug)]
pub(super) struct Hops {
    /// In the order of the ports.
    pub(super) ports: Vec<FarEnd>,
    pub(super) fill: Consumer<Crossing<Transit>>,
    pub(super) completion: Producer<Crossing<Loan>>,
    /// Whose loans go by it: see [`FramePool::number`].
    pub(super) lender: u8,
    pub(super) bell: Bell,
}

/// The other end of one port of a worker.
#[derive(Debug)]
pub(super) struct FarEnd {
    pub(super) rx: Producer<Crossing<Stamped<Transit>>>,
    pub(super) tx: Consumer<Crossing<Stamped<Loan>>>,
}

/// The ends of `ports` ports of a worker with `pool`, whose core wakes by `own_bell`; the devices'
/// by `far_bell`.
pub(super) fn hops(
    ports: usize,
    pool: &FramePool,
    own_bell: &Bell,
    far_bell: &Bell,
) -> (Vec<Hop>, Hops) {
    // Room for all frames that there are: these never fill up.
    let all = pool.index_end().next_power_of_two();
    let (fill, far_fill) = ring(all);
    let (far_completion, completion) = ring(all);
    let mut home = Some(Home { fill, completion, share: pool.capacity() });
    let (near, far) = (0..ports)
        .map(|_| {
            let (far_rx, rx) = ring(HOP_RX_ENTRIES);
            let (tx, far_tx) = ring(HOP_TX_ENTRIES);
            let hop = Hop {
                rx,
                tx,
                home: home.take(),
                now: Instant::ZERO,
                received_at: Stamps::new(),
                tx_full: 0,
                own_bell: own_bell.clone(),
                far_bell: far_bell.clone(),
                unheard: false,
            };
            (hop, FarEnd { rx: far_rx, tx: far_tx })
        })
        .unzip();
    let far = Hops {
        ports: far,
        fill: far_fill,
        completion: far_completion,
        lender: pool.number(),
        bell: own_bell.clone(),
    };
    (near, far)
}

impl Hops {
    /// Whether something is in a ring, either way.
    pub(super) fn has_under_way(&self) -> bool {
        let crossing = |port: &FarEnd| port.rx.room() < port.rx.capacity() || !port.tx.is_empty();
        self.ports.iter().any(crossing)
            || !self.fill.is_empty()
            || self.completion.room() < self.completion.capacity()
    }
}

impl Home {
    /// Takes back what the devices are done with, and sends home what came by them and is free.
    /// Returns whether so much went home that it may be waited for.
    #[inline]
    fn look_after(&mut self, pool: &mut FramePool) -> bool {
        for loan in self.completion.pop_burst(usize::MAX) {
            pool.receive_back(Crossing::into_inner(loan));
        }
        let surplus = pool.capacity().saturating_sub(self.share).min(pool.free_count());
        let mut going = (0..surplus)
            .map(|_| Crossing::new(pool.depart_free().expect("so many frames are free")));
        self.fill.push_burst(&mut going) >= BURST
    }
}

impl Port for Hop {
    #[inline]
    fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    #[inline]
    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        self.received_at.clear();
        for stamped in self.rx.pop_burst(BURST - burst.len()) {
            let Stamped { item, at } = Crossing::into_inner(stamped);
            self.received_at.push(at);
            if let Err(frame) = burst.push(pool.arrive(item)) {
                debug_assert!(false, "no more were asked for than there is room");
                pool.free(frame);
            }
        }
    }

    #[inline]
    fn received_at(&self) -> &[Instant] {
        self.received_at.as_slice()
    }

    #[inline]
    fn waiting(&self) -> usize {
        self.rx.len()
    }

    #[inline]
    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let at = self.now;
        let lend = |frame| Crossing::new(Stamped { item: pool.lend(frame), at });
        let sent = self.tx.push_burst(&mut burst.drain().map(lend));
        self.unheard |= sent > 0;
        self.tx_full += u64::from(!burst.is_empty());
    }

    #[inline]
    fn flush(&mut self, pool: &mut FramePool) {
        if let Some(home) = &mut self.home {
            self.unheard |= home.look_after(pool);
        }
        if std::mem::take(&mut self.unheard) {
            self.far_bell.ring();
        }
    }

    /// Nothing is lent any more.
    fn may_close(&self, pool: &FramePool) -> bool {
        self.home.is_none() || pool.held_count() == 0
    }

    fn close(&mut self, pool: &mut FramePool) {
        for stamped in self.rx.pop_burst(usize::MAX) {
            pool.arrive_free(Crossing::into_inner(stamped).item);
        }
        self.flush(pool);
    }

    /// What the devices count is told by who has them.
    fn stats(&self) -> PortStats {
        PortStats::default()
    }

    fn fill(&self, times: &mut CoreTimes) {
        *times.full_mut(Ring::Tx) += self.tx_full;
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.own_bell.as_fd())
    }

    fn has_waiting(&mut self) -> bool {
        !self.rx.is_empty() || self.home.as_mut().is_some_and(|home| !home.completion.is_empty())
    }

    /// What is received is verified before it comes here.
    fn verifies_checksums(&self) -> bool {
        true
    }
}
