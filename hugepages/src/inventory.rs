//! Which hugepages the host has, and how many are free.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, numa};

/// The host's hugepages, by NUMA node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// By number. A kernel without NUMA shows as one node, 0.
    pub nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub number: u32,
    /// By page size, smallest first.
    pub pools: Vec<Pool>,
}

/// Hugepages of one size on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// [octets]
    pub page_size: u64,
    pub total: u64,
    /// Not in use. Some may be promised to mappings that have not touched them yet.
    pub free: u64,
}

impl Inventory {
    /// Reads what the kernel shows under `sysfs` ([`crate::SYSFS`]).
    pub fn read(sysfs: &Path) -> Result<Self, Error> {
        let mut nodes = Vec::new();
        for (number, path) in numbered(&numa::nodes_directory(sysfs), "node", "")? {
            let pools = pools(&path.join("hugepages"))?;
            let Ok(number) = u32::try_from(number) else { continue };
            if !pools.is_empty() {
                nodes.push(Node { number, pools });
            }
        }
        if nodes.is_empty() {
            let pools = pools(&sysfs.join("kernel/mm/hugepages"))?;
            nodes.push(Node { number: 0, pools });
        }
        nodes.sort_by_key(|n| n.number);
        Ok(Inventory { nodes })
    }

    /// Hugepages of one size, on one node or on all together; `None` if there are none such.
    pub fn pool(&self, page_size: u64, node: Option<u32>) -> Option<Pool> {
        self.nodes
            .iter()
            .filter(|n| node.is_none_or(|number| n.number == number))
            .flat_map(|n| &n.pools)
            .filter(|p| p.page_size == page_size)
            .copied()
            .reduce(|a, b| Pool { total: a.total + b.total, free: a.free + b.free, ..a })
    }
}

/// Memory that can be had without swapping [octets]; hugepages that are reserved are no part of it.
/// `None` if the kernel does not say. `procfs` is where it would ([`crate::PROCFS`]).
pub fn memory_available(procfs: &Path) -> Option<u64> {
    let text = fs::read_to_string(procfs.join("meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The directory of one pool: a node's own, or the whole host's.
pub(crate) fn directory(sysfs: &Path, page_size: u64, node: Option<u32>) -> PathBuf {
    let parent = match node {
        Some(number) => numa::nodes_directory(sysfs).join(format!("node{number}/hugepages")),
        None => sysfs.join("kernel/mm/hugepages"),
    };
    parent.join(format!("hugepages-{}kB", page_size / 1024))
}

/// A count of pages in a file.
pub(crate) fn count(path: &Path) -> Result<u64, Error> {
    let text =
        fs::read_to_string(path).map_err(|reason| Error::Read { path: path.to_owned(), reason })?;
    text.trim().parse().map_err(|_| Error::Unreadable { path: path.to_owned(), text })
}

fn pools(directory: &Path) -> Result<Vec<Pool>, Error> {
    let mut pools = Vec::new();
    for (kib, path) in numbered(directory, "hugepages-", "kB")? {
        pools.push(Pool {
            page_size: kib.saturating_mul(1024),
            total: count(&path.join("nr_hugepages"))?,
            free: count(&path.join("free_hugepages"))?,
        });
    }
    pools.sort_by_key(|p| p.page_size);
    Ok(pools)
}

/// The entries of a directory that are named by a number; none if there is no such directory.
pub(crate) fn numbered(
    directory: &Path,
    prefix: &str,
    suffix: &str,
) -> Result<impl Iterator<Item = (u64, PathBuf)>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => Some(entries),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(reason) => return Err(Error::Read { path: directory.to_owned(), reason }),
    };
    Ok(entries.into_iter().flatten().flatten().filter_map(move |entry| {
        let name = entry.file_name();
        let number = name.to_str()?.strip_prefix(prefix)?.strip_suffix(suffix)?;
        Some((number.parse().ok()?, entry.path()))
    }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes a pool as sysfs would show it.
    pub(crate) fn lay_out(sysfs: &Path, kib: u64, node: Option<u32>, total: u64, free: u64) {
        let directory = directory(sysfs, kib * 1024, node);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("nr_hugepages"), format!("{total}\n")).unwrap();
        fs::write(directory.join("free_hugepages"), format!("{free}\n")).unwrap();
    }

    #[test]
    fn pages_are_found_on_every_node() {
        let sysfs = tempfile::tempdir().unwrap();
        lay_out(sysfs.path(), 1 << 20, Some(1), 2, 2);
        lay_out(sysfs.path(), 2048, Some(1), 100, 40);
        lay_out(sysfs.path(), 2048, Some(0), 50, 10);
        lay_out(sysfs.path(), 2048, None, 150, 50);
        fs::create_dir_all(sysfs.path().join("devices/system/node/power")).unwrap();
        let inventory = Inventory::read(sysfs.path()).unwrap();
        let numbers: Vec<_> = inventory.nodes.iter().map(|n| (n.number, n.pools.len())).collect();
        assert_eq!(numbers, [(0, 1), (1, 2)]);
        let two_mib = |total, free| Some(Pool { page_size: 2 << 20, total, free });
        assert_eq!(inventory.pool(2 << 20, None), two_mib(150, 50));
        assert_eq!(inventory.pool(2 << 20, Some(1)), two_mib(100, 40));
        assert_eq!(inventory.pool(1 << 30, Some(0)), None);
    }

    #[test]
    fn a_host_without_numa_is_one_node() {
        let sysfs = tempfile::tempdir().unwrap();
        lay_out(sysfs.path(), 2048, None, 8, 3);
        let inventory = Inventory::read(sysfs.path()).unwrap();
        let pools = vec![Pool { page_size: 2 << 20, total: 8, free: 3 }];
        assert_eq!(inventory.nodes, [Node { number: 0, pools }]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let sysfs = tempfile::tempdir().unwrap();
        assert_eq!(Inventory::read(sysfs.path()).unwrap().pool(2 << 20, None), None);
        lay_out(sysfs.path(), 2048, None, 8, 3);
        let path = directory(sysfs.path(), 2 << 20, None).join("free_hugepages");
        fs::write(&path, "many").unwrap();
        let message = Inventory::read(sysfs.path()).unwrap_err().to_string();
        assert_eq!(message, format!("{}: \"many\" is not a count of pages", path.display()));
    }

    #[test]
    fn this_host_can_be_read() {
        Inventory::read(Path::new(crate::SYSFS)).unwrap();
    }
}
