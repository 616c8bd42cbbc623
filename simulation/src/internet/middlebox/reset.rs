//! A box that has had enough of a connection.

use std::collections::BTreeMap;

use ringroad_engine::time::Instant;

use super::super::segment::{Connection, Raw, is_behind, opens};
use super::super::{End, Way};
use super::{Limit, Passage, Tells, Treat};
use crate::appliance::packet::{ACK, RST, SYN};

/// [`super::Middlebox::ResetAfter`].
#[derive(Debug)]
pub(super) struct Reset {
    /// `None`: no connection any more; those that it has ended stay so.
    limit: Option<Limit>,
    tells: Tells,
    connections: BTreeMap<Connection, Watched>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    /// Of the SYN that it began with.
    iss: u32,
    since: Instant,
    /// Payload that has passed.
    octets: u64,
    /// What each end expects next, as far as can be seen from here: a reset needs it exactly
    /// (RFC 5961 §3.2).
    expected: [Option<u32>; 2],
    is_ended: bool,
}

impl Reset {
    pub(super) fn new(limit: Limit, tells: Tells) -> Self {
        Reset { limit: Some(limit), tells, connections: BTreeMap::new() }
    }

    /// In the end everybody is told.
    fn tells(&self, end: End) -> bool {
        self.limit.is_none() || self.tells == Tells::Both || self.tells == Tells::Only(end)
    }

    /// A connection has had enough: both ends may be told, at the number that each expects next.
    fn end(&self, way: Way, segment: &Raw, expected: [Option<u32>; 2], out: &mut Passage) {
        for (end, expected) in [End::Host, End::Appliance].into_iter().zip(expected) {
            if let Some(seq) = expected.filter(|_| self.tells(end)) {
                match end == way.sender() {
                    true => out.reset(way.back(), segment.reset_back(seq)),
                    false => out.reset(way, segment.reset_onward(seq)),
                }
            }
        }
    }

    /// RFC 9293 §3.10.7.1: whoever goes on is told where it says that it is.
    fn answer(&self, way: Way, segment: &Raw, out: &mut Passage) {
        if segment.has(ACK) && !segment.has(RST) && self.tells(way.sender()) {
            out.reset(way.back(), segment.reset_back(segment.ack()));
        }
    }
}

impl Treat for Reset {
    fn take(&mut self, now: Instant, way: Way, segment: Raw, out: &mut Passage) {
        let connection = segment.connection(way);
        if opens(&segment) {
            let known = self.connections.get(&connection);
            if known.is_none_or(|watched| watched.iss != segment.seq()) {
                self.connections.insert(connection, Watched::new(now, segment.seq()));
            }
        }
        let Some(watched) = self.connections.get_mut(&connection) else {
            return out.pass(way, segment);
        };
        if watched.is_ended {
            out.swallowed += 1;
            return self.answer(way, &segment, out);
        }
        watched.on_segment(way, &segment);
        // A SYN's sender expects nothing yet, and could not be told.
        watched.is_ended =
            !segment.has(SYN) && self.limit.is_some_and(|limit| watched.exceeds(now, limit));
        if watched.is_ended {
            let expected = watched.expected;
            out.swallowed += 1;
            return self.end(way, &segment, expected, out);
        }
        watched.on_passed(way, &segment);
        out.pass(way, segment);
    }

    fn heal(&mut self) {
        self.limit = None;
    }
}

impl Watched {
    fn new(now: Instant, iss: u32) -> Self {
        Watched { iss, since: now, octets: 0, expected: [None; 2], is_ended: false }
    }

    fn on_segment(&mut self, way: Way, segment: &Raw) {
        self.octets += segment.payload().len() as u64;
        if segment.has(ACK) {
            let sender = &mut self.expected[way.sender() as usize];
            if sender.is_none_or(|expected| is_behind(segment.ack(), expected)) {
                *sender = Some(segment.ack());
            }
        }
    }

    /// What is passed on without a gap is what its receiver has, acknowledged or not.
    fn on_passed(&mut self, way: Way, segment: &Raw) {
        let receiver = &mut self.expected[way.receiver() as usize];
        if let Some(expected) = receiver
            && !is_behind(segment.seq(), *expected)
            && is_behind(segment.end(), *expected)
        {
            *receiver = Some(segment.end());
        }
    }

    fn exceeds(&self, now: Instant, limit: Limit) -> bool {
        match limit {
            Limit::Octets(octets) => self.octets > octets,
            Limit::Time(time) => now.since(self.since) >= time,
        }
    }
}
