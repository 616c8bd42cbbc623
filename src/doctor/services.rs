//! Addresses, ways to the origins and source ports of services.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use anyhow::{Context, Result};
use ringroad_config::schema::{Config, Driver, Service};
use ringroad_engine::kernel::{Clash, Link, NoPath, ReservedPorts, Routes, clashes};

use super::finding::Finding;

/// `running`: an engine of this configuration keeps its source ports from Linux already.
pub(super) fn judge(config: &Config, routes: &Routes, running: bool) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut ranges = Vec::new();
    for service in &config.services {
        let host = Ground { config, routes, service };
        findings.extend(host.judge().into_iter().map(|finding| finding.on(&service.name)));
        for address in host.egress_addresses() {
            let range = (address, service.egress.source_ports.clone());
            if !ranges.contains(&range) {
                ranges.push(range);
            }
        }
    }
    for (address, ports) in ranges {
        let sockets = SourcePorts {
            clash: clashes(address, ports.clone())?.first().copied(),
            reserved: if running { 0 } else { ReservedPorts::already(&ports)? },
            linux: ephemeral()?,
            ports,
        };
        findings.extend(sockets.judge().into_iter().map(|finding| finding.on(address)));
    }
    Ok(findings)
}

/// What a service stands on.
struct Ground<'a> {
    config: &'a Config,
    routes: &'a Routes,
    service: &'a Service,
}

impl Ground<'_> {
    fn judge(&self) -> Vec<Finding> {
        let mut findings = self.listen();
        for origin in &self.service.origins {
            findings.extend(self.egress(*origin));
            findings.extend(self.way_to(*origin));
        }
        findings.extend(self.mtus());
        // What several origins have in common is said once.
        let mut once: Vec<Finding> = Vec::new();
        for finding in findings {
            if !once.contains(&finding) {
                once.push(finding);
            }
        }
        once
    }

    fn listen(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for address in self.service.listen.iter().map(SocketAddr::ip) {
            if !self.routes.is_local(address) {
                let device = self.interface_name(&self.service.port);
                findings.push(not_local("listen-address", address, device));
            }
        }
        if findings.is_empty() {
            findings.push(Finding::ok("listen-address", "this host's"));
        }
        findings
    }

    fn egress(&self, origin: SocketAddr) -> Option<Finding> {
        let Some(address) = self.egress_address(origin) else {
            return Some(
                Finding::failure(
                    "egress-address",
                    format!("Linux has no source address for origin {origin}"),
                )
                .fix("set egress.address to an address of this host"),
            );
        };
        if !self.routes.is_local(address) {
            let device = match &self.service.egress.port {
                Some(port) => self.interface_name(port),
                None => self.egress_link(origin).map(|link| link.name.as_str()),
            };
            return Some(not_local("egress-address", address, device));
        }
        if address.is_ipv4() != origin.is_ipv4() {
            return Some(
                Finding::failure(
                    "egress-address",
                    format!("{address} and origin {origin} are not of one family"),
                )
                .fix("set egress.address to one of the origin's family"),
            );
        }
        None
    }

    fn way_to(&self, origin: SocketAddr) -> Option<Finding> {
        let by = match self.routes.device_to(origin.ip()) {
            Ok(ifindex) => self.routes.link(ifindex)?,
            Err(none) => {
                let message = format!("no way to {origin}: {none}");
                let finding = match self.service.egress.port {
                    Some(_) => Finding::warning("origin-route", message),
                    None => Finding::failure("origin-route", message),
                };
                return Some(finding.fix(format!("see `ip route get {}`", origin.ip())));
            }
        };
        // Which interface of Linux's stands for a DPDK device is not for us to say.
        if self.config.ports.iter().any(|port| matches!(port.driver, Driver::Dpdk(_))) {
            return None;
        }
        let wrong = match &self.service.egress.port {
            // If it is not there, that has been said.
            Some(port) => self.interface(port)?.ifindex != by.ifindex,
            None => !self.is_port(by),
        };
        if wrong {
            let what = match &self.service.egress.port {
                Some(port) => format!("not by egress.port {port:?}"),
                None => "which is no port".to_owned(),
            };
            return Some(
                Finding::failure(
                    "origin-route",
                    format!("Linux routes origin {origin} by {}, {what}", by.name),
                )
                .fix("route it by a port, or add that interface to ports"),
            );
        }
        match self.routes.path_to(origin.ip()) {
            Err(failed @ NoPath::Failed(_)) => Some(
                Finding::warning("origin-route", format!("origin {origin}: {failed}"))
                    .fix(format!("see `ip neigh show dev {}`, and ping it", by.name)),
            ),
            _ => Some(Finding::ok("origin-route", format!("origin {origin} by {}", by.name))),
        }
    }

    /// Segments that fit one side and not the other are copied into smaller ones.
    fn mtus(&self) -> Option<Finding> {
        let clients = self.interface(&self.service.port)?;
        let differs = |link: &&Link| link.mtu != clients.mtu;
        let mut links = self.service.origins.iter().filter_map(|origin| self.egress_link(*origin));
        let origins = links.find(differs)?;
        let mtu = clients.mtu.min(origins.mtu);
        let larger = if clients.mtu > mtu { clients } else { origins };
        Some(
            Finding::warning(
                "mtu-match",
                format!(
                    "{} towards clients ({}), {} towards origins ({}): segments are copied to fit",
                    clients.mtu, clients.name, origins.mtu, origins.name
                ),
            )
            .fix(format!("ip link set {} mtu {mtu}, at both ends", larger.name)),
        )
    }

    /// Where connections to the origins come from.
    fn egress_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let addresses =
            self.service.origins.iter().filter_map(|origin| self.egress_address(*origin));
        addresses.filter(|address| self.routes.is_local(*address))
    }

    fn egress_address(&self, origin: SocketAddr) -> Option<IpAddr> {
        self.service.egress.address.or_else(|| self.routes.source_for(origin.ip()))
    }

    fn egress_link(&self, origin: SocketAddr) -> Option<&Link> {
        self.routes.link(self.routes.device_to(origin.ip()).ok()?)
    }

    /// The interface of an AF_XDP port; `None` also if it is not there.
    fn interface(&self, port: &str) -> Option<&Link> {
        self.routes.link_by_name(self.interface_name(port)?)
    }

    fn interface_name(&self, port: &str) -> Option<&str> {
        match &self.config.port(port)?.driver {
            Driver::AfXdp(af_xdp) => Some(&af_xdp.interface),
            Driver::Dpdk(_) => None,
        }
    }

    fn is_port(&self, link: &Link) -> bool {
        let mut links = self.config.ports.iter().filter_map(|port| self.interface(&port.name));
        links.any(|port| port.ifindex == link.ifindex)
    }
}

