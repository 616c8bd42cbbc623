//! All that a run is made of, as plain data: printed, run again, and cut down to what matters.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ringroad_engine::port::sim;
use ringroad_engine::proxy::ServiceSettings;
use ringroad_engine::stage::Thresholds;

use super::scenario::Scenario;
use crate::actors::{Attack, Behaviour, Expectation, Script};
use crate::appliance::peer;
use crate::appliance::rig;
use crate::faults::{AdminFault, AdminFaultKind, OriginFault, PortFault, WorkerStall};
use crate::internet::{Middlebox, NetworkSettings};

/// One run. Every time counts from its beginning.
#[derive(Clone, Debug)]
pub struct Case {
    pub scenario: Scenario,
    /// Of all that is left to chance while it runs.
    pub seed: u64,
    /// On cores of their own, behind one that has the devices; none: one lane does all.
    pub workers: u8,
    /// Packet memory of the engine [frames].
    pub frames: usize,
    pub device: sim::Settings,
    pub service: ServiceSettings,
    pub cookies: CookieUse,
    /// On each side; hosts name them by index.
    pub networks: [Vec<NetworkSettings>; 2],
    pub clients: Vec<Client>,
    pub origins: Vec<Origin>,
    pub intruders: Vec<Intruding>,
    /// With the side whose port has it.
    pub port_faults: Vec<(usize, PortFault)>,
    pub stalls: Vec<WorkerStall>,
    pub admin_faults: Vec<AdminFault>,
    pub origin_faults: Vec<OriginFault>,
    /// From here on nothing goes wrong any more: what can still finish is to finish.
    pub calm_at: Duration,
}

/// A client's connection.
#[derive(Clone, Debug)]
pub struct Client {
    pub opens_at: Duration,
    pub address: SocketAddr,
    pub network: usize,
    pub settings: peer::Settings,
    pub behaviour: Behaviour,
    pub script: Script,
}

/// An origin's host.
#[derive(Clone, Debug)]
pub struct Origin {
    pub address: SocketAddr,
    pub network: usize,
    pub settings: peer::Settings,
    pub behaviour: Behaviour,
}

/// Somebody who means no good.
#[derive(Clone, Debug)]
pub struct Intruding {
    pub side: usize,
    pub attack: Attack,
}

/// When new connections are answered by SYN cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieUse {
    Off,
    Always,
    UnderPressure(Thresholds),
}

/// Scripts from this number on are those of intruders, who are told nothing.
pub(super) const INTRUDERS_FROM: u32 = u32::MAX - 1000;

impl Case {
    /// What is to become of a client's connection, all that it meets considered.
    pub fn expectation(&self, client: &Client) -> Expectation {
        let idle_timeout = self.service.idle_timeout;
        let mut expected = client.behaviour.expectation(idle_timeout);
        let [of_clients, of_origins] = &self.networks;
        let network = of_clients.get(client.network).into_iter();
        let others = self.origins.iter().filter_map(|origin| of_origins.get(origin.network));
        for network in network.chain(others) {
            expected = expected.and(justified_by(network));
        }
        for origin in &self.origins {
            expected = expected.and(origin.behaviour.expectation(idle_timeout));
        }
        if !self.origin_faults.is_empty() || self.admin_faults.iter().any(breaks_connections) {
            expected = expected.and(Expectation::EitherEndMayReset);
        }
        expected
    }

    /// The same with all on one core, where no worker stands still by itself.
    pub fn in_one_lane(self) -> Case {
        Case { workers: 0, stalls: Vec::new(), ..self }
    }

    /// Workers, connections, intruders and faults.
    pub fn members(&self) -> usize {
        usize::from(self.workers)
            + self.clients.len()
            + self.intruders.len()
            + self.port_faults.len()
            + self.stalls.len()
            + self.admin_faults.len()
            + self.origin_faults.len()
    }
}

/// What is justified by a network. That it loses, however much, is no reason.
fn justified_by(network: &NetworkSettings) -> Expectation {
    let ends = |middlebox: &Middlebox| {
        matches!(middlebox, Middlebox::ResetAfter { .. } | Middlebox::ForgetIdle { .. })
    };
    match network.middleboxes.iter().any(ends) {
        true => Expectation::EitherEndMayReset,
        false => Expectation::Whole,
    }
}

fn breaks_connections(fault: &AdminFault) -> bool {
    // A neighbour that is lost is found again sooner than anybody gives up.
    !matches!(
        fault.kind,
        AdminFaultKind::RoutesAgain
            | AdminFaultKind::Snapshots(_)
            | AdminFaultKind::NeighbourLost { .. }
            | AdminFaultKind::NeighbourFound { .. }
    )
}

/// The address of a client of its own.
pub(super) fn client_address(number: u32, v6: bool) -> SocketAddr {
    let port = 1024 + (number.wrapping_mul(7919) % 60_000) as u16;
    let ip: IpAddr = match v6 {
        // RFC 6598's shared space has room for four million.
        false => Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(100, 64, 0, 0)) + 1 + number).into(),
        true => {
            let prefix = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 0));
            Ipv6Addr::from_bits(prefix + 1 + u128::from(number)).into()
        }
    };
    SocketAddr::new(ip, port)
}

/// The service's address of the same family.
pub(super) fn service_for(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => rig::service(),
        SocketAddr::V6(_) => rig::service_v6(),
    }
}
