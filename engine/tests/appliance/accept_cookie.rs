//! Connections whose SYN the shield has answered: the engine hears of them by the ACK.

use std::net::SocketAddr;

use ringroad_engine::limits::COOKIE_PERIOD;
use ringroad_engine::port::impair;
use ringroad_engine::proxy::Fallback;
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::Cookies;

use crate::apps::{echo, idle, request, respond, send, send_then_wait};
use crate::cookies::{CookieShield, MASTER, THEN, give_keys, shield};
use crate::packet::{ACK, FIN, Link, Options, PSH, RST, SYN, Segment, Tags};
use crate::peer::{Peer, Settings, Status};
use crate::rig::{
    CLIENTS, Key, OURS, Plan, Random, Side, THEIRS, Wire, World, address, ms, origin, pattern,
    pick, secs, seed, seeds, service,
};

fn shielded(plan: Plan) -> World<ringroad_engine::port::sim::SimPort> {
    let mut world = World::new(plan);
    shield(&mut world);
    world
}

fn clients<P: Wire>(world: &mut World<P>) -> &mut Side {
    &mut world.hosts.0[CLIENTS]
}

fn cookies<P: Wire>(world: &mut World<P>) -> &mut CookieShield {
    clients(world).cookies.as_mut().expect("a shield")
}

fn dropped<P: Wire>(world: &World<P>, reason: &str) -> u64 {
    let ledger = world.edge.worker().ledger();
    ledger.drops().find(|(name, _)| *name == reason).map_or(0, |(_, count)| count)
}

fn v6() -> Key {
    (address("[2001:db8:99::7]:40000"), address("[2001:db8:1::1]:80"))
}

/// Every kind of host that differs in what its SYN offers.
fn hosts() -> impl Iterator<Item = Settings> {
    [None, Some(0), Some(2), Some(7), Some(14)].into_iter().flat_map(|scale| {
        (0..4).map(move |bits| Settings {
            scale,
            timestamps: bits & 1 != 0,
            sack: bits & 2 != 0,
            buffer: if scale.is_some_and(|shift| shift > 1) { 256 * 1024 } else { 65_535 },
            ..Settings::MODERN
        })
    })
}

#[test]
fn requests_are_answered_and_streams_cross_whoever_offers_what() {
    for key in [(address("198.51.100.7:40000"), service()), v6()] {
        for settings in hosts() {
            let mss = if key.0.is_ipv4() { 1460 } else { 1440 };
            let settings = Settings { mss, ..settings };
            let mut world = shielded(Plan::new(seed()));
            world.listen(origin(1), Settings::MODERN, || respond(300, pattern(2, 900)));
            let requests = (0..5).map(|n| pattern(n, 300)).collect();
            world.client_at(key, None, settings, request(requests, 900));
            world.run_to_the_end(secs(5));
            assert_eq!(world.peer(key).received, pattern(2, 900).repeat(5), "{settings:?}");
            assert_eq!(world.peer(key).status, Status::Finished);
            let ended = world.finish();
            assert_eq!((ended.service.accepted, ended.service.segments_retransmitted), (1, 0));

            let mut world = shielded(Plan::new(seed()));
            let of_origin = Settings { timestamps: settings.timestamps, ..Settings::MODERN };
            world.listen(origin(1), of_origin, || send(pattern(2, 400_000)));
            world.client_at(key, None, settings, send(pattern(1, 300_000)));
            world.run_to_the_end(secs(60));
            assert!(world.peer(key).received == pattern(2, 400_000), "{settings:?}");
            assert!(world.origin_peers()[0].received == pattern(1, 300_000), "{settings:?}");
            let options = if settings.timestamps { 12 } else { 0 };
            let filled = world.peer(key).stats.largest_payload + options;
            assert_eq!(filled, usize::from(mss), "segments are as large as the client takes");
            assert_eq!(world.finish().service.segments_retransmitted, 0);
        }
    }
}

