//! The page: everything that it shows is in it, and its own policy lets nothing else in.

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ringroad_engine::telemetry::Measure;

use super::figures::{self, Figure, Section};
use super::history::History;
use super::units::{counted, seconds};
use super::{clock, findings, tables};

pub(super) fn render(history: &History) -> Result<String> {
    let (began, ended) = history.period();
    let (from, to) = (clock::date_and_time(began), clock::date_and_time(ended));
    let sections: Vec<Markup> = figures::all(history).iter().map(drawn).collect::<Result<_>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { "ringroad, " (from) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { "ringroad" }
                    p {
                        "Recorded from " time { (from) } " to " time { (to) } " UTC: "
                        (seconds(ended - began)) " in "
                        (counted(history.steps.len() as u64, "interval")) "."
                    }
                }
                section id="findings" {
                    h2 { "Findings" }
                    (inside(history))
                    ul {
                        @for sentence in findings::sentences(history) {
                            li { (sentence) }
                        }
                    }
                }
                @for section in sections {
                    (section)
                }
                section id="percentiles" {
                    h2 { "Percentiles" }
                    div.table { (tables::percentiles(history)) }
                }
                section id="services" {
                    h2 { "Services" }
                    @if history.total.services.is_empty() {
                        p.nothing { "Nothing to tell: " (figures::NO_RATES) "." }
                    } @else {
                        div.table { (tables::services(history)) }
                    }
                }
                footer {
                    p { "Written by ringroad " (env!("CARGO_PKG_VERSION")) "." }
                }
            }
        }
    };
    Ok(page.into_string())
}

/// What the appliance is bought by.
fn inside(history: &History) -> Markup {
    let Some(histogram) = history.histograms.get(Measure::Inside.name()) else {
        return html! { p.nothing { "No payload was forwarded, so there is no latency to tell." } };
    };
    let at = |quantile| histogram.value_at_quantile(quantile) as f64;
    let shown = [
        ("p50", at(0.5)),
        ("p99", at(0.99)),
        ("p99.9", at(0.999)),
        ("max", histogram.max() as f64),
    ];
    html! {
        dl title=(Measure::Inside.about()) {
            @for (name, nanos) in shown {
                div {
                    dt { (name) " inside" }
                    dd { (tables::of(Measure::Inside, nanos)) }
                }
            }
        }
    }
}

fn drawn(section: &Section) -> Result<Markup> {
    let figures: Vec<Markup> = section.figures.iter().map(figure).collect::<Result<_>>()?;
    Ok(html! {
        section id=(section.title.to_lowercase()) {
            h2 { (section.title) }
            div.figures {
                @for figure in figures {
                    (figure)
                }
            }
        }
    })
}

fn figure(figure: &Figure) -> Result<Markup> {
    let Figure { title, about, plot } = figure;
    let body = match plot {
        Ok(plot) => html! { (PreEscaped(plot.to_svg(title)?)) },
        Err(why) => html! { p.nothing { "Nothing to draw: " (why) "." } },
    };
    Ok(html! {
        figure {
            figcaption {
                h3 { (title) }
                p { (about) }
            }
            (body)
        }
    })
}
