//! What can be typed after `ringroad`.

use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::{
    check, connections, doctor, histograms, lab, origin, refused, report, run, sim, stats, top,
};

/// Exit code for a usage or a configuration that cannot be meant.
pub(crate) const EXIT_USAGE: u8 = 2;

/// A TCP edge appliance that takes traffic around the Linux kernel, and hands the kernel
/// everything that is not its own.
#[derive(Debug, Parser)]
#[command(name = "ringroad", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(check::Args),
    Connections(connections::Args),
    Doctor(doctor::Args),
    Histograms(histograms::Args),
    Lab(lab::Args),
    Origin(origin::Args),
    Refused(refused::Args),
    Report(report::Args),
    Run(run::Args),
    Sim(sim::Args),
    Stats(stats::Args),
    Top(top::Args),
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Command::Check(args) => check::run(&args),
            Command::Connections(args) => connections::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Histograms(args) => histograms::run(&args),
            Command::Lab(args) => lab::run(&args),
            Command::Origin(args) => origin::run(&args),
            Command::Refused(args) => refused::run(&args),
            Command::Report(args) => report::run(&args),
            Command::Run(args) => run::run(&args),
            Command::Sim(args) => sim::run(&args),
            Command::Stats(args) => stats::run(&args),
            Command::Top(args) => top::run(&args),
        }
    }
}

/// The command, or the exit code when help was asked for or the arguments make no sense.
pub(crate) fn parse() -> Result<Command, ExitCode> {
    let error = match Cli::try_parse() {
        Ok(cli) => return Ok(cli.command),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A closed standard output leaves nobody to tell.
            let _ = error.print();
            Err(if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS })
        }
        _ => {
            eprintln!("ringroad: {}; see ringroad --help", one_line(&error.to_string()));
            Err(ExitCode::from(EXIT_USAGE))
        }
    }
}

/// What clap says over several lines, up to its usage lines, in one.
fn one_line(message: &str) -> String {
    let message = message.split("\nUsage:").next().unwrap_or_default();
    let message = message.split("\nFor more information").next().unwrap_or_default();
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join(" ").replace(" tip: ", "; ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}
