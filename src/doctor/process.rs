//! What this process may do: capabilities and limits, which `ringroad run` will have if it is
//! started the same way.

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{AccessFlags, eaccess};

use super::finding::Finding;
use crate::privileges::{self, IPC_LOCK};

#[derive(Debug)]
pub(super) struct Process {
    /// Names of the capabilities that it lacks.
    pub(super) lacking: Vec<&'static str>,
    /// Memory that it may lock without a capability [octets].
    pub(super) memlock: u64,
    pub(super) open_files: u64,
    /// Whether it can reserve source ports in Linux.
    pub(super) reserves_ports: bool,
}

/// `locked`: memory that will be locked [octets].
pub(super) fn read(locked: u64) -> Result<Process> {
    Ok(Process {
        lacking: privileges::lacking(locked)?.iter().map(|lacking| lacking.name).collect(),
        memlock: getrlimit(Resource::RLIMIT_MEMLOCK)?.0,
        open_files: getrlimit(Resource::RLIMIT_NOFILE)?.0,
        reserves_ports: eaccess(RESERVED, AccessFlags::W_OK).is_ok(),
    })
}

pub(super) fn judge(process: &Process, locked: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut lacking = process.lacking.clone();
    if lacking.contains(&IPC_LOCK.name) {
        lacking.retain(|name| *name != IPC_LOCK.name);
        let (memlock, locked) = (process.memlock >> 10, locked.div_ceil(1 << 10));
        findings.push(
            Finding::failure(
                "locked-memory",
                format!("{memlock} KiB may be locked, {locked} KiB are needed"),
            )
            .fix("raise it (`ulimit -l`, LimitMEMLOCK= in systemd), or grant CAP_IPC_LOCK"),
        );
    }
    let capabilities = if lacking.is_empty() {
        Finding::ok("capabilities", "this process has those that ringroad run needs")
    } else {
        Finding::failure("capabilities", format!("this process lacks {}", lacking.join(", ")))
            .fix("run as root, for example with sudo, or grant these")
    };
    findings.insert(0, capabilities);
    if !process.reserves_ports && lacking.is_empty() {
        findings.push(
            Finding::failure("reserved-ports", format!("{RESERVED} cannot be written"))
                .fix("make /proc/sys writable for it (ProtectKernelTunables=no in systemd)"),
        );
    }
    if process.open_files < OPEN_FILES_MIN {
        findings.push(
            Finding::warning(
                "open-files",
                format!("{} files may be open at a time", process.open_files),
            )
            .fix(format!("allow {OPEN_FILES_MIN} (`ulimit -n`, LimitNOFILE= in systemd)")),
        );
    }
    findings
}

/// Where ports are reserved for ourselves.
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Files that are open at a time at most: sockets of the ports, maps of the shield, readers of the
/// figures. Connections through the engine take none.
const OPEN_FILES_MIN: u64 = 256;
