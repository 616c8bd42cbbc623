//! What is due by itself: retransmissions, delayed acknowledgments, probes, limits on waiting.

use super::{Worker, context};
use crate::flow::{FlowHash, FlowKey};
use crate::limits::{
    BURST, RECLAIM_AFTER, RECLAIM_PAIRS_PER_TURN, RECLAIMED_PER_TURN_MAX, TIMER_STEPS_PER_TURN_MAX,
};
use crate::proxy::Phase;
use crate::telemetry::events::Teller;
use crate::time::Instant;

impl Worker {
    /// Handles what is due at `now`: bounded work, the rest in the next turn.
    pub fn on_time(&mut self, now: Instant) {
        self.now = now;
        let mut budget = TIMER_STEPS_PER_TURN_MAX;
        while let Some(index) = self.wheel.expired(now, &mut budget) {
            self.on_deadline(index);
        }
        self.wake_due(&mut budget);
        self.doze();
        self.expire_time_wait();
        if let Some(events) = &mut self.events {
            events.look(now);
        }
        // Of a small pool, a burst is more than all that may be held.
        if self.pool.is_tight() && self.pool.spare_count() < BURST {
            self.reclaim();
        }
    }

    /// Packet memory has run out, so that nobody gets on. Who holds some that has not moved for a
    /// while gives it up: what waits behind a gap, as the segment in front may find no frame as long as
    /// it does; then what waits for a reader that has stopped or has shut its window for good, with a
    /// reset. Looks at a few pairs in each turn, all in turn.
    fn reclaim(&mut self) {
        let indices = self.pairs.indices();
        let mut reclaimed = 0;
        for _ in 0..RECLAIM_PAIRS_PER_TURN.min(indices.len()) {
            let index = self.reclaimed_to;
            self.reclaimed_to = if index + 1 < indices.end { index + 1 } else { indices.start };
            let Some(pair) = self.pairs.get_mut(index) else { continue };
            if self.now.since(pair.moved_at) < RECLAIM_AFTER {
                continue;
            }
            let mut cx = context!(self);
            let mut gave_up = false;
            for leg in pair.legs.iter_mut().flatten() {
                gave_up |= leg.tcp.give_up_out_of_order(&mut cx);
            }
            // What is looked at again has been reset already.
            let is_held = pair.legs.iter().flatten().any(|leg| leg.tcp.holds_unacknowledged());
            if !gave_up && is_held {
                pair.legs.iter_mut().flatten().for_each(|leg| leg.tcp.abort());
                self.services[usize::from(pair.service)].counters.reclaimed += 1;
                self.enqueue(index);
                reclaimed += 1;
                if reclaimed == RECLAIMED_PER_TURN_MAX {
                    return;
                }
            }
        }
    }

    /// No later than when [`Worker::on_time`] next has something to do.
    pub fn next_deadline(&self) -> Instant {
        self.wheel
            .next_deadline_hint()
            .min(self.dormitory.next_deadline())
            .min(self.waiting.deadline())
            .min(self.events.as_ref().map_or(Instant::FAR_FUTURE, Teller::due))
    }

    pub(super) fn on_deadline(&mut self, index: u32) {
        let Some(pair) = self.pairs.get_mut(index) else { return };
        pair.armed = Instant::FAR_FUTURE;
        let mut cx = context!(self);
        for leg in pair.legs.iter_mut().flatten() {
            if leg.tcp.deadline() <= cx.now {
                leg.tcp.on_deadline(&mut cx);
            }
        }
        let settings = &self.services[usize::from(pair.service)].settings;
        if pair.moved_at + pair.patience(settings) <= self.now {
            match pair.phase {
                // The origin does not answer: `advance` tries the next, or gives up.
                Phase::OriginHandshake => {
                    if let Some(origin) = &mut pair.legs[1] {
                        origin.tcp.abort();
                    }
                }
                Phase::ClientHandshake | Phase::Open => {
                    pair.legs.iter_mut().flatten().for_each(|leg| leg.tcp.abort());
                }
            }
        }
        self.enqueue(index);
    }

    /// Sees to it that the wheel looks at the pair no later than its next deadline. An earlier
    /// appointment is kept: most deadlines move back with every acknowledgment, and are moved
    /// only when the wheel comes by.
    pub(super) fn arm(&mut self, index: u32) {
        let Some(pair) = self.pairs.get_mut(index) else { return };
        let settings = &self.services[usize::from(pair.service)].settings;
        let deadline = pair.deadline().min(pair.moved_at + pair.patience(settings));
        if deadline < pair.armed {
            pair.armed = deadline;
            self.wheel.arm(index, deadline);
        }
    }

    /// Ends a TIME-WAIT early: a new connection takes its flow.
    pub(super) fn forget_time_wait(&mut self, index: u32, key: &FlowKey, hash: FlowHash) {
        if let Some(waiting) = self.waiting.remove(index) {
            self.remove_flow(key, hash, waiting.port);
        }
    }

    /// Lets go of connections whose TIME-WAIT is over, and makes room for another.
    pub(super) fn expire_time_wait(&mut self) {
        while let Some(waiting) = self.waiting.expire(self.now) {
            self.remove_flow(&waiting.key, self.hash(&waiting.key), waiting.port);
        }
    }
}
