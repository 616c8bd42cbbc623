//! What a lane does when nothing comes.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::control::Mailbox;
use crate::limits::{IDLE_POLLS_BEFORE_SLEEP, PORTS_PER_LANE_MAX, SLEEP_MAX};
use crate::time::Instant;

/// How a lane spends its idle time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePolicy {
    /// Never sleeps.
    Spin,
    /// Sleeps on its devices after a number of turns that found nothing.
    Adaptive,
}

/// Counts empty turns, and sleeps when the policy says so.
#[derive(Debug)]
pub(super) struct Idle {
    policy: IdlePolicy,
    empty_turns: u32,
}

impl Idle {
    pub(super) fn new(policy: IdlePolicy) -> Self {
        Idle { policy, empty_turns: 0 }
    }

    /// Work was found.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.empty_turns = 0;
    }

    /// Nothing was found: whether to sleep now.
    #[inline]
    pub(super) fn wants_sleep(&mut self) -> bool {
        self.empty_turns = self.empty_turns.saturating_add(1);
        match self.policy {
            IdlePolicy::Spin => {
                std::hint::spin_loop();
                false
            }
            IdlePolicy::Adaptive => self.empty_turns > IDLE_POLLS_BEFORE_SLEEP,
        }
    }

    /// Sleeps until a device or the mailbox has something, `deadline` comes, or it is time to
    /// show a sign of life.
    pub(super) fn sleep<'a>(
        &self,
        mut devices: impl Iterator<Item = BorrowedFd<'a>>,
        mailbox: &'a Mailbox,
        now: Instant,
        deadline: Instant,
    ) {
        let timeout = deadline.since(now).min(SLEEP_MAX);
        if timeout < SLEEP_WORTH_ITS_COST {
            return;
        }
        let wake = mailbox.wake().as_fd();
        // Unused places look at the mailbox once more.
        let mut fds: [PollFd<'a>; PORTS_PER_LANE_MAX + 1] = std::array::from_fn(|place| {
            let fd = if place == 0 { None } else { devices.next() };
            PollFd::new(fd.unwrap_or(wake), PollFlags::POLLIN)
        });
        // Interrupted or refused, the loop goes on as if something had come.
        let _ = ppoll(&mut fds, Some(TimeSpec::from(timeout)), None);
        if fds[0].any().unwrap_or(false) {
            mailbox.clear_wake();
        }
    }
}

/// A shorter sleep takes longer to fall into than to wait out.
const SLEEP_WORTH_ITS_COST: Duration = Duration::from_micros(5);
