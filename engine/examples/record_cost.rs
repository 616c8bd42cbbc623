//! What it costs to record a value: times that lie close together, as on a quiet machine, and such that
//! are spread over three powers of ten; and to give all that was recorded away.
//!
//!     cargo run --release -p ringroad-engine --example record_cost [-- --json]

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::env::args;
use std::hint::black_box;
use std::time::Instant;

use ringroad_engine::telemetry::{Measure, Recorders};

/// Values, more than a core foresees.
const VALUES: usize = 1 << 16;
/// Of which the least is reported.
const RUNS: usize = 15;

fn main() {
    let figures = [
        ("record, within a tenth", record(20_000, 2_000)),
        ("record, from 1 us to 1 ms", record(1_000, 999_000)),
        ("record, six measures in turn", in_turn()),
        ("not record", not_record()),
        ("exchange all histograms", exchange()),
    ];
    if args().any(|arg| arg == "--json") {
        let rows = figures.map(|(what, ns)| format!(r#"{{"what": "{what}", "ns": {ns:.2}}}"#));
        println!("[{}]", rows.join(", "));
    } else {
        figures.iter().for_each(|(what, ns)| println!("{what:<32}{ns:>8.2} ns"));
    }
}

/// Of one measure, values from `least` on.
fn record(least: u64, range: u64) -> f64 {
    let mut recorders = Recorders::new();
    let values = values(least, range);
    each(&values, |value| recorders.record(Measure::Inside, value))
}

/// As many as a packet may touch, so that their lines compete for the cache.
fn in_turn() -> f64 {
    let mut recorders = Recorders::new();
    let values = values(1_000, 999_000);
    let mut measures = Measure::ALL.into_iter().take(6).cycle();
    each(&values, |value| recorders.record(measures.next().expect("without end"), value))
}

fn not_record() -> f64 {
    let mut recorders = Recorders::off();
    let values = values(20_000, 2_000);
    each(&values, |value| black_box(&mut recorders).record(Measure::Inside, value))
}

fn exchange() -> f64 {
    let (mut core, mut reader) = (Recorders::new(), Recorders::new());
    each(&values(0, 1), |_| black_box(&mut core).exchange(black_box(&mut reader)))
}

/// Without an order that a core could foresee; by xorshift (Marsaglia 2003).
fn values(least: u64, range: u64) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..VALUES).map(|_| least + next() % range).collect()
}

/// Time of one call [ns].
fn each(values: &[u64], mut call: impl FnMut(u64)) -> f64 {
    let run = || {
        let start = Instant::now();
        values.iter().for_each(|value| call(black_box(*value)));
        start.elapsed().as_nanos()
    };
    let least = std::iter::repeat_with(run).take(RUNS).min().unwrap_or(0);
    least as f64 / values.len() as f64
}
