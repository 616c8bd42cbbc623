//! What `ringroad stats` shows, for Prometheus: a function for each of its parts.

use std::collections::BTreeMap;
use std::fmt;

use ringroad_engine::telemetry::Ledger;

use super::Scrape;
use super::page::{Page, UNLABELLED};
use crate::stats::{Health, Origin, RX_RING, Service};

pub(super) fn ledger(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    let ledger = &stats.ledger;
    page.counters(
        "received_frames",
        "Frames that came in, by what became of them",
        [
            ([("fate", "forwarded")], ledger.forwarded),
            ([("fate", "consumed")], ledger.consumed),
            ([("fate", "to_kernel")], ledger.to_kernel),
        ],
    )?;
    // With reasons that there was none for: what appears out of nowhere has no rate.
    let mut dropped: BTreeMap<&str, u64> = Ledger::default().by_reason().collect();
    dropped.insert(RX_RING, 0);
    dropped.extend(ledger.dropped.iter().map(|(reason, count)| (reason.as_str(), *count)));
    page.counters(
        "dropped_frames",
        "Frames that were dropped, by reason",
        dropped.into_iter().map(|(reason, count)| ([("reason", reason)], count)),
    )?;
    page.counters(
        "sent_frames",
        "Frames that went out, by where they began",
        [
            ([("origin", "forwarded")], ledger.forwarded),
            ([("origin", "originated")], ledger.originated),
            ([("origin", "retransmitted")], ledger.retransmitted),
        ],
    )?;
    page.counters(
        "handed_over_frames",
        "Frames that came to another worker than their own, and were handed over",
        [(UNLABELLED, ledger.handed_over)],
    )?;
    page.gauges("held_frames", "Frames that came in and wait to go on", [(UNLABELLED, ledger.held)])
}

pub(super) fn frames(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    let frames = &stats.frames;
    page.gauges(
        "pool_frames",
        "Frames of the pool, by who has them",
        [([("state", "free")], frames.free), ([("state", "held")], frames.held)],
    )?;
    page.gauges(
        "device_frames",
        "Frames, of those held, with devices alone: to receive into, or on their way out",
        [(UNLABELLED, frames.with_devices)],
    )
}

pub(super) fn services(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    let services = &stats.services;
    page.gauges(
        "connections_active",
        "Proxied connections now",
        services.iter().map(|it| ([("service", it.name.as_str())], it.connections.active)),
    )?;
    page.counters(
        "connections",
        "Client connections, by what became of them",
        of_each(services, "outcome", |Service { connections, .. }| {
            [
                ("accepted", connections.accepted),
                ("refused", connections.refused),
                ("fell_back", connections.fell_back),
            ]
        }),
    )?;
    page.counters(
        "payload_bytes",
        "Payload moved",
        of_each(services, "direction", |Service { bytes, .. }| {
            [("to_origin", bytes.to_origin), ("to_client", bytes.to_client)]
        }),
    )?;
    page.counters(
        "segments",
        "Data segments sent, by how",
        of_each(services, "how", |Service { segments, .. }| {
            [
                ("zero_copy", segments.zero_copy),
                ("copied", segments.copied),
                ("retransmitted", segments.retransmitted),
            ]
        }),
    )?;
    page.counters(
        "shield_service_packets",
        "Packets for a service by verdict, without those of connections that the shield knew",
        of_each(services, "verdict", |Service { shield, .. }| {
            shield.iter().map(|(verdict, count)| (verdict.as_str(), *count))
        }),
    )
}

pub(super) fn origins(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    let origins = || {
        stats.services.iter().flat_map(|service| {
            service.origins.iter().map(|origin| {
                ([("service", service.name.as_str()), ("origin", origin.address.as_str())], origin)
            })
        })
    };
    page.gauges(
        "origin_up",
        "Whether an origin answers, as far as handshakes with it have shown",
        origins().map(|(labels, origin)| (labels, u64::from(origin.health == Health::Up))),
    )?;
    page.gauges(
        "origin_connections_active",
        "Proxied connections to an origin now",
        origins().map(|(labels, origin)| (labels, origin.connections.active)),
    )?;
    page.counters(
        "origin_connections",
        "Connections to an origin, by what became of them",
        origins().flat_map(|([service, address], Origin { connections, .. })| {
            let outcomes = [("opened", connections.opened), ("failed", connections.failed)];
            outcomes.map(|(outcome, count)| ([service, address, ("outcome", outcome)], count))
        }),
    )
}

