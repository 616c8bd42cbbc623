//! What stands ahead of a lane: it takes out of the traffic what is not the engine's, and must know
//! how the lane is.

mod twin;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use ringroad_ebpf::{Control, CookieService};

pub use twin::TwinGate;

use crate::frame::{Burst, FramePool};
use crate::shield::cookie::Keys;
use crate::telemetry::Snapshot;
use crate::telemetry::capture::Tap;
use crate::time::Instant;

/// What stands ahead of the engine: the shield. Where it is an XDP program, what is not the
/// engine's never comes this far, and most of this is nothing to do.
pub trait Gate {
    /// A sign of life.
    fn beat(&mut self, now: Instant);

    /// How long it waits for a sign of life before new connections are Linux's. A gate that stands still
    /// with its lane waits for ever.
    fn patience(&self) -> Duration {
        Duration::MAX
    }

    /// Whether new connections to a service are taken, or left to Linux.
    fn set_accepting(&mut self, service: usize, accepting: bool);

    /// Has SYN cookies sealed with these keys from now on, if they are sealed here.
    fn set_cookie_keys(&mut self, _keys: Keys) {}

    /// What answers to new connections to a service say of segment sizes from now on, if they are
    /// written here.
    fn set_cookie_mss(&mut self, _service: usize, _says: &CookieService) {}

    /// Has new connections answered by SYN cookies from now on, or not any more, where they are to
    /// be under pressure alone.
    fn set_pressure(&mut self, _on: bool) {}

    /// How many connections are half open, if that has to be known here.
    fn set_half_open(&mut self, _half_open: usize) {}

    /// Whether new connections are answered by SYN cookies, where that is decided here; else the
    /// lane decides it.
    fn cookies_on(&self) -> Option<bool> {
        None
    }

    /// New connections that came for the lane, answered before it or not.
    fn new_connections(&self) -> u64 {
        0
    }

    /// Takes out of a burst that `port` received what is not the engine's. What stays keeps its
    /// order. Called once a turn for each port, also when it received nothing. Shows what it drops to `tap`.
    #[inline]
    fn screen(
        &mut self,
        _now: Instant,
        _port: u8,
        _pool: &mut FramePool,
        _burst: &mut Burst,
        _tap: Option<&mut Tap>,
    ) {
    }

    /// Appends what Linux sends by `port`, and answers to what was taken out, as far as there is
    /// room. Called once a turn.
    #[inline]
    fn relay(&mut self, _now: Instant, _port: u8, _pool: &mut FramePool, _out: &mut Burst) {}

    /// Adds what was counted here to what the worker counted.
    fn fill(&self, _snapshot: &mut Snapshot) {}

    /// What becomes readable when Linux sends something, for sleeping on.
    fn wait_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::empty()
    }

    /// Gives every frame back. Nothing passes afterwards.
    fn close(&mut self, _pool: &mut FramePool) {}
}

/// For lanes without a shield: simulation, tests.
#[derive(Clone, Copy, Debug)]
pub struct NoGate;

impl Gate for NoGate {
    fn beat(&mut self, _now: Instant) {}

    fn set_accepting(&mut self, _service: usize, _accepting: bool) {}
}

/// The shield in XDP.
#[derive(Debug)]
pub struct ShieldGate {
    control: Control,
    queues: Box<[u32]>,
    ports: u32,
}

impl ShieldGate {
    /// For the lane that serves these queues of each of the first `ports` ports: what it says, it says
    /// for them alone.
    pub fn new(control: Control, queues: impl IntoIterator<Item = u32>, ports: u32) -> Self {
        ShieldGate { control, queues: queues.into_iter().collect(), ports }
    }
}

impl Gate for ShieldGate {
    #[inline]
    fn beat(&mut self, now: Instant) {
        for queue in &self.queues {
            self.control.beat(*queue, now.as_nanos());
        }
    }

    fn patience(&self) -> Duration {
        self.control.heartbeat_limit()
    }

    fn set_accepting(&mut self, service: usize, accepting: bool) {
        for queue in &self.queues {
            self.control.set_accepting(*queue, service as u32, accepting);
        }
    }

    fn set_cookie_mss(&mut self, service: usize, says: &CookieService) {
        self.control.set_cookie_mss(service as u32, says);
    }

    fn set_pressure(&mut self, on: bool) {
        for queue in &self.queues {
            self.control.set_pressure(*queue, on);
        }
    }

    fn new_connections(&self) -> u64 {
        let of_port =
            |port| self.queues.iter().map(move |queue| self.control.new_connections(port, *queue));
        (0..self.ports).flat_map(of_port).sum()
    }
}
