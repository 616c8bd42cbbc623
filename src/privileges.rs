//! Whether this process may do what `ringroad run` does: in one line, before anything is touched.

use std::fs;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit};

/// Where Linux says which capabilities are in force.
const STATUS: &str = "/proc/self/status";

/// A capability by its number (`linux/capability.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capability {
    pub(crate) name: &'static str,
    bit: u8,
}

/// Attaches XDP, watches and probes neighbours, reserves source ports.
const NET_ADMIN: Capability = Capability { name: "CAP_NET_ADMIN", bit: 12 };
/// Opens AF_XDP sockets.
const NET_RAW: Capability = Capability { name: "CAP_NET_RAW", bit: 13 };
/// Loads the shield and makes its maps.
const BPF: Capability = Capability { name: "CAP_BPF", bit: 39 };
/// Lets the verifier accept arithmetic on packet pointers.
const PERFMON: Capability = Capability { name: "CAP_PERFMON", bit: 38 };
/// Locks packet memory beyond the limit.
pub(crate) const IPC_LOCK: Capability = Capability { name: "CAP_IPC_LOCK", bit: 14 };
/// Stands for `CAP_BPF` and `CAP_PERFMON` as well.
const SYS_ADMIN: Capability = Capability { name: "CAP_SYS_ADMIN", bit: 21 };

/// Refuses a process that lacks something. `locked`: memory that it will lock [octets].
pub(crate) fn require(locked: u64) -> Result<()> {
    let missing = lacking(locked)?;
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|capability| capability.name).collect();
    let instead = match missing.contains(&IPC_LOCK) {
        true => ", or for CAP_IPC_LOCK a higher limit of locked memory (ulimit -l)",
        false => "",
    };
    bail!(
        "AF_XDP and XDP need privileges that this process lacks: {}; run as root, for example \
         with sudo, or grant these{instead}",
        names.join(", ")
    )
}

/// Refuses a process that may not make a TAP, or watch Linux's interfaces and neighbours.
#[cfg(feature = "dpdk")]
pub(crate) fn require_net_admin() -> Result<()> {
    if lacking(0)?.contains(&NET_ADMIN) {
        bail!(
            "DPDK's ports need a privilege that this process lacks: {}; run as root, for example \
             with sudo",
            NET_ADMIN.name
        );
    }
    Ok(())
}

/// The capabilities that this process lacks, if it is to lock `locked` octets of memory.
pub(crate) fn lacking(locked: u64) -> Result<Vec<Capability>> {
    let status = fs::read_to_string(STATUS).with_context(|| format!("cannot read {STATUS}"))?;
    let effective = effective(&status)
        .with_context(|| format!("{STATUS} does not say which capabilities are in force"))?;
    let (limit, _) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    Ok(missing(effective, locked > limit))
}

/// The set of capabilities in force, a bit for each.
fn effective(status: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

/// What `effective` lacks. `over_limit`: more memory is locked than is allowed without privileges.
fn missing(effective: u64, over_limit: bool) -> Vec<Capability> {
    let has = |capability: Capability| effective >> capability.bit & 1 == 1;
    let needed = [NET_ADMIN, NET_RAW, BPF, PERFMON].into_iter();
    let lacks = |capability: &Capability| {
        let by_another = [BPF, PERFMON].contains(capability) && has(SYS_ADMIN);
        !has(*capability) && !by_another
    };
    needed.chain(over_limit.then_some(IPC_LOCK)).filter(lacks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(effective: u64, over_limit: bool) -> Vec<&'static str> {
        missing(effective, over_limit).iter().map(|capability| capability.name).collect()
    }

    #[test]
    fn what_is_lacking_is_named() {
        let all = ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON", "CAP_IPC_LOCK"];
        assert_eq!(names(0, true), all);
        assert_eq!(names(0, false), all[..4]);
        let four = 1 << 12 | 1 << 13 | 1 << 38 | 1 << 39;
        assert_eq!(names(four, true), ["CAP_IPC_LOCK"]);
        assert!(names(four, false).is_empty() && names(four | 1 << 14, true).is_empty());
        assert!(names(1 << 12 | 1 << 13 | 1 << 21, false).is_empty(), "CAP_SYS_ADMIN is more");
    }

    #[test]
    fn the_set_in_force_is_read() {
        let status = "Name:\tringroad\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\n";
        assert_eq!(effective(status), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tringroad\n"), None);
        assert_eq!(effective("CapEff:\tmany\n"), None);
    }
}
