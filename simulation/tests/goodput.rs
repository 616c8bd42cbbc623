//! The kept tables are what the engine does today, and what it does is good enough.

use std::thread::available_parallelism;

use ringroad_simulation::matrix::{self, Experiment, Table};
use ringroad_simulation::snapshot::{Snapshot, run_all};

const AGAIN: &str =
    "if the change is meant: `make goodput`, and look at what has become of the rest";

fn kept(table: Table) -> Snapshot {
    Snapshot::read(table).expect("the snapshot can be read")
}

#[test]
fn every_experiment_is_kept() {
    for experiment in matrix::all() {
        let row = kept(experiment.table);
        assert!(row.row(&experiment.key).is_some(), "{}: no row is kept; {AGAIN}", experiment.key);
    }
}

#[test]
fn what_is_kept_is_what_happens() {
    let mut quick: Vec<Experiment> = matrix::all();
    quick.retain(Experiment::is_quick);
    let tables = [Table::Goodput, Table::Fairness].map(kept);
    let jobs = available_parallelism().map_or(1, Into::into);
    let mut different = Vec::new();
    run_all(&quick, jobs, |experiment, row| {
        let table = &tables[usize::from(experiment.table == Table::Fairness)];
        let before = table.row(&experiment.key).unwrap_or("(no such row)");
        if before != row {
            different.push(format!("- {before}\n+ {row}"));
        }
    });
    different.sort();
    assert!(
        different.is_empty(),
        "{} of {} experiments end otherwise than is kept; {AGAIN}\n{}",
        different.len(),
        quick.len(),
        different.join("\n")
    );
}
