//! What happens to the host that the appliance runs on, and what its operator does: in the middle of
//! everything, and as often as it pleases.

use std::net::IpAddr;
use std::time::Duration;

use ringroad_engine::kernel::{Neighbour, NextHop};
use ringroad_engine::limits::COOKIE_PERIOD;
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::{Command, Gate};
use ringroad_engine::telemetry::Snapshot;
use tokio::sync::oneshot;

use crate::appliance::cookies::{MASTER, THEN, give_keys};
use crate::appliance::rig::{CLIENTS, Hosts, IFINDEX, Wire, World, assert_ended, ms, routes};

/// What happens, and when: counted from the start of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminFault {
    pub at: Duration,
    pub kind: AdminFaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminFaultKind {
    /// The keys of SYN cookies are those of so many periods later: cookies of the period before are
    /// still good, older ones are not.
    Keys(u64),
    /// Linux says again what it has said, as of a later generation.
    RoutesAgain,
    /// Linux has forgotten a neighbour on a side, and finds it again only when it is told so.
    NeighbourLost {
        side: usize,
        address: IpAddr,
    },
    NeighbourFound {
        side: usize,
        address: IpAddr,
    },
    /// No route leads to a side any more; and there is one again. With the origins' routes the
    /// clients' go too: the default route would take the origins' packets to them.
    RouteGone(usize),
    RouteBack(usize),
    /// So many readers ask for all counts at once. More than there is room for are refused.
    Snapshots(usize),
    /// No new connections from here on.
    Drain,
    /// The end, whatever is open. The world is to be handed to [`stop`].
    Stop,
}

/// Whether a world goes on after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    GoesOn,
    /// It was told to stop: see [`stop`].
    Stops,
}

impl AdminFault {
    /// Has it happen.
    ///
    /// # Panics
    /// If a snapshot is not answered, or does not balance.
    pub fn apply<P: Wire, G: Gate>(&self, world: &mut World<P, G>) -> After {
        match self.kind {
            AdminFaultKind::Keys(periods) => rotate_keys(world, periods),
            AdminFaultKind::RoutesAgain => world.publish_routes(),
            AdminFaultKind::NeighbourLost { side, address } => {
                let next_hop = NextHop { ifindex: IFINDEX[side], address };
                world.linux.neighbour(next_hop, Neighbour::Unknown);
                world.publish_routes();
            }
            AdminFaultKind::NeighbourFound { side, address } => {
                world.learn_neighbour(side, address);
            }
            AdminFaultKind::RouteGone(side) => {
                for (side, prefix, gateway) in routes_to(side) {
                    world.linux.no_route(prefix, IFINDEX[side], gateway);
                }
                world.publish_routes();
            }
            AdminFaultKind::RouteBack(side) => {
                for (side, prefix, gateway) in routes_to(side) {
                    world.linux.route(prefix, IFINDEX[side], gateway);
                }
                world.publish_routes();
            }
            AdminFaultKind::Snapshots(readers) => ask_for_snapshots(world, readers),
            AdminFaultKind::Drain => world.drain(),
            AdminFaultKind::Stop => return After::Stops,
        }
        After::GoesOn
    }
}

/// Ends a world in the middle of what it does, as a running engine is ended: what is open is reset,
/// every frame comes home. Returns what was counted, and the hosts, which have heard of it.
///
/// # Panics
/// If anything is left.
pub fn stop<P: Wire, G: Gate>(world: World<P, G>) -> (Snapshot, Hosts) {
    let World { edge, mut hosts, mut now, .. } = world;
    let ports = hosts.0.len();
    let clock = || {
        hosts.turn(now);
        now += ms(1);
        now
    };
    let last = edge.stop(clock, Snapshot::new(1, ports));
    assert_ended(&last);
    hosts.turn(now);
    (last, hosts)
}

/// All routes that packets to a side may take: by which side, where to, and through whom.
fn routes_to(side: usize) -> impl Iterator<Item = (usize, (IpAddr, u8), Option<IpAddr>)> {
    let by = CLIENTS..=side;
    by.flat_map(|by| routes(by).map(|(prefix, gateway)| (by, prefix, gateway)))
}

/// The engine has the new keys before the shield, or its first cookies would be refused.
fn rotate_keys<P: Wire, G: Gate>(world: &mut World<P, G>, periods: u64) {
    let keys = Keys::at(&MASTER, THEN + periods * COOKIE_PERIOD.as_secs());
    give_keys(world, keys);
    if let Some(shield) = &mut world.hosts.0[CLIENTS].cookies {
        shield.keys = keys;
    }
}

fn ask_for_snapshots<P: Wire, G: Gate>(world: &mut World<P, G>, readers: usize) {
    let ports = world.hosts.0.len();
    let mut answers = Vec::new();
    for commands in world.edge.commands() {
        for _ in 0..readers {
            let (reply, answer) = oneshot::channel();
            let question = Command::Snapshot(Box::new(Snapshot::new(1, ports)), reply);
            answers.extend(commands.send(question).ok().map(|()| answer));
        }
    }
    world.edge.obey();
    for mut answer in answers {
        let snapshot =
            answer.try_recv().expect("a thread answers in the turn in which it is asked");
        snapshot.ledger.assert_balanced();
        assert!(snapshot.frames.free + snapshot.frames.held == snapshot.frames.capacity);
    }
}