#[test]
fn small_segment_sizes_are_kept_to() {
    for (offered, class) in [(536, 536), (1219, 536), (1300, 1220), (1459, 1452)] {
        let settings = Settings { mss: offered, timestamps: false, ..Settings::MODERN };
        let mut world = shielded(Plan::new(seed()));
        world.listen(origin(1), Settings::MODERN, || send(pattern(2, 50_000)));
        let client = world.client(1, settings, send(pattern(1, 50_000)));
        world.run_to_the_end(secs(10));
        assert!(world.peer(client).received == pattern(2, 50_000));
        assert_eq!(world.peer(client).stats.largest_payload, class, "of {offered} offered");
        world.finish();
    }
}

#[test]
fn streams_stay_whole_over_bad_networks() {
    for seed in seeds(24) {
        let mut choose = Random::new(seed ^ 0xc00c1e);
        let impairments = [(); 2].map(|()| impair::Settings {
            loss_ppm: pick(&mut choose, &[0, 10_000, 100_000]),
            duplicate_ppm: pick(&mut choose, &[0, 10_000, 100_000]),
            delay: pick(&mut choose, &[ms(0), ms(1), ms(20)]),
            reorder_ppm: pick(&mut choose, &[0, 10_000, 100_000]),
            ..impair::Settings::default()
        });
        let mut plan = Plan::new(seed);
        plan.service.origin_leg.handshake_retries = 20;
        plan.service.connect_timeout = secs(60);
        plan.service.idle_timeout = secs(300);
        let mut world = World::impaired(plan, impairments);
        shield(&mut world);
        cookies(&mut world).answers_to_lose = choose.below(3) as u32;
        let of_origin = Settings { lossy: true, ..Settings::MODERN };
        let len = 1000 + choose.below(120_000) as usize;
        world.listen(origin(1), of_origin, move || send_then_wait(pattern(99, len)));
        let all: Vec<_> = (0..3)
            .map(|n| {
                let settings = Settings {
                    lossy: true,
                    scale: pick(&mut choose, &[None, Some(2), Some(9)]),
                    timestamps: pick(&mut choose, &[true, false]),
                    sack: pick(&mut choose, &[true, false]),
                    mss: pick(&mut choose, &[1460, 1200, 536]),
                    ..Settings::MODERN
                };
                world.client(n, settings, send(pattern(n.into(), len)))
            })
            .collect();
        world.run_to_the_end(secs(4 * 3600));
        for client in &all {
            assert!(world.peer(*client).received == pattern(99, len), "seed {seed}");
        }
        for (n, peer) in world.origin_peers().into_iter().enumerate() {
            let sent = (0..3).any(|n| peer.received == pattern(n, len));
            assert!(sent, "seed {seed}: origin {n} has {} octets", peer.received.len());
        }
        assert_eq!(world.finish().service.accepted, 3, "seed {seed}");
    }
}

#[test]
fn what_comes_first_opens_be_it_the_ack_or_payload() {
    for (lost, payload_first) in [(0, false), (0, true), (1, false), (1, true), (3, true)] {
        for settings in [Settings::MODERN, Settings::PLAIN] {
            let mut world = shielded(Plan::new(seed()));
            world.listen(origin(1), Settings::MODERN, echo);
            cookies(&mut world).segments_to_lose = lost;
            let app = if payload_first { send(pattern(1, 900)) } else { idle() };
            let settings = Settings { lossy: lost > 0, ..settings };
            let client = world.client(1, settings, app);
            world.run_for(ms(100));
            let heard = u64::from(lost == 0);
            assert_eq!(world.counters().accepted, heard, "lost {lost}, {payload_first}");
            if !payload_first {
                world.peer(client).write(&pattern(1, 900));
                world.peer(client).finish();
            }
            world.run_to_the_end(secs(10));
            assert_eq!(world.peer(client).received, pattern(1, 900));
            let first = Segment::parse(&clients(&mut world).sent[0]).expect("a segment");
            assert_eq!(first.payload.is_empty(), !payload_first && lost == 0);
            assert_eq!(world.finish().service.accepted, 1);
        }
    }
}

#[test]
fn what_comes_twice_opens_once() {
    let mut world = shielded(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    let settings = Settings { lossy: true, ..Settings::MODERN };
    let client = world.client(1, settings, send_then_wait(pattern(1, 5000)));
    for _ in 0..20 {
        world.step(world.now + ms(1));
        again(&mut world);
    }
    world.peer(client).finish();
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(client).received, pattern(1, 5000));
    assert_eq!(world.origin_peers().len(), 1);
    assert_eq!(world.finish().service.accepted, 1);
}

