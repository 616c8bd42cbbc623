//! Connections through the appliance, with a network of every kind on both sides of it.
//!
//! `RINGROAD_SEED=n` replays a seed, `RINGROAD_SEEDS=n` runs more.

#![allow(unreachable_pub, reason = "modules of a test have no other public")]

mod early;
mod endings;
mod networks;

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use networks::{boxes, distant, over, paths};
use ringroad_engine::port::sim::SimPort;
use ringroad_engine::shield::Rates;
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::{Cookies, Gate, NoGate, TwinGate};
use ringroad_engine::tcp::EcnPolicy;
use ringroad_simulation::appliance::apps::{send, send_then_wait};
use ringroad_simulation::appliance::cookies::{MASTER, THEN, give_keys};
use ringroad_simulation::appliance::peer::{Settings, Status};
use ringroad_simulation::appliance::rig::{
    CLIENTS, Key, ORIGINS, Plan, Random, World, address, ip, origin, pattern, pick, secs, seeds,
    service,
};
use ringroad_simulation::internet::{Internet, NetworkSettings};

/// What each end of a connection sends [octets].
const STREAM: usize = 100_000;

/// A world with a network on each side.
struct Between<G: Gate = NoGate> {
    world: World<SimPort, G>,
    internets: [Rc<RefCell<Internet>>; 2],
}

impl Between {
    fn new(seed: u64, networks: [NetworkSettings; 2]) -> Between {
        Between::of(World::new(plan(seed)), seed, networks)
    }
}

impl Between<TwinGate<SimPort>> {
    /// Behind a shield that answers all SYNs by cookies.
    fn behind_cookies(seed: u64, networks: [NetworkSettings; 2]) -> Self {
        let plan = Plan { cookies: Cookies::Always, ..plan(seed) };
        let mut world = World::behind_twin(plan, Rates::default());
        give_keys(&mut world, Keys::at(&MASTER, THEN));
        // Payload that overtakes the first segment proves nothing, and Linux would answer it with
        // a reset, as it does behind cookies of its own.
        world.hosts.1.iter_mut().for_each(|linux| linux.resets = false);
        Between::of(world, seed, networks)
    }
}

/// A patient one.
fn plan(seed: u64) -> Plan {
    let mut plan = Plan::new(seed);
    for leg in [&mut plan.service.client_leg, &mut plan.service.origin_leg] {
        leg.handshake_retries = 20;
        leg.ecn = EcnPolicy::Ask;
    }
    plan.service.client_leg.fast_open = true;
    plan.service.connect_timeout = secs(60);
    plan.service.idle_timeout = secs(300);
    plan
}

impl<G: Gate> Between<G> {
    fn of(mut world: World<SimPort, G>, seed: u64, networks: [NetworkSettings; 2]) -> Self {
        let mut seeds = Random::new(seed);
        let internets = networks.map(|network| {
            let mut internet = Internet::new(seeds.draw());
            internet.add(network);
            Rc::new(RefCell::new(internet))
        });
        for (side, internet) in world.hosts.0.iter_mut().zip(&internets) {
            side.network = Some(Box::new(Rc::clone(internet)));
        }
        // Linux behind the shield, too, is given what was damaged.
        world.hosts.all_mut().for_each(|side| side.corrupting = true);
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
            // RFC 8200 §5: what every path carries over IPv6, and no cookie is less than.
            let mss = if key.0.is_ipv4() { client.mss } else { client.mss.clamp(1220, 1440) };
            let settings = Settings { mss, ..client };
            self.world.client_at(key, None, settings, send(pattern(number, STREAM)))
        })
    }

    /// Puts a host into a network of its own from now on.
    fn move_host(&self, side: usize, host: IpAddr, network: NetworkSettings) {
        let mut internet = self.internets[side].borrow_mut();
        let number = internet.add(network);
        internet.place(host, number);
    }

    fn heal(&self) {
        self.internets.iter().for_each(|internet| internet.borrow_mut().heal());
    }
}

/// A host that takes what networks do.
fn host() -> Settings {
    Settings { lossy: true, ecn: true, ..Settings::MODERN }
}

#[test]
fn streams_are_whole_over_every_path_and_behind_every_box() {
    for (name, network) in paths().into_iter().chain(boxes()) {
        // Hosts do not hear of MTUs; those on the other side send what does not fit.
        let near = Settings { segment_max: u64::from(network.mtu) - 100, ..host() };
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
        let bad = Bad::any(seed);
        bad.run_through(Between::new(seed, bad.networks()));
    }
}

#[test]
fn streams_are_whole_over_bad_networks_behind_a_shield_that_answers_by_cookies() {
    for seed in seeds(20) {
        let bad = Bad::any(seed);
        bad.run_through(Between::behind_cookies(seed, bad.networks()));
    }
}

/// Trouble of all kinds, by chance.
#[derive(Debug)]
#[expect(dead_code, reason = "printed when a test fails")]
struct Bad {
    seed: u64,
    clients: NetworkSettings,
    /// The second has a network of its own.
    second_client: NetworkSettings,
    origins: NetworkSettings,
    hosts: [Settings; 2],
}

impl Bad {
    fn any(seed: u64) -> Bad {
        let mut random = Random::new(seed ^ 0xbad);
        let [clients, second_client, origins] = [(); 3].map(|()| NetworkSettings::any(&mut random));
        let mtus = [clients.mtu.min(second_client.mtu), origins.mtu];
        let hosts = mtus.map(|mtu| any_host(&mut random, mtu));
        Bad { seed, clients, second_client, origins, hosts }
    }

    fn networks(&self) -> [NetworkSettings; 2] {
        [self.clients.clone(), self.origins.clone()]
    }

    fn run_through<G: Gate>(&self, mut between: Between<G>) {
        between.move_host(CLIENTS, ip("198.51.100.2"), self.second_client.clone());
        let clients = between.transfer(self.hosts[CLIENTS], self.hosts[ORIGINS]);
        between.run_whole(&clients, &format!("{self:#?}"));
    }
}

fn any_host(random: &mut Random, mtu: u16) -> Settings {
    Settings {
        scale: pick(random, &[None, Some(2), Some(9)]),
        timestamps: pick(random, &[true, false]),
        sack: pick(random, &[true, false]),
        ecn: pick(random, &[true, false]),
        fast_open: pick(random, &[None, Some(None)]),
        mss: pick(random, &[1460, 1200, 536]),
        segment_max: u64::from(pick(random, &[mtu - 100, 700, 100])),
        in_flight_max: pick(random, &[64 * 1024, 10_000]),
        ..host()
    }
}

impl<G: Gate> Between<G> {
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
