//! A path in virtual time under one controller, without a connection: a bottleneck with a queue in
//! front of it, losses at random, an ACK per segment. Losses are found as soon as three later
//! segments have been acknowledged, and every loss is told from every retransmission: so what is
//! seen is what the algorithm does, not recovery.

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::random::Random;
use crate::tcp::delivery_rate::{DeliveryRate, SendState};
use crate::tcp::pacing::{Pacer, Pacing};

#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) rate: Rate,
    pub(super) rtt: Duration,
    /// In front of the bottleneck [octets].
    pub(super) queue: u64,
    /// Lost at random [segments of a million].
    pub(super) lost_ppm: u32,
    /// Segments are marked instead of queueing behind more than this [octets].
    pub(super) mark_above: Option<u64>,
}

impl Path {
    /// `mbit` per second and `rtt_ms` milliseconds, with a queue of a bandwidth-delay product.
    pub(super) fn new(mbit: u64, rtt_ms: u64) -> Path {
        let rate = Rate::from_octets_per_second(mbit * 125_000);
        let rtt = Duration::from_millis(rtt_ms);
        Path { rate, rtt, queue: rate.octets_in(rtt), lost_ppm: 0, mark_above: None }
    }

    pub(super) fn bdp(&self) -> u64 {
        self.rate.octets_in(self.rtt)
    }
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    number: u64,
    sent_at: Instant,
    state: SendState,
    /// When its ACK arrives; never, if it is lost.
    acked_at: Instant,
    marked: bool,
}

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) controller: Controller,
    path: Path,
    pacing: Pacing,
    pacer: Pacer,
    delivery: DeliveryRate,
    random: Random,
    segments: VecDeque<Segment>,
    in_flight: u32,
    next: u64,
    recover: Option<u64>,
    /// A mark is obeyed once per window (RFC 3168 §6.1.2).
    obeyed_until: u64,
    limited_at: u64,
    cwnd_limited: bool,
    /// When the bottleneck will have sent what is in its queue.
    free_at: Instant,
    srtt: Option<Duration>,
    min_rtt: Duration,
    pub(super) now: Instant,
    pub(super) delivered: u64,
    pub(super) sent: u64,
    pub(super) lost: u64,
    /// What each segment waited in the queue, in sum.
    waited: Duration,
}

/// What a stretch of time has shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Delivered, of what the bottleneck can [percent].
    pub(super) utilisation: f64,
    /// Lost of what was sent [percent].
    pub(super) lost: f64,
    /// Mean wait in the queue [percent of the path's round trip].
    pub(super) wait: f64,
}

impl Flow {
    pub(super) fn new(algorithm: Algorithm, path: Path, pacing: Pacing) -> Flow {
        let parameters = Parameters { paced: pacing == Pacing::On, ..parameters(algorithm) };
        let controller = Controller::new(&parameters);
        Flow {
            pacer: Pacer::new(controller.window_octets()),
            controller,
            path,
            pacing,
            delivery: DeliveryRate::new(),
            random: Random::new(7),
            segments: VecDeque::new(),
            in_flight: 0,
            next: 0,
            recover: None,
            obeyed_until: 0,
            limited_at: 0,
            cwnd_limited: false,
            free_at: Instant::ZERO,
            srtt: None,
            min_rtt: Duration::MAX,
            now: Instant::from_millis(1),
            delivered: 0,
            sent: 0,
            lost: 0,
            waited: Duration::ZERO,
        }
    }

    pub(super) fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// Runs on for `time`, and tells how it went.
    pub(super) fn run(&mut self, time: Duration) -> Outcome {
        let before = (self.delivered, self.sent, self.lost, self.waited);
        let until = self.now + time;
        while self.now < until {
            let paced = self.send();
            let acked = self.segments.iter().find(|s| s.acked_at != Instant::FAR_FUTURE);
            let next_ack = acked.map_or(Instant::FAR_FUTURE, |s| s.acked_at);
            self.now = next_ack.min(paced).min(until);
            if next_ack <= self.now {
                self.acknowledge();
            } else if next_ack == Instant::FAR_FUTURE && paced == Instant::FAR_FUTURE {
                self.time_out();
            }
        }
        let delivered = (self.delivered - before.0) as f64;
        let sent = (self.sent - before.1) as f64;
        let waited = (self.waited - before.3).as_secs_f64() * f64::from(MSS) / sent.max(1.0);
        Outcome {
            utilisation: 100.0 * delivered / self.path.rate.octets_in(time) as f64,
            lost: 100.0 * (self.lost - before.2) as f64 / sent.max(1.0),
            wait: 100.0 * waited / self.path.rtt.as_secs_f64(),
        }
    }

