//! One contiguous piece of memory that devices and the engine share.

#![allow(
    unsafe_code,
    reason = "memory that the kernel maps and devices write is reached by pointer"
)]

use std::ptr::NonNull;
use std::slice;

/// Page-aligned memory, mapped once and unmapped when dropped.
#[derive(Debug)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a `Region` is the only owner of its mapping, which any thread may use.
unsafe impl Send for Region {}

impl Region {
    /// Ordinary anonymous memory, zeroed, taken from the kernel as it is touched.
    ///
    /// # Panics
    /// If the kernel refuses; for simulation and tests. An engine uses [`Region::from_mapping`].
    pub fn in_memory(len: usize) -> Self {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice; it touches
        // no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len.max(1),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        assert!(
            base != libc::MAP_FAILED,
            "mapping {len} octets: {}",
            std::io::Error::last_os_error()
        );
        let base = NonNull::new(base.cast()).expect("a mapping is never at address zero");
        Region { base, len }
    }

    /// Takes over a mapping made elsewhere (hugepages, say).
    ///
    /// # Safety
    /// `base` is page-aligned and names `len` readable and writable octets that were mapped with
    /// `mmap`, are used by nobody else, and may be unmapped with `munmap(base, len)`.
    pub unsafe fn from_mapping(base: NonNull<u8>, len: usize) -> Self {
        Region { base, len }
    }

    /// Takes over memory on hugepages, or what stands in for them.
    pub fn from_hugepages(mapping: ringroad_hugepages::Mapping) -> Self {
        let (base, len) = mapping.into_raw();
        Region { base, len }
    }

    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn slice(&self, offset: usize, len: usize) -> &[u8] {
        self.check(offset, len);
        // SAFETY: in bounds (checked above, in release too). The frame that this range belongs to
        // is held by the caller's handle; no `&mut` to it exists, because `slice_mut` borrows the
        // region exclusively. A device may read it at the same time, and writes only frames in
        // its fill ring, to which no handle exists.
        unsafe { slice::from_raw_parts(self.base.as_ptr().add(offset), len) }
    }

    #[inline]
    pub(super) fn slice_mut(&mut self, offset: usize, len: usize) -> &mut [u8] {
        self.check(offset, len);
        // SAFETY: as in `slice`; and the pool has checked that this handle is the only one, so no
        // device reads the frame either.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr().add(offset), len) }
    }

    /// Copies `len` octets from one offset to another.
    pub(super) fn copy_within(&mut self, from: usize, to: usize, len: usize) {
        self.check(from, len);
        self.check(to, len);
        // SAFETY: both ranges are in bounds (checked above), may overlap, and nobody else has a
        // reference to either, since the region is borrowed exclusively. As in `slice` and
        // `slice_mut`, no device writes the one, and none has the other.
        unsafe {
            let base = self.base.as_ptr();
            std::ptr::copy(base.add(from), base.add(to), len);
        }
    }

    /// Asks the processor to fetch the cache line at `offset` and the one behind it. Does nothing
    /// outside of the region, and on processors that we know no such instruction of.
    #[inline]
    pub(super) fn prefetch(&self, offset: usize) {
        #[cfg(target_arch = "x86_64")]
        if offset + CACHE_LINE < self.len {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: both addresses are within the mapping, as just checked; a prefetch reads
            // nothing that the program could see, whoever writes there.
            unsafe {
                let line = self.base.as_ptr().add(offset).cast();
                _mm_prefetch::<_MM_HINT_T0>(line);
                _mm_prefetch::<_MM_HINT_T0>(line.byte_add(CACHE_LINE));
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = offset;
    }

    #[inline]
    fn check(&self, offset: usize, len: usize) {
        assert!(
            offset <= self.len && len <= self.len - offset,
            "octets {offset}+{len} of a region of {}",
            self.len
        );
    }
}

/// [octets]
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone (`in_memory`, or the contract of `from_mapping`), and
        // no slice of it outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len.max(1)) };
    }
}
