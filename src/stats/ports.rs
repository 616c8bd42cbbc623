//! What each port received and sent, as its device counts it.

use std::fmt::Write as _;

use ringroad_engine::shield::KernelPathCounts;
use ringroad_engine::telemetry::Snapshot;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) rx_dropped: u64,
    pub(crate) tx_dropped: u64,
    /// Where Linux has the port by way of the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kernel_path: Option<KernelPath>,
}

/// What crossed between a port and its interface in Linux.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KernelPath {
    pub(crate) to_kernel: u64,
    /// Sent by Linux; among the port's `sent`, not among the ledger's.
    pub(crate) from_kernel: u64,
    pub(crate) from_kernel_dropped: u64,
}

/// In the order of their names.
pub(super) fn all(names: &[String], snapshot: &Snapshot) -> Vec<Port> {
    let ports = names.iter().zip(&snapshot.ports).zip(&snapshot.kernel_paths);
    let ports = ports.map(|((name, counts), crossed)| Port {
        name: name.clone(),
        received: counts.received,
        sent: counts.sent,
        rx_dropped: counts.rx_dropped,
        tx_dropped: counts.tx_dropped,
        kernel_path: KernelPath::new(crossed),
    });
    ports.collect()
}

impl Port {
    pub(super) fn write(&self, out: &mut String) {
        let Port { name, received, sent, rx_dropped, tx_dropped, kernel_path } = self;
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "port {name}  received {received}, sent {sent}, dropped before us {rx_dropped}, refused by the device {tx_dropped}"
        );
        if let Some(KernelPath { to_kernel, from_kernel, from_kernel_dropped }) = kernel_path {
            let _ = writeln!(
                out,
                "        Linux: {to_kernel} to it, {from_kernel} from it, {from_kernel_dropped} of its own lost"
            );
        }
    }
}

impl KernelPath {
    /// `None`: nothing has crossed.
    fn new(crossed: &KernelPathCounts) -> Option<Self> {
        (*crossed != KernelPathCounts::default()).then_some(KernelPath {
            to_kernel: crossed.to_kernel,
            from_kernel: crossed.from_kernel,
            from_kernel_dropped: crossed.from_kernel_dropped,
        })
    }
}
