//! The sections of a file, read one after another, with what each must agree with the others on.
//!
//! Ports are read first: services name them, and the frames are counted by them. A section with
//! a problem still counts as far as it could be read, so that one mistake is one message.

mod admin;
mod egress;
mod engine;
mod leg;
mod ports;
mod rate_limit;
mod services;
mod shield;
mod telemetry;

use std::fmt::Display;

use crate::document::Node;
use crate::fields::Fields;
use crate::limits::{PORTS_MAX, SERVICES_MAX};
use crate::problem::{Located, Position, Problems};
use crate::schema::Config;

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
    let shield = fields.node("shield").and_then(|node| shield::read(node, problems));
    let admin = fields.node("admin").and_then(|node| admin::read(node, problems));
    let telemetry = fields.node("telemetry").and_then(|node| telemetry::read(node, problems));
    fields.finish(problems);

    let ports = ports::read(port_nodes.unwrap_or_default(), problems);
    let services = services::read(service_nodes.unwrap_or_default(), &ports, problems);
    Some(Config {
        engine: engine::read(engine_node, &ports, problems)?,
        ports,
        services,
        shield: shield.unwrap_or_default(),
        admin: admin.unwrap_or_default(),
        telemetry: telemetry.unwrap_or_default(),
    })
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
