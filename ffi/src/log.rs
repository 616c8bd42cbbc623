//! DPDK's log: line by line to a callback, and its complaints into errors.

#![allow(unsafe_code, reason = "DPDK writes its log through a C callback")]

use std::cell::RefCell;
use std::ffi::c_char;
use std::slice;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::limits::{COMPLAINTS_MAX, HELD_LINES_MAX};
use crate::{Error, raw};

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

static SINK: OnceLock<fn(Level, &str)> = OnceLock::new();

/// Lines that wait, from [`hold`] to [`release`].
static HELD: Mutex<Option<Vec<(Level, String)>>> = Mutex::new(None);

thread_local! {
    /// The start of a line that this thread has not ended yet.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// What DPDK complained about on this thread since [`captured`] began.
    static COMPLAINTS: RefCell<Option<Vec<(Level, String)>>> = const { RefCell::new(None) };
}

/// Sends the log to `sink` from now on; once in a process.
pub(crate) fn send_to(sink: fn(Level, &str)) -> Result<(), Error> {
    SINK.get_or_init(|| sink);
    // SAFETY: `written` may be called by any thread at any time.
    if unsafe { raw::rr_log_to(Some(written)) } { Ok(()) } else { Err(Error::Log) }
}

/// Runs `work` and returns with it the most telling of DPDK's complaints meanwhile: the first
/// error that names a cause, or else the first warning.
pub(crate) fn captured<T>(work: impl FnOnce() -> T) -> (T, Option<String>) {
    COMPLAINTS.set(Some(Vec::new()));
    let result = work();
    let mut complaints = COMPLAINTS.take().unwrap_or_default();
    complaints.sort_by_key(|(level, line)| (is_summary(line), *level));
    (result, complaints.into_iter().next().map(|(_, line)| line))
}

/// What the EAL adds when something else has failed.
fn is_summary(line: &str) -> bool {
    const SUMMARIES: [&str; 5] = [
        "EAL: Driver cannot attach the device",
        "EAL: Failed to attach device",
        "EAL: Cannot get hugepage information",
        "EAL: Cannot init memory",
        "EAL: Invalid 'command line' arguments",
    ];
    SUMMARIES.iter().any(|summary| line.starts_with(summary))
}

/// Keeps lines back until [`release`]: the sink may write to where nothing must be written.
pub(crate) fn hold() {
    *lines_held() = Some(Vec::new());
}

/// Lets all lines through that were kept back.
pub(crate) fn release() {
    let lines = lines_held().take();
    for (level, line) in lines.into_iter().flatten() {
        pass_on(level, &line);
    }
}

/// A line of DPDK's log.
fn line(level: Level, line: &str) {
    let line = line.trim();
    if line.is_empty() {
        return;
    }
    if let Some(lines) = &mut *lines_held() {
        if lines.len() < HELD_LINES_MAX {
            lines.push((level, line.to_owned()));
        }
        return;
    }
    pass_on(level, line);
}

/// To the sink; a complaint also to who waits for it.
pub(crate) fn pass_on(level: Level, line: &str) {
    if let Some(sink) = SINK.get() {
        sink(level, line);
    }
    if level > Level::Warning {
        return;
    }
    COMPLAINTS.with_borrow_mut(|complaints| {
        if let Some(complaints) = complaints.as_mut().filter(|c| c.len() < COMPLAINTS_MAX) {
            complaints.push((level, line.to_owned()));
        }
    });
}

fn lines_held() -> MutexGuard<'static, Option<Vec<(Level, String)>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" fn written(level: u32, text: *const c_char, len: usize) {
    // SAFETY: the shim passes what the C library gives it to write: `len` octets at `text`.
    let text = unsafe { slice::from_raw_parts(text.cast::<u8>(), len) };
    let mut unfinished = LINE.take();
    for piece in String::from_utf8_lossy(text).split_inclusive('\n') {
        unfinished.push_str(piece);
        if piece.ends_with('\n') {
            line(level_of(level), &unfinished);
            unfinished.clear();
        }
    }
    LINE.set(unfinished);
}

/// DPDK counts from 1 (emergency) to 8 (debug), as syslog does from 0.
fn level_of(level: u32) -> Level {
    match level {
        0..=4 => Level::Error,
        5 => Level::Warning,
        6 => Level::Notice,
        7 => Level::Info,
        _ => Level::Debug,
    }
}
