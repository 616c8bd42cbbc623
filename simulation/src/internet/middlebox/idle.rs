//! A box that forgets what was idle.

use std::collections::BTreeMap;
use std::time::Duration;

use ringroad_engine::time::Instant;

use super::super::Way;
use super::super::segment::{Connection, Raw, opens};
use super::{Passage, Treat};

/// [`super::Middlebox::ForgetIdle`].
#[derive(Debug)]
pub(super) struct Forget {
    /// `None`: never.
    after: Option<Duration>,
    last_heard: BTreeMap<Connection, Instant>,
}

impl Forget {
    pub(super) fn new(after: Duration) -> Self {
        Forget { after: Some(after), last_heard: BTreeMap::new() }
    }

    fn is_forgotten(&self, now: Instant, connection: Connection) -> bool {
        let heard = self.last_heard.get(&connection);
        heard.is_some_and(|at| self.after.is_some_and(|after| now.since(*at) > after))
    }
}

impl Treat for Forget {
    fn take(&mut self, now: Instant, way: Way, segment: Raw, out: &mut Passage) {
        let connection = segment.connection(way);
        if opens(&segment) {
            self.last_heard.insert(connection, now);
        }
        if self.is_forgotten(now, connection) {
            out.swallowed += 1;
            return;
        }
        if let Some(heard) = self.last_heard.get_mut(&connection) {
            *heard = now;
        }
        out.pass(way, segment);
    }

    fn heal(&mut self) {
        self.after = None;
    }
}
