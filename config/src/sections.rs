//! The sections of a file, read one after another, with what each must agree with the others on.
//!
//! Ports are read first: services name them, and the frames are counted by them. A section with
//! a problem still counts as far as it could be read, so that one mistake is one message.

mod telemetry;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::document::{Content, Node};
use crate::fields::{Expected, Fields};
use crate::limits::{
    ADDRESSES_MAX, BURST_MAX, BUSY_POLL, BYTE_RATE, CONNECT_TIMEOUT, CONNECTIONS, CPU_MAX,
    DRAIN_TIMEOUT, EGRESS_RANGES_MAX, FRAMES_HELD_MIN, FRAMES_MAX, FRAMES_PER_QUEUE, HALF_OPEN,
    HEARTBEAT_LIMIT, IDLE_TIMEOUT, INITIAL_WINDOW, KEEPALIVE_PROBES, KEEPALIVE_TIME,
    LISTEN_ADDRESSES_MAX, MAX_WINDOW, MIN_WINDOW, PACKET_RATE, PIPELINE_CORES_MIN, PORTS_MAX,
    PREFIXES_MAX, QUEUES_MAX, RECEIVE_BUFFER, SERVICES_MAX, USER_TIMEOUT,
};
use crate::problem::{Located, Position, Problems};
use crate::schema::{
    Admin, AfXdp, Algorithm, Arrangement, Config, Dpdk, Driver, DriverKind, Ecn, Egress, Engine,
    Fallback, Keepalive, Leg, Metrics, Pacing, Port, Pressure, ProxyProtocol, RateLimit, Service,
    Shield, XdpMode,
};
use crate::value;

/// Reads the whole file; what is wrong is in `problems`.
pub(crate) fn config(root: &Node, problems: &mut Problems) -> Option<Config> {
    let mut fields = Fields::of(root, "the file", problems)?;
    let engine_node = fields.node("engine");
    let port_nodes = fields.nodes("ports", 1..=PORTS_MAX, problems);
    let service_nodes = fields.nodes("services", 1..=SERVICES_MAX, problems);
    fields.require("ports", "ports: [{ interface: eth1 }]", problems);
    fields.require(
        "services",
        "services: [{ listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.2:80\"] }]",
        problems,
    );
    let shield = fields.node("shield").and_then(|node| shield(node, problems));
    let admin = fields.node("admin").and_then(|node| admin(node, problems));
    let telemetry = fields.node("telemetry").and_then(|node| telemetry::read(node, problems));
    fields.finish(problems);

    let ports = ports(port_nodes.unwrap_or_default(), problems);
    let services = services(service_nodes.unwrap_or_default(), &ports, problems);
    Some(Config {
        engine: engine(engine_node, &ports, problems)?,
        ports,
        services,
        shield: shield.unwrap_or_default(),
        admin: admin.unwrap_or_default(),
        telemetry: telemetry.unwrap_or_default(),
    })
}

