//! What a path takes: packets that are too large for it, and how much of them at a time.

use std::time::Duration;

use ringroad_engine::kernel::RouteMetrics;
use ringroad_engine::port::impair;
use ringroad_simulation::faults::stop;

use crate::apps::{echo, idle, respond, send, send_then_wait};
use crate::peer::{Settings, Status};
use crate::rig::{
    CLIENTS, IFINDEX, Key, ORIGINS, Plan, Wire, World, address, ip, ms, origin, pattern, secs,
    seed, service,
};

fn v4() -> (Key, u16) {
    ((address("198.51.100.7:40000"), service()), 1460)
}

fn v6() -> (Key, u16) {
    ((address("[2001:db8:99::7]:40000"), address("[2001:db8:1::1]:80")), 1440)
}

/// Whether the peers of one side have all that the other's were given.
fn has(world: &mut World<impl Wire>, side: usize, octets: usize) -> bool {
    let mut peers = world.hosts.0[side].peers.values();
    peers.next().is_some_and(|peer| peer.received.len() >= octets)
}

#[test]
fn a_path_that_swallows_large_packets_in_silence_is_found_out_about() {
    for (key, mss) in [v4(), v6()] {
        for side in [CLIENTS, ORIGINS] {
            for narrow in [1400, 1280, 1200] {
                if narrow < 1280 && key.0.is_ipv6() && side == CLIENTS {
                    continue; // No IPv6 link is as narrow.
                }
                let mut world = World::new(Plan::new(seed()));
                let settings = Settings { lossy: true, ..Settings::MODERN };
                world.listen(origin(1), settings, || send_then_wait(pattern(2, 3_000_000)));
                let of_client = Settings { mss, ..settings };
                world.client_at(key, None, of_client, send_then_wait(pattern(1, 3_000_000)));
                world.run_until(secs(5), |world| has(world, side, 500_000));
                world.hosts.0[side].path_mtu = Some(narrow);
                world.hosts.0[side].filters_icmp = true;
                let start = world.now;
                world.run_until(secs(10), |world| has(world, side, 3_000_000));
                let took = world.now - start;
                assert!(took < secs(3), "{took:?} for {narrow} octets, {key:?}");
                let peer = world.hosts.0[side].peers.values().next().unwrap();
                let expected = pattern(if side == CLIENTS { 2 } else { 1 }, 3_000_000);
                assert!(peer.received == expected);
                let stats = world.hosts.0[side].stats;
                assert!(stats.too_big < 250, "a flight, its timeouts and some probes: {stats:?}");
                let counters = *world.edge.worker().tcp_counters();
                assert_eq!(counters.black_holes, 1, "{counters:?}");
                world.run_until(secs(10), |world| has(world, 1 - side, 3_000_000));
                world.hosts.0.iter_mut().for_each(|side| {
                    side.peers.values_mut().for_each(|peer| peer.finish());
                });
                world.run_to_the_end(secs(20));
                world.finish();
            }
        }
    }
}

#[test]
fn a_path_that_widens_again_is_used_in_full_after_ten_minutes() {
    for side in [CLIENTS, ORIGINS] {
        let mut plan = Plan::new(seed());
        plan.service.idle_timeout = secs(1000);
        let mut world = World::new(plan);
        let settings = Settings { lossy: true, ..Settings::MODERN };
        world.listen(origin(1), settings, idle);
        let client = world.client(1, settings, idle());
        world.run_until(secs(1), |world| !world.origin_peers().is_empty());
        world.hosts.0[side].path_mtu = Some(1300);
        let more = |world: &mut World<_>, octets: usize| {
            let sender = 1 - side;
            let peer = world.hosts.0[sender].peers.values_mut().next().unwrap();
            peer.write(&pattern(3, octets));
            let taker = world.hosts.0[side].peers.values_mut().next().unwrap();
            let expected = taker.received.len() + octets;
            taker.stats.largest_payload = 0;
            world.run_until(secs(20), |world| has(world, side, expected));
            world.hosts.0[side].peers.values().next().unwrap().stats.largest_payload
        };
        assert_eq!(more(&mut world, 1_000_000), 1248);
        world.hosts.0[side].path_mtu = None;
        world.run_for(secs(590));
        assert_eq!(more(&mut world, 1_000_000), 1248);
        world.run_for(secs(20));
        assert_eq!(more(&mut world, 1_000_000), 1448);
        world.peer(client).finish();
        world.origin_peers()[0].finish();
        world.run_to_the_end(secs(20));
        world.finish();
    }
}

