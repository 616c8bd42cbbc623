//! One direction of a path: a queue in front of a rate, then a delay, and what goes wrong there.
//!
//! Packets are taken in the order of time. The queue is first in, first out and bounded in octets
//! (drop-tail), so when a packet leaves is known when it arrives, and the queue needs no events of
//! its own. What the path loses it loses behind the queue, so a lost packet has taken its share of
//! the rate.

mod figures;
mod loss;
mod queue;

use std::collections::VecDeque;
use std::time::Duration;

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

pub use figures::Figures;
pub use loss::Loss;
pub(crate) use loss::LossProcess;
pub(crate) use queue::{Queue, Turn};

/// What a link must know of what it carries.
pub trait Packet {
    /// Its length, the IP header included [octets].
    fn octets(&self) -> u32;

    /// Whether the path may lose it. Queues drop what they like.
    fn may_be_lost(&self) -> bool;

    /// Marks it with congestion experienced (RFC 3168 §5); `false` if it is not ECN-capable.
    fn mark(&mut self) -> bool;
}

/// How a link behaves.
#[derive(Clone, Copy, Debug)]
pub struct LinkSettings {
    /// Of whole IP packets; zero for a link without a queue, which takes no time to send.
    pub rate_bps: u64,
    /// Propagation.
    pub delay: Duration,
    /// What waits at most, the packet being sent included [octets].
    pub queue_octets: u64,
    /// What must wait for an ECN-capable packet to be marked (RFC 8257 §4.1, K) [octets].
    pub mark_octets: Option<u64>,
    pub loss: Loss,
    /// How many of a million packets are late by `late_by`, and so are overtaken.
    pub late_ppm: u32,
    pub late_by: Duration,
}

impl LinkSettings {
    /// Nothing but a delay.
    pub fn uncongested(delay: Duration) -> Self {
        LinkSettings {
            rate_bps: 0,
            delay,
            queue_octets: 0,
            mark_octets: None,
            loss: Loss::None,
            late_ppm: 0,
            late_by: Duration::ZERO,
        }
    }
}

/// A link and what is under way on it.
#[derive(Debug)]
pub struct Link<P> {
    settings: LinkSettings,
    queue: Queue,
    loss: LossProcess,
    random: Random,
    /// In order of arrival.
    under_way: VecDeque<(Instant, P)>,
    figures: Figures,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    UnderWay,
    /// The queue was full.
    Dropped,
    Lost,
}

impl<P: Packet> Link<P> {
    pub fn new(settings: LinkSettings, seed: u64) -> Self {
        Link {
            settings,
            queue: Queue::new(settings.rate_bps, settings.queue_octets, settings.mark_octets),
            loss: LossProcess::new(settings.loss),
            random: Random::new(seed),
            under_way: VecDeque::new(),
            figures: Figures::default(),
        }
    }

    /// Takes a packet that arrives in front of the queue at `now`.
    pub fn take(&mut self, now: Instant, mut packet: P) -> Fate {
        let Some(turn) = self.queue.take(now, packet.octets()) else {
            self.figures.dropped += 1;
            return Fate::Dropped;
        };
        if self.settings.rate_bps > 0 {
            self.figures.on_sent(turn.waiting, turn.sending);
        }
        if turn.marked {
            self.figures.marked += u64::from(packet.mark());
        }
        if packet.may_be_lost() && self.loss.takes(&mut self.random, turn.slots) {
            self.figures.lost += 1;
            return Fate::Lost;
        }
        let mut arrival = turn.sent_at + self.settings.delay;
        if self.settings.late_ppm > 0 && self.random.one_in(self.settings.late_ppm) {
            arrival += self.settings.late_by;
        }
        self.enter(arrival, packet);
        Fate::UnderWay
    }

    /// When the next packet arrives at the far end; [`Instant::FAR_FUTURE`] if none is under way.
    #[inline]
    pub fn next_arrival(&self) -> Instant {
        self.under_way.front().map_or(Instant::FAR_FUTURE, |(at, _)| *at)
    }

    /// The next packet, if it has arrived by `now`.
    #[inline]
    pub fn deliver(&mut self, now: Instant) -> Option<P> {
        if self.next_arrival() > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, packet)| packet)
    }

    /// How long a packet that arrived now would wait.
    pub fn queueing(&self, now: Instant) -> Duration {
        self.queue.queueing(now)
    }

    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Begins counting anew.
    pub fn forget_figures(&mut self) {
        self.figures = Figures::default();
    }

    fn enter(&mut self, arrival: Instant, packet: P) {
        // Only behind a late packet is there anything to step over.
        let overtaken = self.under_way.iter().rev().take_while(|(at, _)| *at > arrival).count();
        let place = self.under_way.len() - overtaken;
        if overtaken == 0 {
            self.under_way.push_back((arrival, packet));
        } else {
            self.under_way.insert(place, (arrival, packet));
        }
    }
}

#[cfg(test)]
mod tests;
