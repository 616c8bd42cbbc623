//! What is known of paths, and how many connections there are of each kind.

use prometheus_client::registry::{Registry, Unit};

use super::{Gauges, Seconds, gauges, labels, set};
use crate::connections::Path;
use crate::connections::census::Census;

/// A path of which nothing is known has no samples.
pub(super) fn paths(registry: &mut Registry, paths: &[Path]) {
    let mut ratios = |name, help| {
        let family = Seconds::default();
        registry.register_with_unit(name, help, Unit::Ratios, family.clone());
        family
    };
    let confidence = ratios(
        "path_confidence",
        "How far the score of a path can be relied on, by how much was seen and how long ago",
    );
    let loss = ratios("path_loss", "Of what is sent on a path, what is presumed lost");
    let mut times = |name, help| {
        let family = Seconds::default();
        registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        family
    };
    let rtt = times("path_rtt", "Smoothed round trip on a path, the mean of its connections");
    let jitter = times("path_jitter", "Mean deviation of the round trip on a path");
    let score = Seconds::default();
    registry.register("path_score", "Quality of a path, from 0 to 100", score.clone());
    let bandwidth = Seconds::default();
    registry.register_with_unit(
        "path_bandwidth",
        "Bytes a second that a path delivers to one connection, where it is the limit",
        Unit::Bytes,
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
    let mut octets = |name, help| {
        let family = Gauges::default();
        registry.register_with_unit(name, help, Unit::Bytes, family.clone());
        family
    };
    let windows = octets("congestion_window", "Congestion windows of these connections together");
    let in_flight =
        octets("congestion_in_flight", "What these connections have in flight together");
    let rates = octets(
        "congestion_delivery_rate",
        "Bytes a second that these connections delivered when last measured, together",
    );
    let rtts = Seconds::default();
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
    let age = Seconds::default();
    registry.register_with_unit(
        "congestion_census_age",
        "Since these connections were counted",
        Unit::Seconds,
        age.clone(),
    );
    age.get_or_create(&Vec::new()).set(census.age_s);
}
