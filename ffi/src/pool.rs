//! Packet memory: DPDK's mbufs at a uniform stride, the free ones on a stack of indices.

#![allow(unsafe_code, reason = "memory of DPDK's is reached by pointer")]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::eal::c_string;
use crate::error::{Reason, last_errno};
use crate::limits::{BUFFER_LEN_MAX, BUFFER_LEN_MIN, FRAMES_MAX, POOL_NAME_OCTETS_MAX};
use crate::{Eal, Error, log, raw};

/// Packet memory that devices take from and give back to. It is freed when the last [`Arc`] is
/// dropped: that of whoever made it, and one of each device.
///
/// Nothing here is atomic: whoever uses the frames, and each device that does, is with one thread
/// at a time.
#[derive(Debug)]
pub struct PacketPool {
    mempool: NonNull<raw::rte_mempool>,
    layout: Layout,
    /// Whose memory it is, if it is another's. Ends after the pool.
    _memory: Option<Arc<PacketPool>>,
    /// Ends after both.
    eal: Arc<Eal>,
}

// SAFETY: the pointers are to memory of the process, not of a thread. Through a shared reference
// only constants are read, and the count of free frames, which is kept for other threads to see.
unsafe impl Send for PacketPool {}
// SAFETY: as above.
unsafe impl Sync for PacketPool {}

/// Where the frames of a pool lie in memory.
///
/// A frame is free when it is on the stack; its count of references is 1 then. A second reference
/// (2) keeps a frame that goes out: when the device is done with it, it only counts down to 1. So
/// does any higher count: whoever marks frames there has drivers leave them alone.
///
/// Pools over one memory have the same frames, and each a stack of its own. A driver that is done with a
/// frame puts it on the stack of the pool that the frame itself names.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Buffer of the frame with index 0.
    pub buffers: NonNull<u8>,
    /// Count of references of the frame with index 0.
    pub refcounts: NonNull<u16>,
    /// Of the frame with index 0: the pool that it is of.
    pub pools: NonNull<*mut c_void>,
    /// How frames name this pool there.
    pub name: *mut c_void,
    /// From one frame to the next, for all of these [octets].
    pub stride: usize,
    /// [octets]
    pub buffer_len: u16,
    /// All indices are below.
    pub frames: u32,
    /// Frames on the stack of a fresh pool with memory of its own. The others would lie across pages
    /// that are not neighbours for devices, and are never used.
    pub usable: u32,
    pub free: NonNull<FreeStack>,
}

/// Free frames, by index; the last one freed on top. Lies in DPDK's memory.
#[derive(Debug)]
#[repr(C)]
pub struct FreeStack {
    pub len: u32,
    capacity: u32,
    indices: [u32; 0],
}

impl FreeStack {
    /// Room for all frames of the pool; the first `len` are in use.
    ///
    /// # Safety
    /// `self` is where [`Layout::free`] says, not a copy, and nobody else uses the pool meanwhile.
    pub unsafe fn indices(&mut self) -> &mut [u32] {
        // SAFETY: the shim allocated `capacity` numbers behind the structure.
        unsafe { std::slice::from_raw_parts_mut(self.indices.as_mut_ptr(), self.capacity as usize) }
    }
}

impl PacketPool {
    /// A pool of `frames` frames, each with a buffer of `buffer_len` octets of which the first
    /// [`crate::limits::HEADROOM`] stay free on arrival; on NUMA node `node`, if that matters.
    pub fn new(
        eal: &Arc<Eal>,
        name: &str,
        frames: u32,
        buffer_len: u16,
        node: Option<u32>,
    ) -> Result<Arc<Self>, Error> {
        if name.is_empty() || name.len() > POOL_NAME_OCTETS_MAX {
            return Err(Error::PoolName(name.to_owned()));
        }
        if !(1..=FRAMES_MAX).contains(&frames) {
            return Err(Error::Frames(frames));
        }
        if !(BUFFER_LEN_MIN..=BUFFER_LEN_MAX).contains(&buffer_len) {
            return Err(Error::BufferLen(buffer_len));
        }
        let c_name = c_string("name", name)?;
        let node = node.and_then(|node| i32::try_from(node).ok()).unwrap_or(raw::RR_NODE_ANY);
        // SAFETY: a zero-terminated string that outlives the call, and numbers within bounds.
        let (mempool, complaint) = log::captured(|| unsafe {
            raw::rr_pool_create(c_name.as_ptr(), frames, buffer_len, node)
        });
        let octets = u64::from(frames) * u64::from(buffer_len);
        let made = made(mempool, name, (frames, octets), complaint)?;
        let layout = Layout::of(made, frames, buffer_len);
        Ok(Arc::new(PacketPool { mempool: made, layout, _memory: None, eal: Arc::clone(eal) }))
    }

