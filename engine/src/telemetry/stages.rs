//! What a core does with its time, and how long packets wait for it.
//!
//! Plain integers that the core adds to, like everything that is counted. Turns are timed by the
//! clock that they read anyway; what each stage takes of them is measured in a few turns of many, by
//! readings of their own.

use super::{Spread, add_counts};
use crate::limits::{BURST, HAND_OVER_ENTRIES, HOP_RX_ENTRIES, HOP_TX_ENTRIES};
use crate::time::Instant;

/// Of one core, since it started.
#[derive(Clone, Debug)]
pub struct CoreTimes {
    /// Turns of its loop, and those among them that received or sent something.
    pub turns: u64,
    pub busy_turns: u64,
    /// Time of the busy turns, and all other time, sleep included [ns].
    pub busy_ns: u64,
    pub idle_ns: u64,
    /// Looks at a port, by how many packets there were.
    pub bursts: [u64; BURST + 1],
    stages: [StageTimes; Stage::ALL.len()],
    rings: [RingTimes; Ring::ALL.len()],
}

/// What is done with a packet, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Taken from a port; and, where workers have cores of their own, verified and given to one.
    Rx,
    /// Screened by the shield's twin, where there is one.
    Gate,
    /// Processed: looked up, acknowledged, passed on from leg to leg, headed.
    Worker,
    /// Given to a port, which is told to send.
    Tx,
}

/// What one stage has done on one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// All packets that it had.
    pub packets: u64,
    /// Those that it had in the turns that were measured, and the time that it took for them [ns],
    /// which includes that for a reading of the clock each burst.
    pub sampled_packets: u64,
    pub sampled_ns: u64,
}

/// Rings that packets wait in for a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// Received by the core with the devices, for a worker. Packets wait from when the turn began
    /// that received them.
    Rx,
    /// Sent by a worker, for the core with the devices.
    Tx,
    /// Received by another lane.
    HandOver,
}

/// What was seen of all rings of a kind, at one end or the other.
#[derive(Clone, Debug)]
pub struct RingTimes {
    /// Packets found at each look that found any. Of who takes them.
    pub depth: Spread,
    /// How long each packet had waited [ns]. Of who takes them.
    pub wait: Spread,
    /// How often there was no room for what was to go in: of rx and hand-over rings each packet that
    /// was dropped for that, of tx rings each time that a worker had to wait. Of who fills them.
    pub full: u64,
}

impl CoreTimes {
    pub fn new() -> Self {
        CoreTimes {
            turns: 0,
            busy_turns: 0,
            busy_ns: 0,
            idle_ns: 0,
            bursts: [0; BURST + 1],
            stages: [StageTimes::default(); _],
            rings: Ring::ALL.map(RingTimes::new),
        }
    }

    pub fn stage(&self, stage: Stage) -> &StageTimes {
        &self.stages[stage as usize]
    }

    #[inline]
    pub fn stage_mut(&mut self, stage: Stage) -> &mut StageTimes {
        &mut self.stages[stage as usize]
    }

    pub fn ring(&self, ring: Ring) -> &RingTimes {
        &self.rings[ring as usize]
    }

    #[inline]
    pub fn ring_mut(&mut self, ring: Ring) -> &mut RingTimes {
        &mut self.rings[ring as usize]
    }

    /// Which part of its time the core was busy, from 0 to 1.
    pub fn utilisation(&self) -> f64 {
        let all = self.busy_ns + self.idle_ns;
        if all == 0 { 0.0 } else { self.busy_ns as f64 / all as f64 }
    }

    /// Packets in a burst, of those that had any.
    pub fn mean_burst(&self) -> Option<f64> {
        let looks: u64 = self.bursts[1..].iter().sum();
        let packets: u64 = (0..).zip(&self.bursts).map(|(size, looks)| size * looks).sum();
        (looks > 0).then(|| packets as f64 / looks as f64)
    }

    /// Takes over what another counted, without allocating.
    pub fn copy_from(&mut self, other: &CoreTimes) {
        let CoreTimes { turns, busy_turns, busy_ns, idle_ns, bursts, stages, rings } = self;
        (*turns, *busy_turns) = (other.turns, other.busy_turns);
        (*busy_ns, *idle_ns) = (other.busy_ns, other.idle_ns);
        (*bursts, *stages) = (other.bursts, other.stages);
        for (ring, other) in rings.iter_mut().zip(&other.rings) {
            ring.copy_from(other);
        }
    }
}

impl Default for CoreTimes {
    fn default() -> Self {
        CoreTimes::new()
    }
}

impl Stage {
    pub const ALL: [Stage; 4] = [Stage::Rx, Stage::Gate, Stage::Worker, Stage::Tx];

    pub const fn name(self) -> &'static str {
        match self {
            Stage::Rx => "rx",
            Stage::Gate => "gate",
            Stage::Worker => "worker",
            Stage::Tx => "tx",
        }
    }
}

