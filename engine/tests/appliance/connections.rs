//! Connections as operators see them, and what they tell of their paths.

use std::collections::BTreeSet;
use std::time::Duration;

use ringroad_engine::flow::FlowKey;
use ringroad_engine::limits::{CONNECTIONS_PER_PAGE, DORMANT_AFTER};
use ringroad_engine::port::impair;
use ringroad_engine::proxy::proxy_protocol::Version;
use ringroad_engine::proxy::{ConnectionView, LegView, Phase};
use ringroad_engine::stage::{Command, Gate, Page, Wanted};
use ringroad_engine::tcp::congestion::{Algorithm, CongestionPhase};
use ringroad_engine::tcp::{Limit, State};
use ringroad_engine::telemetry::{PathQuality, Quality, Seen, Snapshot};
use tokio::sync::oneshot;

use crate::apps::{echo, idle, send, send_then_wait};
use crate::peer::{Peer, Settings};
use crate::rig::{CLIENTS, Key, Plan, Wire, World, address, ms, origin, pattern, secs, seed};

/// All pages of all threads, as a reader gets them; `between` has its way with the world after each.
fn list<P: Wire, G: Gate>(
    world: &mut World<P, G>,
    wanted: Wanted,
    mut between: impl FnMut(&mut World<P, G>),
) -> Vec<Vec<ConnectionView>> {
    let mut pages = Vec::new();
    let mut page = Box::new(Page::new(wanted));
    for thread in 0..world.edge.commands().len() {
        page.rewind();
        while !page.is_last() {
            let (reply, mut answer) = oneshot::channel();
            let asked = Command::Connections(page, reply);
            assert!(world.edge.commands()[thread].send(asked).is_ok(), "no room for a command");
            world.edge.obey();
            page = answer.try_recv().expect("a thread answers in the turn in which it is asked");
            pages.push(page.views().to_vec());
            between(world);
        }
    }
    pages
}

fn all<P: Wire, G: Gate>(world: &mut World<P, G>, wanted: Wanted) -> Vec<ConnectionView> {
    list(world, wanted, |_| {}).concat()
}

#[track_caller]
fn only<P: Wire, G: Gate>(world: &mut World<P, G>) -> ConnectionView {
    let all = all(world, Wanted::default());
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}

fn client_of(view: &ConnectionView) -> FlowKey {
    view.legs[0].as_ref().expect("a client").key
}

fn octets(leg: &LegView) -> (u64, u64, u64) {
    (leg.sent_octets, leg.acknowledged_octets, leg.received_octets)
}

#[test]
fn both_legs_show_what_their_hosts_know() {
    for version in [None, Some(Version::V1)] {
        let mut plan = Plan { workers: 2, ..Plan::new(seed()) };
        plan.service.proxy_protocol = version;
        plan.service.client_leg.congestion = Algorithm::Bbr;
        let mut world = World::new(plan);
        world.listen(origin(1), Settings::MODERN, || send_then_wait(pattern(2, 300_000)));
        let key = world.client(1, Settings::MODERN, send_then_wait(pattern(1, 70_000)));
        world.run_until(secs(5), |world| world.peer(key).received.len() == 300_000);
        world.peer(key).paused = true;
        world.run_for(ms(300));
        let greeting = world.origin_peers()[0].received.len() as u64 - 70_000;
        assert_eq!(greeting > 0, version.is_some());

        let view = only(&mut world);
        assert_eq!((view.service, view.origin, view.phase), (0, 0, Phase::Open));
        assert!(!view.dormant && view.age > view.idle && view.idle >= ms(200), "{view:?}");
        let [Some(client), Some(server)] = view.legs else { panic!("{view:?}") };
        assert_eq!((client.key.remote(), client.key.local()), key);
        assert_eq!(server.key.remote(), origin(1));
        assert_eq!(octets(&client), (300_000, 300_000, 70_000));
        assert_eq!(octets(&server), (70_000 + greeting, 70_000 + greeting, 300_000));
        for leg in [&client, &server] {
            let tcp = &leg.tcp;
            assert_eq!((tcp.state, tcp.mss, tcp.path_mss), (State::Established, 1448, 1460));
            assert_eq!(
                (tcp.agreed.sack, tcp.agreed.timestamps, tcp.agreed.ecn),
                (true, true, false)
            );
            assert_eq!(tcp.agreed.window_scales.map(|(theirs, _)| theirs), Settings::MODERN.scale);
            assert_eq!((tcp.queued_octets, tcp.queued_frames, tcp.received_frames), (0, 0, 0));
            assert_eq!((tcp.limited_by, tcp.round_trip.retries), (Limit::Application, 0));
            assert!(tcp.round_trip.smoothed < Some(ms(50)), "{leg:?}");
            assert!(leg.lost_octets == 0 && leg.retransmitted == 0, "{leg:?}");
        }
        assert_eq!(client.tcp.congestion.algorithm, "bbr");
        assert!(client.tcp.congestion.delivery_rate.is_some(), "{client:?}");
        assert_eq!(server.tcp.congestion.algorithm, "cubic");
        assert_eq!(server.tcp.congestion.phase, CongestionPhase::SlowStart);

        // Asleep it shows the same, but for what rests.
        world.run_for(2 * DORMANT_AFTER);
        let asleep = only(&mut world);
        assert!(asleep.dormant && asleep.age > view.age + DORMANT_AFTER, "{asleep:?}");
        assert_eq!(world.edge.workers().map(|worker| worker.asleep()).sum::<usize>(), 1);
        for (before, after) in view.legs.iter().flatten().zip(asleep.legs.iter().flatten()) {
            assert_eq!((before.key, octets(before)), (after.key, octets(after)));
            assert_eq!(before.tcp.round_trip.smoothed, after.tcp.round_trip.smoothed);
            assert!(after.tcp.since_received > before.tcp.since_received);
            assert!(after.samples > 0 && after.samples >= before.samples);
        }
        world.hosts.0[CLIENTS].peers.values_mut().for_each(Peer::abort);
        world.run_to_the_end(secs(5));
        world.finish();
    }
}

