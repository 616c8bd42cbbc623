//! Workers are told, not touched: commands reach a lane on a queue of its own, taken between
//! bursts. Of what Linux knows only the latest matters: that waits in a place beside the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use tokio::sync::oneshot;

use super::bell::Bell;
use super::worker::Page;
use crate::kernel::{NextHop, Resolver, Routes};
use crate::limits::COMMANDS_MAX;
use crate::shield::cookie::Keys;
use crate::telemetry::Snapshot;
use crate::time::Instant;

/// What a lane can be told.
#[derive(Debug)]
pub enum Command {
    /// What Linux knows now.
    Routes(Arc<Routes>),
    /// Fill this and send it back.
    Snapshot(Box<Snapshot>, oneshot::Sender<Box<Snapshot>>),
    /// Fill this with what comes next of the connections and send it back. Who asks for the next page
    /// has had the last: so there is one at most in each turn.
    Connections(Box<Page>, oneshot::Sender<Box<Page>>),
    /// Open connections to those who prove a SYN cookie of these keys. Until the first keys come,
    /// cookies are off. The shield is given new keys after the lanes, or its first cookies would be
    /// refused.
    CookieKeys(Keys),
    /// Take no new connections.
    Drain,
    /// Reset what is open, give everything back, and end.
    Stop,
}

/// A lane's side of its queue of commands.
#[derive(Debug)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

/// The side that commands a lane; may be cloned.
#[derive(Clone, Debug)]
pub struct Commands {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Command>,
    /// Holds one: a newer one takes its place.
    routes: ArrayQueue<Arc<Routes>>,
    /// Rung when a command waits, so that a sleeping lane wakes.
    bell: Bell,
    /// When the lane last began a turn [CLOCK_MONOTONIC ns].
    beat_ns: AtomicU64,
}

/// Makes the two sides of a lane's queue.
pub fn mailbox() -> std::io::Result<(Commands, Mailbox)> {
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(COMMANDS_MAX),
        routes: ArrayQueue::new(1),
        bell: Bell::new()?,
        beat_ns: AtomicU64::new(0),
    });
    Ok((Commands { shared: shared.clone() }, Mailbox { shared }))
}

impl Commands {
    /// Tells the lane; gives the command back when the lane has not taken the earlier ones yet.
    /// Never gives back [`Command::Routes`]: they replace those not taken yet.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        match command {
            Command::Routes(routes) => drop(self.shared.routes.force_push(routes)),
            other => self.shared.queue.push(other)?,
        }
        self.shared.bell.ring_anyway();
        Ok(())
    }

    /// What wakes the lane.
    pub(super) fn bell(&self) -> &Bell {
        &self.shared.bell
    }

    /// When the lane last showed that it is alive; the start of the clock if it never did.
    #[inline]
    pub fn last_beat(&self) -> Instant {
        Instant::from_nanos(self.shared.beat_ns.load(Ordering::Relaxed))
    }
}

impl Mailbox {
    /// The next command. What Linux knows now goes before what was asked before.
    #[inline]
    pub fn take(&self) -> Option<Command> {
        self.shared.routes.pop().map(Command::Routes).or_else(|| self.shared.queue.pop())
    }

    /// Shows that the lane is alive.
    #[inline]
    pub fn beat(&self, now: Instant) {
        self.shared.beat_ns.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// What wakes the lane; for others, too, who have something for it.
    pub fn bell(&self) -> &Bell {
        &self.shared.bell
    }
}

/// Whoever can make Linux find a neighbour's link-layer address.
pub trait Neighbours {
    /// Asks for a neighbour; the answer comes as [`Command::Routes`].
    fn resolve(&mut self, next_hop: NextHop);

    /// Says that packets go to a neighbour.
    fn in_use(&mut self, next_hop: NextHop);
}

impl Neighbours for Resolver {
    fn resolve(&mut self, next_hop: NextHop) {
        // Too many questions wait already: the handshake's next try asks again.
        let _ = Resolver::resolve(self, next_hop);
    }

    fn in_use(&mut self, next_hop: NextHop) {
        // Said again before Linux forgets.
        let _ = Resolver::in_use(self, next_hop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_routes_reach_a_lane_that_takes_nothing_else() {
        let (commands, mailbox) = mailbox().unwrap();
        for _ in 0..COMMANDS_MAX {
            commands.send(Command::Drain).unwrap();
        }
        assert!(matches!(commands.send(Command::Drain), Err(Command::Drain)));
        let latest = Arc::new(Routes::default());
        commands.send(Command::Routes(Arc::new(Routes::default()))).unwrap();
        commands.send(Command::Routes(latest.clone())).unwrap();

        let Some(Command::Routes(taken)) = mailbox.take() else { panic!("no routes") };
        assert!(Arc::ptr_eq(&taken, &latest));
        let rest = std::iter::from_fn(|| mailbox.take());
        assert_eq!(rest.filter(|command| matches!(command, Command::Drain)).count(), COMMANDS_MAX);
    }
}
