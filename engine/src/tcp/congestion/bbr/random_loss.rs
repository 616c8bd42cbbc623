//! What the path loses at random: the share that is lost although nothing queues.
//!
//! Sending less would not change it, so it says nothing about how much the path takes
//! (docs/decisions/0013-bbr-and-random-loss.md).

/// What was told by ACKs for what had met no queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RandomLoss {
    /// Lost, and lost or delivered [octets].
    lost: u32,
    sent: u32,
}

impl RandomLoss {
    /// Takes in one such ACK. Of what is further back than [`MEMORY_WINDOWS`] times `window` [octets],
    /// half is forgotten, again and again.
    pub(super) fn take(&mut self, lost: u32, delivered: u32, window: u32) {
        if self.sent >= window.saturating_mul(MEMORY_WINDOWS) {
            self.lost /= 2;
            self.sent /= 2;
        }
        self.lost = self.lost.saturating_add(lost);
        self.sent = self.sent.saturating_add(lost).saturating_add(delivered);
    }

    /// What may be lost at random of a flight or of a round trip: twice the mean, for losses are not
    /// spread evenly [ppm].
    pub(super) fn likely_ppm(self) -> u32 {
        let ppm = 2 * MILLION * u64::from(self.lost) / u64::from(self.sent.max(1));
        u32::try_from(ppm).unwrap_or(u32::MAX)
    }
}

const MEMORY_WINDOWS: u32 = 8;

pub(super) const MILLION: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u32 = 1_000_000;

    #[test]
    fn it_is_twice_the_share_that_was_lost() {
        let mut random = RandomLoss::default();
        assert_eq!(random.likely_ppm(), 0, "nothing is known yet");
        for _ in 0..100 {
            random.take(3_000, 97_000, WINDOW);
        }
        assert!((59_000..=61_000).contains(&random.likely_ppm()), "{random:?}");
        random.take(u32::MAX, u32::MAX, u32::MAX);
        assert!(random.likely_ppm() <= 2_000_000, "{random:?}");
    }

    #[test]
    fn a_path_that_loses_no_more_is_known_as_such_after_some_windows() {
        let mut random = RandomLoss::default();
        random.take(WINDOW / 5, WINDOW / 5 * 4, WINDOW);
        let windows = (1..).find(|_| {
            random.take(0, WINDOW, WINDOW);
            random.likely_ppm() < 10_000
        });
        assert!(windows.is_some_and(|windows| windows <= 5 * MEMORY_WINDOWS), "{windows:?}");
    }
}
