//! Origins that fail: they refuse, fall silent, or are cut off with all their connections.

use std::net::SocketAddr;
use std::time::Duration;

use ringroad_engine::time::Instant;

use crate::appliance::peer::Peer;
use crate::appliance::side::{Key, Listener, Side};

/// What is wrong with an origin, and when: from `at` on and before `until`, both counted from the start
/// of the world. Faults of one origin do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginFault {
    pub at: Duration,
    pub until: Duration,
    pub origin: SocketAddr,
    pub kind: OriginFaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginFaultKind {
    /// Answers new connections by a reset; what is open goes on.
    Refuses,
    /// Does not answer new connections; what is open goes on.
    Silent,
    /// Is cut off: neither new connections nor open ones hear of it. When it is back, it knows its
    /// connections still, and has done nothing meanwhile.
    Vanishes,
}

/// The faults of one side's origins, and what they keep from the world while they last.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "listeners hold closures")]
pub struct OriginFaults {
    planned: Vec<OriginFault>,
    present: Vec<Present>,
}

/// A fault that has begun.
struct Present {
    fault: OriginFault,
    /// What was in its place.
    listener: Option<Listener>,
    peers: Vec<(Key, Peer)>,
}

impl OriginFaults {
    pub fn new(mut faults: Vec<OriginFault>) -> Self {
        faults.sort_by_key(|fault| fault.at);
        OriginFaults { planned: faults, present: Vec::new() }
    }

    /// Begins and ends what is due, when the world has been there for `since`.
    pub fn pass(&mut self, since: Duration, side: &mut Side) {
        let over = self.present.extract_if(.., |present| present.fault.until <= since);
        over.for_each(|present| present.end(side));
        let due = self.planned.iter().take_while(|fault| fault.at <= since).count();
        for fault in self.planned.drain(..due).filter(|fault| since < fault.until) {
            self.present.push(Present::begin(fault, side));
        }
    }

    /// When a fault next begins or ends, in a world that began at `began`.
    pub fn next_due(&self, began: Instant) -> Instant {
        let begins = self.planned.first().map(|fault| fault.at);
        let ends = self.present.iter().map(|present| present.fault.until);
        let next = ends.chain(begins).min();
        next.map_or(Instant::FAR_FUTURE, |since| began + since)
    }

    /// Ends all faults, those to come as well.
    pub fn heal(&mut self, side: &mut Side) {
        self.planned.clear();
        self.present.drain(..).for_each(|present| present.end(side));
    }
}

impl Present {
    fn begin(fault: OriginFault, side: &mut Side) -> Self {
        let instead = match fault.kind {
            OriginFaultKind::Refuses => Listener::Refuse,
            OriginFaultKind::Silent | OriginFaultKind::Vanishes => Listener::Silent,
        };
        let listener = side.listeners.insert(fault.origin, instead);
        let mut peers = Vec::new();
        if fault.kind == OriginFaultKind::Vanishes {
            let its_own = side.peers.keys().filter(|key| key.0 == fault.origin);
            let its_own: Vec<Key> = its_own.copied().collect();
            peers.extend(its_own.iter().filter_map(|key| side.peers.remove_entry(key)));
        }
        Present { fault, listener, peers }
    }

    fn end(self, side: &mut Side) {
        match self.listener {
            Some(listener) => side.listeners.insert(self.fault.origin, listener),
            None => side.listeners.remove(&self.fault.origin),
        };
        side.peers.extend(self.peers);
    }
}
