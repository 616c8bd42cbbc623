//! What lies between the hosts and the appliance: routes, tags, narrow paths, bad links.

use ringroad_engine::kernel::{Neighbour, NextHop};
use ringroad_engine::port::impair;
use ringroad_engine::wire::ethernet::MacAddr;

use crate::apps::{echo, respond, send, send_then_wait};
use crate::packet::{Segment, Tags};
use crate::peer::{Peer, Settings, Status};
use crate::rig::{
    CLIENTS, IFINDEX, ORIGINS, OURS, Plan, Random, World, address, ip, ms, origin, pattern, pick,
    secs, seed, seeds, service,
};

#[test]
fn a_connection_waits_for_its_neighbour_to_be_found() {
    let mut plan = Plan::new(seed());
    plan.neighbours_known = false;
    let mut world = World::new(plan);
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 700)));
    let client = world.client(1, Settings::MODERN, send(pattern(1, 100)));
    world.run_for(ms(500));
    // The client is answered the way it came; the origin has to be found first.
    assert_eq!(world.peer(client).status, Status::Open);
    assert!(world.asked.0.borrow().contains(&(IFINDEX[ORIGINS], origin(1).ip())));
    assert_eq!(world.hosts.0[ORIGINS].stats.received, 0);
    world.learn_neighbour(ORIGINS, origin(1).ip());
    let found = world.now;
    world.run_to_the_end(secs(2));
    assert!(world.now - found < ms(50), "goes on at once, not by a timer");
    assert_eq!(world.peer(client).received, pattern(2, 700));
    world.finish();
}

#[test]
fn an_origin_whose_neighbour_is_never_found_is_given_up() {
    let mut plan = Plan::new(seed()).origins(2);
    plan.neighbours_known = false;
    let mut world = World::new(plan);
    world.learn_neighbour(ORIGINS, origin(2).ip());
    world.listen(origin(2), Settings::MODERN, || respond(100, pattern(2, 700)));
    let client = world.client(1, Settings::MODERN, send(pattern(1, 100)));
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(client).received, pattern(2, 700), "by the other");
    let failed = NextHop { ifindex: IFINDEX[ORIGINS], address: origin(1).ip() };
    world.linux.neighbour(failed, Neighbour::Failed);
    world.publish_routes();
    let start = world.now;
    for n in 2..6 {
        let client = world.client(n, Settings::MODERN, send(pattern(1, 100)));
        world.run_to_the_end(secs(5));
        assert_eq!(world.peer(client).received, pattern(2, 700), "by the other");
    }
    assert!(world.now - start < ms(100), "what Linux calls failed is not waited for");
    world.finish();
}

#[test]
fn a_route_that_changes_is_followed_by_what_is_open() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, || send(pattern(2, 2_000_000)));
    let client = world.client(1, Settings::MODERN, send(pattern(1, 2_000_000)));
    world.run_until(secs(5), |world| world.peer(client).received.len() > 500_000);
    // Another gateway to the clients, and another network card at the origin.
    let moved = [2, 0, 0, 0, 9, 9];
    for (side, address) in [(CLIENTS, ip("10.10.1.253")), (ORIGINS, origin(1).ip())] {
        let next_hop = NextHop { ifindex: IFINDEX[side], address };
        world.linux.neighbour(next_hop, Neighbour::Resolved(MacAddr(moved)));
    }
    world.linux.route((ip("0.0.0.0"), 0), IFINDEX[CLIENTS], Some(ip("10.10.1.253")));
    world.publish_routes();
    for side in &mut world.hosts.0 {
        while let Some(packet) = side.cable.receive() {
            let segment = Segment::parse(&packet).expect("a sound packet");
            side.peers.get_mut(&(segment.destination, segment.source)).unwrap().take(&segment);
        }
        side.peers.values_mut().for_each(|peer| peer.link.source = moved);
    }
    world.run_to_the_end(secs(20));
    assert!(world.peer(client).received == pattern(2, 2_000_000));
    assert!(world.origin_peers()[0].received == pattern(1, 2_000_000));
    world.finish();
}

#[test]
fn a_tagged_client_is_answered_by_its_tags() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, || send_then_wait(pattern(2, 100_000)));
    let tags: [Tags; 5] = [
        None.into(),
        Some(7).into(),
        Some(4094).into(),
        Tags::two(0x88a8, [7, 4094]),
        Tags::two(0x8100, [4094, 7]),
    ];
    let mut port = 40_000;
    let keys = tags.map(|tags| {
        port += 1;
        let key = ((ip("198.51.100.7"), port).into(), service());
        world.client_at(key, tags, Settings::MODERN, send(pattern(1, 100_000)))
    });
    world.run_to_the_end(secs(5));
    for key in keys {
        assert!(world.peer(key).received == pattern(2, 100_000));
        assert_eq!(world.peer(key).status, Status::Finished);
    }
    for peer in world.origin_peers() {
        assert_eq!((peer.link.tags, peer.link.destination), (Tags::default(), OURS[ORIGINS]));
        assert!(peer.received == pattern(1, 100_000));
    }
    world.finish();
}

