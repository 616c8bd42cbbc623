//! Which core polls, and keeping it to that.

use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};
use core_affinity::CoreId;
use ringroad_config::schema::Config;
use ringroad_hugepages::{Cpus, SYSFS};

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

/// The core that the configuration gives to the lane.
pub(crate) fn polling(config: &Config) -> Result<CoreId> {
    let usable = usable();
    let wanted = config.engine.cores.first().copied().unwrap_or(0);
    usable.contains(&wanted).then_some(CoreId { id: wanted }).with_context(|| {
        let may: Vec<String> = usable.iter().map(usize::to_string).collect();
        format!(
            "engine.cores: core {wanted} is not this process's to use; choose one of {}",
            may.join(", ")
        )
    })
}

/// The control plane keeps off the core that polls, where there is another.
pub(crate) fn leave_to_lane(polling: CoreId) {
    let others = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(other) = others.into_iter().find(|core| core.id != polling.id) {
        core_affinity::set_for_current(other);
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
}
