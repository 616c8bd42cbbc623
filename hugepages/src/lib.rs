//! Hugepages: what the host has, reserving more when asked, and mapping packet memory on them.
//!
//! [`Inventory`] reads sysfs and changes nothing. [`reserve`] is the only thing here that changes
//! the host; it says what it did and can undo it. [`map`] takes memory on hugepages when enough
//! are free, else on ordinary pages, and says which ([`Mapping::backing`]); either way every page
//! is in place before it returns, so that no fault hits the data path.
//!
//! Start reading at [`Inventory::read`].

mod inventory;
mod mapping;
mod reservation;

pub use inventory::{Inventory, Node, Pool};
pub use mapping::{Backing, Mapping, Request, map};
pub use reservation::{Reservation, reserve};

use std::io;
use std::path::PathBuf;

/// Where the kernel shows hugepages; everything here takes it as an argument, for tests.
pub const SYSFS: &str = "/sys";

/// The size of hugepage that packet memory is put on [octets].
pub const PAGE_2M: u64 = 2 << 20;

/// What can go wrong, one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}; is sysfs mounted?")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: {text:?} is not a count of pages")]
    Unreadable { path: PathBuf, text: String },
    #[error("{path}: {source}; reserving hugepages takes root")]
    Write { path: PathBuf, source: io::Error },
    #[error("no hugepages of {kib} KiB{on_node}; see {path} for the sizes there are")]
    NoSuchPool { kib: u64, on_node: String, path: PathBuf },
    #[error(
        "placing packet memory on NUMA node {node}: {source}; `lscpu` lists the nodes there are"
    )]
    Place { node: u32, source: io::Error },
    #[error("mapping {octets} octets of packet memory: {source}; lower `engine.frames`")]
    Map { octets: usize, source: io::Error },
}
