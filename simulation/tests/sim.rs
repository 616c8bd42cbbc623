//! Whole appliances from seeds: a fixed set of runs, those that have found something, and a fresh one.

use std::time::{SystemTime, UNIX_EPOCH};

use ringroad_simulation::sim::{Case, Scenario, Watch, run};

/// Of each scenario.
const SEEDS: std::ops::Range<u64> = 0..3;

/// Runs that have found something, with what it was: `SCENARIO SEED WHAT`.
const REGRESSIONS: &str = include_str!("sim/regressions.txt");

fn play(case: &Case) {
    let Case { scenario, seed, workers, .. } = case;
    if let Err(failure) = run(case, &Watch::default()) {
        panic!(
            "{failure}\nagain, with {workers} workers: ringroad sim --scenario {scenario} --seed {seed}"
        );
    }
}

#[test]
fn every_scenario_holds() {
    for scenario in Scenario::ALL {
        SEEDS.for_each(|seed| play(&scenario.case(seed)));
    }
}

#[test]
fn what_was_found_once_is_not_there_again() {
    for line in REGRESSIONS.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (Some(scenario), Some(seed)) = (words.next(), words.next()) else { continue };
        let scenario: Scenario = scenario.parse().expect("a scenario");
        let case = scenario.case(seed.parse().expect("a seed"));
        // What a pipeline shows may need one; what one lane shows was found by one.
        play(&case);
        if case.workers > 0 {
            play(&case.in_one_lane());
        }
    }
}

#[test]
fn a_fresh_run_holds() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    let seed = u64::from(since.subsec_nanos());
    eprintln!("\na fresh run: ringroad sim --scenario mixed --seed {seed}");
    play(&Scenario::Mixed.case(seed));
}

#[test]
fn the_same_seed_is_the_same_run_to_the_octet() {
    for scenario in [Scenario::Mixed, Scenario::Flood] {
        let fingerprint = || {
            let report = run(&scenario.case(1), &Watch::default()).expect("a run that holds");
            (report.fingerprint, report.packets, report.ledger)
        };
        assert_eq!(fingerprint(), fingerprint());
    }
    let of = |seed| run(&Scenario::Mixed.case(seed), &Watch::default()).map(|r| r.fingerprint);
    assert_ne!(of(1), of(2));
}
