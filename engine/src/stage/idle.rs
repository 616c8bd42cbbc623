//! What a lane does when nothing comes.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::control::Mailbox;
use crate::limits::{BUSY_PACKETS, NAP, PORTS_PER_LANE_MAX, SLEEP_MAX};
use crate::time::Instant;

/// How a lane spends its idle time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePolicy {
    /// Never sleeps.
    Spin,
    /// Naps when there is little to do, and sleeps on its devices when there is nothing.
    Adaptive,
}

/// What to do between two turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Look again at once.
    None,
    /// Let packets gather for a moment.
    Nap,
    /// Sleep until something comes.
    Sleep,
}

/// Chooses the pause after each turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    policy: IdlePolicy,
}

impl Idle {
    pub(super) fn new(policy: IdlePolicy) -> Self {
        Idle { policy }
    }

    /// After a turn that received `found` packets.
    ///
    /// Under load the next burst is waiting already. With little to do, what costs is not the
    /// packets but waking for each of them: a nap lets a few gather, as a NIC's interrupt
    /// moderation does. A packet that finds the lane asleep wakes it at once.
    #[inline]
    pub(super) fn pause(self, found: usize) -> Pause {
        match self.policy {
            IdlePolicy::Spin => Pause::None,
            IdlePolicy::Adaptive if found == 0 => Pause::Sleep,
            IdlePolicy::Adaptive if found < BUSY_PACKETS => Pause::Nap,
            IdlePolicy::Adaptive => Pause::None,
        }
    }

    /// Sleeps for the length of a nap.
    pub(super) fn nap(self) {
        std::thread::sleep(NAP);
    }

    /// Sleeps until a device, Linux or the mailbox has something, `deadline` comes, or it is time
    /// to show a sign of life. No longer than a nap if there is a device that cannot wake us.
    pub(super) fn sleep<'a>(
        self,
        devices: impl Iterator<Item = Option<BorrowedFd<'a>>>,
        linux: impl Iterator<Item = BorrowedFd<'a>>,
        mailbox: &'a Mailbox,
        now: Instant,
        deadline: Instant,
    ) {
        let mut longest = SLEEP_MAX;
        let devices = devices.filter_map(|fd| {
            if fd.is_none() {
                longest = NAP;
            }
            fd
        });
        let mut others = devices.chain(linux);
        let wake = mailbox.bell().as_fd();
        let mut used = 0;
        // The mailbox, then all others; places behind them are not looked at.
        let mut fds: [PollFd<'a>; WAKERS_MAX] = std::array::from_fn(|place| {
            let other = if place == 0 { None } else { others.next() };
            used += usize::from(place == 0 || other.is_some());
            PollFd::new(other.unwrap_or(wake), PollFlags::POLLIN)
        });
        drop(others);
        let timeout = deadline.since(now).min(longest);
        if timeout < SLEEP_WORTH_ITS_COST {
            return;
        }
        // Interrupted or refused, the loop goes on as if something had come.
        let _ = ppoll(&mut fds[..used], Some(TimeSpec::from(timeout)), None);
        if fds[0].any().unwrap_or(false) {
            mailbox.bell().clear();
        }
    }
}

/// The mailbox, and of each port the device and its interface in Linux.
const WAKERS_MAX: usize = 1 + 2 * PORTS_PER_LANE_MAX;

/// A shorter sleep takes longer to fall into than to wait out.
const SLEEP_WORTH_ITS_COST: Duration = Duration::from_micros(5);

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::time::Instant as Clock;

    use nix::sys::eventfd::EventFd;

    use super::*;
    use crate::stage::mailbox;

    /// Shortest of some sleeps without a deadline.
    fn sleep(devices: &[Option<BorrowedFd<'_>>], linux: &[BorrowedFd<'_>]) -> Duration {
        let (_commands, mailbox) = mailbox().unwrap();
        let sleeps = (0..10).map(|_| {
            let start = Clock::now();
            let (devices, linux) = (devices.iter().copied(), linux.iter().copied());
            let idle = Idle::new(IdlePolicy::Adaptive);
            idle.sleep(devices, linux, &mailbox, Instant::ZERO, Instant::FAR_FUTURE);
            start.elapsed()
        });
        sleeps.min().unwrap()
    }

    #[test]
    fn a_device_that_cannot_wake_the_lane_is_looked_at_again_soon() {
        let quiet = OwnedFd::from(EventFd::new().unwrap());
        assert!(sleep(&[Some(quiet.as_fd())], &[]) >= SLEEP_MAX);
        assert!(sleep(&[Some(quiet.as_fd()), None], &[]) < SLEEP_MAX / 2);
    }

    #[test]
    fn whatever_becomes_readable_wakes_the_lane() {
        let quiet = OwnedFd::from(EventFd::new().unwrap());
        let ready = OwnedFd::from(EventFd::from_value(1).unwrap());
        // As many as a lane has, and the last one wakes it.
        let devices = [Some(quiet.as_fd()); PORTS_PER_LANE_MAX];
        let mut linux = [quiet.as_fd(); PORTS_PER_LANE_MAX];
        linux[PORTS_PER_LANE_MAX - 1] = ready.as_fd();
        assert!(sleep(&devices, &linux) < SLEEP_MAX / 2);
    }
}
