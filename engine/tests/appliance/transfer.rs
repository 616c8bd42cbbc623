//! Payload crosses whole, both ways, however it comes and however the ends read and close.

use ringroad_engine::limits::COPYBREAK;
use ringroad_engine::proxy::proxy_protocol::Version;

use crate::apps::{echo, request, respond, send, send_after_end, send_then_wait};
use crate::peer::{Settings, Status};
use crate::rig::{Plan, World, address, ip, origin, origin_settings, pattern, secs, seed};

#[test]
fn requests_are_answered_over_one_connection() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, || respond(300, pattern(2, 900)));
    let requests = (0..20).map(|n| pattern(n, 300)).collect();
    let client = world.client(1, Settings::MODERN, request(requests, 900));
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(client).received, pattern(2, 900).repeat(20));
    assert_eq!(world.peer(client).status, Status::Finished);
    let sent: Vec<u8> = (0..20).flat_map(|n| pattern(n, 300)).collect();
    assert_eq!(world.origin_peers()[0].received, sent);
    let ended = world.finish();
    assert_eq!(ended.service.segments_copied, 0, "payload crosses in the frame it came in");
    assert_eq!(ended.service.segments_retransmitted, 0);
    assert_eq!(ended.ledger.forwarded, 40);
}

#[test]
fn megabytes_cross_both_ways_at_once() {
    for settings in [Settings::MODERN, Settings::PLAIN] {
        let (up, down) = (pattern(1, 2_000_000), pattern(2, 3_000_000));
        let mut world = World::new(Plan::new(seed()));
        let answer = down.clone();
        world.listen(origin(1), settings, move || send(answer.clone()));
        let client = world.client(1, settings, send(up.clone()));
        world.run_to_the_end(secs(60));
        assert!(world.peer(client).received == down);
        assert!(world.origin_peers()[0].received == up);
        assert_eq!(world.peer(client).stats.duplicate_data, 0);
        let largest = world.peer(client).stats.largest_payload;
        assert_eq!(largest, if settings.timestamps { 1448 } else { 1460 });
        let ended = world.finish();
        assert_eq!(ended.service.to_origin_octets, 2_000_000);
        assert_eq!(ended.service.to_client_octets, 3_000_000);
        assert_eq!(ended.service.segments_retransmitted, 0, "nothing was lost");
    }
}

#[test]
fn either_end_may_finish_first_and_go_on_receiving() {
    for client_first in [true, false] {
        let (early, late) = (pattern(1, 100_000), pattern(2, 400_000));
        let mut world = World::new(Plan::new(seed()));
        let apps = move |first: bool| match first {
            true => send(pattern(1, 100_000)),
            false => send_after_end(pattern(2, 400_000)),
        };
        world.listen(origin(1), Settings::MODERN, move || apps(!client_first));
        let client = world.client(1, Settings::MODERN, apps(client_first));
        world.run_to_the_end(secs(20));
        let (to_client, to_origin) = if client_first { (late, early) } else { (early, late) };
        assert!(world.peer(client).received == to_client);
        assert!(world.origin_peers()[0].received == to_origin);
        assert_eq!(world.peer(client).status, Status::Finished);
        assert_eq!(world.origin_peers()[0].status, Status::Finished);
        world.finish();
    }
}

