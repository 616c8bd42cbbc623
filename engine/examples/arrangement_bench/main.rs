//! What the arrangements of the engine's stages carry: one lane, two lanes, and a pipeline, each on
//! cores of its own between devices in memory, without a kernel.
//!
//!     cargo run --release -p ringroad-engine --example arrangement_bench [-- --json]
//!
//! Clients ask on all their connections, then origins answer on all; both times the packets are built
//! and with the devices before the clock runs. It runs until the last has arrived at the other side.
//! Arrangements take turns; medians of all passes are reported. See [`pass`].

#![allow(clippy::print_stdout, reason = "a program that prints a table")]
#![allow(unreachable_pub, reason = "modules of a program have no other public")]

mod arrangement;
#[path = "../lane_bench/hosts.rs"]
mod hosts;
#[path = "../lane_bench/parts.rs"]
mod parts;
mod pass;

use std::fmt::Write as _;
use std::process::ExitCode;

use arrangement::Arrangement;
use core_affinity::CoreId;
use pass::Figures;

/// Of which each has a setup of its own.
const ROUNDS: usize = 3;

const ALL: [Arrangement; 4] = [
    Arrangement::OneLane,
    Arrangement::TwoLanes { astray: false },
    Arrangement::TwoLanes { astray: true },
    Arrangement::Pipeline,
];

fn main() -> ExitCode {
    let json = std::env::args().any(|argument| argument == "--json");
    let cores: [CoreId; 2] = match core_affinity::get_core_ids().unwrap_or_default()[..] {
        [one, other, ..] => [one, other],
        ref fewer => {
            eprintln!("arrangement_bench: needs two cores, and has {}", fewer.len());
            return ExitCode::FAILURE;
        }
    };
    let mut passes = ALL.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (arrangement, passes) in ALL.into_iter().zip(&mut passes) {
            passes.extend(pass::run(arrangement.build(cores)));
        }
    }
    let rows: Vec<_> = ALL.into_iter().zip(passes.map(|passes| Figures::of(&passes))).collect();
    println!("{}", if json { as_json(&rows) } else { as_table(&rows) });
    ExitCode::SUCCESS
}

fn as_table(rows: &[(Arrangement, Figures)]) -> String {
    let mut out = format!(
        "{:<40} {:>8} {:>10} {:>9} {:>13}  busy",
        "", "Mpps", "per core", "ns", "ns of a core"
    );
    for (arrangement, figures) in rows {
        let cores = figures.busy.len() as f64;
        let mpps = figures.packets_per_second / 1e6;
        let nanos = 1e9 / figures.packets_per_second;
        let busy: Vec<String> =
            figures.busy.iter().map(|share| format!("{:.0} %", share * 100.0)).collect();
        let _ = write!(
            out,
            "\n{:<40} {mpps:>8.2} {:>10.2} {nanos:>9.0} {:>13.0}  {}",
            arrangement.name(),
            mpps / cores,
            nanos * cores,
            busy.join(", ")
        );
    }
    out
}

fn as_json(rows: &[(Arrangement, Figures)]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|(arrangement, figures)| {
            let busy: Vec<String> =
                figures.busy.iter().map(|share| format!("{share:.3}")).collect();
            format!(
                "  {{\"arrangement\": \"{}\", \"packets_per_second\": {:.0}, \"busy\": [{}]}}",
                arrangement.name(),
                figures.packets_per_second,
                busy.join(", ")
            )
        })
        .collect();
    format!("[\n{}\n]", rows.join(",\n"))
}
