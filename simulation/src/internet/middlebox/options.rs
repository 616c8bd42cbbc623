//! Boxes that change what SYNs offer.

use ringroad_engine::time::Instant;

use super::super::Way;
use super::super::segment::{FAST_OPEN, MSS, Raw, SACK, SACK_PERMITTED, SCALE, TIMESTAMPS};
use super::{Passage, Stripped, Treat};
use crate::appliance::packet::{CWR, ECE, SYN};

/// [`super::Middlebox::StripOptions`].
#[derive(Debug)]
pub(super) struct Strip(pub(super) Stripped);

impl Treat for Strip {
    fn take(&mut self, _now: Instant, way: Way, mut segment: Raw, out: &mut Passage) {
        let Strip(stripped) = self;
        let kinds = [
            (stripped.timestamps, TIMESTAMPS),
            (stripped.sack, SACK_PERMITTED),
            (stripped.scale, SCALE),
            (stripped.fast_open, FAST_OPEN),
        ];
        if segment.has(SYN) {
            for (_, kind) in kinds.into_iter().filter(|(strips, _)| *strips) {
                segment.erase_option(kind);
            }
            if stripped.ecn {
                segment.set_flags(segment.flags() & !(ECE | CWR));
            }
        } else if stripped.sack_blocks {
            segment.erase_option(SACK);
        }
        out.pass(way, segment);
    }
}

/// [`super::Middlebox::ClampMss`].
#[derive(Debug)]
pub(super) struct ClampMss(pub(super) u16);

impl Treat for ClampMss {
    fn take(&mut self, _now: Instant, way: Way, mut segment: Raw, out: &mut Passage) {
        if segment.has(SYN) {
            segment.change_option(MSS, |value| {
                if let [high, low] = value {
                    let clamped = u16::from_be_bytes([*high, *low]).min(self.0);
                    [*high, *low] = clamped.to_be_bytes();
                }
            });
        }
        out.pass(way, segment);
    }
}
