//! What became of each connection, and whether it may.

use std::collections::HashMap;

use ringroad_engine::proxy::proxy_protocol::Version;
use ringroad_engine::telemetry::{DropReason, ServiceCounters, Snapshot};

use super::case::{Case, Client, CookieUse, INTRUDERS_FROM, service_for};
use super::failure::{Failure, Oracle};
use crate::actors::{Expectation, Role, Script, proxy_header};
use crate::appliance::peer::{Peer, Status};
use crate::appliance::rig::{CLIENTS, Hosts, ORIGINS};
use crate::faults::{AdminFault, AdminFaultKind};
use crate::internet::NetworkSettings;
use crate::link::Loss;

/// Connections, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Both ends have received all.
    pub whole: u64,
    /// Of these, served by Linux.
    pub by_linux: u64,
    /// Cut short, with a reason.
    pub cut_short: u64,
    /// Refused in the handshake, or never answered, with a reason.
    pub refused: u64,
}

/// Looks at every connection of a run that is over. The engine's own counts give some a reason: those
/// that were reclaimed, as packet memory was short and they did not move, and those left to Linux.
pub(super) fn judge(case: &Case, hosts: &Hosts, snapshot: &Snapshot) -> Result<Tally, Failure> {
    let counters = snapshot.services[0];
    let mut reclaimed = Reasons(counters.reclaimed);
    let mut lost = Reasons(lost_inside(snapshot));
    let proxy_protocol = case.service.proxy_protocol;
    let by_origins = Served::by(&hosts.0[ORIGINS].all_peers(), case, proxy_protocol)?;
    let by_linux = Served::by(&hosts.1[CLIENTS].all_peers(), case, None)?;
    let mut tally = Tally::default();
    for client in &case.clients {
        let key = (client.address, service_for(client.address));
        let Some(peer) = hosts.0[CLIENTS].peers.get(&key) else { continue };
        check(client.script, Role::Origin, peer, &peer.received)?;
        let id = client.script.id;
        let of_linux = by_linux.whole(id);
        let heard_all = peer.received.len() == client.script.len(Role::Origin);
        if heard_all && has_ended(peer) && (of_linux || by_origins.whole(id)) {
            tally.whole += 1;
            tally.by_linux += u64::from(of_linux);
            continue;
        }
        let excuses = Excuses { case, counters };
        let accounted_for = case.expectation(client) != Expectation::Whole
            || excuses.refused(peer)
            || excuses.unproven(client, peer)
            || excuses.lacks_proof(peer) && lost.take_one()
            || reclaimed.take_one();
        if !accounted_for {
            return Err(unjustified(client, peer));
        }
        match peer.received.is_empty() {
            true => tally.refused += 1,
            false => tally.cut_short += 1,
        }
    }
    Ok(tally)
}

/// Events each of which is a reason for one connection to end early.
struct Reasons(u64);

impl Reasons {
    fn take_one(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Packets that came from clients, and that the engine has not seen: lost by the device, or for want of
/// room in the ring of a worker that stood still.
fn lost_inside(snapshot: &Snapshot) -> u64 {
    let ledger = &snapshot.ledger;
    snapshot.ports[CLIENTS].rx_dropped + ledger.dropped[DropReason::WorkerBehind as usize]
}

/// Why a connection may be cut short though nobody meant it.
struct Excuses<'a> {
    case: &'a Case,
    counters: ServiceCounters,
}

impl Excuses<'_> {
    /// By the service's policy, where it is full.
    fn refused(&self, peer: &Peer) -> bool {
        self.counters.refused > 0 && peer.received.is_empty()
    }

    /// A cookie is proven by the client's first segment alone: where another comes first, Linux knows of
    /// no connection, and says so, as it does behind its own cookies (docs/operations.md, SYN cookies).
    /// None is good any more when its key is gone; and this Linux, as behind a device of the engine's own,
    /// opens none of those that come when the engine is full.
    fn unproven(&self, client: &Client, peer: &Peer) -> bool {
        let network = &self.case.networks[CLIENTS][client.network];
        let loses_keys =
            |fault: &AdminFault| matches!(fault.kind, AdminFaultKind::Keys(periods) if periods > 1);
        self.lacks_proof(peer)
            && (overtakes(network)
                || self.counters.fell_back > 0
                || self.case.admin_faults.iter().any(loses_keys))
    }

