//! ECN on both legs: networks that mark, bleach, and drop what asks.

use ringroad_engine::tcp::EcnPolicy;

use crate::apps::{echo, send};
use crate::cookies::shield;
use crate::ecn::EcnStats;
use crate::peer::{Settings, Status};
use crate::rig::{CLIENTS, ORIGINS, Plan, World, origin, pattern, secs, seed};

const CAPABLE: Settings = Settings { ecn: true, ..Settings::MODERN };

fn asking() -> Plan {
    let mut plan = Plan::new(seed());
    plan.service.origin_leg.ecn = EcnPolicy::Ask;
    plan
}

#[test]
fn marks_on_one_leg_slow_that_leg_down_and_say_nothing_on_the_other() {
    for congested in [CLIENTS, ORIGINS] {
        let octets = pattern(1, 600_000);
        let mut world = World::new(asking());
        world.hosts.0[congested].treatment.marks_every = 40;
        world.listen(origin(1), CAPABLE, echo);
        let client = world.client(1, CAPABLE, send(octets.clone()));
        world.run_to_the_end(secs(60));
        assert!(world.peer(client).received == octets);
        let of_client = world.peer(client).ecn.stats;
        let of_origin = world.origin_peers()[0].ecn.stats;
        let (marked, calm) = match congested {
            CLIENTS => (of_client, of_origin),
            _ => (of_origin, of_client),
        };
        // The engine's payload was marked, so it reduced; the host's was, so it was echoed.
        assert!(marked.marked >= 5 && marked.reductions >= 3, "{marked:?}");
        assert!(marked.reductions <= marked.marked, "once for a window: {marked:?}");
        assert!(marked.echoes >= 5, "{marked:?}");
        let nothing = EcnStats { capable: calm.capable, ..EcnStats::default() };
        assert_eq!(calm, nothing, "no mark, echo or reduction crosses");
        assert!(calm.capable >= 400, "but all of its payload is capable");
        let counters = *world.edge.worker().tcp_counters();
        assert_eq!(counters.cwr_sent, marked.reductions);
        assert!(counters.ece_received > 0 && counters.ce_received >= 5, "{counters:?}");
        let ended = world.finish();
        assert_eq!(ended.service.segments_retransmitted, 0, "nothing was lost for it");
    }
}

#[test]
fn a_marked_path_is_used_less() {
    let time = |marks_every| {
        let mut world = World::new(asking());
        // What is in flight is bounded by the engine's window, and a round trip is long.
        world.hosts.0[CLIENTS].treatment.marks_every = marks_every;
        world.listen(origin(1), CAPABLE, || send(pattern(1, 3_000_000)));
        let client = world.client(1, CAPABLE, send(Vec::new()));
        let start = world.now;
        world.run_to_the_end(secs(60));
        assert_eq!(world.peer(client).received.len(), 3_000_000);
        let took = world.now - start;
        world.finish();
        took
    };
    let (free, congested) = (time(0), time(20));
    assert!(congested > free * 2, "{congested:?} with marks, {free:?} without");
}

#[test]
fn without_an_agreement_nothing_is_capable() {
    for (policy, of_origin) in [
        (EcnPolicy::Ask, Settings::MODERN),
        (EcnPolicy::Accept, CAPABLE),
        (EcnPolicy::Off, CAPABLE),
    ] {
        let mut plan = asking();
        plan.service.origin_leg.ecn = policy;
        plan.service.client_leg.ecn = EcnPolicy::Off;
        let mut world = World::new(plan);
        world.listen(origin(1), of_origin, echo);
        let client = world.client(1, CAPABLE, send(pattern(1, 50_000)));
        world.run_to_the_end(secs(10));
        assert_eq!(world.peer(client).received.len(), 50_000);
        assert!(!world.peer(client).ecn.agreed && !world.origin_peers()[0].ecn.agreed);
        world.finish();
    }
}

#[test]
fn a_path_that_bleaches_carries_all_the_same() {
    let octets = pattern(1, 300_000);
    let mut world = World::new(asking());
    for side in &mut world.hosts.0 {
        side.treatment.bleaches = true;
    }
    world.listen(origin(1), CAPABLE, echo);
    let client = world.client(1, CAPABLE, send(octets.clone()));
    world.run_to_the_end(secs(20));
    assert!(world.peer(client).received == octets);
    assert!(world.peer(client).ecn.agreed, "which nobody can know");
    assert_eq!(world.peer(client).ecn.stats, EcnStats::default());
    world.finish();
}

#[test]
fn an_origin_behind_a_box_that_drops_what_asks_is_reached_a_second_later() {
    let mut world = World::new(asking());
    world.hosts.0[ORIGINS].treatment.drops_setup = true;
    world.listen(origin(1), CAPABLE, echo);
    let client = world.client(1, CAPABLE, send(pattern(1, 1000)));
    let start = world.now;
    world.run_to_the_end(secs(10));
    assert_eq!(world.peer(client).received, pattern(1, 1000));
    assert_eq!(world.peer(client).status, Status::Finished);
    assert!(!world.origin_peers()[0].ecn.agreed, "RFC 3168 §6.1.1.1");
    assert!(world.now - start < secs(2));
    world.finish();
}

#[test]
fn what_a_cookie_has_agreed_to_holds() {
    for timestamps in [true, false] {
        let mut world = World::new(asking());
        shield(&mut world);
        world.hosts.0[CLIENTS].treatment.marks_every = 20;
        world.listen(origin(1), CAPABLE, echo);
        let settings = Settings { timestamps, ..CAPABLE };
        let client = world.client(1, settings, send(pattern(1, 200_000)));
        world.run_to_the_end(secs(20));
        assert!(world.peer(client).received == pattern(1, 200_000));
        let stats = world.peer(client).ecn.stats;
        assert_eq!(stats.reductions > 0, timestamps, "remembered with timestamps: {stats:?}");
        world.finish();
    }
}
