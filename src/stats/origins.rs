//! The origins behind a service, as connections to them show.

use std::fmt::Write as _;
use std::net::SocketAddr;

use ringroad_engine::telemetry::OriginCounters;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Origin {
    pub(crate) address: String,
    pub(crate) connections: OriginConnections,
    pub(crate) health: Health,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OriginConnections {
    /// Proxied now.
    pub(crate) active: u64,
    /// Since the start.
    pub(crate) opened: u64,
    /// Tried, and refused, not answered, or without a way there.
    pub(crate) failed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    /// It answers, or nobody has asked it yet.
    #[default]
    Up,
    /// Some handshakes in a row have failed, and none has succeeded since.
    Down,
}

impl Origin {
    pub(super) fn new(address: SocketAddr, counters: &OriginCounters) -> Self {
        let OriginCounters { active, opened, failed, .. } = *counters;
        Origin {
            address: address.to_string(),
            connections: OriginConnections { active, opened, failed },
            health: if counters.is_down() { Health::Down } else { Health::Up },
        }
    }

    /// A line for people, below that of its service.
    pub(super) fn write(&self, out: &mut String) {
        let Origin { address, connections, health } = self;
        let OriginConnections { active, opened, failed } = connections;
        let health = match health {
            Health::Up => "up",
            Health::Down => "down",
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "        origin {address}  {health}; connections: {active} active, {opened} opened, {failed} failed"
        );
    }
}
