//! Packets of flows that are another worker's.
//!
//! Mostly a worker gets its own: by the card's queues, or from who reads for all. What comes all the
//! same and has no flow here is not judged here but put by, and the lane hands it to the owner
//! ([`Worker::hand_over`]), who takes it in as if it had come by a port of its own
//! ([`Worker::on_handed_over`]). It crosses once at most: where two workers do not agree on an owner,
//! the second drops it.

use super::Worker;
use super::receive::Arrival;
use crate::flow::{FlowHash, FlowKey};
use crate::frame::{Burst, Frame, FramePool};
use crate::stage::ReceivedAt;
use crate::telemetry::DropReason;
use crate::time::Instant;

/// A packet for another worker.
#[derive(Debug)]
pub struct Stray {
    pub owner: u8,
    /// The port that it came by.
    pub port: u8,
    pub frame: Frame,
    pub received_at: Instant,
}

/// How a packet reached the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    ByPort,
    /// From another worker, who holds it for ours.
    ByHand,
}

impl Worker {
    /// Takes in a burst that other workers have handed over, which `port` of theirs received. Empties
    /// `burst`.
    pub fn on_handed_over(&mut self, now: Instant, port: u8, burst: &mut Burst) {
        self.on_handed_over_of(now, port, ReceivedAt::Once(now), burst);
    }

    /// The same of a burst that was received before.
    #[inline]
    pub fn on_handed_over_of(
        &mut self,
        now: Instant,
        port: u8,
        received_at: ReceivedAt<'_>,
        burst: &mut Burst,
    ) {
        self.ledger.taken_over += burst.len() as u64;
        self.take_in(now, port, Came::ByHand, received_at, burst);
    }

    /// What others have handed over to a worker that ends.
    pub fn refuse_handed_over(&mut self, frame: Frame) {
        self.ledger.taken_over += 1;
        self.drop_frame(frame, DropReason::HandOverFull);
    }

    /// Hands what belongs to others to `give`, which gives back what it has no room for; that is
    /// dropped. Called in each turn, after the last burst.
    pub fn hand_over(&mut self, mut give: impl FnMut(&mut FramePool, Stray) -> Result<(), Frame>) {
        let mut strays = std::mem::take(&mut self.strays);
        for stray in strays.drain(..) {
            let port = stray.port;
            match give(&mut self.pool, stray) {
                Ok(()) => self.ledger.handed_over += 1,
                Err(frame) => {
                    let reason = DropReason::HandOverFull;
                    self.tell_turned_away(port, &frame, reason.as_str());
                    self.drop_frame(frame, reason);
                }
            }
        }
        self.strays = strays;
    }

    /// What to do with a segment that has no flow here: `None`, it is gone to its owner. Where there
    /// is one worker alone, this costs a look at their number.
    #[inline]
    pub(super) fn keep_own(&mut self, came: Came, arrival: Arrival) -> Option<Arrival> {
        if self.owner.is_alone() {
            return Some(arrival);
        }
        match self.owner.other(arrival.port, &arrival.key, arrival.hash) {
            Some(owner) => {
                let Arrival { port, frame, received_at, .. } = arrival;
                self.put_by(came, Stray { owner, port, frame, received_at });
                None
            }
            None => Some(arrival),
        }
    }

    /// The same for a packet about a flow that is not here.
    pub(super) fn keep_own_frame(
        &mut self,
        came: Came,
        (port, key, hash): (u8, &FlowKey, FlowHash),
        frame: Frame,
    ) -> Option<Frame> {
        match self.owner.other(port, key, hash) {
            Some(owner) => {
                self.put_by(came, Stray { owner, port, frame, received_at: self.now });
                None
            }
            None => Some(frame),
        }
    }

    fn put_by(&mut self, came: Came, stray: Stray) {
        if came == Came::ByHand {
            self.drop_frame(stray.frame, DropReason::Misdirected);
        } else if self.strays.len() == self.strays.capacity() {
            self.drop_frame(stray.frame, DropReason::HandOverFull);
        } else {
            self.tell_handed_over();
            self.strays.push(stray);
        }
    }
}
