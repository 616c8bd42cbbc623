//! Where a pool's frames lie, who holds each, and which are free.

#![allow(
    unsafe_code,
    reason = "memory that the kernel, devices and drivers read and write is reached by pointer"
)]

use std::fmt;
use std::ptr::NonNull;
use std::slice;

use super::Region;
use crate::limits::HEADROOM;

/// A pool's memory: frames at equal distances, for each a count of its holders at equal distances
/// too, and a stack of the free ones.
///
/// An AF_XDP pool lays them out itself ([`Store::over`]). In DPDK's a frame is an mbuf, its count
/// of holders the mbuf's own, and the stack what the drivers' memory pool takes from and gives to.
pub struct Store {
    layout: Layout,
    owner: Owner,
}

/// Where everything is.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The first frame.
    pub frames: NonNull<u8>,
    /// From one frame to the next [octets].
    pub stride: usize,
    /// Of one frame [octets].
    pub frame_size: usize,
    /// Room in front of what a fresh frame holds [octets].
    pub headroom: usize,
    /// Frames are numbered below this.
    pub index_end: u32,
    /// Frames that there are: fewer than numbers, if some could not be used.
    pub capacity: u32,
    /// The first frame's count of holders.
    pub holders: NonNull<u16>,
    /// From one count to the next [octets].
    pub holders_stride: usize,
    /// What the count of a free frame says.
    pub holders_when_free: u16,
    /// How many are free; behind it, how many can be; behind it, their numbers.
    pub free: NonNull<u32>,
}

/// What keeps the memory in place.
enum Owner {
    /// No boxes: one that is moved claims that nobody else points to what is in it.
    Ours {
        region: Region,
        _holders: Vec<u16>,
        _free: Vec<u32>,
    },
    Foreign(#[allow(dead_code, reason = "held, not read")] Box<dyn Send>),
}

// SAFETY: a `Store` is the only one in this process that uses what it points to, but for devices
// and drivers, which do so within calls of the thread that has the store.
unsafe impl Send for Store {}

impl Store {
    /// Divides `region` into frames of `frame_size` octets.
    pub(super) fn over(region: Region, frame_size: usize) -> Self {
        let count = (region.len() / frame_size) as u32;
        let mut holders = vec![0; count as usize];
        // The first frame on top.
        let mut free: Vec<u32> = [count, count].into_iter().chain((0..count).rev()).collect();
        let layout = Layout {
            frames: region.base(),
            stride: frame_size,
            frame_size,
            headroom: HEADROOM,
            index_end: count,
            capacity: count,
            holders: first(&mut holders),
            holders_stride: size_of::<u16>(),
            holders_when_free: 0,
            free: first(&mut free),
        };
        Store { layout, owner: Owner::Ours { region, _holders: holders, _free: free } }
    }

    /// Uses memory that `owner` keeps in place.
    ///
    /// # Safety
    /// As long as `owner` lives, for each `index` below `layout.index_end` there are `frame_size`
    /// readable and writable octets at `frames + index * stride`, and an aligned `u16` at
    /// `holders + index * holders_stride`. `free` is aligned, and names two words and behind them
    /// as many as the second one says; at most that many frames are ever free. Numbers on the
    /// stack are below `index_end`, each there once at most. Nobody else uses any of it but while
    /// the thread that has this store calls them; and what they use then of frames is what they
    /// have taken off the stack or were given.
    pub unsafe fn foreign(layout: Layout, owner: Box<dyn Send>) -> Self {
        Store { layout, owner: Owner::Foreign(owner) }
    }

    /// The one piece of memory that the frames fill; `None` if they lie elsewhere.
    pub(super) fn region(&self) -> Option<&Region> {
        match &self.owner {
            Owner::Ours { region, .. } => Some(region),
            Owner::Foreign(_) => None,
        }
    }

    #[inline]
    pub(super) fn address(&self) -> usize {
        self.layout.frames.as_ptr() as usize
    }

    pub(super) fn capacity(&self) -> usize {
        self.layout.capacity as usize
    }

    pub(super) fn index_end(&self) -> usize {
        self.layout.index_end as usize
    }

    #[inline]
    pub(super) fn frame_size(&self) -> usize {
        self.layout.frame_size
    }

    #[inline]
    pub(super) fn headroom(&self) -> usize {
        self.layout.headroom
    }

    /// Free frames.
    #[inline]
    pub(super) fn free_count(&self) -> usize {
        // SAFETY: the first word of the stack (`over`, or the contract of `foreign`).
        unsafe { self.layout.free.read() as usize }
    }

    /// Takes a free frame, the last freed first: the one most likely still in cache.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        // SAFETY: the stack's words are ours to read and write while no driver is called, and
        // `&mut self` says that none is. The number read lies among those that the first word
        // counts.
        unsafe {
            let left = self.layout.free.read().checked_sub(1)?;
            self.layout.free.write(left);
            Some(self.layout.free.add(2 + left as usize).read())
        }
    }