/// Samples of several counts of each service, which `label` tells apart.
fn of_each<'a, I: IntoIterator<Item = (&'a str, u64)>>(
    services: &'a [Service],
    label: &'static str,
    counts: impl Fn(&'a Service) -> I,
) -> impl Iterator<Item = ([(&'static str, &'a str); 2], u64)> {
    services.iter().flat_map(move |service| {
        let named = move |(value, count)| ([("service", &*service.name), (label, value)], count);
        counts(service).into_iter().map(named)
    })
}

pub(super) fn tcp(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    page.counters(
        "tcp_events",
        "What happened to connections, by kind",
        stats.tcp.iter().map(|(kind, count)| ([("kind", kind.as_str())], *count)),
    )
}

pub(super) fn shield(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    page.counters(
        "shield_packets",
        "Packets on the ports, by verdict",
        stats.shield.iter().map(|(verdict, count)| ([("verdict", verdict.as_str())], *count)),
    )?;
    page.counters(
        "shield_buckets_evicted",
        "Token buckets that gave way to others' before they were full",
        [(UNLABELLED, stats.buckets_evicted)],
    )?;
    // Who sent them is for `ringroad stats`: sources without number would be series without number.
    page.counters(
        "refused_samples",
        "Samples of what the shield refused",
        [([("fate", "kept")], stats.refused.samples), ([("fate", "lost")], stats.refused.lost)],
    )
}

pub(super) fn cookies(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    let cookies = &stats.cookies;
    let lanes = || cookies.lanes.iter().enumerate();
    page.infos(
        "syn_cookies",
        "When SYNs are answered by cookies",
        [[("mode", cookies.mode.as_str())]],
    )?;
    page.gauges(
        "syn_cookies_on",
        "Whether SYNs are answered by cookies",
        lanes().map(|(lane, state)| ([("lane", lane)], u64::from(state.on))),
    )?;
    page.gauges(
        "syn_cookies_state_age_seconds",
        "Since SYN cookies were last switched on or off",
        lanes().filter_map(|(lane, state)| Some(([("lane", lane)], state.for_s?))),
    )?;
    page.gauges(
        "connections_half_open",
        "Connections whose client has yet to complete its handshake",
        lanes().map(|(lane, state)| ([("lane", lane)], state.half_open)),
    )?;
    page.gauges(
        "cookie_key_age_seconds",
        "Age of the key that cookies are sealed with",
        cookies.key_age_s.map(|age| (UNLABELLED, age)),
    )
}

pub(super) fn ports(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    let both_ways = |received, sent| [("received", received), ("sent", sent)];
    let ports = || stats.ports.iter().map(|port| (port.name.as_str(), port));
    let paths = || ports().filter_map(|(name, port)| Some((name, port.kernel_path.as_ref()?)));
    page.counters(
        "port_frames",
        "Frames by port, taken in and handed out",
        ports().flat_map(|(name, port)| {
            both_ways(port.received, port.sent).map(|(way, count)| (by_port(name, way), count))
        }),
    )?;
    page.counters(
        "port_dropped_frames",
        "Frames lost before the engine had them, or refused by the device",
        ports().flat_map(|(name, port)| {
            let lost = both_ways(port.rx_dropped, port.tx_dropped);
            lost.map(|(way, count)| (by_port(name, way), count))
        }),
    )?;
    page.counters(
        "kernel_path_frames",
        "Frames between a port and Linux, by the engine",
        paths().flat_map(|(name, path)| {
            let crossed = [("to_kernel", path.to_kernel), ("from_kernel", path.from_kernel)];
            crossed.map(|(way, count)| (by_port(name, way), count))
        }),
    )?;
    page.counters(
        "kernel_path_dropped_frames",
        "Frames of Linux's for a port that were lost",
        paths().map(|(name, path)| ([("port", name)], path.from_kernel_dropped)),
    )
}

fn by_port<'a>(name: &'a str, direction: &'a str) -> [(&'static str, &'a str); 2] {
    [("port", name), ("direction", direction)]
}

/// Nothing, where nothing is to be recorded.
pub(super) fn recording(page: &mut Page<'_>, Scrape { stats, .. }: &Scrape) -> fmt::Result {
    let fates = stats.recording.iter().flat_map(|recording| {
        [([("fate", "written")], recording.written), ([("fate", "lost")], recording.lost)]
    });
    page.counters("recording_intervals", "Intervals that were to be recorded on disk", fates)
}
