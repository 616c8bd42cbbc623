//! How a run can fail, and how a panic becomes such a failure.

use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::Duration;

/// Something in a run was not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who found it.
    pub oracle: Oracle,
    /// What was wrong.
    pub message: String,
    /// When, from the beginning of the run; unknown of a panic.
    pub at: Option<Duration>,
    /// Where in the code, of a panic.
    pub place: Option<String>,
}

impl Failure {
    pub(super) fn new(oracle: Oracle, message: String) -> Self {
        Failure { oracle, message, at: None, place: None }
    }

    /// Whether it is most likely the same that is wrong.
    pub fn resembles(&self, other: &Failure) -> bool {
        (self.oracle, &self.place) == (other.oracle, &other.place)
    }
}

/// Who looks at a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oracle {
    /// An assertion: of the engine, of a host that objects to what it is sent, or of the rig, that
    /// every frame is home and the ledger balances.
    Assertion,
    /// Octets out are octets in, in each direction.
    Integrity,
    /// Whatever ends early has a reason to.
    Completion,
    /// What can still finish, does.
    Liveness,
    /// No bound is passed.
    Limits,
    /// Nothing is due that is not done, by whoever does not stand still.
    Timers,
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Oracle::Assertion => "assertion",
            Oracle::Integrity => "integrity",
            Oracle::Completion => "completion",
            Oracle::Liveness => "liveness",
            Oracle::Limits => "limits",
            Oracle::Timers => "timers",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.oracle)?;
        if let Some(at) = self.at {
            write!(f, ", {:.3} s into the run", at.as_secs_f64())?;
        }
        write!(f, ": {}", self.message)?;
        self.place.as_ref().map_or(Ok(()), |place| write!(f, " ({place})"))
    }
}

thread_local! {
    /// What this thread's last panic said, while one is being waited for.
    static SAID: RefCell<Option<Said>> = const { RefCell::new(None) };
}

/// A panic's message and place.
#[derive(Default)]
struct Said {
    message: String,
    place: Option<String>,
}

/// Runs `what`; a panic in it is a failure, and prints nothing.
pub(super) fn catching<T>(what: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    listen();
    SAID.set(Some(Said::default()));
    let outcome = panic::catch_unwind(AssertUnwindSafe(what));
    let Said { message, place } = SAID.take().unwrap_or_default();
    outcome.unwrap_or(Err(Failure { place, ..Failure::new(Oracle::Assertion, message) }))
}

/// Has panics of threads that [`catching`] waits for noted, and all others treated as before.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let noted = SAID.with_borrow_mut(|said| {
                let waited_for = said.is_some();
                if waited_for {
                    let payload = panic.payload();
                    let literal = payload.downcast_ref::<&str>().copied();
                    let message = literal.or(payload.downcast_ref().map(String::as_str));
                    *said = Some(Said {
                        message: message.unwrap_or("no message").to_owned(),
                        place: panic.location().map(ToString::to_string),
                    });
                }
                waited_for
            });
            if !noted {
                before(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_that_says_what_and_where() {
        let failure = catching::<()>(|| panic!("a frame is missing")).expect_err("it panicked");
        assert_eq!(failure.oracle, Oracle::Assertion);
        assert_eq!(failure.message, "a frame is missing");
        assert!(failure.place.is_some_and(|place| place.contains("failure.rs:")));
        assert_eq!(catching(|| Ok(7)), Ok(7));
    }
}
