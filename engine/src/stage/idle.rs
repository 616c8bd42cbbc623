//! What a lane does when there is little to do, or nothing.
//!
//! To wake costs several times what a packet does, most of all in a virtual machine. So a lane may be
//! woken for single packets a few times in a row ([`PROMPT_WAKES`]), and from then on as often as naps
//! are long: under light load each packet is met at once, and under more they gather.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::control::Mailbox;
use super::stopwatch::Stopwatch;
use crate::limits::{
    BLIND_NAP_MAX, BUSY_PACKETS, NAP, PORTS_PER_LANE_MAX, PROMPT_WAKES, SLEEP_MAX,
};
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
enum Pause {
    /// Look again at once.
    None,
    /// Let packets gather for a moment.
    Nap,
    /// Sleep until something comes; it is this time now.
    Sleep(Instant),
}

/// Chooses the pause after each turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    policy: IdlePolicy,
    /// To be woken is paid for with the length of a nap: until when that makes. For single packets it
    /// may lie ahead by [`CREDIT`], and a nap uses all of that up.
    paid_until: Instant,
    /// Since when nothing has come; `None`: something came in the last turn.
    quiet_since: Option<Instant>,
}

impl Idle {
    pub(super) fn new(policy: IdlePolicy) -> Self {
        Idle { policy, paid_until: Instant::ZERO, quiet_since: None }
    }

    /// After a turn that received `found` packets. Under load the next burst is waiting already, and
    /// the clock is not read.
    #[inline]
    fn pause(&mut self, found: usize, clock: impl FnOnce() -> Instant) -> Pause {
        if self.policy == IdlePolicy::Spin {
            return Pause::None;
        }
        if found > 0 {
            self.quiet_since = None;
        }
        if found >= BUSY_PACKETS {
            // Who has been busy has not rested.
            self.paid_until = Instant::FAR_FUTURE;
            return Pause::None;
        }
        let now = clock();
        if found == 0 {
            self.quiet_since.get_or_insert(now);
        }
        let paid_until = self.paid_until.max(now) + NAP;
        let has_credit = paid_until <= now + CREDIT;
        self.paid_until = if has_credit { paid_until } else { now + NAP + CREDIT };
        if found == 0 || has_credit { Pause::Sleep(now) } else { Pause::Nap }
    }

    /// What a core does after a turn that received `found` packets, but for sleeping: if it is to
    /// sleep, this is the time now.
    #[inline]
    pub(super) fn rest(
        &mut self,
        found: usize,
        watch: &mut Stopwatch,
        clock: &mut impl FnMut() -> Instant,
    ) -> Option<Instant> {
        match self.pause(found, &mut *clock) {
            Pause::None => None,
            Pause::Nap => {
                watch.rest(clock());
                self.nap();
                None
            }
            Pause::Sleep(now) => {
                watch.rest(now);
                Some(now)
            }
        }
    }

    /// Sleeps for the length of a nap.
    pub(super) fn nap(&self) {
        std::thread::sleep(NAP);
    }

