//! The hosts on both sides of the engine: who they are, what they say, and what has become of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ringroad_engine::port::sim::SimPeer;
use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;
use ringroad_simulation::actors::{Behaviour, Moment, Role, Script};
use ringroad_simulation::appliance::packet::{ACK, Link, RST, SYN, Segment};
use ringroad_simulation::appliance::peer::{Peer, Settings, Status};
use ringroad_simulation::appliance::rig::{
    CLIENTS, Key, ORIGINS, OURS, THEIRS, ms, origin, pick, secs, service, service_v6,
};

use super::threads::ORIGINS_SERVING;

/// See the module.
pub(crate) struct Hosts {
    /// By queue, for each side.
    cables: Vec<[SimPeer; 2]>,
    peers: [BTreeMap<Key, Peer>; 2],
    /// By their clients' addresses and by number, until both ends have been looked at.
    conversations: HashMap<u32, Conversation>,
    numbers: HashMap<Key, u32>,
    next_number: u32,
    random: Random,
    pub(crate) tally: Tally,
}

struct Conversation {
    script: Script,
    /// The client ends it in the middle.
    is_cut_short: bool,
    /// Who has heard all that there is to hear.
    heard: [bool; 2],
}

/// What the hosts have seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) opened: u64,
    pub(crate) whole: u64,
    pub(crate) cut_short: u64,
    /// Of those that are whole.
    pub(crate) octets_to_origins: u64,
    pub(crate) octets_to_clients: u64,
    /// Most that may have crossed of others, each way.
    pub(crate) octets_cut_short: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        let Tally { opened, whole, cut_short, .. } = other;
        self.opened += opened;
        self.whole += whole;
        self.cut_short += cut_short;
        self.octets_to_origins += other.octets_to_origins;
        self.octets_to_clients += other.octets_to_clients;
        self.octets_cut_short += other.octets_cut_short;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.octets_to_origins + self.octets_to_clients;
        let Tally { opened, whole, cut_short, .. } = self;
        write!(
            f,
            "{opened} connections ({whole} whole, {cut_short} cut short), {} MB compared",
            octets / 1_000_000
        )
    }
}

impl Hosts {
    pub(crate) fn new(cables: Vec<[SimPeer; 2]>, seed: u64) -> Hosts {
        Hosts {
            cables,
            peers: [BTreeMap::new(), BTreeMap::new()],
            conversations: HashMap::new(),
            numbers: HashMap::new(),
            next_number: 0,
            random: Random::new(seed ^ 0x5047),
            tally: Tally::default(),
        }
    }

    /// Opens a connection, if fewer are at work.
    pub(crate) fn open(&mut self, at_most: usize) {
        if self.peers[CLIENTS].values().filter(|peer| !peer.is_over()).count() >= at_most {
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        let key = key_of(number);
        let behaviour = client_behaviour(&mut self.random);
        let script = script(number, &mut self.random);
        let link = Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: None.into() };
        let (settings, app) = (behaviour.settings(HOST), behaviour.client(script));
        let iss = self.random.draw() as u32;
        let before = self.peers[CLIENTS].insert(key, Peer::connect(settings, key, link, iss, app));
        assert!(before.is_none(), "addresses are never used again");
        let is_cut_short = matches!(behaviour, Behaviour::Aborts { .. });
        let conversation = Conversation { script, is_cut_short, heard: [false; 2] };
        self.conversations.insert(number, conversation);
        self.numbers.insert(key, number);
        self.tally.opened += 1;
    }

    /// Takes what has come and sends what is due. Returns how many packets that were.
    pub(crate) fn turn(&mut self, now: Instant) -> usize {
        let mut moved = 0;
        for side in [CLIENTS, ORIGINS] {
            for queue in 0..self.cables.len() {
                while let Some(packet) = self.cables[queue][side].receive() {
                    moved += 1;
                    match Segment::parse(&packet) {
                        Ok(segment) => self.deliver(side, &segment),
                        Err(objection) => panic!("the engine sent a faulty packet: {objection}"),
                    }
                    self.cables[queue][side].recycle(packet);
                }
            }
            moved += self.speak(side, now);
            self.part(side, now);
        }
        moved
    }

    pub(crate) fn are_over(&self) -> bool {
        self.peers.iter().all(BTreeMap::is_empty)
            && self.conversations.values().all(|conversation| conversation.is_cut_short)
    }

