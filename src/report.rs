//! A recording as a page to look at: plots and figures in one HTML file that needs nothing else.
//!
//! [`History`] is what the recording comes down to; `figures` has the plots, `findings` the
//! words, `tables` what is looked up, and `page` puts them together.

mod axis;
mod clock;
mod colours;
mod figures;
mod findings;
mod history;
mod page;
mod plot;
mod tables;
mod units;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use anyhow::{Context, Result};

use self::history::History;
use crate::recording::Recording;

/// Draw a recording
///
/// One HTML page that needs nothing else: percentiles, latency against load, throughput, connections,
/// drops, and what the cores did.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What telemetry.directory names
    #[arg(long = "in", value_name = "DIR")]
    recording: PathBuf,
    /// Where to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let recording = Recording::open(&args.recording)?;
    let history = History::new(&recording.intervals)
        .with_context(|| format!("{} holds no interval", args.recording.display()))?;
    replace(&args.out, &page::render(&history)?)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Puts `page` at `path`, whole or not at all.
fn replace(path: &Path, page: &str) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::IsADirectory)?);
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = fs::write(&beside, page).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Whoever could not write may not be able to remove either.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests;
