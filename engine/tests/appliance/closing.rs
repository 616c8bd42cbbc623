//! Connections that end otherwise than in good order.

use crate::apps::{idle, respond, send, send_then_wait};
use crate::packet::{ACK, RST, SYN};
use crate::peer::{Settings, Status};
use crate::rig::{CLIENTS, Listener, ORIGINS, Plan, World, ms, origin, pattern, secs, seed};

#[test]
fn a_reset_in_the_middle_crosses_in_either_direction() {
    for by_client in [true, false] {
        let mut world = World::new(Plan::new(seed()));
        world.listen(origin(1), Settings::MODERN, || send(pattern(2, 3_000_000)));
        let client = world.client(1, Settings::MODERN, send(pattern(1, 3_000_000)));
        world.run_until(secs(5), |world| world.peer(client).received.len() > 500_000);
        if by_client {
            world.peer(client).abort();
        } else {
            world.origin_peers()[0].abort();
        }
        world.run_to_the_end(secs(5));
        let ends = [world.peer(client).status, world.origin_peers()[0].status];
        let expected = match by_client {
            true => [Status::Aborted, Status::Reset],
            false => [Status::Reset, Status::Aborted],
        };
        assert_eq!(ends, expected);
        assert!(pattern(2, 3_000_000).starts_with(&world.peer(client).received));
        assert!(pattern(1, 3_000_000).starts_with(&world.origin_peers()[0].received));
        world.finish();
    }
}

#[test]
fn the_next_origin_is_tried_when_one_refuses() {
    let mut world = World::new(Plan::new(seed()).origins(3));
    world.hosts.0[ORIGINS].listeners.insert(origin(1), Listener::Refuse);
    world.hosts.0[ORIGINS].listeners.insert(origin(2), Listener::Refuse);
    world.listen(origin(3), Settings::MODERN, || respond(100, pattern(2, 700)));
    for n in 0..3 {
        let client = world.client(n, Settings::MODERN, send(pattern(1, 100)));
        world.run_to_the_end(secs(1));
        assert_eq!(world.peer(client).received, pattern(2, 700), "client {n}");
        assert_eq!(world.peer(client).status, Status::Finished);
    }
    // Round robin: the first has to try all three, the second two of them, the third one.
    assert_eq!(world.hosts.0[ORIGINS].stats.syns, 3 + 2 + 1);
    assert_eq!(world.finish().service.refused, 0);
}

#[test]
fn the_next_origin_is_tried_when_one_does_not_answer() {
    let mut world = World::new(Plan::new(seed()).origins(2));
    world.hosts.0[ORIGINS].listeners.insert(origin(1), Listener::Silent);
    world.listen(origin(2), Settings::MODERN, || respond(100, pattern(2, 700)));
    let start = world.now;
    let client = world.client(1, Settings::MODERN, send(pattern(1, 100)));
    world.run_to_the_end(secs(10));
    assert_eq!(world.peer(client).received, pattern(2, 700));
    let took = world.now - start;
    assert!((secs(3)..ms(3500)).contains(&took), "the connect timeout is 3 s, took {took:?}");
    world.finish();
}

#[test]
fn without_an_origin_the_client_is_reset() {
    for silent in [true, false] {
        let mut world = World::new(Plan::new(seed()).origins(3));
        for n in 1..=3 {
            let listener = if silent { Listener::Silent } else { Listener::Refuse };
            world.hosts.0[ORIGINS].listeners.insert(origin(n), listener);
        }
        let client = world.client(1, Settings::MODERN, send(pattern(1, 5000)));
        let start = world.now;
        world.run_to_the_end(secs(20));
        assert_eq!(world.peer(client).status, Status::Reset);
        let took = world.now - start;
        assert!(took < if silent { ms(9500) } else { ms(50) }, "{took:?}");
        let ended = world.finish();
        assert_eq!((ended.service.accepted, ended.service.refused), (1, 1));
    }
}

