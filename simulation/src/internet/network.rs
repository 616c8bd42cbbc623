//! One network: what a packet meets on its way from one end to the other.
//!
//! ```text
//!  hosts ──▶ middleboxes ──▶ router ──▶ outage ══ path up ══▶ appliance
//!    ◀────── middleboxes ◀── router ◀══ path down ══ outage ◀──┘
//! ```
//!
//! It has no clock, and keeps no packets but those that a box holds: [`Output`] says what is to
//! become of a packet, and when.

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use super::Way;
use super::middlebox::{Passage, Treat};
use super::octets::{addresses, ip_octets};
use super::outage::Outage;
use super::path::{Path, PathFigures};
use super::segment::{Raw, is_quotable};
use super::settings::NetworkSettings;
use crate::appliance::packet;
use crate::appliance::rig::ip;

/// What a network did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkFigures {
    pub up: PathFigures,
    pub down: PathFigures,
    /// Larger than the MTU [packets].
    pub too_big: u64,
    /// Of these the appliance was told [packets].
    pub told: u64,
    /// By middleboxes: segments that did not pass, or not by themselves.
    pub swallowed: u64,
    /// By middleboxes: resets that they have sent.
    pub resets: u64,
}

#[derive(Debug)]
pub(super) struct Network {
    settings: NetworkSettings,
    boxes: Vec<Box<dyn Treat>>,
    outage: Outage,
    up: Path,
    down: Path,
    figures: NetworkFigures,
}

/// What is to happen next.
#[derive(Debug)]
pub(super) enum Output {
    /// Now.
    AtHost(Vec<u8>),
    /// At the far end of a path.
    Arrives { at: Instant, way: Way, packet: Vec<u8> },
    /// The box of this number has something to do.
    Wakes { at: Instant, number: usize },
}

impl Network {
    pub(super) fn new(settings: NetworkSettings, seed: u64) -> Self {
        let mut seeds = Random::new(seed);
        Network {
            up: Path::new(settings.up, seeds.draw()),
            down: Path::new(settings.down, seeds.draw()),
            outage: Outage::new(&settings, seeds.draw()),
            boxes: settings
                .middleboxes
                .iter()
                .map(|each| each.build(settings.mtu, seeds.draw()))
                .collect(),
            settings,
            figures: NetworkFigures::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    pub(super) fn figures(&self) -> NetworkFigures {
        NetworkFigures { up: self.up.figures, down: self.down.figures, ..self.figures }
    }

    pub(super) fn heal(&mut self) {
        self.outage.heal();
        self.up.heal();
        self.down.heal();
        self.boxes.iter_mut().for_each(|each| each.heal());
    }

    pub(super) fn take_from_host(&mut self, now: Instant, packet: Vec<u8>, out: &mut Vec<Output>) {
        self.meet_boxes(now, Way::Up, packet, out);
    }

    pub(super) fn take_from_appliance(
        &mut self,
        now: Instant,
        packet: Vec<u8>,
        out: &mut Vec<Output>,
    ) {
        self.set_out(now, Way::Down, packet, out);
    }

    /// A packet has come to the hosts' end of the path.
    pub(super) fn come_down(&mut self, now: Instant, packet: Vec<u8>, out: &mut Vec<Output>) {
        if ip_octets(&packet) <= self.mtu_for(&packet) {
            return self.meet_boxes(now, Way::Down, packet, out);
        }
        self.figures.too_big += 1;
        if !self.settings.filters_icmp && is_quotable(&packet) {
            self.figures.told += 1;
            let is_v4 = addresses(&packet).is_some_and(|(source, _)| source.is_ipv4());
            let router = ip(if is_v4 { "10.99.0.1" } else { "fd99::1" });
            let message = packet::too_big(&packet, router, self.mtu_for(&packet) as u16);
            self.set_out(now, Way::Up, message, out);
        }
    }

    /// A box has asked for it.
    pub(super) fn wake(&mut self, now: Instant, number: usize, out: &mut Vec<Output>) {
        let mut passage = Passage::default();
        self.boxes[number].wake(now, &mut passage);
        self.leave_box(now, number, passage, out);
    }

    fn meet_boxes(&mut self, now: Instant, way: Way, packet: Vec<u8>, out: &mut Vec<Output>) {
        let first = match way {
            Way::Up => Some(0),
            Way::Down => self.boxes.len().checked_sub(1),
        };
        match Raw::parse(packet) {
            Ok(segment) => self.go_on(now, way, first, segment, out),
            Err(packet) => self.leave_boxes(now, way, packet, out),
        }
    }

    /// A segment goes through the boxes from this one on.
    fn go_on(
        &mut self,
        now: Instant,
        way: Way,
        number: Option<usize>,
        segment: Raw,
        out: &mut Vec<Output>,
    ) {
        match number.filter(|number| *number < self.boxes.len()) {
            Some(number) => {
                let mut passage = Passage::default();
                self.boxes[number].take(now, way, segment, &mut passage);
                self.leave_box(now, number, passage, out);
            }
            None => self.leave_boxes(now, way, segment.into_frame(), out),
        }
    }

    fn leave_box(&mut self, now: Instant, number: usize, passage: Passage, out: &mut Vec<Output>) {
        self.figures.swallowed += passage.swallowed;
        self.figures.resets += passage.resets;
        out.extend(passage.wakes_at.map(|at| Output::Wakes { at, number }));
        for (way, segment) in passage.segments {
            let next = match way {
                Way::Up => Some(number + 1),
                Way::Down => number.checked_sub(1),
            };
            self.go_on(now, way, next, segment, out);
        }
    }

    /// A packet has met all boxes.
    fn leave_boxes(&mut self, now: Instant, way: Way, packet: Vec<u8>, out: &mut Vec<Output>) {
        match way {
            Way::Down => out.push(Output::AtHost(packet)),
            Way::Up if ip_octets(&packet) > self.mtu_for(&packet) => self.figures.too_big += 1,
            Way::Up => self.set_out(now, way, packet, out),
        }
    }

    /// A packet sets out on a path.
    fn set_out(&mut self, now: Instant, way: Way, packet: Vec<u8>, out: &mut Vec<Output>) {
        let path = match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        };
        path.figures.entered += 1;
        if self.outage.swallows(now, way, ip_octets(&packet)) {
            path.figures.swallowed += 1;
            return;
        }
        path.take(now, packet, |at, packet| out.push(Output::Arrives { at, way, packet }));
    }

    fn mtu_for(&self, packet: &[u8]) -> usize {
        let is_v6 = addresses(packet).is_some_and(|(source, _)| source.is_ipv6());
        usize::from(if is_v6 { self.settings.mtu.max(MTU_V6_MIN) } else { self.settings.mtu })
    }
}

/// RFC 8200 §5 [octets].
const MTU_V6_MIN: u16 = 1280;
