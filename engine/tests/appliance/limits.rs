//! What happens at bounds: connections, frames, devices, ports; and at the end.

use ringroad_engine::port::sim::{self, Completion};
use ringroad_engine::proxy::Fallback;
use ringroad_simulation::faults::stop;

use crate::apps::{echo, idle, respond, send, send_then_wait};
use crate::peer::{Peer, Settings, Status};
use crate::rig::{CLIENTS, ORIGINS, Plan, World, ms, origin, pattern, secs, seed};

#[test]
fn connections_beyond_the_limit_get_what_the_fallback_says() {
    for fallback in [Fallback::Kernel, Fallback::Reset, Fallback::Drop] {
        let mut plan = Plan::new(seed());
        plan.service.max_connections = 2;
        plan.service.fallback = fallback;
        let mut world = World::new(plan);
        world.listen(origin(1), Settings::MODERN, echo);
        let open = [0, 1].map(|n| world.client(n, Settings::MODERN, idle()));
        world.run_until(secs(1), |world| world.counters().active == 2);
        let third = world.client(2, Settings::MODERN, send(pattern(1, 100)));
        world.run_for(ms(200));
        let counters = world.counters();
        match fallback {
            Fallback::Kernel => {
                assert_eq!(world.peer(third).status, Status::SynSent);
                assert_eq!((counters.fell_back, counters.refused), (1, 0));
            }
            Fallback::Reset => {
                assert_eq!(world.peer(third).status, Status::Refused);
                assert_eq!((counters.fell_back, counters.refused), (0, 1));
            }
            Fallback::Drop => {
                assert_eq!(world.peer(third).status, Status::SynSent);
                assert_eq!((counters.fell_back, counters.refused), (0, 1));
            }
        }
        // Where it was not told off, it gets in when there is room.
        world.peer(open[0]).abort();
        world.run_for(secs(2));
        if fallback != Fallback::Reset {
            assert_eq!(world.peer(third).received, pattern(1, 100));
        }
        world.peer(open[1]).abort();
        world.run_to_the_end(secs(5));
        world.finish();
    }
}

#[test]
fn a_drain_lets_go_on_what_is_open_and_takes_nothing_new() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, || send_then_wait(pattern(2, 1_000_000)));
    let open = world.client(1, Settings::MODERN, send_then_wait(pattern(1, 1_000_000)));
    world.run_until(secs(1), |world| world.peer(open).received.len() > 100_000);
    assert!(world.edge.worker().is_accepting(0));
    world.drain();
    assert!(!world.edge.worker().is_accepting(0));
    let late = world.client(2, Settings::MODERN, idle());
    world.run_until(secs(5), |world| world.peer(open).received.len() == 1_000_000);
    assert_eq!(world.peer(late).status, Status::SynSent);
    world.peer(late).abort();
    world.peer(open).abort();
    world.run_to_the_end(secs(5));
    let ended = world.finish();
    assert_eq!(ended.service.accepted, 1);
}

#[test]
fn a_stop_resets_what_is_open_and_gives_every_frame_back() {
    // With a device that has room, and with one that takes a few packets at a time.
    for tx_entries in [2048, 4] {
        let mut plan = Plan::new(seed());
        plan.frames = 16_384;
        plan.device =
            sim::Settings { tx_entries, completion: Completion::AfterFlushes(1), ..plan.device };
        let mut world = World::new(plan);
        world.listen(origin(1), Settings::MODERN, || send(pattern(2, 2_000_000)));
        for n in 0..20 {
            world.client(n, Settings::MODERN, send(pattern(1, 2_000_000)));
        }
        world.run_until(secs(20), |world| {
            let origins = world.origin_peers();
            origins.len() == 20 && origins.iter().all(|peer| peer.received.len() > 10_000)
        });
        assert!(!world.hosts.0.iter().any(|side| side.peers.values().any(Peer::is_over)));
        assert!(world.edge.worker().pool.held_count() > 100, "in the middle of it");
        let (_, hosts) = stop(world);
        for (name, side) in ["client", "origin"].iter().zip(&hosts.0) {
            let left = side.peers.values().filter(|peer| peer.status != Status::Reset).count();
            assert_eq!(left, 0, "{name}s that were not told, tx_entries {tx_entries}");
        }
    }
}

#[test]
fn a_pool_that_is_too_small_slows_down_and_recovers() {
    let mut plan = Plan::new(seed());
    // Of these the devices keep 256 for themselves.
    plan.frames = 400;
    plan.service.idle_timeout = secs(600);
    let mut world = World::new(plan);
    let settings = Settings { lossy: true, ..Settings::MODERN };
    world.listen(origin(1), settings, echo);
    let clients: Vec<_> = (0..60)
        .map(|n| world.client(n, settings, send_then_wait(pattern(n.into(), 60_000))))
        .collect();
    let all = clients.clone();
    world.run_until(secs(100), |world| {
        all.iter().all(|client| world.peer(*client).received.len() == 60_000)
    });
    for (n, client) in clients.into_iter().enumerate() {
        assert!(world.peer(client).received == pattern(n as u64, 60_000), "client {n}");
        world.peer(client).finish();
    }
    world.run_to_the_end(secs(100));
    let ledger = world.finish().ledger;
    assert!(ledger.drops().any(|(name, _)| name == "tcp_frames_scarce"), "it was never short");
}

