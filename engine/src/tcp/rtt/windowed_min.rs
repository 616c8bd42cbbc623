//! The smallest of the samples of a sliding window of time, in constant memory.
//!
//! After Kathleen Nichols' windowed filter: the best sample is kept together with the best one of
//! those after it, and the best after that. When the first grows too old, the second takes its
//! place, so the answer is never older than the window and rarely worse than the true minimum.

use std::time::Duration;

use crate::time::Instant;

#[derive(Clone, Copy, Debug)]
struct Sample {
    us: u32,
    at: Instant,
}

/// Best, second and third best, each younger than the one before it.
#[derive(Clone, Debug)]
pub(super) struct WindowedMin([Sample; 3]);

impl WindowedMin {
    pub(super) fn new(us: u32, at: Instant) -> Self {
        WindowedMin([Sample { us, at }; 3])
    }

    pub(super) fn get(&self) -> u32 {
        self.0[0].us
    }

    pub(super) fn observe(&mut self, us: u32, at: Instant, window: Duration) {
        let sample = Sample { us, at };
        // A new minimum makes all older samples irrelevant; so does a whole window of silence.
        if us <= self.0[0].us || at.since(self.0[2].at) > window {
            self.0 = [sample; 3];
            return;
        }
        if us <= self.0[1].us {
            (self.0[1], self.0[2]) = (sample, sample);
        } else if us <= self.0[2].us {
            self.0[2] = sample;
        }
        let age = at.since(self.0[0].at);
        if age > window {
            // Promote, and once more if the successor is too old as well.
            self.0 = [self.0[1], self.0[2], sample];
            if at.since(self.0[0].at) > window {
                self.0 = [self.0[1], self.0[2], sample];
            }
        } else if self.0[1].at == self.0[0].at && age > window / 4 {
            // A quarter of the window without a runner-up: take one, so that one is at hand.
            (self.0[1], self.0[2]) = (sample, sample);
        } else if self.0[2].at == self.0[1].at && age > window / 2 {
            self.0[2] = sample;
        }
    }
}
