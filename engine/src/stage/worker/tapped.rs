//! A worker whose packets are captured: what it tells the tap, and when.
//!
//! Without one, all this is a look at whether there is one, each burst, each flush and each dropped packet.

use super::hand_over::Came;
use super::{Outlet, Slot, Worker};
use crate::flow::FlowKey;
use crate::frame::{Burst, Frame, FramePool};
use crate::kernel::NextHop;
use crate::proxy::Side;
use crate::stage::ReceivedAt;
use crate::tcp::OutgoingKind;
use crate::telemetry::capture::{About, Sight, Tap, What};
use crate::time::Instant;

impl Worker {
    /// Has packets captured by this tap from now on, or not any more; returns the one that was there.
    pub fn set_tap(&mut self, tap: Option<Box<Tap>>) -> Option<Box<Tap>> {
        std::mem::replace(&mut self.tap, tap)
    }

    /// Packet memory, and where packets are captured, if they are: for who stands ahead.
    #[inline]
    pub(in crate::stage) fn pool_and_tap(&mut self) -> (&mut FramePool, Option<&mut Tap>) {
        (&mut self.pool, self.tap.as_deref_mut())
    }

    /// [`Worker::take_in`] packet by packet, so that the tap knows of which packet it is told what becomes
    /// of it.
    #[cold]
    pub(super) fn take_in_tapped(
        &mut self,
        port: u8,
        came: Came,
        received_at: ReceivedAt<'_>,
        burst: &mut Burst,
    ) {
        self.one_by_one(burst.drain().enumerate(), |worker, (place, frame)| {
            let at = received_at.of(place);
            worker.tell_received(port, at, &frame);
            if let Some(arrival) = worker.classify(port, came, at, frame) {
                worker.dispatch(came, arrival);
            }
            if let Some(tap) = &mut worker.tap {
                tap.settle();
            }
        });
    }

    /// Shows the tap a packet that has come, before anything is done with it.
    fn tell_received(&mut self, port: u8, at: Instant, frame: &Frame) {
        let Some(mut tap) = self.tap.take() else { return };
        let waited = self.now.since(at);
        let sight = Sight { at, port, octets: self.pool.bytes(frame) };
        tap.received(sight, |about| self.find_leg(about), Some(waited));
        self.tap = Some(tap);
    }

    /// Tells the tap that the packet at hand is dropped.
    #[inline]
    pub(super) fn tell_dropped(&mut self, reason: &'static str) {
        if let Some(tap) = &mut self.tap {
            tap.dropped(reason);
        }
    }

    /// Tells the tap that the packet at hand goes to another worker.
    #[inline]
    pub(super) fn tell_handed_over(&mut self) {
        if let Some(tap) = &mut self.tap {
            tap.handed_over();
        }
    }

    /// Tells the tap of a packet that is dropped outside its burst.
    pub(super) fn tell_turned_away(&mut self, port: u8, frame: &Frame, reason: &'static str) {
        if let Some(tap) = &mut self.tap {
            let sight = Sight { at: self.now, port, octets: self.pool.bytes(frame) };
            tap.turned_away(sight, reason);
        }
    }

    /// The leg that a flow is of, and the flow of the other.
    fn find_leg(&self, about: &mut About) {
        let Some(key) = about.flows[0] else { return };
        let found = match self.flows.lookup(&key, self.hash(&key)).map(Slot::decode) {
            Some(Slot::Leg { pair, side }) => self
                .pairs
                .get(pair)
                .map(|pair| (pair.service, side, pair.leg(side.other()).map(|leg| leg.key))),
            Some(Slot::Dormant { index, side }) => self
                .flows_of_sleeper(index)
                .map(|(service, flows)| (service, side, Some(flows[side.other() as usize]))),
            Some(Slot::TimeWait { .. }) | None => None,
        };
        if let Some((service, side, other)) = found {
            (about.service, about.side, about.flows[1]) = (Some(service), Some(side), other);
        }
    }
}

/// What goes with a segment that leaves.
#[derive(Clone, Copy, Debug)]
pub struct Departure {
    pub service: u16,
    pub side: Side,
    /// The flow of the other leg.
    pub other: Option<FlowKey>,
    pub kind: OutgoingKind,
    /// When its payload was received, if it leaves for the first time.
    pub received_at: Option<Instant>,
}

/// An outlet whose packets are captured on their way.
#[derive(Debug)]
pub(super) struct TappedOutlet<'a, O> {
    pub(super) outlet: &'a mut O,
    pub(super) tap: &'a mut Tap,
    pub(super) now: Instant,
    /// Of the next packet; none, if it is of no connection.
    pub(super) departure: Option<Departure>,
}

impl<O: Outlet> Outlet for TappedOutlet<'_, O> {
    fn has_room(&mut self, pool: &mut FramePool, port: u8) -> bool {
        self.outlet.has_room(pool, port)
    }

    fn send(&mut self, pool: &mut FramePool, port: u8, packet: Frame) {
        let departure = self.departure.take();
        let inside = departure.and_then(|departure| departure.received_at);
        let what = What::Sent {
            kind: departure.map_or(OutgoingKind::Originated, |departure| departure.kind),
            inside: inside.map(|received_at| self.now.since(received_at)),
        };
        let known = |about: &mut About| {
            if let Some(Departure { service, side, other, .. }) = departure {
                (about.service, about.side, about.flows[1]) = (Some(service), Some(side), other);
            }
        };
        self.tap.sent(Sight { at: self.now, port, octets: pool.bytes(&packet) }, known, what);
        self.outlet.send(pool, port, packet);
    }

    fn departs(&mut self, departure: impl FnOnce() -> Departure) {
        self.departure = Some(departure());
    }

    fn resolve(&mut self, next_hop: NextHop) {
        self.outlet.resolve(next_hop);
    }

    fn in_use(&mut self, next_hop: NextHop) {
        self.outlet.in_use(next_hop);
    }
}
