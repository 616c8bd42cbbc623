//! Several workers side by side, among whom the flows are divided: whatever worker a packet comes to,
//! its owner gets it, and both legs of a connection are one worker's.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU8;
use std::sync::Arc;

use ringroad_ebpf::KnownFlows;
use ringroad_engine::flow::{FlowHasher, FlowKey, Owner, Rss, Steering};
use ringroad_engine::frame::{Burst, Frame, FramePool};
use ringroad_engine::kernel::NextHop;
use ringroad_engine::limits::{TIME_WAIT, UNKNOWN_WAIT_MAX};
use ringroad_engine::proxy::require_source_ports;
use ringroad_engine::stage::{
    Outlet, PortIdentity, ReceivedAt, Stray, Worker, WorkerSettings, flow_hasher, flows_for,
};
use ringroad_engine::telemetry::capture::{Filter, Points, Wanted, tap};
use ringroad_engine::telemetry::{DropReason, Ledger};
use ringroad_engine::time::Instant;
use ringroad_engine::wire::packet::parse;

use crate::apps::{respond, send};
use crate::packet::{self, Link, Segment};
use crate::peer::{Peer, Settings, Status};
use crate::rig::{
    CLIENTS, IFINDEX, Key, ORIGINS, OURS, Plan, Random, THEIRS, ip, linux, ms, origin, pattern,
    seed, service, service_v6,
};

const SECRET: [u8; 16] = [7; 16];
const REQUEST: usize = 20_000;
const RESPONSE: usize = 30_000;

/// Which worker a packet comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// The owner, as where the card follows its own table.
    ToOwner,
    ByChance,
}

/// Workers, and the hosts on both sides of them.
struct Crew {
    workers: Vec<Worker>,
    out: Out,
    steering: Steering,
    hasher: FlowHasher,
    spread: Spread,
    settings: Settings,
    /// A router before the clients takes no larger IP packets, and says so to the wrong worker.
    narrow: Option<usize>,
    hosts: [BTreeMap<Key, Peer>; 2],
    known_flows: KnownFlows,
    random: Random,
    now: Instant,
}

/// What the workers send.
#[derive(Default)]
struct Out(Vec<(u8, Vec<u8>)>);

impl Outlet for Out {
    fn has_room(&mut self, _pool: &mut FramePool, _port: u8) -> bool {
        true
    }

    fn send(&mut self, pool: &mut FramePool, port: u8, packet: Frame) {
        self.0.push((port, pool.bytes(&packet).to_vec()));
        pool.free(packet);
    }

    fn resolve(&mut self, _next_hop: NextHop) {}

    fn in_use(&mut self, _next_hop: NextHop) {}
}

fn owners(count: u8) -> NonZeroU8 {
    NonZeroU8::new(count).unwrap()
}

/// Another on each side, with eight queues.
fn cards() -> Vec<Option<Rss>> {
    [5_u8, 91]
        .map(|salt| {
            let key: Vec<u8> = (0..40_u8).map(|n| n.wrapping_mul(salt) ^ 0x5a).collect();
            Rss::new(&key, (0..128).map(|place| place % 8).collect())
        })
        .to_vec()
}

impl Crew {
    fn new(steering: Steering, spread: Spread) -> Crew {
        let mut plan = Plan::new(seed());
        plan.service = plan.service.share(&steering);
        let mut linux = linux(&plan);
        let hasher = flow_hasher(&SECRET);
        let services = vec![plan.service];
        require_source_ports(&services, &steering, &hasher).unwrap();
        let now = Instant::from_millis(1000);
        let worker = |index| {
            let settings = WorkerSettings {
                ports: IFINDEX
                    .map(|ifindex| PortIdentity { ifindex, mtu: 1500, verified: false })
                    .to_vec(),
                services: services.clone(),
                known_flows: Some(plan.known_flows.clone()),
                proven_sources: None,
                secret: SECRET,
                owner: Owner::new(steering.clone(), index),
                records: true,
            };
            let pool = FramePool::in_memory(4096, 2048);
            Worker::new(settings, pool, linux.snapshot(), now)
        };
        assert!(flows_for(&services) > 1000);
        Crew {
            workers: (0..steering.owners()).map(worker).collect(),
            out: Out::default(),
            steering,
            hasher,
            spread,
            settings: Settings::MODERN,
            narrow: None,
            hosts: [BTreeMap::new(), BTreeMap::new()],
            known_flows: plan.known_flows,
            random: Random::new(seed()),
            now,
        }
    }