/// All that the clients have sent lately arrives once more.
fn again<P: Wire>(world: &mut World<P>) -> usize {
    let side = clients(world);
    let packets = side.sent.clone();
    packets.iter().for_each(|packet| side.cable.send(packet));
    packets.len()
}

#[test]
fn a_syn_that_is_sent_again_gets_the_same_answer() {
    let mut world = shielded(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    cookies(&mut world).answers_to_lose = 2;
    let settings = Settings { lossy: true, ..Settings::MODERN };
    let client = world.client(1, settings, send_then_wait(pattern(1, 100)));
    world.run_until(secs(5), |world| world.peer(client).received.len() == 100);
    assert_eq!(cookies(&mut world).answered, 3);
    // One more of the SYNs arrives late, and its answer at a client that has long been served.
    let mut syn = Segment::parse(&clients(&mut world).sent[0]).expect("a segment");
    (syn.flags, syn.seq, syn.ack) = (SYN, syn.seq.wrapping_sub(1), 0);
    syn.options = Options { mss: Some(1460), scale: Some(7), sack_permitted: true, ..syn.options };
    let answer = cookies(&mut world).answer(&syn);
    world.peer(client).take(&answer);
    world.run_for(ms(10));
    world.peer(client).finish();
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(client).status, Status::Finished);
    assert_eq!(world.finish().service.accepted, 1);
}

#[test]
fn a_client_that_took_the_shields_answer_is_not_held_to_ours() {
    for settings in [Settings::MODERN, Settings::PLAIN] {
        let mut world = World::new(Plan::new(seed()));
        world.listen(origin(1), Settings::MODERN, echo);
        let settings = Settings { lossy: true, ..settings };
        let client = world.client(1, settings, send(pattern(1, 5000)));
        // Our SYN-ACK gets lost; the SYN that follows meets a shield under pressure.
        world.run_until(secs(1), |world| world.counters().active == 1);
        clients(&mut world).vanished = true;
        world.run_for(ms(1));
        clients(&mut world).vanished = false;
        shield(&mut world);
        world.run_to_the_end(secs(5));
        assert_eq!(world.peer(client).received, pattern(1, 5000));
        assert_eq!(world.peer(client).status, Status::Finished);
        assert_eq!(world.finish().service.accepted, 1);
    }
}

#[test]
fn a_client_that_lost_its_memory_gets_a_new_connection_on_the_same_port() {
    let mut world = shielded(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    let before = world.client(1, Settings::MODERN, send_then_wait(pattern(1, 500)));
    world.run_until(secs(1), |world| world.peer(before).received.len() == 500);
    // It starts over, with numbers that have nothing to do with those before.
    let after = world.client(1, Settings::MODERN, send(pattern(3, 700)));
    assert_eq!(before, after);
    world.run_to_the_end(secs(1));
    assert_eq!(world.peer(after).received, pattern(3, 700));
    assert_eq!(world.peer(after).status, Status::Finished);
    let told = world.origin_peers().iter().filter(|peer| peer.status == Status::Reset).count();
    assert_eq!((told, world.origin_peers().len()), (1, 2), "the old one's origin is told");
    assert_eq!(world.finish().service.accepted, 2);
}

#[test]
fn a_cookie_without_timestamps_does_not_end_what_is_open() {
    let mut world = shielded(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    let settings = Settings { lossy: true, ..Settings::PLAIN };
    let client = world.client(1, settings, send_then_wait(pattern(1, 500)));
    world.run_until(secs(1), |world| world.peer(client).received.len() == 500);
    let guessed = proof(&mut world, client.0, false);
    clients(&mut world).cable.send(&guessed.build());
    world.run_for(ms(10));
    world.peer(client).write(&pattern(2, 500));
    world.peer(client).finish();
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(client).received, [pattern(1, 500), pattern(2, 500)].concat());
    assert_eq!(world.peer(client).status, Status::Finished);
    assert_eq!(world.finish().service.accepted, 1);
}

/// A segment of a client of no TCP, with numbers by chance.
fn forged(random: &mut Random, flags: u8) -> Segment {
    let stamped = random.below(2) == 0;
    Segment {
        link: Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: Tags::default() },
        source: SocketAddr::new(
            [203, 0, 113, random.draw() as u8].into(),
            random.draw() as u16 | 1,
        ),
        destination: service(),
        seq: random.draw() as u32,
        ack: random.draw() as u32,
        flags,
        window: random.draw() as u16,
        options: Options {
            timestamps: stamped.then(|| (random.draw() as u32, random.draw() as u32)),
            ..Options::default()
        },
        payload: vec![0x5a; random.below(200) as usize],
    }
}

