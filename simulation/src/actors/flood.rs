//! Floods of packets each of which stands for itself.

use std::net::SocketAddr;

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use super::attack::{Clock, Scene, is_spoofed, spoofed};
use crate::appliance::packet::{ACK, FIN, Options, PSH, RST, SYN};
use crate::appliance::rig::pattern;
use crate::appliance::side::Actor;

/// Makes a packet; told how many there were before.
pub(super) type Make = fn(&mut Random, &Scene, u32) -> Vec<u8>;

pub(super) struct Flood {
    clock: Clock,
    random: Random,
    scene: Scene,
    make: Make,
    made: u32,
}

impl Flood {
    pub(super) fn new(clock: Clock, seed: u64, scene: Scene, make: Make) -> Flood {
        Flood { clock, random: Random::new(seed), scene, make, made: 0 }
    }
}

impl Actor for Flood {
    fn is_at(&self, address: SocketAddr) -> bool {
        is_spoofed(address)
    }

    fn take(&mut self, _now: Instant, _packet: &[u8]) {}

    fn poll(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let due = self.clock.take(now) as u32;
        let first = self.made;
        self.made = first.wrapping_add(due);
        let numbers = (0..due).map(|nth| first.wrapping_add(nth));
        numbers.map(|nth| (self.make)(&mut self.random, &self.scene, nth)).collect()
    }

    fn deadline(&self) -> Instant {
        self.clock.deadline()
    }

    fn is_over(&self) -> bool {
        self.clock.is_over()
    }

    fn stop(&mut self) {
        self.clock.stop();
    }
}

/// A SYN to a service from where nobody is, with options by chance.
pub(super) fn syn(random: &mut Random, scene: &Scene, _nth: u32) -> Vec<u8> {
    let target = scene.target(random);
    let source = spoofed(random, target);
    let mut syn = scene.guess(random, (source, target), SYN);
    syn.ack = 0;
    syn.options = options(random);
    syn.build()
}

/// A SYN to any port.
pub(super) fn scan(random: &mut Random, scene: &Scene, _nth: u32) -> Vec<u8> {
    let mut target = scene.target(random);
    target.set_port(random.draw() as u16);
    let source = spoofed(random, target);
    let mut syn = scene.guess(random, (source, target), SYN);
    syn.ack = 0;
    syn.build()
}

pub(super) fn blind_ack(random: &mut Random, scene: &Scene, nth: u32) -> Vec<u8> {
    blind(random, scene, nth, ACK, 0)
}

pub(super) fn blind_reset(random: &mut Random, scene: &Scene, nth: u32) -> Vec<u8> {
    let acknowledges = random.below(2) as u8 * ACK;
    blind(random, scene, nth, RST | acknowledges, 0)
}

pub(super) fn blind_fin(random: &mut Random, scene: &Scene, nth: u32) -> Vec<u8> {
    blind(random, scene, nth, FIN | ACK, 0)
}

pub(super) fn blind_syn(random: &mut Random, scene: &Scene, nth: u32) -> Vec<u8> {
    let acknowledges = random.below(2) as u8 * ACK;
    blind(random, scene, nth, SYN | acknowledges, 0)
}

pub(super) fn blind_payload(random: &mut Random, scene: &Scene, nth: u32) -> Vec<u8> {
    let len = 1 + random.below(1400) as usize;
    blind(random, scene, nth, ACK | PSH, len)
}

/// A segment of somebody's connection. Its number is guessed as somebody would guess it who wants to
/// be within the window soon (RFC 5961 §1.2): one connection after another, in steps.
fn blind(random: &mut Random, scene: &Scene, nth: u32, flags: u8, len: usize) -> Vec<u8> {
    let (connection, round) = scene.connection(random, nth);
    let mut segment = scene.guess(random, connection, flags);
    segment.seq = round.wrapping_mul(STEP);
    if flags & ACK == 0 {
        segment.ack = 0;
    }
    if random.below(2) == 0 {
        segment.options.timestamps = Some((random.draw() as u32, random.draw() as u32));
    }
    segment.payload = pattern(random.below(256), len);
    segment.build()
}

/// The least that a window is of those who offer no scale, and a bit less [octets].
const STEP: u32 = 60_000;

fn options(random: &mut Random) -> Options {
    let any = random.draw();
    let has = |bit: u32| any >> bit & 1 == 1;
    Options {
        mss: has(0).then_some((any >> 16) as u16),
        scale: has(1).then_some((any >> 32) as u8 & 15),
        sack_permitted: has(2),
        timestamps: has(3).then_some(((any >> 32) as u32, 0)),
        ..Options::default()
    }
}