    /// Opens a connection that sends a request and wants a response.
    fn client(&mut self, number: u16) -> Key {
        let key = match number % 2 {
            0 => (([198, 51, 100, 7], 30_000 + number).into(), service()),
            _ => ((ip("2001:db8:99::7"), 30_000 + number).into(), service_v6()),
        };
        let link = Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: None.into() };
        let request = send(pattern(number.into(), REQUEST));
        let iss = self.random.draw() as u32;
        self.hosts[CLIENTS].insert(key, Peer::connect(self.settings, key, link, iss, request));
        key
    }

    fn owner_of(&self, port: u8, flow: &FlowKey) -> usize {
        self.steering.owner(port, flow, self.hasher.hash(flow)).into()
    }

    /// A packet comes to one of the workers, and from there to its owner.
    fn arrive(&mut self, side: usize, packet: &[u8]) {
        let worker = match self.spread {
            Spread::ByChance => self.random.below(self.workers.len() as u64) as usize,
            Spread::ToOwner => {
                let segment = Segment::parse(packet).expect("hosts send segments");
                let flow = FlowKey::new(segment.destination, segment.source);
                self.owner_of(side as u8, &flow)
            }
        };
        self.arrive_at(worker, side, packet);
    }

    fn arrive_at(&mut self, worker: usize, side: usize, packet: &[u8]) {
        let mut burst = burst_of(&mut self.workers[worker].pool, packet);
        self.workers[worker].on_burst(self.now, side as u8, &mut burst);
        self.hand_over(worker);
    }

    fn hand_over(&mut self, from: usize) {
        let mut strays = Vec::new();
        self.workers[from].hand_over(|pool, Stray { owner, port, frame, received_at }| {
            strays.push((usize::from(owner), port, pool.bytes(&frame).to_vec(), received_at));
            pool.free(frame);
            Ok(())
        });
        for (owner, port, packet, received_at) in strays {
            assert_ne!(owner, from, "to itself");
            let mut burst = burst_of(&mut self.workers[owner].pool, &packet);
            let received_at = [received_at];
            self.workers[owner].on_handed_over_of(
                self.now,
                port,
                ReceivedAt::Each(&received_at),
                &mut burst,
            );
            self.workers[owner].hand_over(|_, stray| panic!("handed on again: {stray:?}"));
        }
    }

    /// One round; returns whether anything moved.
    fn step(&mut self) -> bool {
        let mut moved = false;
        for side in [CLIENTS, ORIGINS] {
            let mut sending = Vec::new();
            for peer in self.hosts[side].values_mut() {
                peer.run(self.now);
                sending.extend(peer.poll(self.now).iter().map(Segment::build));
            }
            moved |= !sending.is_empty();
            sending.iter().for_each(|packet| self.arrive(side, packet));
        }
        for worker in &mut self.workers {
            worker.on_time(self.now);
            worker.flush(self.now, &mut self.out);
            worker.ledger().assert_balanced();
        }
        for (port, packet) in std::mem::take(&mut self.out.0) {
            moved = true;
            let segment = Segment::parse(&packet).expect("what the engine sends is sound");
            let side = usize::from(port);
            match self.narrow {
                Some(mtu) if side == CLIENTS && packet::ip_len(&packet) > mtu => {
                    let flow = FlowKey::new(segment.source, segment.destination);
                    let wrong = (self.owner_of(port, &flow) + 1) % self.workers.len();
                    let message = packet::too_big(&packet, ip("10.99.0.1"), mtu as u16);
                    self.arrive_at(wrong, side, &message);
                }
                _ => self.deliver(side, &segment),
            }
        }
        let deadline = |peer: &Peer| peer.deadline();
        let due = self.hosts.iter().flat_map(|side| side.values().map(deadline));
        let due = due.chain(self.workers.iter().map(Worker::next_deadline)).min();
        let soon = self.now + ms(1);
        self.now = if moved { soon } else { due.unwrap().max(soon).min(self.now + ms(500)) };
        moved
    }

    fn deliver(&mut self, side: usize, segment: &Segment) {
        let key = (segment.destination, segment.source);
        if let Some(peer) = self.hosts[side].get_mut(&key) {
            return peer.take(segment);
        }
        assert_eq!((side, key.0), (ORIGINS, origin(1)), "for nobody: {segment:?}");
        let answer = respond(REQUEST, pattern(1, RESPONSE));
        let link = segment.link.reversed();
        let iss = self.random.draw() as u32;
        let peer = Peer::accept(self.settings, segment, link, iss, answer);
        self.hosts[ORIGINS].insert(key, peer);
    }

    fn run_until(&mut self, mut done: impl FnMut(&Crew) -> bool) {
        let end = self.now + ms(60_000);
        while !done(self) {
            assert!(self.now < end, "takes too long");
            self.step();
        }
    }

    fn are_over(&self) -> bool {
        self.hosts.iter().all(|side| side.values().all(Peer::is_over))
            && self.workers.iter().all(|worker| worker.active() == 0)
    }

    fn handed_over(&self) -> u64 {
        self.workers.iter().map(|worker| worker.ledger().handed_over).sum()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.workers.iter().map(|worker| worker.ledger().dropped[reason as usize]).sum()
    }

    /// Everybody got everything, by a worker that was the owner of both ends, and nothing is left.
    fn finish(mut self) {
        self.run_until(Crew::are_over);
        let mut asked = Vec::new();
        for client in self.hosts[CLIENTS].values() {
            assert_eq!(client.status, Status::Finished, "{}", client.local);
            assert!(client.received == pattern(1, RESPONSE), "{}", client.local);
            let number = client.local.port() - 30_000;
            asked.push(pattern(number.into(), REQUEST));
        }
        let mut heard: Vec<_> =
            self.hosts[ORIGINS].values().map(|peer| peer.received.clone()).collect();
        asked.sort();
        heard.sort();
        assert!(asked == heard, "what origins heard is what clients said");
        assert_eq!(self.dropped(DropReason::NoConnection), 0);
        assert_eq!(self.dropped(DropReason::Misdirected), 0);
        let mut ledger = Ledger::default();
        self.workers.iter().for_each(|worker| ledger.add(&worker.ledger()));
        ledger.assert_balanced();
        assert_eq!(ledger.taken_over, ledger.handed_over, "nothing is on its way");
        self.now += TIME_WAIT + ms(1);
        self.step();
        for worker in &self.workers {
            assert_eq!((worker.flows(), worker.source_ports_taken()), (0, 0));
            assert_eq!(worker.pool.free_count(), worker.pool.capacity());
        }
        assert_eq!(self.known_flows.count(), 0);
    }
}