fn engine(node: Option<&Node>, ports: &[Port], problems: &mut Problems) -> Option<Engine> {
    let queues = ports.iter().fold(0, |sum: u32, port| sum.saturating_add(port.queues()));
    let frames_min = frames_min(queues);
    let default = Engine::default();
    let default = Engine { frames: default.frames.max(frames_min), ..default };
    let Some(node) = node else {
        return Some(default);
    };
    let mut fields = Fields::of(node, "engine", problems)?;
    let arrangement = fields.word("arrangement", problems);
    let cores =
        fields.list("cores", 1..=CPU_MAX, |text| value::integer(text, 0..=CPU_MAX), problems);
    if let Some(cores) = &cores {
        no_repetition("core", cores, problems);
    }
    arrangement_fits(arrangement, cores.as_deref(), ports, problems);
    let burst = fields.value("burst", |text| value::integer(text, 1..=BURST_MAX), problems);
    if let Some(Located { at, value: ..BURST_MAX }) = burst {
        problems.add(
            at,
            format!(
                "less than {BURST_MAX} in \"burst\" is not available in this version; give \
                 {BURST_MAX}, or leave it out"
            ),
        );
    }
    let idle = fields.word("idle", problems);
    let frames = fields.value("frames", |text| value::integer(text, 1..=FRAMES_MAX), problems);
    if let Some(Located { at, value: frames }) = frames
        && frames < frames_min
    {
        problems.add(
            at,
            format!(
                "\"frames\" cannot be {frames}; the rings of {queues} queue{} take {FRAMES_PER_QUEUE} \
                 each, and payload that waits for its acknowledgement {FRAMES_HELD_MIN}: give at \
                 least {frames_min}",
                if queues == 1 { "" } else { "s" }
            ),
        );
    }
    let drain_timeout =
        fields.value("drain_timeout", |text| value::duration(text, DRAIN_TIMEOUT), problems);
    let heartbeat_limit =
        fields.value("heartbeat_limit", |text| value::duration(text, HEARTBEAT_LIMIT), problems);
    fields.finish(problems);
    Some(Engine {
        arrangement: or(arrangement, default.arrangement),
        cores: cores.map_or(default.cores, plain),
        burst: or(burst, default.burst),
        idle: or(idle, default.idle),
        frames: or(frames, default.frames),
        drain_timeout: or(drain_timeout, default.drain_timeout),
        heartbeat_limit: or(heartbeat_limit, default.heartbeat_limit),
    })
}

/// Notes an arrangement that these cores and queues cannot be laid out in. `auto` always can.
fn arrangement_fits(
    arrangement: Option<Located<Arrangement>>,
    cores: Option<&[Located<usize>]>,
    ports: &[Port],
    problems: &mut Problems,
) {
    let Some(Located { at, value: arrangement }) = arrangement else { return };
    match arrangement {
        Arrangement::Auto => {}
        Arrangement::Pipeline => {
            if cores.is_none_or(|cores| cores.len() < PIPELINE_CORES_MIN) {
                problems.add(
                    at,
                    "\"arrangement\" cannot be pipeline with one core, as the first only receives and \
                     sends; give more \"cores\", or auto",
                );
            }
        }
        Arrangement::RunToCompletion => {
            let Some(port) = ports.iter().min_by_key(|port| port.queues()) else { return };
            let queues = port.queues();
            if let Some(first_idle) = cores.and_then(|cores| cores.get(queues as usize)) {
                problems.add(
                    first_idle.at,
                    format!(
                        "core {} has no queue to poll: with run-to-completion each core has its own \
                         of every port, and port \"{}\" has {queues}; give as many cores, more \
                         \"queues\", or arrangement pipeline",
                        first_idle.value, port.name
                    ),
                );
            }
        }
    }
}

/// Fewest frames that a lane with so many queues can work with.
fn frames_min(queues: u32) -> u32 {
    queues.saturating_mul(FRAMES_PER_QUEUE).saturating_add(FRAMES_HELD_MIN).min(FRAMES_MAX)
}

/// Notes each item that is already in its list.
fn no_repetition<T: Display + PartialEq>(what: &str, list: &[Located<T>], problems: &mut Problems) {
    for (index, item) in list.iter().enumerate() {
        if list[..index].iter().any(|other| other.value == item.value) {
            problems
                .add(item.at, format!("{what} {} is already in the list; remove it", item.value));
        }
    }
}

fn ports(nodes: &[Node], problems: &mut Problems) -> Vec<Port> {
    let mut names = Names::new("port");
    let mut devices = Names::new("port on");
    let mut taps = Names::new("port with the TAP");
    let mut ports = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        if let Some(port) = port(node, index, &mut names, &mut devices, &mut taps, problems) {
            one_driver(node.at, &port, &ports, problems);
            ports.push(port);
        }
    }
    ports
}

