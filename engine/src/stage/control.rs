//! Workers are told, not touched: commands reach a lane on a queue of its own, taken between
//! bursts.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::oneshot;

use crate::kernel::{NextHop, Resolver, Routes};
use crate::limits::COMMANDS_MAX;
use crate::telemetry::Snapshot;

/// What a lane can be told.
#[derive(Debug)]
pub enum Command {
    /// What Linux knows now.
    Routes(Arc<Routes>),
    /// Fill this and send it back.
    Snapshot(Box<Snapshot>, oneshot::Sender<Box<Snapshot>>),
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
    /// Readable when a command waits, so that a sleeping lane wakes.
    wake: EventFd,
}

/// Makes the two sides of a lane's queue.
pub fn mailbox() -> std::io::Result<(Commands, Mailbox)> {
    let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
    let shared = Arc::new(Shared { queue: ArrayQueue::new(COMMANDS_MAX), wake });
    Ok((Commands { shared: shared.clone() }, Mailbox { shared }))
}

impl Commands {
    /// Tells the lane; gives the command back when the lane has not taken the earlier ones yet.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        self.shared.queue.push(command)?;
        // A counter that is full is readable already.
        let _ = self.shared.wake.write(1);
        Ok(())
    }
}

impl Mailbox {
    /// The next command.
    #[inline]
    pub fn take(&self) -> Option<Command> {
        self.shared.queue.pop()
    }

    pub(super) fn wake(&self) -> &EventFd {
        &self.shared.wake
    }

    pub(super) fn clear_wake(&self) {
        // Not readable means that nobody has written since.
        let _ = self.shared.wake.read();
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
