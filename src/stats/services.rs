//! What each service carries, and what the shield lets through to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ringroad_engine::telemetry::{ServiceCounters, Snapshot};
use serde::{Deserialize, Serialize};

use super::shield::by_verdict;
use super::{Names, Origin, those_seen};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) connections: Connections,
    pub(crate) bytes: Octets,
    pub(crate) segments: Segments,
    /// What the shield decided on packets for it, by its reasons [packets]; without those of
    /// connections that the shield knew.
    pub(crate) shield: BTreeMap<String, u64>,
    /// In the order of the configuration.
    pub(crate) origins: Vec<Origin>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Connections {
    pub(crate) active: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) fell_back: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Octets {
    pub(crate) to_origin: u64,
    pub(crate) to_client: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Segments {
    pub(crate) zero_copy: u64,
    pub(crate) copied: u64,
    pub(crate) retransmitted: u64,
}

/// In the order of the configuration.
pub(super) fn all(names: &Names, snapshot: &Snapshot) -> Vec<Service> {
    let mut origins = snapshot.origins.iter();
    let counts = snapshot.services.iter().zip(&snapshot.verdicts);
    let services = names.services.iter().zip(&names.origins).zip(counts);
    let services = services.map(|((name, addresses), (counters, verdicts))| Service {
        name: name.clone(),
        connections: Connections::new(counters),
        bytes: Octets {
            to_origin: counters.to_origin_octets,
            to_client: counters.to_client_octets,
        },
        segments: Segments {
            zero_copy: counters.segments_zero_copy,
            copied: counters.segments_copied,
            retransmitted: counters.segments_retransmitted,
        },
        shield: by_verdict(verdicts),
        origins: (addresses.iter().zip(origins.by_ref()))
            .map(|(address, counters)| Origin::new(*address, counters))
            .collect(),
    });
    services.collect()
}

impl Service {
    pub(super) fn write(&self, out: &mut String) {
        let Service { name, connections, bytes, segments, shield, origins } = self;
        let Connections { active, accepted, refused, fell_back } = connections;
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "service {name}  connections: {active} active, {accepted} accepted, {refused} refused, {fell_back} fell back"
        );
        let _ = writeln!(
            out,
            "        bytes: {} to origin, {} to client; segments: {} zero-copy, {} copied, {} retransmitted",
            bytes.to_origin,
            bytes.to_client,
            segments.zero_copy,
            segments.copied,
            segments.retransmitted
        );
        let seen = those_seen(shield);
        if !seen.is_empty() {
            let _ = writeln!(out, "        shield: {seen}");
        }
        origins.iter().for_each(|origin| origin.write(out));
    }
}

impl Connections {
    fn new(counters: &ServiceCounters) -> Self {
        let ServiceCounters { active, accepted, refused, fell_back, .. } = *counters;
        Connections { active, accepted, refused, fell_back }
    }
}