fn port(
    node: &Node,
    index: usize,
    names: &mut Names,
    devices: &mut Names,
    taps: &mut Names,
    problems: &mut Problems,
) -> Option<Port> {
    let mut fields = Fields::of(node, format!("port {}", index + 1), problems)?;
    let name = fields.value("name", value::name, problems);
    if let Some(name) = &name {
        fields.name = format!("port \"{}\"", name.value);
    }
    let kind = or(fields.word("driver", problems), DriverKind::AfXdp);
    let queues = fields.value("queues", |text| value::integer(text, 1..=QUEUES_MAX), problems);
    let queues = or(queues, 1);
    let device = match kind {
        DriverKind::AfXdp => {
            fields.require("interface", "interface: eth1", problems);
            fields.value("interface", value::interface, problems)
        }
        DriverKind::Dpdk => {
            fields.require("device", "device: 0000:3b:00.0", problems);
            fields.value("device", value::device, problems)
        }
    };
    if let Some(device) = &device {
        devices.add(device.at, &device.value, problems);
    }
    let at = name.as_ref().or(device.as_ref()).map_or(fields.at, |located| located.at);
    let device = device.map(|device| device.value).unwrap_or_default();
    let name = match name {
        Some(name) => name.value,
        // An interface's own name nearly always can be a port's.
        None => value::name(&device).unwrap_or_else(|_| format!("port-{}", index + 1)),
    };
    names.add(at, &name, problems);
    let driver = match kind {
        DriverKind::AfXdp => {
            let xdp_mode = or(fields.word("xdp_mode", problems), XdpMode::Auto);
            let time = |text: &str| value::duration(text, BUSY_POLL);
            let busy_poll = fields
                .value("busy_poll", |text| value::or_word(text, "off", time), problems)
                .and_then(|busy_poll| busy_poll.value);
            Driver::AfXdp(AfXdp { interface: device, queues, xdp_mode, busy_poll })
        }
        DriverKind::Dpdk => {
            let tap = fields.value("tap", value::interface, problems);
            if let (None, Err(_)) = (&tap, value::interface(&name)) {
                problems.add(
                    at,
                    format!(
                        "\"{name}\" is too long for an interface of Linux's; give {} a \"tap\", \
                         for example tap: wan0",
                        fields.name
                    ),
                );
            }
            let tap_at = tap.as_ref().map_or(at, |tap| tap.at);
            let tap = or(tap, name.clone());
            taps.add(tap_at, &tap, problems);
            Driver::Dpdk(Dpdk { device, queues, tap })
        }
    };
    fields.finish(problems);
    Some(Port { name, driver })
}

/// A frame that comes in by one port leaves by another, so that one driver must know both.
fn one_driver(at: Position, port: &Port, earlier: &[Port], problems: &mut Problems) {
    if let Some(first) = earlier.first()
        && first.driver.kind() != port.driver.kind()
    {
        problems.add(
            at,
            format!(
                "port \"{}\" has driver {}, and port \"{}\" {}; give all ports the same",
                port.name,
                port.driver.kind(),
                first.name,
                first.driver.kind()
            ),
        );
    }
}

