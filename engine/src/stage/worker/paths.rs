//! What connections see of their paths: at most once a round trip it goes into the paths' sums, and
//! once more when they end or fall asleep.

use super::Worker;
use crate::limits::PATH_SAMPLE_INTERVAL;
use crate::proxy::{Leg, Side};
use crate::telemetry::PathSums;

impl Worker {
    /// Hears of both legs of a pair, if it is time.
    #[inline]
    pub(super) fn take_samples(&mut self, index: u32) {
        if self.pairs.get(index).is_some_and(|pair| pair.sample_at <= self.now) {
            self.take_samples_now(index);
        }
    }

    pub(super) fn take_samples_now(&mut self, index: u32) {
        let Some(pair) = self.pairs.get_mut(index) else { return };
        let service = &mut self.services[usize::from(pair.service)];
        let mut interval = PATH_SAMPLE_INTERVAL;
        for side in Side::BOTH {
            let Some(leg) = &mut pair.legs[side as usize] else { continue };
            interval = interval.max(leg.tcp.srtt().unwrap_or_default());
            hear(service.path_mut(side, pair.origin), leg);
        }
        pair.sample_at = self.now + interval;
    }
}

/// A leg tells what it has seen of its path.
pub(super) fn hear(path: &mut PathSums, leg: &mut Leg) {
    if let Some(sample) = leg.take_sample() {
        path.add_sample(&sample);
    }
}
