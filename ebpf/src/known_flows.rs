//! Which connections are the engine's.

use std::sync::Arc;

use crate::{FingerprintKey, Fingerprints, Found};

/// The engine's connections, as the program and its twin know them: what the engine writes, they
/// read. A connection is known from before its first segment leaves until its last is forgotten.
///
/// Clones are of the same set.
#[derive(Clone, Debug)]
pub struct KnownFlows {
    table: Fingerprints,
    /// By port index.
    ifindexes: Arc<[u32]>,
}

/// Whether a segment is of a connection of the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    No,
    Yes {
        port_index: u32,
    },
    /// There were more connections than are told apart here.
    Maybe,
}

impl KnownFlows {
    /// What one connection takes of a set that holds as many as it is made for, at worst [octets].
    pub const OCTETS_PER_FLOW_MAX: usize = Fingerprints::OCTETS_EACH_MAX;

    /// A set in memory of our own, of up to `capacity` connections. More are taken, too, at the price
    /// of some answers being [`Known::Maybe`].
    pub fn new(ifindexes: &[u32], capacity: usize, key: FingerprintKey) -> Self {
        KnownFlows::over(ifindexes, Fingerprints::new(capacity, key))
    }

    pub(crate) fn over(ifindexes: &[u32], table: Fingerprints) -> Self {
        KnownFlows { table, ifindexes: ifindexes.into() }
    }

    pub(crate) fn table(&self) -> Fingerprints {
        self.table.clone()
    }

    /// The connection is the engine's, and comes by this port. `flow`: our address and the other
    /// one, IPv4 mapped (RFC 4291 §2.5.5.2), our TCP port and the other one, as on the wire.
    pub fn insert(&self, port_index: u32, flow: &[u8; FLOW_OCTETS]) {
        self.table.insert(self.table.hash(&self.words(port_index, flow)), port_index as u8);
    }

    /// The connection is gone, or the kernel has another between the same ends.
    pub fn remove(&self, port_index: u32, flow: &[u8; FLOW_OCTETS]) {
        self.table.remove(self.table.hash(&self.words(port_index, flow)));
    }

    /// For what came by this port.
    #[inline]
    pub fn find(&self, port_index: u32, flow: &[u8; FLOW_OCTETS]) -> Known {
        match self.table.find(self.table.hash(&self.words(port_index, flow))) {
            Found::No => Known::No,
            Found::Yes { note } => Known::Yes { port_index: note.into() },
            Found::Maybe => Known::Maybe,
        }
    }

    /// Connections that are known now. Walks the table.
    pub fn count(&self) -> usize {
        self.table.count()
    }

    /// Connections so far for which there was no room: see [`Known::Maybe`].
    pub fn refused(&self) -> u64 {
        self.table.refused()
    }

    /// `struct flow_key` of `bpf/structs.h`.
    #[inline]
    fn words(&self, port_index: u32, flow: &[u8; FLOW_OCTETS]) -> [u32; 10] {
        let (octets, _) = flow.as_chunks::<4>();
        let [ours_0, ours_1, theirs_0, theirs_1] = octets[8];
        let ports = [theirs_0, theirs_1, ours_0, ours_1];
        let mut words = [self.ifindexes[port_index as usize]; 10];
        let ends = octets[4..8].iter().chain(&octets[..4]).chain([&ports]);
        words.iter_mut().zip(ends).for_each(|(word, octets)| *word = u32::from_ne_bytes(*octets));
        words
    }
}

/// Two addresses and two ports [octets].
pub const FLOW_OCTETS: usize = 36;
