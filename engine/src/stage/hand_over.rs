//! What lanes hand to each other: packets that came to one and are another's.
//!
//! Between each two lanes is a ring each way. A frame that crosses stays where it went until it is
//! free there; as many go back as came, so that traffic which mostly crosses one way does not carry a
//! lane's memory away.
//!
//! Where cards say how they spread packets, new connections come to the lane that will own them. Where
//! none does, they come to any: then each lane takes new ones only while all do.

use std::time::Duration;

use ringroad_ring::{Consumer, Producer, ring};

use super::bell::Bell;
use super::board::Board;
use super::control::Commands;
use super::gate::Gate;
use super::hop::Crossing;
use super::stamped::{ReceivedAt, Stamped, Stamps};
use super::worker::{Stray, Worker};
use crate::frame::{Burst, Frame, FramePool, Transit};
use crate::limits::{BURST, HAND_OVER_ENTRIES, WORKERS_LOOK};
use crate::telemetry::{CoreTimes, Ring};
use crate::time::Instant;

/// One lane's side of the rings to the others; none for a lane that is alone.
#[derive(Debug)]
pub struct HandOver {
    /// By owner; `None` at the lane's own place.
    others: Vec<Option<Other>>,
    /// What has come, by port.
    taken: Vec<Taken>,
    /// `None` where new connections come to their owners.
    together: Option<Together>,
    /// Packets that there was no room for.
    full: u64,
    /// Of the packets that were just taken from a ring.
    received_at: Stamps,
}

/// What other lanes have received by a port, and when.
#[derive(Debug)]
struct Taken {
    burst: Burst,
    received_at: Stamps,
}

/// What lanes know of each other that take new connections together or not at all.
#[derive(Debug)]
struct Together {
    own: Board,
    others: Vec<(Board, Commands)>,
    /// A lane that has not turned for so long takes nothing new.
    stalled_after: Duration,
    next_look: Instant,
    /// By service, whether all others take connections; as of the last look.
    accepting: Vec<bool>,
}

/// The way to another lane and back.
#[derive(Debug)]
struct Other {
    to: Producer<Crossing<Handed>>,
    from: Consumer<Crossing<Handed>>,
    bell: Bell,
    /// Frames that came from there and are still to go back.
    owed: usize,
    /// Something was put into the ring that the other may have to be woken for.
    unheard: bool,
}

#[derive(Debug)]
enum Handed {
    /// Received by that port.
    Packet { port: u8, frame: Stamped<Transit> },
    /// Free, and back where it came from.
    Back(Transit),
}

impl HandOver {
    /// Of lanes with so many ports each; in the order of the owners.
    pub fn among(lanes: &[Commands], ports: usize) -> Vec<HandOver> {
        let count = lanes.len();
        let bells: Vec<&Bell> = lanes.iter().map(Commands::bell).collect();
        let mut sides: Vec<HandOver> = (0..count)
            .map(|_| HandOver {
                others: (0..count).map(|_| None).collect(),
                taken: (0..ports).map(|_| Taken::new()).collect(),
                ..HandOver::default()
            })
            .collect();
        for one in 0..count {
            for other in one + 1..count {
                let (to_other, from_one) = ring(HAND_OVER_ENTRIES);
                let (to_one, from_other) = ring(HAND_OVER_ENTRIES);
                sides[one].others[other] = Some(Other::new(to_other, from_other, bells[other]));
                sides[other].others[one] = Some(Other::new(to_one, from_one, bells[one]));
            }
        }
        sides
    }

    /// Has lanes take new connections to so many services together, or not at all: where a new one
    /// comes to any of them. `lanes` are those of [`HandOver::among`].
    pub fn join(
        sides: &mut [HandOver],
        lanes: &[Commands],
        services: usize,
        stalled_after: Duration,
    ) {
        let boards: Vec<Board> = lanes.iter().map(|_| Board::new(services)).collect();
        for (index, side) in sides.iter_mut().enumerate() {
            let all = boards.iter().cloned().zip(lanes.iter().cloned()).enumerate();
            let others = all.filter(|(other, _)| *other != index).map(|(_, lane)| lane);
            side.together = Some(Together {
                own: boards[index].clone(),
                others: others.collect(),
                stalled_after,
                next_look: Instant::ZERO,
                accepting: vec![false; services],
            });
        }
    }

    /// Whether a service that this lane accepts, or not, is accepted by all who have to.
    #[inline]
    pub(super) fn accept(&mut self, service: usize, accepting: bool) -> bool {
        let Some(together) = &mut self.together else { return accepting };
        together.own.set_accepting(service, accepting);
        accepting && together.accepting[service]
    }

    /// Looks how the others are, now and then. Called once a turn.
    #[inline]
    pub(super) fn look(&mut self, now: Instant) {
        if let Some(together) = &mut self.together
            && now >= together.next_look
        {
            together.look(now);
        }
    }

