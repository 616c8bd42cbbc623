//! What the running engine says of itself: its shape as JSON and for people, and the command
//! that asks for it.

mod cores;
mod origins;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use ringroad_ebpf::ShieldCounters;
use ringroad_engine::shield::KernelPathCounts;
use ringroad_engine::stage::monotonic;
use ringroad_engine::telemetry::{Handshakes, Measure, Recorders, Snapshot};
use ringroad_engine::wire::Malformed;
use serde::{Deserialize, Serialize};

use self::cores::mhz;
pub(crate) use self::cores::{Bottleneck, Core, Ring, Stage, bottleneck, nanos_per_packet};
pub(crate) use self::origins::{Health, Origin};
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

/// Whose connections of the last seconds were how many; those that were opened, whatever became of
/// them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClientSource {
    /// An IPv4 address, or a /64 of IPv6.
    pub(crate) source: String,
    pub(crate) connections: u64,
    pub(crate) per_second: f64,
    /// Of all that were opened, from 0 to 1.
    pub(crate) share: f64,
}

/// Whether new connections are answered by SYN cookies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cookies {
    /// As in the configuration: auto, always or off.
    pub(crate) mode: String,
    pub(crate) lanes: Vec<LaneCookies>,
    /// Of the key in use [s].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_age_s: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LaneCookies {
    pub(crate) on: bool,
    /// How long it has been so [s]; absent: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) for_s: Option<f64>,
    /// Connections whose client has yet to complete its handshake.
    pub(crate) half_open: u64,
}

/// What can be seen of the packets that the shield refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Refused {
    /// Taken since the start.
    pub(crate) samples: u64,
    /// Those that there was no room for.
    pub(crate) lost: u64,
    /// Most first, of the last minutes.
    pub(crate) worst: Vec<Source>,
}

/// Who sent packets that were refused for one reason.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Source {
    /// A prefix.
    pub(crate) source: String,
    pub(crate) verdict: String,
    /// Of the samples of late, from 0 to 1.
    pub(crate) share: f64,
}

/// Every packet on the ports, by what became of it:
/// `received = forwarded + consumed + to_kernel + held + Σ dropped` and
/// `sent = forwarded + originated + retransmitted`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    pub(crate) received: u64,
    pub(crate) forwarded: u64,
    pub(crate) consumed: u64,
    pub(crate) to_kernel: u64,
    /// Waiting to be sent for the first time, or in a ring that the engine has yet to look at.
    pub(crate) held: u64,
    /// Of those received, how many came to one worker and were another's.
    pub(crate) handed_over: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) sent: u64,
    pub(crate) originated: u64,
    pub(crate) retransmitted: u64,
}

/// `free + held == capacity`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Frames {
    pub(crate) capacity: u64,
    pub(crate) free: u64,
    pub(crate) held: u64,
    /// Of those held, with devices alone: to receive into, or on their way out.
    pub(crate) with_devices: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) connections: Connections,
    pub(crate) bytes: Octets,
    pub(crate) segments: Segments,
    /// What the shield decided on packets for it, by its reasons [packets]; without those of
    /// connections that the shield knew.
    pub(crate) shield: BTreeMap<String, u64>,
    /// In the order of the configuration.
    pub(crate) origins: Vec<Origin>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Connections {
    pub(crate) active: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) fell_back: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Octets {
    pub(crate) to_origin: u64,
    pub(crate) to_client: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Segments {
    pub(crate) zero_copy: u64,
    pub(crate) copied: u64,
    pub(crate) retransmitted: u64,
}

/// Time of forwarded payload inside the engine [µs].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub(crate) max_us: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) rx_dropped: u64,
    pub(crate) tx_dropped: u64,
    /// Where Linux has the port by way of the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kernel_path: Option<KernelPath>,
}

