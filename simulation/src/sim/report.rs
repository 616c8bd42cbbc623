//! What a run was like.

use std::fmt;
use std::time::Duration;

use ringroad_engine::tcp::TcpCounters;
use ringroad_engine::telemetry::{Ledger, ServiceCounters};

use super::highlights::Seen;
use super::judge::Tally;
use super::scenario::Scenario;
use super::watch::Watch;

/// A run that came to its end with nothing wrong.
#[derive(Clone, Debug)]
pub struct Report {
    pub scenario: Scenario,
    pub seed: u64,
    /// On cores of their own; none: one lane did all.
    pub workers: u8,
    /// How often one of them stood still.
    pub stalls: usize,
    /// Virtual time.
    pub lasted: Duration,
    pub tally: Tally,
    /// On the cables of both ports.
    pub packets: u64,
    pub octets: u64,
    /// The same for the same case; see [`Watch::fingerprint`].
    pub fingerprint: u128,
    pub ledger: Ledger,
    pub service: ServiceCounters,
    pub tcp: TcpCounters,
    /// Of so many frames, so many were free when memory was shortest [frames].
    pub frames: usize,
    pub frames_free_least: usize,
    /// What the scenario is about, in figures of its own.
    pub highlights: String,
}

impl Report {
    pub(super) fn new(seen: &Seen<'_>, watch: &Watch, tally: Tally) -> Self {
        let Seen { case, snapshot, .. } = seen;
        Report {
            scenario: case.scenario,
            seed: case.seed,
            workers: case.workers,
            stalls: case.stalls.len(),
            lasted: seen.lasted,
            tally,
            packets: watch.packets(),
            octets: watch.octets(),
            fingerprint: watch.fingerprint(),
            ledger: snapshot.ledger.clone(),
            service: snapshot.services[0],
            tcp: snapshot.tcp,
            frames: case.frames,
            frames_free_least: seen.frames_free_least,
            highlights: seen.highlights(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { scenario, seed, tally, service, tcp, .. } = self;
        writeln!(
            f,
            "{scenario}, seed {seed}: {:.3} s, {} packets, {} octets, trace {:032x}",
            self.lasted.as_secs_f64(),
            self.packets,
            self.octets,
            self.fingerprint
        )?;
        writeln!(f, "  about         {}", self.highlights)?;
        match self.workers {
            0 => writeln!(f, "  arrangement   run to completion")?,
            workers => writeln!(
                f,
                "  arrangement   pipeline, {workers} workers that stood still {} times",
                self.stalls
            )?,
        }
        writeln!(
            f,
            "  connections   {} whole ({} of them by Linux), {} cut short, {} refused",
            tally.whole, tally.by_linux, tally.cut_short, tally.refused
        )?;
        writeln!(
            f,
            "  engine        {} accepted, {} refused, {} left to Linux, {} reclaimed",
            service.accepted, service.refused, service.fell_back, service.reclaimed
        )?;
        writeln!(
            f,
            "  payload       {} octets to origins, {} to clients; segments {} in place, {} copied, \
             {} again",
            service.to_origin_octets,
            service.to_client_octets,
            service.segments_zero_copy,
            service.segments_copied,
            service.segments_retransmitted
        )?;
        let events: Vec<String> = tcp
            .events()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        line(f, "recovery", &events)?;
        let drops: Vec<String> =
            self.ledger.drops().map(|(name, count)| format!("{name} {count}")).collect();
        line(f, "dropped", &drops)?;
        write!(f, "  frames        {} of {} free at least", self.frames_free_least, self.frames)
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, figures: &[String]) -> fmt::Result {
    match figures {
        [] => Ok(()),
        some => writeln!(f, "  {name:13} {}", some.join(", ")),
    }
}
