//! Asking the kernel for more hugepages, and giving them back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::inventory::{count, directory};
use crate::{Error, numa};

/// Hugepages that are free for us as long as this lives: what [`reserve`] added, it takes away
/// again when it is dropped. So a start that fails half-way leaves the host as it was.
///
/// Several nodes or page sizes are several reservations. Drop them after the memory that was mapped
/// on their pages: those still in use go when they are freed.
#[must_use = "dropped, it gives its pages back"]
#[derive(Debug)]
pub struct Reservation {
    file: PathBuf,
    /// Pages of this size in all, before and after.
    before: u64,
    after: u64,
    /// Pages free now, and how many were asked for.
    free: u64,
    wanted: u64,
    kept: bool,
}

/// Sees to it that `wanted` pages of `page_size` octets are free, on one node or anywhere: takes
/// what is missing from ordinary memory. The kernel gives what it finds in one piece, which may be
/// less on a host that has run for long ([`Reservation::is_enough`]).
pub fn reserve(
    sysfs: &Path,
    page_size: u64,
    node: Option<u32>,
    wanted: u64,
) -> Result<Reservation, Error> {
    // As in the inventory, a kernel without NUMA has one node, 0.
    let node = node.filter(|number| *number != 0 || numa::nodes_directory(sysfs).is_dir());
    let directory = directory(sysfs, page_size, node);
    if !directory.is_dir() {
        return Err(Error::NoSuchPool {
            kib: page_size / 1024,
            on_node: node.map(|number| format!(" on node {number}")).unwrap_or_default(),
            path: directory.parent().unwrap_or(sysfs).to_owned(),
        });
    }
    let file = directory.join("nr_hugepages");
    let free_file = directory.join("free_hugepages");
    let before = count(&file)?;
    let missing = wanted.saturating_sub(count(&free_file)?);
    if missing > 0 {
        write(&file, before.saturating_add(missing))?;
    }
    let (after, free) = (count(&file)?, count(&free_file)?);
    Ok(Reservation { file, before, after, free, wanted, kept: false })
}

impl Reservation {
    /// Pages that were added.
    pub fn added(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }

    /// Pages that were free once it was made.
    pub fn free(&self) -> u64 {
        self.free
    }

    /// Whether as many were free as were asked for.
    pub fn is_enough(&self) -> bool {
        self.free >= self.wanted
    }

    /// Leaves the pages to the host.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Takes away as many pages as were added, also if others have changed the count since. What
    /// dropping does, for those who want to know whether it worked.
    pub fn release(mut self) -> Result<(), Error> {
        self.kept = true;
        self.take_away()
    }

    fn take_away(&self) -> Result<(), Error> {
        if self.added() == 0 {
            return Ok(());
        }
        write(&self.file, count(&self.file)?.saturating_sub(self.added()))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.kept {
            // Whoever wants to know has asked with `release`.
            let _ = self.take_away();
        }
    }
}

fn write(path: &Path, pages: u64) -> Result<(), Error> {
    fs::write(path, pages.to_string())
        .map_err(|reason| Error::Write { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::lay_out;
    use crate::{Inventory, PAGE_1G, PAGE_2M};

    #[test]
    fn what_is_missing_is_added_and_taken_away_again() {
        let sysfs = tempfile::tempdir().unwrap();
        lay_out(sysfs.path(), 2048, Some(1), 10, 4);
        let file = directory(sysfs.path(), PAGE_2M, Some(1)).join("nr_hugepages");
        let reservation = reserve(sysfs.path(), PAGE_2M, Some(1), 9).unwrap();
        assert_eq!((count(&file).unwrap(), reservation.added()), (15, 5));
        // Here nobody plays the kernel: it would have freed pages.
        assert!(!reservation.is_enough());
        fs::write(&file, "20").unwrap();
        drop(reservation);
        assert_eq!(count(&file).unwrap(), 15, "what others added stays");
    }

    #[test]
    fn each_node_and_page_size_is_reserved_by_itself() {
        let sysfs = tempfile::tempdir().unwrap();
        for node in [0, 1] {
            lay_out(sysfs.path(), 2048, Some(node), 0, 0);
            lay_out(sysfs.path(), 1 << 20, Some(node), 1, 1);
        }
        let total = |page_size, node| {
            let inventory = Inventory::read(sysfs.path()).unwrap();
            inventory.pool(page_size, Some(node)).unwrap().total
        };
        let small = reserve(sysfs.path(), PAGE_2M, Some(0), 3).unwrap();
        let large = reserve(sysfs.path(), PAGE_1G, Some(1), 3).unwrap();
        assert_eq!([total(PAGE_2M, 0), total(PAGE_2M, 1)], [3, 0]);
        assert_eq!([total(PAGE_1G, 0), total(PAGE_1G, 1)], [1, 3]);
        small.keep();
        large.release().unwrap();
        assert_eq!([total(PAGE_2M, 0), total(PAGE_1G, 1)], [3, 1], "kept, and released");
    }

    #[test]
    fn nothing_is_written_when_enough_are_free() {
        let sysfs = tempfile::tempdir().unwrap();
        lay_out(sysfs.path(), 2048, None, 10, 4);
        let file = directory(sysfs.path(), PAGE_2M, None).join("nr_hugepages");
        fs::write(&file, "10 \n").unwrap();
        // Without NUMA, node 0 is all there is.
        let reservation = reserve(sysfs.path(), PAGE_2M, Some(0), 4).unwrap();
        assert!(reservation.is_enough() && reservation.added() == 0);
        drop(reservation);
        assert_eq!(fs::read_to_string(&file).unwrap(), "10 \n", "untouched");
    }

    #[test]
    fn a_size_that_is_not_there_is_named() {
        let sysfs = tempfile::tempdir().unwrap();
        let message = reserve(sysfs.path(), PAGE_1G, Some(3), 1).unwrap_err().to_string();
        assert!(message.starts_with("no hugepages of 1048576 KiB on node 3; see "), "{message}");
    }
}