/// What crossed between a port and its interface in Linux.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KernelPath {
    pub(crate) to_kernel: u64,
    /// Sent by Linux; among the port's `sent`, not among the ledger's.
    pub(crate) from_kernel: u64,
    pub(crate) from_kernel_dropped: u64,
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
        let lane = &snapshot.ledger;
        let lost: u64 = snapshot.ports.iter().map(|port| port.rx_dropped).sum();
        let mut dropped: BTreeMap<String, u64> =
            lane.drops().map(|(reason, count)| (reason.to_owned(), count)).collect();
        let damaged: u64 = snapshot.ports.iter().map(|port| port.rx_checksum_errors).sum();
        for (reason, count) in [(RX_RING, lost), (Malformed::TcpChecksum.as_str(), damaged)] {
            if count > 0 {
                *dropped.entry(reason.to_owned()).or_default() += count;
            }
        }
        let mut origins = snapshot.origins.iter();
        let services = names.services.iter().zip(&names.origins);
        let services = services.zip(snapshot.services.iter().zip(&snapshot.verdicts));
        let services = services.map(|((name, addresses), (s, verdicts))| Service {
            name: name.clone(),
            connections: Connections {
                active: s.active,
                accepted: s.accepted,
                refused: s.refused,
                fell_back: s.fell_back,
            },
            bytes: Octets { to_origin: s.to_origin_octets, to_client: s.to_client_octets },
            segments: Segments {
                zero_copy: s.segments_zero_copy,
                copied: s.segments_copied,
                retransmitted: s.segments_retransmitted,
            },
            shield: by_verdict(verdicts),
            origins: (addresses.iter().zip(origins.by_ref()))
                .map(|(address, counters)| Origin::new(*address, counters))
                .collect(),
        });
        let ports = names.ports.iter().zip(&snapshot.ports).zip(&snapshot.kernel_paths);
        let ports = ports.map(|((name, p), crossed)| Port {
            name: name.clone(),
            received: p.received,
            sent: p.sent,
            rx_dropped: p.rx_dropped,
            tx_dropped: p.tx_dropped,
            kernel_path: (*crossed != KernelPathCounts::default()).then_some(KernelPath {
                to_kernel: crossed.to_kernel,
                from_kernel: crossed.from_kernel,
                from_kernel_dropped: crossed.from_kernel_dropped,
            }),
        });
        let cores = cores(names, snapshot, recorded);
        Stats {
            ledger: Ledger {
                received: lane.arrived() + lost + damaged,
                forwarded: lane.forwarded,
                consumed: lane.consumed,
                to_kernel: lane.to_kernel,
                held: lane.held,
                handed_over: lane.handed_over,
                dropped,
                sent: lane.sent,
                originated: lane.originated,
                retransmitted: lane.retransmitted,
            },
            frames: Frames {
                capacity: snapshot.frames.capacity,
                free: snapshot.frames.free,
                held: snapshot.frames.held,
                with_devices: snapshot.frames.with_devices,
            },
            services: services.collect(),
            tcp: snapshot.tcp.events().map(|(what, count)| (what.to_owned(), count)).collect(),
            latency: merged(recorded, Measure::Inside)
                .as_ref()
                .map(Latency::of)
                .unwrap_or_default(),
            ports: ports.collect(),
            bottleneck: bottleneck(&cores),
            cores,
            shield: by_verdict(&lane.shield),
            buckets_evicted: lane.shield.buckets_evicted,
            cookies: Cookies {
                lanes: snapshot.handshakes.iter().map(LaneCookies::new).collect(),
                ..Cookies::default()
            },
            refused: Refused::default(),
            recording: None,
            sources: Vec::new(),
            paths: Vec::new(),
            census: None,
        }
    }

    /// A page for people.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        let l = &self.ledger;
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "in   received {} = forwarded {} + consumed {} + to kernel {} + held {} + dropped {}",
            l.received,
            l.forwarded,
            l.consumed,
            l.to_kernel,
            l.held,
            l.dropped.values().sum::<u64>()
        );
        for (reason, count) in &l.dropped {
            let _ = writeln!(out, "     dropped: {reason} {count}");
        }
        if l.handed_over > 0 {
            let _ = writeln!(out, "     came to another worker than their own: {}", l.handed_over);
        }
        let _ = writeln!(
            out,
            "out  sent {} = forwarded {} + originated {} + retransmitted {}",
            l.sent, l.forwarded, l.originated, l.retransmitted
        );
        let f = &self.frames;
        let _ = writeln!(
            out,
            "frames  capacity {} = free {} + held {} (with devices {})",
            f.capacity, f.free, f.held, f.with_devices
        );
        for s in &self.services {
            let c = &s.connections;
            let _ = writeln!(
                out,
                "service {}  connections: {} active, {} accepted, {} refused, {} fell back",
                s.name, c.active, c.accepted, c.refused, c.fell_back
            );
            let _ = writeln!(
                out,
                "        bytes: {} to origin, {} to client; segments: {} zero-copy, {} copied, {} retransmitted",
                s.bytes.to_origin,
                s.bytes.to_client,
                s.segments.zero_copy,
                s.segments.copied,
                s.segments.retransmitted
            );
            let seen: Vec<_> = (s.shield.iter())
                .filter(|(_, count)| **count > 0)
                .map(|(verdict, count)| format!("{verdict} {count}"))
                .collect();
            if !seen.is_empty() {
                let _ = writeln!(out, "        shield: {}", seen.join(", "));
            }
            s.origins.iter().for_each(|origin| origin.write(&mut out));
        }
        let seen: Vec<_> = (self.tcp.iter())
            .filter(|(_, count)| **count > 0)
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        if !seen.is_empty() {
            let _ = writeln!(out, "tcp  {}", seen.join(", "));
        }
        let t = &self.latency;
        let _ = writeln!(
            out,
            "time inside [µs]  p50 {:.1}  p90 {:.1}  p99 {:.1}  p99.9 {:.1}  max {:.1}  ({} segments)",
            t.p50_us, t.p90_us, t.p99_us, t.p999_us, t.max_us, t.count
        );
        if let Some(Recording { written, lost }) = &self.recording {
            let _ = writeln!(out, "recording  {written} intervals written, {lost} lost");
        }
        for ClientSource { source, connections, per_second, share } in &self.sources {
            let _ = writeln!(
                out,
                "source {source}  {connections} connections of late, {per_second:.1} a second, {:.1} %",
                100.0 * share
            );
        }
        self.paths.iter().for_each(|path| path.write(&mut out));
        self.census.iter().for_each(|census| census.write(&mut out));
        self.write_shield(&mut out);
        self.cores.iter().for_each(|core| core.write(&mut out));
        if let Some(Bottleneck { core, why }) = &self.bottleneck {
            let core = core.as_deref().unwrap_or("none");
            let _ = writeln!(out, "bottleneck: {core}  {why}");
        }
        for p in &self.ports {
            let _ = writeln!(
                out,
                "port {}  received {}, sent {}, dropped before us {}, refused by the device {}",
                p.name, p.received, p.sent, p.rx_dropped, p.tx_dropped
            );
            if let Some(k) = &p.kernel_path {
                let _ = writeln!(
                    out,
                    "        Linux: {} to it, {} from it, {} of its own lost",
                    k.to_kernel, k.from_kernel, k.from_kernel_dropped
                );
            }
        }
        out
    }

    fn write_shield(&self, out: &mut String) {
        for (verdict, count) in self.shield.iter().filter(|(_, count)| **count > 0) {
            let _ = writeln!(out, "shield  {verdict} {count}");
        }
        if self.buckets_evicted > 0 {
            let _ = writeln!(out, "shield  {} token buckets evicted", self.buckets_evicted);
        }
        let Cookies { mode, lanes, key_age_s } = &self.cookies;
        for (number, lane) in lanes.iter().enumerate() {
            let state = if lane.on { "on" } else { "off" };
            let _ = write!(out, "cookies {mode}  lane {number}: {state}");
            if let Some(seconds) = lane.for_s {
                let _ = write!(out, " for {seconds:.0} s");
            }
            let _ = write!(out, ", {} half open", lane.half_open);
            let _ = match key_age_s {
                Some(age) => writeln!(out, "; key {age} s old"),
                None => writeln!(out),
            };
        }
        let Refused { samples, lost, worst } = &self.refused;
        if *samples > 0 {
            let _ = writeln!(out, "refused  {samples} samples, {lost} lost");
        }
        for Source { source, verdict, share } in worst {
            let _ = writeln!(out, "        {:5.1} %  {source}  {verdict}", 100.0 * share);
        }
    }
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Latency {
            count: histogram.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max() as f64 / 1_000.0,
        }
    }
}

