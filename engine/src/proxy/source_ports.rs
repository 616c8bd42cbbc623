//! Source ports for the connections that we open to one origin.

use std::collections::VecDeque;

use crate::random::Random;

/// The free source ports of one egress address towards one origin: of several workers' ports, those
/// that bring the origin's replies back to this one.
///
/// Ports are handed out in the order in which they were given back, so that each rests as long as
/// possible before it is used again (the origin may still be in TIME-WAIT on it). The first order
/// is shuffled, so that an outsider cannot guess the next port (RFC 6056 §3.1).
#[derive(Debug)]
pub struct SourcePorts {
    free: VecDeque<u16>,
    /// Free or not.
    count: usize,
}

impl SourcePorts {
    /// These ports, shuffled by `seed`.
    pub fn new(ports: impl Iterator<Item = u16>, seed: u64) -> Self {
        let mut ports: Vec<u16> = ports.collect();
        let mut random = Random::new(seed);
        // Fisher–Yates.
        for last in (1..ports.len()).rev() {
            ports.swap(last, random.below(last as u64 + 1) as usize);
        }
        SourcePorts { count: ports.len(), free: ports.into() }
    }

    /// The port that has rested longest.
    pub fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Gives a port back. Never allocates: there is room for every port.
    pub fn give_back(&mut self, port: u16) {
        debug_assert!(self.free.len() < self.count, "port {port} was given back twice");
        self.free.push_back(port);
    }

    /// Ports that were taken and not given back.
    pub fn taken(&self) -> usize {
        self.count - self.free.len()
    }
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
        assert_eq!(ports.taken(), 100);
        ports.give_back(order[5]);
        ports.give_back(order[1]);
        assert_eq!(
            (ports.take(), ports.take(), ports.take()),
            (Some(order[5]), Some(order[1]), None)
        );
    }
}
