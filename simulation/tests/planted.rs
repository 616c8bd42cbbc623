//! The simulation finds mistakes: each of those that can be planted in the engine, within so many runs of a
//! scenario.

use std::sync::Mutex;
use std::thread;

use ringroad_engine::planted::{Fault, plant};
use ringroad_simulation::sim::{Failure, Scenario, Watch, run};

/// Where a fault is looked for.
struct Search {
    fault: Fault,
    scenario: Scenario,
    /// Within so many runs it is found.
    runs: u64,
}

/// For each a scenario that has what it takes to meet it, and is soon over.
const SEARCHES: &[Search] = &[
    search(Fault::ChecksumNotVerified, Scenario::LossyMobile, 8),
    search(Fault::StaleSumTrusted, Scenario::Mixed, 4),
    search(Fault::FinNotAcknowledged, Scenario::LongFat, 2),
    search(Fault::WindowOverrun, Scenario::SlowOrigin, 2),
    search(Fault::ReleasedEarly, Scenario::Middlebox, 10),
    search(Fault::RetransmissionTimerForgotten, Scenario::Mixed, 4),
    search(Fault::ReassembledAcrossGap, Scenario::Satellite, 4),
    search(Fault::SackOneTooMany, Scenario::Satellite, 4),
    search(Fault::SupersededNotCounted, Scenario::Flood, 6),
    search(Fault::FrameLeaked, Scenario::Flood, 6),
    search(Fault::PeerMssIgnored, Scenario::SlowOrigin, 2),
    search(Fault::FinNotCarried, Scenario::Mixed, 4),
    search(Fault::ResetNotCarried, Scenario::Flood, 6),
    search(Fault::SleeperLosesTimestamps, Scenario::SlowOrigin, 6),
    search(Fault::FlowNotForgotten, Scenario::Satellite, 2),
    search(Fault::SourcePortNotGivenBack, Scenario::Satellite, 2),
    search(Fault::CookieMssTooLarge, Scenario::SlowOrigin, 4),
    search(Fault::SentWhileWithDevice, Scenario::Mixed, 12),
];

const fn search(fault: Fault, scenario: Scenario, runs: u64) -> Search {
    Search { fault, scenario, runs }
}

#[test]
fn each_fault_that_is_planted_is_found() {
    let findings = each(SEARCHES, |search| (0..search.runs).find_map(|seed| search.find(seed)));
    let mut missed = Vec::new();
    for (search, found) in SEARCHES.iter().zip(findings) {
        let Search { fault, scenario, runs } = search;
        match found {
            None => missed.push(fault),
            Some((seed, failure)) => {
                let said: String = failure.to_string().chars().take(100).collect();
                eprintln!("{fault:?}: {scenario}, run {} of {runs}: {said}", seed + 1);
            }
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn each_fault_is_looked_for() {
    for fault in Fault::ALL {
        assert!(
            SEARCHES.iter().any(|search| search.fault == *fault),
            "{fault:?}: {}",
            fault.name()
        );
    }
}

impl Search {
    /// What the run of a seed finds; a run that finds as much where nothing is planted does not count.
    fn find(&self, seed: u64) -> Option<(u64, Failure)> {
        let case = self.scenario.case(seed);
        let planted = plant(self.fault);
        let failure = run(&case, &Watch::default()).err()?;
        drop(planted);
        run(&case, &Watch::default()).is_ok().then_some((seed, failure))
    }
}

/// What `work` makes of each, in order, on as many threads as there are cores.
fn each<T: Sync, R: Send>(of: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let queue = Mutex::new(of.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let next = || queue.lock().expect("nobody panics with it").next();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                while let Some((index, item)) = next() {
                    let result = work(item);
                    done.lock().expect("nobody panics with it").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("all have ended");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