fn burst_of(pool: &mut FramePool, packet: &[u8]) -> Burst {
    let mut frame = pool.alloc().expect("a frame");
    pool.push_back(&mut frame, packet.len()).expect("room").copy_from_slice(packet);
    let mut burst = Burst::new();
    burst.push(frame).expect("room");
    burst
}

/// Who steers packets has not more than them to go by.
#[test]
fn a_segment_and_an_error_about_its_answer_are_of_one_flow() {
    let mut crew = Crew::new(Steering::default(), Spread::ToOwner);
    for number in [0, 1] {
        let key = crew.client(number);
        let syn = crew.hosts[CLIENTS].get_mut(&key).unwrap().poll(crew.now).remove(0);
        let flow = FlowKey::new(key.1, key.0);
        let of = |packet: &[u8]| FlowKey::of_packet(&parse(packet).unwrap());
        assert_eq!(of(&syn.build()), Some(flow));
        let router = if number == 0 { "10.99.0.1" } else { "fd99::1" };
        let message = packet::too_big(&syn.reset().build(), ip(router), 1280);
        assert_eq!(of(&message), Some(flow));
        let mut arp = syn.build();
        arp[12..14].copy_from_slice(&[0x08, 0x06]);
        assert_eq!(of(&arp), None);
    }
}

