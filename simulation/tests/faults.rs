//! Transfers while devices, packet memory, the host and the origins fail: whole when it is over, and
//! every frame is home.

#![allow(unreachable_pub, reason = "modules of a test have no other public")]

use std::time::Duration;

use ringroad_engine::port::sim::SimPort;
use ringroad_engine::proxy::proxy_protocol::Version;
use ringroad_engine::stage::NoGate;
use ringroad_simulation::appliance::apps::{echo, idle, respond, send, send_then_wait};
use ringroad_simulation::appliance::cookies;
use ringroad_simulation::appliance::peer::{Settings, Status};
use ringroad_simulation::appliance::rig::{
    CLIENTS, Key, ORIGINS, Plan, Random, Wire, World, ip, ms, origin, pattern, pick, secs, seed,
    seeds,
};
use ringroad_simulation::faults::{
    AdminFault, AdminFaultKind, Faulty, OriginFault, OriginFaultKind, OriginFaults, PortFault,
    PortFaultKind, stop,
};

type FaultyWorld = World<Faulty<SimPort>>;

/// What each stream carries: more than the faults give it time for [octets].
const LEN: usize = 1_000_000;

/// Faults leave gaps, and have segments sent again.
const TOLERANT: Settings = Settings { lossy: true, ..Settings::MODERN };

/// A world whose devices have these faults, on the clients' side and the origins'.
fn faulty(plan: Plan, faults: [Vec<PortFault>; 2]) -> FaultyWorld {
    let (seed, pool) = (plan.seed, plan.pool());
    let wrap = |port, side: usize| Faulty::new(port, seed ^ side as u64, faults[side].clone());
    World::with(plan, pool, wrap, NoGate, Vec::new())
}

/// Clients that send and receive `LEN` octets each.
fn transfers<P: Wire>(world: &mut World<P>, count: u16) -> Vec<Key> {
    world.listen(origin(1), TOLERANT, || send_then_wait(pattern(99, LEN)));
    (0..count).map(|n| world.client(n, TOLERANT, send(pattern(n.into(), LEN)))).collect()
}

/// The faults come in the middle of it.
#[track_caller]
fn assert_under_way<P: Wire>(world: &mut World<P>, clients: &[Key]) {
    for client in clients {
        let peer = world.peer(*client);
        assert_eq!(peer.status, Status::Open, "{} octets have arrived", peer.received.len());
    }
}

#[track_caller]
fn assert_whole<P: Wire>(world: &mut World<P>, clients: &[Key]) {
    for client in clients {
        let peer = world.peer(*client);
        assert!(
            peer.received == pattern(99, LEN),
            "{} of {LEN} octets, {:?}",
            peer.received.len(),
            peer.status
        );
        assert_eq!(peer.status, Status::Finished);
    }
    let mut arrived: Vec<_> =
        world.origin_peers().iter().map(|peer| peer.received.clone()).collect();
    let mut sent: Vec<_> = (0..clients.len() as u64).map(|n| pattern(n, LEN)).collect();
    arrived.sort();
    sent.sort();
    assert!(arrived == sent, "what the origins have is what the clients have sent");
}

#[test]
fn streams_stay_whole_whatever_a_device_does_for_a_while() {
    for side in [CLIENTS, ORIGINS] {
        for kind in [
            PortFaultKind::ShortBursts(1),
            PortFaultKind::FullRing(0),
            PortFaultKind::FullRing(1),
            PortFaultKind::LateCompletions,
            PortFaultKind::Stalled,
            PortFaultKind::LosesReceived(100_000),
            PortFaultKind::Hoard(0),
            PortFaultKind::Hoard(40),
        ] {
            let mut faults = [Vec::new(), Vec::new()];
            faults[side].push(PortFault { from: ms(1), to: ms(500), kind });
            let mut world = faulty(Plan::new(seed()), faults);
            let clients = transfers(&mut world, 4);
            world.run_for(ms(2));
            assert_under_way(&mut world, &clients);
            world.run_to_the_end(secs(60));
            assert_whole(&mut world, &clients);
            let stats = world.edge.ports_mut()[side].fault_stats();
            assert!(stats != Default::default() || kind == PortFaultKind::Stalled, "{kind:?}");
            world.finish();
        }
    }
}

