//! One contiguous piece of memory that devices and the engine share.

#![allow(unsafe_code, reason = "memory is mapped and unmapped by system calls")]

use std::ptr::NonNull;

/// Page-aligned memory, mapped once and unmapped when dropped.
#[derive(Debug)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a `Region` is the only owner of its mapping, which any thread may use.
unsafe impl Send for Region {}
// SAFETY: through a shared reference it only says where the mapping is.
unsafe impl Sync for Region {}

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
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone (`in_memory`, or the contract of `from_mapping`), and
        // the store that owns this region hands out nothing that outlives it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len.max(1)) };
    }
}
