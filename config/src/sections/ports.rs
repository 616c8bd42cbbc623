//! Ports, each with its driver.

use super::{Names, or};
use crate::document::Node;
use crate::fields::Fields;
use crate::limits::{BUSY_POLL, QUEUES_MAX};
use crate::problem::{Position, Problems};
use crate::schema::{AfXdp, Dpdk, Driver, DriverKind, Port, XdpMode};
use crate::value;

pub(super) fn read(nodes: &[Node], problems: &mut Problems) -> Vec<Port> {
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

/// Notes a reference to a port that does not exist; not when no port could be read at all.
pub(super) fn check_port(at: Position, name: &str, ports: &[Port], problems: &mut Problems) {
    if !ports.is_empty() && !ports.iter().any(|port| port.name == name) {
        let known: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
        problems.add(at, format!("there is no port \"{name}\"; known are {}", known.join(", ")));
    }
}
