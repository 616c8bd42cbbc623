//! The time inside the engine: over time, and against what there was to do.

use plotters::style::RGBColor;

use super::tracks::{Track, band, lines};
use super::{Figure, NO_RATES};
use crate::report::axis::Axis;
use crate::report::colours::{BLUE, GREY, VERMILLION};
use crate::report::history::{History, Spread};
use crate::report::plot::{Hint, Plot, Series, Shape, Spot};
use crate::report::units;

pub(super) fn against_load(history: &History) -> Figure {
    Figure {
        title: "Latency against load",
        about: "Each interval is two dots: where they rise steeply, the engine is near what it can do.",
        plot: scatter(history),
    }
}

pub(super) fn over_time(history: &History) -> Figure {
    Figure {
        title: "Latency over time",
        about: "Time inside the engine, of all payload that was forwarded in an interval.",
        plot: percentiles(history).ok_or(NOTHING_FORWARDED),
    }
}

fn scatter(history: &History) -> Result<Plot, &'static str> {
    if history.steps.iter().all(|step| step.inside.is_none()) {
        return Err(NOTHING_FORWARDED);
    }
    let mut series = Vec::new();
    let mut hints = Vec::new();
    for (name, colour, of) in SHOWN.into_iter().skip(1) {
        let dots = history.steps.iter().filter_map(|step| {
            let counts = step.counts.as_ref()?;
            Some((counts.rate(counts.received), of(&step.inside?)))
        });
        let dots: Vec<(f64, f64)> = dots.collect();
        hints.extend(dots.iter().map(|(rate, nanos)| Hint {
            spot: Spot::Dot((*rate, *nanos)),
            text: format!("{name}: {} at {} packets/s", units::time(*nanos), units::number(*rate)),
        }));
        series.push(Series { name: name.to_owned(), colour, shape: Shape::Dots(dots) });
    }
    let dots = series.iter().flat_map(|each| match &each.shape {
        Shape::Dots(dots) => dots.as_slice(),
        _ => &[],
    });
    let dots: Vec<(f64, f64)> = dots.copied().collect();
    if dots.is_empty() {
        return Err(NO_RATES);
    }
    let most = dots.iter().map(|(rate, _)| *rate).fold(0.0, f64::max);
    let times = dots.iter().map(|(_, nanos)| *nanos);
    Ok(Plot {
        x: Axis::from_zero("packets received a second", most, units::number),
        y: Axis::logarithmic("time inside, logarithmic", times, units::time),
        series,
        hints,
    })
}

fn percentiles(history: &History) -> Option<Plot> {
    let tracks = SHOWN.map(|(name, colour, of)| {
        Track::new(history, name, colour, |step| step.inside.as_ref().map(of))
    });
    if tracks.iter().all(Track::is_empty) {
        return None;
    }
    let times = tracks.iter().flat_map(Track::known);
    let y = Axis::logarithmic("time inside, logarithmic", times, units::time);
    let bands = [band(history, &tracks[1], &tracks[0]), band(history, &tracks[2], &tracks[1])];
    let mut plot = lines(history, tracks.into(), y, units::time);
    plot.series.splice(0..0, bands);
    Some(plot)
}

/// One of its figures [ns].
type Figured = fn(&Spread) -> f64;

/// What is shown of each interval, from the top.
const SHOWN: [(&str, RGBColor, Figured); 3] = [
    ("max", GREY, |spread| spread.max),
    ("p99", VERMILLION, |spread| spread.p99),
    ("p50", BLUE, |spread| spread.p50),
];

const NOTHING_FORWARDED: &str = "no payload was forwarded";
