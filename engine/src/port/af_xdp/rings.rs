//! The four rings that a socket shares with the kernel, as memory.
//!
//! A ring is an array of entries with two counters that only grow: how many were ever produced,
//! how many consumed. Each side writes its own counter and reads the other's. Both ends here keep
//! a copy of the other side's counter and look at the shared word only when the copy no longer
//! suffices, so that a burst costs one shared cache line each way.
//!
//! The kernel is trusted to write rings, not to write them sensibly: entries are reached through
//! the mask, so no counter, however wrong, leads outside the mapping.

#![allow(unsafe_code, reason = "rings are memory mapped from the kernel and reached by pointer")]

use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Entries that rings carry: plain values, valid whatever their bits.
pub(super) trait Entry: Copy {}

/// Frame addresses: fill and completion rings.
impl Entry for u64 {}

/// Packets: receive and transmit rings.
impl Entry for libc::xdp_desc {}

/// One mapped ring.
#[derive(Debug)]
struct Ring<T> {
    mapping: NonNull<u8>,
    mapping_len: usize,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    /// Count of entries, a power of two, less one.
    mask: u32,
}

// SAFETY: a `Ring` is the only owner of its mapping; the words it shares are atomics, and the
// other party is the kernel, which does not care which thread we are.
unsafe impl<T: Entry + Send> Send for Ring<T> {}

impl<T: Entry> Ring<T> {
    /// Maps a ring of `entries` (a power of two) from a socket, laid out as the kernel said.
    fn map(
        fd: RawFd,
        offset: i64,
        layout: &libc::xdp_ring_offset,
        entries: u32,
    ) -> io::Result<Self> {
        let at = |offset: u64| usize::try_from(offset).map_err(|_| bad_layout());
        let (producer, consumer) = (at(layout.producer)?, at(layout.consumer)?);
        let (flags, first) = (at(layout.flags)?, at(layout.desc)?);
        let len = (entries as usize)
            .checked_mul(size_of::<T>())
            .and_then(|octets| octets.checked_add(first))
            .ok_or_else(bad_layout)?;
        let word = |at: usize| {
            at.is_multiple_of(align_of::<AtomicU32>())
                && first.checked_sub(size_of::<AtomicU32>()).is_some_and(|last| at <= last)
        };
        if !(entries.is_power_of_two()
            && word(producer)
            && word(consumer)
            && word(flags)
            && first.is_multiple_of(align_of::<T>()))
        {
            return Err(bad_layout());
        }
        // SAFETY: a new shared mapping at an address of the kernel's choice; it touches no memory
        // of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                fd,
                offset,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = NonNull::new(base.cast::<u8>()).ok_or_else(bad_layout)?;
        // SAFETY: all four lie within the mapping of `len` octets (checked above) and are aligned
        // for their types, since the mapping begins at a page.
        unsafe {
            Ok(Ring {
                mapping,
                mapping_len: len,
                producer: mapping.add(producer).cast(),
                consumer: mapping.add(consumer).cast(),
                flags: mapping.add(flags).cast(),
                entries: mapping.add(first).cast(),
                mask: entries - 1,
            })
        }
    }

    #[inline]
    fn len(&self) -> u32 {
        self.mask + 1
    }

    #[inline]
    fn producer(&self) -> &AtomicU32 {
        // SAFETY: points into the mapping, which lives as long as `self`, at an aligned word that
        // the kernel and we access only as a whole (`map`).
        unsafe { self.producer.as_ref() }
    }

    #[inline]
    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as in `producer`.
        unsafe { self.consumer.as_ref() }
    }

    #[inline]
    fn needs_wakeup(&self) -> bool {
        // SAFETY: as in `producer`.
        let flags = unsafe { self.flags.as_ref() };
        flags.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    #[inline]
    fn entry(&self, count: u32) -> NonNull<T> {
        // SAFETY: the mask keeps the index below the ring's length, all of which is mapped.
        unsafe { self.entries.add((count & self.mask) as usize) }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.mapping_len) };
    }
}

fn bad_layout() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel described a ring that cannot be")
}

/// The end of a ring that we write: fill and transmit.
#[derive(Debug)]
pub(super) struct Producer<T: Entry> {
    ring: Ring<T>,
    /// Entries written, published or not.
    written: u32,
    /// How many the kernel had consumed when we last looked.
    consumed_seen: u32,
}

