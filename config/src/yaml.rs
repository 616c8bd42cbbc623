//! A configuration written out again, every default filled in, as a file that reads back the same
//! (but that what was a default is asked for in it).

use std::fmt::{Display, Write};

use crate::schema::{Config, Driver, Keepalive, Leg, Pressure, RateLimit, Service, Telemetry};
use crate::value::{show_duration, show_size};

/// The whole of `config` as YAML.
pub(crate) fn write(config: &Config) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, config);
    out
}

fn write_all(out: &mut String, config: &Config) -> std::fmt::Result {
    let Config { engine, ports, services, shield, admin, telemetry } = config;
    writeln!(out, "engine:")?;
    writeln!(out, "  arrangement: {}", engine.arrangement)?;
    writeln!(out, "  cores: {}", list(&engine.cores))?;
    writeln!(out, "  burst: {}", engine.burst)?;
    writeln!(out, "  idle: {}", engine.idle)?;
    writeln!(out, "  frames: {}", engine.frames)?;
    writeln!(out, "  drain_timeout: {}", show_duration(engine.drain_timeout))?;
    writeln!(out, "  heartbeat_limit: {}", show_duration(engine.heartbeat_limit))?;
    writeln!(out, "ports:")?;
    for port in ports {
        writeln!(out, "  - name: {}", port.name)?;
        writeln!(out, "    driver: {}", port.driver.kind())?;
        match &port.driver {
            Driver::AfXdp(af_xdp) => {
                writeln!(out, "    interface: {}", text(&af_xdp.interface))?;
                writeln!(out, "    queues: {}", af_xdp.queues)?;
                writeln!(out, "    xdp_mode: {}", af_xdp.xdp_mode)?;
                let busy_poll = af_xdp.busy_poll.map(show_duration);
                writeln!(out, "    busy_poll: {}", or_word(&busy_poll, "off"))?;
            }
            Driver::Dpdk(dpdk) => {
                writeln!(out, "    device: {}", text(&dpdk.device))?;
                writeln!(out, "    queues: {}", dpdk.queues)?;
                writeln!(out, "    tap: {}", text(&dpdk.tap))?;
            }
        }
    }
    writeln!(out, "services:")?;
    for service in services {
        write_service(out, service)?;
    }
    writeln!(out, "shield:")?;
    writeln!(out, "  syn_cookies: {}", shield.syn_cookies)?;
    let Pressure { syn_per_second, half_open } = shield.pressure;
    writeln!(out, "  pressure: {{ syn_per_second: {syn_per_second}, half_open: {half_open} }}")?;
    let cookie_secret = shield.cookie_secret.as_ref().map(|path| path.display());
    writeln!(out, "  cookie_secret: {}", or_word(&cookie_secret, "own"))?;
    writeln!(out, "  fragments: {}", shield.fragments)?;
    writeln!(out, "  unknown_acks: {}", shield.unknown_acks)?;
    writeln!(out, "  deny: {}", texts(&shield.deny))?;
    writeln!(out, "  allow: {}", texts(&shield.allow))?;
    write_rate_limit(out, "per_source", &shield.per_source)?;
    write_rate_limit(out, "per_prefix", &shield.per_prefix)?;
    let unproven = or_word(&shield.unproven_syn_per_second, "off");
    writeln!(out, "  unproven_syn_per_second: {unproven}")?;
    writeln!(out, "admin:")?;
    writeln!(out, "  socket: {}", text(&admin.socket.to_string_lossy()))?;
    writeln!(out, "  metrics: {}", or_word(&admin.metrics.map(|metrics| metrics.address), "off"))?;
    let Telemetry { directory, interval, rotate, keep } = telemetry;
    let directory = directory.as_ref().map(|path| path.display());
    writeln!(out, "telemetry:")?;
    writeln!(out, "  directory: {}", or_word(&directory, "off"))?;
    writeln!(out, "  interval: {}", show_duration(*interval))?;
    writeln!(out, "  rotate: {}", show_size(*rotate))?;
    writeln!(out, "  keep: {keep}")
}

