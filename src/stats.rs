//! What the running engine says of itself: its shape as JSON and for people, and the command
//! that asks for it.

mod cores;
mod latency;
mod ledger;
mod origins;
mod ports;
pub(crate) mod services;
mod shield;
mod sources;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result};
use ringroad_engine::telemetry::{Measure, Recorders, Snapshot};
use serde::{Deserialize, Serialize};

pub(crate) use self::cores::{Bottleneck, Core, Ring, Stage, bottleneck, nanos_per_packet};
pub(crate) use self::latency::Latency;
pub(crate) use self::ledger::{Frames, Ledger, RX_RING};
pub(crate) use self::origins::{Health, Origin};
pub(crate) use self::ports::Port;
pub(crate) use self::services::Service;
use self::shield::by_verdict;
pub(crate) use self::shield::{Cookies, LaneCookies, Refused, Source};
pub(crate) use self::sources::ClientSource;
use crate::client::{self, Socket};
use crate::connections::Path;
use crate::connections::census::Census;
use crate::cores::PollingThread;
use crate::histograms::merged;

/// Everything that `ringroad stats --json` prints. What a line of another version's lacks counts as nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stats {
    pub(crate) ledger: Ledger,
    pub(crate) frames: Frames,
    pub(crate) services: Vec<Service>,
    /// What happened to connections, since the start.
    pub(crate) tcp: BTreeMap<String, u64>,
    pub(crate) latency: Latency,
    pub(crate) ports: Vec<Port>,
    /// The polling threads.
    pub(crate) cores: Vec<Core>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bottleneck: Option<Bottleneck>,
    /// What the shield decided, by its reasons [packets].
    pub(crate) shield: BTreeMap<String, u64>,
    /// Its token buckets that gave way to others' before they were full.
    pub(crate) buckets_evicted: u64,
    pub(crate) cookies: Cookies,
    pub(crate) refused: Refused,
    /// What became of records on disk; absent where there are to be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recording: Option<Recording>,
    /// Who opened most connections of late, most first.
    pub(crate) sources: Vec<ClientSource>,
    /// How good the ways to the clients and to the origins are.
    pub(crate) paths: Vec<Path>,
    /// Connections by algorithm and phase; absent until they have been counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) census: Option<Census>,
}

/// Intervals [intervals], since the start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Recording {
    pub(crate) written: u64,
    /// That could not be written.
    pub(crate) lost: u64,
}

/// Names that the counts alone do not carry, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) services: Vec<String>,
    /// Of each service.
    pub(crate) origins: Vec<Vec<SocketAddr>>,
    pub(crate) ports: Vec<String>,
    pub(crate) threads: Vec<PollingThread>,
}

impl Names {
    /// Paths that there are: of each service to the clients, and to each origin.
    pub(crate) fn paths(&self) -> usize {
        self.origins.iter().map(|origins| 1 + origins.len()).sum()
    }
}

impl Stats {
    /// Puts together what the cores and the shield counted, and what each core has recorded since the
    /// start.
    pub(crate) fn new(names: &Names, snapshot: &Snapshot, recorded: &[Recorders]) -> Self {
        let inside = merged(recorded, Measure::Inside);
        let cores = cores::all(&names.threads, snapshot, recorded);
        let shield = &snapshot.ledger.shield;
        Stats {
            ledger: Ledger::new(snapshot),
            frames: Frames::new(&snapshot.frames),
            services: services::all(names, snapshot),
            tcp: snapshot.tcp.events().map(|(what, count)| (what.to_owned(), count)).collect(),
            latency: inside.as_ref().map(Latency::of).unwrap_or_default(),
            ports: ports::all(&names.ports, snapshot),
            bottleneck: bottleneck(&cores),
            cores,
            shield: by_verdict(shield),
            buckets_evicted: shield.buckets_evicted,
            cookies: Cookies {
                lanes: snapshot.handshakes.iter().map(LaneCookies::new).collect(),
                ..Cookies::default()
            },
            ..Stats::default()
        }
    }

    /// A page for people.
    pub(crate) fn to_text(&self) -> String {
        let mut page = String::new();
        let out = &mut page;
        self.ledger.write(out);
        self.frames.write(out);
        self.services.iter().for_each(|service| service.write(out));
        let seen = those_seen(&self.tcp);
        if !seen.is_empty() {
            // Writing to a `String` cannot fail.
            let _ = writeln!(out, "tcp  {seen}");
        }
        self.latency.write(out);
        if let Some(Recording { written, lost }) = &self.recording {
            let _ = writeln!(out, "recording  {written} intervals written, {lost} lost");
        }
        self.sources.iter().for_each(|source| source.write(out));
        self.paths.iter().for_each(|path| path.write(out));
        self.census.iter().for_each(|census| census.write(out));
        for (verdict, count) in self.shield.iter().filter(|(_, count)| **count > 0) {
            let _ = writeln!(out, "shield  {verdict} {count}");
        }
        if self.buckets_evicted > 0 {
            let _ = writeln!(out, "shield  {} token buckets evicted", self.buckets_evicted);
        }
        self.cookies.write(out);
        self.refused.write(out);
        self.cores.iter().for_each(|core| core.write(out));
        self.bottleneck.iter().for_each(|bottleneck| bottleneck.write(out));
        self.ports.iter().for_each(|port| port.write(out));
        page
    }
}

/// What has been counted, by name.
fn those_seen(counts: &BTreeMap<String, u64>) -> String {
    let seen = counts.iter().filter(|(_, count)| **count > 0);
    seen.map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
}

/// Print what the running engine counts
///
/// The ledger, services, frames and ports; every packet on the ports is accounted for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: Socket,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let stats: Stats = serde_json::from_slice(&client::get(&args.socket.path, "/stats")?)?;
    let page =
        if args.json { serde_json::to_string_pretty(&stats)? + "\n" } else { stats.to_text() };
    std::io::stdout().write_all(page.as_bytes()).context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
