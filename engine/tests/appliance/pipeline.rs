//! Devices and workers on cores of their own, which turn in an order that follows from the seed.

use std::time::Duration;

use ringroad_engine::limits::{HOP_RX_ENTRIES, HOP_RX_FOR_KNOWN};
use ringroad_engine::port::sim::{self, Completion};
use ringroad_engine::shield::Rates;
use ringroad_engine::stage::Gate;
use ringroad_engine::telemetry::{DropReason, Measure, Recorders, Snapshot};
use ringroad_simulation::faults::stop;

use crate::apps::{echo, idle, respond, send, send_then_wait};
use crate::peer::{Settings, Status};
use crate::rig::{
    CLIENTS, Listener, ORIGINS, Plan, Wire, World, ms, origin, pattern, secs, seeds, service,
};

fn plan(seed: u64, workers: u8) -> Plan {
    Plan { workers, ..Plan::new(seed) }
}

#[test]
fn payload_crosses_whole_and_every_frame_comes_home() {
    for seed in seeds(6) {
        for workers in 1..=3 {
            let mut world = World::new(plan(seed, workers));
            world.listen(origin(1), Settings::MODERN, echo);
            let clients: Vec<_> = (0..20)
                .map(|n| {
                    world.client(n, Settings::MODERN, send_then_wait(pattern(n.into(), 60_000)))
                })
                .collect();
            world.run_until(secs(20), |world| {
                clients.iter().all(|key| world.peer(*key).received.len() == 60_000)
            });
            for (key, n) in clients.iter().zip(0..) {
                assert!(world.peer(*key).received == pattern(n, 60_000), "client {n}");
            }
            let busy = world.edge.workers().filter(|worker| worker.active() > 0).count();
            assert_eq!(busy, usize::from(workers), "each has some of twenty connections");
            let (last, _) = stop(world);
            assert!(last.services[0].segments_zero_copy > 500, "{:?}", last.services[0]);
        }
    }
}

#[test]
fn connections_end_and_leave_nothing_behind() {
    for seed in seeds(4) {
        let mut world = World::new(plan(seed, 2));
        world.listen(origin(1), Settings::MODERN, || respond(100, pattern(1, 30_000)));
        for n in 0..30 {
            world.client(n, Settings::MODERN, send(pattern(2, 100)));
        }
        world.run_to_the_end(secs(20));
        let ended = world.finish();
        assert_eq!(ended.service.accepted, 30);
    }
}

#[test]
fn a_device_that_keeps_what_it_sends_is_waited_for() {
    let mut plan = plan(1, 2);
    plan.device =
        sim::Settings { tx_entries: 16, completion: Completion::AfterFlushes(7), ..plan.device };
    let mut world = World::new(plan);
    world.listen(origin(1), Settings::MODERN, echo);
    let key = world.client(1, Settings::MODERN, send_then_wait(pattern(1, 300_000)));
    world.run_until(secs(20), |world| world.peer(key).received.len() == 300_000);
    stop(world);
}

/// A worker of these may hold 48 frames, and 64 come in a burst.
#[test]
fn a_burst_of_more_packets_than_may_be_held_is_not_in_its_own_way() {
    let mut world = World::new(Plan { frames: 705, ..plan(1, 3) });
    let of_small = Settings { segment_max: 100, ..Settings::MODERN };
    world.listen(origin(1), of_small, || respond(100, pattern(2, 12_000)));
    let client = world.client(1, Settings::MODERN, send(pattern(1, 100)));
    world.run_to_the_end(secs(20));
    assert_eq!(world.peer(client).received, pattern(2, 12_000));
    let ledger = world.finish().ledger;
    assert_eq!(ledger.refused.iter().sum::<u64>(), 0, "small packets are put together: {ledger:?}");
}

#[test]
fn a_worker_that_stands_still_costs_the_others_nothing() {
    let mut world = World::behind_twin(plan(3, 2), Rates::default());
    world.listen(origin(1), Settings::MODERN, echo);
    let clients: Vec<_> = (0..16)
        .map(|n| world.client(n, Settings::MODERN, send_then_wait(pattern(n.into(), 2_000))))
        .collect();
    let done = |world: &mut World<_, _>| {
        clients.iter().filter(|key| world.peer(**key).received.len() == 2_000).count()
    };
    world.run_until(secs(5), |world| done(world) == 16);
    let until = world.now + secs(3);
    world.edge.stall(0, world.now..until);
    world.run_for(ms(300));

    // What is new is Linux's by now, whose worker it would ever have been.
    let accepted = world.counters().accepted;
    for n in 100..110 {
        world.client(n, Settings::MODERN, send(pattern(1, 10)));
    }
    world.run_for(ms(100));
    assert_eq!(world.counters().accepted, accepted);
    let mut snapshot = Snapshot::new(1, 2);
    world.edge.fill(&mut snapshot);
    assert!(snapshot.services[0].fell_back >= 10, "{:?}", snapshot.services[0]);

    // Those that the other worker has go on.
    let of_other = world.edge.workers().nth(1).map_or(0, |worker| worker.active());
    assert!(of_other > 0);

    // It wakes up, and takes new ones again.
    world.run_until(secs(10), |world| world.now > until);
    world.run_for(ms(50));
    let key = world.client(200, Settings::MODERN, send_then_wait(pattern(7, 500)));
    world.run_until(secs(10), |world| world.peer(key).received.len() == 500);
    let (last, hosts) = stop(world);
    last.ledger.assert_balanced();
    assert!(hosts.0[ORIGINS].peers.values().all(|peer| peer.status == Status::Reset));
}