#[test]
fn a_device_that_completes_late_is_not_taken_for_a_path_that_loses() {
    let late = PortFault { from: ms(0), to: secs(3), kind: PortFaultKind::LateCompletions };
    let mut world = faulty(Plan::new(seed()), [vec![late], vec![late]]);
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 700)));
    let client = world.client(1, Settings::MODERN, send(pattern(1, 100)));
    world.run_until(secs(1), |world| world.peer(client).is_over());
    assert_eq!(world.peer(client).received, pattern(2, 700));
    assert_eq!(world.counters().segments_retransmitted, 0);
    assert!(world.edge.ports_mut().iter().all(|port| port.kept() > 0), "they are still there");
    assert_eq!(world.finish().ledger.retransmitted, 0);
}

#[test]
fn a_hoarded_pool_refuses_new_connections_and_takes_them_when_it_is_over() {
    let hoard = PortFault { from: ms(100), to: ms(600), kind: PortFaultKind::Hoard(10) };
    let mut world = faulty(Plan::new(seed()), [vec![hoard], Vec::new()]);
    world.listen(origin(1), TOLERANT, || respond(100, pattern(2, 700)));
    world.run_for(ms(200));
    assert!(!world.edge.worker().is_accepting(0));
    let client = world.client(1, TOLERANT, send(pattern(1, 100)));
    world.run_for(ms(300));
    assert_eq!((world.peer(client).status, world.counters().accepted), (Status::SynSent, 0));
    world.run_to_the_end(secs(10));
    assert_eq!(world.peer(client).received, pattern(2, 700));
    world.finish();
}

/// Its answer leaves a frame for the header that is of the engine's own. Where somebody else's end is to be
/// acknowledged and passed on in the same turn, that takes it.
#[test]
fn an_origin_is_greeted_when_there_is_a_frame_for_that() {
    let hoard = PortFault { from: ms(500), to: ms(2500), kind: PortFaultKind::Hoard(2) };
    let plan = Plan::new(seed()).proxy_protocol(Version::V1);
    let mut world = faulty(plan, [vec![hoard], Vec::new()]);
    world.listen(origin(1), TOLERANT, || send(Vec::new()));
    let ending = world.client(1, TOLERANT, idle());
    world.run_for(ms(200));
    assert!(world.peer(ending).peer_finished);
    world.listen(origin(1), TOLERANT, || send_then_wait(pattern(2, 30_000)));
    world.hosts.0[ORIGINS].vanished = true;
    let client = world.client(2, TOLERANT, send(pattern(1, 100)));
    world.run_for(ms(600));
    world.hosts.0[ORIGINS].vanished = false;
    world.run_until(secs(1), |world| world.hosts.0[ORIGINS].cable.waiting() > 0);
    let missing = world.edge.worker().tcp_counters().pool_empty;
    world.peer(ending).finish();
    world.run_for(ms(10));
    assert!(world.edge.worker().tcp_counters().pool_empty > missing, "there was one for all");
    world.run_to_the_end(secs(20));
    assert!(world.peer(client).received == pattern(2, 30_000));
    let header = b"PROXY TCP4 198.51.100.1 10.10.1.1 30002 80\r\n".to_vec();
    let expected = [header, pattern(1, 100)].concat();
    assert!(world.origin_peers().iter().any(|peer| peer.received == expected));
    world.finish();
}

#[test]
fn streams_stay_whole_through_many_faults_at_once() {
    for seed in seeds(12) {
        let mut choose = Random::new(seed ^ 0xfa17);
        let faults = [(); 2].map(|()| {
            let fault = |choose: &mut Random| {
                let from = ms(choose.below(400));
                let to = from + ms(1 + choose.below(300));
                let kinds = [
                    PortFaultKind::ShortBursts(choose.below(4) as usize),
                    PortFaultKind::FullRing(choose.below(4) as usize),
                    PortFaultKind::LateCompletions,
                    PortFaultKind::Stalled,
                    PortFaultKind::LosesReceived(choose.below(200_000) as u32),
                    PortFaultKind::Hoard(choose.below(300) as usize),
                ];
                PortFault { from, to, kind: pick(choose, &kinds) }
            };
            (0..6).map(|_| fault(&mut choose)).collect()
        });
        let mut world = faulty(Plan::new(seed), faults);
        let clients = transfers(&mut world, 6);
        world.run_for(ms(50 + choose.below(400)));
        if pick(&mut choose, &[true, false]) {
            world.edge.ports_mut().iter_mut().for_each(Faulty::heal);
        }
        world.run_to_the_end(secs(120));
        assert_whole(&mut world, &clients);
        world.finish();
    }
}

