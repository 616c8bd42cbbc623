//! A configuration against the host it is to run on: names become interfaces, defaults become
//! the routes that Linux has, and what does not fit is refused before anything is touched.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use anyhow::{Context, Result, bail};
use ringroad_config::limits as config;
use ringroad_config::schema::{self, Algorithm, Config, Driver, XdpMode};
use ringroad_ebpf as shield;
use ringroad_engine::kernel::{Link, NoPath, Routes, interface, receive_queues};
use ringroad_engine::limits::{
    BURST, CHUNK_SIZE_MAX, CHUNK_SIZE_MIN, HEADROOM, LINK_HEADERS_MAX, PORTS_PER_LANE_MAX,
};
use ringroad_engine::port::af_xdp;
use ringroad_engine::proxy::proxy_protocol::Version;
use ringroad_engine::proxy::{Fallback, OriginSettings, ServiceSettings};
use ringroad_engine::stage::PortIdentity;
use ringroad_engine::tcp::{self, LegSettings};

/// Everything that a start needs to know, all of it checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) ports: Vec<PortPlan>,
    pub(crate) services: Vec<ServiceSettings>,
    pub(crate) shield: shield::ShieldSettings,
    /// Source ports that Linux must not use: the address, and the range.
    pub(crate) egress: Vec<(IpAddr, RangeInclusive<u16>)>,
    /// Size of a frame that holds the largest packet of any port [octets].
    pub(crate) frame_size: usize,
}

/// One port, found on the host.
#[derive(Debug)]
pub(crate) struct PortPlan {
    pub(crate) identity: PortIdentity,
    pub(crate) socket: af_xdp::Settings,
}

