//! Clients that open a connection and then take from the appliance what is not theirs: its rate, by
//! acknowledging ahead, or its memory, by payload behind a gap that is never filled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use super::attack::{Clock, Scene};
use super::script::{Role, Script};
use crate::appliance::packet::{ACK, Options, PSH, RST, SYN, Segment};
use crate::appliance::rig::pattern;
use crate::appliance::side::Actor;

/// What a client is after.
enum Want {
    /// So far ahead of what has arrived [octets].
    Rate {
        ahead: u32,
    },
    Memory,
}

enum State {
    /// Its SYN is to be sent at that time, again if there is no answer.
    Opening {
        syn_at: Instant,
    },
    Open,
    Over,
}

pub(super) struct Greed {
    want: Want,
    clock: Clock,
    random: Random,
    /// A segment without anything; its `seq` is what comes next.
    blank: Segment,
    request: Vec<u8>,
    state: State,
    /// Behind the last that has arrived.
    arrived: u32,
    acknowledged: u32,
    sending: Vec<Vec<u8>>,
}

impl Greed {
    pub(super) fn acks_ahead(
        clock: Clock,
        seed: u64,
        scene: &Scene,
        script: &Script,
        ahead: u32,
    ) -> Greed {
        Greed::new(Want::Rate { ahead }, clock, seed, scene, script.octets(Role::Client))
    }

    pub(super) fn hoards_memory(clock: Clock, seed: u64, scene: &Scene) -> Greed {
        Greed::new(Want::Memory, clock, seed, scene, Vec::new())
    }

    fn new(want: Want, clock: Clock, seed: u64, scene: &Scene, request: Vec<u8>) -> Greed {
        let mut random = Random::new(seed);
        let target = scene.target(&mut random);
        let host = random.draw() as u8;
        let ip = match target.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(203, 0, 113, host)),
            IpAddr::V6(_) => {
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, host.into()))
            }
        };
        let local = SocketAddr::new(ip, 1024 + random.below(60_000) as u16);
        let mut blank = scene.guess(&mut random, (local, target), ACK);
        blank.window = u16::MAX;
        Greed {
            want,
            clock,
            random,
            blank,
            request,
            state: State::Opening { syn_at: clock.deadline() },
            arrived: 0,
            acknowledged: 0,
            sending: Vec::new(),
        }
    }

    /// What it does all the time.
    fn take_more(&mut self) {
        match self.want {
            Want::Rate { ahead } => {
                let in_advance = self.acknowledged.wrapping_sub(self.arrived) as i32;
                let step = 1 + self.random.below(3000) as u32;
                if in_advance.saturating_add_unsigned(step) <= ahead as i32 {
                    self.acknowledged = self.acknowledged.wrapping_add(step);
                }
                self.send(ACK, 0, Vec::new());
            }
            Want::Memory => {
                // Small and large, over each other, and never the same twice.
                let most = if self.random.below(2) == 0 { 1400 } else { 8 };
                let len = 1 + self.random.below(most) as usize;
                let ahead = 1 + self.random.below(60_000) as u32;
                let payload = pattern(self.random.below(256), len);
                self.send(ACK | PSH, ahead, payload);
            }
        }
    }

    fn send(&mut self, flags: u8, ahead: u32, payload: Vec<u8>) {
        let mut segment = self.blank.clone();
        segment.flags = flags;
        segment.seq = segment.seq.wrapping_add(ahead);
        segment.ack = if flags & ACK == 0 { 0 } else { self.acknowledged };
        if flags == SYN {
            segment.options = Options { mss: Some(1460), scale: Some(7), ..Options::default() };
        }
        segment.payload = payload;
        self.sending.push(segment.build());
    }

    fn end(&mut self) {
        if matches!(self.state, State::Open) {
            self.send(RST | ACK, 0, Vec::new());
        }
        self.state = State::Over;
    }
}

impl Actor for Greed {
    fn is_at(&self, address: SocketAddr) -> bool {
        address == self.blank.source
    }

    fn take(&mut self, _now: Instant, packet: &[u8]) {
        let Ok(segment) = Segment::parse(packet) else { return };
        if segment.has(RST) {
            self.state = State::Over;
        }
        match self.state {
            State::Over if !segment.has(RST) => self.sending.push(segment.reset().build()),
            State::Over => {}
            State::Opening { .. } if segment.has(SYN) => {
                self.arrived = segment.seq.wrapping_add(1);
                self.acknowledged = self.arrived;
                self.blank.seq = segment.ack;
                self.state = State::Open;
                let request = std::mem::take(&mut self.request);
                let mut sent = 0;
                for piece in request.chunks(1400) {
                    self.send(ACK | PSH, sent, piece.to_vec());
                    sent += piece.len() as u32;
                }
                self.blank.seq = self.blank.seq.wrapping_add(sent);
                self.send(ACK, 0, Vec::new());
            }
            State::Opening { .. } => {}
            State::Open => {
                let end = segment.seq.wrapping_add(segment.sequence_len());
                if (end.wrapping_sub(self.arrived) as i32) > 0 {
                    self.arrived = end;
                }
            }
        }
    }

    fn poll(&mut self, now: Instant) -> Vec<Vec<u8>> {
        match self.state {
            State::Opening { syn_at } if syn_at <= now && !self.clock.is_over() => {
                self.state = State::Opening { syn_at: now + SYN_AGAIN };
                self.send(SYN, 0, Vec::new());
            }
            _ => {}
        }
        for _ in 0..self.clock.take(now) {
            if matches!(self.state, State::Open) {
                self.take_more();
            }
        }
        if self.clock.is_over() && !matches!(self.state, State::Over) {
            self.end();
        }
        std::mem::take(&mut self.sending)
    }

    fn deadline(&self) -> Instant {
        match self.state {
            State::Over => Instant::FAR_FUTURE,
            State::Opening { syn_at } => syn_at.min(self.clock.deadline()),
            State::Open if self.clock.is_over() => Instant::ZERO,
            State::Open => self.clock.deadline(),
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Over) && self.sending.is_empty()
    }

    fn stop(&mut self) {
        self.clock.stop();
    }
}

const SYN_AGAIN: Duration = Duration::from_secs(1);