#[test]
fn a_client_that_vanishes_is_let_go_of() {
    for with_data in [true, false] {
        let mut world = World::new(Plan::new(seed()));
        world.listen(origin(1), Settings::MODERN, move || match with_data {
            true => send(pattern(2, 3_000_000)),
            false => send_then_wait(pattern(2, 100)),
        });
        let client = world.client(1, Settings::MODERN, idle());
        world.run_until(secs(5), |world| world.peer(client).received.len() >= 100);
        world.hosts.0[CLIENTS].vanished = true;
        world.hosts.0[CLIENTS].peers.clear();
        let start = world.now;
        world.run_to_the_end(secs(70));
        let took = world.now - start;
        assert!((secs(59)..secs(62)).contains(&took), "the idle timeout is 60 s, took {took:?}");
        assert_eq!(world.origin_peers()[0].status, Status::Reset);
        world.finish();
    }
}

#[test]
fn a_client_that_reads_slowly_is_not_taken_for_idle() {
    for origin_stays in [true, false] {
        let mut plan = Plan::new(seed());
        plan.service.idle_timeout = secs(10);
        let mut world = World::new(plan);
        world.listen(origin(1), Settings::MODERN, move || match origin_stays {
            true => send_then_wait(pattern(2, 80_000)),
            false => send(pattern(2, 80_000)),
        });
        let slow = Settings { buffer: 16_000, scale: None, ..Settings::MODERN };
        let client = world.client(1, slow, send(b"please".to_vec()));
        world.peer(client).paused = true;
        // All that the origin has to say has crossed long before the idle timeout of 10 s.
        world.run_for(secs(2));
        assert_eq!(world.origin_peers()[0].unacknowledged(), 0);
        while !world.peer(client).is_over() {
            // A buffer's worth at a time: some 25 seconds for all of it.
            world.peer(client).paused = false;
            world.hosts.turn(world.now);
            world.peer(client).paused = true;
            world.run_for(secs(5));
            assert_ne!(world.peer(client).status, Status::Reset);
        }
        assert!(world.peer(client).received == pattern(2, 80_000));
        world.finish();
    }
}

#[test]
fn handshakes_that_are_never_completed_end() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, idle);
    for n in 0..500 {
        world.client(n, Settings::MODERN, idle());
    }
    world.hosts.turn(world.now);
    world.hosts.0[CLIENTS].vanished = true;
    world.hosts.0[CLIENTS].peers.clear();
    world.run_until(secs(1), |world| world.counters().accepted == 500);
    assert_eq!(world.edge.worker().active(), 500);
    world.run_until(secs(70), |world| world.edge.worker().active() == 0);
    assert_eq!(world.hosts.0[ORIGINS].stats.syns, 0, "no origin hears of them");
    // There is room for others.
    world.hosts.0[CLIENTS].vanished = false;
    let client = world.client(7, Settings::MODERN, send(pattern(1, 10)));
    world.run_until(secs(2), |world| world.counters().to_origin_octets == 10);
    world.peer(client).abort();
    world.run_to_the_end(secs(2));
    world.finish();
}

#[test]
fn stray_segments_are_answered_as_the_rfc_says() {
    let mut world = World::new(Plan::new(seed()));
    let client = world.client(1, Settings::MODERN, idle());
    world.hosts.0[CLIENTS].turn(world.now);
    world.run_for(ms(1));
    // What the engine knows nothing of is reset, but for resets.
    let syn = crate::packet::Segment::parse(&world.hosts.0[CLIENTS].sent[0]).unwrap();
    let before = world.hosts.0[CLIENTS].stats;
    for (flags, resets) in [(ACK, 1), (SYN | ACK, 2), (RST, 2), (RST | ACK, 2)] {
        let mut stray = syn.clone();
        stray.source.set_port(9);
        (stray.flags, stray.ack) = (flags, if flags & ACK == 0 { 0 } else { 12_345 });
        world.hosts.0[CLIENTS].cable.send(&stray.build());
        world.run_for(ms(1));
        assert_eq!(world.hosts.0[CLIENTS].stats.resets - before.resets, resets, "{flags:#x}");
    }
    world.peer(client).abort();
    world.run_to_the_end(secs(2));
    world.finish();
}
