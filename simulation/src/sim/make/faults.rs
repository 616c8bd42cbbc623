//! What goes wrong on purpose: intruders, and faults of devices, operators and origins.

use std::time::Duration;

use super::super::case::{INTRUDERS_FROM, Intruding, Origin};
use super::super::dice::Dice;
use super::super::scenario::Scenario;
use super::Maker;
use crate::actors::{Attack, Mischief, Script};
use crate::appliance::rig::{self, CLIENTS, ORIGINS};
use crate::faults::{
    AdminFault, AdminFaultKind, OriginFault, OriginFaultKind, PortFault, PortFaultKind, WorkerStall,
};

impl Maker {
    pub(super) fn intruders(self) -> Vec<Intruding> {
        let mut dice = self.dice("intruders");
        let count = match self.scenario {
            Scenario::Flood => dice.between(1, 4),
            Scenario::Mixed => dice.between(0, 2),
            _ => 0,
        };
        (0..count as u32)
            .map(|number| {
                let side = if dice.percent(85) { CLIENTS } else { ORIGINS };
                // Of a client that is nobody else.
                let script = Script::exchange(INTRUDERS_FROM + number, 100, 50_000);
                // Who sends enough payload or ends blindly hits a window, and no TCP can tell.
                let attack = loop {
                    let attack = Attack::any(dice.random(), script);
                    if !matches!(attack.mischief, Mischief::BlindPayload | Mischief::BlindFins) {
                        break attack;
                    }
                };
                Intruding { side, attack }
            })
            .collect()
    }

    pub(super) fn port_faults(self, until: Duration) -> Vec<(usize, PortFault)> {
        let mut dice = self.dice("port faults");
        let count = match self.scenario {
            Scenario::Mixed => dice.between(0, 6),
            Scenario::MemoryPressure => dice.between(1, 4),
            _ => 0,
        };
        (0..count)
            .map(|_| {
                let side = dice.pick(&[CLIENTS, ORIGINS]);
                let from = dice.millis(0, until.as_millis() as u64);
                let to = from + dice.millis(1, 2000);
                let kind = match self.scenario {
                    Scenario::MemoryPressure => PortFaultKind::Hoard(dice.between(0, 400) as usize),
                    _ => dice.pick(&[
                        PortFaultKind::ShortBursts(1),
                        PortFaultKind::ShortBursts(7),
                        PortFaultKind::FullRing(0),
                        PortFaultKind::FullRing(3),
                        PortFaultKind::LateCompletions,
                        PortFaultKind::Stalled,
                        PortFaultKind::LosesReceived(100_000),
                        PortFaultKind::Hoard(50),
                    ]),
                };
                (side, PortFault { from, to, kind })
            })
            .collect()
    }

    /// All are over by `until`.
    pub(super) fn stalls(self, until: Duration, workers: u8) -> Vec<WorkerStall> {
        let mut dice = self.dice("stalls");
        let count = match self.scenario {
            _ if workers == 0 => 0,
            Scenario::Mixed => dice.between(0, 4),
            _ if dice.percent(30) => dice.between(1, 2),
            _ => 0,
        };
        (0..count)
            .map(|_| {
                let worker = dice.between(0, u64::from(workers) - 1) as usize;
                let from = dice.millis(0, until.as_millis() as u64);
                let to = from + Duration::from_millis(dice.magnitude(1, 2000));
                WorkerStall { from, to: to.min(until), worker }
            })
            .collect()
    }

    pub(super) fn admin_faults(self, until: Duration) -> Vec<AdminFault> {
        if !self.is_mixed() {
            return Vec::new();
        }
        let mut dice = self.dice("admin faults");
        let at = |dice: &mut Dice| dice.millis(0, until.as_millis() as u64);
        let mut faults: Vec<AdminFault> = (0..dice.between(0, 3))
            .map(|_| {
                let kind = dice.pick(&[
                    AdminFaultKind::RoutesAgain,
                    AdminFaultKind::RoutesAgain,
                    AdminFaultKind::Snapshots(1),
                    AdminFaultKind::Snapshots(300),
                ]);
                AdminFault { at: at(&mut dice), kind }
            })
            .collect();
        if dice.percent(10) {
            let kind = AdminFaultKind::RouteGone(dice.pick(&[CLIENTS, ORIGINS]));
            faults.push(AdminFault { at: at(&mut dice), kind });
        }
        if dice.percent(25) {
            let lost = at(&mut dice);
            let found = (lost + dice.millis(10, 5000)).min(until);
            let (side, address) = (ORIGINS, rig::origin(1).ip());
            for (at, kind) in [
                (lost, AdminFaultKind::NeighbourLost { side, address }),
                (found, AdminFaultKind::NeighbourFound { side, address }),
            ] {
                faults.push(AdminFault { at, kind });
            }
        }
        let last = match dice.between(1, 100) {
            1..=8 => Some(AdminFaultKind::Drain),
            9..=16 => Some(AdminFaultKind::Stop),
            17..=30 => Some(AdminFaultKind::Keys(dice.between(1, 2))),
            _ => None,
        };
        faults.extend(last.map(|kind| AdminFault { at: at(&mut dice), kind }));
        faults
    }

    pub(super) fn origin_faults(self, until: Duration, origins: &[Origin]) -> Vec<OriginFault> {
        let mut dice = self.dice("origin faults");
        let many = match self.scenario {
            Scenario::OriginFlap => 4,
            Scenario::Mixed if dice.percent(20) => 1,
            _ => return Vec::new(),
        };
        let mut faults = Vec::new();
        for origin in origins {
            // Those of one origin do not overlap.
            let mut at = dice.millis(0, 2000);
            for _ in 0..dice.between(1, many) {
                let to = at + dice.millis(10, 3000);
                let kind = dice.pick(&[
                    OriginFaultKind::Refuses,
                    OriginFaultKind::Silent,
                    OriginFaultKind::Vanishes,
                ]);
                faults.push(OriginFault { at, until: to.min(until), origin: origin.address, kind });
                at = to + dice.millis(10, 3000);
            }
        }
        faults.retain(|fault| fault.at < fault.until);
        faults
    }
}
