//! Events: what workers tell of clients that they do not serve and origins that do not answer.

use std::net::SocketAddr;

use ringroad_engine::limits::{EVENTS_PER_WINDOW, EVENTS_WINDOW, ORIGIN_DOWN_AFTER};
use ringroad_engine::port::sim::SimPort;
use ringroad_engine::proxy::Fallback;
use ringroad_engine::stage::Command;
use ringroad_engine::telemetry::events::{Event, EventKind, EventReader, events};
use ringroad_engine::telemetry::{OriginCounters, Snapshot};

use crate::apps::{echo, idle, send};
use crate::peer::Settings;
use crate::rig::{Plan, World, ms, origin, pattern, secs, seed};

/// Has the one worker of `world` tell its events.
fn listen_to(world: &mut World<SimPort>) -> EventReader {
    let (teller, reader) = events();
    let commands = world.edge.commands()[0].clone();
    commands.send(Command::Events(teller)).expect("room for a command");
    world.edge.obey();
    reader
}

fn told(reader: &mut EventReader) -> Vec<Event> {
    std::iter::from_fn(|| reader.take()).collect()
}

fn counted_of_origin(world: &mut World<SimPort>) -> OriginCounters {
    let mut snapshot = Snapshot::new(1, 2).with_paths(2);
    world.edge.fill(&mut snapshot);
    snapshot.origins[0]
}

#[test]
fn an_origin_goes_down_and_comes_up_once() {
    let mut world = World::new(Plan::new(seed()));
    let mut reader = listen_to(&mut world);
    // Nobody listens there: handshakes are refused.
    for number in 0..2 * ORIGIN_DOWN_AFTER as u16 {
        world.client(number, Settings::MODERN, send(pattern(1, 100)));
        world.run_for(ms(100));
    }
    world.run_to_the_end(secs(5));
    let failed = told(&mut reader);
    let down: Vec<_> = failed.iter().filter(|event| event.kind == EventKind::OriginDown).collect();
    let [down] = down[..] else { panic!("{failed:?}") };
    let details = down.details.expect("which origin");
    assert_eq!((down.count, details.service, details.origin), (ORIGIN_DOWN_AFTER, 0, Some(0)));
    assert_eq!(details.reason, "refused");
    let refused = failed.iter().filter(|event| event.kind == EventKind::Refused);
    let reasons: Vec<_> =
        refused.filter_map(|event| event.details.map(|details| details.reason)).collect();
    assert_eq!(reasons, vec!["no_origin"; EVENTS_PER_WINDOW as usize]);
    let counted = counted_of_origin(&mut world);
    assert_eq!((counted.opened, counted.failed), (0, 2 * u64::from(ORIGIN_DOWN_AFTER)));
    assert!(counted.is_down());

    world.listen(origin(1), Settings::MODERN, echo);
    for number in 100..103 {
        world.client(number, Settings::MODERN, send(pattern(1, 100)));
    }
    world.run_to_the_end(secs(5));
    let up: Vec<_> =
        told(&mut reader).into_iter().filter(|event| event.details.is_some()).collect();
    let [up] = &up[..] else { panic!("{up:?}") };
    assert_eq!((up.kind, up.count), (EventKind::OriginUp, 2 * ORIGIN_DOWN_AFTER));
    let counted = counted_of_origin(&mut world);
    assert_eq!((counted.active, counted.opened), (0, 3));
    assert!(!counted.is_down());
    world.finish();
}

#[test]
fn who_is_turned_away_is_told_of_with_the_reason_and_of_a_flood_the_number() {
    for (fallback, kind) in
        [(Fallback::Kernel, EventKind::FellBack), (Fallback::Reset, EventKind::Refused)]
    {
        let mut plan = Plan::new(seed());
        plan.service.max_connections = 1;
        plan.service.fallback = fallback;
        let mut world = World::new(plan);
        world.listen(origin(1), Settings::MODERN, echo);
        let mut reader = listen_to(&mut world);
        let open = world.client(0, Settings::MODERN, idle());
        world.run_until(secs(1), |world| world.counters().active == 1);
        assert_eq!(told(&mut reader), [], "nothing has happened");

        let clients: Vec<SocketAddr> =
            (1..=50).map(|number| world.client(number, Settings::MODERN, idle()).0).collect();
        world.run_for(ms(10));
        let single = told(&mut reader);
        assert_eq!(single.len(), EVENTS_PER_WINDOW as usize);
        for event in &single {
            let details = event.details.expect("of whom");
            assert_eq!((event.kind, event.count, details.reason), (kind, 1, "max_connections"));
            assert!(clients.contains(&details.client.expect("a client")));
        }
        world.run_for(EVENTS_WINDOW);
        let more = told(&mut reader);
        let first = more.first().expect("how many more there were");
        assert_eq!((first.kind, first.details), (kind, None));
        assert!(first.count >= 50 - EVENTS_PER_WINDOW, "{first:?}");
        for client in clients {
            let key = (client, crate::rig::service());
            world.peer(key).abort();
        }
        world.peer(open).abort();
        world.run_to_the_end(secs(5));
        world.finish();
    }
}