/// Lets the world run, and has happen what is to happen; none of it is a stop.
fn run_through<P: Wire>(world: &mut World<P>, faults: &[AdminFault]) {
    let began = world.now;
    for fault in faults {
        world.run_for((began + fault.at).since(world.now));
        fault.apply(world);
    }
}

fn at(millis: u64, kind: AdminFaultKind) -> AdminFault {
    AdminFault { at: ms(millis), kind }
}

#[test]
fn streams_stay_whole_while_the_host_changes_its_mind() {
    use AdminFaultKind::*;
    let (gateway, server) = (ip("10.10.1.254"), origin(1).ip());
    for (kind, again) in [
        (RoutesAgain, RoutesAgain),
        (Snapshots(1000), Snapshots(1)),
        (Keys(1), Keys(2)),
        (
            NeighbourLost { side: CLIENTS, address: gateway },
            NeighbourFound { side: CLIENTS, address: gateway },
        ),
        (
            NeighbourLost { side: ORIGINS, address: server },
            NeighbourFound { side: ORIGINS, address: server },
        ),
        (RouteGone(CLIENTS), RouteBack(CLIENTS)),
        (RouteGone(ORIGINS), RouteBack(ORIGINS)),
    ] {
        let mut world = World::new(Plan::new(seed()));
        let clients = transfers(&mut world, 4);
        run_through(&mut world, &[at(2, kind)]);
        assert_under_way(&mut world, &clients);
        run_through(&mut world, &[at(400, again)]);
        world.run_to_the_end(secs(60));
        assert_whole(&mut world, &clients);
        world.finish();
    }
}

#[test]
fn an_origin_that_is_not_found_for_a_while_is_reached_when_it_is() {
    let address = origin(1).ip();
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 700)));
    at(0, AdminFaultKind::NeighbourLost { side: ORIGINS, address }).apply(&mut world);
    let client = world.client(1, Settings::MODERN, send(pattern(1, 100)));
    world.run_for(ms(500));
    assert_eq!(world.hosts.0[ORIGINS].stats.received, 0);
    at(0, AdminFaultKind::NeighbourFound { side: ORIGINS, address }).apply(&mut world);
    world.run_to_the_end(ms(100));
    assert_eq!(world.peer(client).received, pattern(2, 700));
    world.finish();
}

#[test]
fn a_cookie_outlives_one_rotation_of_the_keys_and_not_two() {
    for (periods, opens) in [(1, true), (2, false)] {
        let mut world = World::new(Plan::new(seed()));
        cookies::shield(&mut world);
        world.listen(origin(1), TOLERANT, || respond(100, pattern(2, 700)));
        let shield = world.hosts.0[CLIENTS].cookies.as_mut().expect("it was put there");
        // The ACK of the cookie, and what follows it.
        shield.segments_to_lose = 2;
        let client = world.client(1, TOLERANT, send(pattern(1, 100)));
        world.run_for(ms(1));
        let answered = |world: &World<SimPort>| {
            world.hosts.0[CLIENTS].cookies.as_ref().map_or(0, |shield| shield.answered)
        };
        assert_eq!(answered(&world), 1);
        at(0, AdminFaultKind::Keys(periods)).apply(&mut world);
        world.run_for(secs(5));
        assert_eq!(world.counters().accepted, u64::from(opens), "after {periods}");
        let expected = if opens { pattern(2, 700) } else { Vec::new() };
        assert_eq!(world.peer(client).received, expected);
        world.peer(client).abort();
        // New clients are given new cookies.
        let next = world.client(2, TOLERANT, send(pattern(1, 100)));
        world.run_for(secs(1));
        assert_eq!(world.peer(next).received, pattern(2, 700));
        world.run_to_the_end(secs(10));
        world.finish();
    }
}

#[test]
fn a_drain_lets_what_is_open_end_in_its_own_time() {
    let mut world = World::new(Plan::new(seed()));
    let clients = transfers(&mut world, 4);
    run_through(&mut world, &[at(2, AdminFaultKind::Drain)]);
    assert_under_way(&mut world, &clients);
    let late = world.client(100, TOLERANT, send(pattern(1, 100)));
    world.run_for(secs(2));
    assert_eq!(world.peer(late).status, Status::SynSent);
    world.hosts.0[CLIENTS].peers.remove(&late);
    world.run_to_the_end(secs(60));
    assert_whole(&mut world, &clients);
    world.finish();
}

