//! A box that rewrites sequence numbers.

use std::collections::BTreeMap;

use ringroad_engine::random::Random;
use ringroad_engine::time::Instant;

use super::super::segment::{Connection, Raw, SACK};
use super::super::{End, Way};
use super::{Passage, Treat};
use crate::appliance::packet::{ACK, SYN};

/// [`super::Middlebox::RewriteSequence`].
#[derive(Debug)]
pub(super) struct Rewrite {
    of: End,
    forgets_sack: bool,
    random: Random,
    connections: BTreeMap<Connection, Shift>,
}

#[derive(Clone, Copy, Debug)]
struct Shift {
    /// Of the SYN that it was chosen for: the same SYN again has the same.
    iss: u32,
    by: u32,
}

impl Rewrite {
    pub(super) fn new(of: End, forgets_sack: bool, seed: u64) -> Self {
        Rewrite { of, forgets_sack, random: Random::new(seed), connections: BTreeMap::new() }
    }

    fn choose(&mut self, connection: Connection, iss: u32) {
        if self.connections.get(&connection).is_none_or(|shift| shift.iss != iss) {
            let by = self.random.draw() as u32;
            self.connections.insert(connection, Shift { iss, by });
        }
    }
}

impl Treat for Rewrite {
    fn take(&mut self, _now: Instant, way: Way, mut segment: Raw, out: &mut Passage) {
        let connection = segment.connection(way);
        let is_theirs = way.sender() == self.of;
        if is_theirs && segment.has(SYN) {
            self.choose(connection, segment.seq());
        }
        if let Some(Shift { by, .. }) = self.connections.get(&connection).copied() {
            if is_theirs {
                segment.set_seq(segment.seq().wrapping_add(by));
            } else if segment.has(ACK) {
                segment.set_ack(segment.ack().wrapping_sub(by));
                if !(self.forgets_sack && way == Way::Up) {
                    segment.change_option(SACK, |blocks| take_from_all(blocks, by));
                }
            }
        }
        out.pass(way, segment);
    }
}

/// Takes a constant from all edges of SACK blocks.
fn take_from_all(blocks: &mut [u8], constant: u32) {
    for edge in blocks.chunks_exact_mut(4) {
        let number = u32::from_be_bytes(edge.try_into().expect("four"));
        edge.copy_from_slice(&number.wrapping_sub(constant).to_be_bytes());
    }
}
