//! A rate that may be exceeded for a moment.

use crate::limits::KERNEL_PATH_BURST;
use crate::time::Instant;

/// A bucket of credit in nanoseconds: time fills it, up to a bound, and each packet takes as many
/// as lie between two packets at its rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    interval_ns: u64,
    credit_ns: u64,
    filled_at: Instant,
}

impl Bucket {
    /// Full at first. A rate of zero is taken for one.
    pub(super) fn new(packets_per_second: u32) -> Self {
        let interval_ns = 1_000_000_000 / u64::from(packets_per_second.max(1));
        Bucket { interval_ns, credit_ns: depth_ns(interval_ns), filled_at: Instant::ZERO }
    }

    /// Whether one more packet is within the rate.
    #[inline]
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let elapsed_ns = now.as_nanos().saturating_sub(self.filled_at.as_nanos());
        self.filled_at = self.filled_at.max(now);
        let credit_ns = self.credit_ns.saturating_add(elapsed_ns).min(depth_ns(self.interval_ns));
        let taken = credit_ns.checked_sub(self.interval_ns);
        self.credit_ns = taken.unwrap_or(credit_ns);
        taken.is_some()
    }
}

/// Room for one packet at least, however slow they come.
fn depth_ns(interval_ns: u64) -> u64 {
    (KERNEL_PATH_BURST.as_nanos() as u64).max(interval_ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn taken(bucket: &mut Bucket, now: Instant, tries: u32) -> u32 {
        (0..tries).filter(|_| bucket.take(now)).count() as u32
    }

    #[test]
    fn a_flood_gets_the_burst_and_then_the_rate() {
        let mut bucket = Bucket::new(10_000);
        let start = Instant::from_millis(5_000);
        assert_eq!(taken(&mut bucket, start, 100_000), 500, "50 ms of it");
        let mut later = 0;
        for micros in 1..=1_000_000 {
            later += taken(&mut bucket, start + Duration::from_micros(micros), 1);
        }
        assert_eq!(later, 10_000, "one second of it");
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(60), 100_000), 500);
    }

    #[test]
    fn time_that_stands_still_or_runs_backwards_gives_nothing() {
        let mut bucket = Bucket::new(1_000);
        let start = Instant::from_millis(5_000);
        assert_eq!(taken(&mut bucket, start, 100), 50);
        assert_eq!(taken(&mut bucket, Instant::from_millis(4_000), 100), 0);
        assert_eq!(taken(&mut bucket, start, 100), 0, "nor when it comes to the same point again");
    }

    #[test]
    fn rates_at_either_end_are_kept() {
        let mut slow = Bucket::new(0);
        let start = Instant::from_millis(5_000);
        assert_eq!(taken(&mut slow, start, 10), 1);
        assert_eq!(taken(&mut slow, start + Duration::from_millis(999), 10), 0);
        assert_eq!(taken(&mut slow, start + Duration::from_secs(1), 10), 1);
        assert_eq!(taken(&mut Bucket::new(u32::MAX), start, 1_000), 1_000);
    }
}
