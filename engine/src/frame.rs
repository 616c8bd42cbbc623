//! Packet memory: a pool of equal frames, and the handles that own them.
//!
//! A [`Frame`] owns the bytes it names and is move-only: whoever holds it decides when the memory
//! goes home, by giving it back to its [`FramePool`]. Dropping one is a bug (debug builds panic);
//! so every frame is free in the pool, held by a place that can be named, or with a device.
//!
//! Payload that is on its way out and still kept for retransmission is needed in two places.
//! [`FramePool::share`] makes a second handle to the same memory and counts it; while a frame is
//! shared it can be read but not written, so the device never sees bytes change under it.
//!
//! Several cores have a pool each over one memory ([`FramePool::split`]). Frames go from pool to
//! pool for good ([`Transit`]) or to be sent and given back ([`Loan`]).
//!
//! Start reading at [`Frame`], then [`FramePool`].

mod burst;
mod devices;
mod holders;
mod loan;
mod region;
mod store;
mod transit;

use std::num::NonZeroU32;

pub use burst::Burst;
pub use loan::{DepartingGuests, Loan};
pub use region::Region;
pub use store::{Layout, Mark, Store, prefetch};
pub use transit::Transit;

use self::holders::Holders;
use self::loan::Guests;

use crate::limits::{
    CHUNK_SIZE_MAX, CHUNK_SIZE_MIN, FRAME_SIZE_MAX, FRAMES_MAX, KEPT_FOR_ORDER, POOLS_MAX,
};

/// An owning handle to one frame of a pool, and the window of its bytes that is in use.
///
/// The window is `[start, start + len)` within the frame. Eight bytes, also as an `Option`.
#[derive(Debug)]
#[must_use = "a frame that is dropped is lost to its pool; give it back with `FramePool::free`"]
pub struct Frame {
    /// Number of its pool, plus one, above the index of the frame. A pool takes its own number off
    /// and looks whether what is left is an index; of other pools' handles it is none.
    name: NonZeroU32,
    start: u16,
    len: u16,
}

impl Frame {
    /// Which frame of the memory this is. Tables that run beside the pool are indexed by it.
    #[inline]
    pub fn index(&self) -> u32 {
        self.name.get() & INDEX_MASK
    }

    /// Where the window starts within the frame [octets].
    #[inline]
    pub fn start(&self) -> usize {
        usize::from(self.start)
    }

    /// Length of the window [octets].
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes `octets` off the front of the window (a header that has been read).
    ///
    /// # Panics
    /// If the window is shorter.
    #[inline]
    pub fn trim_front(&mut self, octets: usize) {
        assert!(octets <= self.len(), "trimmed {octets} octets off a window of {}", self.len);
        self.start += octets as u16;
        self.len -= octets as u16;
    }

    /// Shortens the window to `octets` (padding behind a packet); longer windows only.
    #[inline]
    pub fn truncate(&mut self, octets: usize) {
        if octets < self.len() {
            self.len = octets as u16;
        }
    }

    fn new(name: NonZeroU32, start: usize, len: usize) -> Self {
        debug_assert!(start <= FRAME_SIZE_MAX && len <= FRAME_SIZE_MAX);
        Frame { name, start: start as u16, len: len as u16 }
    }

    /// Number of the pool that the handle is of.
    #[inline]
    fn pool(&self) -> u8 {
        ((self.name.get() >> INDEX_BITS) - 1) as u8
    }
}

/// The name of the first frame, in the pool of this number.
const fn first_name(pool: u8) -> NonZeroU32 {
    NonZeroU32::new((pool as u32 + 1) << INDEX_BITS).expect("a pool below POOLS_MAX")
}

/// Of a frame's name.
const INDEX_BITS: u32 = FRAMES_MAX.ilog2();
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

impl Drop for Frame {
    fn drop(&mut self) {
        debug_assert!(std::thread::panicking(), "frame {} was dropped, not freed", self.index());
    }
}

/// A pool of equal frames, with a count of who holds each.
///
/// Belongs to one core: not shared between threads, so nothing here is atomic.
#[derive(Debug)]
pub struct FramePool {
    store: Store,
    /// Handles in the engine to this pool's frames: not to guests, nor those that devices or other
    /// pools have.
    in_hand: usize,
    /// Free frames that open devices must always find here.
    device_reserve: usize,
    /// Frames that this pool may have at most, with those that others give up to it.
    capacity_max: usize,
    /// See [`FramePool::set_passing`].
    passing: usize,
    /// See [`Frame::name`].
    first_name: NonZeroU32,
    /// `None` in a pool that has its memory to itself.
    guests: Option<Guests>,
}

impl FramePool {
    /// Divides `region` into frames of `frame_size` octets.
    ///
    /// # Panics
    /// If `frame_size` is not a power of two from [`CHUNK_SIZE_MIN`] to [`CHUNK_SIZE_MAX`], or the
    /// region holds more than [`FRAMES_MAX`]. Both are decided at start, from checked settings.
    pub fn new(region: Region, frame_size: usize) -> Self {
        assert!(
            frame_size.is_power_of_two() && (CHUNK_SIZE_MIN..=CHUNK_SIZE_MAX).contains(&frame_size)
        );
        FramePool::from_store(Store::over(region, frame_size))
    }

