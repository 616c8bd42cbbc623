//! What the polling cores do with their time.

use ringroad_engine::telemetry::Stage;

use super::tracks::{Track, lines};
use super::{Figure, NO_RATES};
use crate::report::axis::Axis;
use crate::report::colours::{GREY, IN_ORDER};
use crate::report::history::{CoreCounts, Counts, History};
use crate::report::plot::{Hint, Plot, Point, Series, Shape, Spot};
use crate::report::units;

pub(super) fn time_by_stage(history: &History) -> Figure {
    let tracks = Stage::ALL.into_iter().zip(IN_ORDER).map(|(stage, colour)| {
        Track::of_counts(history, stage.name(), colour, |counts| {
            counts.stage(stage.name()).nanos_per_packet()
        })
    });
    let tracks: Vec<Track> = tracks.filter(|track| !track.is_empty()).collect();
    let most = tracks.iter().map(Track::most).fold(0.0, f64::max);
    Figure {
        title: "Time a packet, by stage",
        about: "Work alone, without waiting; measured in a few turns of many. It falls where packets \
                come in larger bursts.",
        plot: match tracks.is_empty() {
            true => Err("no turn was measured"),
            false => {
                let y = Axis::from_zero("time a packet", most, units::time);
                Ok(lines(history, tracks, y, units::time))
            }
        },
    }
}

pub(super) fn shares(history: &History) -> Figure {
    Figure {
        title: "What cores do with their time",
        about: "Over all of the recording. Stages are taken from the turns that were measured; what is \
                left of the bar was idle.",
        plot: match history.total.cores.is_empty() {
            true => Err(NO_RATES),
            false => Ok(bars(&history.total)),
        },
    }
}

pub(super) fn busy(history: &History) -> Figure {
    let shown = history.total.cores.keys().zip(IN_ORDER);
    let tracks: Vec<Track> = shown
        .map(|(core, colour)| {
            Track::of_counts(history, core, colour, |counts| {
                Some(counts.cores.get(core)?.utilisation())
            })
        })
        .collect();
    Figure {
        title: "Busy cores",
        about: "Part of a core's time in turns that found something to do: work done, not cycles spun.",
        plot: match tracks.is_empty() {
            true => Err(NO_RATES),
            false => Ok(lines(history, tracks, Axis::shares("busy"), units::percent)),
        },
    }
}

fn bars(total: &Counts) -> Plot {
    let names: Vec<&str> = total.cores.keys().map(String::as_str).collect();
    let parts: Vec<Vec<f64>> = total.cores.values().map(parts).collect();
    let labels = Stage::ALL.map(Stage::name).into_iter().zip(IN_ORDER);
    let labels = labels.chain([("other work", GREY)]);
    let mut hints = Vec::new();
    let series = labels.enumerate().map(|(part, (label, colour))| {
        let mut bars = Vec::new();
        for (core, (name, shares)) in names.iter().zip(&parts).enumerate() {
            let left: f64 = shares[..part].iter().sum();
            let row = (names.len() - core) as f64;
            let bar: [Point; 2] = [(left, row - 0.15), (left + shares[part], row - 0.85)];
            bars.push(bar);
            let text = format!("{name}, {label}: {}", units::percent(shares[part]));
            hints.push(Hint { spot: Spot::Bar(bar), text });
        }
        Series { name: label.to_owned(), colour, shape: Shape::Bars(bars) }
    });
    let series = series.collect();
    Plot { x: Axis::shares("part of its time"), y: Axis::rows("core", &names), series, hints }
}

/// Of a core's time: each stage's, and what else it did. No more than all that it was busy.
fn parts(core: &CoreCounts) -> Vec<f64> {
    let busy = core.utilisation();
    let none = Default::default();
    let stages = Stage::ALL.map(|stage| core.share(core.stages.get(stage.name()).unwrap_or(&none)));
    let all: f64 = stages.iter().sum();
    // Samples are a few of many, and may have met more than their part.
    let scale = if all > busy { busy / all } else { 1.0 };
    let other = (busy - all).max(0.0);
    stages.into_iter().map(|share| share * scale).chain([other]).collect()
}
