//! NUMA nodes: which cores they have, and how far they are from each other.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::cpu::parse_list;
use crate::files::text_or_none;
use crate::inventory::numbered;

/// The nodes of the host; none where the kernel knows no NUMA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// By number.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    number: u32,
    cpus: Vec<u32>,
    /// To each node, in their order; 10 is the node itself (ACPI's SLIT).
    distances: Vec<u32>,
}

impl Nodes {
    /// Reads what the kernel shows under `sysfs` ([`crate::SYSFS`]).
    pub fn read(sysfs: &Path) -> Result<Self, Error> {
        let mut nodes = Vec::new();
        for (number, path) in numbered(&nodes_directory(sysfs), "node", "")? {
            let Ok(number) = u32::try_from(number) else { continue };
            let cpus = text_or_none(&path.join("cpulist")).and_then(|text| parse_list(&text));
            let distances = text_or_none(&path.join("distance")).unwrap_or_default();
            nodes.push(Node {
                number,
                cpus: cpus.unwrap_or_default(),
                distances: distances.split_whitespace().flat_map(str::parse).collect(),
            });
        }
        nodes.sort_by_key(|node| node.number);
        Ok(Nodes { nodes })
    }

    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    pub fn of_cpu(&self, cpu: u32) -> Option<u32> {
        self.nodes.iter().find(|node| node.cpus.contains(&cpu)).map(|node| node.number)
    }

    /// Cores of a node.
    pub fn cpus(&self, node: u32) -> &[u32] {
        self.nodes.iter().find(|each| each.number == node).map_or(&[], |node| &node.cpus)
    }

    /// Cost of memory of node `to` for cores of node `from`, as the firmware states it: 10 within
    /// a node.
    pub fn distance(&self, from: u32, to: u32) -> Option<u32> {
        let index = self.nodes.iter().position(|node| node.number == to)?;
        let from = self.nodes.iter().find(|node| node.number == from)?;
        from.distances.get(index).copied()
    }
}

pub(crate) fn nodes_directory(sysfs: &Path) -> PathBuf {
    sysfs.join("devices/system/node")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SYSFS;
    use crate::files::tests::lay_out;

    #[test]
    fn distances_go_by_the_numbers_of_nodes() {
        let sysfs = tempfile::tempdir().unwrap();
        lay_out(
            sysfs.path(),
            &[
                ("devices/system/node/node0/cpulist", "0-3"),
                ("devices/system/node/node0/distance", "10 21"),
                ("devices/system/node/node8/cpulist", "4-7"),
                ("devices/system/node/node8/distance", "31 10"),
                ("devices/system/node/has_cpu", "0,8"),
            ],
        );
        let nodes = Nodes::read(sysfs.path()).unwrap();
        assert_eq!(nodes.count(), 2);
        assert_eq!((nodes.of_cpu(5), nodes.of_cpu(9)), (Some(8), None));
        assert_eq!((nodes.distance(0, 8), nodes.distance(8, 0)), (Some(21), Some(31)));
        assert_eq!((nodes.distance(8, 8), nodes.distance(0, 1)), (Some(10), None));
        assert_eq!((nodes.cpus(8), nodes.cpus(1)), (&[4, 5, 6, 7][..], &[][..]));
    }

    #[test]
    fn a_kernel_without_numa_has_none() {
        let sysfs = tempfile::tempdir().unwrap();
        assert_eq!(Nodes::read(sysfs.path()).unwrap(), Nodes::default());
        Nodes::read(Path::new(SYSFS)).unwrap();
    }
}
