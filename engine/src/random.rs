//! Random numbers that follow from a seed: the same wherever and whenever they are drawn.

/// SplitMix64 (Steele, Lea, Flood, 2014): a counter and a mixing function. Statistically sound for
/// choosing packets and for shuffling, and for nothing that an adversary must not guess.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number, from all of 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero. The bias of the remainder is `bound` in 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// True for `ppm` in a million draws.
    pub fn one_in(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_algorithm() {
        let mut random = Random::new(0);
        assert_eq!(random.draw(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.draw(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn rates_are_kept() {
        let mut random = Random::new(1);
        let hits = (0..1_000_000).filter(|_| random.one_in(10_000)).count();
        assert!((9_500..10_500).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| !random.one_in(0) && random.one_in(1_000_000)));
    }
}
