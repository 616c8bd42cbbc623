//! Keeps DPDK's start from changing the process around it: its output, the calling thread's
//! processors and its signals.

#![allow(unsafe_code, reason = "flushes streams of the C library, and ignores a signal")]

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::sched::{sched_getaffinity, sched_setaffinity};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, signal};
use nix::unistd::{Pid, dup, dup2_stderr, dup2_stdout};

use crate::{Error, Level, log, raw};

/// Runs `work` with both standard descriptors caught, for all of the process; what was written to
/// them goes to the log.
pub(crate) fn silently<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    let (mut output, mut errors) = (memory_file()?, memory_file()?);
    flush();
    let stdout = dup(io::stdout().as_fd()).map_err(io)?;
    let stderr = dup(io::stderr().as_fd()).map_err(io)?;
    log::hold();
    let result = redirect(output.as_fd(), errors.as_fd()).map(|()| {
        let result = work();
        flush();
        result
    });
    let restored = redirect(stdout.as_fd(), stderr.as_fd());
    // In this order: what does not come through the log, as a word on an unknown option, is
    // nearest to the cause. What does is there a second time, as fatal.
    for line in lines(&mut errors).iter().filter(|line| !line.starts_with("EAL: FATAL:")) {
        log::pass_on(Level::Warning, line);
    }
    log::release();
    lines(&mut output).iter().for_each(|line| log::pass_on(Level::Debug, line));
    restored.and(result)
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

/// Has the process live on where a driver's signals are too many. `net_tap` is told of each packet by
/// one that waits in a queue; when that is full, Linux sends SIGIO in its place, which ends a process
/// that does not ignore it.
pub(crate) fn outlive_lost_signals() -> Result<(), Error> {
    // SAFETY: installs no handler.
    unsafe { signal(Signal::SIGIO, SigHandler::SigIgn) }.map(drop).map_err(io)
}

/// Raised by what a thread itself does; blocked, they would end the process. DPDK catches SIGBUS
/// while it touches hugepages.
const FAULTS: [Signal; 5] =
    [Signal::SIGBUS, Signal::SIGSEGV, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTRAP];

fn memory_file() -> Result<File, Error> {
    memfd_create("dpdk-output", MFdFlags::MFD_CLOEXEC).map(File::from).map_err(io)
}

/// What was written to the file; what cannot be read is missing from the log only.
fn lines(file: &mut File) -> Vec<String> {
    let mut octets = Vec::new();
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut octets));
    let text = String::from_utf8_lossy(&octets);
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

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
