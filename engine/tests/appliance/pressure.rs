//! SYN cookies that come by themselves with a flood, and go after it.

use std::net::SocketAddr;

use ringroad_engine::limits::PRESSURE_HOLD;
use ringroad_engine::port::sim::SimPort;
use ringroad_engine::proxy::cookie_service;
use ringroad_engine::shield::Rates;
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::{Cookies, Pressure, Thresholds, TwinGate};
use ringroad_engine::tcp::LegSettings;
use ringroad_engine::telemetry::Snapshot;

use crate::apps::{echo, idle, respond, send};
use crate::cookies::{CookieShield, MASTER, THEN, give_keys};
use crate::packet::{ACK, Link, Options, SYN, Segment, Tags};
use crate::peer::{Settings, Status};
use crate::rig::{
    CLIENTS, Key, OURS, Plan, THEIRS, World, ms, origin, pattern, secs, seed, service,
};

type TwinWorld = World<SimPort, TwinGate<SimPort>>;

fn keys() -> Keys {
    Keys::at(&MASTER, THEN)
}

/// The origin answers 100 octets by 700.
fn world(cookies: Cookies) -> TwinWorld {
    let mut plan = Plan::new(seed());
    plan.cookies = cookies;
    let mut world = World::behind_twin(plan, Rates::default());
    give_keys(&mut world, keys());
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 700)));
    world
}

fn under_pressure(syn_per_second: u32, half_open: u32) -> TwinWorld {
    world(Cookies::UnderPressure(Pressure::new(Thresholds { syn_per_second, half_open })))
}

fn is_on(world: &TwinWorld) -> bool {
    matches!(world.edge.cookies(), Cookies::UnderPressure(pressure) if pressure.is_on())
}

fn answered(world: &mut TwinWorld) -> u64 {
    let mut snapshot = Snapshot::new(1, 2);
    world.edge.fill(&mut snapshot);
    snapshot.ledger.shield.answered()
}

/// A SYN from nowhere; `number` tells them apart.
fn forged(number: u32) -> Segment {
    let [_, a, b, c] = number.to_be_bytes();
    Segment {
        link: Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: Tags::default() },
        source: SocketAddr::new([203, a, b, c].into(), 1024),
        destination: service(),
        seq: number.wrapping_mul(0x9e37_79b9),
        ack: 0,
        flags: SYN,
        window: 65_535,
        options: Options { mss: Some(1460), scale: Some(7), ..Options::default() },
        payload: Vec::new(),
    }
}

/// A flood of so many SYNs in each millisecond, from addresses that answer nothing.
struct Flood {
    per_ms: u32,
    sent: u32,
}

impl Flood {
    /// For `millis`, or until `done`; returns how long that was [ms].
    fn run(
        &mut self,
        world: &mut TwinWorld,
        millis: u64,
        mut done: impl FnMut(&mut TwinWorld) -> bool,
    ) -> u64 {
        let side = &mut world.hosts.0[CLIENTS];
        side.resets = false;
        for passed in 0..millis {
            if done(world) {
                return passed;
            }
            for _ in 0..self.per_ms {
                self.sent += 1;
                world.hosts.0[CLIENTS].cable.send(&forged(self.sent).build());
            }
            world.run_for(ms(1));
        }
        millis
    }
}

fn serve(world: &mut TwinWorld, number: u16) -> Key {
    world.client(number, Settings::MODERN, send(pattern(number.into(), 100)))
}

/// The clients are served while the flood goes on.
fn serve_in(world: &mut TwinWorld, flood: &mut Flood, numbers: std::ops::Range<u16>) {
    let clients: Vec<_> = numbers.map(|number| serve(world, number)).collect();
    let took =
        flood.run(world, 500, |world| clients.iter().all(|client| world.peer(*client).is_over()));
    assert!(took < 500, "a flood of {} in a millisecond stops clients", flood.per_ms);
    for client in clients {
        assert_eq!(world.peer(client).status, Status::Finished);
        assert_eq!(world.peer(client).received, pattern(2, 700));
    }
}

#[test]
fn a_flood_turns_cookies_on_within_milliseconds_and_its_end_off() {
    let mut world = under_pressure(10_000, 1_000_000);
    let before = serve(&mut world, 1);
    world.run_until(secs(1), |world| world.peer(before).is_over());
    assert_eq!((is_on(&world), answered(&mut world)), (false, 0));

    let mut flood = Flood { per_ms: 1000, sent: 0 };
    let took = flood.run(&mut world, 100, is_on_mut);
    assert!((1..=3).contains(&took), "cookies after {took} ms");
    let half_open = world.edge.worker().half_open();
    serve_in(&mut world, &mut flood, 100..150);
    assert!(answered(&mut world) > u64::from(flood.sent) / 2);
    assert_eq!(world.edge.worker().half_open(), half_open, "not one more is remembered");
    assert!(world.edge.worker().active() <= half_open + 1, "{half_open} of them from before");

    // Who got a cookie, and answers when all is over.
    let late = proof(1_000_000);
    world.run_for(PRESSURE_HOLD - ms(5));
    assert!(is_on(&world));
    (0..10).for_each(|_| world.run_for(ms(1)));
    assert!(!is_on(&world), "it was calm for long enough");
    let before = answered(&mut world);
    let after = serve(&mut world, 2);
    world.run_until(secs(1), |world| world.peer(after).is_over());
    assert_eq!(world.peer(after).status, Status::Finished);
    assert_eq!(answered(&mut world), before, "the engine answers again");
    let accepted = world.counters().accepted;
    world.hosts.0[CLIENTS].cable.send(&late.build());
    world.run_for(ms(5));
    assert_eq!(world.counters().accepted, accepted + 1, "its cookie is good");
    let reset = Segment { flags: crate::packet::RST | ACK, ..late };
    world.hosts.0[CLIENTS].cable.send(&reset.build());
    world.run_to_the_end(secs(120));
    assert_eq!(world.edge.worker().half_open(), 0);
    world.finish();
}