fn services(nodes: &[Node], ports: &[Port], problems: &mut Problems) -> Vec<Service> {
    let mut names = Names::new("service");
    // Where each address that is listened on was given, and by the service of which index.
    let mut listening: HashMap<SocketAddr, (Position, usize)> = HashMap::new();
    let mut origins: Vec<Located<SocketAddr>> = Vec::new();
    let mut source_ports_at = Vec::new();
    let mut services: Vec<Service> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let Some(read) = service(node, index, ports, problems) else {
            continue;
        };
        names.add(read.named_at, &read.service.name, problems);
        let index = services.len();
        services.push(read.service);
        origins.extend(read.origins);
        source_ports_at.push(read.source_ports_at);
        for Located { at, value: address } in read.listen {
            if let Some((first, other)) = listening.get(&address) {
                problems.add(
                    at,
                    format!(
                        "service \"{}\" already listens on {address} (line {}); give each address \
                         once",
                        services[*other].name, first.line
                    ),
                );
            } else {
                listening.insert(address, (at, index));
                if listening.len() == LISTEN_ADDRESSES_MAX + 1 {
                    problems.add(
                        at,
                        format!(
                            "with {address} the services listen on more than \
                             {LISTEN_ADDRESSES_MAX} addresses together; give fewer"
                        ),
                    );
                }
            }
        }
    }
    for origin in origins {
        if let Some((_, own)) = listening.get(&origin.value) {
            problems.add(
                origin.at,
                format!(
                    "service \"{}\" listens on {}, so it cannot be an origin; give the address of \
                     the server behind it",
                    services[*own].name, origin.value
                ),
            );
        }
    }
    check_egress_ranges(&services, &source_ports_at, ports, problems);
    for (service, at) in services.iter().zip(source_ports_at) {
        let Egress { address: Some(address), source_ports, .. } = &service.egress else {
            continue;
        };
        let own = |own: &&SocketAddr| own.ip() == *address && source_ports.contains(&own.port());
        if let Some(own) = services.iter().flat_map(|other| &other.listen).find(own) {
            problems.add(
                at,
                format!(
                    "the source ports of service \"{}\" ({}-{}) include {}, and {own} is listened \
                     on; choose ports around it",
                    service.name,
                    source_ports.start(),
                    source_ports.end(),
                    own.port()
                ),
            );
        }
    }
    services
}

/// Notes each service whose source ports make too many ranges of its egress address. Where the
/// address or the port is Linux's choice, this is found out at start.
fn check_egress_ranges(
    services: &[Service],
    source_ports_at: &[Position],
    ports: &[Port],
    problems: &mut Problems,
) {
    let mut ranges: HashMap<(&str, IpAddr), Vec<RangeInclusive<u16>>> = HashMap::new();
    for (service, at) in services.iter().zip(source_ports_at) {
        let Egress { port, address: Some(address), source_ports } = &service.egress else {
            continue;
        };
        let port = match (port, ports) {
            (Some(port), _) => port,
            (None, [only]) => &only.name,
            (None, _) => continue,
        };
        let of_address = ranges.entry((port, *address)).or_default();
        of_address.push(source_ports.clone());
        if separate(of_address) > EGRESS_RANGES_MAX {
            of_address.pop();
            problems.add(
                *at,
                format!(
                    "the source ports of service \"{}\" make more than {EGRESS_RANGES_MAX} separate \
                     ranges of egress address {address}; give services that share it ranges that \
                     touch, or the same",
                    service.name
                ),
            );
        }
    }
}

/// How many ranges are left when those that touch or overlap are joined. Sorts them.
fn separate(ranges: &mut [RangeInclusive<u16>]) -> usize {
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut count = 0;
    let mut end = 0;
    for range in ranges {
        if count == 0 || u32::from(*range.start()) > u32::from(end) + 1 {
            count += 1;
        }
        end = end.max(*range.end());
    }
    count
}

/// A service, and where stands what others must agree with.
#[derive(Debug)]
struct ReadService {
    service: Service,
    named_at: Position,
    source_ports_at: Position,
    listen: Vec<Located<SocketAddr>>,
    origins: Vec<Located<SocketAddr>>,
}