    /// Whether it may be that it was not opened, as the segment that was to prove a cookie is lost.
    fn lacks_proof(&self, peer: &Peer) -> bool {
        self.case.cookies != CookieUse::Off && peer.received.is_empty()
    }
}

/// Whether what a host sends first may arrive behind what it sends next, or not at all.
fn overtakes(network: &NetworkSettings) -> bool {
    let NetworkSettings { up, flapping, black_hole, .. } = network;
    up.loss != Loss::None
        || up.reordering.ppm > 0
        || up.corrupt_ppm > 0
        || up.rate_bps > 0
        || flapping.is_some()
        || black_hole.is_some()
}

/// What those who answer have received of each connection.
struct Served(HashMap<u32, bool>);

impl Served {
    /// `header`: what is to stand in front of what clients say.
    fn by(peers: &[&Peer], case: &Case, header: Option<Version>) -> Result<Self, Failure> {
        let clients: HashMap<u32, &Client> =
            case.clients.iter().map(|client| (client.script.id, client)).collect();
        let mut served = HashMap::new();
        for peer in peers {
            // Who has heard less than what tells them apart has heard of nobody.
            let Some(heard) = Script::behind_header(&peer.received) else { continue };
            let Some(told) = Script::of(heard) else { continue };
            if told.id >= INTRUDERS_FROM {
                continue;
            }
            let Some(client) = clients.get(&told.id).filter(|client| client.script == told) else {
                let message = format!("{} has heard of {told:?}, which nobody said", peer.local);
                return Err(Failure::new(Oracle::Integrity, message));
            };
            check_header(
                client,
                header,
                peer,
                &peer.received[..peer.received.len() - heard.len()],
            )?;
            check(told, Role::Client, peer, heard)?;
            let whole = heard.len() == told.len(Role::Client);
            *served.entry(told.id).or_default() |= whole;
        }
        Ok(Served(served))
    }

    fn whole(&self, id: u32) -> bool {
        self.0.get(&id).copied().unwrap_or_default()
    }
}

/// The origin is told who the client is, where the service asks for that, and by nobody else.
fn check_header(
    client: &Client,
    version: Option<Version>,
    peer: &Peer,
    header: &[u8],
) -> Result<(), Failure> {
    let service = service_for(client.address);
    let expected = version.map(|version| proxy_header(version, client.address, service));
    if header == expected.unwrap_or_default() {
        return Ok(());
    }
    let message = format!(
        "{} has received {:?} in front of connection {}, which is of {}",
        peer.local,
        header.escape_ascii().to_string(),
        client.script.id,
        client.address
    );
    Err(Failure::new(Oracle::Integrity, message))
}

/// What has arrived is a beginning of what was said.
fn check(script: Script, speaker: Role, peer: &Peer, received: &[u8]) -> Result<(), Failure> {
    let said = script.octets(speaker);
    let known = received.len().min(said.len());
    let differs = (0..known).find(|at| received[*at] != said[*at]);
    let at = differs.or((received.len() > said.len()).then_some(said.len()));
    match at {
        None => Ok(()),
        Some(at) => {
            let message = format!(
                "{} has received {} octets of connection {}, and octet {at} of them is not what was said",
                peer.local,
                received.len(),
                script.id
            );
            Err(Failure::new(Oracle::Integrity, message))
        }
    }
}

/// In order. A reset is as good only where all that is lost is the answer to the last FIN; so is
/// silence, behind the other's end.
fn has_ended(peer: &Peer) -> bool {
    match peer.status {
        Status::Finished => true,
        Status::Reset => peer.unacknowledged() <= 1,
        Status::GaveUp => peer.peer_finished && peer.unacknowledged() <= 1,
        _ => false,
    }
}

fn unjustified(client: &Client, peer: &Peer) -> Failure {
    let message = format!(
        "connection {} of {} has no reason to end {:?}: it has received {} of {} octets, {} of its \
         own are unacknowledged",
        client.script.id,
        client.address,
        peer.status,
        peer.received.len(),
        client.script.len(Role::Origin),
        peer.unacknowledged()
    );
    Failure::new(Oracle::Completion, message)
}
