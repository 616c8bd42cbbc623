//! Services, and what they must agree with each other on.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::ports::check_port;
use super::{Names, egress, leg, no_repetition, or, plain};
use crate::document::Node;
use crate::fields::Fields;
use crate::limits::{
    ADDRESSES_MAX, CONNECT_TIMEOUT, CONNECTIONS, IDLE_TIMEOUT, LISTEN_ADDRESSES_MAX,
};
use crate::problem::{Located, Position, Problems};
use crate::schema::{Egress, Fallback, Port, ProxyProtocol, Service};
use crate::value;

pub(super) fn read(nodes: &[Node], ports: &[Port], problems: &mut Problems) -> Vec<Service> {
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
    egress::check_ranges(&services, &source_ports_at, ports, problems);
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
    let egress =
        fields.node("egress").and_then(|node| egress::read(node, ports, &origins, problems));
    let (egress, source_ports_at) = egress.unwrap_or((Egress::default(), fields.at));
    let client_leg =
        fields.node("client_leg").and_then(|node| leg::read(node, "client_leg", problems));
    let origin_leg =
        fields.node("origin_leg").and_then(|node| leg::read(node, "origin_leg", problems));
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
