//! The packet memory as the kernel knows it, shared by the sockets of several queues.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Copying;
use crate::frame::FramePool;
use crate::limits::{CHUNK_SIZE_MAX, CHUNK_SIZE_MIN, HEADROOM, LINK_HEADERS_MAX};

/// What the kernel always leaves free in front of a received packet [octets].
const KERNEL_HEADROOM: usize = 256;

/// What it is asked to leave in addition [octets], so that every packet has [`HEADROOM`].
pub(super) const EXTRA_HEADROOM: u32 = (HEADROOM - KERNEL_HEADROOM) as u32;

const _: () = assert!(HEADROOM >= KERNEL_HEADROOM);

/// The memory of one [`FramePool`], or of several that it was split into, for all AF_XDP sockets
/// that are to share it: of any queues, each opened by the pool of the core that polls it.
///
/// The first socket registers the memory with the kernel; those that follow are bound to the same
/// registration, each with fill and completion rings of its own. The kernel fixes zero-copy or
/// copying per registration, so where interfaces differ in that there are two of the same memory.
#[derive(Debug)]
pub struct Umem {
    /// Address of the memory in this process; only the kernel uses it.
    pub(super) address: usize,
    /// [octets]
    pub(super) len: usize,
    /// Size of a frame [octets].
    pub(super) frame_size: usize,
    pub(super) frames: usize,
    members: Mutex<Vec<Member>>,
}

#[derive(Debug)]
struct Member {
    socket: Weak<OwnedFd>,
    copying: Copying,
}

impl Umem {
    /// Describes the memory of `pool`; the kernel hears of it when the first socket opens.
    ///
    /// # Panics
    /// If the pool's frames do not fill a [`crate::frame::Region`].
    pub fn new(pool: &FramePool) -> Arc<Self> {
        Arc::new(Umem {
            address: pool.region().expect("a pool over a region").base().as_ptr() as usize,
            len: pool.index_end() * pool.frame_size(),
            frame_size: pool.frame_size(),
            frames: pool.index_end(),
            members: Mutex::new(Vec::new()),
        })
    }

    /// Whether this is the memory of `pool`.
    pub(super) fn is_of(&self, pool: &FramePool) -> bool {
        self.address == pool.address() && self.frames == pool.index_end()
    }

    /// A bound socket whose registration another may share.
    pub(super) fn member(&self, copying: Copying) -> Option<Arc<OwnedFd>> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|m| m.socket.strong_count() > 0);
        members.iter().filter(|m| m.copying == copying).find_map(|m| m.socket.upgrade())
    }

    pub(super) fn join(&self, socket: &Arc<OwnedFd>, copying: Copying) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.push(Member { socket: Arc::downgrade(socket), copying });
    }
}

/// The smallest frames that hold a packet of `mtu` octets with its link-layer header behind the
/// headroom [octets]; `None` beyond [`crate::limits::MTU_MAX`].
pub fn frame_size_for(mtu: u32) -> Option<usize> {
    let needed = HEADROOM + LINK_HEADERS_MAX + mtu as usize;
    [CHUNK_SIZE_MIN, CHUNK_SIZE_MAX].into_iter().find(|size| needed <= *size)
}