    /// Another pool over the same memory, without free frames: it gets those that whoever has both
    /// puts on its stack, and names it in.
    pub fn over(other: &Arc<Self>, name: &str) -> Result<Arc<Self>, Error> {
        if name.is_empty() || name.len() > POOL_NAME_OCTETS_MAX {
            return Err(Error::PoolName(name.to_owned()));
        }
        let c_name = c_string("name", name)?;
        // SAFETY: the other pool and a zero-terminated string, which both outlive the call; the first
        // also outlives what is made, by the `Arc` below.
        let (mempool, complaint) = log::captured(|| unsafe {
            raw::rr_pool_create_over(other.mempool.as_ptr(), c_name.as_ptr())
        });
        let Layout { frames, buffer_len, .. } = other.layout;
        let octets = u64::from(frames) * size_of::<u32>() as u64;
        let made = made(mempool, name, (frames, octets), complaint)?;
        let layout = Layout::of(made, frames, buffer_len);
        let (memory, eal) = (Some(Arc::clone(other)), Arc::clone(&other.eal));
        Ok(Arc::new(PacketPool { mempool: made, layout, _memory: memory, eal }))
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Free frames, as DPDK counts them. Other threads may ask; they get what was true just now.
    pub fn available(&self) -> u32 {
        // SAFETY: the mempool lives as long as `self`.
        unsafe { raw::rte_mempool_avail_count(self.mempool.as_ptr()) }
    }

    pub(crate) fn as_ptr(&self) -> *mut raw::rte_mempool {
        self.mempool.as_ptr()
    }
}

/// What DPDK has made, or why there is none: of so many frames, and so many octets.
fn made(
    mempool: *mut raw::rte_mempool,
    name: &str,
    (frames, octets): (u32, u64),
    complaint: Option<String>,
) -> Result<NonNull<raw::rte_mempool>, Error> {
    NonNull::new(mempool).ok_or_else(|| match last_errno() {
        libc::EEXIST => Error::PoolExists(name.to_owned()),
        errno => Error::Pool {
            name: name.to_owned(),
            frames,
            megabytes: octets.div_ceil(1 << 20),
            reason: Reason::new(errno, complaint),
        },
    })
}

impl Drop for PacketPool {
    fn drop(&mut self) {
        // SAFETY: each device that takes from it holds an `Arc` of it, so none is left.
        unsafe { raw::rte_mempool_free(self.mempool.as_ptr()) };
    }
}

impl Layout {
    fn of(mempool: NonNull<raw::rte_mempool>, frames: u32, buffer_len: u16) -> Self {
        let mut layout = MaybeUninit::<raw::rr_layout>::uninit();
        // SAFETY: made by `rr_pool_create`; the call writes all of `layout`.
        let layout = unsafe {
            raw::rr_pool_layout(mempool.as_ptr(), layout.as_mut_ptr());
            layout.assume_init()
        };
        let there = "the shim names memory that it has";
        Layout {
            buffers: NonNull::new(layout.buffers.cast()).expect(there),
            refcounts: NonNull::new(layout.refcounts.cast()).expect(there),
            pools: NonNull::new(layout.pools.cast()).expect(there),
            name: mempool.as_ptr().cast(),
            stride: layout.stride as usize,
            buffer_len,
            frames,
            usable: layout.usable,
            free: NonNull::new(layout.free.cast()).expect(there),
        }
    }
}

const _: () = assert!(size_of::<FreeStack>() == size_of::<raw::rr_free_stack>());
