//! Cuts a case that fails down to what it takes to fail the same way.

use std::time::{Duration, Instant as Clock};

use super::case::Case;
use super::failure::Failure;
use super::run::run;
use super::watch::Watch;
use crate::internet::NetworkSettings;

/// A smaller case that fails as the one that it was cut from.
#[derive(Clone, Debug)]
pub struct Shrunk {
    pub case: Case,
    pub failure: Failure,
    /// Cases that were tried.
    pub tried: u32,
}

/// Leaves out workers, faults, networks' trouble and connections as long as the same oracle objects, until
/// nothing more can be left out or the time is up.
pub fn shrink(case: &Case, failure: &Failure, time: Duration) -> Shrunk {
    let shrunk = Shrunk { case: case.clone(), failure: failure.clone(), tried: 0 };
    let mut search = Search { shrunk, until: Clock::now() + time };
    loop {
        let before = search.size();
        search.leave_out_workers();
        search.leave_out(|case| &mut case.clients);
        search.leave_out(|case| &mut case.intruders);
        search.leave_out(|case| &mut case.admin_faults);
        search.leave_out(|case| &mut case.origin_faults);
        search.leave_out(|case| &mut case.port_faults);
        search.leave_out(|case| &mut case.stalls);
        search.mend_networks();
        if search.size() == before || search.is_late() {
            return search.shrunk;
        }
    }
}

struct Search {
    shrunk: Shrunk,
    until: Clock,
}

impl Search {
    /// As few as can be, down to one lane that does all.
    fn leave_out_workers(&mut self) {
        for workers in 0..self.shrunk.case.workers {
            let left_out = self.attempt(|case| match workers {
                0 => *case = case.clone().in_one_lane(),
                _ => case.workers = workers,
            });
            if left_out {
                return;
            }
        }
    }

    /// Leaves out members of a list: half of them at a time, then a quarter, down to single ones
    /// (delta debugging, Zeller and Hildebrandt 2002).
    fn leave_out<T>(&mut self, list: impl Fn(&mut Case) -> &mut Vec<T>) {
        let mut chunk = list(&mut self.shrunk.case).len();
        while chunk > 0 {
            let mut from = 0;
            while from < list(&mut self.shrunk.case).len() {
                let left_out = self.attempt(|case| {
                    let list = list(case);
                    let to = (from + chunk).min(list.len());
                    list.drain(from..to);
                });
                if !left_out {
                    from += chunk;
                }
            }
            chunk /= 2;
        }
    }

    /// Has networks do nothing wrong, each as a whole, then by one setting after another.
    fn mend_networks(&mut self) {
        for side in 0..2 {
            for index in 0..self.shrunk.case.networks[side].len() {
                for mend in MENDS {
                    self.attempt(|case| mend(&mut case.networks[side][index]));
                }
            }
        }
    }

    /// Keeps a change after which the case still fails so. Tells whether it was one.
    fn attempt(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        if self.is_late() {
            return false;
        }
        let mut case = self.shrunk.case.clone();
        change(&mut case);
        self.shrunk.tried += 1;
        match run(&case, &Watch::default()) {
            Err(failure) if failure.resembles(&self.shrunk.failure) => {
                self.shrunk.case = case;
                self.shrunk.failure = failure;
                true
            }
            _ => false,
        }
    }

    fn is_late(&self) -> bool {
        Clock::now() >= self.until
    }

    fn size(&self) -> usize {
        self.shrunk.case.members()
    }
}

const MENDS: [fn(&mut NetworkSettings); 8] = [
    |network| {
        let name = std::mem::take(&mut network.name);
        *network = NetworkSettings { name, ..NetworkSettings::default() };
    },
    |network| network.middleboxes.clear(),
    |network| network.flapping = None,
    |network| network.black_hole = None,
    |network| paths(network, |path| path.loss = Default::default()),
    |network| paths(network, |path| path.duplicate_ppm = 0),
    |network| paths(network, |path| path.corrupt_ppm = 0),
    |network| paths(network, |path| path.reordering = Default::default()),
];

fn paths(network: &mut NetworkSettings, change: fn(&mut crate::internet::PathSettings)) {
    change(&mut network.up);
    change(&mut network.down);
}