    /// A pool of frames that were laid out elsewhere.
    ///
    /// # Panics
    /// If there are more than [`FRAMES_MAX`], or larger ones than [`FRAME_SIZE_MAX`].
    pub fn from_store(store: Store) -> Self {
        assert!(store.index_end() <= FRAMES_MAX && store.frame_size() <= FRAME_SIZE_MAX);
        let capacity_max = store.capacity();
        FramePool {
            store,
            in_hand: 0,
            device_reserve: 0,
            capacity_max,
            passing: 0,
            first_name: first_name(0),
            guests: None,
        }
    }

    /// A pool in ordinary memory, for simulation and tests.
    pub fn in_memory(frames: usize, frame_size: usize) -> Self {
        FramePool::new(Region::in_memory(frames * frame_size), frame_size)
    }

    /// All frames of this pool [frames].
    pub fn capacity(&self) -> usize {
        self.store.capacity()
    }

    /// Frames that this pool may have at most [frames]. More than [`FramePool::capacity`] where others
    /// give frames up to it, as they do to a worker on a core of its own.
    pub fn capacity_max(&self) -> usize {
        self.capacity_max
    }

    /// Has the pool keep to so many frames: one that has taken them all is scarce.
    pub fn set_capacity_max(&mut self, frames: usize) {
        self.capacity_max = frames;
    }

    /// Frames are numbered below this; see [`Frame::index`].
    pub fn index_end(&self) -> usize {
        self.store.index_end()
    }

    /// Frames that nobody holds [frames].
    #[inline]
    pub fn free_count(&self) -> usize {
        self.store.free_count()
    }

    /// Frames that somebody holds, devices and pools that they are lent to included [frames].
    pub fn held_count(&self) -> usize {
        self.capacity() - self.free_count()
    }

    /// Tells how many of the frames that are held are packets of a burst which nobody has looked at yet
    /// [frames]. They do not count as held: were there room for the last packets of a burst alone, who
    /// sends the same burst again would get its end through each time, and never its beginning.
    #[inline]
    pub fn set_passing(&mut self, frames: usize) {
        self.passing = frames;
    }

    /// Frames that can still be held before the pool has none, those included that others may still
    /// give up to it [frames].
    #[inline]
    fn available(&self) -> usize {
        (self.capacity_max + self.passing).saturating_sub(self.held_count())
    }

    /// Whether what is free is needed by the devices. Devices are refilled before all else, so
    /// only holding on to received frames brings the pool here. Who could hold one more (payload
    /// waiting for an acknowledgement, say) drops it instead; what is consumed at once, as the
    /// acknowledgement that frees the others, is welcome still. So reception never starves.
    #[inline]
    pub fn is_scarce(&self) -> bool {
        self.available() < self.device_reserve
    }

    /// Frames that are free beyond what the devices need [frames].
    #[inline]
    pub fn spare_count(&self) -> usize {
        self.available().saturating_sub(self.device_reserve)
    }

    /// Whether frames should go only to payload that can move on. What waits for something else
    /// to arrive first would otherwise take all frames up to the reserve; then what it waits for
    /// would be dropped for want of one, for ever.
    #[inline]
    pub fn is_tight(&self) -> bool {
        let usable = self.capacity_max.saturating_sub(self.device_reserve);
        self.available() < self.device_reserve + usable / KEPT_FOR_ORDER
    }

    pub fn frame_size(&self) -> usize {
        self.store.frame_size()
    }

    /// The one piece of memory that the frames fill; `None` if they were laid out elsewhere.
    pub fn region(&self) -> Option<&Region> {
        self.store.region()
    }

