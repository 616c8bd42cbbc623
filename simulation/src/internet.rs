//! The networks between the appliance and the hosts of one side, good and bad.
//!
//! An [`Internet`] is a [`Network`](side::Network) of many: each host is in one of them, and each
//! has two paths of its own (`path`), an MTU, times when it is not there (`outage`), and
//! middleboxes ([`middlebox`]). What they are is plain data ([`NetworkSettings`]); what they do
//! follows from it, the seed and the packets. Start reading at `network`.
//!
//! Time is exact: what happens between two calls happens at its own time and in its order.

mod any;
pub mod middlebox;
mod network;
mod octets;
mod outage;
mod path;
mod segment;
mod settings;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use crate::appliance::side::{self, Arrival};
pub use middlebox::Middlebox;
pub use network::NetworkFigures;
use network::{Network, Output};
pub use path::PathFigures;
pub use settings::{BlackHole, Flapping, NetworkSettings, PathSettings, Reordering, Swallows};

/// Who is at an end of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Host,
    Appliance,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// To the appliance.
    Up,
    /// To a host.
    Down,
}

impl Way {
    fn back(self) -> Way {
        match self {
            Way::Up => Way::Down,
            Way::Down => Way::Up,
        }
    }

    fn sender(self) -> End {
        match self {
            Way::Up => End::Host,
            Way::Down => End::Appliance,
        }
    }

    fn receiver(self) -> End {
        self.back().sender()
    }
}

/// All networks on one side.
#[derive(Debug)]
pub struct Internet {
    seeds: Random,
    networks: Vec<Network>,
    places: BTreeMap<IpAddr, usize>,
    /// Where those are who are placed nowhere.
    elsewhere: usize,
    /// What will happen, in order of time and then of how it came about.
    events: BTreeMap<(Instant, u64), Event>,
    happened: u64,
    /// What has arrived, and when.
    arrived: VecDeque<(Instant, Arrival)>,
    is_healed: bool,
}

#[derive(Debug)]
struct Event {
    network: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Arrives(Way, Vec<u8>),
    /// A box, which holds something.
    Wakes(usize),
}

impl Internet {
    pub fn new(seed: u64) -> Internet {
        Internet {
            seeds: Random::new(seed),
            networks: Vec::new(),
            places: BTreeMap::new(),
            elsewhere: 0,
            events: BTreeMap::new(),
            happened: 0,
            arrived: VecDeque::new(),
            is_healed: false,
        }
    }

    /// Adds a network, and says its number. The first has all hosts that are placed nowhere, unless
    /// [`Internet::place_others`] names another.
    pub fn add(&mut self, settings: NetworkSettings) -> usize {
        let mut network = Network::new(settings, self.seeds.draw());
        if self.is_healed {
            network.heal();
        }
        self.networks.push(network);
        self.networks.len() - 1
    }

    /// Puts a host into a network; packets on their way go on in the one that they are in.
    pub fn place(&mut self, host: IpAddr, network: usize) {
        assert!(network < self.networks.len(), "no network {network}");
        self.places.insert(host, network);
    }

    /// Puts everybody else into a network, and all who speak in others' names: what they send does not
    /// cross the network of those, whose boxes would take it for theirs.
    pub fn place_others(&mut self, network: usize) {
        assert!(network < self.networks.len(), "no network {network}");
        self.elsewhere = network;
    }

    /// From here on nothing goes wrong by chance or schedule: no loss, damage, duplication,
    /// lateness, outage, and no connection that a middlebox ends. Rates, queues (which still drop
    /// what they have no room for), delays and MTUs stay, and what boxes must go on with for
    /// connections to be consistent. Packets on their way keep their fate.
    pub fn heal(&mut self) {
        self.is_healed = true;
        self.networks.iter_mut().for_each(Network::heal);
    }

