//! A device that has bad days, around any port: short bursts, full rings, late completions, standing
//! still; and somebody else who takes the pool's frames.
//!
//! A [`PortFault`] is one of these for a while. What a fault keeps (packets that are not handed over
//! yet, frames that are not completed, frames that are hoarded) is counted by [`Wire::held`] and goes on
//! when the fault ends, in the order in which it came. Start reading at [`Faulty::begin_turn`].

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use ringroad_engine::frame::{Burst, Frame, FramePool};
use ringroad_engine::limits::BURST;
use ringroad_engine::port::{Port, PortStats};
use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use crate::appliance::rig::Wire;

/// What is wrong with a device, and when: from `from` on and before `to`, both counted from the first
/// time that it is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortFault {
    pub from: Duration,
    pub to: Duration,
    pub kind: PortFaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortFaultKind {
    /// Hands over at most this many packets in a turn; the rest waits [packets].
    ShortBursts(usize),
    /// Takes at most this many frames to send between two flushes; none, if it is zero [frames].
    FullRing(usize),
    /// Sends, but keeps the frames until the fault ends; takes no more than a ring of them
    /// ([`RING_ENTRIES`]).
    LateCompletions,
    /// Neither receives nor sends nor completes.
    Stalled,
    /// So many of a million packets that the device has received are never handed over.
    LosesReceived(u32),
    /// Not the device: somebody takes free frames out of the pool, whenever there are more than this
    /// many [frames].
    Hoard(usize),
}

/// What the faults have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultStats {
    /// Packets that were handed over in a later turn than they came.
    pub postponed: u64,
    /// Packets that were lost.
    pub lost: u64,
    /// Bursts of which the device did not take all.
    pub refused: u64,
    /// Frames that were completed late.
    pub late: u64,
    /// The most frames that were hoarded at a time.
    pub hoarded_max: usize,
}

/// A port with faults.
#[derive(Debug)]
pub struct Faulty<P> {
    inner: P,
    faults: Vec<PortFault>,
    random: Random,
    /// The first time that it was told.
    began: Option<Instant>,
    now: Instant,
    trouble: Trouble,
    /// Received, to be handed over.
    received: VecDeque<Frame>,
    /// Sent, to be completed. Copies of them have left.
    late: Vec<Frame>,
    hoard: Vec<Frame>,
    /// Taken to be sent since the last flush [frames].
    taken: usize,
    stats: FaultStats,
}

/// Frames that a device sends and does not complete, at most [frames].
pub const RING_ENTRIES: usize = 512;

impl<P: Port> Faulty<P> {
    pub fn new(inner: P, seed: u64, faults: Vec<PortFault>) -> Self {
        Faulty {
            inner,
            faults,
            random: Random::new(seed),
            began: None,
            now: Instant::ZERO,
            trouble: Trouble::NONE,
            received: VecDeque::with_capacity(BURST),
            late: Vec::new(),
            hoard: Vec::new(),
            taken: 0,
            stats: FaultStats::default(),
        }
    }

    pub fn inner(&self) -> &P {
        &self.inner
    }

    pub fn inner_mut(&mut self) -> &mut P {
        &mut self.inner
    }

    /// Ends all faults, those to come as well. What they keep goes on with the next turn.
    pub fn heal(&mut self) {
        self.faults.clear();
        self.trouble = Trouble::NONE;
    }

    pub fn fault_stats(&self) -> FaultStats {
        self.stats
    }

    /// Frames that the faults keep [frames].
    pub fn kept(&self) -> usize {
        self.received.len() + self.late.len() + self.hoard.len()
    }

    /// When a fault next begins or ends.
    fn next_change(&self) -> Option<Instant> {
        let began = self.began?;
        let changes = self.faults.iter().flat_map(|fault| [began + fault.from, began + fault.to]);
        changes.filter(|at| *at > self.now).min()
    }

    /// Lets go of what nothing keeps any more, and takes what is to be hoarded.
    fn begin_turn(&mut self, pool: &mut FramePool) {
        let trouble = self.trouble;
        if !trouble.completes_late && !trouble.stands_still {
            self.late.drain(..).for_each(|frame| pool.free(frame));
        }
        match trouble.leaves {
            None => self.hoard.drain(..).for_each(|frame| pool.free(frame)),
            Some(left) => {
                let spare = pool.free_count().saturating_sub(left);
                self.hoard.extend((0..spare).map_while(|_| pool.alloc()));
                self.stats.hoarded_max = self.stats.hoarded_max.max(self.hoard.len());
            }
        }
    }

    /// Takes in what the device has received, but for what gets lost.
    fn take_in(&mut self, pool: &mut FramePool) {
        let mut arrived = Burst::new();
        self.inner.rx_burst(pool, &mut arrived);
        for frame in arrived.drain() {
            if self.random.one_in(self.trouble.loses_ppm) {
                self.stats.lost += 1;
                pool.free(frame);
            } else {
                self.received.push_back(frame);
            }
        }
    }

