//! What follows from a seed, and how a test is run again with it.

use ringroad_engine::random::Random;

/// One of several, by chance.
pub fn pick<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}

/// `count` seeds; `RINGROAD_SEEDS=n` for more, `RINGROAD_SEED=n` to replay one.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("RINGROAD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RINGROAD_SEEDS").unwrap_or(count),
    }
}

/// The seed of a test that needs only one.
pub fn seed() -> u64 {
    seeds(1).start
}

/// Octets that tell where they belong, and whose they are.
pub fn pattern(of: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i * 31 + i / 251 + of * 17) as u8).collect()
}

/// Says how to replay a test that fails.
pub(super) struct Replay {
    pub(super) seed: u64,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            eprintln!("replay: RINGROAD_SEED={} cargo test {test}", self.seed);
        }
    }
}