fn service(
    node: &Node,
    index: usize,
    ports: &[Port],
    problems: &mut Problems,
) -> Option<ReadService> {
    let mut fields = Fields::of(node, format!("service {}", index + 1), problems)?;
    let name = fields.value("name", value::name, problems);
    if let Some(name) = &name {
        fields.name = format!("service \"{}\"", name.value);
    }
    let named_at = name.as_ref().map_or(fields.at, |name| name.at);
    let port = fields.value("port", value::name, problems);
    if let Some(port) = &port {
        check_port(port.at, &port.value, ports, problems);
    }
    fields.require("listen", "listen: [\"10.10.1.1:80\"]", problems);
    let addresses = 1..=ADDRESSES_MAX;
    let listen = fields.list("listen", addresses.clone(), value::endpoint, problems);
    let listen = listen.unwrap_or_default();
    fields.require("origins", "origins: [\"10.10.2.2:80\"]", problems);
    let origins = fields.list("origins", addresses, value::endpoint, problems);
    let origins = origins.unwrap_or_default();
    no_repetition("origin", &origins, problems);
    let egress = fields.node("egress").and_then(|node| egress(node, ports, &origins, problems));
    let (egress, source_ports_at) = egress.unwrap_or((Egress::default(), fields.at));
    let client_leg = fields.node("client_leg").and_then(|node| leg(node, "client_leg", problems));
    let origin_leg = fields.node("origin_leg").and_then(|node| leg(node, "origin_leg", problems));
    let proxy_protocol = fields.word("proxy_protocol", problems);
    let max_connections =
        fields.value("max_connections", |text| value::integer(text, CONNECTIONS), problems);
    let fallback = fields.word("fallback", problems);
    let connect_timeout =
        fields.value("connect_timeout", |text| value::duration(text, CONNECT_TIMEOUT), problems);
    let idle_timeout =
        fields.value("idle_timeout", |text| value::duration(text, IDLE_TIMEOUT), problems);
    fields.finish(problems);

    let first_port = || ports.first().map(|port| port.name.clone()).unwrap_or_default();
    let service = Service {
        name: name.map_or_else(|| format!("service-{}", index + 1), |name| name.value),
        port: port.map_or_else(first_port, |port| port.value),
        listen: plain(listen.clone()),
        origins: plain(origins.clone()),
        egress,
        client_leg: client_leg.unwrap_or_default(),
        origin_leg: origin_leg.unwrap_or_default(),
        proxy_protocol: or(proxy_protocol, ProxyProtocol::Off),
        max_connections: or(max_connections, Service::MAX_CONNECTIONS),
        fallback: or(fallback, Fallback::Kernel),
        connect_timeout: or(connect_timeout, Service::CONNECT_TIMEOUT),
        idle_timeout: or(idle_timeout, Service::IDLE_TIMEOUT),
    };
    Some(ReadService { service, named_at, source_ports_at, listen, origins })
}

/// Notes a reference to a port that does not exist; not when no port could be read at all.
fn check_port(at: Position, name: &str, ports: &[Port], problems: &mut Problems) {
    if !ports.is_empty() && !ports.iter().any(|port| port.name == name) {
        let known: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
        problems.add(at, format!("there is no port \"{name}\"; known are {}", known.join(", ")));
    }
}

/// An egress, and where its source ports stand, or itself if they are left to the default.
fn egress(
    node: &Node,
    ports: &[Port],
    origins: &[Located<SocketAddr>],
    problems: &mut Problems,
) -> Option<(Egress, Position)> {
    let mut fields = Fields::of(node, "egress", problems)?;
    let port = fields.value("port", |text| value::or_word(text, "auto", value::name), problems);
    if let Some(Located { at, value: Some(port) }) = &port {
        check_port(*at, port, ports, problems);
    }
    let address =
        fields.value("address", |text| value::or_word(text, "auto", value::address), problems);
    let source_ports = fields.value("source_ports", value::source_ports, problems);
    fields.finish(problems);

    let default = Egress::default();
    let source_ports_at = source_ports.as_ref().map_or(node.at, |ports| ports.at);
    let egress = Egress {
        port: or(port, default.port),
        address: or(address, default.address),
        source_ports: or(source_ports, default.source_ports),
    };
    if let Some(Located { at, value: Some(address) }) = address
        && let Some(other) = origins.iter().find(|o| o.value.is_ipv4() != address.is_ipv4())
    {
        problems.add(
            at,
            format!(
                "egress address {address} is {}, but origin {} is not; leave \"address\" out \
                     to use the one that Linux routes by",
                if address.is_ipv4() { "IPv4" } else { "IPv6" },
                other.value
            ),
        );
    }
    Some((egress, source_ports_at))
}