#[test]
fn what_keeps_a_leg_from_sending_is_said() {
    let mut world = World::impaired(
        Plan::new(seed()),
        [
            impair::Settings { delay: ms(50), ..impair::Settings::default() },
            impair::Settings::default(),
        ],
    );
    world.listen(origin(1), Settings::MODERN, || send(pattern(2, 3_000_000)));
    let key = world.client(1, Settings::MODERN, idle());
    world.run_until(secs(2), |world| world.peer(key).received.len() > 20_000);
    let client = only(&mut world).legs[0].unwrap();
    assert_eq!(client.tcp.limited_by, Limit::CongestionWindow, "{client:?}");
    assert!(client.tcp.congestion.in_flight_octets > 0 && client.tcp.queued_frames > 10);
    assert!(client.tcp.timers.retransmission.is_some());
    assert!(client.sent_octets > client.acknowledged_octets);
    // The reader stops.
    world.peer(key).paused = true;
    world.run_for(secs(3));
    let client = only(&mut world).legs[0].unwrap();
    assert_eq!((client.tcp.limited_by, client.tcp.send_window_octets), (Limit::ReceiveWindow, 0));
    // And is gone with its host.
    world.peer(key).paused = false;
    world.run_for(ms(200));
    world.hosts.0[CLIENTS].vanished = true;
    world.hosts.0[CLIENTS].peers.clear();
    world.run_for(secs(4));
    let client = only(&mut world).legs[0].unwrap();
    assert!(client.tcp.round_trip.retries > 1 && client.retransmitted > 1, "{client:?}");
    assert_eq!(client.tcp.congestion.phase, CongestionPhase::TimeoutRecovery);
    assert!(client.tcp.round_trip.timeout > Duration::from_millis(400));
    world.edge.tell(|| Command::Drain);
    world.run_to_the_end(secs(600));
    world.finish();
}

/// Clients with an open connection each, over which something has gone.
fn opened<P: Wire, G: Gate>(world: &mut World<P, G>, count: u16) -> Vec<Key> {
    let clients: Vec<_> =
        (0..count).map(|number| world.client(number, Settings::MODERN, idle())).collect();
    speak(world, &clients);
    clients
}

fn speak<P: Wire, G: Gate>(world: &mut World<P, G>, clients: &[Key]) {
    let before: Vec<_> = clients.iter().map(|key| world.peer(*key).received.len()).collect();
    clients.iter().for_each(|key| world.peer(*key).write(b"hear, hear"));
    world.run_until(secs(5), |world| {
        clients.iter().zip(&before).all(|(key, len)| world.peer(*key).received.len() == len + 10)
    });
}

#[test]
fn a_list_is_as_long_as_the_table_and_names_nobody_twice() {
    const CLIENTS: u16 = 500;
    for workers in [0, 2] {
        let mut world = World::new(Plan { workers, ..Plan::new(seed()) });
        world.listen(origin(1), Settings::MODERN, echo);
        let clients = opened(&mut world, CLIENTS);
        world.run_for(3 * DORMANT_AFTER);
        // A third each: always asleep, always awake, and those that change while they are listed.
        let (awake, others) = clients.split_at(170);
        let (restless, quiet) = others.split_at(170);
        speak(&mut world, awake);
        let mut round = 0;
        let pages = list(&mut world, Wanted::default(), |world| {
            // Some fall asleep, others wake, where the list has been and where it has not.
            let some = restless.iter().skip(round % 3).step_by(3).copied().collect::<Vec<_>>();
            speak(world, &some);
            if round % 2 == 0 {
                speak(world, awake);
                world.run_for(DORMANT_AFTER + ms(100));
                speak(world, awake);
            }
            round += 1;
        });
        assert!(pages.len() > 500 / CONNECTIONS_PER_PAGE, "{} pages", pages.len());
        assert!(pages.iter().all(|page| page.len() <= CONNECTIONS_PER_PAGE));
        let listed: Vec<_> = pages.concat().iter().map(client_of).collect();
        let once: BTreeSet<_> = listed.iter().map(|key| key.remote()).collect();
        assert_eq!(once.len(), listed.len(), "somebody is listed twice");
        for (who, clients) in [("quiet", quiet), ("awake", awake)] {
            let missing = clients.iter().filter(|(client, _)| !once.contains(client)).count();
            assert_eq!(missing, 0, "of those {who} all are listed");
        }
        clients.iter().for_each(|key| world.peer(*key).finish());
        world.run_to_the_end(secs(10));
        world.finish();
    }
}

