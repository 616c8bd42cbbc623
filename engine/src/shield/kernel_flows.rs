//! The connections to our services that are Linux's: bounded, the least recently used one gives
//! way, and nothing is allocated after the start.
//!
//! One set is for all lanes: a device that does not say how it spreads packets may bring those of one
//! connection now to one lane and now to another. Whether a connection may be in it is told by
//! fingerprints that all read without a lock. The lock is for packets that are Linux's, each of which costs
//! a system call besides.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringroad_ebpf::limits::FINGERPRINT_WORDS_MAX;
use ringroad_ebpf::{Fingerprint, FingerprintKey, Fingerprints, Found};

use super::recent::Recent;
use crate::flow::{FlowHasher, FlowKey};
use crate::limits::KERNEL_FLOW_MEMORY;
use crate::time::Instant;

/// See the module. A connection is named by its addresses and ports, and by the port of ours that
/// it comes in by. Clones are of the same set.
#[derive(Clone, Debug)]
pub(super) struct KernelFlows(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The ports by which each is Linux's, a bit each.
    flows: Mutex<Recent<u8>>,
    /// Of all in `flows`, by their hashes.
    fingerprints: Fingerprints,
    hasher: FlowHasher,
    /// When a packet of any of them was seen last [ns]. Zero: never.
    seen_at_ns: AtomicU64,
}

impl KernelFlows {
    pub(super) fn new(capacity: usize, secret: &[u8; 16]) -> Self {
        KernelFlows(Arc::new(Shared {
            flows: Mutex::new(Recent::new(capacity, secret)),
            // The hashes are secret already.
            fingerprints: Fingerprints::new(
                capacity,
                FingerprintKey::new(&[0; 4 * FINGERPRINT_WORDS_MAX]),
            ),
            hasher: FlowHasher::new(secret),
            seen_at_ns: AtomicU64::new(0),
        }))
    }

    /// Whether any may still be alive; if not, none has to be looked for.
    #[inline]
    pub(super) fn are_live(&self, now: Instant) -> bool {
        match self.0.seen_at_ns.load(Ordering::Relaxed) {
            0 => false,
            seen_at_ns => now.since(Instant::from_nanos(seen_at_ns)) < KERNEL_FLOW_MEMORY,
        }
    }

    /// Whether a connection was given to Linux, and is not known to have ended.
    #[inline]
    pub(super) fn has(&self, port: u8, key: &FlowKey) -> bool {
        self.may_have(key) && is_by(self.flows().get(key), port)
    }

    /// Whether a connection is Linux's; if so, it was used now.
    pub(super) fn contains(&self, now: Instant, port: u8, key: &FlowKey) -> bool {
        if !self.may_have(key) {
            return false;
        }
        let mut flows = self.flows();
        let found = is_by(flows.get(key), port);
        if found {
            self.saw(now);
            flows.use_or_add(key);
        }
        found
    }

    /// From now on the connection is Linux's. Returns whether that is news.
    pub(super) fn insert(&self, now: Instant, port: u8, key: FlowKey) -> bool {
        self.saw(now);
        let mut flows = self.flows();
        let is_new = flows.get(&key).is_none();
        if is_new && let Some(oldest) = flows.make_room() {
            self.0.fingerprints.remove(self.fingerprint(&oldest));
        }
        let Some(ports) = flows.use_or_add(&key) else { return true };
        if is_new {
            self.0.fingerprints.insert(self.fingerprint(&key), 0);
        }
        let is_news = *ports & bit(port) == 0;
        *ports |= bit(port);
        is_news
    }

    /// The connection is not Linux's any more, if it was.
    pub(super) fn remove(&self, port: u8, key: &FlowKey) {
        let mut flows = self.flows();
        match flows.get(key) {
            Some(ports) if ports & !bit(port) == 0 => {
                flows.remove(key);
                self.0.fingerprints.remove(self.fingerprint(key));
            }
            Some(_) => {
                if let Some(ports) = flows.use_or_add(key) {
                    *ports &= !bit(port);
                }
            }
            None => {}
        }
    }

    pub(super) fn len(&self) -> usize {
        self.flows().len()
    }

    #[inline]
    fn may_have(&self, key: &FlowKey) -> bool {
        self.0.fingerprints.find(self.fingerprint(key)) != Found::No
    }

    #[inline]
    fn fingerprint(&self, key: &FlowKey) -> Fingerprint {
        let hash = self.0.hasher.hash(key).0;
        self.0.fingerprints.hash(&[hash as u32, (hash >> 32) as u32])
    }

    fn saw(&self, now: Instant) {
        // The first instant there is would mean never.
        self.0.seen_at_ns.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    fn flows(&self) -> MutexGuard<'_, Recent<u8>> {
        self.0.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection that is Linux's by these ports is so by this one.
fn is_by(ports: Option<u8>, port: u8) -> bool {
    ports.is_some_and(|ports| ports & bit(port) != 0)
}

fn bit(port: u8) -> u8 {
    1 << port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(n: u32) -> FlowKey {
        FlowKey::from_ipv4(([10, 1, 0, 1], 80), (n.to_be_bytes(), 1000))
    }

    /// Whatever a set has been through, its fingerprints are those of the connections in it.
    #[test]
    fn each_connection_in_the_set_is_found_and_no_other() {
        let flows = KernelFlows::new(100, &[7; 16]);
        let now = Instant::from_millis(1);
        assert!(!flows.are_live(now));
        (0..250).for_each(|n| assert!(flows.insert(now, (n % 2) as u8, flow(n))));
        assert!((150..250).all(|n| flows.contains(now, (n % 2) as u8, &flow(n))));
        assert!(!(0..250).any(|n| flows.has(1 - (n % 2) as u8, &flow(n))), "by the other port");
        flows.contains(now, 0, &flow(150));
        assert!(!flows.insert(now, 0, flow(150)), "no news");
        assert!(flows.insert(now, 1, flow(150)), "by another port");
        (250..300).for_each(|n| assert!(flows.insert(now, 0, flow(n))));
        assert!(flows.has(0, &flow(150)) && !flows.has(1, &flow(151)), "the one was used");
        for n in 0..300 {
            (0..2).for_each(|port| flows.remove(port, &flow(n)));
        }
        assert_eq!((flows.len(), flows.0.fingerprints.count()), (0, 0));
    }

    #[test]
    fn what_one_lane_gives_to_linux_the_others_know() {
        let here = KernelFlows::new(100, &[7; 16]);
        let there = here.clone();
        let now = Instant::from_millis(1);
        here.insert(now, 0, flow(1));
        assert!(there.are_live(now) && there.contains(now, 0, &flow(1)));
        there.remove(0, &flow(1));
        assert!(!here.has(0, &flow(1)));
    }
}
