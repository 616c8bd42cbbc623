//! Floods of packets each of which stands for itself.

use std::net::SocketAddr;

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use super::attack::{Clock, Scene, is_spoofed, spoofed};
use crate::appliance::packet::{ACK, FIN, Options, PSH, RST, SYN};
use crate::appliance::rig::pattern;
use crate::appliance::side::Actor;

/// Makes a packet.
pub(super) type Make = fn(&mut Random, &Scene) -> Vec<u8>;

pub(super) struct Flood {
    clock: Clock,
    random: Random,
    scene: Scene,
    make: Make,
}

impl Flood {
    pub(super) fn new(clock: Clock, seed: u64, scene: Scene, make: Make) -> Flood {
        Flood { clock, random: Random::new(seed), scene, make }
    }
}

impl Actor for Flood {
    fn is_at(&self, address: SocketAddr) -> bool {
        is_spoofed(address)
    }

    fn take(&mut self, _now: Instant, _packet: &[u8]) {}

    fn poll(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let due = self.clock.take(now);
        (0..due).map(|_| (self.make)(&mut self.random, &self.scene)).collect()
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
pub(super) fn syn(random: &mut Random, scene: &Scene) -> Vec<u8> {
    let target = scene.target(random);
    let source = spoofed(random, target);
    let mut syn = scene.guess(random, (source, target), SYN);
    syn.ack = 0;
    syn.options = options(random);
    syn.build()
}

/// A SYN to any port.
pub(super) fn scan(random: &mut Random, scene: &Scene) -> Vec<u8> {
    let mut target = scene.target(random);
    target.set_port(random.draw() as u16);
    let source = spoofed(random, target);
    let mut syn = scene.guess(random, (source, target), SYN);
    syn.ack = 0;
    syn.build()
}

pub(super) fn blind_ack(random: &mut Random, scene: &Scene) -> Vec<u8> {
    blind(random, scene, ACK, 0)
}

pub(super) fn blind_reset(random: &mut Random, scene: &Scene) -> Vec<u8> {
    let acknowledges = random.below(2) as u8 * ACK;
    blind(random, scene, RST | acknowledges, 0)
}

pub(super) fn blind_fin(random: &mut Random, scene: &Scene) -> Vec<u8> {
    blind(random, scene, FIN | ACK, 0)
}

pub(super) fn blind_syn(random: &mut Random, scene: &Scene) -> Vec<u8> {
    let acknowledges = random.below(2) as u8 * ACK;
    blind(random, scene, SYN | acknowledges, 0)
}

pub(super) fn blind_payload(random: &mut Random, scene: &Scene) -> Vec<u8> {
    let len = 1 + random.below(1400) as usize;
    blind(random, scene, ACK | PSH, len)
}

/// A segment of somebody's connection, its numbers guessed.
fn blind(random: &mut Random, scene: &Scene, flags: u8, len: usize) -> Vec<u8> {
    let connection = scene.connection(random);
    let mut segment = scene.guess(random, connection, flags);
    if flags & ACK == 0 {
        segment.ack = 0;
    }
    if random.below(2) == 0 {
        segment.options.timestamps = Some((random.draw() as u32, random.draw() as u32));
    }
    segment.payload = pattern(random.below(256), len);
    segment.build()
}

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
