//! Memory for packets, mapped once and in place before it is used.

#![allow(unsafe_code, reason = "memory is mapped with mmap and placed with mbind and madvise")]

use std::fmt;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};

use crate::{Error, PAGE_2M};

/// What memory is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// At least this much [octets]; rounded up to whole hugepages.
    pub len: usize,
    /// Where the cores are that work on it: as many equal shares, one after another, each on the
    /// node of its core. Another node serves when one is full; empty or `None`: any.
    pub nodes: &'a [Option<u32>],
    /// Whether hugepages may be used.
    pub hugepages: bool,
}

/// What kind of pages a mapping is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Reserved hugepages of this size [octets].
    Huge { page_size: u64 },
    /// Ordinary pages that the kernel has been asked to join into huge ones, as it can.
    Transparent,
    /// Ordinary pages.
    Ordinary,
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backing::Huge { page_size } => write!(f, "hugepages of {} KiB", page_size / 1024),
            Backing::Transparent => f.write_str("ordinary pages, joined where the kernel can"),
            Backing::Ordinary => f.write_str("ordinary pages"),
        }
    }
}

/// Zeroed memory that is ours alone; unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
    backing: Backing,
    refused: Option<io::Error>,
}

// SAFETY: a `Mapping` is the only owner of its memory, which any thread may use.
unsafe impl Send for Mapping {}

/// Maps memory as asked: on hugepages if enough of them are free, else on ordinary pages. Every
/// page of it is in place when this returns.
pub fn map(request: Request<'_>) -> Result<Mapping, Error> {
    let page = PAGE_2M as usize;
    let too_long =
        || Error::Map { octets: request.len, reason: io::ErrorKind::InvalidInput.into() };
    let len = request.len.max(1).checked_next_multiple_of(page).ok_or_else(too_long)?;
    let refused = if request.hugepages {
        match map_huge(len) {
            Ok(mapping) => match mapping.place(request.nodes)?.put_in_place() {
                Ok(mapping) => return Ok(mapping),
                Err(error) => Some(error),
            },
            Err(error) => Some(error),
        }
    } else {
        None
    };
    let failed = |reason| Error::Map { octets: len, reason };
    let mapping = map_ordinary(len).map_err(failed)?;
    let mut mapping = mapping.place(request.nodes)?.put_in_place().map_err(failed)?;
    mapping.refused = refused;
    Ok(mapping)
}

impl Mapping {
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// [octets]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn backing(&self) -> Backing {
        self.backing
    }

    /// Why it is not on hugepages though it was to be.
    pub fn refused(&self) -> Option<&io::Error> {
        self.refused.as_ref()
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` octets at `base` are mapped, zeroed by the kernel at first, and ours
        // alone; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }

    /// Hands the memory over: from now on it is the caller's to unmap, with `munmap` and this
    /// length.
    pub fn into_raw(self) -> (NonNull<u8>, usize) {
        let raw = (self.base, self.len);
        std::mem::forget(self);
        raw
    }

    /// Says on which node the pages of each share are to be.
    fn place(self, nodes: &[Option<u32>]) -> Result<Self, Error> {
        for (share, node) in shares(self.len, nodes.len()).zip(nodes) {
            let Some(node) = *node else { continue };
            // SAFETY: a share lies within the mapping.
            let start = unsafe { self.base.add(share.start) };
            match prefer_node(start, share.len(), node) {
                Ok(()) => {}
                // A kernel without NUMA has nothing to choose from.
                Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {}
                Err(reason) => return Err(Error::Place { node, reason }),
            }
        }
        Ok(self)
    }

    /// Has the kernel put every page in place.
    fn put_in_place(self) -> io::Result<Self> {
        // SAFETY: names memory that is ours, and changes none of its contents.
        let result = unsafe {
            libc::madvise(self.base.as_ptr().cast(), self.len, libc::MADV_POPULATE_WRITE)
        };
        if result == 0 {
            return Ok(self);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error);
        }
        // Linux before 5.14 has no such advice: touching the pages has the same effect.
        let mut mapping = self;
        for page in mapping.bytes_mut().chunks_mut(SMALL_PAGE) {
            // SAFETY: a reference to a live octet. Volatile, so that it is really written.
            unsafe { ptr::write_volatile(&mut page[0], 0) };
        }
        Ok(mapping)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        unmap(self.base, self.len);
    }
}

/// Divides `len` octets, whole hugepages, into `count` shares of whole hugepages as equal as can be.
fn shares(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let (page, pages) = (PAGE_2M as usize, len / PAGE_2M as usize);
    let end = move |share| pages * share / count * page;
    (0..count).map(move |share| end(share)..end(share + 1))
}

/// The smallest page of any machine we run on [octets].
const SMALL_PAGE: usize = 4096;

fn map_huge(len: usize) -> io::Result<Mapping> {
    // The kernel sets the pages aside now or refuses; so a later touch finds them.
    let base = anonymous(len, libc::MAP_HUGETLB | libc::MAP_HUGE_2MB)?;
    Ok(Mapping { base, len, backing: Backing::Huge { page_size: PAGE_2M }, refused: None })
}

/// Ordinary pages, aligned so that they can be joined into huge ones.
fn map_ordinary(len: usize) -> io::Result<Mapping> {
    let page = PAGE_2M as usize;
    let longer = len.checked_add(page).ok_or(io::ErrorKind::InvalidInput)?;
    let start = anonymous(longer, 0)?;
    let before = start.as_ptr().align_offset(page);
    let after = longer - before - len;
    // SAFETY: `before` is less than `page`, so both addresses are within the mapping or at its
    // end.
    let (base, end) = unsafe { (start.add(before), start.add(before + len)) };
    if before > 0 {
        unmap(start, before);
    }
    if after > 0 {
        unmap(end, after);
    }
    // SAFETY: names memory that is ours, and changes none of its contents.
    let joined = unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_HUGEPAGE) } == 0;
    let backing = if joined { Backing::Transparent } else { Backing::Ordinary };
    Ok(Mapping { base, len, backing, refused: None })
}

fn anonymous(len: usize, flags: libc::c_int) -> io::Result<NonNull<u8>> {
    // SAFETY: a new private mapping at an address of the kernel's choice; it touches no memory of
    // ours.
    let base = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(base.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// Gives back a part of a mapping that nobody uses any more.
fn unmap(base: NonNull<u8>, len: usize) {
    // SAFETY: called only with memory that this file has mapped, with whole pages, and when the
    // `Mapping` over it is gone or was never made.
    unsafe { libc::munmap(base.as_ptr().cast(), len) };
}

fn prefer_node(base: NonNull<u8>, len: usize, node: u32) -> io::Result<()> {
    let mut mask = [0u64; NODES_MAX / 64];
    let Some(word) = mask.get_mut(node as usize / 64) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    *word = 1 << (node % 64);
    // The kernel takes the count of bits plus one.
    // SAFETY: names memory that is ours; the mask is live and as long as said.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mbind,
            base.as_ptr(),
            len,
            libc::MPOL_PREFERRED,
            mask.as_ptr(),
            NODES_MAX + 1,
            0,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// NUMA nodes that a placement can name.
const NODES_MAX: usize = 1024;

#[cfg(test)]
mod tests;