#[test]
fn the_mss_is_clamped_in_both_directions() {
    for (of_client, of_origin) in [(1460, 1000), (1000, 1460)] {
        let mut world = World::new(Plan::new(seed()));
        let origin_settings = Settings { mss: of_origin, ..Settings::MODERN };
        world.listen(origin(1), origin_settings, || respond(50_000, pattern(2, 50_000)));
        let settings = Settings { mss: of_client, ..Settings::MODERN };
        // Of the origin nothing is known before it has answered once.
        let first = world.client(1, settings, send(pattern(1, 50_000)));
        world.run_to_the_end(secs(5));
        assert_eq!(world.peer(first).status, Status::Finished);
        let before = world.counters().segments_copied;
        world.hosts.0[ORIGINS].peers.clear();
        let second = world.client(2, settings, send(pattern(1, 50_000)));
        world.run_to_the_end(secs(5));
        assert_eq!(world.peer(second).received, pattern(2, 50_000));
        assert_eq!(world.peer(second).stats.largest_payload, 988);
        assert_eq!(world.origin_peers()[0].stats.largest_payload, 988);
        assert_eq!(world.counters().segments_copied, before, "everything fits the other side");
        world.finish();
    }
}

#[test]
fn what_one_client_can_take_is_not_taken_for_what_the_origin_can() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 50_000)));
    let small = Settings { mss: 600, ..Settings::MODERN };
    let first = world.client(1, small, send(pattern(1, 100)));
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(first).stats.largest_payload, 588);
    let second = world.client(2, Settings::MODERN, send(pattern(1, 100)));
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(second).stats.largest_payload, 1448);
    world.finish();
}

#[test]
fn the_mtu_of_linuxs_route_counts_on_both_legs() {
    for (side, prefix, gateway) in
        [(CLIENTS, ("0.0.0.0", 0), Some("10.10.1.254")), (ORIGINS, ("10.20.0.0", 24), None)]
    {
        let mut world = World::new(Plan::new(seed()));
        let metrics = RouteMetrics { mtu: Some(1200), advmss: Some(1100) };
        let prefix = (ip(prefix.0), prefix.1);
        world.linux.route_with(prefix, IFINDEX[side], gateway.map(ip), metrics);
        world.publish_routes();
        world.listen(origin(1), Settings::MODERN, || respond(50_000, pattern(2, 50_000)));
        let client = world.client(1, Settings::MODERN, send(pattern(1, 50_000)));
        world.run_to_the_end(secs(5));
        assert_eq!(world.peer(client).received, pattern(2, 50_000));
        let peer = world.hosts.0[side].peers.values().next().unwrap();
        assert_eq!(peer.stats.largest_payload, 1148, "what we send by it");
        assert_eq!(peer.largest_segment(), 1088, "what we offer to be sent");
        world.finish();
    }
}

