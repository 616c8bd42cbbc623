//! The `ringroad` command: reads its arguments, does what they say, reports in one line.
//!
//! Exit codes: 0 done; 2 bad usage or configuration; 1 anything else. Start at [`cli::Cli`].

mod admin;
mod backend;
mod capacity;
mod capture;
mod check;
mod cli;
mod client;
mod connections;
mod cookies;
mod cores;
mod crew;
mod doctor;
mod events;
mod histograms;
mod keeper;
mod lab;
mod metrics;
mod new_file;
mod origin;
mod pcapng;
mod plan;
mod polling;
mod privileges;
mod recording;
mod refused;
mod report;
mod run;
mod secret;
mod sim;
mod sources;
mod stats;
mod top;
mod unix_time;

use std::process::ExitCode;

// What carries traffic has no faults planted in it.
const _: () = assert!(!ringroad_engine::planted::POSSIBLE, "built with `planted-faults`");

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(command) => command,
        Err(code) => return code,
    };
    command.run().unwrap_or_else(|error| {
        eprintln!("ringroad: {error:#}");
        ExitCode::FAILURE
    })
}