impl<T: Entry> Producer<T> {
    pub(super) fn map(
        fd: RawFd,
        offset: i64,
        layout: &libc::xdp_ring_offset,
        entries: u32,
    ) -> io::Result<Self> {
        let ring = Ring::map(fd, offset, layout, entries)?;
        let written = ring.producer().load(Ordering::Relaxed);
        let consumed_seen = ring.consumer().load(Ordering::Acquire);
        Ok(Producer { ring, written, consumed_seen })
    }

    /// How many of `wanted` entries may be written now.
    #[inline]
    pub(super) fn room(&mut self, wanted: u32) -> u32 {
        if self.room_seen() < wanted {
            // Acquire: the kernel has read the entries it counts as consumed before we overwrite
            // them.
            self.consumed_seen = self.ring.consumer().load(Ordering::Acquire);
        }
        self.room_seen().min(wanted)
    }

    #[inline]
    fn room_seen(&self) -> u32 {
        self.ring.len().saturating_sub(self.written.wrapping_sub(self.consumed_seen))
    }

    /// Writes the next entry, unseen by the kernel until [`Producer::publish`]. Only as many as
    /// [`Producer::room`] allowed.
    #[inline]
    pub(super) fn write(&mut self, value: T) {
        debug_assert!(self.room_seen() > 0, "wrote more than there was room for");
        // SAFETY: `entry` is within the mapping. The kernel does not read it before the counter
        // that `publish` stores says so.
        unsafe { self.ring.entry(self.written).as_ptr().write_volatile(value) };
        self.written = self.written.wrapping_add(1);
    }

    /// Shows the kernel all that was written.
    #[inline]
    pub(super) fn publish(&mut self) {
        // Release: the entries are written before the count that covers them.
        self.ring.producer().store(self.written, Ordering::Release);
    }

    /// Published entries that the kernel has not taken yet. Looks at the shared word.
    #[inline]
    pub(super) fn unconsumed(&mut self) -> u32 {
        self.consumed_seen = self.ring.consumer().load(Ordering::Acquire);
        self.written.wrapping_sub(self.consumed_seen)
    }

    /// Whether the kernel sleeps on this ring and must be called.
    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        self.ring.needs_wakeup()
    }
}

/// The end of a ring that we read: receive and completion.
#[derive(Debug)]
pub(super) struct Consumer<T: Entry> {
    ring: Ring<T>,
    /// Entries read, given back or not.
    read: u32,
    /// How many the kernel had produced when we last looked.
    produced_seen: u32,
}

impl<T: Entry> Consumer<T> {
    pub(super) fn map(
        fd: RawFd,
        offset: i64,
        layout: &libc::xdp_ring_offset,
        entries: u32,
    ) -> io::Result<Self> {
        let ring = Ring::map(fd, offset, layout, entries)?;
        let read = ring.consumer().load(Ordering::Relaxed);
        Ok(Consumer { ring, read, produced_seen: read })
    }

    /// How many of `wanted` entries are there to be read.
    #[inline]
    pub(super) fn available(&mut self, wanted: u32) -> u32 {
        if self.produced_seen.wrapping_sub(self.read) < wanted {
            // Acquire: what the counter covers is written before we read it.
            self.produced_seen = self.ring.producer().load(Ordering::Acquire);
        }
        self.produced_seen.wrapping_sub(self.read).min(self.ring.len()).min(wanted)
    }

    /// How many entries are there to be read. Looks at the shared word.
    #[inline]
    pub(super) fn unread(&self) -> u32 {
        self.ring.producer().load(Ordering::Acquire).wrapping_sub(self.read).min(self.ring.len())
    }

    /// Reads the next entry; only as many as [`Consumer::available`] said.
    #[inline]
    pub(super) fn read(&mut self) -> T {
        // SAFETY: `entry` is within the mapping, and an `Entry` is valid whatever its bits. The
        // kernel does not write it again before `release` stores the counter that covers it.
        let value = unsafe { self.ring.entry(self.read).as_ptr().read_volatile() };
        self.read = self.read.wrapping_add(1);
        value
    }

    /// Gives all that was read back to the kernel, to be overwritten.
    #[inline]
    pub(super) fn release(&mut self) {
        // Release: the entries are read before the kernel may overwrite them.
        self.ring.consumer().store(self.read, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
