//! Where a pool's frames lie, who holds each, and which are free.
//!
//! Several stores may lie over one memory, each with counts and a stack of its own, on a thread of
//! its own. Why no two threads race for a frame's octets:
//! - They are written in the store alone that counts one holder and no more: [`Holders::SOLE`].
//! - A frame is counted in one store. It is taken out of there before a [`super::Transit`] of it
//!   exists, and into another when that is used up. Neither can be copied, and whatever carries one
//!   between threads has what was done before it was sent be seen by who received it. So it is with a
//!   count, and with a mark for drivers, that lie in the frame itself and go with it.
//! - A [`super::Loan`] lets a second store count it, as a guest. From before it is lent until after
//!   it is back the lender counts it as lent and the host as a guest, so that neither writes.
//! - A handle of one store's names no frame in another over the same memory. Those of two memories
//!   are not told apart; who splits a memory has no other.
//! - What a device does with a frame it does between being given it and giving it back.

#![allow(
    unsafe_code,
    reason = "memory that the kernel, devices and drivers read and write is reached by pointer"
)]

use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use super::{Holders, Region};
use crate::limits::HEADROOM;

/// A pool's memory: frames at equal distances, for each a count of its holders at equal distances
/// too, and a stack of the free ones.
///
/// An AF_XDP pool lays them out itself ([`Store::over`]). In DPDK's a frame is an mbuf, its count
/// of holders the mbuf's own, and the stack what the drivers' memory pool takes from and gives to. Of
/// several that drivers use, each has a stack of its own, and a frame's mark says which it is in.
pub struct Store {
    layout: Layout,
    /// Held until no store over it is left.
    memory: Arc<Memory>,
    /// Held; `None` if the counts and the stack lie in the memory.
    _books: Option<Books>,
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
    /// Frames that the store has: fewer than numbers, if some cannot be used or are in others.
    pub capacity: u32,
    /// The first frame's count of holders.
    pub holders: NonNull<u16>,
    /// From one count to the next [octets].
    pub holders_stride: usize,
    /// What the count of a free frame says.
    pub holders_when_free: u16,
    /// How many are free; behind it, how many can be; behind it, their numbers.
    pub free: NonNull<u32>,
    /// `None` where drivers use one store of the memory at most.
    pub mark: Option<Mark>,
}

/// How a frame tells drivers which store it is in.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// The first frame's; the others' are as far apart as counts of holders.
    pub place: NonNull<*mut c_void>,
    /// What is there of a frame of this store.
    pub value: *mut c_void,
}

/// What keeps the frames in place.
enum Memory {
    Region(Region),
    Foreign(#[allow(dead_code, reason = "held, not read")] Box<dyn Send + Sync>),
}

/// What keeps counts and stack in place.
///
/// No boxes: one that is moved claims that nobody else points to what is in it.
struct Books {
    holders: Vec<u16>,
    free: Vec<u32>,
}

// SAFETY: a `Store` is the only one in this process that uses its counts and its stack, but for
// devices and drivers, which do so within calls of the thread that has the store. What it points
// to of frames it shares with other stores as the module says.
unsafe impl Send for Store {}

impl Store {
    /// Divides `region` into frames of `frame_size` octets.
    pub(super) fn over(region: Region, frame_size: usize) -> Self {
        let count = (region.len() / frame_size) as u32;
        let frames = region.base();
        let mut books = Books::new(count);
        let layout = Layout {
            frames,
            stride: frame_size,
            frame_size,
            headroom: HEADROOM,
            index_end: count,
            capacity: count,
            holders: first(&mut books.holders),
            holders_stride: size_of::<u16>(),
            holders_when_free: Holders::NONE.0,
            free: first(&mut books.free),
            mark: None,
        };
        let memory = Arc::new(Memory::Region(region));
        let mut store = Store { layout, memory, _books: Some(books) };
        // The first frame on top.
        (0..count).rev().for_each(|index| store.push(index));
        store
    }

    /// A store over the same memory, with books of its own and without frames. No driver uses it.
    pub(super) fn beside(&self) -> Self {
        let mut books = Books::new(self.layout.index_end);
        let layout = Layout {
            capacity: 0,
            holders: first(&mut books.holders),
            holders_stride: size_of::<u16>(),
            holders_when_free: Holders::NONE.0,
            free: first(&mut books.free),
            mark: None,
            ..self.layout
        };
        Store { layout, memory: Arc::clone(&self.memory), _books: Some(books) }
    }

