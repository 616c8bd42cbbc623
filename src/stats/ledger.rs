//! Where packets and their memory are: what came and what went adds up.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ringroad_engine::telemetry::{FrameCounts, Snapshot};
use ringroad_engine::wire::Malformed;
use serde::{Deserialize, Serialize};

/// Every packet on the ports, by what became of it:
/// `received = forwarded + consumed + to_kernel + held + Σ dropped` and
/// `sent = forwarded + originated + retransmitted`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    pub(crate) received: u64,
    pub(crate) forwarded: u64,
    pub(crate) consumed: u64,
    pub(crate) to_kernel: u64,
    /// Waiting to be sent for the first time, or in a ring that the engine has yet to look at.
    pub(crate) held: u64,
    /// Of those received, how many came to one worker and were another's.
    pub(crate) handed_over: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) sent: u64,
    pub(crate) originated: u64,
    pub(crate) retransmitted: u64,
}

/// `free + held == capacity`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Frames {
    pub(crate) capacity: u64,
    pub(crate) free: u64,
    pub(crate) held: u64,
    /// Of those held, with devices alone: to receive into, or on their way out.
    pub(crate) with_devices: u64,
}

impl Ledger {
    /// With what was lost before any core has seen it.
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let cores = &snapshot.ledger;
        let lost: u64 = snapshot.ports.iter().map(|port| port.rx_dropped).sum();
        let damaged: u64 = snapshot.ports.iter().map(|port| port.rx_checksum_errors).sum();
        let mut dropped: BTreeMap<String, u64> =
            cores.drops().map(|(reason, count)| (reason.to_owned(), count)).collect();
        for (reason, count) in [(RX_RING, lost), (Malformed::TcpChecksum.as_str(), damaged)] {
            if count > 0 {
                *dropped.entry(reason.to_owned()).or_default() += count;
            }
        }
        Ledger {
            received: cores.arrived() + lost + damaged,
            forwarded: cores.forwarded,
            consumed: cores.consumed,
            to_kernel: cores.to_kernel,
            held: cores.held,
            handed_over: cores.handed_over,
            dropped,
            sent: cores.sent,
            originated: cores.originated,
            retransmitted: cores.retransmitted,
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "in   received {} = forwarded {} + consumed {} + to kernel {} + held {} + dropped {}",
            self.received,
            self.forwarded,
            self.consumed,
            self.to_kernel,
            self.held,
            self.dropped.values().sum::<u64>()
        );
        for (reason, count) in &self.dropped {
            let _ = writeln!(out, "     dropped: {reason} {count}");
        }
        if self.handed_over > 0 {
            let _ =
                writeln!(out, "     came to another worker than their own: {}", self.handed_over);
        }
        let _ = writeln!(
            out,
            "out  sent {} = forwarded {} + originated {} + retransmitted {}",
            self.sent, self.forwarded, self.originated, self.retransmitted
        );
    }
}

impl Frames {
    pub(super) fn new(counts: &FrameCounts) -> Self {
        let FrameCounts { capacity, free, held, with_devices } = *counts;
        Frames { capacity, free, held, with_devices }
    }

    pub(super) fn write(&self, out: &mut String) {
        let Frames { capacity, free, held, with_devices } = self;
        let _ = writeln!(
            out,
            "frames  capacity {capacity} = free {free} + held {held} (with devices {with_devices})"
        );
    }
}

/// Why packets are dropped that no core has seen.
pub(crate) const RX_RING: &str = "rx_ring";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Names, Stats};

    /// Of two workers, each asked at an instant of its own: what one hands over meanwhile is seen to leave
    /// and not to arrive, or the other way round.
    #[test]
    fn what_crosses_between_two_workers_counts_once_and_where_it_arrives() {
        let names = Names::default();
        for (handed_over, taken_over, received) in [(5, 3, 8), (3, 5, 12), (4, 4, 10)] {
            let mut snapshot = Snapshot::new(0, 0);
            let ledger = &mut snapshot.ledger;
            (ledger.received, ledger.handed_over, ledger.taken_over) =
                (10, handed_over, taken_over);
            ledger.consumed = ledger.received + taken_over - handed_over;
            ledger.assert_balanced();
            let stats = Stats::new(&names, &snapshot, &[]);
            let shows = &stats.ledger;
            assert_eq!((shows.received, shows.consumed, shows.held), (received, received, 0));
            let line = format!("came to another worker than their own: {handed_over}\n");
            assert!(stats.to_text().contains(&line));
        }
    }
}
