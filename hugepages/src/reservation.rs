//! Asking the kernel for more hugepages, and giving them back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::inventory::{count, directory};

/// What [`reserve`] changed. Dropping it changes nothing: undo it, or leave the pages to the host.
#[derive(Debug)]
pub struct Reservation {
    file: PathBuf,
    /// Pages of this size in all, before and after.
    pub before: u64,
    pub after: u64,
    /// Pages free now, and how many were asked for.
    pub free: u64,
    pub wanted: u64,
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
    Ok(Reservation { before, after: count(&file)?, free: count(&free_file)?, wanted, file })
}

impl Reservation {
    /// Pages that were added.
    pub fn added(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }

    /// Whether as many are free as were asked for.
    pub fn is_enough(&self) -> bool {
        self.free >= self.wanted
    }

    /// Takes away as many pages as were added, also if others have changed the count since.
    /// Those in use go when they are freed.
    pub fn undo(self) -> Result<(), Error> {
        if self.added() == 0 {
            return Ok(());
        }
        write(&self.file, count(&self.file)?.saturating_sub(self.added()))
    }
}

fn write(path: &Path, pages: u64) -> Result<(), Error> {
    fs::write(path, pages.to_string())
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PAGE_2M;
    use crate::inventory::tests::lay_out;

    #[test]
    fn what_is_missing_is_added_and_taken_away_again() {
        let sysfs = tempfile::tempdir().unwrap();
        lay_out(sysfs.path(), 2048, Some(1), 10, 4);
        let reservation = reserve(sysfs.path(), PAGE_2M, Some(1), 9).unwrap();
        assert_eq!((reservation.before, reservation.after, reservation.added()), (10, 15, 5));
        // Here nobody plays the kernel: it would have freed pages.
        assert!(!reservation.is_enough());
        let file = reservation.file.clone();
        fs::write(&file, "20").unwrap();
        reservation.undo().unwrap();
        assert_eq!(count(&file).unwrap(), 15, "what others added stays");
    }

    #[test]
    fn nothing_is_written_when_enough_are_free() {
        let sysfs = tempfile::tempdir().unwrap();
        lay_out(sysfs.path(), 2048, None, 10, 4);
        let file = directory(sysfs.path(), PAGE_2M, None).join("nr_hugepages");
        fs::write(&file, "10 \n").unwrap();
        let reservation = reserve(sysfs.path(), PAGE_2M, None, 4).unwrap();
        assert!(reservation.is_enough() && reservation.added() == 0);
        reservation.undo().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "10 \n", "untouched");
    }

    #[test]
    fn a_size_that_is_not_there_is_named() {
        let sysfs = tempfile::tempdir().unwrap();
        let message = reserve(sysfs.path(), 1 << 30, Some(3), 1).unwrap_err().to_string();
        assert!(message.starts_with("no hugepages of 1048576 KiB on node 3; see "), "{message}");
    }
}