fn leg(node: &Node, name: &str, problems: &mut Problems) -> Option<Leg> {
    let mut fields = Fields::of(node, name, problems)?;
    let default = Leg::default();
    let congestion = fields.word("congestion", problems);
    let initial_window =
        fields.value("initial_window", |text| value::integer(text, INITIAL_WINDOW), problems);
    let min_window = fields.value("min_window", |text| value::integer(text, MIN_WINDOW), problems);
    let max_window = fields.value(
        "max_window",
        |text| value::or_word(text, "off", |text| value::integer(text, MAX_WINDOW)),
        problems,
    );
    let pacing = fields.word("pacing", problems);
    let ecn = fields.word("ecn", problems);
    let fast_open = match name {
        "client_leg" => fields.word("fast_open", problems),
        _ => None,
    };
    let receive_buffer_max =
        fields.value("receive_buffer_max", |text| value::integer(text, RECEIVE_BUFFER), problems);
    let mtu_probing = fields.word("mtu_probing", problems);
    let keepalive = match fields.node("keepalive") {
        Some(node) => keepalive(node, problems),
        None => default.keepalive,
    };
    let user_timeout = fields.value(
        "user_timeout",
        |text| value::or_word(text, "off", |text| value::duration(text, USER_TIMEOUT)),
        problems,
    );
    fields.finish(problems);
    let congestion = or(congestion, default.congestion);
    // RFC 8257 §3: marks are what it goes by.
    let needs_ecn = congestion == Algorithm::Dctcp;
    if needs_ecn && let Some(Located { at, value: Ecn::Off }) = ecn {
        problems.add(
            at,
            "congestion dctcp goes by ECN, and \"ecn\" is off; leave \"ecn\" out, or use another \
             algorithm",
        );
    }
    if congestion == Algorithm::Bbr
        && let Some(Located { at, value: Pacing::Off }) = pacing
    {
        problems.add(
            at,
            "congestion bbr sends by rate, and \"pacing\" is off; leave \"pacing\" out, or use \
             another algorithm",
        );
    }
    let most_at = max_window.as_ref().map(|located| located.at);
    let initial_window = or(initial_window, default.initial_window);
    let min_window = or(min_window, default.min_window);
    let max_window = or(max_window, default.max_window);
    if let (Some(at), Some(most)) = (most_at, max_window) {
        if most < min_window {
            problems.add(
                at,
                format!(
                    "max_window {most} is less than min_window {min_window}; give more, or a \
                     smaller least"
                ),
            );
        } else if most < initial_window {
            problems.add(
                at,
                format!(
                    "max_window {most} is less than initial_window {initial_window}; give more, \
                     or a smaller first window"
                ),
            );
        }
    }
    Some(Leg {
        congestion,
        initial_window,
        min_window,
        max_window,
        pacing: or(pacing, default.pacing),
        ecn: or(ecn, if needs_ecn { Ecn::On } else { default.ecn }),
        fast_open: or(fast_open, default.fast_open),
        receive_buffer_max: or(receive_buffer_max, default.receive_buffer_max),
        mtu_probing: or(mtu_probing, default.mtu_probing),
        keepalive,
        user_timeout: or(user_timeout, default.user_timeout),
    })
}

/// Keepalive, or none for `off`.
fn keepalive(node: &Node, problems: &mut Problems) -> Option<Keepalive> {
    if matches!(&node.content, Content::Text(text) if text == "off") {
        return None;
    }
    let mut fields = Fields::of(node, "keepalive", problems)?;
    let default = Keepalive::default();
    let time = |text: &str| value::duration(text, KEEPALIVE_TIME);
    let idle = fields.value("idle", time, problems);
    let interval = fields.value("interval", time, problems);
    let probes = fields.value("probes", |text| value::integer(text, KEEPALIVE_PROBES), problems);
    fields.finish(problems);
    Some(Keepalive {
        idle: or(idle, default.idle),
        interval: or(interval, default.interval),
        probes: or(probes, default.probes),
    })
}

