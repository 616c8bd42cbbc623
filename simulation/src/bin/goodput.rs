//! What the engine's TCP makes of paths of all kinds, in virtual time; see docs/goodput.md.
//!
//!     cargo run --release -p ringroad-simulation --bin goodput -- --check

#![allow(clippy::print_stdout, reason = "a program that prints rows")]

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use clap::Parser;
use ringroad_simulation::goodput::dumbbell::TextTrace;
use ringroad_simulation::goodput::matrix::{self, Experiment, Table};
use ringroad_simulation::goodput::snapshot::run_all;
use ringroad_simulation::goodput::tables::Snapshots;

/// Runs experiments and prints, keeps or compares their rows.
#[derive(Debug, Parser)]
struct Options {
    /// Keep the rows in the snapshot
    #[arg(long)]
    write: bool,
    /// Compare the rows with the snapshot, and fail if any differs
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Only experiments whose key begins so, for example "cubic,100,"; may be repeated
    #[arg(long)]
    only: Vec<String>,
    /// Only what `cargo test` repeats
    #[arg(long)]
    quick: bool,
    /// Threads [default: one for each processor]
    #[arg(long)]
    jobs: Option<usize>,
    /// Show the source's state every so many milliseconds, of one experiment
    #[arg(long, value_name = "MS")]
    state: Option<u64>,
    /// Show every segment too
    #[arg(long, requires = "state")]
    segments: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("goodput: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<bool> {
    let all = matrix::all();
    let mut chosen = all.clone();
    chosen.retain(|experiment| {
        options.only.is_empty() || options.only.iter().any(|only| experiment.key.starts_with(only))
    });
    chosen.retain(|experiment| !options.quick || experiment.is_quick());
    if chosen.is_empty() {
        return Err(io::Error::other("no experiment has a key that begins so"));
    }
    if let Some(every) = options.state {
        trace(&chosen[0], Duration::from_millis(every), options.segments);
        return Ok(true);
    }
    let mut kept = Snapshots::read()?;
    let jobs = options.jobs.or_else(|| available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let began = Instant::now();
    let (mut done, mut different) = (0, 0);
    let loud = !options.write && !options.check;
    run_all(&chosen, jobs, |experiment, row| {
        done += 1;
        let snapshot = kept.of_mut(experiment.table);
        let same = snapshot.row(&experiment.key) == Some(&row);
        different += usize::from(!same);
        if options.check && !same {
            println!("- {}\n+ {row}", snapshot.row(&experiment.key).unwrap_or("(no such row)"));
        } else if loud {
            println!("{row}");
        } else if io::stderr().is_terminal() {
            eprint!("\r{done} of {}", chosen.len());
        }
        snapshot.put(experiment.table, row);
        // A long run that is interrupted keeps what it has.
        if options.write && done % 50 == 0 {
            let _ = snapshot.write(experiment.table, &all);
        }
    });
    if options.write {
        for table in [Table::Goodput, Table::Fairness] {
            kept.of(table).write(table, &all)?;
        }
        kept.write_page()?;
    }
    let seconds = began.elapsed().as_secs();
    writeln!(
        io::stderr(),
        "{done} experiments in {seconds} s, {different} differ from the snapshot"
    )?;
    Ok(!options.check || different == 0)
}

fn trace(experiment: &Experiment, every: Duration, segments: bool) {
    let mut dumbbell = experiment.scenario.build();
    dumbbell.trace(TextTrace::new(io::stdout().lock(), segments, every));
    let outcome = experiment.scenario.measure(dumbbell);
    println!("{}", experiment.row(&outcome));
}