    /// Sends what window and pace allow; returns when the pace allows more.
    fn send(&mut self) -> Instant {
        loop {
            if self.in_flight > 0 && self.in_flight + MSS > self.controller.window_octets() {
                self.cwnd_limited = true;
                self.limited_at = self.next;
                return Instant::FAR_FUTURE;
            }
            if let Some(at) = self.pacer.hold(MSS, self.now) {
                let una = self.segments.front().map_or(self.next, |segment| segment.number);
                self.cwnd_limited = una < self.limited_at;
                return at;
            }
            let state = self.delivery.on_send(MSS, self.in_flight, self.now);
            self.controller.on_sent(&SendSample {
                octets: MSS,
                in_flight_octets: self.in_flight,
                app_limited: false,
                now: self.now,
            });
            self.pacer.on_sent(MSS, self.now);
            self.in_flight += MSS;
            self.sent += u64::from(MSS);
            let wait = self.free_at.since(self.now);
            let queued = self.path.rate.octets_in(wait);
            let marked = self.path.mark_above.is_some_and(|above| queued > above);
            let mut acked_at = Instant::FAR_FUTURE;
            if queued + u64::from(MSS) <= self.path.queue.max(u64::from(2 * MSS))
                && !self.random.one_in(self.path.lost_ppm)
            {
                self.free_at = self.free_at.max(self.now) + self.path.rate.time_for(u64::from(MSS));
                self.waited += wait;
                acked_at = self.free_at + self.path.rtt;
            }
            self.segments.push_back(Segment {
                number: self.next,
                sent_at: self.now,
                state,
                acked_at,
                marked,
            });
            self.next += 1;
        }
    }

    fn acknowledge(&mut self) {
        let Some(at) = self.segments.iter().position(|s| s.acked_at <= self.now) else { return };
        let in_flight = self.in_flight;
        let Some(segment) = self.segments.remove(at) else { return };
        self.in_flight -= MSS;
        self.delivered += u64::from(MSS);
        self.delivery.on_delivered((segment.sent_at, segment.state), MSS, self.now);
        let rtt = self.now.since(segment.sent_at);
        self.min_rtt = self.min_rtt.min(rtt);
        self.srtt = Some(self.srtt.map_or(rtt, |srtt| (srtt * 7 + rtt) / 8));
        let before = self.recover.is_some();
        while let Some(first) = self.segments.front()
            && first.number + 3 <= segment.number
        {
            self.lose();
            if self.recover.is_none() {
                self.recover = Some(self.next);
                let sample = LossSample { in_flight_octets: in_flight, now: self.now };
                self.controller.on_loss(&sample);
            }
        }
        let una = self.segments.front().map_or(self.next, |segment| segment.number);
        if self.recover.is_some_and(|recover| una >= recover) {
            self.recover = None;
            self.controller.on_recovery_exit(self.now);
        }
        if segment.marked && segment.number >= self.obeyed_until {
            self.obeyed_until = self.next;
            let sample = LossSample { in_flight_octets: in_flight, now: self.now };
            self.controller.on_congestion_experienced(&sample);
        }
        self.controller.on_ack(&AckSample {
            acked_octets: MSS,
            lost_octets: self.delivery.take_lost(),
            in_flight_octets: in_flight,
            in_flight_after_octets: self.in_flight,
            rtt: Some(rtt),
            srtt: self.srtt,
            min_rtt: Some(self.min_rtt),
            rate: self.delivery.sample(self.now, Some(self.min_rtt)),
            now: self.now,
            cwnd_limited: self.cwnd_limited,
            ece: segment.marked,
            in_recovery: before || self.recover.is_some(),
        });
        if self.controller.limits_itself() {
            self.delivery.mark_app_limited(self.in_flight);
        }
        self.pacer.follow(self.pacing, &self.controller, self.srtt, MSS as u16);
    }

    fn lose(&mut self) {
        if let Some(lost) = self.segments.pop_front() {
            self.in_flight -= MSS;
            self.lost += u64::from(MSS);
            self.delivery.on_lost(lost.state, MSS);
        }
    }

    fn time_out(&mut self) {
        self.now += Duration::from_millis(200) + self.srtt.unwrap_or_default();
        self.controller.on_rto(&timeout(self.in_flight, self.now));
        while !self.segments.is_empty() {
            self.lose();
        }
        self.recover = Some(self.next);
        self.pacer.follow(self.pacing, &self.controller, self.srtt, MSS as u16);
    }
}
