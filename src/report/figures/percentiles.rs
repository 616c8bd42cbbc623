//! How values are spread: the value that a part of all stays at or below.

use hdrhistogram::Histogram;
use plotters::coord::ranged1d::Ranged as _;
use ringroad_engine::telemetry::Measure;

use super::Figure;
use crate::report::axis::{Axis, nines};
use crate::report::colours;
use crate::report::history::History;
use crate::report::plot::{Hint, Plot, Run, Series, Shape, Spot};
use crate::report::units;

pub(super) fn of_connections(history: &History) -> Figure {
    Figure {
        title: "Time by percentile",
        about: "How long payload was inside the engine, and what connections saw of clients and \
                origins. The further to the right, the rarer.",
        plot: curves(
            history,
            &[
                Measure::Inside,
                Measure::HandshakeClient,
                Measure::HandshakeOrigin,
                Measure::RttClient,
                Measure::RttOrigin,
                Measure::FirstByte,
            ],
        )
        .ok_or("no time inside, no handshake, no round trip and no first byte was recorded"),
    }
}

pub(super) fn of_waits(history: &History) -> Figure {
    Figure {
        title: "Waits by percentile",
        about: "Where the time inside goes: from the device to the engine, between cores and at work. \
                The wait for the device (tx) comes on top.",
        plot: curves(
            history,
            &[
                Measure::RxWait,
                Measure::RingWaitRx,
                Measure::RingWaitTx,
                Measure::RingWaitHandOver,
                Measure::Worker,
                Measure::TxWait,
            ],
        )
        .ok_or("no packet's way through the engine was recorded"),
    }
}

fn curves(history: &History, measures: &[Measure]) -> Option<Plot> {
    let recorded: Vec<(Measure, &Histogram<u64>)> = (measures.iter())
        .filter_map(|measure| Some((*measure, history.histograms.get(measure.name())?)))
        .collect();
    let count = recorded.iter().map(|(_, histogram)| histogram.len()).max()?;
    let ends = recorded.iter().flat_map(|(_, histogram)| [histogram.min(), histogram.max()]);
    let y = Axis::logarithmic("time, logarithmic", ends.map(|nanos| nanos as f64), units::time);
    let series =
        recorded.iter().zip(colours::IN_ORDER).map(|((measure, histogram), colour)| Series {
            name: said(*measure).to_owned(),
            colour,
            shape: Shape::Lines(vec![curve(histogram)]),
        });
    let x = Axis::percentiles(count);
    let hints = HINTS_AT.into_iter().filter_map(|(name, quantile)| {
        let place = nines(quantile, u64::MAX);
        let text = told(&recorded, name, quantile);
        (place <= x.range().end).then_some(Hint { spot: Spot::Column(place), text })
    });
    let (series, hints) = (series.collect(), hints.collect());
    Some(Plot { x, y, series, hints })
}

fn curve(histogram: &Histogram<u64>) -> Run {
    let points = histogram.iter_quantiles(STEPS_PER_HALF).map(|at| {
        let place = nines(at.quantile_iterated_to(), histogram.len());
        (place, at.value_iterated_to().min(histogram.max()) as f64)
    });
    points.collect()
}

fn told(recorded: &[(Measure, &Histogram<u64>)], name: &str, quantile: f64) -> String {
    let mut text = name.to_owned();
    for (measure, histogram) in recorded {
        let value = units::time(histogram.value_at_quantile(quantile) as f64);
        text.push_str(&format!("\n{}: {value}", said(*measure)));
    }
    text
}

/// A measure's name, in words.
fn said(measure: Measure) -> String {
    measure.name().replace('_', " ")
}

/// Points of a curve each time that what is left of the values has halved.
const STEPS_PER_HALF: u32 = 10;

const HINTS_AT: [(&str, f64); 11] = [
    ("min", 0.0),
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.5", 0.995),
    ("p99.9", 0.999),
    ("p99.95", 0.999_5),
    ("p99.99", 0.999_9),
    ("p99.999", 0.999_99),
];