fn is_on_mut(world: &mut TwinWorld) -> bool {
    is_on(world)
}

/// The acknowledgment of the cookie that a forged SYN gets.
fn proof(number: u32) -> Segment {
    let says = cookie_service(&LegSettings::default(), 1500, u16::MAX);
    let syn = forged(number);
    let answer = CookieShield::new(keys(), says).answer(&syn);
    Segment {
        flags: ACK,
        seq: syn.seq.wrapping_add(1),
        ack: answer.seq.wrapping_add(1),
        options: Options::default(),
        ..syn
    }
}

#[test]
fn a_slow_flood_is_noticed_by_what_it_leaves_half_open() {
    let mut world = under_pressure(10_000, 64);
    let mut flood = Flood { per_ms: 1, sent: 0 };
    let took = flood.run(&mut world, 1000, is_on_mut);
    assert!((64..=70).contains(&took), "cookies after {took} ms");
    serve_in(&mut world, &mut flood, 1..20);
    // Those from before give up in their time; the flood goes on, and adds none.
    flood.run(&mut world, 1000, |_| false);
    let most = world.edge.worker().half_open();
    assert!(most <= 70, "{most} half open");
    world.run_until(secs(120), |world| world.edge.worker().half_open() <= 32);
    world.run_for(PRESSURE_HOLD);
    world.run_for(ms(5));
    assert!(!is_on(&world));
    world.run_to_the_end(secs(120));
    world.finish();
}

#[test]
fn clients_in_earnest_are_no_pressure() {
    let mut world = under_pressure(10_000, 64);
    for round in 0..20 {
        let clients: Vec<_> = (0..50).map(|n| serve(&mut world, round * 50 + n)).collect();
        world
            .run_until(secs(1), |world| clients.iter().all(|client| world.peer(*client).is_over()));
    }
    assert!(!is_on(&world));
    assert_eq!(answered(&mut world), 0);
    assert_eq!(world.finish().service.accepted, 1000);
}

#[test]
fn answers_offer_no_more_than_the_origins_take() {
    for mss in [1400, 900] {
        for timestamps in [true, false] {
            let settings = Settings { timestamps, ..Settings::MODERN };
            let mut world = world(Cookies::Always);
            world.listen(origin(1), Settings { mss, ..settings }, echo);
            world.hosts.0[CLIENTS].taken = Some(Vec::new());
            for number in 0..3 {
                let client = world.client(number, settings, send(pattern(1, 20_000)));
                world.run_until(secs(5), |world| world.peer(client).is_over());
                assert_eq!(world.peer(client).received, pattern(1, 20_000));
            }
            let taken = world.hosts.0[CLIENTS].taken.take().expect("it was asked for");
            let segments = taken.iter().map(|packet| Segment::parse(packet).expect("a segment"));
            let answers = segments.filter(|segment| segment.has(SYN));
            let offered: Vec<_> = answers.filter_map(|answer| answer.options.mss).collect();
            assert_eq!(offered, [1460, mss, mss], "as soon as it is known");
            assert_eq!(answered(&mut world), 3);
            world.run_to_the_end(secs(5));
            world.finish();
        }
    }
}

#[test]
fn connections_that_wait_for_their_client_are_counted_to_the_one() {
    let mut world = under_pressure(10_000, 1000);
    let mut flood = Flood { per_ms: 1, sent: 0 };
    flood.run(&mut world, 40, |_| false);
    assert_eq!(world.edge.worker().half_open(), 40);
    let open: Vec<_> = (0..10).map(|n| world.client(n, Settings::MODERN, idle())).collect();
    world.run_for(ms(5));
    assert_eq!(world.edge.worker().half_open(), 40, "those have acknowledged");
    // Some are reset by who never asked for them.
    for number in 1..=15 {
        let syn = forged(number);
        let reset = Segment {
            flags: crate::packet::RST,
            seq: syn.seq.wrapping_add(1),
            options: Options::default(),
            ..syn
        };
        world.hosts.0[CLIENTS].cable.send(&reset.build());
    }
    world.run_for(ms(5));
    assert_eq!(world.edge.worker().half_open(), 25);
    open.iter().for_each(|client| world.peer(*client).abort());
    world.run_to_the_end(secs(120));
    assert_eq!(world.edge.worker().half_open(), 0);
    world.finish();
}