fn write_service(out: &mut String, service: &Service) -> std::fmt::Result {
    let egress = &service.egress;
    writeln!(out, "  - name: {}", service.name)?;
    writeln!(out, "    port: {}", service.port)?;
    writeln!(out, "    listen: {}", texts(&service.listen))?;
    writeln!(out, "    origins: {}", texts(&service.origins))?;
    writeln!(out, "    egress:")?;
    writeln!(out, "      port: {}", egress.port.as_deref().unwrap_or("auto"))?;
    writeln!(out, "      address: {}", or_word(&egress.address, "auto"))?;
    let (low, high) = (egress.source_ports.start(), egress.source_ports.end());
    writeln!(out, "      source_ports: {low}-{high}")?;
    write_leg(out, "client_leg", service.client_leg)?;
    write_leg(out, "origin_leg", service.origin_leg)?;
    writeln!(out, "    proxy_protocol: {}", service.proxy_protocol)?;
    writeln!(out, "    max_connections: {}", service.max_connections)?;
    writeln!(out, "    fallback: {}", service.fallback)?;
    writeln!(out, "    connect_timeout: {}", show_duration(service.connect_timeout))?;
    writeln!(out, "    idle_timeout: {}", show_duration(service.idle_timeout))
}

fn write_rate_limit(out: &mut String, name: &str, limit: &Option<RateLimit>) -> std::fmt::Result {
    let Some(limit) = limit else { return writeln!(out, "  {name}: off") };
    writeln!(out, "  {name}:")?;
    writeln!(out, "    syn_per_second: {}", limit.syn_per_second)?;
    writeln!(out, "    burst: {}", limit.burst)?;
    writeln!(out, "    packets_per_second: {}", or_word(&limit.packets_per_second, "off"))?;
    writeln!(out, "    bytes_per_second: {}", or_word(&limit.bytes_per_second, "off"))?;
    writeln!(out, "    prefix_v4: {}", limit.prefix_v4)?;
    writeln!(out, "    prefix_v6: {}", limit.prefix_v6)
}

fn write_leg(out: &mut String, name: &str, leg: Leg) -> std::fmt::Result {
    let Leg { congestion, initial_window, min_window, max_window, pacing, ecn, fast_open, .. } =
        leg;
    write!(out, "    {name}: {{ congestion: {congestion}, initial_window: {initial_window}")?;
    write!(out, ", min_window: {min_window}, max_window: {}", or_word(&max_window, "off"))?;
    write!(out, ", pacing: {pacing}, ecn: {ecn}")?;
    if name == "client_leg" {
        write!(out, ", fast_open: {fast_open}")?;
    }
    let Leg { receive_buffer_max, mtu_probing, keepalive, user_timeout, .. } = leg;
    writeln!(out, ",")?;
    write!(out, "      receive_buffer_max: {receive_buffer_max}, mtu_probing: {mtu_probing}, ")?;
    match keepalive {
        None => write!(out, "keepalive: off")?,
        Some(Keepalive { idle, interval, probes }) => {
            let (idle, interval) = (show_duration(idle), show_duration(interval));
            write!(out, "keepalive: {{ idle: {idle}, interval: {interval}, probes: {probes} }}")?;
        }
    }
    writeln!(out, ", user_timeout: {} }}", or_word(&user_timeout.map(show_duration), "off"))
}

/// A list on one line, of items that need no quotes.
fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    format!("[{}]", items.join(", "))
}

/// A list on one line, of items that may need quotes.
fn texts<T: Display>(items: &[T]) -> String {
    list(&items.iter().map(|item| text(&item.to_string())).collect::<Vec<_>>())
}

fn or_word<T: Display>(value: &Option<T>, nothing: &str) -> String {
    value.as_ref().map_or_else(|| nothing.to_owned(), |value| text(&value.to_string()))
}

/// A scalar, in quotes unless it can be nothing but text without them.
fn text(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    match plain {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}
