//! TCP Fast Open on the clients' leg (RFC 7413): who gets in early, and who does not.

use ringroad_engine::limits::{FAST_OPEN_PENDING_MAX, FAST_OPEN_RESET_MEMORY};
use ringroad_engine::port::impair;

use crate::apps::{idle, request, respond, send};
use crate::cookies::shield;
use crate::packet::{Link, Options, SYN, Segment};
use crate::peer::{Settings, Status};
use crate::rig::{
    CLIENTS, Key, OURS, Plan, THEIRS, Wire, World, ms, origin, pattern, secs, seed, seeds, service,
};

const ASKING: Settings = Settings { fast_open: Some(None), ..Settings::MODERN };

fn bringing(cookie: [u8; 8]) -> Settings {
    Settings { fast_open: Some(Some(cookie)), ..Settings::MODERN }
}

fn plan() -> Plan {
    let mut plan = Plan::new(seed());
    plan.service.client_leg.fast_open = true;
    plan
}

/// The cookie that a client gets that asks for one.
fn cookie<P: Wire>(world: &mut World<P>) -> [u8; 8] {
    let client = world.client(1, ASKING, request(vec![pattern(1, 100)], 700));
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(client).received, pattern(2, 700));
    assert_eq!(world.peer(client).early, 0, "nobody gets in early without a cookie");
    world.peer(client).cookie.expect("a cookie for who asks")
}

/// How long a client of these settings takes to get its answer, to a request of its first segment.
fn time_to_answer<P: Wire>(world: &mut World<P>, number: u16, settings: Settings) -> (Key, u64) {
    let start = world.now;
    let client = world.client(number, settings, request(vec![pattern(1, 100)], 700));
    world.run_until(secs(5), |world| world.peer(client).received.len() == 700);
    let took = world.now - start;
    world.run_to_the_end(secs(5));
    (client, took.as_millis() as u64)
}

#[test]
fn who_comes_back_has_its_answer_a_round_trip_earlier() {
    let far = impair::Settings { delay: ms(20), ..impair::Settings::default() };
    let mut world = World::impaired(plan(), [far, impair::Settings::default()]);
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 700)));
    let cookie = cookie(&mut world);
    let (client, late) = time_to_answer(&mut world, 2, Settings::MODERN);
    assert!(world.peer(client).cookie.is_none(), "who does not ask gets none");
    let (client, early) = time_to_answer(&mut world, 3, bringing(cookie));
    assert_eq!(world.peer(client).early, 100, "all of the request came with the SYN");
    assert_eq!(world.peer(client).status, Status::Finished);
    assert!((80..90).contains(&late) && (40..50).contains(&early), "{late} and {early} ms");
    assert_eq!(world.edge.worker().tcp_counters().fast_opens, 1);
    let ended = world.finish();
    assert_eq!(ended.service.segments_copied, 0, "the SYN's payload crosses in its frame");
    assert_eq!(ended.service.to_origin_octets, 300);
}

#[test]
fn a_cookie_of_another_gets_a_handshake_and_a_cookie_of_its_own() {
    let mut world = World::new(plan());
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 700)));
    let mut forged = cookie(&mut world);
    let fresh = forged;
    forged[3] ^= 0x10;
    let (client, _) = time_to_answer(&mut world, 2, bringing(forged));
    assert_eq!((world.peer(client).early, world.peer(client).cookie), (0, Some(fresh)));
    assert_eq!(world.origin_peers()[1].received, pattern(1, 100), "once");
    world.finish();
}

#[test]
fn a_service_without_it_says_nothing_of_it() {
    let mut world = World::new(Plan::new(seed()));
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 700)));
    for (number, settings) in [(1, ASKING), (2, bringing([7; 8]))] {
        let (client, _) = time_to_answer(&mut world, number, settings);
        assert_eq!((world.peer(client).early, world.peer(client).cookie), (0, None));
    }
    assert_eq!(world.edge.worker().tcp_counters().fast_opens, 0);
    world.finish();
}

#[test]
fn while_the_shield_answers_clients_do_without() {
    let mut world = World::new(plan());
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 700)));
    let cookie = cookie(&mut world);
    shield(&mut world);
    let (client, _) = time_to_answer(&mut world, 2, bringing(cookie));
    assert_eq!(world.peer(client).early, 0);
    assert_eq!(world.origin_peers()[1].received, pattern(1, 100), "once");
    world.finish();
}