#[test]
fn forged_acks_cost_no_memory_and_draw_no_resets() {
    const FLOOD: u64 = 20_000;
    let mut world = shielded(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    let honest = world.client(1, Settings::MODERN, send_then_wait(pattern(1, 1000)));
    world.run_until(secs(1), |world| world.peer(honest).received.len() == 1000);
    world.run_for(secs(1));
    let heard = clients(&mut world).stats.received;
    let mut random = Random::new(seed() ^ 0xf100d);
    for n in 0..FLOOD {
        let flags = pick(&mut random, &[ACK, ACK | PSH, ACK | FIN, ACK | PSH | FIN]);
        let packet = forged(&mut random, flags).build();
        clients(&mut world).cable.send(&packet);
        if n % 50 == 0 {
            world.step(world.now + ms(1));
            assert_eq!(world.edge.worker().active(), 1);
        }
    }
    world.run_for(ms(100));
    // One forgery in 16 million gets through, of those without timestamps.
    let ledger = world.edge.worker().ledger();
    let drops: Vec<_> = ledger.drops().collect();
    assert_eq!(drops, [("bad_cookie", FLOOD)]);
    assert_eq!(clients(&mut world).stats.received, heard, "not one is answered");
    assert_eq!(world.edge.worker().ledger().held, 0);
    world.peer(honest).finish();
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(honest).status, Status::Finished);
    assert_eq!(world.finish().service.accepted, 1);
}

#[test]
fn without_keys_an_unknown_ack_gets_its_reset() {
    let mut world = World::new(Plan::new(seed()));
    let packet = forged(&mut Random::new(seed()), ACK).build();
    clients(&mut world).cable.send(&packet);
    world.run_for(ms(1));
    assert_eq!(clients(&mut world).stats.resets, 1);
    assert_eq!(dropped(&world, "no_connection"), 1);
    world.finish();
}

#[test]
fn what_proves_nothing_gets_its_reset_while_cookies_are_off() {
    let mut world = shielded(Plan::new(seed()));
    world.edge.set_cookies(Cookies::Off);
    let packet = forged(&mut Random::new(seed()), ACK).build();
    clients(&mut world).cable.send(&packet);
    world.run_for(ms(1));
    assert_eq!(clients(&mut world).stats.resets, 1);
    assert_eq!((dropped(&world, "no_connection"), dropped(&world, "bad_cookie")), (1, 0));
    world.finish();
}

#[test]
fn syns_and_syn_acks_by_turns_never_make_a_flow() {
    let mut world = shielded(Plan::new(seed()));
    let mut random = Random::new(seed());
    let syn = Segment { payload: Vec::new(), ack: 0, ..forged(&mut random, SYN) };
    for _ in 0..4 {
        let answer = cookies(&mut world).answer(&syn);
        // What the client would acknowledge, but by a SYN-ACK.
        let syn_ack = Segment {
            flags: SYN | ACK,
            seq: syn.seq.wrapping_add(1),
            ack: answer.seq.wrapping_add(1),
            ..syn.clone()
        };
        clients(&mut world).cable.send(&syn_ack.build());
        world.run_for(ms(10));
        assert_eq!(world.edge.worker().active(), 0);
    }
    assert_eq!(world.finish().service.accepted, 0);
}