fn shield(node: &Node, problems: &mut Problems) -> Option<Shield> {
    let mut fields = Fields::of(node, "shield", problems)?;
    let default = Shield::default();
    let syn_cookies = fields.word("syn_cookies", problems);
    let pressure = fields.node("pressure").and_then(|node| pressure(node, problems));
    let cookie_secret = fields.value(
        "cookie_secret",
        |text| value::or_word(text, "own", value::file_path),
        problems,
    );
    let fragments = fields.word("fragments", problems);
    let unknown_acks = fields.word("unknown_acks", problems);
    let deny = fields.list("deny", 0..=PREFIXES_MAX, value::prefix, problems);
    let allow = fields.list("allow", 0..=PREFIXES_MAX, value::prefix, problems);
    listed_once(&deny, &allow, problems);
    let per_source = fields
        .node("per_source")
        .and_then(|node| rate_limit(node, "per_source", RateLimit::PER_SOURCE, None, problems));
    let source = per_source.unwrap_or(RateLimit::PER_SOURCE);
    let prefix = per_prefix_default(source);
    let per_prefix = match fields.node("per_prefix") {
        Some(node) => rate_limit(node, "per_prefix", prefix, Some(source), problems),
        None => per_source.and(Some(prefix)),
    };
    let unproven_syn_per_second = fields.value(
        "unproven_syn_per_second",
        |text| value::or_word(text, "off", |text| value::integer(text, PACKET_RATE)),
        problems,
    );
    fields.finish(problems);
    Some(Shield {
        syn_cookies: or(syn_cookies, default.syn_cookies),
        pressure: pressure.unwrap_or_default(),
        cookie_secret: or(cookie_secret, default.cookie_secret),
        fragments: or(fragments, default.fragments),
        unknown_acks: or(unknown_acks, default.unknown_acks),
        deny: deny.map_or(default.deny, plain),
        allow: allow.map_or(default.allow, plain),
        per_source,
        per_prefix,
        unproven_syn_per_second: or(unproven_syn_per_second, default.unproven_syn_per_second),
    })
}

fn pressure(node: &Node, problems: &mut Problems) -> Option<Pressure> {
    let mut fields = Fields::of(node, "pressure", problems)?;
    let default = Pressure::default();
    let syn_per_second =
        fields.value("syn_per_second", |text| value::integer(text, PACKET_RATE), problems);
    let half_open = fields.value("half_open", |text| value::integer(text, HALF_OPEN), problems);
    fields.finish(problems);
    Some(Pressure {
        syn_per_second: or(syn_per_second, default.syn_per_second),
        half_open: or(half_open, default.half_open),
    })
}

/// Notes each prefix that is in the lists already: of two the longer one counts, of the same none.
fn listed_once(
    deny: &Option<Vec<Located<IpNet>>>,
    allow: &Option<Vec<Located<IpNet>>>,
    problems: &mut Problems,
) {
    let mut seen = HashMap::new();
    for (name, list) in [("deny", deny), ("allow", allow)] {
        for Located { at, value: prefix } in list.iter().flatten() {
            match seen.entry(prefix) {
                Entry::Occupied(earlier) => {
                    let (name, line) = earlier.get();
                    problems.add(
                        *at,
                        format!(
                            "{prefix} is already in \"{name}\" (line {line}); give each prefix once"
                        ),
                    );
                }
                Entry::Vacant(place) => {
                    place.insert((name, at.line));
                }
            }
        }
    }
}