    /// Takes in what others have handed over. Returns how many packets that were.
    #[inline]
    pub(super) fn take_in(&mut self, now: Instant, worker: &mut Worker) -> usize {
        let mut found = 0;
        for other in self.others.iter_mut().flatten() {
            self.received_at.clear();
            // No more than a burst from each: what comes by the lane's own ports waits, too.
            for handed in other.from.pop_burst(BURST) {
                let (port, Stamped { item, at }) = match Crossing::into_inner(handed) {
                    Handed::Packet { port, frame } => (port, frame),
                    Handed::Back(frame) => {
                        worker.pool.arrive_free(frame);
                        continue;
                    }
                };
                other.owed += 1;
                found += 1;
                self.received_at.push(at);
                let taken = &mut self.taken[usize::from(port)];
                if taken.burst.is_full() {
                    taken.give_to(worker, now, port);
                }
                taken.received_at.push(at);
                if let Err(frame) = taken.burst.push(worker.pool.arrive(item)) {
                    debug_assert!(false, "it has just been emptied");
                    worker.pool.free(frame);
                }
            }
            let received_at = self.received_at.as_slice();
            if !received_at.is_empty() {
                worker.recorders.popped(Ring::HandOver, now, received_at, other.from.len());
            }
        }
        for (port, taken) in (0..).zip(&mut self.taken) {
            if !taken.burst.is_empty() {
                taken.give_to(worker, now, port);
            }
        }
        found
    }

    /// Hands over what has come to `worker` in this turn and is another's, and gives frames back.
    #[inline]
    pub(super) fn give(&mut self, worker: &mut Worker) {
        if self.others.is_empty() {
            return;
        }
        worker.hand_over(|pool, stray| self.give_one(pool, stray));
        for other in self.others.iter_mut().flatten() {
            other.give_back(&mut worker.pool);
            if std::mem::take(&mut other.unheard) {
                other.bell.ring();
            }
        }
    }

    fn give_one(&mut self, pool: &mut FramePool, stray: Stray) -> Result<(), Frame> {
        let Stray { owner, port, frame, received_at } = stray;
        match self.others.get_mut(usize::from(owner)) {
            Some(Some(other)) if other.to.room() > 0 => {
                let frame = Stamped { item: pool.depart(frame), at: received_at };
                let handed = Handed::Packet { port, frame };
                if let Err(handed) = other.to.push(Crossing::new(handed)) {
                    unreachable!("there was room for {handed:?}");
                }
                other.unheard = true;
                Ok(())
            }
            _ => {
                self.full += 1;
                Err(frame)
            }
        }
    }

    /// Adds what was seen of the rings.
    pub(super) fn fill(&self, times: &mut CoreTimes) {
        *times.full_mut(Ring::HandOver) += self.full;
    }

    /// Takes what has come, when the lane ends.
    pub(super) fn close(&mut self, worker: &mut Worker) {
        for other in self.others.iter_mut().flatten() {
            for handed in other.from.pop_burst(usize::MAX) {
                match Crossing::into_inner(handed) {
                    Handed::Packet { frame, .. } => {
                        let frame = worker.pool.arrive(frame.item);
                        worker.refuse_handed_over(frame);
                    }
                    Handed::Back(frame) => worker.pool.arrive_free(frame),
                }
            }
        }
    }

    /// Whether something has come.
    pub(super) fn has_waiting(&self) -> bool {
        self.others.iter().flatten().any(|other| !other.from.is_empty())
    }
}

impl Together {
    fn look(&mut self, now: Instant) {
        self.next_look = now + WORKERS_LOOK;
        let turning =
            self.others.iter().all(|(_, lane)| now.since(lane.last_beat()) <= self.stalled_after);
        for (service, accepting) in self.accepting.iter_mut().enumerate() {
            *accepting =
                turning && self.others.iter().all(|(other, _)| other.is_accepting(service));
        }
    }
}

impl Default for HandOver {
    fn default() -> Self {
        HandOver {
            others: Vec::new(),
            taken: Vec::new(),
            together: None,
            full: 0,
            received_at: Stamps::new(),
        }
    }
}

impl Taken {
    fn new() -> Self {
        Taken { burst: Burst::new(), received_at: Stamps::new() }
    }

    /// Empties it.
    #[inline]
    fn give_to(&mut self, worker: &mut Worker, now: Instant, port: u8) {
        worker.on_handed_over_of(
            now,
            port,
            ReceivedAt::Each(self.received_at.as_slice()),
            &mut self.burst,
        );
        self.received_at.clear();
    }
}

impl Other {
    fn new(to: Producer<Crossing<Handed>>, from: Consumer<Crossing<Handed>>, bell: &Bell) -> Self {
        Other { to, from, bell: bell.clone(), owed: 0, unheard: false }
    }

    /// Packets go before: there is no hurry, as long as this lane has what it needs.
    #[inline]
    fn give_back(&mut self, pool: &mut FramePool) {
        let count = self.owed.min(pool.spare_count()).min(pool.free_count());
        if count > 0 {
            let mut free = (0..count)
                .map(|_| pool.depart_free().expect("so many frames are free"))
                .map(|frame| Crossing::new(Handed::Back(frame)));
            self.owed -= self.to.push_burst(&mut free);
        }
    }
}
