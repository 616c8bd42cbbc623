//! The counts in OpenMetrics text, for Prometheus to scrape.

mod connections;

use std::sync::atomic::AtomicU64;

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
type Seconds = Family<Labels, Gauge<f64, AtomicU64>>;
type Times = Family<Labels, Counter<f64, AtomicU64>>;

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
    let handed_over = Counter::<u64>::default();
    handed_over.inc_by(ledger.handed_over);
    let help = "Frames that came to another worker than their own, and were handed over";
    registry.register("handed_over_frames", help, handed_over);
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
    let held = Gauge::<i64>::default();
    held.set(ledger.held.try_into().unwrap_or(i64::MAX));
    registry.register("held_frames", "Frames that came in and wait to go on", held);
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
    let events = counters(&mut registry, "tcp_events", "What happened to connections, by kind");
    for (kind, count) in &stats.tcp {
        add(&events, &[("kind", kind)], *count);
    }
    shield(&mut registry, stats);
    ports(&mut registry, stats);
    time_inside(&mut registry, stats);
    cores(&mut registry, stats);
    connections::paths(&mut registry, &stats.paths);
    if let Some(census) = &stats.census {
        connections::census(&mut registry, census);
    }
    registry
}

fn shield(registry: &mut Registry, stats: &Stats) {
    let verdicts = counters(registry, "shield_packets", "Packets on the ports, by verdict");
    for (verdict, count) in &stats.shield {
        add(&verdicts, &[("verdict", verdict)], *count);
    }
    let evicted = counters(
        registry,
        "shield_buckets_evicted",
        "Token buckets that gave way to others' before they were full",
    );
    add(&evicted, &[], stats.buckets_evicted);
    let of_services = counters(
        registry,
        "shield_service_packets",
        "Packets for a service by verdict, without those of connections that the shield knew",
    );
    for service in &stats.services {
        for (verdict, count) in &service.shield {
            add(&of_services, &[("service", &service.name), ("verdict", verdict)], *count);
        }
    }
    let refused = counters(registry, "refused_samples", "Samples of what the shield refused");
    add(&refused, &[("fate", "kept")], stats.refused.samples);
    add(&refused, &[("fate", "lost")], stats.refused.lost);
    cookies(registry, stats);
}

fn cookies(registry: &mut Registry, stats: &Stats) {
    let on = gauges(registry, "syn_cookies_on", "Whether SYNs are answered by cookies");
    let half_open = gauges(
        registry,
        "connections_half_open",
        "Connections whose client has yet to complete its handshake",
    );
    for (lane, state) in stats.cookies.lanes.iter().enumerate() {
        let lane = lane.to_string();
        set(&on, &[("lane", &lane)], state.on.into());
        set(&half_open, &[("lane", &lane)], state.half_open);
    }
    if let Some(age_s) = stats.cookies.key_age_s {
        let age = Gauge::<f64, AtomicU64>::default();
        age.set(age_s as f64);
        let help = "Age of the key that cookies are sealed with";
        registry.register_with_unit("cookie_key_age", help, Unit::Seconds, age);
    }
}

fn ports(registry: &mut Registry, stats: &Stats) {
    let moved = counters(registry, "port_frames", "Frames by port, taken in and handed out");
    let lost = counters(
        registry,
        "port_dropped_frames",
        "Frames lost before the engine had them, or refused by the device",
    );
    let crossed =
        counters(registry, "kernel_path_frames", "Frames between a port and Linux, by the engine");
    for port in &stats.ports {
        if let Some(path) = &port.kernel_path {
            for (direction, frames) in
                [("to_kernel", path.to_kernel), ("from_kernel", path.from_kernel)]
            {
                let labels = [("port", port.name.as_str()), ("direction", direction)];
                add(&crossed, &labels, frames);
            }
        }
        for (direction, frames, dropped) in
            [("received", port.received, port.rx_dropped), ("sent", port.sent, port.tx_dropped)]
        {
            let labels = [("port", port.name.as_str()), ("direction", direction)];
            add(&moved, &labels, frames);
            add(&lost, &labels, dropped);
        }
    }
}

/// Labelled as a summary, of which the library has no notion; quantile 1 is the largest.
fn time_inside(registry: &mut Registry, stats: &Stats) {
    let latency = &stats.latency;
    let quantiles = Seconds::default();
    registry.register_with_unit(
        "time_inside",
        "Time of forwarded payload inside the engine, since the start",
        Unit::Seconds,
        quantiles.clone(),
    );
    for (quantile, micros) in [
        ("0.5", latency.p50_us),
        ("0.9", latency.p90_us),
        ("0.99", latency.p99_us),
        ("0.999", latency.p999_us),
        ("1", latency.max_us),
    ] {
        quantiles.get_or_create(&labels(&[("quantile", quantile)])).set(micros / 1e6);
    }
    let count = Counter::<u64>::default();
    count.inc_by(latency.count);
    registry.register("time_inside_segments", "Segments whose time inside was taken", count);
}