impl LaneCookies {
    fn new(handshakes: &Handshakes) -> Self {
        let Handshakes { half_open, cookies, since } = *handshakes;
        let for_s = since.map(|since| monotonic().since(since).as_secs_f64());
        LaneCookies { on: cookies, for_s, half_open }
    }
}

/// What the polling threads said, in their order.
fn cores(names: &Names, snapshot: &Snapshot, recorded: &[Recorders]) -> Vec<Core> {
    // Not everywhere does Linux say.
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let threads = names.threads.iter().zip(&snapshot.cores).zip(recorded);
    let threads = threads.map(|((thread, times), recorded)| {
        let mut core = Core::new(&thread.name, thread.role, times, recorded);
        if let Some(mhz) = mhz(&cpuinfo, thread.core.id) {
            core.set_clock(mhz);
        }
        core
    });
    threads.collect()
}

fn by_verdict(counters: &ShieldCounters) -> BTreeMap<String, u64> {
    counters.iter().map(|(verdict, count)| (verdict.name().to_owned(), count)).collect()
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

/// Why packets are dropped that no core has seen.
pub(crate) const RX_RING: &str = "rx_ring";

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two workers, each asked at an instant of its own: what one hands over meanwhile is seen to leave
    /// and not to arrive, or the other way round.
    #[test]
    fn what_crosses_between_two_workers_counts_once_and_where_it_arrives() {
        let names = Names::default();
        for (handed_over, taken_over, received) in [(5, 3, 8), (3, 5, 12), (4, 4, 10)] {
            let mut snapshot = Snapshot::new(0, 0);
            let ledger = &mut snapshot.ledger;
            (ledger.received, ledger.handed_over, ledger.taken_over) =
                (10, handed_over, taken_over);
            ledger.consumed = ledger.received + taken_over - handed_over;
            ledger.assert_balanced();
            let stats = Stats::new(&names, &snapshot, &[]);
            let shows = &stats.ledger;
            assert_eq!((shows.received, shows.consumed, shows.held), (received, received, 0));
            let line = format!("came to another worker than their own: {handed_over}\n");
            assert!(stats.to_text().contains(&line));
        }
    }
}
