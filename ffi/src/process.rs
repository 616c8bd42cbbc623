//! Keeps DPDK's start from changing the process around it: its output, the calling thread's
//! processors and its signals.

#![allow(unsafe_code, reason = "redirects the standard descriptors")]

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::sched::{sched_getaffinity, sched_setaffinity};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::unistd::{Pid, dup, dup2_stderr, dup2_stdout};

use crate::{Error, Level, log, raw};

/// Runs `work` with both standard descriptors caught, for all of the process; what was written to
/// them goes to the log.
pub(crate) fn silently<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    let mut caught = File::from(memfd_create("dpdk-output", MFdFlags::MFD_CLOEXEC).map_err(io)?);
    flush();
    let stdout = dup(io::stdout().as_fd()).map_err(io)?;
    let stderr = dup(io::stderr().as_fd()).map_err(io)?;
    redirect(caught.as_fd(), caught.as_fd())?;
    let result = work();
    flush();
    redirect(stdout.as_fd(), stderr.as_fd())?;
    let mut text = Vec::new();
    caught.rewind().and_then(|()| caught.read_to_end(&mut text)).map_err(Error::Process)?;
    String::from_utf8_lossy(&text).lines().for_each(|line| log::line(Level::Notice, line));
    Ok(result)
}

/// Runs `work`, which may pin the calling thread and start others: the thread's processors are
/// afterwards as before, and no signal meant for the process is taken by the new threads.
pub(crate) fn undisturbed<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    let this = Pid::from_raw(0);
    let processors = sched_getaffinity(this).map_err(io)?;
    let mut blocked = SigSet::all();
    for fault in FAULTS {
        blocked.remove(fault);
    }
    let mut signals = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&blocked), Some(&mut signals)).map_err(io)?;
    let result = work();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&signals), None).map_err(io)?;
    sched_setaffinity(this, &processors).map_err(io)?;
    Ok(result)
}

/// Raised by what a thread itself does; blocked, they would end the process. DPDK catches SIGBUS
/// while it touches hugepages.
const FAULTS: [Signal; 5] =
    [Signal::SIGBUS, Signal::SIGSEGV, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTRAP];

fn redirect(stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>) -> Result<(), Error> {
    dup2_stdout(stdout).map_err(io)?;
    dup2_stderr(stderr).map_err(io)
}

/// What either language's library still holds belongs where it was written to.
fn flush() {
    let _ = io::Write::flush(&mut io::stdout());
    // SAFETY: flushes streams of the C library, which any thread may do.
    unsafe { raw::rr_flush_standard_streams() };
}

fn io(errno: nix::Error) -> Error {
    Error::Process(errno.into())
}
