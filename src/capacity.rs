//! `ringroad plan`: from recorded runs to what a load takes.
//!
//! A recording is read as [`interval`]s: rates, busy time of cores, latency. From these come, each with its
//! error or with the reason why there is none ([`doubt`]): what work costs ([`costs`]), latency against load and its
//! knee ([`curve`]), packet memory ([`memory`]), and what another load needs ([`answers`]). Where there is no
//! recording yet, one is made ([`drive`]). What the model is, and how far to trust it: docs/capacity.md.

mod against;
mod answers;
mod asked;
mod costs;
mod curve;
mod doubt;
mod drive;
mod interval;
mod memory;
mod squares;
mod steps;
#[cfg(test)]
mod tests;
mod text;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use self::against::Against;
use self::answers::{Answers, Question};
use self::asked::Asked;
use self::doubt::{Answer, answer_if_asked};
use self::drive::{Driven, drive};
use self::interval::Intervals;
use self::steps::Steps;
use crate::recording::Recording;

/// Plan capacity from recorded runs
///
/// What a packet, a connection and an octet cost, where latency begins to rise faster than load, what
/// head-room is left, and how many cores and how much memory a load needs. Each answer has its error, or
/// says why the data does not support it. Recordings are written by an engine with
/// telemetry.directory, or by --drive. The exit code is 1 if something that was asked for is not answered.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("from").required(true).args(["recordings", "drive"])))]
pub(crate) struct Args {
    /// A directory with a recording; several may be given
    #[arg(long = "in", value_name = "DIR")]
    recordings: Vec<PathBuf>,
    /// Make a recording first: drive a load in steps through a lab of its own, which takes root and a minute
    #[arg(long)]
    drive: bool,
    #[command(flatten)]
    how: drive::Options,
    /// What has to be carried, such as connections=10k,packets_per_second=400k,bits_per_second=2G.
    /// Besides these: connections_per_second, and requests_per_second if they were counted. What is
    /// not said is as it was recorded, in proportion
    #[arg(long, value_name = "LOAD")]
    load: Option<Asked>,
    /// The p99 inside that is still good enough, such as 500us
    #[arg(long, value_name = "DURATION", value_parser = time)]
    p99: Option<Duration>,
    /// How much of what the cores can do is to be used
    #[arg(long, value_name = "PART", default_value_t = 0.7, value_parser = part)]
    utilisation: f64,
    /// Of the ports, by which frames are sized, in octets
    #[arg(long, value_name = "N", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1280..=9000))]
    mtu: u32,
    /// Predict the knee of another run, and compare it with what that run shows; several may be given
    #[arg(long, value_name = "DIR")]
    against: Vec<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// All that `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    answers: Answers,
    #[serde(serialize_with = "answer_if_asked")]
    against: Option<Answer<Against>>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if !args.drive {
        return plan(args, &args.recordings);
    }
    match drive(&args.how)? {
        Driven::Recorded(place) => plan(args, &[place.path().to_owned()]),
        Driven::Outside(steps) => outside(args, &steps),
    }
}

fn plan(args: &Args, directories: &[PathBuf]) -> Result<ExitCode> {
    let (intervals, driven) = read(directories)?;
    let question = Question {
        load: args.load,
        p99_us: args.p99.map(|limit| 1e6 * limit.as_secs_f64()),
        utilisation: args.utilisation,
        mtu: args.mtu,
    };
    let answers = Answers::of(&intervals, driven.as_ref(), &question);
    let against = match args.against.as_slice() {
        [] => None,
        directories => {
            let (other, driven) = read(directories)?;
            Some(Against::of(&answers, &answers::that_show_load(&other.list, driven.as_ref())))
        }
    };
    let is_whole = answers.are_whole() && !matches!(against, Some(Err(_)));
    let page = match args.json {
        true => serde_json::to_string_pretty(&Report { answers, against })? + "\n",
        false => answers.to_text() + &against.as_ref().map(text::against).unwrap_or_default(),
    };
    print(&page)?;
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What can be said of a target of which only its answers are known.
fn outside(args: &Args, steps: &Steps) -> Result<ExitCode> {
    let knee = answers::knee_outside(steps);
    let page = match args.json {
        true => serde_json::to_string_pretty(&answers::Outside { steps, knee: &knee })? + "\n",
        false => text::outside(&knee),
    };
    print(&page)?;
    Ok(if knee.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All intervals, and the steps of what was driven, if any was.
fn read(directories: &[PathBuf]) -> Result<(Intervals, Option<Steps>)> {
    let open = |directory: &PathBuf| Recording::open(directory);
    let recordings = directories.iter().map(open).collect::<Result<Vec<_>>>()?;
    let mut driven: Option<Steps> = None;
    for steps in directories.iter().filter_map(|directory| Steps::read(directory).transpose()) {
        match &mut driven {
            Some(known) => known.steps.extend(steps?.steps),
            None => driven = Some(steps?),
        }
    }
    Ok((Intervals::of(&recordings), driven))
}

fn print(page: &str) -> Result<()> {
    std::io::stdout().write_all(page.as_bytes()).context("cannot write to standard output")
}

fn time(text: &str) -> Result<Duration, String> {
    ringroad_config::duration(text, Duration::from_micros(1)..=Duration::from_secs(60))
}

/// More than nothing, and not all.
fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| *part > 0.0 && *part < 1.0);
    part.ok_or_else(|| "give a number between 0 and 1, such as 0.7".to_owned())
}
