//! The hosts on one side of the appliance: their connections, and who else speaks there.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ringroad_engine::port::sim::SimPeer;
use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use super::cookies::{CookieShield, Fate};
use super::ecn::Treatment;
use super::packet::{self, RST, SYN, Segment};
use super::peer::{App, Peer, Settings, Status};
use super::rig::ip;

/// What an origin does with a SYN.
pub enum Listener {
    Accept(Settings, Box<dyn FnMut() -> App>),
    Refuse,
    Silent,
}

/// Local and remote address of a connection, as its host sees them.
pub type Key = (SocketAddr, SocketAddr);

/// What lies between the hosts of a side and the appliance.
pub trait Network {
    fn take_from_host(&mut self, now: Instant, packet: Vec<u8>);

    /// From somebody who is not where the packet says that it comes from.
    fn take_from_stranger(&mut self, now: Instant, packet: Vec<u8>) {
        self.take_from_host(now, packet);
    }

    fn take_from_appliance(&mut self, now: Instant, packet: Vec<u8>);

    /// What has arrived by `now` at either end, in order of time.
    fn arrive(&mut self, now: Instant) -> Option<Arrival>;

    /// When the next packet arrives.
    fn next_due(&self) -> Instant;

    /// Packets on their way.
    fn under_way(&self) -> usize;
}

/// A packet that has crossed a [`Network`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    AtHost(Vec<u8>),
    AtAppliance(Vec<u8>),
}

/// Somebody who is no well-behaved host, and speaks in raw packets.
pub trait Actor {
    /// Whether packets for this address are its own.
    fn is_at(&self, address: SocketAddr) -> bool;

    fn take(&mut self, now: Instant, packet: &[u8]);

    /// What it sends now.
    fn poll(&mut self, now: Instant) -> Vec<Vec<u8>>;

    /// When [`Actor::poll`] has something to do by itself.
    fn deadline(&self) -> Instant;

    /// It has nothing more to do.
    fn is_over(&self) -> bool;

    /// It does no more mischief from now on.
    fn stop(&mut self);
}

/// Sees what crosses the cable of a port: `true` for what the appliance receives.
pub type Observer = Box<dyn FnMut(Instant, bool, &[u8])>;

/// All hosts on one side.
pub struct Side {
    pub cable: SimPeer,
    /// Between the hosts and the cable; without one they are on it.
    pub network: Option<Box<dyn Network>>,
    pub actors: Vec<Box<dyn Actor>>,
    pub observer: Option<Observer>,
    pub peers: BTreeMap<Key, Peer>,
    /// Those whose addresses and ports others have taken after them.
    pub past: Vec<Peer>,
    pub listeners: BTreeMap<SocketAddr, Listener>,
    /// Connections that may wait for the other end to complete the handshake; SYNs beyond are lost.
    pub backlog: usize,
    /// A router on the way that takes no larger IP packets.
    pub path_mtu: Option<usize>,
    /// It does not say so.
    pub filters_icmp: bool,
    /// What the network does to the ECN of what crosses it.
    pub treatment: Treatment,
    /// Whether damaged packets may arrive; they are thrown away.
    pub corrupting: bool,
    /// Nobody is there any more: packets are not answered.
    pub vanished: bool,
    /// Answer segments to no connection with a reset, as hosts do.
    pub resets: bool,
    pub stats: SideStats,
    /// Copies of what the hosts have sent lately, for those who want to do mischief with it.
    pub sent: Vec<Vec<u8>>,
    /// Copies of all that arrived, for those who want to compare.
    pub taken: Option<Vec<Vec<u8>>>,
    /// Answers SYNs to the service by cookies, in front of the engine.
    pub cookies: Option<CookieShield>,
    /// What arrived that is no TCP, where anybody but the engine sends; else it is a fault.
    pub others: Option<Vec<Vec<u8>>>,
    random: Random,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SideStats {
    pub received: u64,
    pub damaged: u64,
    pub too_big: u64,
    pub resets: u64,
    pub syns: u64,
    pub strays: u64,
}

/// Both sides; and Linux behind each port, where packets for it cross the engine.
pub struct Hosts(pub [Side; 2], pub Vec<Side>);

impl Hosts {
    /// All hosts take what has arrived and send what they have to. Returns packets moved.
    pub fn turn(&mut self, now: Instant) -> usize {
        self.all_mut().map(|side| side.turn(now)).sum()
    }

