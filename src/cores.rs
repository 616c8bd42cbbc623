//! Which cores poll, what each of them does, and keeping them to that.
//!
//! What is decided is plain: [`CorePlan`] says which core does what, [`Concern`]s what that costs on
//! this host. What touches the host is here: whether a core can be had, and on which one a thread
//! runs.

mod concern;
mod plan;

use std::path::Path;
use std::thread;

use anyhow::{Result, bail};
use core_affinity::CoreId;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use ringroad_config::schema::{Config, Driver};
use ringroad_hugepages::{Cpus, Nic, Nodes, PciDevice, SYSFS};

pub(crate) use self::concern::{Concern, all_poll, away, siblings};
pub(crate) use self::plan::{CorePlan, PollingThread, Role};

/// The cores that a thread of this process can be kept on: also those that Linux puts nothing on
/// by itself (`isolcpus`), and that no process starts with therefore.
pub(crate) fn usable() -> Vec<usize> {
    let online = Cpus::read(Path::new(SYSFS)).map(|cpus| cpus.cpus).unwrap_or_default();
    let cores = online.into_iter().map(|cpu| cpu.number as usize);
    // The pinning of a thread ends with it.
    let tried = thread::spawn(move || {
        cores.filter(|id| core_affinity::set_for_current(CoreId { id: *id })).collect()
    });
    tried.join().unwrap_or_default()
}

/// The cores that Linux runs this thread on, and those that come of it.
pub(crate) fn allowed() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Says what the cores of a configuration cost on this host.
pub(crate) fn warn_of_concerns(config: &Config) {
    let sysfs = Path::new(SYSFS);
    let (Ok(cpus), Ok(nodes)) = (Cpus::read(sysfs), Nodes::read(sysfs)) else { return };
    let cores = &config.engine.cores;
    let far = config.ports.iter().filter_map(|port| {
        let concern = away(node_of(&port.driver, sysfs)?, cores, &nodes)?;
        Some(Concern { subject: Some(format!("port {:?}", port.name)), ..concern })
    });
    let concerns = siblings(cores, &cpus).into_iter().chain(far);
    for concern in concerns.chain(all_poll(&config.engine, &allowed())) {
        tracing::warn!("{concern}");
    }
}

/// The node of each core that polls, in the order of [`CorePlan::cores`].
pub(crate) fn nodes(plan: &CorePlan) -> Vec<Option<u32>> {
    let nodes = Nodes::read(Path::new(SYSFS)).unwrap_or_default();
    plan.cores().map(|core| nodes.of_cpu(core.id.try_into().ok()?)).collect()
}

/// The node of a port's device, where it has one.
fn node_of(driver: &Driver, sysfs: &Path) -> Option<u32> {
    match driver {
        Driver::AfXdp(af_xdp) => Nic::read(sysfs, &af_xdp.interface)?.node,
        Driver::Dpdk(dpdk) => PciDevice::read(sysfs, dpdk.device.parse().ok()?)?.node,
    }
}

/// The calling thread, and those that come of it, keep off the cores that poll, where there are
/// others.
pub(crate) fn leave_to_polling(plan: &CorePlan) {
    let mut others = CpuSet::new();
    let mut count = 0;
    for core in allowed() {
        let polls = plan.cores().any(|polling| polling.id == core);
        count += usize::from(!polls && others.set(core).is_ok());
    }
    if count > 0 {
        // Refused, they run where they did.
        let _ = sched_setaffinity(Pid::from_raw(0), &others);
    }
}

/// Keeps the calling thread on `core`.
pub(crate) fn pin(core: CoreId) -> Result<()> {
    if core_affinity::set_for_current(core) {
        return Ok(());
    }
    bail!(
        "engine.cores: cannot keep the polling thread on core {}; it runs wherever Linux puts it, \
         and slower: is the core online, and this process's to use?",
        core.id
    )
}

/// Numbers in order as the kernel writes them: `0-3,8`.
pub(crate) fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let text: Vec<String> = runs
        .map(|run| match run {
            [one] => one.to_string(),
            _ => format!("{}-{}", run[0], run[run.len() - 1]),
        })
        .collect();
    text.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_told() {
        let pinned = |id| thread::spawn(move || pin(CoreId { id })).join();
        let mine = usable()[0];
        assert!(pinned(mine).unwrap().is_ok());
        let error = pinned(1023).unwrap().unwrap_err().to_string();
        assert!(error.starts_with("engine.cores: ") && error.contains("core 1023"), "{error}");
    }

    #[test]
    fn what_does_not_poll_keeps_off_the_cores_that_do() {
        let all = allowed();
        let leave = |polling: &[usize]| {
            let workers = polling.iter().map(|id| CoreId { id: *id }).collect();
            let plan = CorePlan { io: None, workers, why: String::new() };
            let left = thread::spawn(move || {
                leave_to_polling(&plan);
                allowed()
            });
            left.join().unwrap()
        };
        assert_eq!(leave(&all), all, "there are no others");
        for count in 0..all.len() {
            assert_eq!(leave(&all[..count]), all[count..]);
        }
    }
}
