//! Who opens connections.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Whose connections of the last seconds were how many; those that were opened, whatever became of
/// them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClientSource {
    /// An IPv4 address, or a /64 of IPv6.
    pub(crate) source: String,
    pub(crate) connections: u64,
    pub(crate) per_second: f64,
    /// Of all that were opened, from 0 to 1.
    pub(crate) share: f64,
}

impl ClientSource {
    pub(super) fn write(&self, out: &mut String) {
        let ClientSource { source, connections, per_second, share } = self;
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "source {source}  {connections} connection{} of late, {per_second:.1} a second, {:.1} %",
            if *connections == 1 { "" } else { "s" },
            100.0 * share
        );
    }
}
