//! What is known of paths, and how many connections there are of each kind.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::{Gauges, Labels, gauges, labels, set};
use crate::connections::Path;
use crate::connections::census::Census;

type Values = Family<Labels, Gauge<f64, AtomicU64>>;

/// A path of which nothing is known has no samples.
pub(super) fn paths(registry: &mut Registry, paths: &[Path]) {
    let mut ratios = |name, help| {
        let family = Values::default();
        registry.register_with_unit(name, help, Unit::Other("ratio".to_owned()), family.clone());
        family
    };
    let confidence = ratios(
        "path_confidence",
        "How far the score of a path can be relied on, by how much was seen and how long ago",
    );
    let loss = ratios("path_loss", "Of what is sent on a path, what is presumed lost");
    let mut times = |name, help| {
        let family = Values::default();
        registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        family
    };
    let rtt = times("path_rtt", "Smoothed round trip on a path, the mean of its connections");
    let jitter = times("path_jitter", "Mean deviation of the round trip on a path");
    let score = Values::default();
    registry.register("path_score", "Quality of a path, from 0 to 100", score.clone());
    let bandwidth = Values::default();
    registry.register_with_unit(
        "path_bandwidth",
        "What a path delivers to one connection, where it is the limit",
        per_second(),
        bandwidth.clone(),
    );
    for path in paths {
        let Some(seen) = path.seen else { continue };
        let origin = path.origin.map(|origin| origin.to_string()).unwrap_or_default();
        let labels = labels(&[("service", &path.service), ("leg", &path.leg), ("origin", &origin)]);
        score.get_or_create(&labels).set(seen.quality.score);
        confidence.get_or_create(&labels).set(seen.quality.confidence);
        rtt.get_or_create(&labels).set(seen.rtt_us / 1e6);
        jitter.get_or_create(&labels).set(seen.jitter_us / 1e6);
        loss.get_or_create(&labels).set(seen.loss);
        if let Some(bps) = seen.bandwidth_bps {
            bandwidth.get_or_create(&labels).set(bps / 8.0);
        }
    }
}

/// Sums over all connections of a kind: divided by how many there are, they are means.
pub(super) fn census(registry: &mut Registry, census: &Census) {
    let legs = gauges(
        registry,
        "congestion_connections",
        "Connections, each counted on both legs, by algorithm and phase",
    );
    let mut octets = |name, help, unit| {
        let family = Gauges::default();
        registry.register_with_unit(name, help, unit, family.clone());
        family
    };
    let help = "Congestion windows of these connections, added up";
    let windows = octets("congestion_window", help, Unit::Bytes);
    let help = "What these connections have in flight";
    let in_flight = octets("congestion_in_flight", help, Unit::Bytes);
    let help = "What these connections delivered when last measured, added up";
    let rates = octets("congestion_delivery_rate", help, per_second());
    let rtts = Values::default();
    registry.register_with_unit(
        "congestion_rtt",
        "Smoothed round trips of these connections, added up",
        Unit::Seconds,
        rtts.clone(),
    );
    let measured = gauges(
        registry,
        "congestion_rtt_connections",
        "Of these connections, those that have measured a round trip",
    );
    for kind in &census.legs {
        let pairs = [
            ("service", kind.service.as_str()),
            ("leg", &kind.leg),
            ("congestion", &kind.congestion),
            ("phase", &kind.phase),
        ];
        set(&legs, &pairs, kind.connections);
        set(&windows, &pairs, kind.cwnd_bytes);
        set(&in_flight, &pairs, kind.in_flight_bytes);
        set(&rates, &pairs, kind.delivery_rate_bps / 8);
        rtts.get_or_create(&labels(&pairs)).set(kind.rtt_us as f64 / 1e6);
        set(&measured, &pairs, kind.with_rtt);
    }
    let age = Values::default();
    registry.register_with_unit(
        "congestion_census_age",
        "Since these connections were counted",
        Unit::Seconds,
        age.clone(),
    );
    age.get_or_create(&Vec::new()).set(census.age_s);
}

fn per_second() -> Unit {
    Unit::Other("bytes_per_second".to_owned())
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::connections::census::Legs;
    use crate::connections::{Quality, Seen};

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
        let mut registry = Registry::with_prefix("ringroad");
        paths(&mut registry, &[unknown, known]);
        let text = text_of(&registry);
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
        assert!(!text.contains("client"), "{text}");
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
        let mut registry = Registry::with_prefix("ringroad");
        census(&mut registry, &Census { age_s: 2.5, legs: vec![kind] });
        let text = text_of(&registry);
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

    fn text_of(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).expect("a string takes all");
        text
    }
}