    /// Gives `share` free frames to another store over the same memory.
    ///
    /// # Panics
    /// If there are fewer.
    pub(super) fn give(&mut self, share: usize, other: &mut Store) {
        assert!(other.address() == self.address(), "a store over other memory");
        for _ in 0..share {
            let index = self.pop().expect("as many free frames as are shared out");
            self.leave(index);
            other.join(index);
            other.mark_free(index);
            other.push(index);
        }
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
    /// have taken off the stack or were given. No frame gets onto the stack by them that has more
    /// than one holder.
    ///
    /// Of several stores over the same frames and counts all but one begin without frames, and each has a
    /// `mark`: an aligned pointer for each frame, as far apart as the counts. A frame and its count are then
    /// used, and the frame is put onto a stack, as above by whom calls of the one store allow it to that the
    /// frame is marked to be in.
    pub unsafe fn foreign(layout: Layout, owner: Box<dyn Send + Sync>) -> Self {
        Store { layout, memory: Arc::new(Memory::Foreign(owner)), _books: None }
    }

    /// The one piece of memory that the frames fill; `None` if they lie elsewhere.
    pub(super) fn region(&self) -> Option<&Region> {
        match &*self.memory {
            Memory::Region(region) => Some(region),
            Memory::Foreign(_) => None,
        }
    }

    #[inline]
    pub(super) fn address(&self) -> usize {
        self.layout.frames.as_ptr() as usize
    }

    /// Where the stack lies: no two stores that live at once have the same.
    #[inline]
    #[cfg(feature = "dpdk")]
    pub(super) fn stack_address(&self) -> usize {
        self.layout.free.as_ptr() as usize
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
        // SAFETY: the first word of the stack (`Books`, or the contract of `foreign`).
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

    /// Who holds a frame; nobody, if it is free and that can be told.
    #[inline]
    pub(super) fn holders(&self, index: u32) -> Holders {
        // SAFETY: `count_of` points to this frame's count, which drivers change in calls of ours
        // alone.
        unsafe { Holders(self.count_of(index).read()) }
    }

    #[inline]
    pub(super) fn set_holders(&mut self, index: u32, holders: Holders) {
        // SAFETY: as in `holders`; exclusive by `&mut self`.
        unsafe { self.count_of(index).write(holders.0) }
    }

    #[inline]
    pub(super) fn mark_free(&mut self, index: u32) {
        self.set_holders(index, Holders(self.layout.holders_when_free));
    }

    /// A frame that is not on the stack goes to another store.
    #[inline]
    pub(super) fn leave(&mut self, index: u32) {
        self.set_holders(index, Holders::NONE);
        self.layout.capacity -= 1;
    }

    /// A frame comes from another store, with one handle.
    #[inline]
    pub(super) fn join(&mut self, index: u32) {
        self.set_holders(index, Holders::SOLE);
        self.layout.capacity += 1;
        if let Some(Mark { place, value }) = self.layout.mark {
            // SAFETY: `set_holders` has checked that there is such a frame, and each has a mark (the
            // contract of `foreign`); exclusive by `&mut self`, as the frame is in no other store.
            unsafe {
                place.byte_add(index as usize * self.layout.holders_stride).write(value);
            }
        }
    }

    #[inline]
    pub(super) fn slice(&self, index: u32, start: usize, len: usize) -> &[u8] {
        let octets = self.octets(index, start, len);
        // SAFETY: in bounds (checked by `octets`, in release too). The caller has a handle of this
        // store's to the frame, so it is counted here. No `&mut` to it exists in this store, because `slice_mut` borrows it
        // exclusively, nor in another: see the module. A device may read it at the same time, and
        // writes only frames that it has to receive into, to which no handle exists.
        unsafe { slice::from_raw_parts(octets.as_ptr(), len) }
    }

    #[inline]
    pub(super) fn slice_mut(&mut self, index: u32, start: usize, len: usize) -> &mut [u8] {
        let octets = self.octets(index, start, len);
        // SAFETY: as in `slice`; and the pool has checked that this handle is the only one, so
        // neither a device nor another store reads the frame.
        unsafe { slice::from_raw_parts_mut(octets.as_ptr(), len) }
    }

    /// Copies octets from one frame to another, at the same place in both.
    pub(super) fn copy(&mut self, from: u32, to: u32, start: usize, len: usize) {
        let (from, to) = (self.octets(from, start, len), self.octets(to, start, len));
        // SAFETY: both ranges are in bounds, and nobody else has a reference to either, since the
        // store is borrowed exclusively. As in `slice` and `slice_mut`, no device and no other
        // store writes the one, and none has the other.
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
        // SAFETY: every frame has a count (`Books`, or the contract of `foreign`).
        unsafe { self.layout.holders.byte_add(index as usize * self.layout.holders_stride) }
    }
}

impl Books {
    /// For frames of which none is there: no handles, and an empty stack with room for all.
    fn new(count: u32) -> Self {
        let mut free = vec![0; 2 + count as usize];
        free[1] = count;
        Books { holders: vec![0; count as usize], free }
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
