//! DPDK's log: line by line to a callback, and its complaints into errors.

#![allow(unsafe_code, reason = "DPDK writes its log through a C callback")]

use std::cell::RefCell;
use std::ffi::c_char;
use std::slice;
use std::sync::OnceLock;

use crate::limits::COMPLAINTS_MAX;
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

thread_local! {
    /// The start of a line that this thread has not ended yet.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// What DPDK complained about on this thread since [`captured`] began.
    static COMPLAINTS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Sends the log to `sink` from now on; once in a process.
pub(crate) fn send_to(sink: fn(Level, &str)) -> Result<(), Error> {
    SINK.get_or_init(|| sink);
    // SAFETY: `written` may be called by any thread at any time.
    if unsafe { raw::rr_log_to(Some(written)) } { Ok(()) } else { Err(Error::Log) }
}

/// Runs `work` and returns with it what DPDK complained about meanwhile.
pub(crate) fn captured<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    COMPLAINTS.set(Some(Vec::new()));
    let result = work();
    (result, COMPLAINTS.take().unwrap_or_default())
}

/// A line that DPDK did not print through its log.
pub(crate) fn line(level: Level, line: &str) {
    let line = line.trim();
    if line.is_empty() {
        return;
    }
    if let Some(sink) = SINK.get() {
        sink(level, line);
    }
    if level > Level::Warning {
        return;
    }
    COMPLAINTS.with_borrow_mut(|complaints| {
        if let Some(complaints) = complaints.as_mut().filter(|c| c.len() < COMPLAINTS_MAX) {
            complaints.push(line.to_owned());
        }
    });
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
