//! `ringroad sim`: a whole appliance between simulated clients, origins and networks.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ringroad_simulation::crowd;
use ringroad_simulation::sim::{Case, Failure, Report, Scenario, Watch, run as play, shrink};

/// Simulate the whole appliance, clients, origins and bad networks in virtual time
///
/// Everything of a run follows from its scenario and seed. Oracles look on: octets out are octets in,
/// what ends early has a reason, every frame is accounted for, and what can finish does. A run in
/// which one objects is played again with captures of both sides, and cut down to the connections and
/// faults that it takes. The exit code is 1 then.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The seed to play, or to begin with; drawn by chance and shown, unless it is given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Play one seed after another for so long, such as 60s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = wall_time)]
    time: Option<Duration>,
    /// What to simulate; `list` shows what there is
    #[arg(long, value_name = "NAME", default_value = "mixed")]
    scenario: Wanted,
    /// Connections of `million-idle`
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = connections)]
    connections: usize,
    /// Write captures of both sides into this directory; of a run that fails they are written in any
    /// case, here
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".")]
    captures: Option<PathBuf>,
}

/// What `--scenario` names.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    List,
    /// The scenario that is not made of cases.
    MillionIdle,
    Runs(Scenario),
}

const LIST: &str = "list";
const MILLION_IDLE: &str = "million-idle";

impl FromStr for Wanted {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            LIST => Ok(Wanted::List),
            MILLION_IDLE => Ok(Wanted::MillionIdle),
            _ => match name.parse() {
                Ok(scenario) => Ok(Wanted::Runs(scenario)),
                Err(said) => Err(format!("{said}, {MILLION_IDLE}")),
            },
        }
    }
}

/// How long a case that fails is cut down.
const SHRINKING: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    let seed = match args.seed {
        Some(seed) => seed,
        // Short enough to be typed.
        None => getrandom::u32().context("no random numbers")?.into(),
    };
    match (args.scenario, args.time) {
        (Wanted::List, _) => list(&mut out)?,
        (Wanted::MillionIdle, _) => writeln!(out, "{}", crowd::run(args.connections, seed))?,
        (Wanted::Runs(scenario), None) => return one(args, scenario, seed, &mut out),
        (Wanted::Runs(scenario), Some(time)) => return many(args, scenario, seed, time, &mut out),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(out: &mut impl Write) -> io::Result<()> {
    for scenario in Scenario::ALL {
        writeln!(out, "{:16} {}", scenario.name(), scenario.about())?;
    }
    writeln!(out, "{MILLION_IDLE:16} a million idle connections: what memory and turns they cost")
}

fn one(args: &Args, scenario: Scenario, seed: u64, out: &mut impl Write) -> Result<ExitCode> {
    let case = scenario.case(seed);
    let watch = match &args.captures {
        Some(directory) => captured(&format!("sim-{scenario}-{seed}"), directory, out)?,
        None => Watch::default(),
    };
    match play(&case, &watch) {
        Ok(report) => {
            writeln!(out, "{report}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => explain(args, &case, &failure, out),
    }
}

/// One seed after another, until one fails or the time is up.
fn many(
    args: &Args,
    scenario: Scenario,
    first: u64,
    time: Duration,
    out: &mut impl Write,
) -> Result<ExitCode> {
    let start = Instant::now();
    let mut sum = Sum::default();
    for seed in first.. {
        if start.elapsed() >= time {
            break;
        }
        let case = scenario.case(seed);
        match play(&case, &Watch::default()) {
            Ok(report) => sum.add(&report),
            Err(failure) => {
                sum.show(scenario, first, start.elapsed(), out)?;
                return explain(args, &case, &failure, out);
            }
        }
    }
    sum.show(scenario, first, start.elapsed(), out)?;
    Ok(ExitCode::SUCCESS)
}

/// Says what is wrong, and how to see it again.
fn explain(args: &Args, case: &Case, failure: &Failure, out: &mut impl Write) -> Result<ExitCode> {
    let (scenario, seed) = (case.scenario, case.seed);
    writeln!(out, "{scenario}, seed {seed}: {failure}")?;
    writeln!(out, "again: ringroad sim --scenario {scenario} --seed {seed}")?;
    let directory = args.captures.clone().unwrap_or_else(|| PathBuf::from("."));
    // With captures it fails the same way.
    let _ = play(case, &captured(&format!("sim-{scenario}-{seed}"), &directory, out)?);
    let shrunk = shrink(case, failure, SHRINKING);
    writeln!(
        out,
        "{} smaller cases were tried; it takes no more than this: {}",
        shrunk.tried, shrunk.failure
    )?;
    writeln!(out, "{:#?}", shrunk.case)?;
    let _ =
        play(&shrunk.case, &captured(&format!("sim-{scenario}-{seed}-least"), &directory, out)?);
    Ok(ExitCode::FAILURE)
}

fn captured(name: &str, directory: &Path, out: &mut impl Write) -> Result<Watch> {
    let (watch, [clients, origins]) = Watch::capturing(directory, name)
        .with_context(|| format!("captures cannot be written into {}", directory.display()))?;
    writeln!(out, "captures: {}, {}", clients.display(), origins.display())?;
    Ok(watch)
}

/// What several runs were like.
#[derive(Default)]
struct Sum {
    seeds: u64,
    whole: u64,
    cut_short: u64,
    refused: u64,
    packets: u64,
    lasted: Duration,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.whole += report.tally.whole;
        self.cut_short += report.tally.cut_short;
        self.refused += report.tally.refused;
        self.packets += report.packets;
        self.lasted += report.lasted;
    }

    fn show(
        &self,
        scenario: Scenario,
        first: u64,
        took: Duration,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Sum { seeds, whole, cut_short, refused, packets, lasted } = self;
        writeln!(
            out,
            "{scenario}: {seeds} seeds from {first} on in {:.1} s: {} connections ({whole} whole, \
             {cut_short} cut short with a reason, {refused} refused), {packets} packets, {:.0} s of \
             virtual time; nothing wrong in them",
            took.as_secs_f64(),
            whole + cut_short + refused,
            lasted.as_secs_f64()
        )
    }
}

/// How long to go on.
fn wall_time(text: &str) -> Result<Duration, String> {
    ringroad_config::duration(text, Duration::from_secs(1)..=Duration::from_secs(86_400))
}

fn connections(text: &str) -> Result<usize, String> {
    let most = crowd::CONNECTIONS_MAX;
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("there can be from 1 to {most}"))
}