/// Behind cards that do as they say no packet takes a way round, though every worker chose its source
/// ports by itself.
#[test]
fn both_legs_are_one_workers() {
    for steering in
        [Steering::by_cards(owners(3), cards()), Steering::hashed(owners(4)), Steering::default()]
    {
        let mut crew = Crew::new(steering, Spread::ToOwner);
        for number in 0..120 {
            crew.client(number);
        }
        crew.run_until(|crew| crew.hosts[ORIGINS].len() == 120);
        for (index, worker) in crew.workers.iter().enumerate() {
            let fair = 120 / crew.workers.len();
            assert!(worker.active() > fair / 3, "worker {index} has {}", worker.active());
        }
        let origins: Vec<_> = crew.hosts[ORIGINS].keys().copied().collect();
        for (local, remote) in origins {
            let owner = crew.owner_of(ORIGINS as u8, &FlowKey::new(remote, local));
            assert!(crew.workers[owner].flows() > 0);
        }
        assert_eq!(crew.handed_over(), 0);
        crew.finish();
    }
}

#[test]
fn what_comes_to_the_wrong_worker_reaches_its_owner() {
    for steering in [Steering::by_cards(owners(2), cards()), Steering::hashed(owners(3))] {
        let mut crew = Crew::new(steering, Spread::ByChance);
        for number in 0..30 {
            crew.client(number);
        }
        crew.run_until(Crew::are_over);
        let received: u64 = crew.workers.iter().map(|worker| worker.ledger().received).sum();
        let share = crew.handed_over() as f64 / received as f64;
        let expected = 1.0 - 1.0 / crew.workers.len() as f64;
        assert!((share - expected).abs() < 0.1, "{share} of all, {expected} by chance");
        crew.finish();
    }
}

/// Who gets it first does not know whose it is.
#[test]
fn what_comes_to_the_wrong_worker_is_captured_by_its_owner() {
    let mut crew = Crew::new(Steering::hashed(owners(3)), Spread::ByChance);
    let wanted = Arc::new(Wanted {
        filter: Filter::any_of(&[Vec::new()]).unwrap(),
        points: Points { rx: true, tx: false, drop: true },
        snaplen: 64,
        listening: HashMap::from([(service(), 0), (service_v6(), 0)]),
    });
    let mut readers = Vec::new();
    for worker in &mut crew.workers {
        let (end, reader) = tap(wanted.clone(), 2, 4096);
        worker.set_tap(Some(end));
        readers.push(reader);
    }
    for number in 0..30 {
        crew.client(number);
    }
    crew.run_until(|crew| crew.hosts[CLIENTS].values().all(|peer| !peer.received.is_empty()));
    assert!(crew.handed_over() > 100);
    let received: u64 = crew.workers.iter().map(|worker| worker.ledger().received).sum();
    let mut captured = 0;
    for reader in &mut readers {
        while let Some(packet) = reader.take() {
            assert_eq!(packet.service, Some(0), "{packet:?}");
            captured += 1;
        }
    }
    assert_eq!(captured, received, "each of them once");
    crew.finish();
}

/// It comes to whom the card likes, as it has no ports of its own to be steered by.
#[test]
fn an_icmp_error_reaches_the_owner_of_what_it_quotes() {
    let mut crew = Crew::new(Steering::hashed(owners(2)), Spread::ToOwner);
    crew.settings.lossy = true;
    let key = crew.client(0);
    crew.run_until(|crew| crew.hosts[CLIENTS][&key].received.len() > 2000);
    let largest = |crew: &Crew| crew.hosts[CLIENTS][&key].stats.largest_payload;
    assert!(largest(&crew) > 1400);
    crew.narrow = Some(1200);
    crew.hosts[CLIENTS].get_mut(&key).unwrap().stats.largest_payload = 0;
    crew.run_until(|crew| crew.hosts[CLIENTS][&key].is_over());
    assert!((1000..=1160).contains(&largest(&crew)), "{}", largest(&crew));
    assert!(crew.handed_over() > 0);
    let black_holes = |worker: &Worker| worker.tcp_counters().black_holes;
    assert_eq!(crew.workers.iter().map(black_holes).sum::<u64>(), 0, "it was told");
    crew.finish();
}

