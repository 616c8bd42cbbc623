//! The command's side of a capture: what the engine sends goes to a file, whole blocks at a time.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, StatusCode};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap_file::PcapError;
use pcap_file::pcapng::blocks::interface_statistics::{
    InterfaceStatisticsBlock, InterfaceStatisticsOption,
};
use pcap_file::pcapng::{Block, PcapNgParser};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Request;
use crate::cli::EXIT_USAGE;
use crate::client;
use crate::pcapng;

/// Captures until it is over, or Ctrl-C.
pub(super) fn run(request: &Request, socket: &Path, out: &Path) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A file that cannot be written is found out before anything is captured.
    let mut file = Output::open(out)?;
    runtime.block_on(async {
        let asked = Bytes::from(serde_json::to_vec(request)?);
        let response = client::ask(socket, Method::POST, "/capture", asked).await?;
        if response.status() == StatusCode::BAD_REQUEST {
            let said = response.into_body().collect().await?.to_bytes();
            eprintln!("ringroad: {}", String::from_utf8_lossy(&said).trim_end());
            return Ok(ExitCode::from(EXIT_USAGE));
        }
        if !response.status().is_success() {
            let said = response.into_body().collect().await?.to_bytes();
            bail!("{}", String::from_utf8_lossy(&said).trim_end());
        }
        // Once for all: it is not to be missed while a packet is at hand.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut blocks = Blocks::default();
        let written =
            write_down(response.into_body(), socket, &mut interrupt, &mut blocks, &mut file);
        match written.await {
            // Whoever read it has seen enough.
            Err(error) if is_broken_pipe(&error) => {}
            other => other.with_context(|| format!("{} is incomplete", out.display()))?,
        }
        let plural = if blocks.packets == 1 { "" } else { "s" };
        eprintln!("{} packet{plural} captured, {} lost", blocks.packets, blocks.lost);
        Ok(ExitCode::SUCCESS)
    })
}

async fn write_down(
    mut body: Incoming,
    socket: &Path,
    interrupt: &mut Signal,
    blocks: &mut Blocks,
    file: &mut Output,
) -> Result<()> {
    let mut told = false;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            _ = interrupt.recv(), if !told => {
                told = true;
                // What is still to come says what was lost.
                client::ask(socket, Method::DELETE, "/capture", Bytes::new()).await?;
                continue;
            }
            // Nothing may be captured any more that would tell.
            _ = looks.tick() => match file.is_read() {
                true => continue,
                false => return Ok(()),
            },
        };
        let Some(frame) = frame else { break };
        let frame = frame.context("the engine has ended the capture before its time")?;
        if let Ok(data) = frame.into_data() {
            file.write(blocks.add(&data)?).context("cannot write")?;
            blocks.forget_written();
        }
    }
    Ok(())
}

/// Where a capture goes.
enum Output {
    Stdout,
    File(File),
}

impl Output {
    fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            pcapng::refuse_terminal()?;
            return Ok(Output::Stdout);
        }
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Output::File(file))
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Output::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(octets)?;
                stdout.flush()
            }
            Output::File(file) => file.write_all(octets),
        }
    }

    /// Whether it is of use to anybody: a pipe is not that nobody reads any more.
    fn is_read(&self) -> bool {
        let Output::Stdout = self else { return true };
        let stdout = io::stdout();
        let mut pipe = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        let ready = poll(&mut pipe, PollTimeout::ZERO).unwrap_or(0);
        let is_closed = |events: PollFlags| events.contains(PollFlags::POLLERR);
        ready == 0 || !pipe[0].revents().is_some_and(is_closed)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// What has come and is not written yet: pieces end where the network likes, and a file is to end with a
/// whole block whatever happens.
#[derive(Default)]
struct Blocks {
    octets: Vec<u8>,
    whole: usize,
    parser: Option<PcapNgParser>,
    packets: u64,
    lost: u64,
}

impl Blocks {
    /// Adds a piece, and returns what can be written.
    fn add(&mut self, piece: &[u8]) -> Result<&[u8]> {
        self.octets.extend_from_slice(piece);
        while let Some(length) = self.next()? {
            self.whole += length;
        }
        Ok(&self.octets[..self.whole])
    }

    fn forget_written(&mut self) {
        self.octets.drain(..self.whole);
        self.whole = 0;
    }

    /// Length of the next whole block [octets], which is counted.
    fn next(&mut self) -> Result<Option<usize>> {
        let rest = &self.octets[self.whole..];
        let parsed = match &mut self.parser {
            Some(parser) => parser.next_block(rest).map(|(rest, block)| (rest, Some(block))),
            None => PcapNgParser::new(rest).map(|(rest, parser)| {
                self.parser = Some(parser);
                (rest, None)
            }),
        };
        let (behind, block) = match parsed {
            Ok(parsed) => parsed,
            Err(PcapError::IncompleteBuffer) => return Ok(None),
            Err(error) => return Err(error).context("the engine has sent what is no capture"),
        };
        match block {
            Some(Block::EnhancedPacket(_)) => self.packets += 1,
            Some(Block::InterfaceStatistics(statistics)) => self.lost += lost(&statistics),
            _ => {}
        }
        Ok(Some(rest.len() - behind.len()))
    }
}

fn lost(statistics: &InterfaceStatisticsBlock<'_>) -> u64 {
    let of = |option: &InterfaceStatisticsOption<'_>| match option {
        InterfaceStatisticsOption::IsbIfDrop(count) => Some(*count),
        _ => None,
    };
    statistics.options.iter().find_map(of).unwrap_or(0)
}

/// How often is looked whether anybody still reads.
const LOOK: Duration = Duration::from_millis(200);