impl Plan {
    /// Resolves `config` against what Linux knows.
    pub(crate) fn new(config: &Config, routes: &Routes) -> Result<Self> {
        let mut ports = Vec::new();
        let mut shield_ports = Vec::new();
        for port in &config.ports {
            let (plan, shield_port) = port_plan(port, routes)?;
            ports.push(plan);
            shield_ports.push(shield_port);
        }
        let mtu = ports.iter().map(|port| port.identity.mtu).max().unwrap_or(0);
        let frame_size = frame_size(mtu)?;
        let mut plan = Plan {
            ports,
            services: Vec::new(),
            shield: shield::ShieldSettings {
                ports: shield_ports,
                heartbeat_limit: config.engine.heartbeat_limit,
                ..shield::ShieldSettings::default()
            },
            egress: Vec::new(),
            frame_size,
        };
        for service in &config.services {
            plan.add_service(config, service, routes)
                .with_context(|| format!("service {:?}", service.name))?;
        }
        // What was Linux's choice, the configuration could not count.
        plan.shield.check()?;
        Ok(plan)
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
        self.shield.services.extend(service.listen.iter().map(|address| shield::ServiceAddress {
            address: *address,
            port_index,
            service_index,
        }));
        let mut origins = Vec::new();
        for origin in &service.origins {
            origins.push(self.origin(config, service, *origin, routes)?);
        }
        self.services.push(ServiceSettings {
            name: service.name.clone(),
            listen: service.listen.clone(),
            origins,
            client_leg: leg(&service.client_leg),
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
        let routed = egress_device(routes, origin.ip());
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
        let range = shield::EgressRange { address, ports: source_ports.clone(), port_index };
        if !self.shield.egress.contains(&range) {
            self.shield.egress.push(range);
            self.egress.push((address, source_ports.clone()));
        }
        Ok(OriginSettings { address: origin, egress_address: address, source_ports })
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

fn port_plan(port: &schema::Port, routes: &Routes) -> Result<(PortPlan, shield::PortSettings)> {
    let Driver::AfXdp(driver) = &port.driver else {
        bail!("port {:?}: this build drives AF_XDP ports alone", port.name);
    };
    let link =
        interface(routes, &driver.interface).with_context(|| format!("port {:?}", port.name))?;
    let identity = identity(link).with_context(|| format!("port {:?}", port.name))?;
    require_one_queue(link).with_context(|| format!("port {:?}", port.name))?;
    let mut socket = af_xdp::Settings::new(&link.name, link.ifindex, FIRST_QUEUE);
    socket.mode = match driver.xdp_mode {
        XdpMode::Auto => af_xdp::XdpMode::Auto,
        XdpMode::ZeroCopy => af_xdp::XdpMode::ZeroCopy,
        XdpMode::Copy => af_xdp::XdpMode::Copy,
        XdpMode::Generic => af_xdp::XdpMode::Generic,
    };
    socket.busy_poll = driver.busy_poll.map(|time| af_xdp::BusyPoll {
        micros: time.as_micros().try_into().unwrap_or(u32::MAX),
        budget: BURST as u16,
    });
    let attach = shield::PortSettings {
        ifindex: link.ifindex,
        interface: link.name.clone(),
        mode: match driver.xdp_mode {
            XdpMode::Auto => shield::AttachMode::Auto,
            XdpMode::ZeroCopy | XdpMode::Copy => shield::AttachMode::Native,
            XdpMode::Generic => shield::AttachMode::Generic,
        },
    };
    Ok((PortPlan { identity, socket }, attach))
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
            "interface {} has an MTU of {}; set one of at most {MTU_MAX} with `ip link set {} mtu {MTU_MAX}`",
            link.name,
            link.mtu,
            link.name
        );
    };
    Ok(PortIdentity { ifindex: link.ifindex, mtu })
}

/// What arrives on a queue that is not polled reaches Linux, which knows nothing of our connections
/// and resets them.
fn require_one_queue(link: &Link) -> Result<()> {
    let name = &link.name;
    match receive_queues(link.ifindex) {
        Ok(Some(queues)) if queues.total() > QUEUES_POLLED => {
            let kind = if queues.combined > 0 { "combined" } else { "rx" };
            bail!(
                "interface {name} receives on {} queues, and this version polls one; give it one \
                 with `ethtool -L {name} {kind} 1`",
                queues.total()
            );
        }
        Ok(Some(_)) => {}
        Ok(None) => tracing::warn!(
            "the driver of {name} does not say how many queues it receives on; only the first is \
             polled: make sure that there is one"
        ),
        Err(error) => tracing::warn!(
            "cannot find out how many queues {name} receives on: {error}; only the first is \
             polled: make sure that there is one"
        ),
    }
    Ok(())
}

/// The smallest frames that hold a packet of `mtu` octets with its link-layer header behind the
/// headroom.
fn frame_size(mtu: u16) -> Result<usize> {
    let needed = HEADROOM + LINK_HEADERS_MAX + usize::from(mtu);
    [CHUNK_SIZE_MIN, CHUNK_SIZE_MAX].into_iter().find(|size| needed <= *size).with_context(|| {
        format!(
            "an MTU of {mtu} does not fit one frame; set at most {MTU_MAX} on the ports' interfaces"
        )
    })
}

fn port_index(config: &Config, name: &str) -> Result<u32> {
    let index = config.ports.iter().position(|port| port.name == name);
    Ok(index.with_context(|| format!("no port is named {name:?}"))? as u32)
}

fn leg(leg: &schema::Leg) -> LegSettings {
    LegSettings {
        congestion: match leg.congestion {
            Algorithm::Reno => tcp::congestion::Algorithm::NewReno,
            // The configuration refuses the others in this version.
            _ => tcp::congestion::Algorithm::Cubic,
        },
        initial_window_segments: leg.initial_window.try_into().unwrap_or(u16::MAX),
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

/// The device by which Linux sends to an address; of a VLAN the one that carries it.
fn egress_device(routes: &Routes, destination: IpAddr) -> Result<u32, NoPath> {
    match routes.path_to(destination) {
        Ok(path) => Ok(path.ifindex),
        Err(NoPath::Unresolved(next_hop) | NoPath::Failed(next_hop)) => {
            let vlan = routes.link(next_hop.ifindex).and_then(|link| link.vlan);
            Ok(vlan.map_or(next_hop.ifindex, |vlan| vlan.parent))
        }
        Err(none) => Err(none),
    }
}

/// One lane polls the first queue.
pub(crate) const FIRST_QUEUE: u32 = 0;
const QUEUES_POLLED: u32 = 1;

// What the configuration lets through fits the engine and the shield.
const _: () = assert!(config::BURST_MAX == BURST);
const _: () = assert!(config::PORTS_MAX <= PORTS_PER_LANE_MAX);
const _: () = assert!(config::PORTS_MAX <= shield::limits::PORTS_MAX);
const _: () = assert!(config::QUEUES_MAX as usize <= shield::limits::QUEUES_MAX);
const _: () = assert!(config::SERVICES_MAX <= shield::limits::SERVICES_MAX);
const _: () = assert!(config::LISTEN_ADDRESSES_MAX <= shield::limits::SERVICE_ADDRESSES_MAX);
const _: () = assert!(config::EGRESS_RANGES_MAX <= shield::limits::EGRESS_RANGES_MAX);

/// Largest MTU that one frame holds [octets].
const MTU_MAX: usize = CHUNK_SIZE_MAX - HEADROOM - LINK_HEADERS_MAX;
