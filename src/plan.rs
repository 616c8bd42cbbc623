//! A configuration against the host it is to run on: names become interfaces, defaults become
//! the routes that Linux has, and what does not fit is refused before anything is touched.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail};
use ringroad_config::limits as config;
use ringroad_config::schema::{self, Algorithm, Config, Driver, SynCookies};
use ringroad_ebpf as shield;
use ringroad_ebpf::{
    CookieMode, CookieService, EgressRange, Lists, RateLimit, RateLimits, ServiceAddress,
};
use ringroad_engine::kernel::{Link, NoPath, Routes, interface};
use ringroad_engine::limits::{BURST, PAIRS_PER_LANE_MAX, PORTS_PER_LANE_MAX, SLEEP_MAX};
use ringroad_engine::proxy::proxy_protocol::Version;
use ringroad_engine::proxy::{Fallback, OriginSettings, ServiceSettings, cookie_service};
use ringroad_engine::stage::PortIdentity;
use ringroad_engine::tcp::congestion::WindowBounds;
use ringroad_engine::tcp::pacing::Pacing;
use ringroad_engine::tcp::{self, EcnPolicy, LegSettings};

/// What a start needs to know whatever its ports are, all of it checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) ports: Vec<PortPlan>,
    pub(crate) services: Vec<ServiceSettings>,
    /// Where the services listen.
    pub(crate) listening: Vec<ServiceAddress>,
    /// Where the engine connects from: source ports that Linux must not use.
    pub(crate) egress: Vec<EgressRange>,
    /// How the services answer SYNs that are answered by cookies, and whether they are.
    pub(crate) cookies: Vec<CookieService>,
    /// Whether fragments of TCP to services' addresses are dropped, or Linux's.
    pub(crate) drop_fragments: bool,
    /// Whether segments of no connection that is known are dropped, or Linux's.
    pub(crate) drop_unknown: bool,
    /// Who is denied, and who is never limited.
    pub(crate) lists: Lists,
    pub(crate) rate_limits: RateLimits,
}

/// One port, found on the host.
#[derive(Debug)]
pub(crate) struct PortPlan {
    pub(crate) name: String,
    pub(crate) identity: PortIdentity,
    /// What Linux calls it.
    pub(crate) interface: String,
    pub(crate) is_veth: bool,
}

impl Plan {
    /// Resolves `config` against what Linux knows.
    pub(crate) fn new(config: &Config, routes: &Routes) -> Result<Self> {
        let mut ports = Vec::new();
        for port in &config.ports {
            ports.push(port_plan(port, routes).with_context(|| format!("port {:?}", port.name))?);
        }
        let mut plan = Plan {
            ports,
            services: Vec::new(),
            listening: Vec::new(),
            egress: Vec::new(),
            cookies: Vec::new(),
            drop_fragments: config.shield.fragments == schema::Fragments::Drop,
            drop_unknown: config.shield.unknown_acks == schema::UnknownAcks::Drop,
            lists: Lists { deny: config.shield.deny.clone(), allow: config.shield.allow.clone() },
            rate_limits: rate_limits(&config.shield),
        };
        for service in &config.services {
            plan.add_service(config, service, routes)
                .with_context(|| format!("service {:?}", service.name))?;
        }
        Ok(plan)
    }

    /// The largest of any port [octets].
    pub(crate) fn mtu(&self) -> u16 {
        self.ports.iter().map(|port| port.identity.mtu).max().unwrap_or(0)
    }

    fn add_service(
        &mut self,
        config: &Config,
        service: &schema::Service,
        routes: &Routes,
    ) -> Result<()> {
        for address in &service.listen {
            require_local(routes, address.ip(), "listen")?;
        }
        let port_index = port_index(config, &service.port)?;
        let service_index = self.services.len() as u32;
        self.listening.extend(service.listen.iter().map(|address| ServiceAddress {
            address: *address,
            port_index,
            service_index,
        }));
        let client_leg = leg(&service.client_leg);
        let mtu = self.ports[port_index as usize].identity.mtu;
        self.cookies.push(CookieService {
            mode: cookie_mode(config.shield.syn_cookies),
            // What the origins take is found out later; till then longer segments are split.
            ..cookie_service(&client_leg, mtu, u16::MAX)
        });
        let mut origins = Vec::new();
        for origin in &service.origins {
            origins.push(self.origin(config, service, *origin, routes)?);
        }
        self.services.push(ServiceSettings {
            name: service.name.clone(),
            listen: service.listen.clone(),
            port: port_index.try_into()?,
            origins,
            client_leg,
            origin_leg: leg(&service.origin_leg),
            proxy_protocol: match service.proxy_protocol {
                schema::ProxyProtocol::Off => None,
                schema::ProxyProtocol::V1 => Some(Version::V1),
                schema::ProxyProtocol::V2 => Some(Version::V2),
            },
            max_connections: service.max_connections,
            fallback: match service.fallback {
                schema::Fallback::Kernel => Fallback::Kernel,
                schema::Fallback::Reset => Fallback::Reset,
                schema::Fallback::Drop => Fallback::Drop,
            },
            connect_timeout: service.connect_timeout,
            idle_timeout: service.idle_timeout,
        });
        Ok(())
    }