    pub fn all_over(&self) -> bool {
        self.all().all(Side::is_over)
    }

    pub fn all(&self) -> impl Iterator<Item = &Side> {
        self.0.iter().chain(&self.1)
    }

    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Side> {
        self.0.iter_mut().chain(&mut self.1)
    }

    pub fn deadline(&self) -> Instant {
        self.all().map(Side::deadline).min().unwrap_or(Instant::FAR_FUTURE)
    }
}

impl Side {
    pub(super) fn new(cable: SimPeer, random: Random) -> Side {
        Side {
            cable,
            network: None,
            actors: Vec::new(),
            observer: None,
            peers: BTreeMap::new(),
            past: Vec::new(),
            listeners: BTreeMap::new(),
            backlog: usize::MAX,
            path_mtu: None,
            filters_icmp: false,
            treatment: Treatment::default(),
            corrupting: false,
            vanished: false,
            resets: true,
            stats: SideStats::default(),
            sent: Vec::new(),
            taken: None,
            cookies: None,
            others: None,
            random,
        }
    }

    /// Whether nobody here has anything more to do, and nothing is on its way.
    pub fn is_over(&self) -> bool {
        self.peers.values().all(Peer::is_done)
            && self.actors.iter().all(|actor| actor.is_over())
            && self.under_way() == 0
    }

    /// Packets between the hosts and the cable's end, and there.
    pub fn under_way(&self) -> usize {
        self.cable.waiting() + self.network.as_ref().map_or(0, |network| network.under_way())
    }

    /// All connections that hosts have had here.
    pub fn all_peers(&self) -> Vec<&Peer> {
        self.past.iter().chain(self.peers.values()).collect()
    }

    /// When anybody here has something to do by itself.
    pub fn deadline(&self) -> Instant {
        let peers = self.peers.values().map(Peer::deadline);
        let actors = self.actors.iter().map(|actor| actor.deadline());
        let network = self.network.iter().map(|network| network.next_due());
        peers.chain(actors).chain(network).min().unwrap_or(Instant::FAR_FUTURE)
    }

    pub fn turn(&mut self, now: Instant) -> usize {
        let mut moved = 0;
        while let Some(packet) = self.cable.receive() {
            self.stats.received += 1;
            moved += 1;
            if let Some(taken) = &mut self.taken {
                taken.push(packet.clone());
            }
            if let Some(observer) = &mut self.observer {
                observer(now, false, &packet);
            }
            match &mut self.network {
                Some(network) => network.take_from_appliance(now, packet),
                None => {
                    self.deliver(now, &packet);
                    self.cable.recycle(packet);
                }
            }
        }
        moved += self.carry(now);
        if self.vanished {
            return moved;
        }
        moved + self.speak(now) + self.carry(now)
    }

    /// Takes what has crossed the network.
    fn carry(&mut self, now: Instant) -> usize {
        let mut moved = 0;
        while let Some(arrival) = self.network.as_mut().and_then(|network| network.arrive(now)) {
            moved += 1;
            match arrival {
                Arrival::AtHost(packet) => self.deliver(now, &packet),
                Arrival::AtAppliance(packet) => self.enter(now, &packet),
            }
        }
        moved
    }

    /// Everybody sends what they have to.
    fn speak(&mut self, now: Instant) -> usize {
        let (mut moved, mut sending) = (0, Vec::new());
        for peer in self.peers.values_mut().filter(|peer| !peer.is_at_rest()) {
            peer.run(now);
            for segment in peer.poll(now) {
                moved += 1;
                match self.cookies.as_mut().map_or(Fate::Passed, |shield| shield.see(&segment)) {
                    Fate::Passed => {}
                    Fate::Answered(answer) => {
                        peer.take(&answer);
                        continue;
                    }
                    Fate::Lost => continue,
                }
                let mut packet = segment.build();
                let field = self.treatment.of(peer.ecn.field(&segment));
                if field != 0 {
                    packet::set_ecn(&mut packet, field);
                }
                sending.push(packet);
            }
        }
        for packet in sending {
            self.note_sent(&packet);
            self.leave(now, packet);
        }
        let packets: Vec<_> = self.actors.iter_mut().flat_map(|actor| actor.poll(now)).collect();
        moved += packets.len();
        for packet in packets {
            self.note_sent(&packet);
            match &mut self.network {
                Some(network) => network.take_from_stranger(now, packet),
                None => self.enter(now, &packet),
            }
        }
        moved
    }

