//! Connections through the appliance, with a network of every kind on both sides of it.
//!
//! `RINGROAD_SEED=n` replays a seed, `RINGROAD_SEEDS=n` runs more.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ringroad_engine::port::sim::SimPort;
use ringroad_simulation::appliance::apps::{send, send_then_wait};
use ringroad_simulation::appliance::peer::{Settings, Status};
use ringroad_simulation::appliance::rig::{
    CLIENTS, Key, ORIGINS, Plan, Random, World, address, ms, origin, pattern, pick, secs, seeds,
    service,
};
use ringroad_simulation::internet::middlebox::{Limit, Stripped, Tells};
use ringroad_simulation::internet::{
    BlackHole, End, Flapping, Internet, Middlebox, NetworkFigures, NetworkSettings, PathSettings,
    Reordering, Swallows,
};
use ringroad_simulation::link::Loss;

/// What each end of a connection sends [octets].
const STREAM: usize = 100_000;

/// A world with a network on each side.
struct Between {
    world: World<SimPort>,
    internets: [Rc<RefCell<Internet>>; 2],
}

impl Between {
    fn new(seed: u64, networks: [NetworkSettings; 2]) -> Between {
        let mut plan = Plan::new(seed);
        for leg in [&mut plan.service.client_leg, &mut plan.service.origin_leg] {
            leg.handshake_retries = 20;
            leg.ecn = ringroad_engine::tcp::EcnPolicy::Ask;
        }
        plan.service.connect_timeout = secs(60);
        plan.service.idle_timeout = secs(300);
        let mut world = World::new(plan);
        let internets = networks.map(|network| {
            let mut internet = Internet::new(seed);
            internet.add(network);
            Rc::new(RefCell::new(internet))
        });
        for (side, internet) in world.hosts.0.iter_mut().zip(&internets) {
            side.network = Some(Box::new(Rc::clone(internet)));
            side.corrupting = true;
        }
        Between { world, internets }
    }

    /// Three clients send streams that an origin sends as well; two over IPv4, one over IPv6.
    fn transfer(&mut self, client: Settings, of_origin: Settings) -> [Key; 3] {
        self.world.listen(origin(1), of_origin, || send_then_wait(pattern(99, STREAM)));
        let v6 = (address("[2001:db8:99::7]:40000"), address("[2001:db8:1::1]:80"));
        let v4 = |number| (address(&format!("198.51.100.{number}:40000")), service());
        let mut number = 0;
        [v4(1), v4(2), v6].map(|key| {
            number += 1;
            let mss = if key.0.is_ipv4() { client.mss } else { client.mss.min(1440) };
            let settings = Settings { mss, ..client };
            self.world.client_at(key, None, settings, send(pattern(number, STREAM)))
        })
    }

    fn figures(&self, side: usize) -> NetworkFigures {
        self.internets[side].borrow().figures().next().expect("a network").1
    }
}

/// What goes wrong on the way, with nothing else.
fn over(path: PathSettings) -> NetworkSettings {
    NetworkSettings { up: path, down: path, ..NetworkSettings::default() }
}

fn behind(middlebox: Middlebox) -> NetworkSettings {
    NetworkSettings { middleboxes: vec![middlebox], ..over(distant()) }
}

/// 20 ms there and back.
fn distant() -> PathSettings {
    PathSettings { delay: ms(10), ..PathSettings::default() }
}

/// 10 Mbit/s, 20 ms, a queue of twice what is under way.
fn narrow() -> PathSettings {
    PathSettings { rate_bps: 10_000_000, queue_octets: 50_000, ..distant() }
}

fn paths() -> Vec<(&'static str, NetworkSettings)> {
    let slow = PathSettings { rate_bps: 500_000, queue_octets: 30_000, ..distant() };
    let short_queue = PathSettings { queue_octets: 4500, ..narrow() };
    let random_loss = PathSettings { loss: Loss::Random { ppm: 20_000 }, ..distant() };
    let bursts = Loss::Bursts { ppm: 20_000, length: 5 };
    let reordering = Reordering { ppm: 50_000, late_by: ms(7) };
    vec![
        ("narrow", over(narrow())),
        ("short queue", over(short_queue)),
        ("asymmetric", NetworkSettings { up: slow, ..over(distant()) }),
        ("marking", over(PathSettings { mark_octets: Some(10_000), ..narrow() })),
        ("random loss", over(random_loss)),
        ("bursts of loss", over(PathSettings { loss: bursts, ..narrow() })),
        ("jitter", over(PathSettings { jitter: ms(20), ..distant() })),
        ("reordering", over(PathSettings { reordering, ..distant() })),
        ("duplication", over(PathSettings { duplicate_ppm: 100_000, ..distant() })),
        ("damage", over(PathSettings { corrupt_ppm: 20_000, ..distant() })),
        ("narrow MTU", NetworkSettings { mtu: 1300, ..over(distant()) }),
        (
            "narrow MTU and nobody says so",
            NetworkSettings { mtu: 1300, filters_icmp: true, ..over(distant()) },
        ),
        (
            "flapping",
            NetworkSettings {
                flapping: Some(Flapping { up_for: ms(500), down_for: secs(1) }),
                ..over(narrow())
            },
        ),
        ("black hole", black_hole(Swallows::All)),
        ("black hole up", black_hole(Swallows::Up)),
        ("black hole down", black_hole(Swallows::Down)),
        ("black hole for what is large", black_hole(Swallows::Over(1000))),
    ]
}

