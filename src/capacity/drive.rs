//! Drives a load in steps, so that there is something to plan from.
//!
//! A lab of its own ([`lab`]): client, edge and origin, the engine recording on the edge. Or a target that is
//! there already, of which only what the client sees is known then. In the lab, this program runs itself once more
//! on the client, with the edge as target. First a step with a new connection for each request and one with
//! replies of another size, which tell their costs apart; then one load after another, until the target has
//! enough. What these are parts of is how many requests of their kind get through.

mod generator;
mod lab;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use self::generator::Generator;
pub(super) use self::target::Target;
use super::steps::{Kind, Steps};

/// How to drive.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Options {
    /// Drive this target instead of a lab: http://HOST[:PORT][/PATH]
    #[arg(long, value_name = "URL", requires = "drive")]
    target: Option<Target>,
    /// A path of the target with a much larger or smaller reply, to tell what octets cost from what packets do
    #[arg(long, value_name = "PATH", requires = "target")]
    other: Option<String>,
    /// Keep the recording in this directory
    #[arg(long, value_name = "DIR", requires = "drive")]
    record: Option<PathBuf>,
    /// Loads, one after another
    #[arg(long, value_name = "N", default_value_t = 10, requires = "drive",
          value_parser = clap::value_parser!(u32).range(4..=100))]
    steps: u32,
    /// How long each is held, such as 4s
    #[arg(long, value_name = "DURATION", default_value = "4s", requires = "drive", value_parser = step_time)]
    step_time: Duration,
    /// Connections that requests are spread over
    #[arg(long, value_name = "N", default_value_t = 64, requires = "drive",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Octets of a reply, in the lab
    #[arg(long, value_name = "N", default_value_t = 4096, requires = "drive",
          value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    octets: u64,
    /// Most requests a second, whatever the target can do
    #[arg(long, value_name = "N", default_value_t = 1_000_000, requires = "drive",
          value_parser = clap::value_parser!(u32).range(10..))]
    rate_max: u32,
}

/// What a drive leaves.
#[derive(Debug)]
pub(super) enum Driven {
    /// A recording of the engine is in the directory, with the steps.
    Recorded(lab::Place),
    /// Nothing but what the client saw.
    Outside(Steps),
}

/// Drives until the end; a signal ends it early, and all is undone.
pub(super) fn drive(options: &Options) -> Result<Driven> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        tokio::select! {
            driven = drive_on(options) => driven,
            _ = terminated.recv() => bail!("ended by SIGTERM"),
            _ = interrupted.recv() => bail!("ended by SIGINT"),
        }
    })
}

async fn drive_on(options: &Options) -> Result<Driven> {
    match &options.target {
        None => Ok(Driven::Recorded(lab::drive(options).await?)),
        Some(target) => {
            let target = Target { other: options.other.clone(), ..target.clone() };
            let steps = step_through(options, target).await?;
            if let Some(directory) = &options.record {
                steps.write(directory)?;
            }
            Ok(Driven::Outside(steps))
        }
    }
}

async fn step_through(options: &Options, target: Target) -> Result<Steps> {
    let seed = getrandom::u64().context("no random numbers")?;
    let mut steps = Steps {
        target: target.to_string(),
        connections: options.connections as usize,
        steps: vec![],
    };
    let kinds = [Some(Kind::NewConnections), target.other.is_some().then_some(Kind::OtherReplies)];
    let mut generator = Generator::new(target, steps.connections, seed)?;
    generator.try_out().await?;
    for kind in kinds.into_iter().flatten() {
        let most = most(&generator, kind, &steps.target, options).await?;
        let step = generator.step(kind, BESIDE * most, options.step_time).await?;
        steps.note(step);
    }
    let most = most(&generator, Kind::Load, &steps.target, options).await?;
    eprintln!("{most:.0} requests/s with all {} connections in use", steps.connections);
    for n in 1..=options.steps {
        let part = HIGHEST * f64::from(n) / f64::from(options.steps);
        let step = generator.step(Kind::Load, part * most, options.step_time).await?;
        let kept_up = step.kept_up();
        steps.note(step);
        if !kept_up {
            break;
        }
    }
    Ok(steps)
}

/// How many requests of a kind get through [requests/s].
async fn most(generator: &Generator, kind: Kind, target: &str, options: &Options) -> Result<f64> {
    match generator.most(kind, MOST_TIME).await {
        0.0 => bail!("{target} answers nothing under load"),
        most => Ok(most.min(f64::from(options.rate_max))),
    }
}

fn step_time(text: &str) -> Result<Duration, String> {
    ringroad_config::duration(text, Duration::from_secs(2)..=Duration::from_secs(600))
}

/// How long all connections ask as fast as they are answered.
const MOST_TIME: Duration = Duration::from_secs(2);

/// The last load, as a part of what gets through; and those that only tell costs apart.
const HIGHEST: f64 = 1.05;
const BESIDE: f64 = 0.4;
