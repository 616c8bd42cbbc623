//! The host under the engine: its hugepages, NUMA nodes, cores and PCI devices.
//!
//! [`Inventory`], [`Cpus`], [`Nodes`], [`PciDevice`], [`Vfio`] and [`Nic`] read sysfs and change
//! nothing; what to think of it is the reader's. [`reserve`] is the only thing here that changes
//! the host; it says what it did, and undoes it when it is dropped. [`map`] takes
//! memory on hugepages when enough are free, else on ordinary pages, and says which
//! ([`Mapping::backing`]); either way every page is in place before it returns, so that no fault
//! hits the data path.
//!
//! Start reading at [`Inventory::read`].

mod cpu;
mod files;
mod inventory;
mod mapping;
mod numa;
mod pci;
mod reservation;

pub use cpu::{Cpu, Cpus};
pub use inventory::{Inventory, Node, Pool, memory_available};
pub use mapping::{Backing, Mapping, Request, map};
pub use numa::Nodes;
pub use pci::{Nic, NotPci, PciAddress, PciDevice, Vfio};
pub use reservation::{Reservation, reserve};

use std::io;
use std::path::PathBuf;

/// Where the kernel shows the host; everything here takes it as an argument, for tests.
pub const SYSFS: &str = "/sys";

/// Where it says how much memory there is.
pub const PROCFS: &str = "/proc";

/// The size of hugepage that packet memory is put on [octets].
pub const PAGE_2M: u64 = 2 << 20;

/// The larger size that most servers have as well [octets].
pub const PAGE_1G: u64 = 1 << 30;

/// What can go wrong, one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {reason}; is sysfs mounted?")]
    Read { path: PathBuf, reason: io::Error },
    #[error("{path}: {text:?} is not a count of pages")]
    Unreadable { path: PathBuf, text: String },
    #[error("{path}: {text:?} is not a list of cores")]
    NoList { path: PathBuf, text: String },
    #[error("{path}: {reason}; reserving hugepages takes root")]
    Write { path: PathBuf, reason: io::Error },
    #[error("no hugepages of {kib} KiB{on_node}; see {path} for the sizes there are")]
    NoSuchPool { kib: u64, on_node: String, path: PathBuf },
    #[error(
        "placing packet memory on NUMA node {node}: {reason}; `lscpu` lists the nodes there are"
    )]
    Place { node: u32, reason: io::Error },
    #[error("mapping {octets} octets of packet memory: {reason}; lower `engine.frames`")]
    Map { octets: usize, reason: io::Error },
}
