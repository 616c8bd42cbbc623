//! The connections to our services that are Linux's: bounded, the least recently used one gives
//! way, and nothing is allocated after the start.

use super::recent::Recent;
use crate::flow::FlowKey;
use crate::limits::KERNEL_FLOW_MEMORY;
use crate::time::Instant;

/// See the module. A connection is named by its addresses and ports, and by the port of ours that
/// it comes in by.
#[derive(Debug)]
pub(super) struct KernelFlows {
    /// The ports by which each is Linux's, a bit each.
    flows: Recent<u8>,
    /// When a packet of any of them was seen last.
    seen_at: Option<Instant>,
}

impl KernelFlows {
    pub(super) fn new(capacity: usize, secret: &[u8; 16]) -> Self {
        KernelFlows { flows: Recent::new(capacity, secret), seen_at: None }
    }

    /// Whether any may still be alive; if not, none has to be looked for.
    #[inline]
    pub(super) fn are_live(&self, now: Instant) -> bool {
        self.seen_at.is_some_and(|seen_at| now.since(seen_at) < KERNEL_FLOW_MEMORY)
    }

    /// Whether a connection was given to Linux, and is not known to have ended.
    #[inline]
    pub(super) fn has(&self, port: u8, key: &FlowKey) -> bool {
        self.flows.get(key).is_some_and(|ports| ports & bit(port) != 0)
    }

    /// Whether a connection is Linux's; if so, it was used now.
    pub(super) fn contains(&mut self, now: Instant, port: u8, key: &FlowKey) -> bool {
        let found = self.has(port, key);
        if found {
            self.seen_at = Some(now);
            self.flows.use_or_add(key);
        }
        found
    }

    /// From now on the connection is Linux's. Returns whether that is news.
    pub(super) fn insert(&mut self, now: Instant, port: u8, key: FlowKey) -> bool {
        self.seen_at = Some(now);
        let Some(ports) = self.flows.use_or_add(&key) else { return true };
        let is_news = *ports & bit(port) == 0;
        *ports |= bit(port);
        is_news
    }

    /// The connection is not Linux's any more, if it was.
    pub(super) fn remove(&mut self, port: u8, key: &FlowKey) {
        match self.flows.get(key) {
            Some(ports) if ports & !bit(port) == 0 => self.flows.remove(key),
            Some(_) => {
                if let Some(ports) = self.flows.use_or_add(key) {
                    *ports &= !bit(port);
                }
            }
            None => {}
        }
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }
}

fn bit(port: u8) -> u8 {
    1 << port
}