    /// Who is not done yet.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("{} conversations", self.conversations.len());
        for peer in self.peers.iter().flat_map(BTreeMap::values).take(10) {
            let Peer { local, remote, status, received, .. } = peer;
            text += &format!("\n{local} to {remote}: {status:?}, received {}", received.len());
        }
        text
    }

    fn deliver(&mut self, side: usize, segment: &Segment) {
        let key = (segment.destination, segment.source);
        let opens = segment.has(SYN) && !segment.has(ACK);
        if let Some(peer) = self.peers[side].get_mut(&key) {
            if !(opens && peer.is_over()) {
                return peer.take(segment);
            }
            let past = self.peers[side].remove(&key).expect("it was there");
            self.look_at(side, &past);
        }
        if side == ORIGINS && opens {
            assert!((1..=ORIGINS_SERVING).any(|number| origin(number) == key.0), "{segment:?}");
            let behaviour = origin_behaviour(&mut self.random);
            let (settings, app) = (behaviour.settings(HOST), behaviour.origin());
            let (link, iss) = (segment.link.reversed(), self.random.draw() as u32);
            self.peers[side].insert(key, Peer::accept(settings, segment, link, iss, app));
        } else if !segment.has(RST) {
            self.send(side, &segment.reset());
        }
    }

    fn speak(&mut self, side: usize, now: Instant) -> usize {
        let mut sending = Vec::new();
        for peer in self.peers[side].values_mut() {
            peer.run(now);
            sending.extend(peer.poll(now));
        }
        sending.iter().for_each(|segment| self.send(side, segment));
        sending.len()
    }

    /// By the queue that the card has chosen for the flow, which knows nothing of its owner.
    fn send(&mut self, side: usize, segment: &Segment) {
        let mut hasher = DefaultHasher::new();
        (segment.source, segment.destination).hash(&mut hasher);
        let queue = hasher.finish() as usize % self.cables.len();
        self.cables[queue][side].send(&segment.build());
    }

    /// Parts with those that are done, when their last words have been repeated often enough.
    fn part(&mut self, side: usize, now: Instant) {
        let is_past = |peer: &Peer| {
            peer.is_done() && peer.ended_at.is_some_and(|ended_at| ended_at + LINGERS <= now)
        };
        let peers = self.peers[side].iter();
        let past: Vec<_> = peers.filter(|(_, peer)| is_past(peer)).map(|(key, _)| *key).collect();
        for key in past {
            if let Some(peer) = self.peers[side].remove(&key) {
                self.look_at(side, &peer);
            }
        }
    }

    /// What it has received is what was said, and all of it unless it was cut short.
    fn look_at(&mut self, side: usize, peer: &Peer) {
        let number = match side {
            CLIENTS => self.numbers.remove(&(peer.local, peer.remote)),
            _ => Script::of(&peer.received).map(|script| script.id),
        };
        // An origin that has heard less than what tells conversations apart.
        let Some(number) = number else { return };
        let Some(conversation) = self.conversations.get_mut(&number) else {
            panic!("{} has heard of conversation {number}, which is over", peer.local);
        };
        let script = conversation.script;
        let speaker = if side == CLIENTS { Role::Origin } else { Role::Client };
        let whole = peer.received.len() == script.len(speaker);
        assert!(script.octets(speaker).starts_with(&peer.received), "{}", wrong(peer, script));
        if conversation.is_cut_short {
            if side == CLIENTS {
                self.tally.cut_short += 1;
                let most = script.len(Role::Client).max(script.len(Role::Origin));
                self.tally.octets_cut_short += most as u64;
            }
            return;
        }
        let in_order = peer.status == Status::Finished;
        assert!(
            whole && in_order,
            "{} ends {:?}: {}",
            peer.local,
            peer.status,
            wrong(peer, script)
        );
        conversation.heard[side] = true;
        if conversation.heard == [true; 2] {
            self.conversations.remove(&number);
            self.tally.whole += 1;
            self.tally.octets_to_origins += script.len(Role::Client) as u64;
            self.tally.octets_to_clients += script.len(Role::Origin) as u64;
        }
    }
}

fn wrong(peer: &Peer, script: Script) -> String {
    format!("{} octets received of {script:?}, {:?}", peer.received.len(), peer.stats)
}

/// A client of its own, and the service's address of the same family.
fn key_of(number: u32) -> Key {
    let port = 1024 + (number.wrapping_mul(7919) % 60_000) as u16;
    let (ip, to): (IpAddr, SocketAddr) = match number % 3 {
        0 => {
            let prefix = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 0));
            (Ipv6Addr::from_bits(prefix + u128::from(number)).into(), service_v6())
        }
        // RFC 6598's shared space has room for four million.
        _ => {
            let prefix = u32::from(Ipv4Addr::new(100, 64, 0, 0));
            (Ipv4Addr::from_bits(prefix + number % (1 << 22)).into(), service())
        }
    };
    (SocketAddr::new(ip, port), to)
}

fn script(number: u32, random: &mut Random) -> Script {
    // Each order of magnitude as often as any other.
    let mut octets = |most: u64| {
        let below = 1 << random.below(most);
        16 + random.below(below) as u32
    };
    let (request, response) = (octets(17), octets(19));
    let closes_first = pick(random, &[Role::Client, Role::Client, Role::Origin]);
    let rounds = 1 + random.below(3) as u16;
    Script { rounds, closes_first, ..Script::exchange(number, request, response) }
}

fn client_behaviour(random: &mut Random) -> Behaviour {
    match random.below(20) {
        0 => Behaviour::Aborts { when: Moment::Said(10) },
        1 => Behaviour::Aborts { when: Moment::Heard(10_000) },
        2 => Behaviour::ReadsSlowly { octets: 20_000, every: ms(20) },
        3 => Behaviour::PausesReading { after: 4000, pause: secs(2) },
        // Long enough to fall asleep.
        4 => Behaviour::Idles { quiet: ms(1500) },
        5 => Behaviour::StretchesAcks { segments: 16 },
        6 => Behaviour::ClosesHalf,
        7 => Behaviour::TinyMss { octets: 300 },
        _ => Behaviour::Plain,
    }
}

fn origin_behaviour(random: &mut Random) -> Behaviour {
    match random.below(20) {
        0 => Behaviour::ReadsSlowly { octets: 10_000, every: ms(20) },
        1 => Behaviour::DelaysAcks { by: ms(40) },
        2 => Behaviour::TinyWindow { octets: 8000 },
        3 => Behaviour::SplitsAcks { octets: 500 },
        _ => Behaviour::Plain,
    }
}

/// Rings that run over lose.
const HOST: Settings = Settings { lossy: true, ..Settings::MODERN };

/// After its end a host still repeats its last words to who has not heard them.
const LINGERS: Duration = Duration::from_secs(1);
