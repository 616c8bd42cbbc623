//! The most frequent of many, in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi:
//! "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005).

use std::collections::HashMap;
use std::hash::Hash;

/// Counts what comes most often. Of `n` that came, whatever was more than `n / capacity` of them is
/// here; its count may be too high by that much, and is never too low.
///
/// For some hundreds a second: a newcomer to a full table looks at all of it.
#[derive(Clone, Debug)]
pub struct SpaceSaving<K> {
    capacity: usize,
    counts: HashMap<K, u64>,
    total: u64,
}

impl<K: Copy + Eq + Hash + Ord> SpaceSaving<K> {
    /// # Panics
    /// If `capacity` is zero.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "room for one at least");
        SpaceSaving { capacity, counts: HashMap::with_capacity(capacity), total: 0 }
    }

    /// One more of `key`. If there is no room for it, it takes the place of the rarest, and its count.
    pub fn add(&mut self, key: K) {
        self.total += 1;
        if let Some(count) = self.counts.get_mut(&key) {
            *count += 1;
            return;
        }
        let mut count = 0;
        if self.counts.len() == self.capacity
            && let Some((&rarest, &least)) = self.counts.iter().min_by_key(|(_, count)| **count)
        {
            self.counts.remove(&rarest);
            count = least;
        }
        self.counts.insert(key, count + 1);
    }

    /// All count half from now on, so that what is past is forgotten.
    pub fn halve(&mut self) {
        self.total /= 2;
        self.counts.retain(|_, count| {
            *count /= 2;
            *count > 0
        });
    }

    /// How many came, as far as they count.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The `most` that came most often, with how often, most first.
    pub fn top(&self, most: usize) -> Vec<(K, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(key, count)| (*key, *count)).collect();
        all.sort_unstable_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        all.truncate(most);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn few_are_counted_exactly() {
        let mut counts = SpaceSaving::new(4);
        for key in [3, 1, 3, 2, 3, 1] {
            counts.add(key);
        }
        assert_eq!(counts.top(10), [(3, 3), (1, 2), (2, 1)]);
        assert_eq!(counts.top(1), [(3, 3)]);
        assert_eq!(counts.total(), 6);
    }

    #[test]
    fn the_frequent_are_found_among_many() {
        let (capacity, came) = (100, 100_000);
        for seed in 0..4 {
            let mut random = Random::new(seed);
            let mut counts = SpaceSaving::new(capacity);
            let mut exact = HashMap::new();
            for _ in 0..came {
                // Three in ten are of six, each half as frequent as the one before; nobody else comes twice.
                let key = match random.below(10) {
                    0..3 => u64::from(random.draw().leading_zeros().min(5)),
                    _ => random.draw(),
                };
                counts.add(key);
                *exact.entry(key).or_insert(0_u64) += 1;
            }
            let top = counts.top(capacity);
            let error = came / capacity as u64;
            for (key, count) in &top {
                let exact = exact[key];
                assert!((exact..=exact + error).contains(count), "{count} of {exact}");
            }
            for (key, _) in exact.iter().filter(|(_, count)| **count > error) {
                assert!(top.iter().any(|(found, _)| found == key), "seed {seed}: {key}");
            }
            assert_eq!(top.iter().take(3).map(|(key, _)| *key).collect::<Vec<_>>(), [0, 1, 2]);
        }
    }

    #[test]
    fn the_past_is_forgotten() {
        let mut counts = SpaceSaving::new(4);
        (0..100).for_each(|_| counts.add('a'));
        counts.add('b');
        counts.halve();
        assert_eq!(counts.top(4), [('a', 50)]);
        (0..60).for_each(|_| counts.add('c'));
        assert_eq!((counts.top(1), counts.total()), (vec![('c', 60)], 110));
        (0..6).for_each(|_| counts.halve());
        assert_eq!((counts.top(4), counts.total()), (vec![], 1));
    }
}