    /// Name and figures of each network, in the order in which they were added.
    pub fn figures(&self) -> impl Iterator<Item = (&str, NetworkFigures)> {
        self.networks.iter().map(|network| (network.name(), network.figures()))
    }

    fn network_of(&self, host: Option<IpAddr>) -> usize {
        host.and_then(|host| self.places.get(&host)).copied().unwrap_or(self.elsewhere)
    }

    /// A packet comes from a host of this network.
    fn take_into(&mut self, now: Instant, network: usize, packet: Vec<u8>) {
        self.settle(now);
        let mut out = Vec::new();
        self.networks[network].take_from_host(now, packet, &mut out);
        self.follow(now, network, out);
    }

    /// Has all happen that happens by `now`.
    fn settle(&mut self, now: Instant) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), Event { network, what }) = entry.remove_entry();
            let mut out = Vec::new();
            match what {
                What::Arrives(Way::Up, packet) => {
                    self.arrived.push_back((at, Arrival::AtAppliance(packet)));
                }
                What::Arrives(Way::Down, packet) => {
                    self.networks[network].come_down(at, packet, &mut out);
                }
                What::Wakes(number) => self.networks[network].wake(at, number, &mut out),
            }
            self.follow(at, network, out);
        }
    }

    /// What came of something at `now`.
    fn follow(&mut self, now: Instant, network: usize, out: Vec<Output>) {
        for output in out {
            let (at, what) = match output {
                Output::AtHost(packet) => {
                    self.arrived.push_back((now, Arrival::AtHost(packet)));
                    continue;
                }
                Output::Arrives { at, way, packet } => (at, What::Arrives(way, packet)),
                Output::Wakes { at, number } => (at, What::Wakes(number)),
            };
            self.happened += 1;
            self.events.insert((at, self.happened), Event { network, what });
        }
    }
}

impl side::Network for Internet {
    fn take_from_host(&mut self, now: Instant, packet: Vec<u8>) {
        let network = self.network_of(octets::addresses(&packet).map(|(source, _)| source));
        self.take_into(now, network, packet);
    }

    fn take_from_stranger(&mut self, now: Instant, packet: Vec<u8>) {
        self.take_into(now, self.elsewhere, packet);
    }

    fn take_from_appliance(&mut self, now: Instant, packet: Vec<u8>) {
        self.settle(now);
        let network = self.network_of(octets::addresses(&packet).map(|(_, host)| host));
        let mut out = Vec::new();
        self.networks[network].take_from_appliance(now, packet, &mut out);
        self.follow(now, network, out);
    }

    fn arrive(&mut self, now: Instant) -> Option<Arrival> {
        self.settle(now);
        self.arrived.pop_front().map(|(_, arrival)| arrival)
    }

    fn next_due(&self) -> Instant {
        let arrived = self.arrived.front().map(|(at, _)| *at);
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        arrived.or(event).unwrap_or(Instant::FAR_FUTURE)
    }

    /// A box that will be woken counts as one.
    fn under_way(&self) -> usize {
        self.events.len() + self.arrived.len()
    }
}

/// One that others can look at and heal while a side has it.
impl side::Network for Rc<RefCell<Internet>> {
    fn take_from_host(&mut self, now: Instant, packet: Vec<u8>) {
        self.borrow_mut().take_from_host(now, packet);
    }

    fn take_from_stranger(&mut self, now: Instant, packet: Vec<u8>) {
        self.borrow_mut().take_from_stranger(now, packet);
    }

    fn take_from_appliance(&mut self, now: Instant, packet: Vec<u8>) {
        self.borrow_mut().take_from_appliance(now, packet);
    }

    fn arrive(&mut self, now: Instant) -> Option<Arrival> {
        self.borrow_mut().arrive(now)
    }

    fn next_due(&self) -> Instant {
        self.borrow().next_due()
    }

    fn under_way(&self) -> usize {
        self.borrow().under_way()
    }
}

#[cfg(test)]
mod tests;
