//! What one leg's TCP costs, by itself: no ports, no lane, no kernel.
//!
//!     cargo run --release -p ringroad-engine --example tcp_cost [-- --json]
//!
//! Flows take turns in bursts of 64, so that with many of them each finds its state out of the cache,
//! as a lane with many connections does. Whatever a flow needs for a round is prepared in a pass of
//! its own; only the calls that are named are on the clock. And what a connection takes and costs that
//! does nothing: see [`idle`].

#![allow(clippy::print_stdout, reason = "a program that prints a table")]
#![allow(unreachable_pub, reason = "modules of a program have no other public")]

mod idle;
mod leg;

use std::fmt::Write as _;

use leg::Leg;
use ringroad_engine::stage::idle_connection_octets;
use ringroad_engine::tcp::congestion::Algorithm;

/// Flows that take turns, and segments that each has under way in a round: enough in all that
/// reading the clock does not show.
const FLOWS: [(usize, usize); 3] = [(1, 32), (1_000, 2), (100_000, 2)];

/// Of which the medians are reported.
const RUNS: usize = 5;

const ALGORITHMS: [(&str, Algorithm); 2] = [("cubic", Algorithm::Cubic), ("bbr", Algorithm::Bbr)];

/// One row: what was measured, and what it cost for each number of flows [ns].
struct Row {
    name: String,
    nanos: Vec<f64>,
}

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut rows: Vec<Row> = Vec::new();
    for (name, algorithm) in ALGORITHMS {
        let columns = FLOWS.map(|(flows, flight)| Leg::new(algorithm, flows, flight).measure(RUNS));
        for (at, figure) in leg::FIGURES.iter().enumerate() {
            let nanos = columns.iter().map(|column| column[at]).collect();
            rows.push(Row { name: format!("{figure}, {name}"), nanos });
        }
    }
    let idle = idle::measure();
    if json {
        println!("{}", as_json(&rows, &idle));
    } else {
        print_table(&rows, &idle);
    }
}

fn print_table(rows: &[Row], idle: &idle::Costs) {
    print!("{:<44}", "[ns each], flows");
    FLOWS.iter().for_each(|(flows, _)| print!("{flows:>10}"));
    println!();
    for row in rows {
        print!("{:<44}", row.name);
        row.nanos.iter().for_each(|nanos| print!("{nanos:>10.0}"));
        println!();
    }
    println!();
    println!("an idle connection, both legs: at most {} octets", idle_connection_octets());
    println!("  measured with {} of them: {} octets", idle.connections, idle.octets_each);
    println!("  to let one sleep: {} ns", idle.sleep_nanos);
    println!(
        "  segment to one awake: {} ns; to one asleep: {} ns",
        idle.awake_nanos, idle.woken_nanos
    );
}

fn as_json(rows: &[Row], idle: &idle::Costs) -> String {
    let mut out = String::from("{\n  \"costs\": [\n");
    for (index, row) in rows.iter().enumerate() {
        let figures: Vec<String> = FLOWS
            .iter()
            .zip(&row.nanos)
            .map(|((flows, _), nanos)| format!("\"{flows}\": {nanos:.1}"))
            .collect();
        let comma = if index + 1 < rows.len() { "," } else { "" };
        let _ = writeln!(
            out,
            "    {{\"name\": \"{}\", \"ns\": {{{}}}}}{comma}",
            row.name,
            figures.join(", ")
        );
    }
    let _ = write!(
        out,
        "  ],\n  \"idle\": {{\"connections\": {}, \"octets_max\": {}, \"octets\": {}, \
         \"sleep_ns\": {}, \"awake_ns\": {}, \"woken_ns\": {}}}\n}}",
        idle.connections,
        idle_connection_octets(),
        idle.octets_each,
        idle.sleep_nanos,
        idle.awake_nanos,
        idle.woken_nanos
    );
    out
}