    /// How many more frames the device takes now.
    fn room(&self) -> usize {
        let room = self.trouble.ring.saturating_sub(self.taken);
        match self.trouble.completes_late {
            true => room.min(RING_ENTRIES.saturating_sub(self.late.len())),
            false => room,
        }
    }

    /// Sends a copy in the place of each frame of the burst, and keeps the frame. One for which there
    /// is no copy is sent itself.
    fn keep(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        for frame in burst.iter_mut() {
            if let Some(copy) = pool.copy(frame) {
                self.stats.late += 1;
                self.late.push(std::mem::replace(frame, copy));
            }
        }
    }
}

impl<P: Port> Port for Faulty<P> {
    fn set_now(&mut self, now: Instant) {
        self.now = now;
        let began = *self.began.get_or_insert(now);
        self.trouble = Trouble::at(&self.faults, now.since(began));
        self.inner.set_now(now);
    }

    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        self.begin_turn(pool);
        if self.trouble.stands_still {
            return;
        }
        let are_fresh = self.received.is_empty();
        if are_fresh {
            self.take_in(pool);
        }
        let most = self.trouble.burst.min(BURST - burst.len()).min(self.received.len());
        for frame in self.received.drain(..most) {
            if let Err(refused) = burst.push(frame) {
                pool.free(refused);
            }
        }
        if are_fresh {
            self.stats.postponed += self.received.len() as u64;
        }
    }

    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let room = if self.trouble.stands_still { 0 } else { self.room() };
        let mut taken = Burst::new();
        for frame in burst.drain().take(room) {
            if let Err(refused) = taken.push(frame) {
                pool.free(refused);
            }
        }
        self.stats.refused += u64::from(!burst.is_empty());
        self.taken += taken.len();
        if self.trouble.completes_late {
            self.keep(pool, &mut taken);
        }
        self.inner.tx_burst(pool, &mut taken);
        give_back(taken, burst);
    }

    fn flush(&mut self, pool: &mut FramePool) {
        if !self.trouble.stands_still {
            self.taken = 0;
            self.inner.flush(pool);
        }
    }

    fn close(&mut self, pool: &mut FramePool) {
        self.heal();
        self.received.drain(..).for_each(|frame| pool.free(frame));
        self.begin_turn(pool);
        self.inner.close(pool);
    }

    /// The device's own, as if the faults were in it.
    fn stats(&self) -> PortStats {
        let device = self.inner.stats();
        PortStats {
            received: device.received - self.stats.lost - self.received.len() as u64,
            rx_dropped: device.rx_dropped + self.stats.lost,
            ..device
        }
    }

    /// None: a fault may end while the device has nothing to say.
    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn verifies_checksums(&self) -> bool {
        self.inner.verifies_checksums()
    }
}

impl<P: Wire> Wire for Faulty<P> {
    fn next_due(&self) -> Option<Instant> {
        let waiting = !self.received.is_empty() && !self.trouble.stands_still;
        let at_once = waiting.then_some(Instant::ZERO);
        [at_once, self.next_change(), self.inner.next_due()].into_iter().flatten().min()
    }

    fn held(&self) -> usize {
        self.kept() + self.inner.held()
    }
}

/// What all faults of one moment come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trouble {
    /// [packets]
    burst: usize,
    /// [frames]
    ring: usize,
    completes_late: bool,
    stands_still: bool,
    loses_ppm: u32,
    /// To the pool, where frames are hoarded [frames].
    leaves: Option<usize>,
}

impl Trouble {
    const NONE: Trouble = Trouble {
        burst: BURST,
        ring: usize::MAX,
        completes_late: false,
        stands_still: false,
        loses_ppm: 0,
        leaves: None,
    };

    fn at(faults: &[PortFault], since: Duration) -> Trouble {
        let present = faults.iter().filter(|fault| (fault.from..fault.to).contains(&since));
        present.fold(Trouble::NONE, |trouble, fault| trouble.with(fault.kind))
    }

    fn with(self, kind: PortFaultKind) -> Trouble {
        match kind {
            PortFaultKind::ShortBursts(most) => Trouble { burst: most.min(self.burst), ..self },
            PortFaultKind::FullRing(entries) => Trouble { ring: entries.min(self.ring), ..self },
            PortFaultKind::LateCompletions => Trouble { completes_late: true, ..self },
            PortFaultKind::Stalled => Trouble { stands_still: true, ..self },
            PortFaultKind::LosesReceived(ppm) => {
                Trouble { loses_ppm: ppm.max(self.loses_ppm), ..self }
            }
            PortFaultKind::Hoard(left) => {
                Trouble { leaves: Some(self.leaves.map_or(left, |other| other.min(left))), ..self }
            }
        }
    }
}

/// Puts what the device did not take in front of what it was not even offered.
fn give_back(mut refused: Burst, burst: &mut Burst) {
    if refused.is_empty() {
        return;
    }
    let mut behind = std::mem::take(burst);
    for frame in refused.drain().chain(behind.drain()) {
        // There was room for all of them before.
        if let Err(frame) = burst.push(frame) {
            unreachable!("a burst of more than it held: {frame:?}");
        }
    }
}

#[cfg(test)]
mod tests;
