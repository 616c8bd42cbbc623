//! The kept tables are what the engine does today, and what it does is good enough.

use std::thread::available_parallelism;

use ringroad_simulation::matrix::{self, Experiment};
use ringroad_simulation::snapshot::run_all;
use ringroad_simulation::tables::Snapshots;

const AGAIN: &str =
    "if the change is meant: `make goodput`, and look at what has become of the rest";

fn kept() -> Snapshots {
    Snapshots::read().expect("the snapshot can be read")
}

#[test]
fn every_experiment_is_kept() {
    let kept = kept();
    for Experiment { table, key, .. } in matrix::all() {
        assert!(kept.of(table).row(&key).is_some(), "{key}: no row is kept; {AGAIN}");
    }
}

#[test]
fn the_page_shows_what_is_kept() {
    let (page, shown) = kept().page().expect("docs/goodput.md can be read");
    assert!(page == shown, "docs/goodput.md shows other figures than are kept; {AGAIN}");
}

#[test]
fn what_is_kept_is_what_happens() {
    let mut quick: Vec<Experiment> = matrix::all();
    quick.retain(Experiment::is_quick);
    let kept = kept();
    let jobs = available_parallelism().map_or(1, Into::into);
    let mut different = Vec::new();
    run_all(&quick, jobs, |experiment, row| {
        let before = kept.of(experiment.table).row(&experiment.key).unwrap_or("(no such row)");
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
