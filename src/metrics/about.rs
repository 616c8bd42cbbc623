//! What does not change while the engine runs: what it is, and what it was configured to do.

use std::fmt;

use ringroad_config::schema::{Config, Leg, Service, Word as _};

use super::Scrape;
use super::page::{Page, UNLABELLED};
use crate::cores::PollingThread;
use crate::unix_time;

/// See the module.
#[derive(Debug)]
pub(super) struct About {
    /// Since 1970 [s].
    started: f64,
    driver: &'static str,
    services: Vec<Service>,
    threads: Vec<PollingThread>,
}

impl About {
    /// Of an engine that starts now.
    pub(super) fn new(config: &Config, threads: Vec<PollingThread>) -> Self {
        About {
            started: unix_time::now().as_secs_f64(),
            driver: config.driver().word(),
            services: config.services.clone(),
            threads,
        }
    }

    pub(super) fn threads(&self) -> &[PollingThread] {
        &self.threads
    }
}

pub(super) fn write(page: &mut Page<'_>, Scrape { about, .. }: &Scrape) -> fmt::Result {
    let services = || about.services.iter().map(|service| (service.name.as_str(), service));
    page.infos(
        "build",
        "The program that runs",
        [[("version", env!("CARGO_PKG_VERSION")), ("driver", about.driver)]],
    )?;
    page.gauges(
        "start_time_seconds",
        "When it was started, since 1970",
        [(UNLABELLED, about.started)],
    )?;
    page.infos(
        "core",
        "Threads that poll, with what they do and the core that is theirs",
        about.threads.iter().map(|thread| {
            let (role, cpu) = (thread.role.name().to_owned(), thread.core.id.to_string());
            [("core", thread.name.clone()), ("role", role), ("cpu", cpu)]
        }),
    )?;
    page.infos(
        "listener",
        "Addresses that services listen on",
        services().flat_map(|(name, service)| {
            let listen = service.listen.iter().map(ToString::to_string);
            listen.map(move |address| [("service", name.to_owned()), ("address", address)])
        }),
    )?;
    page.infos(
        "origin",
        "Origins behind services, as configured",
        services().flat_map(|(name, service)| {
            let origins = service.origins.iter().map(ToString::to_string);
            origins.map(move |origin| [("service", name.to_owned()), ("origin", origin)])
        }),
    )?;
    page.infos(
        "leg",
        "How a service's connections send",
        services().flat_map(|(name, service)| {
            [leg(name, "client", &service.client_leg), leg(name, "origin", &service.origin_leg)]
        }),
    )?;
    page.gauges(
        "connections_limit",
        "Proxied connections that a service may have at a time",
        services().map(|(name, service)| ([("service", name)], service.max_connections)),
    )
}

fn leg<'a>(service: &'a str, side: &'static str, leg: &Leg) -> [(&'static str, &'a str); 5] {
    [
        ("service", service),
        ("leg", side),
        ("congestion", leg.congestion.word()),
        ("pacing", leg.pacing.word()),
        ("ecn", leg.ecn.word()),
    ]
}