/// The ACK of the answer to a SYN of `client`, under the shield's keys.
fn proof<P: Wire>(world: &mut World<P>, client: SocketAddr, stamped: bool) -> Segment {
    let mut syn = forged(&mut Random::new(seed() ^ 0x5), SYN);
    (syn.source, syn.ack) = (client, 0);
    syn.payload.clear();
    let timestamps = stamped.then_some((4711, 0));
    syn.options = Options { timestamps, mss: Some(1460), ..Options::default() };
    let answer = cookies(world).answer(&syn);
    let stamps = answer.options.timestamps.map(|(value, _)| (4712, value));
    Segment {
        flags: ACK,
        seq: syn.seq.wrapping_add(1),
        ack: answer.seq.wrapping_add(1),
        options: Options { timestamps: stamps, ..Options::default() },
        ..syn
    }
}

#[test]
fn stale_foreign_and_altered_cookies_are_refused() {
    type Change = fn(&mut Segment);
    let changes: [(&str, Change, bool); 9] = [
        ("as it was given", |_| {}, true),
        ("another service", |s| s.destination.set_port(81), false),
        ("another client", |s| s.source = address("198.51.100.8:40000"), false),
        ("another port", |s| s.source.set_port(40_001), false),
        ("another number of the client's", |s| s.seq = s.seq.wrapping_add(1), false),
        ("another slot", |s| s.ack ^= 1 << 31, false),
        ("a larger MSS", |s| s.ack = s.ack.wrapping_add(1 << 28), false),
        ("another timestamp", |s| s.options.timestamps = Some((4712, 1 << 20)), false),
        ("no timestamp", |s| s.options.timestamps = None, false),
    ];
    let client = address("198.51.100.7:40000");
    for (what, change, opens) in changes {
        let mut plan = Plan::new(seed());
        plan.service.listen.push(address("10.10.1.1:81"));
        let mut world = shielded(plan);
        world.listen(origin(1), Settings::MODERN, echo);
        let mut ack = proof(&mut world, client, true);
        change(&mut ack);
        expect(world, ack, what, opens);
    }
    let others: [u8; 16] = *b"somebody else's.";
    for (what, keys, opens) in [
        ("a period later", Keys::at(&MASTER, THEN + COOKIE_PERIOD.as_secs()), true),
        ("two periods later", Keys::at(&MASTER, THEN + 2 * COOKIE_PERIOD.as_secs()), false),
        ("two hours later", Keys::at(&MASTER, THEN + 7200), false),
        ("another master's", Keys::at(&others, THEN), false),
    ] {
        let mut world = shielded(Plan::new(seed()));
        world.listen(origin(1), Settings::MODERN, echo);
        let ack = proof(&mut world, client, true);
        give_keys(&mut world, keys);
        expect(world, ack, what, opens);
    }
}

/// Whether a segment opens a connection, or is dropped in silence.
fn expect<P: Wire>(mut world: World<P>, segment: Segment, what: &str, opens: bool) {
    clients(&mut world).cable.send(&segment.build());
    world.run_for(ms(5));
    assert_eq!(world.counters().accepted, u64::from(opens), "{what}");
    assert_eq!(dropped(&world, "bad_cookie"), u64::from(!opens), "{what}");
    assert_eq!(clients(&mut world).stats.received, 0, "{what}");
    if opens {
        let reset = Segment { flags: RST | ACK, ..segment };
        clients(&mut world).cable.send(&reset.build());
    }
    world.run_to_the_end(secs(5));
    world.finish();
}

#[test]
fn a_cookie_opens_one_connection_however_that_ends() {
    type End = fn(&mut Peer);
    let ends: [(&str, End); 3] = [
        ("the client finishes first", |peer| peer.finish()),
        ("the client resets", |peer| peer.abort()),
        ("the origin finishes first", |_| {}),
    ];
    for (what, end) in ends {
        let mut world = shielded(Plan::new(seed()));
        let by_origin = what.starts_with("the origin");
        world.listen(origin(1), Settings::MODERN, move || match by_origin {
            true => send(pattern(2, 500)),
            false => echo(),
        });
        let client = world.client(1, Settings::MODERN, send_then_wait(pattern(1, 500)));
        world.run_until(secs(1), |world| world.peer(client).received.len() == 500);
        end(world.peer(client));
        world.run_to_the_end(secs(5));
        clients(&mut world).peers.clear();
        clients(&mut world).resets = false;
        for after in [ms(0), secs(10), secs(53)] {
            world.run_for(after);
            again(&mut world);
            world.run_for(ms(10));
            assert_eq!(world.edge.worker().active(), 0, "{what}, {after:?} later");
        }
        assert_eq!(world.origin_peers().len(), 1, "{what}");
        if !by_origin {
            assert!(dropped(&world, "bad_cookie") > 0, "{what}");
        }
        assert_eq!(world.finish().service.accepted, 1, "{what}");
    }
}