/// Two workers, which of them does not own a new connection, and its SYN.
fn with_a_syn_for_one_of_two() -> (Crew, usize, Vec<u8>) {
    let mut crew = Crew::new(Steering::hashed(owners(2)), Spread::ToOwner);
    let key = crew.client(0);
    let syn = crew.hosts[CLIENTS].get_mut(&key).unwrap().poll(crew.now)[0].build();
    let wrong = 1 - crew.owner_of(CLIENTS as u8, &FlowKey::new(key.1, key.0));
    (crew, wrong, syn)
}

/// Two workers that do not agree must not play ball with a packet.
#[test]
fn what_was_handed_over_is_never_handed_on() {
    let (mut crew, wrong, syn) = with_a_syn_for_one_of_two();
    let worker = &mut crew.workers[wrong];
    let mut burst = burst_of(&mut worker.pool, &syn);
    worker.on_handed_over(crew.now, CLIENTS as u8, &mut burst);
    worker.hand_over(|_, stray| panic!("handed on: {stray:?}"));
    let ledger = worker.ledger();
    assert_eq!((ledger.received, ledger.taken_over, ledger.handed_over), (0, 1, 0));
    assert_eq!(ledger.dropped[DropReason::Misdirected as usize], 1);
    ledger.assert_balanced();
    assert_eq!((worker.active(), worker.pool.held_count()), (0, 0));
}

/// It came to a worker that was away, who does not know whose it is now.
#[test]
fn what_was_old_already_when_it_was_handed_over_opens_nothing() {
    let (mut crew, wrong, syn) = with_a_syn_for_one_of_two();
    let received_at = crew.now;
    crew.now += UNKNOWN_WAIT_MAX + ms(1);
    let mut burst = burst_of(&mut crew.workers[wrong].pool, &syn);
    crew.workers[wrong].on_burst_of(
        crew.now,
        CLIENTS as u8,
        ReceivedAt::Once(received_at),
        &mut burst,
    );
    crew.hand_over(wrong);
    assert_eq!(crew.handed_over(), 1);
    let owner = &crew.workers[1 - wrong];
    assert_eq!(owner.ledger().dropped[DropReason::WorkerBehind as usize], 1);
    assert_eq!((owner.active(), owner.pool.held_count()), (0, 0));
}

#[test]
fn what_finds_no_room_on_its_way_is_counted_as_dropped() {
    let (mut crew, wrong, syn) = with_a_syn_for_one_of_two();
    let worker = &mut crew.workers[wrong];
    let mut burst = burst_of(&mut worker.pool, &syn);
    worker.on_burst(crew.now, CLIENTS as u8, &mut burst);
    assert_eq!(worker.ledger().held, 1);
    worker.ledger().assert_balanced();
    worker.hand_over(|_, stray| Err(stray.frame));
    let ledger = worker.ledger();
    assert_eq!((ledger.handed_over, ledger.held), (0, 0));
    assert_eq!(ledger.dropped[DropReason::HandOverFull as usize], 1);
    // More than there is room for in one turn: the lane did not ask.
    let mut bursts = 0;
    while worker.ledger().dropped[DropReason::HandOverFull as usize] == 1 {
        let mut burst = burst_of(&mut worker.pool, &syn);
        worker.on_burst(crew.now, CLIENTS as u8, &mut burst);
        worker.ledger().assert_balanced();
        bursts += 1;
    }
    assert_eq!(bursts, 2 * ringroad_engine::limits::BURST + 1);
    worker.hand_over(|pool, stray| {
        pool.free(stray.frame);
        Ok(())
    });
    assert_eq!(worker.pool.held_count(), 0);
}
