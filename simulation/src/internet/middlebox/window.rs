//! A box that bounds windows.

use std::collections::BTreeMap;

use ringroad_engine::time::Instant;

use super::super::Way;
use super::super::segment::{Connection, Raw};
use super::{Passage, Treat};
use crate::appliance::packet::SYN;

/// [`super::Middlebox::ClampWindow`].
#[derive(Debug)]
pub(super) struct Clamp {
    octets: u32,
    /// What each end's SYN offers.
    scales: BTreeMap<Connection, [Option<u8>; 2]>,
}

impl Clamp {
    pub(super) fn new(octets: u32) -> Self {
        Clamp { octets, scales: BTreeMap::new() }
    }

    /// How far a window of the segment's is shifted.
    fn shift(&self, way: Way, segment: &Raw) -> Option<u8> {
        let scales = self.scales.get(&segment.connection(way))?;
        // RFC 7323 §2.2: on a SYN it is as it is, and else only if both offer to scale.
        let scaled = !segment.has(SYN) && scales.iter().all(Option::is_some);
        Some(if scaled { scales[way.sender() as usize]? } else { 0 })
    }
}

impl Treat for Clamp {
    fn take(&mut self, _now: Instant, way: Way, mut segment: Raw, out: &mut Passage) {
        if segment.has(SYN) {
            let scales = self.scales.entry(segment.connection(way)).or_default();
            scales[way.sender() as usize] = segment.scale();
        }
        if let Some(shift) = self.shift(way, &segment) {
            // Not to nothing: that would be another statement.
            let most = (self.octets >> shift).max(1);
            segment.set_window(u32::from(segment.window()).min(most) as u16);
        }
        out.pass(way, segment);
    }
}
