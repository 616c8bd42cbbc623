//! Which plots a report has, and what each says when there is nothing to draw.

mod cores;
mod latency;
mod percentiles;
mod tracks;
mod traffic;

use super::history::History;
use super::plot::Plot;

/// Figures about one thing.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) figures: Vec<Figure>,
}

#[derive(Debug)]
pub(super) struct Figure {
    pub(super) title: &'static str,
    /// How to read it.
    pub(super) about: &'static str,
    /// Or why there is none.
    pub(super) plot: Result<Plot, &'static str>,
}

pub(super) fn all(history: &History) -> Vec<Section> {
    vec![
        Section {
            title: "Latency",
            figures: vec![
                percentiles::of_connections(history),
                percentiles::of_waits(history),
                latency::against_load(history),
                latency::over_time(history),
            ],
        },
        Section {
            title: "Traffic",
            figures: vec![
                traffic::payload(history),
                traffic::packets(history),
                traffic::active_connections(history),
                traffic::new_connections(history),
                traffic::drops(history),
                traffic::sent_again(history),
            ],
        },
        Section {
            title: "Cores",
            figures: vec![
                cores::time_by_stage(history),
                cores::shares(history),
                cores::busy(history),
            ],
        },
    ]
}

/// Why there are no rates.
pub(super) const NO_RATES: &str =
    "no two intervals follow one upon the other in one run of the engine";