#[test]
fn a_reader_that_stops_stops_the_sender_and_nothing_is_lost() {
    for client_reads_slowly in [true, false] {
        let octets = pattern(3, 4_000_000);
        let mut world = World::new(Plan::new(seed()));
        let payload = octets.clone();
        let sender = move || send(payload.clone());
        let taker = || send_then_wait(Vec::new());
        let client = if client_reads_slowly {
            world.listen(origin(1), Settings::MODERN, sender);
            world.client(1, Settings::MODERN, taker())
        } else {
            world.listen(origin(1), Settings::MODERN, taker);
            world.client(1, Settings::MODERN, sender())
        };
        world.run_until(secs(1), |world| !world.origin_peers().is_empty());
        let pause = |world: &mut World<_>, paused| match client_reads_slowly {
            true => world.peer(client).paused = paused,
            false => world.origin_peers()[0].paused = paused,
        };
        pause(&mut world, true);
        world.run_for(secs(20));
        let held = world.edge.worker().ledger().held;
        // Twice the congestion window, which the reader's buffer of 256 KiB bounds, and what the
        // sender was offered while the buffer filled.
        let most = (2 * 256 * 1024 + 4 * 65_535) / 1448;
        assert!((40..most).contains(&held), "{held} frames wait for the reader");
        let sender_window = match client_reads_slowly {
            true => world.origin_peers()[0].window(),
            false => world.peer(client).window(),
        };
        assert_eq!(sender_window, 0, "the sender's window is shut");
        pause(&mut world, false);
        world.run_to_the_end(secs(60));
        let received = match client_reads_slowly {
            true => world.peer(client).received.clone(),
            false => world.origin_peers()[0].received.clone(),
        };
        assert!(received == octets);
        world.finish();
    }
}

#[test]
fn a_thousand_connections_each_get_their_own() {
    let mut plan = Plan::new(seed());
    plan.frames = 16_384;
    let mut world = World::new(plan);
    world.listen(origin(1), Settings::MODERN, echo);
    let clients: Vec<_> = (0..1000)
        .map(|n| {
            let requests = (0..3).map(|k| pattern(u64::from(n) * 7 + k, 500)).collect();
            world.client(n, Settings::MODERN, request(requests, 500))
        })
        .collect();
    world.run_until(secs(5), |world| world.edge.worker().active() == 1000);
    world.run_to_the_end(secs(20));
    for (n, client) in clients.into_iter().enumerate() {
        let expected: Vec<u8> = (0..3).flat_map(|k| pattern(n as u64 * 7 + k, 500)).collect();
        assert!(world.peer(client).received == expected, "client {n}");
        assert_eq!(world.peer(client).status, Status::Finished, "client {n}");
    }
    assert_eq!(world.finish().service.accepted, 1000);
}

#[test]
fn small_segments_share_frames_and_packets() {
    let small = Settings { segment_max: 10, ..Settings::MODERN };
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, || send_then_wait(Vec::new()));
    let client = world.client(1, small, send(pattern(1, 40_000)));
    world.run_to_the_end(secs(20));
    assert_eq!(world.peer(client).status, Status::Finished);
    let origin = &mut *world.origin_peers()[0];
    assert!(origin.received == pattern(1, 40_000));
    let packets = origin.stats.data_segments;
    // Up to copybreak a segment is appended, and sent when its turn comes.
    assert!(packets < 40_000 / 10 / 4, "{packets} packets for 4000 segments");
    assert!(origin.stats.largest_payload >= COPYBREAK / 2);
    let ended = world.finish();
    assert!(ended.ledger.consumed >= 3000, "frames of small segments end where they are copied");
}

#[test]
fn an_ipv6_client_reaches_an_ipv4_origin_and_the_other_way_round() {
    let v6_client = "[2001:db8:99::7]:40000".parse().unwrap();
    let v6_service = "[2001:db8:1::1]:80".parse().unwrap();
    let v4_client = "198.51.100.9:40000".parse().unwrap();
    let v6_origin = "[fd20::1]:8080".parse().unwrap();
    for (client, service, behind) in [
        (v6_client, v6_service, origin(1)),
        (v4_client, crate::rig::service(), v6_origin),
        (v6_client, v6_service, v6_origin),
    ] {
        let mut plan = Plan::new(seed());
        plan.service.origins = vec![origin_settings(behind)];
        let mut world = World::new(plan);
        let mss = |address: std::net::SocketAddr| if address.is_ipv4() { 1460 } else { 1440 };
        let of_client = Settings { mss: mss(client), ..Settings::MODERN };
        let of_origin = Settings { mss: mss(behind), ..Settings::MODERN };
        world.listen(behind, of_origin, || send_then_wait(pattern(2, 300_000)));
        let key = (client, service);
        world.client_at(key, None, of_client, send(pattern(1, 200_000)));
        world.run_to_the_end(secs(20));
        assert!(world.peer(key).received == pattern(2, 300_000));
        assert!(world.origin_peers()[0].received == pattern(1, 200_000));
        assert_eq!(world.peer(key).status, Status::Finished);
        world.finish();
    }
}

