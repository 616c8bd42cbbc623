//! Somebody who sends packets as they please, at a rate and for a while.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use super::flood::{self, Flood};
use super::greed::Greed;
use super::script::Script;
use super::{Expectation, malformed};
use crate::appliance::packet::{Link, Options, Segment, Tags};
use crate::appliance::rig::{CLIENTS, ORIGINS, OURS, THEIRS, address, service};
use crate::appliance::side::Actor;

/// An attack. Plain data, like [`super::Behaviour`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attack {
    pub mischief: Mischief,
    /// Packets; more than [`PER_SECOND_MAX`] are not sent.
    pub per_second: u32,
    /// When it begins …
    pub after: Duration,
    /// … and for how long it goes on.
    pub lasts: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// SYNs from addresses that nobody has.
    Syns,
    /// Segments of connections that others have, with numbers that are guessed: ACKs, resets, FINs,
    /// SYNs, payload.
    BlindAcks,
    BlindResets,
    BlindFins,
    BlindSyns,
    BlindPayload,
    /// Pieces of packets, some of which overlap.
    Fragments,
    /// What no host would send.
    Malformed,
    /// A SYN to one port after another.
    Scan,
    /// A client that acknowledges what has not arrived, so far ahead [octets] (Savage et al., 1999).
    AcksAhead {
        script: Script,
        ahead: u32,
    },
    /// A client that sends all but the first octet, again and again and each time something else.
    HoardsMemory,
}

/// Where an attack takes place.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Of packets to the appliance.
    pub link: Link,
    /// The addresses of the appliance that are attacked.
    pub targets: Vec<SocketAddr>,
    /// Others' connections: their address, and the appliance's.
    pub others: Vec<(SocketAddr, SocketAddr)>,
}

impl Attack {
    pub fn actor(&self, seed: u64, now: Instant, scene: Scene) -> Box<dyn Actor> {
        let clock = Clock::new(self, now);
        let make: flood::Make = match self.mischief {
            Mischief::Syns => flood::syn,
            Mischief::BlindAcks => flood::blind_ack,
            Mischief::BlindResets => flood::blind_reset,
            Mischief::BlindFins => flood::blind_fin,
            Mischief::BlindSyns => flood::blind_syn,
            Mischief::BlindPayload => flood::blind_payload,
            Mischief::Fragments => malformed::fragment,
            Mischief::Malformed => malformed::packet,
            Mischief::Scan => flood::scan,
            Mischief::AcksAhead { script, ahead } => {
                return Box::new(Greed::acks_ahead(clock, seed, &scene, &script, ahead));
            }
            Mischief::HoardsMemory => return Box::new(Greed::hoards_memory(clock, seed, &scene)),
        };
        Box::new(Flood::new(clock, seed, scene, make))
    }

    /// What is justified for those who are there too: whoever opens a connection while SYNs are
    /// flooding may find no room.
    pub fn expectation(&self) -> Expectation {
        match self.mischief {
            Mischief::Syns | Mischief::Scan => Expectation::EitherEndMayReset,
            _ => Expectation::Whole,
        }
    }

    /// One of all, by chance, that lasts some seconds. `script` is what a client may ask for.
    pub fn any(random: &mut Random, script: Script) -> Attack {
        let mischief = match random.below(11) {
            0 => Mischief::Syns,
            1 => Mischief::BlindAcks,
            2 => Mischief::BlindResets,
            3 => Mischief::BlindFins,
            4 => Mischief::BlindSyns,
            5 => Mischief::BlindPayload,
            6 => Mischief::Fragments,
            7 => Mischief::Malformed,
            8 => Mischief::Scan,
            9 => Mischief::AcksAhead { script, ahead: 1 << random.below(20) },
            _ => Mischief::HoardsMemory,
        };
        Attack {
            mischief,
            per_second: 1 << (4 + random.below(11)),
            after: Duration::from_millis(random.below(5000)),
            lasts: Duration::from_millis(1 << random.below(14)),
        }
    }
}

