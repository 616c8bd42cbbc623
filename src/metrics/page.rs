//! A page of metrics as it is written: one family behind the other, each with its samples.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelValue, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// See the module. A family without samples is left out.
///
/// Names are whole, but for `ringroad_` in front and for what their type puts behind (`_total`,
/// `_info`, `_bucket` …); those that end in a unit are said to have it. Labels hold what needs no
/// escaping: names as the configuration allows them, addresses, words of ours.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

/// Names and values of a sample's labels.
pub(crate) trait Labels {
    type Value: EncodeLabelValue;

    fn all(&self) -> &[(&'static str, Self::Value)];
}

impl<V: EncodeLabelValue, const N: usize> Labels for [(&'static str, V); N] {
    type Value = V;

    fn all(&self) -> &[(&'static str, V)] {
        self
    }
}

impl<V: EncodeLabelValue> Labels for &[(&'static str, V)] {
    type Value = V;

    fn all(&self) -> &[(&'static str, V)] {
        self
    }
}

/// Of a sample that is the only one of its family.
pub(crate) const UNLABELLED: [(&str, &str); 0] = [];

/// A histogram in classic buckets, in the base unit of its family.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buckets {
    pub(crate) sum: f64,
    /// Upper bounds, which belong to their buckets, with how many are in each; the last is
    /// [`Buckets::INFINITE`].
    pub(crate) counts: Vec<(f64, u64)>,
}

impl Buckets {
    /// What the encoder writes as `+Inf`.
    pub(crate) const INFINITE: f64 = f64::MAX;

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }
}

impl<'a> Page<'a> {
    pub(crate) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Page { encoder }
    }

    /// What only grows: `NAME_total`.
    pub(crate) fn counters<S: Labels, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (S, V)>,
    ) -> fmt::Result {
        self.family(MetricType::Counter, name, help, samples, |family, (labels, value)| {
            sample(family, &labels, |it| it.encode_counter::<NoLabelSet, V, f64>(&value, None))
        })
    }

    /// What is now.
    pub(crate) fn gauges<S: Labels, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (S, V)>,
    ) -> fmt::Result {
        self.family(MetricType::Gauge, name, help, samples, |family, (labels, value)| {
            sample(family, &labels, |it| it.encode_gauge(&value))
        })
    }

    /// What stays as it is, told by labels: `NAME_info`, always 1.
    pub(crate) fn infos<S: Labels>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = S>,
    ) -> fmt::Result {
        self.family(MetricType::Info, name, help, samples, |family, labels| {
            family.encode_info(&labels.all())
        })
    }

    pub(crate) fn histograms<'b, S: Labels>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (S, &'b Buckets)>,
    ) -> fmt::Result {
        self.family(MetricType::Histogram, name, help, samples, |family, (labels, value)| {
            let Buckets { sum, counts } = value;
            sample(family, &labels, |it| {
                it.encode_histogram::<NoLabelSet>(*sum, value.count(), counts, None)
            })
        })
    }

    fn family<S>(
        &mut self,
        kind: MetricType,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = S>,
        mut write: impl FnMut(&mut MetricEncoder<'_>, S) -> fmt::Result,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let (name, unit) = with_unit(name);
        let mut family = self.encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
        samples.try_for_each(|sample| write(&mut family, sample))
    }
}

/// Writes one sample of a family. One without labels has no braces either.
fn sample(
    family: &mut MetricEncoder<'_>,
    labels: &impl Labels,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    match labels.all() {
        [] => write(family),
        labels => write(&mut family.encode_family(&labels)?),
    }
}

/// What stands before the unit in a name, and the unit.
fn with_unit(name: &str) -> (&str, Option<Unit>) {
    let other = |unit: &str| Unit::Other(unit.to_owned());
    for unit in [Unit::Bytes, Unit::Seconds, other("ratio"), other("bytes_per_second")] {
        let before = name.strip_suffix(unit.as_str()).and_then(|name| name.strip_suffix('_'));
        if let Some(before) = before {
            return (before, Some(unit));
        }
    }
    (name, None)
}
