//! The simulation finds mistakes: each of those that can be planted in the engine, within so many runs,
//! none of which fails without.

use std::sync::Mutex;
use std::thread;

use ringroad_engine::planted::{Fault, plant};
use ringroad_simulation::sim::{Failure, Scenario, Watch, run};

const SCENARIOS: usize = Scenario::ALL.len();

/// Within how many runs a fault is found: of each scenario one, unless it takes more to meet it.
fn runs_for(fault: Fault) -> usize {
    match fault {
        _ => SCENARIOS,
    }
}

/// The runs in their order: of each scenario one, then the next of each.
fn play(number: usize) -> Result<(), Failure> {
    let scenario = Scenario::ALL[number % SCENARIOS];
    run(&scenario.case((number / SCENARIOS) as u64), &Watch::default()).map(drop)
}

fn name_of(number: usize) -> String {
    format!("{} {}", Scenario::ALL[number % SCENARIOS], number / SCENARIOS)
}

#[test]
fn each_fault_that_is_planted_is_found() {
    let findings = each(Fault::ALL, |fault| {
        let _planted = plant(*fault);
        (0..runs_for(*fault)).find_map(|number| Some((number, play(number).err()?)))
    });
    let mut missed = Vec::new();
    for (fault, found) in Fault::ALL.iter().zip(findings) {
        match found {
            Some((number, failure)) => eprintln!(
                "{fault:?} {} runs of {} ({}): {}",
                number + 1,
                runs_for(*fault),
                name_of(number),
                failure.to_string().chars().take(120).collect::<String>()
            ),
            None => missed.push(fault),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    let most = Fault::ALL.iter().map(|fault| runs_for(*fault)).max().unwrap_or_default();
    let numbers: Vec<usize> = (0..most).collect();
    let failures = each(&numbers, |number| play(*number).err());
    for (number, failure) in numbers.iter().zip(failures) {
        assert_eq!(failure, None, "{}", name_of(*number));
    }
}

/// What `work` makes of each, in order, on as many threads as there are cores.
fn each<T: Sync, R: Send>(of: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let queue = Mutex::new(of.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let next = || queue.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                while let Some((index, item)) = next() {
                    let result = work(item);
                    done.lock().into_iter().for_each(|mut done| done.push((index, result)));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
