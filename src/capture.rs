//! `ringroad capture`: packets of chosen flows as they pass through the engine, with what became of them.
//!
//! The command asks the engine by [`Request`], and writes down what comes back. In the engine a
//! [`Session`] gives each polling thread a tap ([`ringroad_engine::telemetry::capture`]), and makes of what
//! they copy a capture file that it sends on as it grows.

mod client;
mod filter;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use ringroad_engine::telemetry::capture::Points;
use serde::{Deserialize, Serialize};

use crate::client::Socket;
pub(crate) use session::{Captures, Refusal};

/// Capture packets of chosen flows, with what became of them
///
/// Writes pcapng, for tshark and Wireshark: each packet says in its comment where it was seen, whose it is, why it was
/// dropped or how it was sent, and how long that took. Ends with Ctrl-C, or by one of its bounds; traffic goes on
/// meanwhile, and what there is no time to write is lost and counted. What the XDP program drops never comes this far:
/// see `ringroad refused`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which packets: tests joined by and, or, not and parentheses: service NAME, host ADDRESS, net PREFIX,
    /// port NUMBER, syn, fin, rst, drop [REASON]. Addresses and ports are those of either end, of the client's or
    /// the origin's connection
    #[arg(long, value_name = "EXPR", default_value = "")]
    filter: String,
    /// Where: received, sent, dropped
    #[arg(long, value_name = "PLACES", value_delimiter = ',', default_value = "rx,tx,drop")]
    at: Vec<Place>,
    /// End after so many packets
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so long, such as 30s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,
    /// End before the file is longer than so many octets
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000,
        value_parser = clap::value_parser!(u64).range(4096..))]
    bytes: u64,
    /// Copy so many octets of each packet at most [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    snaplen: Option<u32>,
    /// Where to; - for standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    #[command(flatten)]
    socket: Socket,
}

/// Where packets are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Rx,
    Tx,
    Drop,
}

/// What the engine is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    filter: String,
    at: Vec<Place>,
    /// Packets.
    count: Option<u64>,
    time: Option<Duration>,
    octets: u64,
    snaplen: Option<u32>,
}

impl Request {
    fn points(&self) -> Points {
        let has = |place| self.at.contains(&place);
        Points { rx: has(Place::Rx), tx: has(Place::Tx), drop: has(Place::Drop) }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let request = Request {
        filter: args.filter.clone(),
        at: args.at.clone(),
        count: args.count,
        time: args.time,
        octets: args.bytes,
        snaplen: args.snaplen,
    };
    client::run(&request, &args.socket.path, &args.out)
}

fn duration(text: &str) -> Result<Duration, String> {
    let any = Duration::from_millis(1)..=Duration::from_secs(7 * 24 * 3600);
    ringroad_config::duration(text, any)
}
