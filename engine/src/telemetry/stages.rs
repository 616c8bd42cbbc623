//! What a core does with its time.
//!
//! Plain integers that the core adds to, like everything that is counted. Turns are timed by the
//! clock that they read anyway; what each stage takes of them is measured in a few turns of many, by
//! readings of their own.

use super::add_counts;
use crate::limits::{BURST, HAND_OVER_ENTRIES, HOP_RX_ENTRIES, HOP_TX_ENTRIES};

/// Of one core, since it started.
#[derive(Clone, Copy, Debug)]
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
    full: [u64; Ring::ALL.len()],
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

impl CoreTimes {
    pub fn new() -> Self {
        CoreTimes {
            turns: 0,
            busy_turns: 0,
            busy_ns: 0,
            idle_ns: 0,
            bursts: [0; BURST + 1],
            stages: [StageTimes::default(); _],
            full: [0; _],
        }
    }

    pub fn stage(&self, stage: Stage) -> &StageTimes {
        &self.stages[stage as usize]
    }

    #[inline]
    pub fn stage_mut(&mut self, stage: Stage) -> &mut StageTimes {
        &mut self.stages[stage as usize]
    }

    /// How often this core found no room in rings of a kind for what was to go in: of rx and hand-over
    /// rings each packet that was dropped for that, of tx rings each time that a worker had to wait.
    pub fn full(&self, ring: Ring) -> u64 {
        self.full[ring as usize]
    }

    #[inline]
    pub fn full_mut(&mut self, ring: Ring) -> &mut u64 {
        &mut self.full[ring as usize]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_has_not_turned_was_not_busy() {
        assert_eq!(CoreTimes::new().utilisation(), 0.0);
        assert_eq!(CoreTimes::new().mean_burst(), None);
        assert_eq!(CoreTimes::new().stage(Stage::Worker).nanos_per_packet(), None);
    }

    #[test]
    fn shares_and_means_are_of_what_was_counted() {
        let mut times = CoreTimes::new();
        (times.turns, times.busy_turns, times.busy_ns, times.idle_ns) = (4, 3, 60, 20);
        (times.bursts[0], times.bursts[2], times.bursts[64]) = (9, 1, 1);
        *times.stage_mut(Stage::Worker) =
            StageTimes { packets: 66, sampled_packets: 2, sampled_ns: 300 };
        assert_eq!((times.utilisation(), times.mean_burst()), (0.75, Some(33.0)));
        assert_eq!(times.stage(Stage::Worker).nanos_per_packet(), Some(150.0));
    }
}