    /// Sleeps until a device, Linux or the mailbox has something, `deadline` comes, or it is time
    /// to show a sign of life. If there is a device that cannot wake us, it is soon looked at again.
    pub(super) fn sleep<'a>(
        &self,
        devices: impl Iterator<Item = Option<BorrowedFd<'a>>>,
        linux: impl Iterator<Item = BorrowedFd<'a>>,
        mailbox: &'a Mailbox,
        now: Instant,
        deadline: Instant,
    ) {
        let mut longest = SLEEP_MAX;
        let devices = devices.filter_map(|fd| {
            if fd.is_none() {
                longest = self.blind_nap(now);
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

    /// How long a device that cannot wake us is left alone: the longer nothing has come, the longer,
    /// so that what comes in the end waits an eighth of the pause before it at most.
    fn blind_nap(&self, now: Instant) -> Duration {
        let quiet = self.quiet_since.map_or(Duration::ZERO, |since| now.since(since));
        (quiet / 8).clamp(NAP, BLIND_NAP_MAX)
    }
}

/// What pauses may cost ahead of time.
const CREDIT: Duration = NAP.saturating_mul(PROMPT_WAKES);

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

    /// How often a lane sleeps after `turns` turns that find a packet each, one every `every`, and
    /// whether it naps in the end.
    fn sleeps(idle: &mut Idle, start: Instant, every: Duration, turns: u32) -> (usize, bool) {
        let times = (0..turns).map(|turn| start + every * turn);
        let pauses: Vec<_> = times.map(|now| idle.pause(1, || now)).collect();
        let sleeps = pauses.iter().filter(|pause| matches!(pause, Pause::Sleep(_))).count();
        (sleeps, pauses.last() == Some(&Pause::Nap))
    }

    #[test]
    fn a_lane_that_has_rested_is_woken_for_each_packet_and_then_naps() {
        let idle = &mut Idle::new(IdlePolicy::Adaptive);
        let start = Instant::from_millis(1000);
        let soon = Duration::from_micros(1);
        let prompt = PROMPT_WAKES as usize;
        assert_eq!(sleeps(idle, start, soon, 2 * PROMPT_WAKES), (prompt, true));
        // As long as packets gather in naps, there is nothing but naps, also where these are late.
        assert_eq!(sleeps(idle, start + NAP, NAP, 1000), (0, true));
        assert_eq!(sleeps(idle, start + NAP * 1001, NAP * 3 / 2, 1000), (0, true));

        let rested = start + NAP * 5000;
        assert_eq!(sleeps(idle, rested, soon, PROMPT_WAKES), (prompt, false));
    }

    #[test]
    fn a_moment_without_packets_is_no_rest() {
        let idle = &mut Idle::new(IdlePolicy::Adaptive);
        let start = Instant::from_millis(1000);
        assert!(sleeps(idle, start, Duration::ZERO, PROMPT_WAKES + 1).1);
        let now = start + NAP;
        assert_eq!(idle.pause(0, || now), Pause::Sleep(now));
        assert_eq!(idle.pause(1, || now + NAP / 2), Pause::Nap);
    }

    #[test]
    fn after_load_packets_gather_at_once() {
        let idle = &mut Idle::new(IdlePolicy::Adaptive);
        let start = Instant::from_millis(1000);
        assert_eq!(idle.pause(BUSY_PACKETS, || start), Pause::None);
        assert_eq!(sleeps(idle, start + NAP * 5000, NAP, 10), (0, true));
    }

    #[test]
    fn packets_that_come_seldom_are_never_kept_waiting() {
        let idle = &mut Idle::new(IdlePolicy::Adaptive);
        assert_eq!(sleeps(idle, Instant::from_millis(1), NAP * 2, 1000), (1000, false));
    }

    #[test]
    fn neither_load_nor_a_policy_of_spinning_reads_the_clock() {
        let unread = || panic!("the clock was read");
        assert_eq!(Idle::new(IdlePolicy::Adaptive).pause(BUSY_PACKETS, unread), Pause::None);
        assert_eq!(Idle::new(IdlePolicy::Spin).pause(0, unread), Pause::None);
    }

    #[test]
    fn a_device_that_cannot_wake_the_lane_is_left_alone_the_longer_the_less_comes() {
        let idle = &mut Idle::new(IdlePolicy::Adaptive);
        let start = Instant::from_millis(1000);
        let mut nap_after = |quiet: Duration| {
            let now = start + quiet;
            idle.pause(0, || now);
            idle.blind_nap(now)
        };
        assert_eq!(nap_after(Duration::ZERO), NAP);
        assert_eq!(nap_after(NAP * 16), NAP * 2);
        assert_eq!(nap_after(BLIND_NAP_MAX * 8), BLIND_NAP_MAX);
        assert_eq!(nap_after(Duration::from_secs(3600)), BLIND_NAP_MAX);

        // One packet, or a burst of them, and it begins anew.
        for found in [1, BUSY_PACKETS] {
            idle.pause(found, || start);
            idle.pause(0, || start);
            assert_eq!(idle.blind_nap(start + NAP), NAP, "after {found}");
        }
    }
}