    fn note_sent(&mut self, packet: &[u8]) {
        if self.sent.len() == MISCHIEF {
            self.sent.clear();
        }
        self.sent.push(packet.to_vec());
    }

    /// A packet leaves a host.
    fn leave(&mut self, now: Instant, packet: Vec<u8>) {
        match &mut self.network {
            Some(network) => network.take_from_host(now, packet),
            None => self.enter(now, &packet),
        }
    }

    /// A packet reaches the appliance's cable.
    fn enter(&mut self, now: Instant, packet: &[u8]) {
        if let Some(observer) = &mut self.observer {
            observer(now, true, packet);
        }
        self.cable.send(packet);
    }

    /// A packet reaches a host.
    fn deliver(&mut self, now: Instant, packet: &[u8]) {
        if !self.vanished {
            self.take(now, packet);
        }
    }

    fn take(&mut self, now: Instant, packet: &[u8]) {
        if let Some(others) = &mut self.others
            && !packet::is_tcp(packet)
        {
            return others.push(packet.to_vec());
        }
        if let Some(mtu) = self.path_mtu
            && packet::ip_len(packet) > mtu
        {
            self.stats.too_big += 1;
            if self.filters_icmp {
                return;
            }
            let segment = Segment::parse(packet).expect("a sound packet");
            let router = if segment.source.is_ipv4() { "10.99.0.1" } else { "fd99::1" };
            let message = packet::too_big(packet, ip(router), mtu as u16);
            return self.leave(now, message);
        }
        let segment = match Segment::parse(packet) {
            Ok(segment) => segment,
            Err(_) if self.corrupting => {
                self.stats.damaged += 1;
                return;
            }
            Err(objection) => panic!("the engine sent a packet with a fault: {objection}"),
        };
        if let Some(actor) = self.actors.iter_mut().find(|each| each.is_at(segment.destination)) {
            return actor.take(now, packet);
        }
        let key = (segment.destination, segment.source);
        let is_syn = segment.has(SYN) && segment.flags & packet::ACK == 0;
        // No checksum covers the field in IPv6.
        let may_be_damaged = self.corrupting && segment.source.is_ipv6();
        let is_marked = packet::ecn_of(packet) != 0;
        assert!(!is_syn || !is_marked || may_be_damaged, "RFC 3168 §6.1.1");
        if self.treatment.drops_setup && is_syn && segment.has(packet::ECE) {
            return;
        }
        let field = self.treatment.of(packet::ecn_of(packet));
        self.stats.syns += u64::from(is_syn);
        self.stats.resets += u64::from(segment.has(RST));
        let reused = is_syn && self.peers.get(&key).is_some_and(Peer::is_over);
        if let Some(peer) = self.peers.get_mut(&key)
            && !reused
        {
            peer.ecn.arriving = field;
            return peer.take(&segment);
        }
        let half_open = || {
            let waits = |peer: &&Peer| peer.status == Status::SynReceived;
            self.peers.values().filter(waits).count()
        };
        let is_full = is_syn && half_open() >= self.backlog;
        match self.listeners.get_mut(&segment.destination) {
            Some(Listener::Accept(..)) if is_full => {}
            Some(Listener::Accept(settings, app)) if is_syn => {
                let link = segment.link.reversed();
                let iss = self.random.draw() as u32;
                let peer = Peer::accept(*settings, &segment, link, iss, app());
                self.past.extend(self.peers.insert(key, peer));
            }
            Some(Listener::Silent) => {}
            _ if self.resets && !segment.has(RST) => {
                self.stats.strays += u64::from(!is_syn);
                self.leave(now, segment.reset().build());
            }
            _ => {}
        }
    }
}

/// Packets kept in [`Side::sent`].
const MISCHIEF: usize = 256;
