//! Boxes that hold a segment for a moment, for what may follow it.

use std::collections::BTreeMap;
use std::time::Duration;

use ringroad_engine::time::Instant;

use super::super::segment::{Connection, MSS, Raw, SACK, is_behind};
use super::super::{End, Way};
use super::{Passage, Treat};
use crate::appliance::packet::{ACK, FIN, PSH, SYN};

/// [`super::Middlebox::JoinSegments`].
#[derive(Debug)]
pub(super) struct Join {
    shelf: Shelf,
    mtu: usize,
    /// The MSS that an end has announced [octets].
    mss: BTreeMap<(Connection, End), usize>,
}

/// [`super::Middlebox::ThinAcks`].
#[derive(Debug)]
pub(super) struct Thin {
    shelf: Shelf,
}

/// One segment of each direction of a connection, until its time has come.
#[derive(Debug)]
struct Shelf {
    within: Duration,
    held: BTreeMap<(Connection, Way), Held>,
}

#[derive(Debug)]
struct Held {
    until: Instant,
    segment: Raw,
}

impl Join {
    pub(super) fn new(within: Duration, mtu: u16) -> Self {
        Join { shelf: Shelf::new(within), mtu: mtu.into(), mss: BTreeMap::new() }
    }

    /// What more payload may go with a segment; none if something about it is not to be held.
    fn room(&self, way: Way, segment: &Raw) -> usize {
        if segment.flags() != ACK || segment.payload().is_empty() {
            return 0;
        }
        let mss = self.mss.get(&(segment.connection(way), way.receiver())).copied().unwrap_or(0);
        let in_mss = mss.saturating_sub(segment.options().len() + segment.payload().len());
        in_mss.min(self.mtu.saturating_sub(segment.ip_octets()))
    }

    /// Both as one, if they may be.
    fn join(&self, way: Way, first: &Raw, second: &Raw) -> Option<Raw> {
        let fits = (1..=self.room(way, first)).contains(&second.payload().len());
        let follows = second.seq() == first.end() && !is_behind(first.ack(), second.ack());
        let is_plain = second.flags() & !(PSH | FIN) == ACK && second.option(SACK).is_none();
        let alike = second.ecn() == first.ecn() && second.options().len() == first.options().len();
        if !(fits && follows && is_plain && alike) {
            return None;
        }
        let mut joined = second.clone();
        joined.set_payload(&[first.payload(), second.payload()].concat());
        joined.set_seq(first.seq());
        Some(joined)
    }
}

impl Treat for Join {
    fn take(&mut self, now: Instant, way: Way, mut segment: Raw, out: &mut Passage) {
        let connection = segment.connection(way);
        if segment.has(SYN) {
            let mss = match segment.option(MSS) {
                Some(&[high, low]) => u16::from_be_bytes([high, low]).into(),
                _ => DEFAULT_MSS,
            };
            self.mss.insert((connection, way.sender()), mss);
        }
        let mut until = now + self.shelf.within;
        if let Some(held) = self.shelf.held.remove(&(connection, way)) {
            match self.join(way, &held.segment, &segment) {
                Some(joined) => {
                    segment = joined;
                    until = held.until;
                    out.swallowed += 1;
                }
                None => out.pass(way, held.segment),
            }
        }
        match self.room(way, &segment) {
            0 => out.pass(way, segment),
            _ => self.shelf.hold(way, Held { until, segment }, out),
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Passage) {
        self.shelf.release(now, out);
    }
}

impl Thin {
    pub(super) fn new(within: Duration) -> Self {
        Thin { shelf: Shelf::new(within) }
    }
}

impl Treat for Thin {
    fn take(&mut self, now: Instant, way: Way, segment: Raw, out: &mut Passage) {
        // One that says more than how far it is has to arrive.
        let says_no_more = segment.flags() == ACK
            && segment.payload().is_empty()
            && segment.option(SACK).is_none();
        let mut until = now + self.shelf.within;
        if let Some(held) = self.shelf.held.remove(&(segment.connection(way), way)) {
            // Duplicates stay: they are counted (RFC 5681 §3.2).
            if says_no_more && is_behind(segment.ack(), held.segment.ack()) {
                until = held.until;
                out.swallowed += 1;
            } else {
                out.pass(way, held.segment);
            }
        }
        match says_no_more {
            true => self.shelf.hold(way, Held { until, segment }, out),
            false => out.pass(way, segment),
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Passage) {
        self.shelf.release(now, out);
    }
}

impl Shelf {
    fn new(within: Duration) -> Self {
        Shelf { within, held: BTreeMap::new() }
    }

    fn hold(&mut self, way: Way, held: Held, out: &mut Passage) {
        out.wakes_at = Some(held.until);
        self.held.insert((held.segment.connection(way), way), held);
    }

    /// What has been held long enough goes on.
    fn release(&mut self, now: Instant, out: &mut Passage) {
        let due = self.held.iter().filter(|(_, held)| held.until <= now);
        for key in due.map(|(key, _)| *key).collect::<Vec<_>>() {
            let held = self.held.remove(&key).expect("it was there");
            out.pass(key.1, held.segment);
        }
    }
}

/// Of who announces none (RFC 9293 §3.7.1) [octets].
const DEFAULT_MSS: usize = 536;