fn not_local(check: &'static str, address: IpAddr, device: Option<&str>) -> Finding {
    let device = device.unwrap_or("…");
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    Finding::failure(check, format!("{address} is no address of this host"))
        .fix(format!("ip addr add {address}/{prefix} dev {device}, or choose another"))
}

/// What stands against the source ports of an egress address.
#[derive(Debug)]
pub(super) struct SourcePorts {
    pub(super) ports: RangeInclusive<u16>,
    /// A socket of Linux's on one of them.
    pub(super) clash: Option<Clash>,
    /// Those that are reserved in Linux already.
    pub(super) reserved: usize,
    /// Ports that Linux chooses from for connections of its own.
    pub(super) linux: RangeInclusive<u16>,
}

impl SourcePorts {
    pub(super) fn judge(&self) -> Vec<Finding> {
        let (first, last) = (self.ports.start(), self.ports.end());
        let mut findings = Vec::new();
        if let Some(Clash { local, state }) = self.clash {
            let message =
                format!("Linux has a TCP socket on {local} ({state}), one of {first}-{last}");
            findings.push(Finding::failure("source-ports", message).fix(format!(
                "choose other egress.source_ports, or stop what holds it \
                 (`ss -tanp 'sport = :{}'`)",
                local.port()
            )));
        }
        if self.reserved > 0 {
            let message = format!(
                "{} of {first}-{last} are reserved in Linux already: for another program, or \
                 since a crash",
                self.reserved
            );
            findings
                .push(Finding::note("source-ports", message).fix(
                    "if another program connects from them, choose other egress.source_ports",
                ));
        }
        let left = self.linux.clone().filter(|port| !self.ports.contains(port)).count();
        if left < EPHEMERAL_LEFT_MIN {
            let message = format!(
                "{first}-{last} leave Linux {left} of the ports that it connects from itself"
            );
            findings.push(Finding::note("source-ports", message).fix(
                "if programs here open many connections, choose others than \
                 net.ipv4.ip_local_port_range",
            ));
        }
        if findings.is_empty() {
            findings.push(Finding::ok("source-ports", format!("{first}-{last} are free")));
        }
        findings
    }
}

/// The ports that Linux chooses from.
fn ephemeral() -> Result<RangeInclusive<u16>> {
    let text = fs::read_to_string(EPHEMERAL).with_context(|| format!("cannot read {EPHEMERAL}"))?;
    let numbers: Vec<u16> = text.split_whitespace().flat_map(str::parse).collect();
    let [first, last] = numbers[..] else {
        anyhow::bail!("{EPHEMERAL}: {:?} is not two ports", text.trim());
    };
    Ok(first..=last)
}

const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Ports for connections of Linux's own that are enough for a host without many of them.
const EPHEMERAL_LEFT_MIN: usize = 512;