#[test]
fn a_route_that_narrows_under_an_open_connection_is_heeded() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, || send(pattern(2, 20_000_000)));
    let client = world.client(1, Settings::MODERN, send_then_wait(Vec::new()));
    world.run_until(secs(5), |world| world.peer(client).received.len() > 500_000);
    let metrics = RouteMetrics { mtu: Some(1300), advmss: None };
    let gateway = Some(ip("10.10.1.254"));
    world.linux.route_with((ip("0.0.0.0"), 0), IFINDEX[CLIENTS], gateway, metrics);
    world.publish_routes();
    world.run_for(ms(1));
    world.peer(client).stats.largest_payload = 0;
    world.run_to_the_end(secs(10));
    assert!(world.peer(client).received == pattern(2, 20_000_000));
    assert_eq!(world.peer(client).stats.largest_payload, 1248);
    world.finish();
}

/// A link of 100 Mbit/s, 50 ms long.
const LONG: impair::Settings = impair::Settings {
    loss_ppm: 0,
    duplicate_ppm: 0,
    corrupt_ppm: 0,
    delay: Duration::from_millis(50),
    jitter: Duration::ZERO,
    reorder_ppm: 0,
    reorder: impair::Reorder { packets: 3, at_most: Duration::from_millis(100) },
    rate_bps: Some(100_000_000),
    queue: None,
    queue_octets: None,
};

#[test]
fn windows_grow_to_what_a_long_fat_path_takes() {
    // Payload in each second, of 12.5 million octets with all headers.
    const LEAST: usize = 12_500_000 / 10 * 9;
    for side in [CLIENTS, ORIGINS] {
        for to in [CLIENTS, ORIGINS] {
            let mut plan = Plan::new(seed());
            plan.frames = 32_768;
            let mut network = [impair::Settings::default(); 2];
            network[side] = LONG;
            let mut world = World::impaired(plan, network);
            // Its timeout of 300 ms has no room for a longer queue.
            let settings =
                Settings { buffer: 8_000_000, in_flight_max: 2_400_000, ..Settings::MODERN };
            let octets = pattern(2, 60_000_000);
            let sender = move || send(octets.clone());
            let client = if to == CLIENTS {
                world.listen(origin(1), settings, sender);
                world.client(1, settings, idle())
            } else {
                world.listen(origin(1), settings, idle);
                world.client(1, settings, sender())
            };
            let count = |world: &mut World<_>| match to {
                CLIENTS => world.peer(client).received.len(),
                _ => world.origin_peers().first().map_or(0, |peer| peer.received.len()),
            };
            world.run_for(secs(2));
            let before = count(&mut world);
            world.run_for(secs(2));
            let in_a_second = (count(&mut world) - before) / 2;
            assert!(
                in_a_second >= LEAST,
                "{in_a_second} octets a second to {to} with the path at {side}"
            );
            world.peer(client).abort();
            world.run_to_the_end(secs(20));
            world.finish();
        }
    }
}

#[test]
fn a_slow_reader_draws_no_more_than_its_path_takes() {
    // 2 Mbit/s and 20 ms to the client; the origin is next door and has 8 MB to say.
    let mut network = [impair::Settings::default(); 2];
    network[CLIENTS] =
        impair::Settings { rate_bps: Some(2_000_000), delay: ms(10), queue: Some(50), ..LONG };
    let mut plan = Plan::new(seed());
    plan.frames = 32_768;
    let mut world = World::impaired(plan, network);
    let settings =
        Settings { lossy: true, in_flight_max: 8_000_000, buffer: 8_000_000, ..Settings::MODERN };
    world.listen(origin(1), settings, || send(pattern(2, 8_000_000)));
    let client = world.client(1, settings, idle());
    world.run_for(secs(4));
    let mut most = 0;
    for _ in 0..100 {
        world.run_for(ms(100));
        most = most.max(world.edge.worker().ledger().held * 1448);
    }
    // Twice the congestion window, which slow start takes to twice the 80 KB that path and queue hold,
    // and what is offered at the start.
    assert!(most <= 2 * 160_000 + 65_535, "{most} octets wait");
    let rate = world.peer(client).received.len() / 14;
    assert!(rate > 200_000, "{rate} octets a second of 250,000");
    // The origin waits for its window all the time, and fills it to the octet.
    let mean = world.peer(client).received.len() as u64 / world.hosts.0[CLIENTS].stats.received;
    assert!(mean > 1448 * 97 / 100, "{mean} octets in a packet of the narrow path");
    world.peer(client).abort();
    world.run_to_the_end(secs(20));
    world.finish();
}

