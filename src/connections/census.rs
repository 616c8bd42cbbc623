//! How many connections there are of each kind: by service, leg, algorithm and phase.
//!
//! Taken by looking at all of them, page by page, so it is taken when somebody asks, and once in
//! [`CENSUS_INTERVAL`] at most. 100,000 connections cost their threads less than a tenth of a second then.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use ringroad_engine::proxy::{ConnectionView, LegView, Side};
use ringroad_engine::stage::Wanted;
use ringroad_engine::tcp::congestion::CongestionPhase;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::listing::Walk;
use crate::crew::Crew;

/// All connections as they were a while ago.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Census {
    /// Since it was begun.
    pub(crate) age_s: f64,
    pub(crate) legs: Vec<Legs>,
}

/// Legs of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Legs {
    pub(crate) service: String,
    /// client or origin
    pub(crate) leg: String,
    pub(crate) congestion: String,
    pub(crate) phase: String,
    pub(crate) connections: u64,
    /// Of these, those of connections that sleep.
    pub(crate) dormant: u64,
    /// What follows is added up over them all.
    pub(crate) cwnd_bytes: u64,
    pub(crate) in_flight_bytes: u64,
    /// Of those that have measured a round trip, which are so many.
    pub(crate) rtt_us: u64,
    pub(crate) with_rtt: u64,
    pub(crate) delivery_rate_bps: u64,
}

impl Census {
    /// A line of each kind for people.
    pub(crate) fn write(&self, out: &mut String) {
        for legs in &self.legs {
            let mean_kb = legs.cwnd_bytes as f64 / legs.connections.max(1) as f64 / 1e3;
            // Writing to a `String` cannot fail.
            let _ = write!(
                out,
                "legs {} {}  {}:{}  {} ({} dormant)  cwnd {mean_kb:.1} kB",
                legs.service, legs.leg, legs.congestion, legs.phase, legs.connections, legs.dormant,
            );
            if legs.with_rtt > 0 {
                let mean_ms = legs.rtt_us as f64 / legs.with_rtt as f64 / 1e3;
                let _ = write!(out, "  rtt {mean_ms:.3} ms");
            }
            let _ = writeln!(out, "  {:.1} Mbit/s in all", legs.delivery_rate_bps as f64 / 1e6);
        }
    }
}

/// Takes the census, and has the last.
#[derive(Debug)]
pub(crate) struct CensusTaker {
    asked: Notify,
    latest: watch::Sender<Option<Taken>>,
}

/// A census, and when it was begun.
#[derive(Clone, Debug)]
struct Taken {
    at: Instant,
    legs: Arc<Vec<Legs>>,
}

impl CensusTaker {
    pub(crate) fn new() -> Self {
        CensusTaker { asked: Notify::new(), latest: watch::Sender::new(None) }
    }

    /// Takes it whenever it is asked for; never ends.
    pub(crate) async fn run(&self, crew: &Crew, services: &[String]) {
        loop {
            self.asked.notified().await;
            let at = Instant::now();
            match take(crew, services).await {
                Ok(legs) => {
                    drop(self.latest.send_replace(Some(Taken { at, legs: Arc::new(legs) })))
                }
                Err(error) => tracing::debug!("census of connections: {error:#}"),
            }
            sleep_until(at + CENSUS_INTERVAL).await;
        }
    }

    /// The latest, and has the next taken. Who asks first waits a moment for it.
    pub(crate) async fn latest(&self) -> Option<Census> {
        self.asked.notify_one();
        let mut latest = self.latest.subscribe();
        let taken =
            timeout(PATIENCE, latest.wait_for(Option::is_some)).await.ok()?.ok()?.clone()?;
        Some(Census { age_s: taken.at.elapsed().as_secs_f64(), legs: taken.legs.to_vec() })
    }
}

async fn take(crew: &Crew, services: &[String]) -> Result<Vec<Legs>> {
    let mut counts = Counts::default();
    let mut walk = Walk::new(crew.clone(), Wanted::default());
    while let Some((_, views)) = walk.next().await? {
        views.iter().for_each(|view| counts.add(view));
    }
    Ok(counts.named(services))
}

/// By service, side, algorithm and phase.
#[derive(Debug, Default)]
struct Counts(BTreeMap<(u16, u8, &'static str, CongestionPhase), Legs>);

impl Counts {
    fn add(&mut self, view: &ConnectionView) {
        for side in Side::BOTH {
            if let Some(leg) = &view.legs[side as usize] {
                let congestion = &leg.tcp.congestion;
                let kind = (view.service, side as u8, congestion.algorithm, congestion.phase);
                self.0.entry(kind).or_default().add(leg, view.dormant);
            }
        }
    }

    fn named(self, services: &[String]) -> Vec<Legs> {
        let named = self.0.into_iter().map(|((service, side, algorithm, phase), legs)| Legs {
            service: services.get(usize::from(service)).cloned().unwrap_or_default(),
            leg: if side == Side::Client as u8 { "client" } else { "origin" }.to_owned(),
            congestion: algorithm.to_owned(),
            phase: phase.name().to_owned(),
            ..legs
        });
        named.collect()
    }
}

impl Legs {
    fn add(&mut self, leg: &LegView, dormant: bool) {
        let congestion = &leg.tcp.congestion;
        self.connections += 1;
        self.dormant += u64::from(dormant);
        self.cwnd_bytes += u64::from(congestion.window_octets);
        self.in_flight_bytes += u64::from(congestion.in_flight_octets);
        if let Some(rtt) = leg.tcp.round_trip.smoothed {
            self.rtt_us += rtt.as_micros() as u64;
            self.with_rtt += 1;
        }
        if let Some(latest) = congestion.delivery_rate {
            self.delivery_rate_bps += latest.rate.octets_per_second().saturating_mul(8);
        }
    }
}

/// Least time from the beginning of one census to that of the next.
const CENSUS_INTERVAL: Duration = Duration::from_secs(10);

/// What who asks first waits at most.
const PATIENCE: Duration = Duration::from_millis(500);
