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
    /// What is added. It stays the same between the same ends: a SYN with another number may be one
    /// that is refused, and the connection that there is goes on.
    connections: BTreeMap<Connection, u32>,
}

impl Rewrite {
    pub(super) fn new(of: End, forgets_sack: bool, seed: u64) -> Self {
        Rewrite { of, forgets_sack, random: Random::new(seed), connections: BTreeMap::new() }
    }
}

impl Treat for Rewrite {
    fn take(&mut self, _now: Instant, way: Way, mut segment: Raw, out: &mut Passage) {
        let connection = segment.connection(way);
        let is_theirs = way.sender() == self.of;
        if is_theirs && segment.has(SYN) {
            let random = &mut self.random;
            self.connections.entry(connection).or_insert_with(|| random.draw() as u32);
        }
        if let Some(&by) = self.connections.get(&connection) {
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
