//! What came and went.

use super::tracks::{Track, lines, stacked};
use super::{Figure, NO_RATES};
use crate::report::axis::{Axis, Format};
use crate::report::colours::{BLUE, GREEN, GREY, IN_ORDER, ORANGE, VERMILLION};
use crate::report::history::{Counts, History, ServiceCounts};
use crate::report::plot::Plot;
use crate::report::units;

pub(super) fn payload(history: &History) -> Figure {
    let rate = |of: fn(&ServiceCounts) -> u64| {
        move |counts: &Counts| Some(8.0 * counts.rate(counts.sum(of)))
    };
    let tracks = vec![
        Track::of_counts(history, "to clients", BLUE, rate(|s| s.to_client)),
        Track::of_counts(history, "to origins", ORANGE, rate(|s| s.to_origin)),
    ];
    Figure {
        title: "Payload",
        about: "What services moved from one side to the other, without headers and what was sent again.",
        plot: rates(history, tracks, "bit/s", units::bit_rate),
    }
}

pub(super) fn packets(history: &History) -> Figure {
    let tracks = vec![
        Track::of_counts(history, "received", BLUE, |c| Some(c.rate(c.received))),
        Track::of_counts(history, "sent", ORANGE, |c| Some(c.rate(c.sent))),
    ];
    Figure {
        title: "Packets",
        about: "On all ports, acknowledgments and what was dropped among them.",
        plot: rates(history, tracks, "packets a second", units::number),
    }
}

pub(super) fn active_connections(history: &History) -> Figure {
    let track = Track::new(history, "active", BLUE, |step| Some(step.active_connections() as f64));
    let y = Axis::from_zero("connections", track.most(), units::number);
    Figure {
        title: "Connections",
        about: "Proxied at the end of each interval, of all services.",
        plot: Ok(lines(history, vec![track], y, units::number)),
    }
}

pub(super) fn new_connections(history: &History) -> Figure {
    let rate =
        |of: fn(&ServiceCounts) -> u64| move |counts: &Counts| Some(counts.rate(counts.sum(of)));
    let tracks = vec![
        Track::of_counts(history, "accepted", GREEN, rate(|s| s.accepted)),
        Track::of_counts(history, "refused", VERMILLION, rate(|s| s.refused)),
        Track::of_counts(history, "left to Linux", GREY, rate(|s| s.fell_back)),
    ];
    Figure {
        title: "New connections",
        about: "By what became of them.",
        plot: rates(history, tracks, "connections a second", units::number),
    }
}

pub(super) fn drops(history: &History) -> Figure {
    let mut reasons: Vec<(&String, &u64)> =
        history.total.dropped.iter().filter(|(_, count)| **count > 0).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let (shown, others) = reasons.split_at(reasons.len().min(REASONS_SHOWN));
    let of = |counts: &Counts, reason: &str| *counts.dropped.get(reason).unwrap_or(&0);
    let mut tracks: Vec<Track> = (shown.iter().zip(IN_ORDER))
        .map(|((reason, _), colour)| {
            let name = reason.replace('_', " ");
            Track::of_counts(history, name, colour, |c| Some(c.rate(of(c, reason))))
        })
        .collect();
    if !others.is_empty() {
        let others = |c: &Counts| others.iter().map(|(reason, _)| of(c, reason)).sum();
        tracks.push(Track::of_counts(history, "others", GREY, |c| Some(c.rate(others(c)))));
    }
    let plot = match (history.counts().next(), tracks.is_empty()) {
        (None, _) => Err(NO_RATES),
        (Some(_), true) => Err("no packet was dropped"),
        (Some(_), false) => Ok(stacked(history, tracks, "packets a second", units::number)),
    };
    Figure {
        title: "Drops by reason",
        about: "One upon the other: the upper edge is all that was dropped. The shield's are among them.",
        plot,
    }
}

pub(super) fn sent_again(history: &History) -> Figure {
    let share = |counts: &Counts| {
        let again = counts.sum(|s| s.retransmitted);
        let all = again + counts.sum(|s| s.zero_copy + s.copied);
        (all > 0).then(|| again as f64 / all as f64)
    };
    let track = Track::of_counts(history, "again", VERMILLION, share);
    let y = Axis::from_zero("data segments", track.most(), units::percent);
    Figure {
        title: "Sent again",
        about: "Part of all data segments, to clients and to origins: what was lost on the way, or \
                seemed to be.",
        plot: match (history.counts().next(), track.most() > 0.0) {
            (None, _) => Err(NO_RATES),
            (Some(_), false) => Err("no segment was sent again"),
            (Some(_), true) => Ok(lines(history, vec![track], y, units::percent)),
        },
    }
}

fn rates(
    history: &History,
    tracks: Vec<Track>,
    title: &str,
    format: Format,
) -> Result<Plot, &'static str> {
    if tracks.iter().all(Track::is_empty) {
        return Err(NO_RATES);
    }
    let most = tracks.iter().map(Track::most).fold(0.0, f64::max);
    Ok(lines(history, tracks, Axis::from_zero(title, most, format), format))
}

/// More are hard to tell apart.
const REASONS_SHOWN: usize = 6;
