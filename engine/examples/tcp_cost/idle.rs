//! Connections that do nothing, in a lane between two devices in memory: what they take, and what it
//! costs to wake one.

use ringroad_simulation::crowd::{Crowd, Woken};

/// What was measured.
pub struct Costs {
    pub connections: usize,
    /// Resident memory that each took.
    pub octets_each: usize,
    /// To find that a pair is quiet, and to let it sleep.
    pub sleep_nanos: u64,
    /// A small segment through the lane, on a pair that is awake.
    pub awake_nanos: u64,
    /// The same on one that sleeps.
    pub woken_nanos: u64,
}

/// Measures with a hundred thousand, against as good as none. Both are there at once, so that neither
/// has memory that the other has given back.
pub fn measure() -> Costs {
    const FEW: usize = 1_000;
    const MANY: usize = 101_000;
    let [(_few, few_take), (mut many, many_take)] = [FEW, MANY].map(opened);
    // Others each time, so that none is in the cache.
    let woken: Vec<Woken> = (0..RUNS).map(|run| many.wake_some(run)).collect();
    Costs {
        connections: MANY - FEW,
        octets_each: (many_take - few_take) / (MANY - FEW),
        sleep_nanos: median(&woken, |run| run.sleep_ns),
        awake_nanos: median(&woken, |run| run.awake_ns),
        woken_nanos: median(&woken, |run| run.wake_ns),
    }
}

/// A crowd that sleeps, and what it takes [octets].
fn opened(connections: usize) -> (Crowd, usize) {
    let mut crowd = Crowd::new(connections, SEED);
    crowd.open();
    let taken = crowd.resident_octets();
    (crowd, taken)
}

fn median(runs: &[Woken], of: fn(&Woken) -> u64) -> u64 {
    let mut nanos: Vec<u64> = runs.iter().map(of).collect();
    nanos.sort_unstable();
    nanos[nanos.len() / 2]
}

const RUNS: usize = 5;

const SEED: u64 = 1;
