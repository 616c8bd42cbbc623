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

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use self::history::History;
use crate::histograms;
use crate::new_file::NewFile;
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
    /// Where to; - for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What began then or later: 2026-11-22T03:15:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = histograms::time)]
    from: Option<f64>,
    /// What began before then
    #[arg(long, value_name = "TIME", value_parser = histograms::time)]
    to: Option<f64>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let from = args.from.unwrap_or(f64::NEG_INFINITY);
    let to = args.to.unwrap_or(f64::INFINITY);
    let recording = Recording::of(&args.recording, from..to)?;
    let history = History::new(&recording.intervals)
        .with_context(|| format!("{} holds no interval", args.recording.display()))?;
    let page = page::render(&history)?;
    if args.out == Path::new("-") {
        std::io::stdout().write_all(page.as_bytes()).context("cannot write to standard output")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut file = NewFile::create(&args.out)?;
    file.write(|mut file| file.write_all(page.as_bytes()))?;
    file.keep()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