impl Scene {
    /// Among the clients of a [`crate::appliance::rig::Plan`].
    pub fn clients(others: Vec<(SocketAddr, SocketAddr)>) -> Scene {
        let targets = vec![service(), address("[2001:db8:1::1]:80")];
        Scene { link: link_to(CLIENTS), targets, others }
    }

    /// Among its origins, where nobody can open a connection.
    pub fn origins(others: Vec<(SocketAddr, SocketAddr)>) -> Scene {
        let targets = vec![address("10.20.0.254:20000"), address("[fd20::fe]:20000")];
        Scene { link: link_to(ORIGINS), targets, others }
    }

    pub(super) fn target(&self, random: &mut Random) -> SocketAddr {
        self.targets[random.below(self.targets.len() as u64) as usize]
    }

    /// The two ends of the `nth` connection that others have, over and over, and how often it had its
    /// turn. If there is none, of one that could be.
    pub(super) fn connection(
        &self,
        random: &mut Random,
        nth: u32,
    ) -> ((SocketAddr, SocketAddr), u32) {
        if self.others.is_empty() {
            let target = self.target(random);
            return ((spoofed(random, target), target), nth);
        }
        let count = self.others.len() as u32;
        (self.others[(nth % count) as usize], nth / count)
    }

    /// A segment of which everything but its flags is guessed.
    pub(super) fn guess(
        &self,
        random: &mut Random,
        (source, destination): (SocketAddr, SocketAddr),
        flags: u8,
    ) -> Segment {
        Segment {
            link: self.link,
            source,
            destination,
            seq: random.draw() as u32,
            ack: random.draw() as u32,
            flags,
            window: random.draw() as u16,
            options: Options::default(),
            payload: Vec::new(),
        }
    }
}

fn link_to(side: usize) -> Link {
    Link { source: THEIRS[side], destination: OURS[side], tags: Tags::default() }
}

/// An address of the target's family that nobody has, and any port.
pub(super) fn spoofed(random: &mut Random, target: SocketAddr) -> SocketAddr {
    let any = random.draw();
    let port = 1024 + (any >> 32) as u16 % 64_000;
    let ip = match target.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(0xc612_0000 | any as u32 & 0x1_ffff)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 2, 0, any as u16, 0, 0, 0, 1)),
    };
    SocketAddr::new(ip, port)
}

/// Whether it is one of those: they are set apart for tests of such devices (RFC 2544, RFC 5180).
pub(super) fn is_spoofed(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.to_bits() & 0xfffe_0000 == 0xc612_0000,
        IpAddr::V6(ip) => ip.segments()[..3] == [0x2001, 2, 0],
    }
}

/// When packets are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    next: Instant,
    every: Duration,
    end: Instant,
}

impl Clock {
    fn new(attack: &Attack, now: Instant) -> Clock {
        let per_second = attack.per_second.clamp(1, PER_SECOND_MAX);
        let begin = now + attack.after;
        Clock { next: begin, every: Duration::from_secs(1) / per_second, end: begin + attack.lasts }
    }

    /// Packets that are due now. What would be more than a burst is left out.
    pub(super) fn take(&mut self, now: Instant) -> usize {
        let mut due = 0;
        while self.next <= now.min(self.end) && due < BURST_MAX {
            self.next += self.every;
            due += 1;
        }
        self.next = self.next.max(now.min(self.end));
        due
    }

    pub(super) fn deadline(&self) -> Instant {
        if self.is_over() { Instant::FAR_FUTURE } else { self.next }
    }

    pub(super) fn is_over(&self) -> bool {
        self.next > self.end
    }

    pub(super) fn stop(&mut self) {
        self.next = Instant::FAR_FUTURE;
    }
}

/// What a case may have to simulate [packets/s].
pub const PER_SECOND_MAX: u32 = 1_000_000;

const BURST_MAX: usize = 64;