    /// How an origin is reached: as configured, and for the rest as Linux would.
    fn origin(
        &mut self,
        config: &Config,
        service: &schema::Service,
        origin: SocketAddr,
        routes: &Routes,
    ) -> Result<OriginSettings> {
        let egress = &service.egress;
        let routed = routes.device_to(origin.ip());
        let port_index = match &egress.port {
            Some(name) => {
                let index = port_index(config, name)?;
                self.require_routed_by(index, name, origin, &routed, routes)?;
                index
            }
            None => {
                let ifindex = routed.with_context(|| {
                    format!("no way to origin {origin}; add a route, or set egress.port and egress.address")
                })?;
                self.ports
                    .iter()
                    .position(|port| port.identity.ifindex == ifindex)
                    .with_context(|| {
                        let name = routes.link(ifindex).map_or("another device", |link| &link.name);
                        format!("Linux routes origin {origin} by {name}, which is no port; add it to \"ports\", or route by a port")
                    })? as u32
            }
        };
        let address = match egress.address {
            Some(address) => address,
            None => routes.source_for(origin.ip()).with_context(|| {
                format!("Linux has no source address for origin {origin}; set egress.address")
            })?,
        };
        if address.is_ipv4() != origin.is_ipv4() {
            bail!(
                "egress address {address} and origin {origin} are not of one family; set egress.address"
            );
        }
        require_local(routes, address, "egress.address")?;
        let source_ports = egress.source_ports.clone();
        let range = EgressRange { address, ports: source_ports.clone(), port_index };
        if !self.egress.contains(&range) {
            self.egress.push(range);
        }
        Ok(OriginSettings {
            address: origin,
            egress_port: u8::try_from(port_index)?,
            egress_address: address,
            source_ports,
        })
    }
}

impl Plan {
    /// Packets to an origin go where Linux routes them; the replies come back there, and are ours
    /// only on the egress port.
    fn require_routed_by(
        &self,
        port_index: u32,
        port: &str,
        origin: SocketAddr,
        routed: &Result<u32, NoPath>,
        routes: &Routes,
    ) -> Result<()> {
        match routed {
            Ok(ifindex) if *ifindex == self.ports[port_index as usize].identity.ifindex => {}
            Ok(ifindex) => {
                let by = routes.link(*ifindex).map_or("another device", |link| &link.name);
                bail!(
                    "egress.port is {port:?}, but Linux routes origin {origin} by {by}; route it \
                     by that port, or leave egress.port out"
                );
            }
            Err(none) => tracing::warn!(
                "origin {origin} cannot be reached by port {port:?} as things are: {none}"
            ),
        }
        Ok(())
    }
}

fn port_plan(port: &schema::Port, routes: &Routes) -> Result<PortPlan> {
    let name = match &port.driver {
        Driver::AfXdp(driver) => &driver.interface,
        Driver::Dpdk(driver) => &driver.tap,
    };
    let link = interface(routes, name)?;
    Ok(PortPlan {
        name: port.name.clone(),
        identity: identity(link)?,
        interface: link.name.clone(),
        is_veth: link.kind.as_deref() == Some("veth"),
    })
}

fn identity(link: &Link) -> Result<PortIdentity> {
    if link.mac.is_none() {
        bail!("interface {} is no Ethernet device; a port needs one", link.name);
    }
    if !link.up {
        bail!("interface {} is down; bring it up with `ip link set {} up`", link.name, link.name);
    }
    let Ok(mtu) = u16::try_from(link.mtu) else {
        bail!(
            "interface {} has an MTU of {}, more than a packet can have; set a smaller one with \
             `ip link set {} mtu 1500`",
            link.name,
            link.mtu,
            link.name
        );
    };
    Ok(PortIdentity { ifindex: link.ifindex, mtu, verified: false })
}

fn port_index(config: &Config, name: &str) -> Result<u32> {
    let index = config.ports.iter().position(|port| port.name == name);
    Ok(index.with_context(|| format!("no port is named {name:?}"))? as u32)
}

