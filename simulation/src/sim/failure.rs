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
    /// Nothing is due that is not done.
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
        write!(f, ": {}", self.message)
    }
}

thread_local! {
    /// What this thread's last panic said, while one is being waited for.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `what`; a panic in it is a failure, and prints nothing.
pub(super) fn catching<T>(what: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    listen();
    SAID.set(Some(String::new()));
    let outcome = panic::catch_unwind(AssertUnwindSafe(what));
    let said = SAID.take().unwrap_or_default();
    outcome
        .unwrap_or(Err(Failure { oracle: Oracle::Assertion, message: said, at: None }))
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
                    let place = panic.location().map(|at| format!(" ({at})")).unwrap_or_default();
                    let message = panic.payload_as_str().unwrap_or("no message");
                    *said = Some(format!("{message}{place}"));
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
        assert!(failure.message.starts_with("a frame is missing ("), "{}", failure.message);
        assert!(failure.message.contains("failure.rs:"), "{}", failure.message);
        assert_eq!(catching(|| Ok(7)), Ok(7));
    }
}
