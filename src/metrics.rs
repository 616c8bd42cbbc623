//! The counts in OpenMetrics text, for Prometheus to scrape.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::stats::Stats;

const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge>;

/// The response to a scrape.
pub(crate) fn to_openmetrics(stats: &Stats) -> impl IntoResponse + use<> {
    let registry = registry(stats);
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = encode(&mut text, &registry);
    ([(CONTENT_TYPE, CONTENT)], text)
}

fn registry(stats: &Stats) -> Registry {
    let mut registry = Registry::with_prefix("ringroad");
    let ledger = &stats.ledger;

    let rx =
        counters(&mut registry, "received_frames", "Frames that came in, by what became of them");
    for (fate, count) in [
        ("forwarded", ledger.forwarded),
        ("consumed", ledger.consumed),
        ("to_kernel", ledger.to_kernel),
    ] {
        add(&rx, &[("fate", fate)], count);
    }
    let drops = counters(&mut registry, "dropped_frames", "Frames that were dropped, by reason");
    for (reason, count) in &ledger.dropped {
        add(&drops, &[("reason", reason)], *count);
    }
    let tx = counters(&mut registry, "sent_frames", "Frames that went out, by where they began");
    for (origin, count) in [
        ("forwarded", ledger.forwarded),
        ("originated", ledger.originated),
        ("retransmitted", ledger.retransmitted),
    ] {
        add(&tx, &[("origin", origin)], count);
    }
    let frames = gauges(&mut registry, "pool_frames", "Frames of the pool, by who has them");
    set(&frames, &[("state", "free")], stats.frames.free);
    set(&frames, &[("state", "held")], stats.frames.held);

    let active = gauges(&mut registry, "connections_active", "Proxied connections now");
    let opened =
        counters(&mut registry, "connections", "Client connections, by what became of them");
    let octets = Counters::default();
    registry.register_with_unit("payload", "Payload moved", Unit::Bytes, octets.clone());
    let segments = counters(&mut registry, "segments", "Data segments sent, by how");
    for service in &stats.services {
        let name = service.name.as_str();
        set(&active, &[("service", name)], service.connections.active);
        for (outcome, count) in [
            ("accepted", service.connections.accepted),
            ("refused", service.connections.refused),
            ("fell_back", service.connections.fell_back),
        ] {
            add(&opened, &[("service", name), ("outcome", outcome)], count);
        }
        for (direction, count) in
            [("to_origin", service.bytes.to_origin), ("to_client", service.bytes.to_client)]
        {
            add(&octets, &[("service", name), ("direction", direction)], count);
        }
        for (how, count) in [
            ("zero_copy", service.segments.zero_copy),
            ("copied", service.segments.copied),
            ("retransmitted", service.segments.retransmitted),
        ] {
            add(&segments, &[("service", name), ("how", how)], count);
        }
    }
    registry
}

fn counters(registry: &mut Registry, name: &str, help: &str) -> Counters {
    let family = Counters::default();
    registry.register(name, help, family.clone());
    family
}

fn gauges(registry: &mut Registry, name: &str, help: &str) -> Gauges {
    let family = Gauges::default();
    registry.register(name, help, family.clone());
    family
}

fn labels(pairs: &[(&'static str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn add(family: &Counters, pairs: &[(&'static str, &str)], count: u64) {
    family.get_or_create(&labels(pairs)).inc_by(count);
}

fn set(family: &Gauges, pairs: &[(&'static str, &str)], count: u64) {
    family.get_or_create(&labels(pairs)).set(count.try_into().unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_conventional() {
        let mut stats = Stats::default();
        stats.ledger.dropped.insert("no_connection".to_owned(), 3);
        stats.services.push(crate::stats::Service { name: "web".to_owned(), ..Default::default() });
        let mut text = String::new();
        encode(&mut text, &registry(&stats)).unwrap();
        assert!(
            text.contains("ringroad_dropped_frames_total{reason=\"no_connection\"} 3\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "ringroad_payload_bytes_total{service=\"web\",direction=\"to_origin\"} 0\n"
            )
        );
        assert!(text.ends_with("# EOF\n"));
    }
}
