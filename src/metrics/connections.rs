//! What is known of paths, and how many connections there are of each kind.

use std::fmt;

use super::Scrape;
use super::page::{Page, UNLABELLED};
use crate::connections::census::Legs;
use crate::connections::{Path, Seen};

/// A path of which nothing is known has no samples.
pub(super) fn paths(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    let each = |of: fn(&Seen) -> Option<f64>| {
        let known = stats.paths.iter().filter_map(move |path| Some((path, of(&path.seen?)?)));
        known.map(|(path, value)| (labels_of_path(path), value))
    };
    page.gauges(
        "path_score",
        "Quality of a path, from 0 to 100",
        each(|seen| Some(seen.quality.score)),
    )?;
    page.gauges(
        "path_confidence_ratio",
        "How far the score of a path can be relied on, by how much was seen and how long ago",
        each(|seen| Some(seen.quality.confidence)),
    )?;
    page.gauges(
        "path_loss_ratio",
        "Of what is sent on a path, what is presumed lost",
        each(|seen| Some(seen.loss)),
    )?;
    page.gauges(
        "path_rtt_seconds",
        "Smoothed round trip on a path, the mean of its connections",
        each(|seen| Some(seen.rtt_us / 1e6)),
    )?;
    page.gauges(
        "path_jitter_seconds",
        "Mean deviation of the round trip on a path",
        each(|seen| Some(seen.jitter_us / 1e6)),
    )?;
    page.gauges(
        "path_bandwidth_bytes_per_second",
        "What a path delivers to one connection, where it is the limit",
        each(|seen| Some(seen.bandwidth_bps? / 8.0)),
    )
}

fn labels_of_path(path: &Path) -> [(&'static str, String); 3] {
    let origin = path.origin.map(|origin| origin.to_string()).unwrap_or_default();
    [("service", path.service.clone()), ("leg", path.leg.clone()), ("origin", origin)]
}

/// Sums over all connections of a kind: divided by how many there are, they are means.
pub(super) fn census(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    let Some(census) = &stats.census else { return Ok(()) };
    let each =
        |of: fn(&Legs) -> u64| census.legs.iter().map(move |it| (labels_of_legs(it), of(it)));
    page.gauges(
        "congestion_connections",
        "Connections, each counted on both legs, by algorithm and phase",
        each(|legs| legs.connections),
    )?;
    page.gauges(
        "congestion_dormant_connections",
        "Of these connections, those that sleep",
        each(|legs| legs.dormant),
    )?;
    page.gauges(
        "congestion_window_bytes",
        "Congestion windows of these connections, added up",
        each(|legs| legs.cwnd_bytes),
    )?;
    page.gauges(
        "congestion_in_flight_bytes",
        "What these connections have in flight",
        each(|legs| legs.in_flight_bytes),
    )?;
    page.gauges(
        "congestion_delivery_rate_bytes_per_second",
        "What these connections delivered when last measured, added up",
        each(|legs| legs.delivery_rate_bps / 8),
    )?;
    page.gauges(
        "congestion_rtt_seconds",
        "Smoothed round trips of these connections, added up",
        census.legs.iter().map(|legs| (labels_of_legs(legs), legs.rtt_us as f64 / 1e6)),
    )?;
    page.gauges(
        "congestion_rtt_connections",
        "Of these connections, those that have measured a round trip",
        each(|legs| legs.with_rtt),
    )?;
    page.gauges(
        "congestion_census_age_seconds",
        "Since these connections were counted",
        [(UNLABELLED, census.age_s)],
    )
}

fn labels_of_legs(legs: &Legs) -> [(&'static str, &str); 4] {
    [
        ("service", &legs.service),
        ("leg", &legs.leg),
        ("congestion", &legs.congestion),
        ("phase", &legs.phase),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::Quality;
    use crate::connections::census::Census;
    use crate::metrics::tests::page_of;
    use crate::stats::Stats;

    #[test]
    fn a_path_has_its_figures_and_one_that_is_unknown_none() {
        let quality = Quality { score: 87.5, confidence: 0.5, ..Quality::default() };
        let seen = Seen {
            rtt_us: 20_000.0,
            jitter_us: 1_000.0,
            loss: 0.01,
            bandwidth_bps: Some(8e6),
            quality,
        };
        let known = Path {
            service: "web".to_owned(),
            leg: "origin".to_owned(),
            origin: "10.10.2.2:80".parse().ok(),
            seen: Some(seen),
        };
        let unknown = Path { origin: None, seen: None, leg: "client".to_owned(), ..known.clone() };
        let text = page_of(Stats { paths: vec![unknown, known], ..Stats::default() });
        let labels = r#"{service="web",leg="origin",origin="10.10.2.2:80"}"#;
        for (name, value) in [
            ("path_score", "87.5"),
            ("path_confidence_ratio", "0.5"),
            ("path_rtt_seconds", "0.02"),
            ("path_jitter_seconds", "0.001"),
            ("path_loss_ratio", "0.01"),
            ("path_bandwidth_bytes_per_second", "1000000.0"),
        ] {
            let line = format!("ringroad_{name}{labels} {value}\n");
            assert!(text.contains(&line), "no {line}in\n{text}");
        }
        assert!(!text.contains("ringroad_path_score{service=\"web\",leg=\"client\""), "{text}");
    }

    #[test]
    fn a_kind_of_connections_has_its_sums() {
        let kind = Legs {
            service: "web".to_owned(),
            leg: "client".to_owned(),
            congestion: "bbr".to_owned(),
            phase: "probe_bw_cruise".to_owned(),
            connections: 4,
            cwnd_bytes: 60_000,
            rtt_us: 90_000,
            with_rtt: 3,
            delivery_rate_bps: 8_000,
            ..Legs::default()
        };
        let census = Some(Census { age_s: 2.5, legs: vec![kind] });
        let text = page_of(Stats { census, ..Stats::default() });
        let labels = r#"{service="web",leg="client",congestion="bbr",phase="probe_bw_cruise"}"#;
        for (name, value) in [
            ("congestion_connections", "4"),
            ("congestion_window_bytes", "60000"),
            ("congestion_rtt_seconds", "0.09"),
            ("congestion_rtt_connections", "3"),
            ("congestion_delivery_rate_bytes_per_second", "1000"),
        ] {
            let line = format!("ringroad_{name}{labels} {value}\n");
            assert!(text.contains(&line), "no {line}in\n{text}");
        }
        assert!(text.contains("ringroad_congestion_census_age_seconds 2.5\n"), "{text}");
    }
}