#[test]
fn a_stop_in_the_middle_tells_everybody_and_gives_everything_back() {
    use PortFaultKind::*;
    for kind in [None, Some(LateCompletions), Some(FullRing(1)), Some(ShortBursts(1))] {
        let faults = kind.map(|kind| PortFault { from: ms(1), to: ms(100), kind });
        let faults: Vec<_> = faults.into_iter().collect();
        let mut world = faulty(Plan::new(seed()), [faults.clone(), faults]);
        let clients = transfers(&mut world, 8);
        world.run_for(ms(2));
        assert_under_way(&mut world, &clients);
        let (last, hosts) = stop(world);
        assert_eq!(last.services[0].active, 0, "{kind:?}");
        for side in &hosts.0 {
            let told = side.peers.values().filter(|peer| peer.status == Status::Reset).count();
            assert_eq!(told, 8, "{kind:?}");
        }
    }
}

/// Runs to the end, with the origins' faults as their time comes.
fn run_with_origins<P: Wire>(world: &mut World<P>, faults: Vec<OriginFault>, limit: Duration) {
    let began = world.now;
    let mut faults = OriginFaults::new(faults);
    while faults.next_due(began) <= began + limit {
        let next = faults.next_due(began);
        world.run_for(next.since(world.now));
        faults.pass(next.since(began), &mut world.hosts.0[ORIGINS]);
    }
    world.run_to_the_end(limit);
}

fn origin_fails(kind: OriginFaultKind, at: Duration, until: Duration) -> OriginFault {
    OriginFault { at, until, origin: origin(1), kind }
}

#[test]
fn another_origin_serves_while_one_is_silent_or_refuses() {
    for (kind, within) in [
        (OriginFaultKind::Refuses, ms(100)),
        (OriginFaultKind::Silent, secs(4)),
        (OriginFaultKind::Vanishes, secs(4)),
    ] {
        let mut world = World::new(Plan::new(seed()).origins(2));
        for number in [1, 2] {
            world.listen(origin(number), TOLERANT, || respond(100, pattern(2, 700)));
        }
        let mut faults = OriginFaults::new(vec![origin_fails(kind, ms(0), secs(30))]);
        faults.pass(ms(0), &mut world.hosts.0[ORIGINS]);
        let clients: Vec<_> =
            (0..6).map(|n| world.client(n, TOLERANT, send(pattern(1, 100)))).collect();
        world.run_to_the_end(within);
        for client in clients {
            assert_eq!(world.peer(client).received, pattern(2, 700), "{kind:?}");
        }
        let served = |world: &mut World<SimPort>, by| {
            let mut peers = world.origin_peers().into_iter();
            peers.any(|peer| peer.local == origin(by) && peer.status == Status::Finished)
        };
        assert!(!served(&mut world, 1) && served(&mut world, 2));
        // It is as it was before.
        faults.heal(&mut world.hosts.0[ORIGINS]);
        for n in 10..14 {
            world.client(n, TOLERANT, send(pattern(1, 100)));
        }
        world.run_to_the_end(secs(1));
        assert!(served(&mut world, 1), "{kind:?}");
        world.finish();
    }
}

#[test]
fn what_is_open_outlives_an_origin_that_is_cut_off_for_a_while() {
    for kind in [OriginFaultKind::Refuses, OriginFaultKind::Silent, OriginFaultKind::Vanishes] {
        let mut world = World::new(Plan::new(seed()));
        let clients = transfers(&mut world, 4);
        world.run_for(ms(2));
        assert_under_way(&mut world, &clients);
        run_with_origins(&mut world, vec![origin_fails(kind, ms(0), secs(3))], secs(60));
        assert_whole(&mut world, &clients);
        world.finish();
    }
}

#[test]
fn an_origin_that_stays_away_costs_its_clients_their_connections_and_nothing_else() {
    let mut plan = Plan::new(seed());
    plan.service.idle_timeout = secs(20);
    let mut world = World::new(plan);
    world.listen(origin(1), TOLERANT, echo);
    let clients: Vec<_> =
        (0..4).map(|n| world.client(n, TOLERANT, send(pattern(n.into(), LEN)))).collect();
    world.run_for(ms(1));
    assert_under_way(&mut world, &clients);
    let gone = origin_fails(OriginFaultKind::Vanishes, ms(0), secs(3600));
    run_with_origins(&mut world, vec![gone], secs(60));
    for client in clients {
        assert_eq!(world.peer(client).status, Status::Reset);
    }
    world.finish();
}