fn cookie_mode(cookies: SynCookies) -> CookieMode {
    match cookies {
        SynCookies::Auto => CookieMode::UnderPressure,
        SynCookies::Always => CookieMode::Always,
        SynCookies::Off => CookieMode::Off,
    }
}

fn rate_limits(shield: &schema::Shield) -> RateLimits {
    let rate_limit = |limit: schema::RateLimit| RateLimit {
        syn_per_second: limit.syn_per_second,
        burst: limit.burst,
        packets_per_second: limit.packets_per_second,
        bytes_per_second: limit.bytes_per_second,
        prefix_v4: limit.prefix_v4,
        prefix_v6: limit.prefix_v6,
    };
    RateLimits {
        per_source: shield.per_source.map(rate_limit),
        per_prefix: shield.per_prefix.map(rate_limit),
        unproven_syn_per_second: shield.unproven_syn_per_second,
    }
}

fn leg(leg: &schema::Leg) -> LegSettings {
    LegSettings {
        congestion: match leg.congestion {
            Algorithm::Reno => tcp::congestion::Algorithm::NewReno,
            Algorithm::Cubic => tcp::congestion::Algorithm::Cubic,
            Algorithm::Bbr => tcp::congestion::Algorithm::Bbr,
            Algorithm::Dctcp => tcp::congestion::Algorithm::Dctcp,
            Algorithm::Vegas => tcp::congestion::Algorithm::Vegas,
        },
        window_bounds: WindowBounds {
            min_segments: leg.min_window.try_into().unwrap_or(u16::MAX),
            max_segments: leg.max_window.unwrap_or(u32::MAX),
        },
        pacing: match leg.pacing {
            schema::Pacing::Auto => Pacing::Auto,
            schema::Pacing::On => Pacing::On,
            schema::Pacing::Off => Pacing::Off,
        },
        ecn: match leg.ecn {
            schema::Ecn::Accept => EcnPolicy::Accept,
            schema::Ecn::On => EcnPolicy::Ask,
            schema::Ecn::Off => EcnPolicy::Off,
        },
        fast_open: leg.fast_open == schema::FastOpen::On,
        initial_window_segments: leg.initial_window.try_into().unwrap_or(u16::MAX),
        receive_room: leg.receive_buffer_max,
        mtu_probing: match leg.mtu_probing {
            schema::MtuProbing::Off => tcp::MtuProbing::Off,
            schema::MtuProbing::Auto => tcp::MtuProbing::Auto,
            schema::MtuProbing::On => tcp::MtuProbing::On,
        },
        keepalive: leg.keepalive.map(|keepalive| tcp::Keepalive {
            idle: keepalive.idle,
            interval: keepalive.interval,
            probes: keepalive.probes,
        }),
        user_timeout: leg.user_timeout,
        ..LegSettings::default()
    }
}

/// Addresses are Linux's: it answers ARP for them, and serves them when the engine does not.
fn require_local(routes: &Routes, address: IpAddr, key: &str) -> Result<()> {
    if !routes.is_local(address) {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        bail!(
            "{key}: {address} is no address of this host; add it with `ip addr add \
             {address}/{prefix} dev …`, or choose another"
        );
    }
    Ok(())
}

// What the configuration lets through fits the engine and the shield.
const _: () = assert!(config::BURST_MAX == BURST);
const _: () = assert!(config::PORTS_MAX <= PORTS_PER_LANE_MAX);
const _: () = assert!(config::PORTS_MAX <= shield::limits::PORTS_MAX);
const _: () = assert!(config::QUEUES_MAX as usize <= shield::limits::QUEUES_MAX);
const _: () = assert!(config::SERVICES_MAX <= shield::limits::SERVICES_MAX);
const _: () = assert!(config::LISTEN_ADDRESSES_MAX <= shield::limits::SERVICE_ADDRESSES_MAX);
const _: () = assert!(2 * config::PREFIXES_MAX <= shield::limits::LIST_PREFIXES_MAX);
const _: () = assert!(*config::PACKET_RATE.end() <= shield::limits::PACKET_RATE_MAX);
const _: () = assert!(*config::BYTE_RATE.start() >= shield::limits::BYTE_RATE_MIN);
const _: () = assert!(*config::BYTE_RATE.end() <= shield::limits::BYTE_RATE_MAX);
const _: () = assert!(*config::HALF_OPEN.end() as usize <= PAIRS_PER_LANE_MAX);
const _: () = assert!(config::EGRESS_RANGES_MAX <= shield::limits::EGRESS_RANGES_MAX);
// A lane that sleeps is not taken for hung.
const _: () = assert!(2 * SLEEP_MAX.as_micros() <= config::HEARTBEAT_LIMIT.start().as_micros());
