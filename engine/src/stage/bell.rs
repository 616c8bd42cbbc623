//! Waking a core that sleeps, at no cost while it does not.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Rung by whoever puts something where a core looks. Clones are the same bell.
///
/// A core that is about to sleep [arms](Bell::arm) it, and then looks once more: what was put
/// there before was seen by that look, and what is put there after rings.
#[derive(Clone, Debug)]
pub struct Bell {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    armed: AtomicBool,
    /// Readable once rung.
    wake: EventFd,
}

impl Bell {
    pub fn new() -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Bell { shared: Arc::new(Shared { armed: AtomicBool::new(false), wake }) })
    }

    /// Wakes the core if it sleeps, or is about to. Called after what it is to find is in place.
    #[inline]
    pub fn ring(&self) {
        // What was put in place is seen by a core that arms the bell later than this, as its own
        // fence comes between its arming and its look; one that armed it before is seen here.
        fence(Ordering::SeqCst);
        if self.shared.armed.load(Ordering::Relaxed) {
            self.ring_anyway();
        }
    }

    /// As [`Bell::ring`], also if nobody has armed it.
    #[cold]
    pub fn ring_anyway(&self) {
        self.shared.armed.store(false, Ordering::Relaxed);
        // A counter that is full is readable already.
        let _ = self.shared.wake.write(1);
    }

    /// Says that this core will sleep unless it finds something now.
    pub fn arm(&self) {
        self.shared.armed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that this core is awake.
    pub fn disarm(&self) {
        self.shared.armed.store(false, Ordering::Relaxed);
    }

    /// Makes the bell silent again. What rings later is heard.
    pub fn clear(&self) {
        // Not readable means that nobody has rung since.
        let _ = self.shared.wake.read();
    }

    /// What becomes readable when it rings, for sleeping on.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_rung(bell: &Bell) -> bool {
        let rung = bell.shared.wake.read().is_ok();
        bell.disarm();
        rung
    }

    #[test]
    fn only_who_is_about_to_sleep_is_woken() {
        let bell = Bell::new().unwrap();
        bell.ring();
        assert!(!has_rung(&bell), "awake");
        bell.arm();
        bell.clone().ring();
        assert!(has_rung(&bell));
        bell.ring();
        assert!(!has_rung(&bell), "awake again");
        bell.ring_anyway();
        assert!(has_rung(&bell));
    }

    /// Numbers pass from one thread to another that sleeps whenever there is none, without a
    /// timeout: a ring that is missed hangs.
    #[test]
    fn nothing_that_is_put_in_place_is_slept_over() {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::sync::atomic::AtomicU64;
        const LAST: u64 = 20_000;
        let bell = Bell::new().unwrap();
        let place = Arc::new(AtomicU64::new(0));
        let writer = std::thread::spawn({
            let (bell, place) = (bell.clone(), place.clone());
            move || {
                for number in 1..=LAST {
                    place.store(number, Ordering::Relaxed);
                    bell.ring();
                }
            }
        });
        let mut seen = 0;
        while seen < LAST {
            bell.arm();
            let found = place.load(Ordering::Relaxed);
            if found == seen {
                let _ =
                    poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
                bell.clear();
            }
            bell.disarm();
            assert!(found >= seen);
            seen = found;
        }
        writer.join().unwrap();
    }
}