#[test]
fn a_client_port_is_used_again_during_time_wait() {
    for settings in [Settings::MODERN, Settings::PLAIN] {
        let mut world = shielded(Plan::new(seed()));
        // The origin closes first, so that our client leg is the one that waits.
        world.listen(origin(1), Settings::MODERN, || send(pattern(2, 100)));
        let mut rounds = 0;
        let mut isn = 0;
        while rounds < 4 {
            let client = world.client(1, settings, send_then_wait(pattern(1, 10)));
            // Numbers move on from one connection of a host's port to the next (RFC 6528).
            isn += 1_000_000;
            world.peer(client).start_at(isn);
            world.run_to_the_end(secs(5));
            assert_eq!(world.peer(client).status, Status::Finished, "round {rounds}");
            assert_eq!(world.peer(client).received, pattern(2, 100));
            world.run_for(ms(100));
            rounds += 1;
        }
        assert_eq!(world.finish().service.accepted, rounds);
    }
}

#[test]
fn who_has_proven_a_cookie_and_is_not_taken_is_told_so() {
    for fallback in [Fallback::Kernel, Fallback::Reset, Fallback::Drop] {
        let mut plan = Plan::new(seed());
        plan.service.max_connections = 1;
        plan.service.fallback = fallback;
        let mut world = shielded(plan);
        world.listen(origin(1), Settings::MODERN, echo);
        let open = world.client(1, Settings::MODERN, idle());
        world.run_until(secs(1), |world| world.counters().active == 1);
        let late = world.client(2, Settings::MODERN, send(pattern(1, 100)));
        world.run_for(ms(100));
        let counters = world.counters();
        assert_eq!((counters.accepted, counters.fell_back), (1, 0), "Linux never saw the SYN");
        assert_eq!((counters.refused, dropped(&world, "refused")), (1, 1));
        let told = if fallback == Fallback::Drop { Status::Open } else { Status::Reset };
        assert_eq!(world.peer(late).status, told, "{fallback:?}");
        world.peer(open).abort();
        world.run_to_the_end(secs(5));
        if fallback == Fallback::Drop {
            assert_eq!(world.peer(late).received, pattern(1, 100), "it got in later");
        }
        world.finish();
    }
}

#[test]
fn a_drain_tells_those_who_come_too_late() {
    let mut world = shielded(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, echo);
    world.drain();
    let late = world.client(1, Settings::MODERN, send(pattern(1, 100)));
    world.run_to_the_end(secs(1));
    assert_eq!(world.peer(late).status, Status::Reset);
    assert_eq!(world.finish().service.accepted, 0);
}

#[test]
fn the_shield_says_what_the_engine_would() {
    for key in [(address("198.51.100.7:40000"), service()), v6()] {
        let mut world = World::new(Plan::new(seed()));
        let syn = Segment {
            source: key.0,
            destination: key.1,
            options: Options { mss: Some(1460), scale: Some(7), ..Options::default() },
            payload: Vec::new(),
            ack: 0,
            ..forged(&mut Random::new(seed()), SYN)
        };
        clients(&mut world).cable.send(&syn.build());
        world.edge.turn(world.now);
        let packet = clients(&mut world).cable.receive().expect("a SYN-ACK");
        let engines = Segment::parse(&packet).expect("a sound one");
        shield(&mut world);
        let shields = cookies(&mut world).answer(&syn);
        assert_eq!(engines.window, shields.window);
        assert_eq!(engines.options, shields.options);
        let reset = Segment { flags: RST, seq: syn.seq.wrapping_add(1), ..syn };
        clients(&mut world).cable.send(&reset.build());
        world.run_to_the_end(secs(1));
        world.finish();
    }
}
