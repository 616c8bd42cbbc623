//! What each scenario is about, in figures of its own: whether a run had in it what it was for.

use std::collections::BTreeMap;
use std::time::Duration;

use ringroad_engine::tcp;
use ringroad_engine::telemetry::Snapshot;
use ringroad_engine::time::Instant;

use super::case::{Case, service_for};
use super::scenario::Scenario;
use crate::appliance::peer::Peer;
use crate::appliance::rig::{CLIENTS, Hosts, ORIGINS};
use crate::internet::NetworkFigures;

/// All that there is to look at behind a run.
pub(super) struct Seen<'a> {
    pub(super) case: &'a Case,
    pub(super) hosts: &'a Hosts,
    /// Of the networks on each side, in their order.
    pub(super) networks: [Vec<NetworkFigures>; 2],
    pub(super) snapshot: &'a Snapshot,
    pub(super) frames_free_least: usize,
    pub(super) began: Instant,
    pub(super) lasted: Duration,
}

impl Seen<'_> {
    /// In one line.
    pub(super) fn highlights(&self) -> String {
        match self.case.scenario {
            Scenario::Mixed => self.troubles(),
            Scenario::LossyMobile => format!("{}; {}", self.goodput(), self.losses()),
            Scenario::Satellite | Scenario::LongFat => self.bottlenecks(),
            Scenario::Flood => self.flood(),
            Scenario::SlowOrigin => self.waits(),
            Scenario::OriginFlap => self.flaps(),
            Scenario::MemoryPressure => self.memory(),
            Scenario::Middlebox => self.boxes(),
        }
    }

    fn troubles(&self) -> String {
        let Case { networks, intruders, port_faults, admin_faults, origin_faults, .. } = self.case;
        let names: Vec<&str> =
            networks.iter().flatten().map(|network| network.name.as_str()).collect();
        format!(
            "networks {}; intruders {}; faults of ports {}, operators {}, origins {}",
            tallied(&names),
            intruders.len(),
            port_faults.len(),
            admin_faults.len(),
            origin_faults.len()
        )
    }

    /// What those clients had that received anything and came to an end.
    fn goodput(&self) -> String {
        let mut rates: Vec<f64> = self
            .clients()
            .filter(|(_, peer)| !peer.received.is_empty())
            .map(|(lasted, peer)| peer.received.len() as f64 * 8e-3 / lasted.as_secs_f64())
            .collect();
        rates.sort_by(f64::total_cmp);
        match rates.as_slice() {
            [] => "nobody received anything".to_owned(),
            [least, ..] => format!(
                "goodput {least:.1}, {:.1}, {:.1} kbit/s at least, in the middle and at most",
                rates[rates.len() / 2],
                rates[rates.len() - 1]
            ),
        }
    }

    fn losses(&self) -> String {
        let paths = || self.networks.iter().flatten().flat_map(|of| [of.up, of.down]);
        let counted = |count: fn(&crate::internet::PathFigures) -> u64| -> u64 {
            paths().map(|path| count(&path)).sum()
        };
        format!(
            "{} of {} packets lost, {} swallowed, {} segments sent again",
            counted(|path| path.lost + path.dropped),
            counted(|path| path.entered),
            counted(|path| path.swallowed),
            self.snapshot.tcp.retransmitted
        )
    }

    /// How busy the paths to the clients were.
    fn bottlenecks(&self) -> String {
        let percent = |part: Duration, whole: Duration| {
            (100.0 * part.as_secs_f64() / whole.as_secs_f64().max(1e-9)).min(100.0)
        };
        let settings = &self.case.networks[CLIENTS];
        let paths = settings.iter().zip(&self.networks[CLIENTS]).map(|(settings, figures)| {
            format!(
                "{} Mbit/s used to {:.0} % in its busiest second, {:.1} % in all",
                settings.down.rate_bps / 1_000_000,
                percent(figures.down.sending_most, Duration::from_secs(1)),
                percent(figures.down.sending, self.lasted)
            )
        });
        format!("{}; {}", paths.collect::<Vec<_>>().join("; "), self.losses())
    }

    /// What became of packets to the service that were of no connection yet.
    fn flood(&self) -> String {
        let shield = &self.snapshot.verdicts[0];
        format!(
            "{} SYNs answered by cookies, {} first segments for the engine, {} for Linux, {} dropped; \
             {} connections of {} that came",
            shield.answered(),
            shield.to_engine(),
            shield.passed(),
            shield.dropped(),
            self.snapshot.services[0].accepted,
            self.case.clients.len()
        )
    }

    fn waits(&self) -> String {
        let longest = self.clients().map(|(lasted, _)| lasted).max().unwrap_or_default();
        format!(
            "{:.1} s the longest wait of a client; {} frames held at most",
            longest.as_secs_f64(),
            self.case.frames - self.frames_free_least
        )
    }

    fn flaps(&self) -> String {
        let kinds: Vec<String> =
            self.case.origin_faults.iter().map(|fault| format!("{:?}", fault.kind)).collect();
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        let service = &self.snapshot.services[0];
        format!(
            "{}; {} SYNs to origins for {} connections, {} refused",
            tallied(&kinds),
            self.hosts.0[ORIGINS].stats.syns,
            service.accepted,
            service.refused
        )
    }

    fn memory(&self) -> String {
        let scarce = tcp::DropReason::FramesScarce as usize;
        format!(
            "{} of {} frames free at least; {} segments refused for want of frames, {} sent later, {} \
             connections reclaimed, {} left to Linux",
            self.frames_free_least,
            self.case.frames,
            self.snapshot.ledger.refused[scarce],
            self.snapshot.tcp.pool_empty,
            self.snapshot.services[0].reclaimed,
            self.snapshot.services[0].fell_back
        )
    }

    /// Which boxes met how many connections, and what they did to them.
    fn boxes(&self) -> String {
        let networks = &self.case.networks[CLIENTS];
        let met = self.case.clients.iter().filter_map(|client| networks.get(client.network));
        let names: Vec<&str> =
            met.flat_map(|network| &network.middleboxes).map(|each| each.name()).collect();
        let figures = || self.networks[CLIENTS].iter();
        format!(
            "{}; {} segments did not pass, {} resets",
            tallied(&names),
            figures().map(|network| network.swallowed).sum::<u64>(),
            figures().map(|network| network.resets).sum::<u64>()
        )
    }

    /// Clients' connections that have come to an end, and how long each took.
    fn clients(&self) -> impl Iterator<Item = (Duration, &Peer)> {
        self.case.clients.iter().filter_map(|client| {
            let key = (client.address, service_for(client.address));
            let peer = self.hosts.0[CLIENTS].peers.get(&key)?;
            Some((peer.ended_at?.since(self.began + client.opens_at), peer))
        })
    }
}

/// Each name, and how often it is there.
fn tallied(names: &[&str]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    match counts.is_empty() {
        true => "none".to_owned(),
        false => {
            let each = counts.iter().map(|(name, count)| format!("{name} {count}"));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}