/// As if sent by whoever has overheard a cookie of the address.
fn syn_with(cookie: [u8; 8], port: u16) -> Segment {
    Segment {
        link: Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: None.into() },
        source: ([198, 51, 100, 1], port).into(),
        destination: service(),
        seq: 0x1000,
        ack: 0,
        flags: SYN,
        window: 60_000,
        options: Options {
            mss: Some(1460),
            fast_open: Some(cookie.to_vec()),
            ..Options::default()
        },
        payload: pattern(1, 100),
    }
}

/// How many of so many SYNs had their payload taken.
fn taken_early<P: Wire>(
    world: &mut World<P>,
    cookie: [u8; 8],
    ports: std::ops::Range<u16>,
) -> usize {
    world.hosts.0[CLIENTS].taken = Some(Vec::new());
    for port in ports {
        world.hosts.0[CLIENTS].cable.send(&syn_with(cookie, port).build());
        world.run_for(ms(1));
    }
    let taken = world.hosts.0[CLIENTS].taken.take().unwrap();
    let answers = taken.iter().map(|packet| Segment::parse(packet).expect("a sound packet"));
    answers.filter(|answer| answer.has(SYN) && answer.ack == 0x1000 + 101).count()
}

#[test]
fn those_that_are_not_heard_of_again_are_limited() {
    for victim_resets in [false, true] {
        let mut world = World::new(plan());
        world.listen(origin(1), Settings::MODERN, idle);
        let cookie = {
            let client = world.client(1, ASKING, send(Vec::new()));
            world.run_for(ms(100));
            let cookie = world.peer(client).cookie.expect("a cookie");
            world.peer(client).abort();
            cookie
        };
        world.hosts.0[CLIENTS].resets = victim_resets;
        let most = FAST_OPEN_PENDING_MAX;
        let early = taken_early(&mut world, cookie, 1000..1000 + most as u16 + 50);
        assert_eq!(early, most, "with resets: {victim_resets}");
        // The others wait for a handshake as without a cookie, or were reset.
        world.run_for(FAST_OPEN_RESET_MEMORY * 3);
        assert_eq!(taken_early(&mut world, cookie, 5000..5010), 10, "there is room again");
        world.run_for(secs(200));
        world.finish();
    }
}

/// An origin is often nearer than its clients: it has refused before they are heard of.
#[test]
fn those_whose_origin_refuses_make_room_for_others() {
    let mut world = World::new(plan());
    let client = world.client(1, ASKING, send(Vec::new()));
    world.run_for(ms(100));
    let cookie = world.peer(client).cookie.expect("a cookie");
    world.hosts.0[CLIENTS].resets = false;
    let count = FAST_OPEN_PENDING_MAX as u16 + 50;
    assert_eq!(taken_early(&mut world, cookie, 1000..1000 + count), usize::from(count));
    world.run_for(secs(200));
    world.finish();
}

#[test]
fn requests_arrive_whole_and_once_over_bad_networks() {
    for seed in seeds(12) {
        let bad = impair::Settings {
            loss_ppm: 100_000,
            duplicate_ppm: 50_000,
            delay: ms(5),
            jitter: ms(2),
            reorder_ppm: 50_000,
            ..impair::Settings::default()
        };
        let mut plan = Plan { seed, ..plan() };
        for leg in [&mut plan.service.client_leg, &mut plan.service.origin_leg] {
            leg.handshake_retries = 20;
        }
        plan.service.connect_timeout = secs(60);
        let mut world = World::impaired(plan, [bad, impair::Settings::default()]);
        world.listen(origin(1), Settings::MODERN, || respond(3000, pattern(2, 9000)));
        let lossy = Settings { lossy: true, ..Settings::MODERN };
        let asking = Settings { fast_open: Some(None), ..lossy };
        let first = world.client(1, asking, request(vec![pattern(1, 3000)], 9000));
        world.run_to_the_end(secs(3600));
        let cookie = world.peer(first).cookie.expect("a cookie");
        let settings = Settings { fast_open: Some(Some(cookie)), ..lossy };
        for number in 2..8 {
            let client = world.client(number, settings, request(vec![pattern(1, 3000)], 9000));
            world.run_to_the_end(secs(3600));
            assert!(world.peer(client).received == pattern(2, 9000), "seed {seed}");
        }
        for peer in world.origin_peers() {
            // A SYN that comes again when all is over opens a connection that its host resets.
            let whole = peer.received == pattern(1, 3000);
            assert!(whole || peer.status == Status::Reset, "seed {seed}");
        }
        world.finish();
    }
}
