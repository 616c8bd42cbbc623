//! Samples of what is refused, for people to look at: `ebpf/bpf/samples.h`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use ringroad_ebpf::limits::{SAMPLES_AT_ONCE, SAMPLES_PER_SECOND};
use ringroad_ebpf::{SECOND_NS, Sample};

use super::limits::pay;
use crate::limits::SAMPLES_WAITING_MAX;
use crate::time::Instant;

/// Samples on their way from a twin to whoever shows them. Clones are of the same way.
#[derive(Clone, Debug)]
pub struct Samples {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    waiting: ArrayQueue<Sample>,
    lost: AtomicU64,
}

impl Samples {
    pub fn new() -> Self {
        let waiting = ArrayQueue::new(SAMPLES_WAITING_MAX);
        Samples { shared: Arc::new(Shared { waiting, lost: AtomicU64::new(0) }) }
    }

    /// Takes what is there, oldest first.
    pub fn take(&self) -> Vec<Sample> {
        let waiting = &self.shared.waiting;
        // No more than there is room for: the twin may go on while this reads.
        (0..SAMPLES_WAITING_MAX).map_while(|_| waiting.pop()).collect()
    }

    /// Samples that found no room.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    fn put(&self, sample: Sample) {
        if self.shared.waiting.push(sample).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Default for Samples {
    fn default() -> Self {
        Samples::new()
    }
}

/// Decides what is sampled. A token bucket in one word: when it will be full again [ns].
#[derive(Debug)]
pub(super) struct Sampler {
    full_at_ns: u64,
    samples: Samples,
}

impl Sampler {
    pub(super) fn new(samples: Samples) -> Self {
        Sampler { full_at_ns: 0, samples }
    }

    /// Takes a sample, if one more is within the rate.
    #[inline]
    pub(super) fn take(&mut self, now: Instant, sample: impl FnOnce() -> Sample) {
        let burst_ns = INTERVAL_NS * u64::from(SAMPLES_AT_ONCE);
        if let Some(full_at_ns) = pay(self.full_at_ns, now.as_nanos(), INTERVAL_NS, burst_ns) {
            self.full_at_ns = full_at_ns;
            self.samples.put(sample());
        }
    }
}

/// Between two samples.
const INTERVAL_NS: u64 = SECOND_NS / SAMPLES_PER_SECOND as u64;

#[cfg(test)]
mod tests {
    use super::*;
    use ringroad_ebpf::Verdict;
    use std::time::Duration;

    #[test]
    fn a_flood_has_few_samples_and_what_finds_no_room_is_counted() {
        let samples = Samples::new();
        let mut sampler = Sampler::new(samples.clone());
        let mut now = Instant::from_millis(5_000);
        let mut sample = |now: Instant, number: u64| {
            let octets = [0; 20].map(|_: u8| number as u8);
            sampler.take(now, || Sample::of(&octets, now.as_nanos(), 0, None, Verdict::Land));
        };
        (0..1_000_000).for_each(|number| sample(now, number));
        let burst = samples.take();
        assert_eq!(burst.len(), 64);
        assert!(burst.iter().zip(0..).all(|(sample, number)| sample.head()[0] == number));
        for number in 0..100_000 {
            now += Duration::from_micros(100);
            sample(now, number);
        }
        assert_eq!(samples.lost(), 2560 - SAMPLES_WAITING_MAX as u64, "ten seconds' worth");
        assert_eq!(samples.take().len(), SAMPLES_WAITING_MAX);
        assert_eq!(samples.take(), []);
    }
}
