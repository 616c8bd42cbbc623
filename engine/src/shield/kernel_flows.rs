//! The connections to our services that are Linux's: bounded, the least recently used one gives
//! way, and nothing is allocated after the start.

use crate::flow::{FlowHasher, FlowKey, FlowTable};
use crate::limits::KERNEL_FLOW_MEMORY;
use crate::time::Instant;

/// See the module. A connection is named by its addresses and ports, and by the port of ours that
/// it comes in by.
#[derive(Debug)]
pub(super) struct KernelFlows {
    /// Where in `flows` each is.
    table: FlowTable,
    hasher: FlowHasher,
    /// A ring by last use through all that are in use, oldest first. The last place is the anchor:
    /// before the oldest, behind the newest.
    flows: Box<[Flow]>,
    free: Vec<u32>,
    /// When a packet of any of them was seen last.
    seen_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    key: FlowKey,
    /// The ports by which it is Linux's, a bit each.
    ports: u8,
    older: u32,
    newer: u32,
}

impl KernelFlows {
    pub(super) fn new(capacity: usize, secret: &[u8; 16]) -> Self {
        let anchor = capacity as u32;
        let nothing = FlowKey::from_ipv6(([0; 16], 0), ([0; 16], 0));
        let unused = Flow { key: nothing, ports: 0, older: anchor, newer: anchor };
        KernelFlows {
            table: FlowTable::new(capacity),
            hasher: FlowHasher::new(secret),
            flows: vec![unused; capacity + 1].into(),
            free: (0..anchor).rev().collect(),
            seen_at: None,
        }
    }

    /// Whether any may still be alive; if not, none has to be looked for.
    #[inline]
    pub(super) fn are_live(&self, now: Instant) -> bool {
        self.seen_at.is_some_and(|seen_at| now.since(seen_at) < KERNEL_FLOW_MEMORY)
    }

    /// Whether a connection is Linux's; if so, it was used now.
    pub(super) fn contains(&mut self, now: Instant, port: u8, key: &FlowKey) -> bool {
        let found = self.find(key).filter(|flow| self.at(*flow).ports & bit(port) != 0);
        if let Some(flow) = found {
            self.use_now(now, flow);
        }
        found.is_some()
    }

    /// From now on the connection is Linux's. Returns whether that is news.
    pub(super) fn insert(&mut self, now: Instant, port: u8, key: FlowKey) -> bool {
        self.seen_at = Some(now);
        let flow = match self.find(&key) {
            Some(flow) => flow,
            None => match self.add(key) {
                Some(flow) => flow,
                None => return true,
            },
        };
        self.use_now(now, flow);
        let ports = &mut self.flows[flow as usize].ports;
        let is_news = *ports & bit(port) == 0;
        *ports |= bit(port);
        is_news
    }

    /// The connection is not Linux's any more, if it was.
    pub(super) fn remove(&mut self, port: u8, key: &FlowKey) {
        if let Some(flow) = self.find(key) {
            self.flows[flow as usize].ports &= !bit(port);
            if self.at(flow).ports == 0 {
                self.forget(flow);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len() - 1 - self.free.len()
    }

    #[inline]
    fn find(&self, key: &FlowKey) -> Option<u32> {
        self.table.lookup(key, self.hasher.hash(key))
    }

    fn at(&self, flow: u32) -> &Flow {
        &self.flows[flow as usize]
    }

    /// A place for a new connection, the oldest one's if there is no other. `None`: the table
    /// refuses its hash, which is as good as never.
    fn add(&mut self, key: FlowKey) -> Option<u32> {
        if self.free.is_empty() {
            self.forget(self.at(self.anchor()).newer);
        }
        let flow = *self.free.last()?;
        self.table.insert(key, self.hasher.hash(&key), flow).ok()?;
        self.free.pop();
        self.flows[flow as usize] = Flow { key, ports: 0, older: flow, newer: flow };
        Some(flow)
    }

    fn forget(&mut self, flow: u32) {
        self.unlink(flow);
        let key = self.at(flow).key;
        self.table.remove(&key, self.hasher.hash(&key));
        self.free.push(flow);
    }

    /// Makes a connection the newest.
    fn use_now(&mut self, now: Instant, flow: u32) {
        self.seen_at = Some(now);
        self.unlink(flow);
        let anchor = self.anchor();
        let newest = self.at(anchor).older;
        self.flows[newest as usize].newer = flow;
        self.flows[flow as usize].older = newest;
        self.flows[flow as usize].newer = anchor;
        self.flows[anchor as usize].older = flow;
    }

    fn unlink(&mut self, flow: u32) {
        let Flow { older, newer, .. } = *self.at(flow);
        self.flows[older as usize].newer = newer;
        self.flows[newer as usize].older = older;
    }

    fn anchor(&self) -> u32 {
        self.flows.len() as u32 - 1
    }
}

fn bit(port: u8) -> u8 {
    1 << port
}