/// From the middle of the transfer on, for some seconds.
fn black_hole(swallows: Swallows) -> NetworkSettings {
    let black_hole = Some(BlackHole { from: ms(60), to: secs(5), swallows });
    NetworkSettings { black_hole, ..over(narrow()) }
}

/// All that connections survive.
fn boxes() -> Vec<(&'static str, NetworkSettings)> {
    let nothing = Stripped::default();
    let strip = |stripped| behind(Middlebox::StripOptions(stripped));
    let rewrite = |of, forgets_sack| behind(Middlebox::RewriteSequence { of, forgets_sack });
    let lossy = |network: NetworkSettings| {
        let loss = Loss::Random { ppm: 20_000 };
        let path = |path| PathSettings { loss, ..path };
        NetworkSettings { up: path(network.up), down: path(network.down), ..network }
    };
    vec![
        ("strip timestamps", strip(Stripped { timestamps: true, ..nothing })),
        ("strip SACK", lossy(strip(Stripped { sack: true, ..nothing }))),
        ("strip scale", strip(Stripped { scale: true, ..nothing })),
        ("strip Fast Open", strip(Stripped { fast_open: true, ..nothing })),
        ("strip ECN", strip(Stripped { ecn: true, ..nothing })),
        ("strip SACK blocks", lossy(strip(Stripped { sack_blocks: true, ..nothing }))),
        ("rewrite of hosts", lossy(rewrite(End::Host, false))),
        ("rewrite of appliance", lossy(rewrite(End::Appliance, false))),
        ("rewrite and forget SACK", lossy(rewrite(End::Appliance, true))),
        ("clamp window", behind(Middlebox::ClampWindow { octets: 5000 })),
        ("clamp window to less than a segment", behind(Middlebox::ClampWindow { octets: 700 })),
        ("clamp MSS", NetworkSettings { mtu: 1000, ..behind(Middlebox::ClampMss { octets: 940 }) }),
        ("split", lossy(behind(Middlebox::SplitSegments { octets: 536 }))),
        ("join", lossy(behind(Middlebox::JoinSegments { within: ms(2) }))),
        ("thin ACKs", behind(Middlebox::ThinAcks { within: ms(5) })),
        ("strip payload of SYN", behind(Middlebox::StripPayloadOfSyn)),
    ]
}

/// A host that takes what networks do.
fn host() -> Settings {
    Settings { lossy: true, ecn: true, ..Settings::MODERN }
}

#[test]
fn streams_are_whole_over_every_path_and_behind_every_box() {
    for (name, network) in paths().into_iter().chain(boxes()) {
        // Hosts do not hear of MTUs; those on the other side send what does not fit.
        let segment_max = u64::from(network.mtu - 100).min(u64::MAX);
        let near = Settings { segment_max, ..host() };
        for bad in [[true, false], [false, true], [true, true]] {
            let networks = bad.map(|bad| if bad { network.clone() } else { over(distant()) });
            let hosts = bad.map(|bad| if bad { near } else { host() });
            let mut between = Between::new(1, networks);
            let clients = between.transfer(hosts[CLIENTS], hosts[ORIGINS]);
            between.run_whole(&clients, &format!("{name} {bad:?}"));
        }
    }
}

#[test]
fn streams_are_whole_over_networks_that_are_bad_in_many_ways() {
    for seed in seeds(60) {
        let mut random = Random::new(seed ^ 0xbad);
        let networks = [(); 2].map(|()| any_network(&mut random));
        let hosts = networks.each_ref().map(|network| any_host(&mut random, network.mtu));
        let what = format!("seed {seed}: {networks:#?}\n{hosts:?}");
        let mut between = Between::new(seed, networks);
        let clients = between.transfer(hosts[CLIENTS], hosts[ORIGINS]);
        between.run_whole(&clients, &what);
    }
}