#[test]
fn only_those_are_listed_that_are_wanted() {
    let mut world = World::new(Plan::new(seed()).origins(2));
    (1..=2).for_each(|number| world.listen(origin(number), Settings::MODERN, echo));
    // From two networks, each by both origins in turn.
    let clients = opened(&mut world, 20);
    let near =
        (0..4).map(|number| (address(&format!("192.0.2.1:{}", 1000 + number)), clients[0].1));
    let near: Vec<_> =
        near.map(|key| world.client_at(key, None, Settings::MODERN, idle())).collect();
    speak(&mut world, &near);
    for _ in 0..2 {
        let wanted = Wanted::default();
        let mut count = |wanted| all(&mut world, wanted).len();
        assert_eq!(count(wanted), 24);
        assert_eq!(count(Wanted { service: Some(0), ..wanted }), 24);
        assert_eq!(count(Wanted { service: Some(1), ..wanted }), 0);
        let client = "192.0.2.0/24".parse().ok();
        assert_eq!(count(Wanted { client, ..wanted }), 4);
        let by_one = "10.20.0.1/32".parse().ok();
        assert_eq!(count(Wanted { origin: by_one, ..wanted }), 12);
        assert_eq!(count(Wanted { origin: by_one, client, ..wanted }), 2);
        assert_eq!(count(Wanted { port: Some(1003), ..wanted }), 1);
        assert_eq!(count(Wanted { port: Some(8080), client, ..wanted }), 4);
        assert_eq!(count(Wanted { port: Some(7), ..wanted }), 0);
        // And once more when they sleep.
        world.run_for(3 * DORMANT_AFTER);
    }
    clients.iter().chain(&near).for_each(|key| world.peer(*key).finish());
    world.run_to_the_end(secs(10));
    world.finish();
}

/// What is known of the ways to the clients and to the origin, after half a minute of requests and a
/// download over such a network.
fn judged(network: [impair::Settings; 2]) -> [(Seen, Quality); 2] {
    let settings = Settings { lossy: true, ..Settings::MODERN };
    let mut world = World::impaired(Plan::new(seed()), network);
    world.listen(origin(1), settings, || send(pattern(2, 2_000_000)));
    let mut paths = [PathQuality::default(); 2];
    for number in 0..8 {
        world.client(number, settings, send(pattern(1, 500_000)));
        world.run_for(secs(4));
        let mut snapshot = Snapshot::new(1, 2).with_paths(2);
        world.edge.fill(&mut snapshot);
        for (path, sums) in paths.iter_mut().zip(&snapshot.paths) {
            path.update(sums, world.now);
        }
    }
    world.hosts.0.iter_mut().flat_map(|side| side.peers.values_mut()).for_each(Peer::abort);
    world.run_to_the_end(secs(600));
    world.finish();
    paths.map(|path| path.judge().expect("something is known"))
}

#[test]
fn the_worse_a_path_the_lower_its_score_and_the_other_leg_s_is_its_own() {
    let good = impair::Settings { delay: ms(5), ..impair::Settings::default() };
    let network = |bad: impair::Settings| judged([bad, good]);
    let [(clean_seen, clean), (origin_seen, origin)] = network(good);
    assert!((ms(10)..ms(60)).contains(&clean_seen.rtt), "{clean_seen:?}");
    assert!((ms(10)..ms(60)).contains(&origin_seen.rtt), "{origin_seen:?}");
    assert!(clean_seen.loss < 0.001 && clean.score > 80.0, "{clean_seen:?} {clean:?}");
    assert!(clean.confidence > 0.3 && origin.confidence > 0.3, "{clean:?} {origin:?}");

    let [(seen, lossy), (_, its_origin)] = network(impair::Settings { loss_ppm: 10_000, ..good });
    assert!((0.005..0.03).contains(&seen.loss), "{seen:?}");
    let [_, (_, lossier)] =
        [(); 2].map(|()| network(impair::Settings { loss_ppm: 50_000, ..good })[0]);
    let order = [clean.loss, lossy.loss, lossier.loss];
    assert!(order[0] > order[1] + 10.0 && order[1] > order[2] + 10.0, "by loss: {order:?}");
    assert!(clean.score > lossy.score && lossy.score > lossier.score);
    assert!((its_origin.loss - origin.loss).abs() < 1.0, "the origin's path has lost nothing");

    let [(_, far), _] = network(impair::Settings { delay: ms(150), ..good });
    let [(_, unsteady), _] = network(impair::Settings { delay: ms(5), jitter: ms(100), ..good });
    assert!(far.delay < clean.delay - 5.0, "{far:?} {clean:?}");
    assert!(unsteady.jitter < clean.jitter - 1.0, "{unsteady:?} {clean:?}");
    assert!(far.score < clean.score && unsteady.score < clean.score);
}