impl StageTimes {
    /// What a packet took, of those that were measured.
    pub fn nanos_per_packet(&self) -> Option<f64> {
        (self.sampled_packets > 0).then(|| self.sampled_ns as f64 / self.sampled_packets as f64)
    }

    pub fn add(&mut self, other: &StageTimes) {
        add_counts!(self, other; StageTimes { packets, sampled_packets, sampled_ns });
    }
}

impl Ring {
    pub const ALL: [Ring; 3] = [Ring::Rx, Ring::Tx, Ring::HandOver];

    pub const fn name(self) -> &'static str {
        match self {
            Ring::Rx => "rx",
            Ring::Tx => "tx",
            Ring::HandOver => "hand_over",
        }
    }

    /// What one ring of the kind can hold [packets].
    pub const fn capacity(self) -> usize {
        match self {
            Ring::Rx => HOP_RX_ENTRIES,
            Ring::Tx => HOP_TX_ENTRIES,
            Ring::HandOver => HAND_OVER_ENTRIES,
        }
    }
}

impl RingTimes {
    pub fn new(ring: Ring) -> Self {
        RingTimes {
            depth: Spread::new(ring.capacity() as u64),
            wait: Spread::new(WAIT_NS_MAX),
            full: 0,
        }
    }

    /// Packets were taken out now that were put in `since` then, each; so many more are in there.
    #[inline]
    pub fn popped(&mut self, now: Instant, since: &[Instant], left: usize) {
        if since.is_empty() {
            return;
        }
        self.depth.record((since.len() + left) as u64, 1);
        // What was put in at a time bears one stamp.
        for together in since.chunk_by(|one, next| one == next) {
            let wait = now.since(together[0]).as_nanos() as u64;
            self.wait.record(wait, together.len() as u64);
        }
    }

    /// Adds what was seen of other rings of the kind.
    pub fn add(&mut self, other: &RingTimes) {
        let RingTimes { depth, wait, full } = other;
        self.depth.add(depth);
        self.wait.add(wait);
        self.full += full;
    }

    fn copy_from(&mut self, other: &RingTimes) {
        let RingTimes { depth, wait, full } = self;
        depth.copy_from(&other.depth);
        wait.copy_from(&other.wait);
        *full = other.full;
    }
}

/// As for the latency of payload: one minute.
const WAIT_NS_MAX: u64 = super::LATENCY_NANOS_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_one_ring_wait_each_for_its_own_time() {
        let mut ring = RingTimes::new(Ring::Rx);
        let at = Instant::from_nanos;
        // Put in at a time: three, then one, which is later than the look.
        ring.popped(at(1_000), &[at(0), at(0), at(0), at(1_010)], 2);
        ring.popped(at(1_000), &[], 7);
        assert_eq!((ring.depth.count(), ring.depth.max()), (1, 6));
        assert_eq!(ring.wait.count(), 4);
        assert_eq!((ring.wait.quantile(0.25), ring.wait.max()), (0, ring.wait.quantile(1.0)));
        assert!((1_000..1_100).contains(&ring.wait.max()), "{}", ring.wait.max());
    }

    #[test]
    fn a_copy_says_the_same_and_adding_says_both() {
        let mut times = CoreTimes::new();
        (times.turns, times.busy_turns, times.busy_ns, times.idle_ns) = (4, 3, 60, 20);
        (times.bursts[0], times.bursts[2], times.bursts[64]) = (9, 1, 1);
        let work = StageTimes { packets: 66, sampled_packets: 2, sampled_ns: 300 };
        *times.stage_mut(Stage::Worker) = work;
        times.ring_mut(Ring::Tx).popped(Instant::from_nanos(5), &[Instant::ZERO], 0);
        times.ring_mut(Ring::Tx).full = 7;
        assert_eq!((times.utilisation(), times.mean_burst()), (0.75, Some(33.0)));

        let mut copy = CoreTimes::new();
        copy.ring_mut(Ring::Rx).popped(Instant::from_nanos(5), &[Instant::ZERO], 0);
        copy.copy_from(&times);
        assert_eq!((copy.utilisation(), copy.turns, copy.busy_turns), (0.75, 4, 3));
        assert_eq!(*copy.stage(Stage::Worker), work);
        assert_eq!(copy.stage(Stage::Worker).nanos_per_packet(), Some(150.0));
        assert_eq!(copy.ring(Ring::Rx).wait.count(), 0, "the copy's own are gone");
        copy.ring_mut(Ring::Tx).add(times.ring(Ring::Tx));
        assert_eq!((copy.ring(Ring::Tx).wait.count(), copy.ring(Ring::Tx).full), (2, 14));
        assert_eq!(CoreTimes::new().utilisation(), 0.0);
        assert_eq!(CoreTimes::new().mean_burst(), None);
    }
}
