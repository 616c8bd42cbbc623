//! The most frequent of many, in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi:
//! "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005).

use std::collections::HashMap;
use std::hash::Hash;

/// Counts what comes most often. Of `n` that came, whatever was more than `n / capacity` of them is
/// here; its count may be too high by that much, and is never too low.
///
/// All memory is taken at the start. To count one more takes two searches among those that are here,
/// known or not: those who come but once, in numbers, cost no more than others.
#[derive(Clone, Debug)]
pub struct SpaceSaving<K> {
    capacity: usize,
    /// Most first.
    ranks: Vec<(K, u64)>,
    /// Where each of them stands.
    places: HashMap<K, usize>,
    total: u64,
}

impl<K: Copy + Eq + Hash + Ord> SpaceSaving<K> {
    /// # Panics
    /// If `capacity` is zero.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "room for one at least");
        SpaceSaving {
            capacity,
            ranks: Vec::with_capacity(capacity),
            // Half full at most, the map tidies up after keys that have gone; else it would grow.
            places: HashMap::with_capacity(2 * capacity),
            total: 0,
        }
    }

    /// One more of `key`. If there is no room for it, it takes the place of the rarest, and its count.
    pub fn add(&mut self, key: K) {
        self.add_many(key, 1);
    }

    /// So many more of `key`.
    pub fn add_many(&mut self, key: K, count: u64) {
        if count > 0 {
            self.total += count;
            let place = self.places.get(&key).copied().unwrap_or_else(|| self.make_room(key));
            self.rise(place, count);
        }
    }

    /// Adds what another counted: each count may then be too high by as much as both could be.
    pub fn add_all(&mut self, other: &SpaceSaving<K>) {
        for (key, count) in &other.ranks {
            self.add_many(*key, *count);
        }
    }

    /// All count half from now on, so that what is past is forgotten.
    pub fn halve(&mut self) {
        self.total /= 2;
        self.ranks.iter_mut().for_each(|(_, count)| *count /= 2);
        while let Some((key, _)) = self.ranks.pop_if(|(_, count)| *count == 0) {
            self.places.remove(&key);
        }
    }

    /// How many came, as far as they count.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The `most` that came most often, with how often, most first.
    pub fn top(&self, most: usize) -> Vec<(K, u64)> {
        let mut all = self.ranks.clone();
        all.sort_unstable_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        all.truncate(most);
        all
    }

    /// A place at the end for a key that is not here.
    fn make_room(&mut self, key: K) -> usize {
        let mut count = 0;
        if self.ranks.len() == self.capacity
            && let Some((rarest, least)) = self.ranks.pop()
        {
            self.places.remove(&rarest);
            count = least;
        }
        let place = self.ranks.len();
        self.ranks.push((key, count));
        self.places.insert(key, place);
        place
    }

    /// Adds to the count at `place`, and moves it up past those that have less then: it changes
    /// places with the first of each that are equal.
    fn rise(&mut self, mut place: usize, by: u64) {
        let risen = self.ranks[place].1 + by;
        while let Some(&(_, above)) = place.checked_sub(1).and_then(|above| self.ranks.get(above))
            && above < risen
        {
            let first = self.ranks[..place].partition_point(|(_, count)| *count > above);
            self.ranks.swap(first, place);
            self.places.insert(self.ranks[place].0, place);
            place = first;
        }
        self.ranks[place].1 = risen;
        self.places.insert(self.ranks[place].0, place);
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

    /// Whatever was added in whatever order: most first, each where its place says, nothing lost.
    #[test]
    fn the_order_is_kept() {
        let capacity = 20;
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let mut counts = SpaceSaving::new(capacity);
            let mut came = 0;
            for _ in 0..2_000 {
                let (key, count) = (random.below(60), random.below(5) + 1);
                counts.add_many(key, count);
                came += count;
                if random.below(500) == 0 {
                    counts.halve();
                    came = counts.ranks.iter().map(|(_, count)| count).sum();
                }
                assert!(counts.ranks.is_sorted_by_key(|(_, count)| std::cmp::Reverse(*count)));
                assert!(
                    counts.ranks.len() <= capacity && counts.places.len() == counts.ranks.len()
                );
                for (place, (key, _)) in counts.ranks.iter().enumerate() {
                    assert_eq!(counts.places[key], place);
                }
                assert_eq!(counts.ranks.iter().map(|(_, count)| count).sum::<u64>(), came);
            }
        }
    }

    #[test]
    fn what_several_counted_adds_up() {
        let (mut one, mut other) = (SpaceSaving::new(2), SpaceSaving::new(2));
        [1, 1, 2].into_iter().for_each(|key| one.add(key));
        [2, 2, 2, 3].into_iter().for_each(|key| other.add(key));
        let mut all = SpaceSaving::new(4);
        all.add_all(&one);
        all.add_all(&other);
        assert_eq!((all.top(4), all.total()), (vec![(2, 4), (1, 2), (3, 1)], 7));
        one.add_all(&other);
        assert_eq!(one.total(), 7, "also where one takes the place of another");
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
