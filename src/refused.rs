//! What the shield refuses, as people can look at it: the latest samples, who sends most of them,
//! and the command that writes them down.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use ipnet::IpNet;
use ringroad_ebpf::limits::SAMPLE_OCTETS_MAX;
use ringroad_ebpf::{Sample, Verdict};
use ringroad_engine::telemetry::SpaceSaving;
use ringroad_engine::time::Instant;
use ringroad_engine::wire::ethernet::{EtherType, EthernetHeader, TAG_LEN};

use crate::client::{self, Socket};
use crate::pcapng::{self, Direction, Packet, Pcapng};
use crate::stats::{Names, Source};

/// What is kept of the samples.
#[derive(Debug)]
pub(crate) struct Refused {
    latest: VecDeque<Sample>,
    seen: u64,
    sources: SpaceSaving<(IpNet, Verdict)>,
}

impl Refused {
    pub(crate) fn new() -> Self {
        Refused {
            latest: VecDeque::with_capacity(SAMPLES_KEPT),
            seen: 0,
            sources: SpaceSaving::new(SOURCES_COUNTED),
        }
    }

    pub(crate) fn add(&mut self, sample: Sample) {
        if let Some(source) = source_of(sample.head()) {
            self.sources.add((source, sample.verdict));
        }
        if self.latest.len() == SAMPLES_KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(sample);
        self.seen += 1;
    }

    /// Has what came before count half.
    pub(crate) fn age(&mut self) {
        self.sources.halve();
    }

    /// Since the start.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Who was refused most of late, and why.
    pub(crate) fn worst(&self) -> Vec<Source> {
        let total = self.sources.total().max(1) as f64;
        let top = self.sources.top(SOURCES_SHOWN).into_iter();
        top.map(|((source, verdict), count)| Source {
            source: source.to_string(),
            verdict: verdict.name().to_owned(),
            share: count as f64 / total,
        })
        .collect()
    }

    /// The latest samples as a capture file.
    pub(crate) fn to_pcapng(&self, names: &Names) -> Result<Vec<u8>> {
        let mut file = Pcapng::new(&names.ports, SAMPLE_OCTETS_MAX as u32)?;
        for sample in &self.latest {
            file.add(Packet {
                port: sample.port_index,
                at: Instant::from_nanos(sample.at_ns),
                octets: sample.head(),
                original_len: sample.octets,
                direction: Direction::Inbound,
                comment: comment(sample, names),
            })?;
        }
        Ok(file.take())
    }
}

/// Verdict and service.
fn comment(sample: &Sample, names: &Names) -> String {
    let verdict = sample.verdict.name();
    let service = sample.service_index.and_then(|index| names.services.get(index as usize));
    service.map_or(verdict.to_owned(), |service| format!("{verdict}, service {service}"))
}

/// The prefix of one host, or of one host's network, that a packet says it comes from.
fn source_of(frame: &[u8]) -> Option<IpNet> {
    let (header, mut at) = EthernetHeader::parse(frame).ok()?;
    let mut ether_type = header.ether_type;
    while ether_type.is_tag() {
        let tag = frame.get(at..)?.first_chunk::<TAG_LEN>()?;
        ether_type = EtherType(u16::from_be_bytes([tag[2], tag[3]]));
        at += TAG_LEN;
    }
    let packet = frame.get(at..)?;
    let (source, bits): (IpAddr, u8) = match ether_type {
        EtherType::IPV4 => {
            (Ipv4Addr::from(*packet.get(12..)?.first_chunk::<4>()?).into(), SOURCE_BITS_V4)
        }
        EtherType::IPV6 => {
            (Ipv6Addr::from(*packet.get(8..)?.first_chunk::<16>()?).into(), SOURCE_BITS_V6)
        }
        _ => return None,
    };
    Some(IpNet::new(source, bits).ok()?.trunc())
}

/// Write samples of the packets that the shield refused
///
/// The latest of them, as pcapng: each says in its comment why it was refused, and for which service.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to; - for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    socket: Socket,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let to_stdout = args.out == Path::new("-");
    if to_stdout {
        pcapng::refuse_terminal()?;
    }
    let capture = client::get(&args.socket.path, "/refused")?;
    if to_stdout {
        std::io::stdout().write_all(&capture).context("cannot write to standard output")?;
    } else {
        std::fs::write(&args.out, &capture)
            .with_context(|| format!("cannot write {}", args.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Samples that can be looked at: some seconds of a flood.
const SAMPLES_KEPT: usize = 4096;

/// Sources that are counted, each for each verdict: whoever sends more than a thousandth is found.
const SOURCES_COUNTED: usize = 1024;

/// Sources that `ringroad stats` shows.
const SOURCES_SHOWN: usize = 10;

/// What tells sources apart: an address, and what is one customer's of IPv6.
const SOURCE_BITS_V4: u8 = 32;
const SOURCE_BITS_V6: u8 = 64;

#[cfg(test)]
mod tests;