#[test]
fn gaps_that_are_never_filled_do_not_take_the_frames_of_others() {
    let mut plan = Plan::new(seed());
    plan.frames = 600;
    let mut world = World::new(plan);
    world.listen(origin(1), Settings::MODERN, echo);
    let greedy: Vec<_> = (0..20).map(|n| world.client(n, Settings::MODERN, idle())).collect();
    world.run_until(secs(1), |world| world.origin_peers().len() == 20);
    for ahead in 1..=40 {
        for client in &greedy {
            let now = world.now;
            let segment = world.peer(*client).segment_ahead(now, ahead * 1500, pattern(7, 1000));
            world.hosts.0[CLIENTS].cable.send(&segment.build());
        }
        world.run_for(ms(1));
    }
    let held = world.edge.worker().ledger().held;
    assert!((200..300).contains(&held), "they hold all they can get: {held} of 800");
    let settings = Settings { lossy: true, ..Settings::MODERN };
    let honest = world.client(100, settings, send(pattern(1, 300_000)));
    world.run_until(secs(20), |world| world.peer(honest).is_over());
    assert!(world.peer(honest).received == pattern(1, 300_000));
    for client in greedy {
        world.peer(client).abort();
    }
    world.run_to_the_end(secs(5));
    world.finish();
}

#[test]
fn a_device_that_takes_little_at_a_time_loses_nothing() {
    for completion in [Completion::AfterFlushes(3), Completion::AfterFlushes(0)] {
        let mut plan = Plan::new(seed());
        plan.device = sim::Settings { tx_entries: 4, completion, ..plan.device };
        let mut world = World::new(plan);
        world.listen(origin(1), Settings::MODERN, || send_then_wait(pattern(2, 400_000)));
        let clients: Vec<_> = (0..8)
            .map(|n| world.client(n, Settings::MODERN, send(pattern(n.into(), 300_000))))
            .collect();
        world.run_to_the_end(secs(200));
        for client in clients {
            assert!(world.peer(client).received == pattern(2, 400_000));
            assert_eq!(world.peer(client).status, Status::Finished);
        }
        assert_eq!(world.origin_peers().len(), 8);
        world.finish();
    }
}

#[test]
fn a_device_that_completes_nothing_for_a_while_is_waited_for() {
    let mut plan = Plan::new(seed());
    plan.device = sim::Settings { completion: Completion::OnRequest, ..plan.device };
    let mut world = World::new(plan);
    let settings = Settings { lossy: true, ..Settings::MODERN };
    world.listen(origin(1), settings, || send_then_wait(pattern(2, 200_000)));
    let client = world.client(1, settings, send(pattern(1, 200_000)));
    // Retransmissions fall due while their frames are still on their way out.
    world.run_for(secs(3));
    for _ in 0..20_000 {
        if world.hosts.all_over() {
            break;
        }
        for side in &mut world.hosts.0 {
            side.cable.complete(3);
        }
        world.run_for(ms(2));
    }
    assert!(world.peer(client).received == pattern(2, 200_000));
    assert!(world.origin_peers()[0].received == pattern(1, 200_000));
    for side in &mut world.hosts.0 {
        side.cable.complete(10_000);
    }
    world.run_for(ms(10));
    world.finish();
}

#[test]
fn a_client_port_is_used_again_during_time_wait() {
    let mut world = World::new(Plan::new(seed()));
    // The origin closes first, so that our client leg is the one that waits.
    world.listen(origin(1), Settings::MODERN, || send(pattern(2, 100)));
    for round in 0..5 {
        let client = world.client(1, Settings::MODERN, send_then_wait(pattern(1, 10)));
        world.run_to_the_end(secs(5));
        assert_eq!(world.peer(client).status, Status::Finished, "round {round}");
        assert_eq!(world.peer(client).received, pattern(2, 100));
        world.run_for(ms(100));
    }
    assert_eq!(world.finish().service.accepted, 5);
}

#[test]
fn a_source_port_rests_a_second_before_it_is_used_again() {
    let mut plan = Plan::new(seed());
    plan.service.origins[0].source_ports = 20_000..=20_000;
    let mut world = World::new(plan);
    // The client closes first, so that our origin leg is the one that waits.
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 100)));
    let exchange = |world: &mut World<_>| {
        let client = world.client(1, Settings::MODERN, send(pattern(1, 100)));
        world.run_to_the_end(secs(5));
        let ended = world.peer(client).status;
        world.hosts.0[CLIENTS].peers.clear();
        ended
    };
    assert_eq!(exchange(&mut world), Status::Finished);
    assert_eq!(exchange(&mut world), Status::Reset, "too young, and there is no other port");
    world.run_for(ms(1100));
    assert_eq!(exchange(&mut world), Status::Finished);
    world.run_for(secs(61));
    assert_eq!(exchange(&mut world), Status::Finished);
    assert_eq!(world.hosts.0[ORIGINS].stats.syns, 3);
    world.finish();
}
