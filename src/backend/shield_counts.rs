//! What the shield counts where it stands ahead of the lanes, beside what they count.

use ringroad_ebpf::ShieldCounters;
use ringroad_engine::telemetry::Snapshot;

/// As of one instant. None, of a shield that is in the lanes: they have its counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShieldCounts {
    pub(crate) all: ShieldCounters,
    pub(crate) services: Vec<ServiceCounts>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServiceCounts {
    pub(crate) verdicts: ShieldCounters,
    /// New connections that were left to the kernel.
    pub(crate) fell_back: u64,
}

impl ShieldCounts {
    /// Adds them to what the lanes have counted, who have to be asked later than the shield: then what it
    /// had sent to their rings, and they have not taken from there, was there all the time between, and is held.
    /// The other way round, all that came meanwhile would seem to be.
    pub(crate) fn add_to(&self, snapshot: &mut Snapshot) {
        let ShieldCounts { all, services } = self;
        let lost: u64 = snapshot.ports.iter().map(|port| port.rx_dropped).sum();
        let ledger = &mut snapshot.ledger;
        let in_rings = all.to_engine().saturating_sub(ledger.arrived() + lost);
        ledger.received += all.passed() + all.dropped() + all.answered() + in_rings;
        ledger.consumed += all.answered();
        ledger.to_kernel += all.passed();
        ledger.held += in_rings;
        ledger.shield.add(all);
        for (sum, service) in snapshot.services.iter_mut().zip(services) {
            sum.fell_back += service.fell_back;
        }
        for (sum, service) in snapshot.verdicts.iter_mut().zip(services) {
            sum.add(&service.verdicts);
        }
    }
}

#[cfg(test)]
mod tests {
    use ringroad_ebpf::Verdict;

    use super::*;

    fn counts(verdicts: &[(Verdict, u64)]) -> ShieldCounts {
        let mut all = ShieldCounters::default();
        for (verdict, count) in verdicts {
            (0..*count).for_each(|_| all.count(*verdict));
        }
        ShieldCounts { all, ..ShieldCounts::default() }
    }

    /// Of which the lanes took so many until they were asked.
    #[test]
    fn what_waits_in_rings_is_held() {
        let shield =
            counts(&[(Verdict::ToEngine, 100), (Verdict::Answered, 10), (Verdict::Denied, 1)]);
        for (taken, held) in [(0, 98), (60, 38), (98, 0), (5_000, 0)] {
            let mut snapshot = Snapshot::new(0, 1);
            snapshot.ports[0].rx_dropped = 2;
            (snapshot.ledger.received, snapshot.ledger.consumed) = (taken, taken);
            shield.add_to(&mut snapshot);
            let ledger = &snapshot.ledger;
            assert_eq!((ledger.held, ledger.received), (held, taken + held + 11));
            ledger.assert_balanced();
        }
    }

    /// One lane has handed over what the other has yet to take.
    #[test]
    fn what_is_between_two_lanes_waits_in_a_ring_as_well() {
        let mut snapshot = Snapshot::new(0, 0);
        let ledger = &mut snapshot.ledger;
        (ledger.received, ledger.handed_over, ledger.taken_over) = (100, 40, 30);
        ledger.consumed = 90;
        counts(&[(Verdict::ToEngine, 100)]).add_to(&mut snapshot);
        assert_eq!((snapshot.ledger.held, snapshot.ledger.arrived()), (10, 100));
    }
}
