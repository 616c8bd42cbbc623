//! The kept tables are what the engine does today, and what it does is good enough.

use std::thread::available_parallelism;

use ringroad_simulation::goodput::matrix::{
    self, ALGORITHMS, Experiment, RATES_MBPS, ROUND_TRIPS_MS, Table,
};
use ringroad_simulation::goodput::snapshot::run_all;
use ringroad_simulation::goodput::tables::Snapshots;

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

/// The value of a column in the row of one flow.
fn alone(kept: &Snapshots, key: &str, column: &str) -> f64 {
    let value = kept.goodput.value(Table::Goodput, key, column);
    value.unwrap_or_else(|| panic!("{key}: no {column} is kept; {AGAIN}"))
}

#[test]
fn cubic_uses_more_than_nine_tenths_of_a_path_without_loss() {
    let kept = kept();
    for rate in RATES_MBPS {
        for rtt in ROUND_TRIPS_MS {
            let goodput =
                alone(&kept, &format!("cubic,{rate},{rtt},1.0,0,none"), "goodput_percent");
            assert!(goodput > 90.0, "{rate} Mbit/s, {rtt} ms: {goodput} %");
        }
    }
}

#[test]
fn bbr_holds_four_fifths_at_one_percent_of_loss_and_100_ms() {
    let kept = kept();
    for rate in RATES_MBPS {
        for kind in ["random", "bursts"] {
            let goodput = alone(&kept, &format!("bbr,{rate},100,1.0,1,{kind}"), "goodput_percent");
            assert!(goodput >= 80.0, "{rate} Mbit/s, {kind}: {goodput} %");
        }
    }
}

#[test]
fn vegas_and_bbr_keep_the_queue_below_a_bdp_where_the_buffer_is_deep() {
    let kept = kept();
    for rate in RATES_MBPS {
        for rtt in [10, 100] {
            let queue = |name: &str| {
                alone(&kept, &format!("{name},{rate},{rtt},4.0,0,none"), "queue_mean_bdp")
            };
            for name in ["vegas", "bbr"] {
                let queue = queue(name);
                assert!(queue < 1.0, "{name}, {rate} Mbit/s, {rtt} ms: {queue} BDP");
            }
            // There was room for more: others use it.
            let queue = queue("reno");
            assert!(queue > 1.0, "reno, {rate} Mbit/s, {rtt} ms: {queue} BDP");
        }
    }
}

#[test]
fn equals_share_alike() {
    let kept = kept();
    for (_, name) in ALGORITHMS {
        for count in [2, 8] {
            for rtt in [20, 100] {
                let key = format!("{count} x {name},100,{rtt},1.0");
                let index = kept.fairness.value(Table::Fairness, &key, "jain_index");
                let index = index.unwrap_or_else(|| panic!("{key}: no row is kept; {AGAIN}"));
                // BBR's flows probe by the clock where round trips are long, and many take minutes
                // to agree; of Vegas's those have least that came first, as who comes later takes
                // their queue for the path.
                let least = match name {
                    "bbr" if (count, rtt) == (8, 100) => 0.6,
                    "bbr" => 0.9,
                    "vegas" => 0.4,
                    _ => 0.8,
                };
                assert!(index > least, "{key}: Jain's index is {index}");
            }
        }
    }
}

#[test]
fn nothing_delivers_more_than_the_path_carries() {
    let kept = kept();
    for Experiment { table, key, .. } in matrix::all() {
        if table == Table::Goodput {
            // 1448 of 1500 octets are payload.
            let goodput = alone(&kept, &key, "goodput_whole_percent");
            assert!(goodput < 96.6, "{key}: {goodput} %");
        }
    }
}