#[test]
fn a_thousand_readers_that_stop_make_way_for_who_reads() {
    let mut plan = Plan::new(seed());
    plan.frames = 16_384;
    plan.service.idle_timeout = secs(600);
    let mut world = World::new(plan);
    world.listen(origin(1), Settings::MODERN, || send_then_wait(pattern(2, 400_000)));
    let slow = Settings { buffer: 3000, lossy: true, ..Settings::MODERN };
    let clients: Vec<_> = (0..1000).map(|n| world.client(n, slow, idle())).collect();
    clients.iter().for_each(|client| world.peer(*client).paused = true);
    world.run_for(secs(5));
    // What they were offered before anybody knew is more than there is.
    assert!(world.edge.worker().pool.is_scarce() || world.edge.worker().pool.is_tight());
    world.listen(origin(1), Settings { lossy: true, ..Settings::MODERN }, echo);
    let settings = Settings { lossy: true, ..Settings::MODERN };
    let honest = world.client(2000, settings, send(pattern(1, 100_000)));
    world.run_until(secs(20), |world| world.peer(honest).is_over());
    assert!(world.peer(honest).received == pattern(1, 100_000));
    let reset = |world: &mut World<_>, client: &Key| world.peer(*client).status == Status::Reset;
    let gone = clients.iter().filter(|client| reset(&mut world, client)).count();
    assert!((1..1000).contains(&gone), "{gone} had to go: no more than it took");
    for client in clients {
        world.peer(client).abort();
    }
    world.run_to_the_end(secs(20));
    assert_eq!(world.finish().service.reclaimed, gone as u64);
}

/// The clients' legs have nothing more to send: what is held is all the origins'.
#[test]
fn readers_that_stop_make_way_also_where_they_have_finished() {
    let mut plan = Plan::new(seed());
    plan.service.idle_timeout = secs(600);
    let mut world = World::new(plan);
    let slow = Settings { buffer: 3000, lossy: true, ..Settings::MODERN };
    world.listen(origin(1), slow, || {
        Box::new(|peer| {
            if !std::mem::replace(&mut peer.paused, true) {
                peer.finish();
            }
        })
    });
    let settings = Settings { lossy: true, ..Settings::MODERN };
    let clients: Vec<_> = (0..300).map(|n| world.client(n, settings, idle())).collect();
    world.run_for(secs(1));
    for client in &clients {
        assert!(world.peer(*client).peer_finished);
        world.peer(*client).write(&pattern(1, 200_000));
    }
    world.run_for(secs(5));
    world.listen(origin(1), settings, echo);
    let honest = world.client(2000, settings, send(pattern(1, 100_000)));
    world.run_until(secs(20), |world| world.peer(honest).is_over());
    assert!(world.peer(honest).received == pattern(1, 100_000));
    let reclaimed = stop(world).0.services[0].reclaimed;
    assert!((1..300).contains(&reclaimed), "{reclaimed} had to go: no more than it took");
}

#[test]
fn what_a_client_can_park_before_an_origin_answers_is_a_window_without_scaling() {
    let mut plan = Plan::new(seed());
    plan.service.connect_timeout = secs(2);
    let mut world = World::new(plan);
    world.hosts.0[ORIGINS].vanished = true;
    let eager = Settings { in_flight_max: 8_000_000, ..Settings::MODERN };
    let client = world.client(1, eager, send(pattern(1, 1_000_000)));
    world.run_for(secs(1));
    let held = world.edge.worker().ledger().held;
    assert!((40..=46).contains(&held), "{held} frames");
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(client).status, Status::Reset);
    world.finish();
}
