//! Behind the shield's twin: the engine serves, and Linux has what is not the engine's, by way of
//! the same ports.

use ringroad_engine::port::sim::{self, Completion, SimPort};
use ringroad_engine::shield::Rates;
use ringroad_engine::stage::TwinGate;
use ringroad_simulation::faults::stop;

use crate::apps::{echo, idle, respond, send, send_then_wait};
use crate::packet::{ACK, Link, Options, Segment, Tags, ip_packet};
use crate::peer::{Settings, Status};
use crate::rig::{
    CLIENTS, Key, Listener, ORIGINS, OURS, Plan, THEIRS, World, address, ip, ms, origin, pattern,
    secs, seed,
};

type TwinWorld = World<SimPort, TwinGate<SimPort>>;

/// What listens in Linux on a port of no service.
const SSH: &str = "10.10.1.1:22";

/// Linux echoes on `address`, and the origin answers 100 octets by 700.
fn world(plan: Plan, rates: Rates, addresses: &[&str]) -> TwinWorld {
    let mut world = World::behind_twin(plan, rates);
    world.listen(origin(1), Settings::MODERN, || respond(100, pattern(2, 700)));
    for listening in addresses {
        let listener = Listener::Accept(Settings::MODERN, Box::new(echo));
        world.hosts.1[CLIENTS].listeners.insert(address(listening), listener);
    }
    world
}

/// A client of Linux's `address`.
fn client_of(world: &mut TwinWorld, at: &str, octets: usize) -> Key {
    let key = (address("198.51.100.77:40000"), address(at));
    world.client_at(key, None, Settings::MODERN, send(pattern(7, octets)))
}

/// An ARP packet, told apart by its last octet.
fn arp(from: [u8; 6], number: u8) -> Vec<u8> {
    let mut packet = [[0xff; 6], from].concat();
    packet.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    packet.resize(59, 0);
    packet.push(number);
    packet
}

fn echo_request(link: Link) -> Vec<u8> {
    ip_packet(link, ip("198.51.100.77"), ip("10.10.1.1"), 1, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0])
}

#[test]
fn linux_has_its_own_while_the_engine_serves() {
    let mut world = world(Plan::new(seed()), Rates::default(), &[SSH]);
    let of_engine: Vec<_> = (0..20)
        .map(|n| world.client(n, Settings::MODERN, send(pattern(u64::from(n), 100))))
        .collect();
    let of_linux = client_of(&mut world, SSH, 100_000);
    let towards =
        Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: Tags::default() };
    let inward = [arp(THEIRS[CLIENTS], 1), echo_request(towards)];
    let outward = [arp(OURS[CLIENTS], 2), echo_request(towards.reversed())];
    for packet in &inward {
        world.hosts.0[CLIENTS].cable.send(packet);
    }
    for packet in &outward {
        world.hosts.1[CLIENTS].cable.send(packet);
    }
    // The other port has a Linux of its own.
    world.hosts.1[ORIGINS].cable.send(&arp(OURS[ORIGINS], 3));
    world.run_to_the_end(secs(5));
    for client in of_engine {
        assert_eq!(world.peer(client).received, pattern(2, 700));
    }
    assert_eq!(world.peer(of_linux).received, pattern(7, 100_000));
    assert_eq!(world.peer(of_linux).status, Status::Finished);
    assert_eq!(world.hosts.1[CLIENTS].others.as_deref(), Some(&inward[..]));
    assert_eq!(world.hosts.0[CLIENTS].others.as_deref(), Some(&outward[..]));
    assert_eq!(world.hosts.0[ORIGINS].others.as_deref(), Some(&[arp(OURS[ORIGINS], 3)][..]));

    world.run_for(ms(1));
    let linux = [CLIENTS, ORIGINS].map(|side| world.hosts.1[side].stats.received);
    let hosts: u64 = world.hosts.0.iter().map(|side| side.stats.received).sum();
    let ended = world.finish();
    let [wan, lan] = ended.kernel_paths[..] else { panic!("two ports") };
    assert_eq!([wan.to_kernel, lan.to_kernel], linux);
    assert_eq!((lan.to_kernel, lan.from_kernel), (0, 1));
    assert_eq!(ended.ledger.to_kernel, wan.to_kernel, "all that crossed, in the ledger");
    assert!(wan.from_kernel > 70, "100,000 octets came back: {wan:?}");
    assert_eq!(hosts, ended.ledger.sent + wan.from_kernel + lan.from_kernel, "counted apart");
    assert_eq!(ended.service.accepted, 20);
    assert_eq!((wan.limited, wan.full, wan.from_kernel_dropped), (0, 0, 0));
}