fn any_host(random: &mut Random, mtu: u16) -> Settings {
    Settings {
        scale: pick(random, &[None, Some(2), Some(9)]),
        timestamps: pick(random, &[true, false]),
        sack: pick(random, &[true, false]),
        ecn: pick(random, &[true, false]),
        mss: pick(random, &[1460, 1200, 536]),
        segment_max: u64::from(pick(random, &[mtu - 100, 700, 100])),
        in_flight_max: pick(random, &[64 * 1024, 10_000]),
        ..host()
    }
}

fn any_network(random: &mut Random) -> NetworkSettings {
    let mut network = NetworkSettings {
        up: any_path(random),
        down: any_path(random),
        mtu: pick(random, &[1500, 1500, 1300, 900]),
        filters_icmp: pick(random, &[false, true]),
        ..NetworkSettings::default()
    };
    if random.below(4) == 0 {
        network.flapping =
            Some(Flapping { up_for: secs(2), down_for: pick(random, &[ms(20), ms(400)]) });
    }
    if random.below(4) == 0 {
        let (up, down, over) = (Swallows::Up, Swallows::Down, Swallows::Over(600));
        let swallows = pick(random, &[Swallows::All, up, down, over]);
        let from = ms(random.below(300));
        let to = from + pick(random, &[ms(50), secs(3)]);
        network.black_hole = Some(BlackHole { from, to, swallows });
    }
    for _ in 0..random.below(4) {
        let middlebox = any_box(random);
        network.middleboxes.push(middlebox);
    }
    network
}

fn any_path(random: &mut Random) -> PathSettings {
    let ppm = pick(random, &[1000, 10_000, 40_000]);
    let loss = pick(random, &[Loss::None, Loss::Random { ppm }, Loss::Bursts { ppm, length: 3 }]);
    PathSettings {
        rate_bps: pick(random, &[0, 2_000_000, 50_000_000]),
        queue_octets: pick(random, &[20_000, 200_000]),
        mark_octets: pick(random, &[None, Some(10_000)]),
        delay: ms(pick(random, &[0, 1, 20, 100])),
        jitter: ms(pick(random, &[0, 0, 1, 30])),
        reordering: Reordering { ppm: pick(random, &[0, 30_000]), late_by: ms(random.below(50)) },
        loss,
        duplicate_ppm: pick(random, &[0, 10_000, 100_000]),
        corrupt_ppm: pick(random, &[0, 1000, 10_000]),
    }
}

/// One that connections survive.
fn any_box(random: &mut Random) -> Middlebox {
    let mut perhaps = || random.below(2) == 0;
    let stripped = Stripped {
        timestamps: perhaps(),
        sack: perhaps(),
        scale: perhaps(),
        fast_open: perhaps(),
        ecn: perhaps(),
        sack_blocks: perhaps(),
    };
    let of = pick(random, &[End::Host, End::Appliance]);
    let forgets_sack = random.below(2) == 0;
    let within = ms(random.below(10));
    pick(
        random,
        &[
            Middlebox::StripOptions(stripped),
            Middlebox::RewriteSequence { of, forgets_sack },
            Middlebox::ClampWindow { octets: 20_000 },
            Middlebox::ClampMss { octets: 800 },
            Middlebox::SplitSegments { octets: 300 },
            Middlebox::JoinSegments { within },
            Middlebox::ThinAcks { within },
            Middlebox::StripPayloadOfSyn,
        ],
    )
}

impl Between {
    /// Until all is over and every octet has arrived.
    fn run_whole(mut self, clients: &[Key], name: &str) {
        let begin = self.world.now;
        self.world.run_to_the_end(secs(4 * 3600));
        let took = self.world.now.since(begin);
        for key in clients {
            let client = self.world.peer(*key);
            let (status, octets) = (client.status, client.received.len());
            let whole = client.received == pattern(99, STREAM);
            assert!(whole, "{key:?} has {octets} octets, {status:?}, after {took:?}: {name}");
            assert_ended(client.status, client.unacknowledged(), name);
        }
        let mut sent: Vec<_> = (1..=clients.len() as u64).map(|n| pattern(n, STREAM)).collect();
        for peer in self.world.origin_peers() {
            if peer.received.is_empty() && peer.status == Status::Reset {
                continue; // A handshake that was given up.
            }
            let which = sent.iter().position(|sent| *sent == peer.received);
            sent.remove(which.unwrap_or_else(|| panic!("{name}: {} octets", peer.received.len())));
            assert_ended(peer.status, peer.unacknowledged(), name);
        }
        assert!(sent.is_empty());
        self.world.finish();
    }
}

/// A reset is justified only where all that was lost is the answer to the last FIN.
fn assert_ended(status: Status, unacknowledged: usize, name: &str) {
    let all_but_fin = status == Status::Reset && unacknowledged <= 1;
    assert!(status == Status::Finished || all_but_fin, "{name}: {status:?}");
}