#[test]
fn the_origin_hears_first_who_the_client_is() {
    let v1 = b"PROXY TCP4 198.51.100.1 10.10.1.1 30001 80\r\n".to_vec();
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    v2.extend([198, 51, 100, 1, 10, 10, 1, 1, 0x75, 0x31, 0, 80]);
    for (version, header) in [(Version::V1, v1), (Version::V2, v2)] {
        let mut world = World::new(Plan::new(seed()).proxy_protocol(version));
        world.listen(origin(1), Settings::MODERN, || send_then_wait(pattern(2, 5000)));
        let client = world.client(1, Settings::MODERN, send(pattern(1, 50_000)));
        world.run_to_the_end(secs(5));
        let expected = [header, pattern(1, 50_000)].concat();
        assert!(world.origin_peers()[0].received == expected, "{version:?}");
        assert!(world.peer(client).received == pattern(2, 5000));
        world.finish();
    }
    // An address of either family is said as what it is.
    let mut world = World::new(Plan::new(seed()).proxy_protocol(Version::V1));
    world.listen(origin(1), Settings::MODERN, || send_then_wait(Vec::new()));
    let key = ((ip("2001:db8:99::7"), 40_000).into(), (ip("2001:db8:1::1"), 80).into());
    world.client_at(key, None, Settings { mss: 1440, ..Settings::MODERN }, send(b"hello".to_vec()));
    world.run_to_the_end(secs(5));
    let expected = b"PROXY TCP6 2001:db8:99::7 2001:db8:1::1 40000 80\r\nhello";
    assert_eq!(world.origin_peers()[0].received, expected);
    world.finish();
}

/// What a device has verified is not summed again: all checksums that go out are derived from those
/// that came in, of payloads of any length and content.
#[test]
fn a_device_that_verifies_changes_no_octet_of_what_is_sent() {
    let sent = [false, true].map(|verified| {
        let mut plan = Plan { verified, ..Plan::new(seed()) };
        let v6_origin = address("[fd20::1]:8080");
        plan.service.origins.push(origin_settings(v6_origin));
        let mut world = World::new(plan);
        world.hosts.0.iter_mut().for_each(|side| side.taken = Some(Vec::new()));
        let odd = Settings { segment_max: 1283, ..Settings::MODERN };
        world.listen(origin(1), odd, || send(pattern(2, 100_001)));
        let v6 = Settings { mss: 1440, ..odd };
        world.listen(v6_origin, v6, || send(vec![0; 100_001]));
        let clients = [("198.51.100.7:4000", None), ("198.51.100.7:4001", Some(7))];
        for (address_of_client, vlan) in clients {
            let key = (address(address_of_client), crate::rig::service());
            world.client_at(key, vlan, odd, send(vec![0xff; 50_001]));
        }
        for client in ["[2001:db8:99::7]:4002", "[2001:db8:99::7]:4003"] {
            let key = (address(client), address("[2001:db8:1::1]:80"));
            world.client_at(key, None, v6, send(pattern(1, 50_001)));
        }
        world.run_to_the_end(secs(20));
        let origins = world.origin_peers();
        let over_v6 = origins.iter().filter(|peer| peer.local == v6_origin).count();
        assert_eq!((origins.len(), over_v6), (4, 2));
        let taken = world.hosts.0.each_mut().map(|side| side.taken.take().unwrap());
        world.finish();
        taken
    });
    let [unverified, verified] = &sent;
    for (side, (ours, theirs)) in unverified.iter().zip(verified).enumerate() {
        assert!(ours.len() > 100, "side {side}");
        let different = ours.iter().zip(theirs).position(|(one, other)| one != other);
        assert_eq!((different, theirs.len()), (None, ours.len()), "side {side}");
    }
}
