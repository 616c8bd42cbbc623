//! How good each path is, as the control plane knows it: service × (clients | each origin).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use ringroad_engine::telemetry::{PathQuality, PathSums};
use ringroad_engine::time::Instant;
use serde::{Deserialize, Serialize};

use super::shown::Quality;
use crate::stats::Names;

/// A path as `ringroad stats --json` shows it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Path {
    pub(crate) service: String,
    /// client or origin
    pub(crate) leg: String,
    /// Which origin; absent: to the clients, all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<SocketAddr>,
    /// Absent as long as nothing is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<Seen>,
}

/// What is known of it, and what that comes to.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Seen {
    pub(crate) rtt_us: f64,
    pub(crate) jitter_us: f64,
    /// From 0 to 1.
    pub(crate) loss: f64,
    /// Of a connection; absent: the path was never what limited one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bandwidth_bps: Option<f64>,
    pub(crate) quality: Quality,
}

impl Path {
    /// A line for people; nothing of a path of which nothing is known.
    pub(crate) fn write(&self, out: &mut String) {
        let Some(seen) = self.seen else { return };
        let to = match self.origin {
            Some(origin) => format!("origin {origin}"),
            None => "clients".to_owned(),
        };
        let quality = seen.quality;
        // Writing to a `String` cannot fail.
        let _ = write!(
            out,
            "path {} to {to}  score {:.0} (confidence {:.2})  rtt {:.3} ms  jitter {:.3} ms  loss {:.3} %",
            self.service,
            quality.score,
            quality.confidence,
            seen.rtt_us / 1e3,
            seen.jitter_us / 1e3,
            seen.loss * 100.0,
        );
        if let Some(bps) = seen.bandwidth_bps {
            let _ = write!(out, "  {:.1} Mbit/s a connection", bps / 1e6);
        }
        out.push('\n');
    }
}

/// What is remembered of the paths, in the order of a snapshot.
#[derive(Debug)]
pub(crate) struct Paths {
    qualities: Mutex<Vec<PathQuality>>,
}

impl Paths {
    pub(crate) fn new(names: &Names) -> Self {
        Paths { qualities: Mutex::new(vec![PathQuality::default(); names.paths()]) }
    }

    /// Takes in what workers have added up, and says what is known now.
    pub(crate) fn update(&self, names: &Names, sums: &[PathSums], now: Instant) -> Vec<Path> {
        let mut qualities = self.qualities.lock().unwrap_or_else(PoisonError::into_inner);
        let mut judged = qualities.iter_mut().zip(sums).map(|(quality, sums)| {
            quality.update(sums, now);
            quality.judge()
        });
        let mut paths = Vec::new();
        for (service, origins) in names.services.iter().zip(&names.origins) {
            let ends = std::iter::once(None).chain(origins.iter().copied().map(Some));
            paths.extend(ends.map(|origin| Path {
                service: service.clone(),
                leg: if origin.is_some() { "origin" } else { "client" }.to_owned(),
                origin,
                seen: judged.next().flatten().map(|(seen, quality)| Seen {
                    rtt_us: seen.rtt.as_secs_f64() * 1e6,
                    jitter_us: seen.jitter.as_secs_f64() * 1e6,
                    loss: seen.loss,
                    bandwidth_bps: seen.bandwidth.map(|octets| octets * 8.0),
                    quality: quality.into(),
                }),
            }));
        }
        paths
    }
}
