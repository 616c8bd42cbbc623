//! One direction of a network: when its packets arrive at the other end, and in what state.

use std::time::Duration;

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use super::octets::{damageable, ip_octets, mark};
use super::settings::{PathSettings, Reordering};
use crate::link::{Loss, LossProcess, Queue, Turn};

/// What one direction did [packets].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathFigures {
    /// Set out on it, those that it did not deliver included.
    pub entered: u64,
    /// While the network was not there.
    pub swallowed: u64,
    /// Found the queue full.
    pub dropped: u64,
    pub lost: u64,
    pub marked: u64,
    pub duplicated: u64,
    pub corrupted: u64,
    pub late: u64,
    /// How long it was sending, of all the time and in the busiest second; zero where there is no
    /// rate.
    pub sending: Duration,
    pub sending_most: Duration,
}

#[derive(Debug)]
pub(super) struct Path {
    settings: PathSettings,
    queue: Queue,
    loss: LossProcess,
    random: Random,
    /// When the last packet arrives that is not late; the next does not arrive before it.
    last_arrival: Instant,
    /// The second in which it sent last, and for how long in that.
    second: (u64, Duration),
    pub(super) figures: PathFigures,
}

impl Path {
    pub(super) fn new(settings: PathSettings, seed: u64) -> Self {
        Path {
            settings,
            queue: Queue::new(settings.rate_bps, settings.queue_octets, settings.mark_octets),
            loss: LossProcess::new(settings.loss),
            random: Random::new(seed),
            last_arrival: Instant::ZERO,
            second: (0, Duration::ZERO),
            figures: PathFigures::default(),
        }
    }

    /// Takes a packet that sets out at `now`, and says when it arrives: twice, once or never.
    pub(super) fn take(
        &mut self,
        now: Instant,
        mut packet: Vec<u8>,
        mut arrives: impl FnMut(Instant, Vec<u8>),
    ) {
        let Some(turn) = self.queue.take(now, ip_octets(&packet) as u32) else {
            self.figures.dropped += 1;
            return;
        };
        self.note_sending(&turn);
        if turn.marked {
            self.figures.marked += u64::from(mark(&mut packet));
        }
        if self.loss.takes(&mut self.random, turn.slots) {
            self.figures.lost += 1;
            return;
        }
        if self.happens(self.settings.duplicate_ppm) {
            self.figures.duplicated += 1;
            let (at, copy) = self.travel(turn.sent_at, packet.clone());
            arrives(at, copy);
        }
        let (at, packet) = self.travel(turn.sent_at, packet);
        arrives(at, packet);
    }

    pub(super) fn heal(&mut self) {
        self.loss = LossProcess::new(Loss::None);
        self.settings.reordering = Reordering::default();
        self.settings.duplicate_ppm = 0;
        self.settings.corrupt_ppm = 0;
    }

    fn note_sending(&mut self, turn: &Turn) {
        let second = turn.sent_at.as_nanos() / 1_000_000_000;
        if second != self.second.0 {
            self.second = (second, Duration::ZERO);
        }
        self.second.1 += turn.sending;
        self.figures.sending += turn.sending;
        self.figures.sending_most = self.figures.sending_most.max(self.second.1);
    }

    /// What happens to each copy by itself, and when it arrives.
    fn travel(&mut self, sent_at: Instant, mut packet: Vec<u8>) -> (Instant, Vec<u8>) {
        if self.happens(self.settings.corrupt_ppm) {
            self.figures.corrupted += u64::from(self.corrupt(&mut packet));
        }
        let mut arrival = sent_at + self.settings.delay;
        if !self.settings.jitter.is_zero() {
            let nanos = self.settings.jitter.as_nanos() as u64;
            arrival += Duration::from_nanos(self.random.below(nanos + 1));
        }
        arrival = arrival.max(self.last_arrival);
        if self.happens(self.settings.reordering.ppm) {
            self.figures.late += 1;
            arrival += self.settings.reordering.late_by;
        } else {
            self.last_arrival = arrival;
        }
        (arrival, packet)
    }

    /// Flips a bit, or half of the time some in a burst that the checksum cannot miss (Stone and
    /// Partridge, 2000: none of up to fifteen bits). `false` if there is none to flip.
    fn corrupt(&mut self, packet: &mut [u8]) -> bool {
        let damageable = damageable(packet);
        let bits = damageable.len() as u64 * 8;
        if bits == 0 {
            return false;
        }
        let first = self.random.below(bits);
        let draw = self.random.draw();
        let more = if draw & BURST == 0 { 0 } else { draw >> 32 & (BURST - 1) };
        for bit in (0..BURST_BITS).filter(|bit| *bit == 0 || more >> bit & 1 == 1) {
            let at = first + bit;
            if at < bits {
                damageable[(at / 8) as usize] ^= 0x80 >> (at % 8);
            }
        }
        true
    }

    /// Draws only for what may happen, so that one setting does not change what others do.
    fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.random.one_in(ppm)
    }
}

const BURST_BITS: u64 = 15;
/// A bit for each in a burst; and the next higher one, for whether there is any.
const BURST: u64 = 1 << BURST_BITS;