#[test]
fn a_path_that_narrows_in_the_middle_is_learnt_of() {
    let v6 = (address("[2001:db8:99::7]:40000"), address("[2001:db8:1::1]:80"));
    let v4 = (address("198.51.100.7:40000"), service());
    for (key, mss, narrow, expected) in [(v4, 1460, 1000, 948), (v6, 1440, 1280, 1208)] {
        for side in [CLIENTS, ORIGINS] {
            let mut world = World::new(Plan::new(seed()));
            // What is too big leaves gaps.
            let settings = Settings { lossy: true, ..Settings::MODERN };
            world.listen(origin(1), settings, || send(pattern(2, 1_000_000)));
            let of_client = Settings { mss, ..settings };
            world.client_at(key, None, of_client, send(pattern(1, 1_000_000)));
            world.run_until(secs(5), |world| world.peer(key).received.len() > 200_000);
            let narrow = if side == ORIGINS { 1000 } else { narrow };
            world.hosts.0[side].path_mtu = Some(narrow);
            for peer in world.hosts.0[side].peers.values_mut() {
                peer.stats.largest_payload = 0;
            }
            world.run_to_the_end(secs(60));
            assert!(world.peer(key).received == pattern(2, 1_000_000));
            assert!(world.origin_peers()[0].received == pattern(1, 1_000_000));
            let narrowed = world.hosts.0[side].peers.values().next().unwrap();
            let expected = if side == ORIGINS { 948 } else { expected };
            assert_eq!(narrowed.stats.largest_payload, expected, "filled, not exceeded");
            let stats = world.hosts.0[side].stats;
            assert!(stats.too_big < 200, "told once a flight at most: {stats:?}");
            world.finish();
        }
    }
}

/// Whether both streams arrived whole and the connection ended in order. A reset is justified
/// only where all that was lost is the answer to the last FIN.
fn assert_whole(peer: &Peer, expected: &[u8], seed: u64) {
    assert!(
        peer.received == expected,
        "seed {seed}: {} has {} of {} octets, {:?}",
        peer.local,
        peer.received.len(),
        expected.len(),
        peer.status
    );
    let all_but_fin = peer.status == Status::Reset && peer.unacknowledged() <= 1;
    assert!(peer.status == Status::Finished || all_but_fin, "seed {seed}: {:?}", peer.status);
}

#[test]
fn streams_stay_whole_over_bad_networks() {
    for seed in seeds(24) {
        let mut choose = Random::new(seed ^ 0xbad);
        let impairments = [(); 2].map(|()| impair::Settings {
            loss_ppm: pick(&mut choose, &[0, 1_000, 10_000, 50_000]),
            duplicate_ppm: pick(&mut choose, &[0, 10_000, 100_000]),
            corrupt_ppm: pick(&mut choose, &[0, 1_000, 10_000]),
            delay: pick(&mut choose, &[ms(0), ms(1), ms(20)]),
            jitter: pick(&mut choose, &[ms(0), ms(1), ms(5)]),
            reorder_ppm: pick(&mut choose, &[0, 10_000, 50_000]),
            rate_bps: pick(&mut choose, &[None, Some(100_000_000)]),
            ..impair::Settings::default()
        });
        let mut plan = Plan::new(seed);
        for leg in [&mut plan.service.client_leg, &mut plan.service.origin_leg] {
            leg.handshake_retries = 20;
        }
        plan.service.connect_timeout = secs(60);
        plan.service.idle_timeout = secs(300);
        let mut world = World::impaired(plan, impairments);
        let any_host = |choose: &mut Random| Settings {
            lossy: true,
            scale: pick(choose, &[None, Some(2), Some(9)]),
            timestamps: pick(choose, &[true, false]),
            sack: pick(choose, &[true, false]),
            segment_max: pick(choose, &[u64::MAX, u64::MAX, 100, 700]),
            mss: pick(choose, &[1460, 1200, 536]),
            ..Settings::MODERN
        };
        let of_origin = any_host(&mut choose);
        let len = 1000 + choose.below(120_000) as usize;
        let echoes = pick(&mut choose, &[true, false]);
        world.listen(origin(1), of_origin, move || match echoes {
            true => echo(),
            false => send_then_wait(pattern(99, len)),
        });
        let clients: Vec<_> = (0..3)
            .map(|n| world.client(n, any_host(&mut choose), send(pattern(n.into(), len))))
            .collect();
        world.run_to_the_end(secs(4 * 3600));
        for (n, client) in clients.iter().enumerate() {
            let expected = if echoes { pattern(n as u64, len) } else { pattern(99, len) };
            assert_whole(world.peer(*client), &expected, seed);
        }
        for peer in world.origin_peers() {
            if peer.received.is_empty() && peer.status == Status::Reset {
                continue; // A handshake that we had given up already.
            }
            let sent = (0..3).map(|n| pattern(n, len)).find(|sent| *sent == peer.received);
            assert_whole(peer, &sent.unwrap_or_default(), seed);
        }
        world.finish();
    }
}

#[test]
#[should_panic(expected = "has 20000 of 20000 octets")]
fn the_rig_notices_a_damaged_octet() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    let client = world.client(1, Settings::MODERN, send(pattern(1, 20_000)));
    world.run_to_the_end(secs(5));
    world.peer(client).received[12_345] ^= 1;
    assert_whole(world.peer(client), &pattern(1, 20_000), seed());
}