#[test]
fn connections_that_the_engine_will_not_take_are_linuxs_to_their_end() {
    let mut plan = Plan::new(seed());
    plan.service.max_connections = 2;
    let mut world = world(plan, Rates::default(), &["10.10.1.1:80"]);
    let open = [0, 1].map(|n| world.client(n, Settings::MODERN, idle()));
    world.run_until(secs(1), |world| world.origin_peers().len() == 2);
    let fallen = world.client(2, Settings::MODERN, idle());
    world.run_until(secs(1), |world| world.peer(fallen).status == Status::Open);
    assert_eq!(world.hosts.1[CLIENTS].stats.syns, 1, "Linux has it");

    for client in open {
        world.peer(client).abort();
    }
    world.run_until(secs(1), |world| world.edge.worker().active() == 0);
    world.run_for(ms(20));
    let taken = world.client(3, Settings::MODERN, send(pattern(3, 100)));
    world.peer(fallen).write(&pattern(4, 50_000));
    world.peer(fallen).finish();
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(taken).received, pattern(2, 700), "the engine takes them again");
    assert_eq!(world.peer(fallen).received, pattern(4, 50_000), "by Linux all the while");
    assert_eq!(world.peer(fallen).status, Status::Finished);

    // The same addresses and ports once more are a new connection.
    world.hosts.0[CLIENTS].peers.clear();
    let again = world.client(2, Settings::MODERN, send(pattern(5, 100)));
    world.run_to_the_end(secs(5));
    assert_eq!(world.peer(again).received, pattern(2, 700));
    let ended = world.finish();
    assert_eq!((ended.service.accepted, ended.service.fell_back), (4, 1));
    assert_eq!(ended.ledger.drops().count(), 0, "{:?}", ended.ledger);
}

/// A segment to nobody, from a sender of its own each time.
fn stray(number: u32) -> Vec<u8> {
    let [_, _, high, low] = number.to_be_bytes();
    Segment {
        link: Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: Tags::default() },
        source: (std::net::Ipv4Addr::new(203, 0, high, low), 1024).into(),
        destination: address("10.10.1.1:9999"),
        seq: 1,
        ack: 1,
        flags: ACK,
        window: 1000,
        options: Options::default(),
        payload: vec![0; 100],
    }
    .build()
}

#[test]
fn a_flood_starves_neither_the_network_nor_the_engine() {
    let rates = Rates { rest: 1_000, ..Rates::default() };
    let mut world = world(Plan::new(seed()), rates, &[]);
    // Linux answers nobody here: each answer would be one more packet.
    world.hosts.1[CLIENTS].resets = false;
    let client = world.client(1, Settings::MODERN, send(pattern(1, 100)));
    let large = world.client(2, Settings::MODERN, idle());
    let mut sent = 0;
    for number in 0..100 {
        for _ in 0..500 {
            world.hosts.0[CLIENTS].cable.send(&stray(sent));
            sent += 1;
        }
        world.hosts.0[CLIENTS].cable.send(&arp(THEIRS[CLIENTS], number));
        world.run_for(ms(10));
        if number == 50 {
            world.peer(large).write(&pattern(1, 100));
            world.peer(large).finish();
        }
    }
    for client in [client, large] {
        assert_eq!(world.peer(client).status, Status::Finished);
        assert_eq!(world.peer(client).received, pattern(2, 700));
    }
    let arrived = world.hosts.1[CLIENTS].others.take().unwrap_or_default();
    assert_eq!(arrived, (0..100).map(|n| arp(THEIRS[CLIENTS], n)).collect::<Vec<_>>());
    let strays = world.hosts.1[CLIENTS].stats.received - arrived.len() as u64;
    assert!((950..1_100).contains(&strays), "{strays} of {sent} in a second");
    let ended = world.finish();
    let dropped: Vec<_> = ended.ledger.drops().collect();
    assert_eq!(dropped, [("kernel_path_limited", u64::from(sent) - strays)]);
    assert_eq!(ended.service.accepted, 2);
}

#[test]
fn what_linux_has_no_room_for_is_accounted_for() {
    let mut plan = Plan::new(seed());
    plan.device = sim::Settings { tx_entries: 8, ..plan.device };
    let mut world = world(plan, Rates::default(), &[]);
    (0..64).for_each(|number| world.hosts.0[CLIENTS].cable.send(&arp(THEIRS[CLIENTS], number)));
    world.run_for(ms(1));
    assert_eq!(world.hosts.1[CLIENTS].others.as_ref().map(Vec::len), Some(8));
    let ended = world.finish();
    assert_eq!(ended.ledger.drops().collect::<Vec<_>>(), [("kernel_path_full", 56)]);
    assert_eq!((ended.ledger.received, ended.ledger.to_kernel), (64, 8));
}

#[test]
fn every_frame_is_home_when_the_lane_stops_in_the_middle() {
    let mut plan = Plan::new(seed());
    plan.device = sim::Settings { completion: Completion::AfterFlushes(5), ..plan.device };
    let mut world = world(plan, Rates::default(), &[SSH]);
    world.listen(origin(1), Settings::MODERN, || send_then_wait(pattern(2, 2_000_000)));
    let of_linux = client_of(&mut world, SSH, 2_000_000);
    let of_engine = world.client(1, Settings::MODERN, send(pattern(1, 2_000_000)));
    world.run_until(secs(5), |world| {
        world.peer(of_linux).received.len() > 100_000
            && world.peer(of_engine).received.len() > 100_000
    });
    assert!(world.edge.worker().pool.held_count() > 0, "in the middle of it");
    let (last, _) = stop(world);
    assert!(last.kernel_paths[CLIENTS].to_kernel > 70 && last.ledger.shield.passed() > 70);
    assert_eq!(last.ledger.received, last.ledger.shield.received);
}
