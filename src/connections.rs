//! Connections under the microscope: what `ss -ti` says of a host's, said of those that the engine
//! proxies, both legs of each.
//!
//! The command says what it wants, the engine answers a line of JSON for each (`listing.rs`), and the
//! command shows them as they come. `census.rs` counts them for the metrics.

pub(crate) mod census;
mod expression;
pub(crate) mod listing;
mod paths;
mod shown;
mod text;

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use self::expression::Expression;
use self::listing::Query;
pub(crate) use self::paths::{Path, Paths, Seen};
use self::shown::Connection;
#[cfg(test)]
pub(crate) use self::shown::Quality;
use crate::client::{self, Socket};

/// List proxied connections, both legs of each
///
/// Filters compare a field of the connection (service, worker, client, origin, dormant, age, idle) or of
/// a leg (port, state, congestion, phase, limited, rtt, cwnd, retransmitted, lost, score and others; with
/// client. or origin. in front, of that leg alone): service=web client=10.0.0.0/8 'rtt>50ms'. All must hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those for which all of these hold
    #[arg(long, value_name = "EXPR", num_args = 1..)]
    filter: Vec<Expression>,
    /// A line of JSON for each
    #[arg(long)]
    json: bool,
    /// No more than so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Again and again, once a second
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    socket: Socket,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let query = Query::new(args.filter.clone(), args.limit).to_text();
    let page = format!("/connections?{query}");
    loop {
        let mut out = std::io::stdout().lock();
        if args.watch && out.is_terminal() {
            out.write_all(CLEAR)?;
        }
        let shown = client::each_line(&args.socket.path, &page, |line| {
            if args.json {
                return Ok(out.write_all(&[line, b"\n"].concat())?);
            }
            let connection: Connection = serde_json::from_slice(line)?;
            Ok(out.write_all(text::of(&connection).as_bytes())?)
        });
        match shown.and_then(|()| Ok(out.flush()?)) {
            // Who reads us has seen enough.
            Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
            shown => shown.context("cannot list the connections")?,
        }
        if !args.watch {
            return Ok(ExitCode::SUCCESS);
        }
        drop(out);
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Of a terminal's screen, from its upper left corner on.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";
