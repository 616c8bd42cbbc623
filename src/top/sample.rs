//! What the engine says at one time, and what it recorded since another.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;
use ringroad_engine::telemetry::Measure;

use crate::client;
use crate::histograms::Histograms;
use crate::stats::Stats;

/// Counts and histograms since the engine's start.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) stats: Stats,
    /// When the engine began to record, since 1970 [s].
    began: f64,
    /// Those that anything was recorded of.
    recorded: BTreeMap<Measure, Histogram<u64>>,
}

impl Sample {
    pub(super) fn fetch(socket: &Path) -> Result<Self> {
        let stats = serde_json::from_slice(&client::get(socket, "/stats")?)?;
        let at = Instant::now();
        Sample::new(at, stats, &Histograms::fetch(socket)?)
    }

    pub(super) fn new(at: Instant, stats: Stats, histograms: &Histograms) -> Result<Self> {
        let mut recorded = BTreeMap::new();
        for measure in Measure::ALL {
            if let Some(histogram) = histograms.get(measure)? {
                recorded.insert(measure, histogram);
            }
        }
        Ok(Sample { at, stats, began: histograms.began, recorded })
    }

    /// How long the engine has been polling [s].
    pub(super) fn up_s(&self) -> f64 {
        let ups = self.stats.cores.iter().map(|core| core.busy_s + core.idle_s);
        ups.fold(0.0, f64::max)
    }

    /// Whether the engine is the one that said `earlier`, and not one that was started since, be it
    /// between the two questions of one sample.
    pub(super) fn continues(&self, earlier: &Sample) -> bool {
        self.began == earlier.began && self.up_s() >= earlier.up_s()
    }

    /// What was recorded since `earlier`; `None`: nothing.
    pub(super) fn recorded_since(
        &self,
        earlier: &Sample,
        measure: Measure,
    ) -> Option<Histogram<u64>> {
        let mut recorded = self.recorded.get(&measure)?.clone();
        if let Some(before) = earlier.recorded.get(&measure) {
            recorded.subtract(before).ok()?;
        }
        (!recorded.is_empty()).then_some(recorded)
    }
}
