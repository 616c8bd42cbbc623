//! Source ports for the connections that we open to one origin.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// The free source ports of one egress address towards one origin.
///
/// Ports are handed out in the order in which they were given back, so that each rests as long as
/// possible before it is used again (the origin may still be in TIME-WAIT on it). The first order
/// is shuffled, so that an outsider cannot guess the next port (RFC 6056 §3.1).
#[derive(Debug)]
pub struct SourcePorts {
    free: VecDeque<u16>,
}

impl SourcePorts {
    /// All ports of `range`, shuffled by `seed`.
    pub fn new(range: RangeInclusive<u16>, seed: u64) -> Self {
        let mut ports: Vec<u16> = range.collect();
        let mut state = seed;
        // Fisher–Yates.
        for last in (1..ports.len()).rev() {
            let pick = split_mix(&mut state) % (last as u64 + 1);
            ports.swap(last, pick as usize);
        }
        SourcePorts { free: ports.into() }
    }

    /// The port that has rested longest.
    pub fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Gives a port back. Never allocates: there is room for every port of the range.
    pub fn give_back(&mut self, port: u16) {
        debug_assert!(self.free.len() < self.free.capacity(), "port {port} was given back twice");
        self.free.push_back(port);
    }

    /// Ports that can be taken.
    pub fn free_count(&self) -> usize {
        self.free.len()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough to shuffle with a secret seed.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_handed_out_once_and_rests_longest() {
        let mut ports = SourcePorts::new(100..=199, 7);
        let order: Vec<u16> = std::iter::from_fn(|| ports.take()).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (100..=199).collect::<Vec<_>>());
        assert_ne!(order, sorted, "shuffled");
        ports.give_back(order[5]);
        ports.give_back(order[1]);
        assert_eq!(
            (ports.take(), ports.take(), ports.take()),
            (Some(order[5]), Some(order[1]), None)
        );
    }
}