/// Since the start, each: what happens now is their rate.
fn cores(registry: &mut Registry, stats: &Stats) {
    let mut times = |name, help| {
        let family = Times::default();
        registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        family
    };
    let busy = times("core_busy", "Time of a core in turns that found something to do");
    let idle = times("core_idle", "Time of a core that found nothing to do, or slept");
    let sampled = times("stage_sampled", "Time of a stage in the turns that were measured");
    let turns =
        counters(registry, "core_turns", "Turns of a core, by whether they found something");
    let packets = counters(registry, "stage_packets", "Packets that a stage had");
    let of_sampled = counters(
        registry,
        "stage_sampled_packets",
        "Packets that a stage had in the turns that were measured",
    );
    let full = counters(registry, "ring_full", "How often a core found no room in a ring");
    let depth = gauges(registry, "ring_depth", "Packets in a ring when its core looked at it");
    let waits = Seconds::default();
    registry.register_with_unit(
        "ring_wait",
        "Time that packets waited in a ring for a core",
        Unit::Seconds,
        waits.clone(),
    );
    for core in &stats.cores {
        let name = ("core", core.name.as_str());
        add_seconds(&busy, &[name], core.busy_s);
        add_seconds(&idle, &[name], core.idle_s);
        add(&turns, &[name, ("found", "something")], core.busy_turns);
        add(&turns, &[name, ("found", "nothing")], core.turns - core.busy_turns);
        for stage in &core.stages {
            let labels = [name, ("stage", stage.name.as_str())];
            add(&packets, &labels, stage.packets);
            add(&of_sampled, &labels, stage.sampled_packets);
            add_seconds(&sampled, &labels, stage.sampled_s);
        }
        for ring in &core.rings {
            let of_ring = ("ring", ring.name.as_str());
            add(&full, &[name, of_ring], ring.full);
            if ring.packets == 0 {
                continue;
            }
            for (quantile, packets, micros) in [
                ("0.5", ring.depth_p50, ring.wait_p50_us),
                ("0.99", ring.depth_p99, ring.wait_p99_us),
                ("1", ring.depth_max, ring.wait_max_us),
            ] {
                let at = [name, of_ring, ("quantile", quantile)];
                set(&depth, &at, packets);
                waits.get_or_create(&labels(&at)).set(micros / 1e6);
            }
        }
    }
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

fn add_seconds(family: &Times, pairs: &[(&'static str, &str)], seconds: f64) {
    family.get_or_create(&labels(pairs)).inc_by(seconds);
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
        stats.ledger.held = 7;
        stats.ledger.handed_over = 6;
        stats.shield.insert("to_engine".to_owned(), 5);
        stats.ports.push(crate::stats::Port {
            name: "wan".to_owned(),
            rx_dropped: 2,
            ..Default::default()
        });
        stats.latency = crate::stats::Latency { count: 9, p99_us: 250.0, ..Default::default() };
        stats.services.push(crate::stats::Service {
            name: "web".to_owned(),
            shield: [("denied".to_owned(), 4)].into(),
            ..Default::default()
        });
        stats.cookies.key_age_s = Some(12);
        let lane = crate::stats::LaneCookies { on: true, half_open: 3, ..Default::default() };
        stats.cookies.lanes.push(lane);
        let stage = crate::stats::Stage {
            name: "tx".to_owned(),
            packets: 70,
            sampled_packets: 7,
            sampled_s: 0.5,
            ..Default::default()
        };
        let ring = crate::stats::Ring {
            name: "tx".to_owned(),
            packets: 70,
            depth_p99: 12,
            wait_p99_us: 250_000.0,
            full: 2,
            ..Default::default()
        };
        stats.cores.push(crate::stats::Core {
            name: "io".to_owned(),
            busy_s: 1.5,
            turns: 5,
            busy_turns: 3,
            stages: vec![stage],
            rings: vec![ring],
            ..Default::default()
        });
        let mut text = String::new();
        encode(&mut text, &registry(&stats)).unwrap();
        assert!(
            text.contains("ringroad_dropped_frames_total{reason=\"no_connection\"} 3\n"),
            "{text}"
        );
        for line in [
            "ringroad_payload_bytes_total{service=\"web\",direction=\"to_origin\"} 0\n",
            "ringroad_held_frames 7\n",
            "ringroad_handed_over_frames_total 6\n",
            "ringroad_shield_packets_total{verdict=\"to_engine\"} 5\n",
            "ringroad_port_frames_total{port=\"wan\",direction=\"sent\"} 0\n",
            "ringroad_port_dropped_frames_total{port=\"wan\",direction=\"received\"} 2\n",
            "ringroad_time_inside_seconds{quantile=\"0.99\"} 0.00025\n",
            "ringroad_time_inside_segments_total 9\n",
            "ringroad_shield_service_packets_total{service=\"web\",verdict=\"denied\"} 4\n",
            "ringroad_syn_cookies_on{lane=\"0\"} 1\n",
            "ringroad_connections_half_open{lane=\"0\"} 3\n",
            "ringroad_cookie_key_age_seconds 12.0\n",
            "ringroad_core_busy_seconds_total{core=\"io\"} 1.5\n",
            "ringroad_core_turns_total{core=\"io\",found=\"nothing\"} 2\n",
            "ringroad_stage_packets_total{core=\"io\",stage=\"tx\"} 70\n",
            "ringroad_stage_sampled_seconds_total{core=\"io\",stage=\"tx\"} 0.5\n",
            "ringroad_stage_sampled_packets_total{core=\"io\",stage=\"tx\"} 7\n",
            "ringroad_ring_depth{core=\"io\",ring=\"tx\",quantile=\"0.99\"} 12\n",
            "ringroad_ring_wait_seconds{core=\"io\",ring=\"tx\",quantile=\"0.99\"} 0.25\n",
            "ringroad_ring_full_total{core=\"io\",ring=\"tx\"} 2\n",
        ] {
            assert!(text.contains(line), "no {line}in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
