//! `ringroad check`: is this configuration good, and what does it mean in full?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::EXIT_USAGE;

/// Check a configuration and print it with every default filled in
///
/// Problems go to standard error, one a line, as `file:line:column: what, and what to do`; the
/// exit code is then 2.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file
    file: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match ringroad_config::load(&args.file) {
        Ok(config) => {
            std::io::stdout()
                .write_all(config.to_yaml().as_bytes())
                .context("cannot write to standard output")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            eprintln!("{errors}");
            Ok(ExitCode::from(EXIT_USAGE))
        }
    }
}
