//! What the running engine has recorded, as it crosses the admin socket, and the command that writes
//! it, or a recording, to files.

mod command;
mod percentiles;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use ringroad_engine::telemetry::{Measure, Recorders};
use serde::{Deserialize, Serialize};

pub(crate) use self::command::{Args, run, time};
use crate::client;
use crate::unix_time::{self, since_1970};

/// A histogram of each measure that anything was recorded of, of all cores together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Histograms {
    /// Since 1970 [s].
    pub(crate) began: f64,
    pub(crate) ended: f64,
    /// By the measure's name.
    measures: BTreeMap<String, Encoded>,
}

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Encoded {
    /// What the values are in: ns or packets.
    unit: String,
    /// As in HDR interval logs: V2, deflated, in base 64.
    histogram: String,
}

impl Histograms {
    /// What cores have recorded since then.
    pub(crate) fn new(began: SystemTime, cores: &[Recorders]) -> Result<Self> {
        let mut measures = BTreeMap::new();
        for measure in Measure::ALL {
            if let Some(histogram) = merged(cores, measure) {
                let encoded = Encoded {
                    unit: measure.unit().symbol().to_owned(),
                    histogram: encode(&histogram)?,
                };
                measures.insert(measure.name().to_owned(), encoded);
            }
        }
        Ok(Histograms {
            began: since_1970(began).as_secs_f64(),
            ended: unix_time::now().as_secs_f64(),
            measures,
        })
    }

    pub(crate) fn fetch(socket: &Path) -> Result<Self> {
        Ok(serde_json::from_slice(&client::get(socket, "/histograms")?)?)
    }

    /// `None`: nothing was recorded of it.
    pub(crate) fn get(&self, measure: Measure) -> Result<Option<Histogram<u64>>> {
        let Some(Encoded { histogram, .. }) = self.measures.get(measure.name()) else {
            return Ok(None);
        };
        let histogram = decode(histogram).with_context(|| format!("histogram {}", measure.name()));
        histogram.map(Some)
    }
}

/// What several cores have recorded of one measure; `None`: nothing.
pub(crate) fn merged(cores: &[Recorders], measure: Measure) -> Option<Histogram<u64>> {
    let mut sum: Option<Histogram<u64>> = None;
    for histogram in cores.iter().filter_map(|core| core.histogram(measure)) {
        match &mut sum {
            _ if histogram.is_empty() => {}
            None => sum = Some(histogram.clone()),
            Some(sum) => sum.add(histogram).expect("all have the bounds of their measure"),
        }
    }
    sum
}

fn encode(histogram: &Histogram<u64>) -> Result<String> {
    let mut octets = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut octets)?;
    Ok(STANDARD.encode(octets))
}

fn decode(text: &str) -> Result<Histogram<u64>> {
    let octets = STANDARD.decode(text).context("is not base 64")?;
    Deserializer::new()
        .deserialize(&mut octets.as_slice())
        .map_err(|error| anyhow::anyhow!("is no HDR histogram: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_crosses_the_socket_is_what_the_cores_recorded_together() {
        let (mut one, mut other) = (Recorders::new(), Recorders::new());
        one.record_n(Measure::Inside, 1_000, 3);
        other.record(Measure::Inside, 2_000_000);
        let histograms = Histograms::new(SystemTime::now(), &[one, other, Recorders::off()]);
        let text = serde_json::to_string(&histograms.unwrap()).unwrap();
        let read: Histograms = serde_json::from_str(&text).unwrap();
        let inside = read.get(Measure::Inside).unwrap().unwrap();
        assert_eq!((inside.len(), inside.value_at_quantile(0.5)), (4, 1_000));
        assert!((2_000_000..2_002_000).contains(&inside.max()), "{}", inside.max());
        assert!(read.get(Measure::Burst).unwrap().is_none());
    }

    #[test]
    fn a_histogram_that_is_none_is_named() {
        let text = r#"{"began": 0, "ended": 1,
            "measures": {"inside": {"unit": "ns", "histogram": "AAAA"}}}"#;
        let read: Histograms = serde_json::from_str(text).unwrap();
        let error = format!("{:#}", read.get(Measure::Inside).unwrap_err());
        assert!(error.starts_with("histogram inside: is no HDR histogram"), "{error}");
    }
}