    /// Where the first frame lies: the same in all pools of one memory, and in no others.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.store.address()
    }

    /// Where the stack of free frames lies: no two pools that live at once have the same.
    #[inline]
    #[cfg(feature = "dpdk")]
    pub(crate) fn stack_address(&self) -> usize {
        self.store.stack_address()
    }

    /// A fresh frame with an empty window behind the headroom; `None` when the pool is empty.
    #[inline]
    pub fn alloc(&mut self) -> Option<Frame> {
        let index = self.store.pop()?;
        self.store.set_holders(index, Holders::SOLE);
        self.in_hand += 1;
        Some(Frame::new(self.name_of(index), self.store.headroom(), 0))
    }

    /// Gives a handle back. The memory is free once its last handle is.
    #[inline]
    pub fn free(&mut self, frame: Frame) {
        let index = self.index_of(&frame);
        std::mem::forget(frame);
        match self.store.holders(index) {
            Holders::SOLE => {
                self.in_hand -= 1;
                self.store.mark_free(index);
                self.store.push(index);
            }
            holders => self.free_one_of(index, holders),
        }
    }

    /// Gives a handle back to a frame that has others, or is known to another pool.
    #[inline]
    fn free_one_of(&mut self, index: u32, holders: Holders) {
        assert!(holders.handles() > 0, "frame {index} was freed twice");
        let left = holders.one_less();
        self.store.set_holders(index, left);
        match &mut self.guests {
            Some(guests) if holders.is_guest() => {
                if left.handles() == 0 {
                    guests.leave(index);
                }
            }
            _ => self.in_hand -= 1,
        }
    }

    /// A second handle to the same memory, with the same window: one stays with the sender for
    /// retransmission, the other goes out. Until either is freed the bytes cannot be written.
    ///
    /// # Panics
    /// If there is a second handle already, be it lent.
    #[inline]
    pub fn share(&mut self, frame: &Frame) -> Frame {
        let index = self.index_of(frame);
        let holders = self.store.holders(index);
        assert!(holders.handles() == 1 && !holders.is_lent(), "frame {index} is shared already");
        self.store.set_holders(index, holders.one_more());
        self.in_hand += usize::from(!holders.is_guest());
        Frame::new(frame.name, frame.start(), frame.len())
    }

    /// A copy of the window in a frame of its own, at the same start; `None` when the pool is
    /// empty.
    pub fn copy(&mut self, frame: &Frame) -> Option<Frame> {
        let mut copy = self.alloc()?;
        (copy.start, copy.len) = (frame.start, frame.len);
        self.store.copy(self.index_of(frame), copy.index(), frame.start(), frame.len());
        Some(copy)
    }

    /// Whether it cannot be written: another handle exists, as the frame is still on its way out.
    #[inline]
    pub fn is_shared(&self, frame: &Frame) -> bool {
        self.store.holders(self.index_of(frame)) != Holders::SOLE
    }

    /// The window's bytes.
    ///
    /// # Panics
    /// If the frame is in another pool.
    #[inline]
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        self.store.slice(self.index_of(frame), frame.start(), frame.len())
    }

    /// Has the processor fetch the start of the window, where headers are, while others are
    /// worked on: what a device has just written is in no cache of ours.
    #[inline]
    pub fn prefetch(&self, frame: &Frame) {
        self.store.prefetch(self.index_of(frame), frame.start());
    }

    /// The same for a frame that is known by its index alone: where headers are, or will be.
    #[inline]
    pub fn prefetch_room(&self, index: u32) {
        self.store.prefetch_room(index);
    }

    /// The window's bytes, to be written.
    ///
    /// # Panics
    /// If the frame is shared: its bytes belong to the device, or to another pool.
    #[inline]
    pub fn bytes_mut(&mut self, frame: &mut Frame) -> &mut [u8] {
        self.assert_sole(frame);
        self.store.slice_mut(self.index_of(frame), frame.start(), frame.len())
    }

    /// Grows the window by `octets` at its front and returns those new bytes: room for a header.
    ///
    /// # Panics
    /// If the frame is shared, or has no such room (see [`crate::limits::HEADERS_MAX`]).
    #[inline]
    pub fn push_front(&mut self, frame: &mut Frame, octets: usize) -> &mut [u8] {
        self.assert_sole(frame);
        assert!(octets <= frame.start(), "no room for {octets} octets in front of the window");
        frame.start -= octets as u16;
        frame.len += octets as u16;
        self.store.slice_mut(self.index_of(frame), frame.start(), octets)
    }

    /// Grows the window by `octets` at its end and returns those new bytes; `None` if they do not
    /// fit.
    ///
    /// # Panics
    /// If the frame is shared.
    #[inline]
    pub fn push_back(&mut self, frame: &mut Frame, octets: usize) -> Option<&mut [u8]> {
        self.assert_sole(frame);
        if octets > self.room_behind(frame) {
            return None;
        }
        let end = frame.start() + frame.len();
        frame.len += octets as u16;
        Some(self.store.slice_mut(self.index_of(frame), end, octets))
    }

    /// Octets between the end of the window and the end of the frame.
    #[inline]
    pub fn room_behind(&self, frame: &Frame) -> usize {
        self.frame_size() - frame.start() - frame.len()
    }

    /// The frame's index, or none that there is if the handle is another pool's. Nothing is done
    /// by an index but after a look whether it is one.
    #[inline]
    fn index_of(&self, frame: &Frame) -> u32 {
        frame.name.get().wrapping_sub(self.first_name.get())
    }

    #[inline]
    fn name_of(&self, index: u32) -> NonZeroU32 {
        self.first_name | index
    }

    #[inline]
    fn assert_sole(&self, frame: &Frame) {
        assert!(
            !self.is_shared(frame),
            "frame {} is on its way out and cannot be written",
            frame.index()
        );
    }
}

const _: () = assert!(size_of::<Option<Frame>>() == 8);
// An index is a mask away, and there is a number above it for every pool.
const _: () = assert!(FRAMES_MAX == 1 << INDEX_BITS);
const _: () = assert!(POOLS_MAX < 1 << (u32::BITS - INDEX_BITS));

#[cfg(test)]
mod tests;
