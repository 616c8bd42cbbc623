//! What sysfs and procfs show of the host, and what the kernel has to have.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ringroad_hugepages::{Cpus, Inventory, Nodes, Vfio, memory_available};

use super::finding::Finding;

/// The host, as far as no interface is concerned.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) sysfs: PathBuf,
    pub(super) kernel: Kernel,
    pub(super) cpus: Cpus,
    pub(super) nodes: Nodes,
    pub(super) hugepages: Inventory,
    /// Ordinary memory that programs could still have [octets].
    pub(super) memory_available: Option<u64>,
    pub(super) vfio: Vfio,
}

#[derive(Debug)]
pub(super) struct Kernel {
    /// Such as `6.1.0-18-amd64`.
    pub(super) release: String,
    pub(super) af_xdp: bool,
    /// Whether it describes its types to BPF programs.
    pub(super) btf: bool,
    /// Of [`TCP_SETTINGS`] those that are switched off.
    pub(super) tcp_off: Vec<&'static str>,
}

impl Host {
    pub(super) fn read(sysfs: &Path, procfs: &Path) -> Result<Self> {
        let proc = |name: &str| fs::read_to_string(procfs.join(name)).unwrap_or_default();
        Ok(Host {
            sysfs: sysfs.to_owned(),
            kernel: Kernel {
                release: proc("sys/kernel/osrelease").trim().to_owned(),
                af_xdp: proc("net/protocols").lines().any(|line| line.starts_with("XDP ")),
                btf: sysfs.join("kernel/btf/vmlinux").exists(),
                tcp_off: TCP_SETTINGS
                    .into_iter()
                    .filter(|name| proc(&format!("sys/net/ipv4/{name}")).trim() == "0")
                    .collect(),
            },
            cpus: Cpus::read(sysfs)?,
            nodes: Nodes::read(sysfs)?,
            hugepages: Inventory::read(sysfs)?,
            memory_available: memory_available(procfs),
            vfio: Vfio::read(sysfs),
        })
    }

    /// The node of a core, where there are several.
    pub(super) fn node_of(&self, core: usize) -> Option<u32> {
        let core = u32::try_from(core).ok()?;
        self.nodes.of_cpu(core).filter(|_| self.nodes.count() > 1)
    }
}

/// The kernel, by what it has to have.
pub(super) fn judge(host: &Host, af_xdp: bool) -> Vec<Finding> {
    let Kernel { release, af_xdp: has_af_xdp, btf, .. } = &host.kernel;
    if af_xdp && !has_af_xdp {
        let message = format!("Linux {release} has no AF_XDP sockets");
        return vec![
            Finding::failure("kernel", message)
                .fix("boot a kernel built with CONFIG_XDP_SOCKETS, as Debian's are"),
        ];
    }
    let (major, minor) = KERNEL_MIN;
    match version(release) {
        Some(version) if version < KERNEL_MIN => vec![
            Finding::failure("kernel", format!("Linux {release} is too old"))
                .fix(format!("boot Linux {major}.{minor} or later")),
        ],
        Some(_) => {
            // Ours does without, tools such as bpftrace do not.
            let btf = if *btf { " and BTF" } else { ", without BTF" };
            let with = if *has_af_xdp { format!(" with AF_XDP{btf}") } else { String::new() };
            vec![Finding::ok("kernel", format!("Linux {release}{with}"))]
        }
        None => vec![
            Finding::note("kernel", format!("its version cannot be read: {release:?}"))
                .fix(format!("see that it is Linux {major}.{minor} or later (`uname -r`)")),
        ],
    }
}

pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// What of TCP Linux has to do for connections that were answered for it (net.ipv4).
const TCP_SETTINGS: [&str; 3] = ["tcp_syncookies", "tcp_timestamps", "tcp_window_scaling"];

/// The oldest kernel that ringroad is made for.
const KERNEL_MIN: (u32, u32) = (5, 15);
