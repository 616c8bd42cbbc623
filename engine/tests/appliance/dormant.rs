//! Connections on which nothing happens: nobody can tell that they sleep.

use std::collections::BTreeMap;

use ringroad_ebpf::{FingerprintKey, KnownFlows};
use ringroad_engine::kernel::{Neighbour, NextHop};
use ringroad_engine::limits::{AWAKE_PAIRS_MIN, DORMANT_AFTER};
use ringroad_engine::tcp::Keepalive;
use ringroad_engine::wire::ethernet::MacAddr;
use ringroad_simulation::faults::stop;

use crate::apps::{echo, idle};
use crate::peer::{Peer, Settings, Status};
use crate::rig::{
    CLIENTS, IFINDEX, Key, ORIGINS, Plan, World, ip, ms, origin, pattern, secs, seed,
};

type Bare = World<ringroad_engine::port::sim::SimPort>;

/// Clients with an open connection each, over which something has gone.
fn opened(world: &mut Bare, count: u16) -> Vec<Key> {
    let clients: Vec<_> =
        (0..count).map(|number| world.client(number, Settings::MODERN, idle())).collect();
    say(world, &clients, 300, secs(2));
    clients
}

/// Each client sends so many octets, and gets them back.
#[track_caller]
fn say(world: &mut Bare, clients: &[Key], octets: usize, within: std::time::Duration) {
    let mut before = BTreeMap::new();
    for (number, client) in clients.iter().enumerate() {
        let peer = world.peer(*client);
        before.insert(*client, peer.received.len());
        peer.write(&pattern(number as u64, octets));
    }
    world.run_until(within, |world| {
        clients.iter().all(|client| world.peer(*client).received.len() == before[client] + octets)
    });
    for (number, client) in clients.iter().enumerate() {
        let received = &world.peer(*client).received[before[client]..];
        assert!(received == pattern(number as u64, octets), "client {number}");
    }
}

fn assert_asleep(world: &Bare, asleep: usize) {
    let worker = world.edge.worker();
    assert_eq!((worker.asleep(), worker.active()), (asleep, world.counters().active as usize));
}

fn end(world: &mut Bare, clients: &[Key]) {
    clients.iter().for_each(|client| world.peer(*client).finish());
    world.run_to_the_end(secs(10));
    for client in clients {
        assert_eq!(world.peer(*client).status, Status::Finished);
    }
}

#[test]
fn quiet_connections_fall_asleep_and_wake_when_either_end_speaks() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    let clients = opened(&mut world, 20);
    assert_asleep(&world, 0);
    for round in 1..5 {
        world.run_for(2 * DORMANT_AFTER + ms(50));
        assert_asleep(&world, 20);
        assert_eq!((world.edge.worker().flows(), world.counters().accepted), (40, 20));
        // Some speak, the others go on sleeping.
        say(&mut world, &clients[..5], 10_000 * round, secs(2));
        assert_asleep(&world, 15);
        world.run_for(2 * DORMANT_AFTER + ms(50));
        let heard: Vec<usize> =
            world.origin_peers().iter().map(|peer| peer.received.len()).collect();
        for peer in world.origin_peers() {
            peer.write(b"from the origin");
        }
        world.run_for(ms(10));
        assert_asleep(&world, 0);
        for client in &clients {
            let peer = world.peer(*client);
            assert!(peer.received.ends_with(b"from the origin"));
        }
        let after: Vec<usize> =
            world.origin_peers().iter().map(|peer| peer.received.len()).collect();
        assert_eq!(heard, after);
    }
    end(&mut world, &clients);
    world.finish();
}

#[test]
fn half_closed_connections_sleep_too() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, idle);
    let client = world.client(1, Settings::MODERN, idle());
    world.run_for(ms(10));
    world.origin_peers()[0].finish();
    world.run_for(3 * DORMANT_AFTER);
    assert!(world.peer(client).peer_finished);
    assert_asleep(&world, 1);
    world.peer(client).write(&pattern(1, 5000));
    world.run_for(ms(100));
    assert!(world.origin_peers()[0].received == pattern(1, 5000));
    world.peer(client).finish();
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(client).status, Status::Finished);
    world.finish();
}

#[test]
fn a_sleeper_ends_when_it_has_been_idle_for_too_long() {
    let mut plan = Plan::new(seed());
    // Its source port is there for the next one.
    plan.service.origins[0].source_ports = 20_000..=20_000;
    let mut world = World::new(plan);
    world.listen(origin(1), Settings::MODERN, echo);
    for _ in 0..2 {
        let start = world.now;
        let clients = opened(&mut world, 1);
        world.run_for(secs(50));
        assert_asleep(&world, 1);
        world.run_to_the_end(secs(20));
        let took = world.now - start;
        assert!((secs(60)..secs(61)).contains(&took), "the idle timeout is 60 s, took {took:?}");
        assert_eq!(world.peer(clients[0]).status, Status::Reset);
        assert_eq!(world.origin_peers()[0].status, Status::Reset);
        world.hosts.0.iter_mut().for_each(|side| side.peers.clear());
    }
    world.finish();
}

