//! Boxes that send payload on otherwise than it came.

use ringroad_engine::time::Instant;

use super::super::Way;
use super::super::segment::Raw;
use super::{Passage, Treat};
use crate::appliance::packet::{CWR, FIN, PSH, SYN};

/// [`super::Middlebox::SplitSegments`].
#[derive(Debug)]
pub(super) struct Split(pub(super) usize);

impl Treat for Split {
    fn take(&mut self, _now: Instant, way: Way, segment: Raw, out: &mut Passage) {
        let most = self.0.max(1);
        // A SYN's payload stays with it.
        if segment.payload().len() <= most || segment.has(SYN) {
            return out.pass(way, segment);
        }
        let mut from = 0;
        while from < segment.payload().len() {
            let to = segment.payload().len().min(from + most);
            let mut part = segment.clone();
            part.set_payload(&segment.payload()[from..to]);
            part.set_seq(segment.seq().wrapping_add(from as u32));
            // What is said of the end goes with the last, and CWR with the first alone.
            let behind = if to < segment.payload().len() { FIN | PSH } else { 0 };
            let before = if from > 0 { CWR } else { 0 };
            part.set_flags(segment.flags() & !(behind | before));
            out.pass(way, part);
            from = to;
        }
    }
}

/// [`super::Middlebox::StripPayloadOfSyn`].
#[derive(Debug)]
pub(super) struct StripOfSyn;

impl Treat for StripOfSyn {
    fn take(&mut self, _now: Instant, way: Way, mut segment: Raw, out: &mut Passage) {
        if segment.has(SYN) && !segment.payload().is_empty() {
            segment.set_payload(&[]);
        }
        out.pass(way, segment);
    }
}
