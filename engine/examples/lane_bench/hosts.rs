//! The hosts on both sides of the engine, as far as a measurement needs them: for each connection the
//! numbers that the next segment of either end carries.

use std::collections::HashMap;
use std::net::SocketAddr;

use ringroad_engine::limits::BURST;
use ringroad_engine::port::sim::SimPeer;
use ringroad_simulation::appliance::packet::{ACK, Link, Options, SYN, Segment, Tags};

use super::parts::{CLIENT, OURS, SERVICE, THEIRS};

pub const CLIENTS: usize = 0;
pub const ORIGINS: usize = 1;

/// Clients, origins, and their cables to the engine's two ports.
pub struct Hosts {
    pub cables: [SimPeer; 2],
    /// Client and origin of each flow.
    flows: Vec<[End; 2]>,
    /// By side: which flow is meant by who a packet is from and to.
    places: [HashMap<Addresses, usize>; 2],
    /// What came for nobody that is known: SYNs for the origin.
    unknown: Vec<Segment>,
}

/// Source and destination.
type Addresses = (SocketAddr, SocketAddr);

impl Hosts {
    pub fn new(cables: [SimPeer; 2]) -> Self {
        Hosts { cables, flows: Vec::new(), places: Default::default(), unknown: Vec::new() }
    }

    /// Opens a connection from each of the client's `ports`, a burst at a time, in place of those that
    /// there are. `turn` has the engine do what there is to do.
    pub fn open(&mut self, ports: &[u16], mut turn: impl FnMut()) {
        self.flows.clear();
        self.places.iter_mut().for_each(HashMap::clear);
        for ports in ports.chunks(BURST) {
            self.open_burst(ports, &mut turn);
        }
    }

    /// What every flow's end on one side says next.
    pub fn packets(&mut self, side: usize, flags: u8, payload: &[u8]) -> Vec<Vec<u8>> {
        self.flows.iter_mut().map(|flow| flow[side].say(flags, payload)).collect()
    }

    pub fn send(&mut self, side: usize, packets: &[Vec<u8>]) {
        packets.iter().for_each(|packet| self.cables[side].send(packet));
    }

    /// All hear what has come. Returns how much payload that was, in packets.
    pub fn hear(&mut self) -> usize {
        let mut with_payload = 0;
        for side in [CLIENTS, ORIGINS] {
            while let Some(packet) = self.cables[side].receive() {
                let segment = Segment::parse(&packet).expect("a sound packet");
                self.cables[side].recycle(packet);
                with_payload += usize::from(!segment.payload.is_empty());
                match self.places[side].get(&(segment.source, segment.destination)) {
                    Some(place) => self.flows[*place][side].hear(&segment),
                    None => self.unknown.push(segment),
                }
            }
        }
        with_payload
    }

    fn open_burst(&mut self, ports: &[u16], turn: &mut impl FnMut()) {
        let first = self.flows.len();
        for (place, port) in (first..).zip(ports) {
            let client = SocketAddr::new(CLIENT, *port);
            // Who the origin talks to is known when its SYN has come.
            let flow = [End::new(CLIENTS, client, 1000), End::new(ORIGINS, SERVICE, 2000)];
            self.places[CLIENTS].insert(flow[CLIENTS].hears(), place);
            self.flows.push(flow);
        }
        self.say_from(first, CLIENTS, SYN, turn);
        self.flows[first..].iter_mut().for_each(|flow| flow[CLIENTS].is_established());
        self.say_from(first, CLIENTS, ACK, turn);
        let syns = std::mem::take(&mut self.unknown);
        assert_eq!(syns.len(), ports.len(), "a SYN for the origin from each");
        for (place, syn) in (first..).zip(syns) {
            let origin = &mut self.flows[place][ORIGINS];
            (origin.template.source, origin.template.destination) = (syn.destination, syn.source);
            origin.hear(&syn);
            self.places[ORIGINS].insert(origin.hears(), place);
        }
        self.say_from(first, ORIGINS, SYN | ACK, turn);
        self.flows[first..].iter_mut().for_each(|flow| flow[ORIGINS].is_established());
    }

    fn say_from(&mut self, first: usize, side: usize, flags: u8, turn: &mut impl FnMut()) {
        for flow in &mut self.flows[first..] {
            let packet = flow[side].say(flags, &[]);
            self.cables[side].send(&packet);
        }
        turn();
        self.hear();
    }
}

/// One end of a connection.
struct End {
    template: Segment,
}

impl End {
    fn new(side: usize, source: SocketAddr, seq: u32) -> Self {
        let options = Options {
            mss: Some(1460),
            scale: Some(7),
            sack_permitted: true,
            timestamps: Some((1, 0)),
            ..Options::default()
        };
        let link = Link { source: THEIRS[side], destination: OURS[side], tags: Tags::default() };
        let template = Segment {
            link,
            source,
            destination: SERVICE,
            seq,
            ack: 0,
            flags: SYN,
            window: 60_000,
            options,
            payload: Vec::new(),
        };
        End { template }
    }

    /// From and to whom the packets are that it hears.
    fn hears(&self) -> Addresses {
        (self.template.destination, self.template.source)
    }

    /// Reads what the engine has sent to this end.
    fn hear(&mut self, segment: &Segment) {
        self.template.ack = segment.seq.wrapping_add(segment.sequence_len());
        if let (Some((_, echo)), Some((value, _))) =
            (&mut self.template.options.timestamps, segment.options.timestamps)
        {
            *echo = value;
        }
    }

    /// The next segment, and moves on.
    fn say(&mut self, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut segment = self.template.clone();
        segment.flags = flags;
        segment.payload = payload.to_vec();
        self.template.seq = segment.seq.wrapping_add(segment.sequence_len());
        segment.build()
    }

    /// What belongs on a SYN comes off.
    fn is_established(&mut self) {
        let options = &mut self.template.options;
        (options.mss, options.scale, options.sack_permitted) = (None, None, false);
    }
}
