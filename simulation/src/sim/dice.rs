//! Chances of one aspect of a case.

use std::hash::Hasher as _;
use std::time::Duration;

use ringroad_engine::random::Random;
use siphasher::sip::SipHasher24;

/// Drawn from the seed and the aspect's name: an aspect that is added or changed leaves the others
/// as they were, and with them what old seeds have found.
#[derive(Clone, Debug)]
pub(super) struct Dice(Random);

impl Dice {
    pub(super) fn of(seed: u64, aspect: &str) -> Self {
        let mut hasher = SipHasher24::new_with_keys(seed, 0);
        hasher.write(aspect.as_bytes());
        Dice(Random::new(hasher.finish()))
    }

    /// The same for the `number`th of many.
    pub(super) fn of_each(seed: u64, aspect: &str, number: u32) -> Self {
        let mut hasher = SipHasher24::new_with_keys(seed, 1 + u64::from(number));
        hasher.write(aspect.as_bytes());
        Dice(Random::new(hasher.finish()))
    }

    /// For those who draw by themselves.
    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.0
    }

    /// True in `percent` of a hundred.
    pub(super) fn percent(&mut self, percent: u32) -> bool {
        self.0.one_in(percent * 10_000)
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len() as u64) as usize].clone()
    }

    /// From `least` to `most`, both included.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.below(most - least + 1)
    }

    /// As [`Dice::between`], but each order of magnitude is as likely as any other.
    pub(super) fn magnitude(&mut self, least: u64, most: u64) -> u64 {
        let (low, high) = (least.max(1).ilog2(), most.max(1).ilog2());
        let top = 1 << self.between(low.into(), high.into());
        self.between(top, 2 * top - 1).clamp(least, most)
    }

    pub(super) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aspects_and_their_members_have_chances_of_their_own() {
        let first = |mut dice: Dice| dice.random().draw();
        let [one, other] = ["hosts", "networks"].map(|aspect| first(Dice::of(7, aspect)));
        assert_ne!(one, other);
        assert_ne!(one, first(Dice::of(8, "hosts")));
        assert_ne!(one, first(Dice::of_each(7, "hosts", 0)));
        assert_eq!(one, first(Dice::of(7, "hosts")));
    }

    #[test]
    fn bounds_are_kept_and_reached() {
        let mut dice = Dice::of(1, "bounds");
        let drawn: Vec<u64> = (0..1000).map(|_| dice.between(3, 5)).collect();
        assert!((3..=5).all(|value| drawn.contains(&value)) && drawn.iter().all(|v| *v <= 5));
        let drawn: Vec<u64> = (0..1000).map(|_| dice.magnitude(100, 1_000_000)).collect();
        assert!(drawn.iter().all(|value| (100..=1_000_000).contains(value)));
        let small = drawn.iter().filter(|value| **value < 10_000).count();
        assert!((350..650).contains(&small), "{small} of 1000 in the lower half of magnitudes");
    }
}