    #[inline]
    pub(super) fn push(&mut self, index: u32) {
        // SAFETY: as in `pop`; the number is written only where there is room for it.
        unsafe {
            let len = self.layout.free.read();
            assert!(len < self.layout.free.add(1).read(), "more frames are free than there are");
            self.layout.free.add(2 + len as usize).write(index);
            self.layout.free.write(len + 1);
        }
    }

    /// Handles to a frame, those of devices included; zero if it is free and that can be told.
    #[inline]
    pub(super) fn holders(&self, index: u32) -> u16 {
        // SAFETY: `count_of` points to this frame's count, which drivers change in calls of ours
        // alone.
        unsafe { self.count_of(index).read() }
    }

    #[inline]
    pub(super) fn set_holders(&mut self, index: u32, holders: u16) {
        // SAFETY: as in `holders`; exclusive by `&mut self`.
        unsafe { self.count_of(index).write(holders) }
    }

    #[inline]
    pub(super) fn mark_free(&mut self, index: u32) {
        self.set_holders(index, self.layout.holders_when_free);
    }

    #[inline]
    pub(super) fn slice(&self, index: u32, start: usize, len: usize) -> &[u8] {
        let octets = self.octets(index, start, len);
        // SAFETY: in bounds (checked by `octets`, in release too). The frame that this range
        // belongs to is held by the caller's handle; no `&mut` to it exists, because `slice_mut`
        // borrows the store exclusively. A device may read it at the same time, and writes only
        // frames that it has to receive into, to which no handle exists.
        unsafe { slice::from_raw_parts(octets.as_ptr(), len) }
    }

    #[inline]
    pub(super) fn slice_mut(&mut self, index: u32, start: usize, len: usize) -> &mut [u8] {
        let octets = self.octets(index, start, len);
        // SAFETY: as in `slice`; and the pool has checked that this handle is the only one, so no
        // device reads the frame either.
        unsafe { slice::from_raw_parts_mut(octets.as_ptr(), len) }
    }

    /// Copies octets from one frame to another, at the same place in both.
    pub(super) fn copy(&mut self, from: u32, to: u32, start: usize, len: usize) {
        let (from, to) = (self.octets(from, start, len), self.octets(to, start, len));
        // SAFETY: both ranges are in bounds, and nobody else has a reference to either, since the
        // store is borrowed exclusively. As in `slice` and `slice_mut`, no device writes the one,
        // and none has the other.
        unsafe { std::ptr::copy(from.as_ptr(), to.as_ptr(), len) };
    }

    /// Asks the processor to fetch two cache lines from `start` on. Does nothing on processors
    /// that we know no such instruction of.
    #[inline]
    pub(super) fn prefetch(&self, index: u32, start: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let line = self.octets(index, start, 0).as_ptr().cast();
            // SAFETY: a prefetch reads nothing that the program could see, and faults nowhere.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(line);
                _mm_prefetch::<_MM_HINT_T0>(line.wrapping_byte_add(CACHE_LINE));
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (index, start);
    }

    /// The same for where headers go that are written in front of a payload, and for the count of
    /// handles.
    #[inline]
    pub(super) fn prefetch_room(&self, index: u32) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            self.prefetch(index, self.headroom());
            // SAFETY: as in `prefetch`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.count_of(index).as_ptr().cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = index;
    }

    /// `len` octets of a frame, from `start` on.
    #[inline]
    fn octets(&self, index: u32, start: usize, len: usize) -> NonNull<u8> {
        assert!(
            index < self.layout.index_end
                && start <= self.layout.frame_size
                && len <= self.layout.frame_size - start,
            "octets {start}+{len} of frame {index}, of {} octets",
            self.layout.frame_size
        );
        // SAFETY: within the frame, as just checked, and the frame is within the memory.
        unsafe { self.layout.frames.add(index as usize * self.layout.stride + start) }
    }

    #[inline]
    fn count_of(&self, index: u32) -> NonNull<u16> {
        assert!(index < self.layout.index_end, "frame {index} of {}", self.layout.index_end);
        // SAFETY: every frame has a count (`over`, or the contract of `foreign`).
        unsafe { self.layout.holders.byte_add(index as usize * self.layout.holders_stride) }
    }
}

/// Has the processor fetch a value while others are worked on. Does nothing on processors that we know
/// no such instruction of.
#[inline]
pub fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let first = std::ptr::from_ref(value).cast::<i8>();
        for offset in (0..size_of::<T>()).step_by(CACHE_LINE) {
            // SAFETY: a prefetch reads nothing that the program could see, and faults nowhere.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_byte_add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("capacity", &self.layout.capacity)
            .field("free", &self.free_count())
            .field("frame_size", &self.layout.frame_size)
            .finish_non_exhaustive()
    }
}

/// The place of the first item; dangling if there is none, and then never used.
fn first<T>(items: &mut Vec<T>) -> NonNull<T> {
    NonNull::new(items.as_mut_ptr()).unwrap_or(NonNull::dangling())
}

/// [octets]
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;
