//! Figures that are looked up rather than looked at.

use maud::{Markup, html};
use ringroad_engine::telemetry::{Measure, Unit};

use super::history::History;
use super::units;

/// Of each measure: how many values there were, and how they are spread.
pub(super) fn percentiles(history: &History) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { "measure" }
                    th { "values" }
                    @for (name, _) in PERCENTILES {
                        th { (name) }
                    }
                    th { "max" }
                    th { "mean" }
                }
            }
            tbody {
                @for measure in Measure::ALL {
                    tr id=(format!("measure-{}", measure.name())) {
                        th title=(measure.about()) { (measure.name().replace('_', " ")) }
                        @if let Some(histogram) = history.histograms.get(measure.name()) {
                            td { (value(histogram.len() as f64, units::number)) }
                            @for (_, quantile) in PERCENTILES {
                                td { (of(measure, histogram.value_at_quantile(quantile) as f64)) }
                            }
                            td { (of(measure, histogram.max() as f64)) }
                            td { (of(measure, histogram.mean())) }
                        } @else {
                            td { data value="0" { "0" } }
                            td colspan=(PERCENTILES.len() + 2) { "nothing was recorded" }
                        }
                    }
                }
            }
        }
    }
}

/// What each service moved.
pub(super) fn services(history: &History) -> Markup {
    let active = |name: &str| -> u64 {
        let services = history.last().stats.services.iter();
        services.filter(|service| service.name == name).map(|s| s.connections.active).sum()
    };
    let share = |part: u64, all: u64| match all {
        0 => "–".to_owned(),
        _ => units::percent(part as f64 / all as f64),
    };
    let count = |count: u64| value(count as f64, units::number);
    let octets = |count: u64| value(count as f64, units::octets);
    html! {
        table {
            thead {
                tr {
                    th { "service" }
                    @for title in [
                        "accepted", "active", "refused", "left to Linux", "to clients", "to origins",
                        "zero-copy", "sent again",
                    ] {
                        th { (title) }
                    }
                }
            }
            tbody {
                @for (name, service) in &history.total.services {
                    @let segments = service.zero_copy + service.copied;
                    tr {
                        th { (name) }
                        td { (count(service.accepted)) }
                        td { (count(active(name))) }
                        td { (count(service.refused)) }
                        td { (count(service.fell_back)) }
                        td { (octets(service.to_client)) }
                        td { (octets(service.to_origin)) }
                        td { (share(service.zero_copy, segments)) }
                        td { (share(service.retransmitted, segments + service.retransmitted)) }
                    }
                }
            }
        }
    }
}

/// A value of a measure.
pub(super) fn of(measure: Measure, figure: f64) -> Markup {
    value(
        figure,
        match measure.unit() {
            Unit::Nanoseconds => units::time,
            Unit::Packets => units::number,
        },
    )
}

/// For people, and exact for programs.
fn value(figure: f64, format: fn(f64) -> String) -> Markup {
    html! { data value=(figure) { (format(figure)) } }
}

pub(super) const PERCENTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];