/// A limit, or none for `off`. `parts`: that on the sources that its prefixes are made of.
fn rate_limit(
    node: &Node,
    name: &str,
    default: RateLimit,
    parts: Option<RateLimit>,
    problems: &mut Problems,
) -> Option<RateLimit> {
    if matches!(&node.content, Content::Text(text) if text == "off") {
        return None;
    }
    let mut fields = Fields::of(node, name, problems)?;
    let packets = |text: &str| value::integer(text, PACKET_RATE);
    let syn_per_second = fields.value("syn_per_second", packets, problems);
    let burst = fields.value("burst", packets, problems);
    let packets_per_second =
        fields.value("packets_per_second", |text| value::or_word(text, "off", packets), problems);
    let bytes_per_second = fields.value(
        "bytes_per_second",
        |text| value::or_word(text, "off", |text| value::integer(text, BYTE_RATE)),
        problems,
    );
    let prefix_v4 = fields.value(
        "prefix_v4",
        |text| prefix_length(text, 32, parts.map(|parts| parts.prefix_v4)),
        problems,
    );
    let prefix_v6 = fields.value(
        "prefix_v6",
        |text| prefix_length(text, 128, parts.map(|parts| parts.prefix_v6)),
        problems,
    );
    fields.finish(problems);
    Some(RateLimit {
        syn_per_second: or(syn_per_second, default.syn_per_second),
        burst: or(burst, default.burst),
        packets_per_second: or(packets_per_second, default.packets_per_second),
        bytes_per_second: or(bytes_per_second, default.bytes_per_second),
        prefix_v4: or(prefix_v4, default.prefix_v4),
        prefix_v6: or(prefix_v6, default.prefix_v6),
    })
}

/// Sources that are larger than its prefixes usually are have prefixes of their own size.
fn per_prefix_default(source: RateLimit) -> RateLimit {
    let default = RateLimit::PER_PREFIX;
    RateLimit {
        prefix_v4: default.prefix_v4.min(source.prefix_v4),
        prefix_v6: default.prefix_v6.min(source.prefix_v6),
        ..default
    }
}

/// The length of a prefix, within an address of so many bits, and no longer than those of its parts.
fn prefix_length(text: &str, bits: u8, parts: Option<u8>) -> Result<u8, Expected> {
    let length = value::integer(text, 1..=bits)?;
    match parts {
        Some(parts) if length > parts => Err(format!(
            "a source in it has {parts} bits (per_source): give a whole number from 1 to {parts}"
        )),
        _ => Ok(length),
    }
}

fn admin(node: &Node, problems: &mut Problems) -> Option<Admin> {
    let mut fields = Fields::of(node, "admin", problems)?;
    let default = Admin::default();
    let socket = fields.value("socket", value::socket_path, problems);
    let metrics = fields.value(
        "metrics",
        |text| value::or_word(text, "off", value::socket_address),
        problems,
    );
    fields.finish(problems);
    let metrics = metrics.map_or(default.metrics, |given| {
        given.value.map(|address| Metrics { address, required: true })
    });
    Some(Admin { socket: or(socket, default.socket), metrics })
}

/// Names that must differ from each other.
#[derive(Debug)]
struct Names {
    kind: &'static str,
    seen: Vec<Located<String>>,
}

impl Names {
    fn new(kind: &'static str) -> Self {
        Names { kind, seen: Vec::new() }
    }

    fn add(&mut self, at: Position, name: &str, problems: &mut Problems) {
        match self.seen.iter().find(|other| other.value == name) {
            Some(other) => problems.add(
                at,
                format!(
                    "there is already a {} \"{name}\" (line {}); give each its own",
                    self.kind, other.at.line
                ),
            ),
            None => self.seen.push(Located { at, value: name.to_owned() }),
        }
    }
}

fn or<T>(read: Option<Located<T>>, default: T) -> T {
    read.map_or(default, |located| located.value)
}

fn plain<T>(located: Vec<Located<T>>) -> Vec<T> {
    located.into_iter().map(|located| located.value).collect()
}
