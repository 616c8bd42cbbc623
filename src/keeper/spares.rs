//! Empty sets of histograms, for the next exchange.
//!
//! A set is large, and a core that recorded into fresh memory would fault it in page by page. So those
//! that there are go round: from here to a core, from there to whoever wants what was recorded, and back.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringroad_engine::telemetry::Recorders;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Spares {
    empty: Arc<Mutex<Vec<Recorders>>>,
    /// Sets to keep; more were needed only while somebody was slow.
    most: usize,
}

impl Spares {
    pub(super) fn new(most: usize) -> Self {
        Spares { empty: Arc::default(), most }
    }

    pub(super) fn take(&self) -> Recorders {
        let spare = self.empty().pop();
        spare.unwrap_or_default()
    }

    /// What was recorded into one of them.
    pub(super) fn lend(&self, recorded: Recorders) -> Lent {
        Lent { recorded, home: Some(self.clone()) }
    }

    fn take_back(&self, mut used: Recorders) {
        if used.is_on() && self.empty().len() < self.most {
            used.reset();
            self.empty().push(used);
        }
    }

    fn empty(&self) -> MutexGuard<'_, Vec<Recorders>> {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set in use, which is empty and with the spare ones again when dropped.
#[derive(Debug)]
pub(crate) struct Lent {
    recorded: Recorders,
    home: Option<Spares>,
}

impl From<Recorders> for Lent {
    /// One that belongs nowhere.
    fn from(recorded: Recorders) -> Self {
        Lent { recorded, home: None }
    }
}

impl Deref for Lent {
    type Target = Recorders;

    fn deref(&self) -> &Recorders {
        &self.recorded
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Recorders {
        &mut self.recorded
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.take_back(std::mem::replace(&mut self.recorded, Recorders::off()));
        }
    }
}

#[cfg(test)]
mod tests {
    use ringroad_engine::telemetry::Measure;

    use super::*;

    #[test]
    fn sets_come_back_empty_and_no_more_are_kept_than_are_needed() {
        let spares = Spares::new(1);
        let [mut first, second] = [0; 2].map(|_| spares.lend(spares.take()));
        first.record(Measure::Inside, 10);
        drop((first, second));
        assert_eq!(spares.empty().len(), 1);
        assert!(spares.take().histogram(Measure::Inside).is_some_and(|inside| inside.is_empty()));
        assert!(spares.empty().is_empty());
    }
}
