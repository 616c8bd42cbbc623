//! Figures over time.

use plotters::style::RGBColor;

use crate::report::axis::{Axis, Format};
use crate::report::clock;
use crate::report::history::{Counts, History, Step};
use crate::report::plot::{Area, Hint, Plot, Run, Series, Shape, Spot};

/// One figure at each step of a history.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) name: String,
    pub(super) colour: RGBColor,
    values: Vec<Option<f64>>,
}

impl Track {
    pub(super) fn new(
        history: &History,
        name: impl Into<String>,
        colour: RGBColor,
        value: impl Fn(&Step) -> Option<f64>,
    ) -> Self {
        Track { name: name.into(), colour, values: history.steps.iter().map(value).collect() }
    }

    /// Of what was counted, where that is known.
    pub(super) fn of_counts(
        history: &History,
        name: impl Into<String>,
        colour: RGBColor,
        value: impl Fn(&Counts) -> Option<f64>,
    ) -> Self {
        Track::new(history, name, colour, |step| value(step.counts.as_ref()?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }

    pub(super) fn known(&self) -> impl Iterator<Item = f64> {
        self.values.iter().flatten().copied()
    }

    pub(super) fn most(&self) -> f64 {
        self.known().fold(0.0, f64::max)
    }
}

/// A line for each.
pub(super) fn lines(history: &History, tracks: Vec<Track>, y: Axis, format: Format) -> Plot {
    let hints = hints(history, &tracks, format);
    let series = tracks.into_iter().map(|track| Series {
        shape: Shape::Lines(runs(history, &track.values)),
        name: track.name,
        colour: track.colour,
    });
    Plot { x: time_axis(history), y, series: series.collect(), hints }
}

/// What lies between two figures.
pub(super) fn band(history: &History, lower: &Track, upper: &Track) -> Series {
    let runs = |track: &Track| runs(history, &track.values).into_iter();
    let areas = runs(lower).zip(runs(upper)).map(|(lower, upper)| Area { lower, upper });
    let shape = Shape::Areas { areas: areas.collect(), opacity: BAND_OPACITY };
    Series { name: String::new(), colour: upper.colour, shape }
}

/// One upon the other, the first at the bottom. All are known at the same steps.
pub(super) fn stacked(history: &History, tracks: Vec<Track>, title: &str, format: Format) -> Plot {
    let hints = hints(history, &tracks, format);
    let mut below: Vec<Option<f64>> =
        history.steps.iter().map(|step| step.counts.as_ref().map(|_| 0.0)).collect();
    let mut series = Vec::new();
    for track in tracks {
        let above: Vec<Option<f64>> =
            below.iter().zip(&track.values).map(|(low, high)| Some((*low)? + (*high)?)).collect();
        let edges = runs(history, &below).into_iter().zip(runs(history, &above));
        let areas = edges.map(|(lower, upper)| Area { lower, upper }).collect();
        let shape = Shape::Areas { areas, opacity: 1.0 };
        series.push(Series { name: track.name, colour: track.colour, shape });
        below = above;
    }
    let most = below.into_iter().flatten().fold(0.0, f64::max);
    Plot { x: time_axis(history), y: Axis::from_zero(title, most, format), series, hints }
}

fn time_axis(history: &History) -> Axis {
    let (began, ended) = history.period();
    Axis::time_of_day(began, ended)
}

/// Broken where a value is not known, and before each step that does not follow upon another.
fn runs(history: &History, values: &[Option<f64>]) -> Vec<Run> {
    let mut runs = vec![Run::new()];
    for (step, value) in history.steps.iter().zip(values) {
        if value.is_none() || step.counts.is_none() {
            runs.push(Run::new());
        }
        if let (Some(value), Some(run)) = (value, runs.last_mut()) {
            run.push((step.middle(), *value));
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// All figures of a step.
fn hints(history: &History, tracks: &[Track], format: Format) -> Vec<Hint> {
    let hint = |(index, step): (usize, &Step)| {
        let mut text = clock::hours_minutes_seconds(step.middle());
        let known: Vec<String> = (tracks.iter())
            .filter_map(|track| Some(format!("{}: {}", track.name, format(track.values[index]?))))
            .collect();
        for line in &known {
            text.push('\n');
            text.push_str(line);
        }
        (!known.is_empty()).then_some(Hint { spot: Spot::Column(step.middle()), text })
    };
    history.steps.iter().enumerate().filter_map(hint).collect()
}

/// Lines are seen over it.
const BAND_OPACITY: f64 = 0.15;