#[test]
fn keepalive_goes_on_while_a_connection_sleeps() {
    let mut plan = Plan::new(seed());
    plan.service.idle_timeout = secs(600);
    plan.service.client_leg.keepalive =
        Some(Keepalive { idle: secs(10), interval: secs(5), probes: 3 });
    let mut world = World::new(plan);
    world.listen(origin(1), Settings::MODERN, echo);
    let clients = opened(&mut world, 1);
    let before = world.hosts.0[CLIENTS].stats.received;
    world.run_for(secs(55));
    assert_asleep(&world, 1);
    let probes = world.hosts.0[CLIENTS].stats.received - before;
    assert_eq!(probes, 5, "one each 10 s of silence");
    assert_eq!(world.peer(clients[0]).status, Status::Open);
    // Nobody answers any more: it is asked three times, and sleeps between them.
    world.hosts.0[CLIENTS].vanished = true;
    world.hosts.0[CLIENTS].peers.clear();
    let start = world.now;
    world.run_for(secs(13));
    assert_asleep(&world, 1);
    world.run_to_the_end(secs(60));
    let took = world.now - start;
    assert!((secs(15)..secs(26)).contains(&took), "10 s and 3 times 5 s, took {took:?}");
    assert_eq!(world.origin_peers()[0].status, Status::Reset);
    world.finish();
}

#[test]
fn a_route_that_changes_is_followed_by_who_slept_meanwhile() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    let clients = opened(&mut world, 3);
    world.run_for(3 * DORMANT_AFTER);
    assert_asleep(&world, 3);
    let moved = [2, 0, 0, 0, 9, 9];
    for (side, address) in [(CLIENTS, ip("10.10.1.253")), (ORIGINS, origin(1).ip())] {
        let next_hop = NextHop { ifindex: IFINDEX[side], address };
        world.linux.neighbour(next_hop, Neighbour::Resolved(MacAddr(moved)));
    }
    world.linux.route((ip("0.0.0.0"), 0), IFINDEX[CLIENTS], Some(ip("10.10.1.253")));
    world.publish_routes();
    for side in &mut world.hosts.0 {
        side.peers.values_mut().for_each(|peer| peer.link.source = moved);
    }
    say(&mut world, &clients, 50_000, secs(2));
    end(&mut world, &clients);
    world.finish();
}

#[test]
fn a_reset_of_a_sleeper_crosses() {
    for by_client in [true, false] {
        let mut world = World::new(Plan::new(seed()));
        world.listen(origin(1), Settings::MODERN, echo);
        let clients = opened(&mut world, 2);
        world.run_for(3 * DORMANT_AFTER);
        assert_asleep(&world, 2);
        if by_client {
            clients.iter().for_each(|client| world.peer(*client).abort());
        } else {
            world.origin_peers().into_iter().for_each(Peer::abort);
        }
        world.run_to_the_end(ms(100));
        let side = if by_client { ORIGINS } else { CLIENTS };
        let told = world.hosts.0[side].peers.values().all(|peer| peer.status == Status::Reset);
        assert!(told, "by_client: {by_client}");
        world.finish();
    }
}

/// More connections than can be awake, with as little memory as gives room for the least of them.
fn crowd(connections: u16) -> Bare {
    let mut plan = Plan::new(seed());
    plan.frames = AWAKE_PAIRS_MIN;
    plan.service.max_connections = connections.into();
    let key = FingerprintKey::new(b"the quick brown fox jumps over the lazy dog, ok.");
    plan.known_flows = KnownFlows::new(&IFINDEX, 1 << 15, key);
    let mut world = World::new(plan);
    let settings = Settings { lossy: true, ..Settings::MODERN };
    world.listen(origin(1), settings, echo);
    world
}

fn opened_in_groups(world: &mut Bare, count: u16) -> Vec<Key> {
    let settings = Settings { lossy: true, ..Settings::MODERN };
    let mut clients = Vec::new();
    for group in 0..count / 500 {
        let from = group * 500;
        let new: Vec<Key> =
            (from..from + 500).map(|number| world.client(number, settings, idle())).collect();
        say(world, &new, 100, secs(5));
        clients.extend(new);
    }
    clients
}

#[test]
fn more_connections_are_open_than_can_be_awake() {
    let mut world = crowd(6000);
    // Faster than they would fall asleep by themselves.
    let start = world.now;
    let clients = opened_in_groups(&mut world, 6000);
    assert!(world.now - start < DORMANT_AFTER, "took {:?}", world.now - start);
    let asleep = world.edge.worker().asleep();
    assert!((6000 - AWAKE_PAIRS_MIN..6000).contains(&asleep), "{asleep} sleep");
    assert!(!world.edge.worker().is_accepting(0), "that is all that the service takes");
    // All of them speak at once.
    say(&mut world, &clients, 200, secs(5));
    world.run_for(3 * DORMANT_AFTER);
    assert_asleep(&world, 6000);
    end(&mut world, &clients);
    assert_eq!(world.finish().service.accepted, 6000);
}

#[test]
fn a_stop_resets_all_that_sleep() {
    let mut world = crowd(5000);
    opened_in_groups(&mut world, 5000);
    world.run_for(3 * DORMANT_AFTER);
    assert_asleep(&world, 5000);
    let (_, hosts) = stop(world);
    for side in &hosts.0 {
        let told = side.peers.values().filter(|peer| peer.status == Status::Reset);
        assert_eq!(told.count(), 5000);
    }
}