/// The SYN waits for the worker; the same SYN once more is Linux's, as the worker stands still.
#[test]
fn a_connection_that_linux_took_meanwhile_is_not_taken_by_a_worker_that_wakes() {
    let mut world = World::behind_twin(plan(5, 1), Rates::default());
    world.listen(origin(1), Settings::MODERN, echo);
    let listener = Listener::Accept(Settings::MODERN, Box::new(echo));
    world.hosts.1[CLIENTS].listeners.insert(service(), listener);
    let until = world.now + secs(1);
    world.edge.stall(0, world.now..until);
    let key = world.client(1, Settings::MODERN, idle());
    world.run_until(secs(1), |world| world.peer(key).status == Status::Open);
    assert!(world.now < until, "by Linux");
    world.run_until(secs(2), |world| world.now > until + ms(50));
    let peer = world.peer(key);
    peer.write(&pattern(1, 50_000));
    peer.finish();
    world.run_to_the_end(secs(10));
    assert_eq!(world.peer(key).status, Status::Finished);
    assert_eq!(world.peer(key).received, pattern(1, 50_000));
    let ended = world.finish();
    assert_eq!(ended.service.accepted, 0);
    assert_eq!(ended.ledger.dropped[DropReason::WorkerBehind as usize], 1, "its first SYN");
}

#[test]
fn a_worker_that_falls_behind_is_sent_what_its_ring_holds_and_no_more() {
    let mut world = World::new(plan(4, 1));
    world.listen(origin(1), Settings::MODERN, echo);
    let key = world.client(1, Settings::MODERN, send_then_wait(pattern(1, 1_000)));
    world.run_until(secs(5), |world| world.peer(key).received.len() == 1_000);
    let until = world.now + ms(90);
    world.edge.stall(0, world.now..until);
    // New connections, as far as there is room for more than those.
    for n in 0..HOP_RX_ENTRIES as u16 {
        let from = ([203, 0, 113, (n >> 8) as u8 + 1], 1024 + n).into();
        world.client_at((from, service()), None, Settings::MODERN, send(pattern(1, 10)));
    }
    world.run_for(ms(80));
    let mut snapshot = Snapshot::new(1, 2);
    world.edge.fill(&mut snapshot);
    let dropped = snapshot.ledger.dropped[DropReason::WorkerBehind as usize];
    assert!(dropped >= HOP_RX_FOR_KNOWN as u64 - 1, "{dropped}: room is left for who is known");
    world.run_for(secs(5));
    stop(world);
}

/// The longest wait in a worker's rx ring, and the longest that payload was inside.
fn longest(world: &mut World<impl Wire, impl Gate>) -> (Duration, Duration) {
    let mut snapshot = Snapshot::new(1, 2).with_recorders(Recorders::new());
    world.edge.fill(&mut snapshot);
    let [io, worker] = &snapshot.recorders[..] else { panic!("{:?}", snapshot.recorders) };
    let longest = |core: &Recorders, measure| {
        let histogram = core.histogram(measure).expect("all cores record");
        assert!(!histogram.is_empty(), "{core:?}");
        Duration::from_nanos(histogram.max())
    };
    longest(io, Measure::RingWaitTx);
    (longest(worker, Measure::RingWaitRx), longest(worker, Measure::Inside))
}

#[test]
fn what_waits_for_a_worker_is_seen_to_wait_and_counts_as_time_inside() {
    let mut world = World::new(plan(5, 1));
    world.listen(origin(1), Settings::MODERN, echo);
    let key = world.client(1, Settings::MODERN, send_then_wait(pattern(1, 3_000_000)));
    world.run_until(secs(20), |world| world.peer(key).received.len() > 100_000);
    let (waited, _) = longest(&mut world);
    assert!(waited < ms(1), "{waited:?}: everybody turns in every round");

    let stall = ms(80);
    let until = world.now + stall;
    world.edge.stall(0, world.now..until);
    world.run_until(secs(20), |world| world.peer(key).received.len() == 3_000_000);
    let (waited, inside) = longest(&mut world);
    // A bucket of the histogram is a tenth wide.
    assert!((stall * 8 / 10..stall * 11 / 10).contains(&waited), "{waited:?}");
    assert!(inside >= waited * 9 / 10, "{inside:?} inside, of it {waited:?} in the ring");
    stop(world);
}
