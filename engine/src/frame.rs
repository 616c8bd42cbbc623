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
//! Start reading at [`Frame`], then [`FramePool`].

mod burst;
mod region;

use std::num::NonZeroU32;

pub use burst::Burst;
pub use region::Region;

use crate::limits::{
    FRAME_SIZE_MAX, FRAME_SIZE_MIN, FRAMES_MAX, HEADROOM, KEPT_FOR_ORDER, LINK_HEADERS_MAX,
};

/// The smallest frames that hold a packet of `mtu` octets with its link-layer header behind the
/// headroom [octets]; `None` beyond [`crate::limits::MTU_MAX`].
pub fn size_for(mtu: u32) -> Option<usize> {
    let needed = HEADROOM + LINK_HEADERS_MAX + mtu as usize;
    [FRAME_SIZE_MIN, FRAME_SIZE_MAX].into_iter().find(|size| needed <= *size)
}

/// An owning handle to one frame of a pool, and the window of its bytes that is in use.
///
/// The window is `[start, start + len)` within the frame. Eight bytes, also as an `Option`.
#[derive(Debug)]
#[must_use = "a frame that is dropped is lost to its pool; give it back with `FramePool::free`"]
pub struct Frame {
    /// Index of the frame in its pool, plus one.
    index_plus_one: NonZeroU32,
    start: u16,
    len: u16,
}

impl Frame {
    /// Which frame of the pool this is. Tables that run beside the pool are indexed by it.
    #[inline]
    pub fn index(&self) -> u32 {
        self.index_plus_one.get() - 1
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

    fn new(index: u32, start: usize, len: usize) -> Self {
        let index_plus_one = NonZeroU32::MIN.saturating_add(index);
        debug_assert!(start <= FRAME_SIZE_MAX && len <= FRAME_SIZE_MAX);
        Frame { index_plus_one, start: start as u16, len: len as u16 }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        debug_assert!(std::thread::panicking(), "frame {} was dropped, not freed", self.index());
    }
}

/// A pool of equal frames in one [`Region`] of memory, with a count of who holds each.
///
/// Belongs to one lane: not shared between threads, so nothing here is atomic.
#[derive(Debug)]
pub struct FramePool {
    region: Region,
    frame_size: usize,
    /// Handles to each frame: 0 is free, 1 owned, 2 owned and on its way out.
    holders: Vec<u8>,
    /// Free frames, last freed first: the one most likely still in cache.
    free: Vec<u32>,
    /// Handles that are with devices (fill and transmit rings).
    with_devices: usize,
    /// Free frames that open devices must always find here.
    device_reserve: usize,
}

impl FramePool {
    /// Divides `region` into frames of `frame_size` octets.
    ///
    /// # Panics
    /// If `frame_size` is not a power of two from [`FRAME_SIZE_MIN`] to [`FRAME_SIZE_MAX`], or the
    /// region holds more than [`FRAMES_MAX`]. Both are decided at start, from checked settings.
    pub fn new(region: Region, frame_size: usize) -> Self {
        assert!(
            frame_size.is_power_of_two() && (FRAME_SIZE_MIN..=FRAME_SIZE_MAX).contains(&frame_size)
        );
        let count = region.len() / frame_size;
        assert!(count <= FRAMES_MAX);
        FramePool {
            region,
            frame_size,
            holders: vec![0; count],
            free: (0..count as u32).rev().collect(),
            with_devices: 0,
            device_reserve: 0,
        }
    }

    /// A pool in ordinary memory, for simulation and tests.
    pub fn in_memory(frames: usize, frame_size: usize) -> Self {
        FramePool::new(Region::in_memory(frames * frame_size), frame_size)
    }

    /// All frames [frames].
    pub fn capacity(&self) -> usize {
        self.holders.len()
    }

    /// Frames that nobody holds [frames].
    #[inline]
    pub fn free_count(&self) -> usize {
        self.free.len()
    }

    /// Frames that somebody holds, devices included [frames].
    pub fn held_count(&self) -> usize {
        self.capacity() - self.free_count()
    }

    /// Handles that are with devices, in fill and transmit rings. A frame that is also kept for
    /// retransmission counts here once.
    pub fn with_devices(&self) -> usize {
        self.with_devices
    }

    /// Sets aside `frames` more for devices to receive into; a port calls it when it opens.
    pub fn add_device_reserve(&mut self, frames: usize) {
        self.device_reserve += frames;
    }

    /// Undoes [`FramePool::add_device_reserve`] when the port closes.
    pub fn remove_device_reserve(&mut self, frames: usize) {
        self.device_reserve = self.device_reserve.saturating_sub(frames);
    }

    /// Whether what is free is needed by the devices. Devices are refilled before all else, so
    /// only holding on to received frames brings the pool here. Who could hold one more (payload
    /// waiting for an acknowledgement, say) drops it instead; what is consumed at once, as the
    /// acknowledgement that frees the others, is welcome still. So reception never starves.
    #[inline]
    pub fn is_scarce(&self) -> bool {
        self.free.len() < self.device_reserve
    }

    /// Whether frames should go only to payload that can move on. What waits for something else
    /// to arrive first would otherwise take all frames up to the reserve; then what it waits for
    /// would be dropped for want of one, for ever.
    #[inline]
    pub fn is_tight(&self) -> bool {
        let usable = self.capacity().saturating_sub(self.device_reserve);
        self.free.len() < self.device_reserve + usable / KEPT_FOR_ORDER
    }

    pub fn frame_size(&self) -> usize {
        self.frame_size
    }

    pub fn region(&self) -> &Region {
        &self.region
    }

    /// A fresh frame with an empty window behind the headroom; `None` when the pool is empty.
    #[inline]
    pub fn alloc(&mut self) -> Option<Frame> {
        let index = self.free.pop()?;
        self.holders[index as usize] = 1;
        Some(Frame::new(index, HEADROOM, 0))
    }

    /// Gives a handle back. The memory is free once its last handle is.
    #[inline]
    pub fn free(&mut self, frame: Frame) {
        let index = frame.index();
        std::mem::forget(frame);
        let holders = &mut self.holders[index as usize];
        assert!(*holders > 0, "frame {index} was freed twice");
        *holders -= 1;
        if *holders == 0 {
            self.free.push(index);
        }
    }

    /// A second handle to the same memory, with the same window: one stays with the sender for
    /// retransmission, the other goes out. Until either is freed the bytes cannot be written.
    #[inline]
    pub fn share(&mut self, frame: &Frame) -> Frame {
        let holders = &mut self.holders[frame.index() as usize];
        assert!(
            *holders == 1,
            "frame {} has {} handles; only an owned one is shared",
            frame.index(),
            *holders
        );
        *holders = 2;
        Frame::new(frame.index(), frame.start(), frame.len())
    }

    /// A copy of the window in a frame of its own, at the same start; `None` when the pool is
    /// empty.
    pub fn copy(&mut self, frame: &Frame) -> Option<Frame> {
        let mut copy = self.alloc()?;
        (copy.start, copy.len) = (frame.start, frame.len);
        let (from, to) = (self.offset(frame), self.offset(&copy));
        self.region.copy_within(from, to, frame.len());
        Some(copy)
    }

    /// Whether another handle exists: the frame is still on its way out.
    #[inline]
    pub fn is_shared(&self, frame: &Frame) -> bool {
        self.holders[frame.index() as usize] > 1
    }

    /// The window's bytes.
    #[inline]
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        self.region.slice(self.offset(frame), frame.len())
    }

    /// Has the processor fetch the start of the window, where headers are, while others are
    /// worked on: what a device has just written is in no cache of ours.
    #[inline]
    pub fn prefetch(&self, frame: &Frame) {
        self.region.prefetch(self.offset(frame));
    }

    /// The window's bytes, to be written.
    ///
    /// # Panics
    /// If the frame is shared: its bytes belong to the device.
    #[inline]
    pub fn bytes_mut(&mut self, frame: &mut Frame) -> &mut [u8] {
        self.assert_sole(frame);
        self.region.slice_mut(self.offset(frame), frame.len())
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
        self.region.slice_mut(self.offset(frame), octets)
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
        let end = self.offset(frame) + frame.len();
        frame.len += octets as u16;
        Some(self.region.slice_mut(end, octets))
    }

    /// Octets between the end of the window and the end of the frame.
    #[inline]
    pub fn room_behind(&self, frame: &Frame) -> usize {
        self.frame_size - frame.start() - frame.len()
    }

    /// Hands a handle to a device; it comes back through [`FramePool::take_from_device`].
    /// Returns the window's offset in the region, which is how devices name it [octets].
    #[inline]
    pub fn give_to_device(&mut self, frame: Frame) -> u64 {
        let offset = self.offset(&frame) as u64;
        self.with_devices += 1;
        std::mem::forget(frame);
        offset
    }

    /// Takes a handle back from a device, with the window that the device names: `len` octets at
    /// `offset` of the region. `None` if the device names memory that is not within one frame or
    /// that no device holds: a device is not trusted to be right.
    #[inline]
    pub fn take_from_device(&mut self, offset: u64, len: usize) -> Option<Frame> {
        let offset = usize::try_from(offset).ok()?;
        let index = offset / self.frame_size;
        let start = offset % self.frame_size;
        if *self.holders.get(index)? == 0 || self.with_devices == 0 || len > self.frame_size - start
        {
            return None;
        }
        self.with_devices -= 1;
        Some(Frame::new(index as u32, start, len))
    }

    /// What a device in software sees of a frame that it holds: `len` octets at `offset` of the
    /// region, as [`FramePool::give_to_device`] named it.
    ///
    /// # Panics
    /// If they are not within the region.
    pub(crate) fn device_bytes(&self, offset: u64, len: usize) -> &[u8] {
        self.region.slice(usize::try_from(offset).unwrap_or(usize::MAX), len)
    }

    #[inline]
    fn assert_sole(&self, frame: &Frame) {
        assert!(
            !self.is_shared(frame),
            "frame {} is on its way out and cannot be written",
            frame.index()
        );
    }

    #[inline]
    fn offset(&self, frame: &Frame) -> usize {
        frame.index() as usize * self.frame_size + frame.start()
    }
}

const _: () = assert!(size_of::<Option<Frame>>() == 8);

#[cfg(test)]
mod tests;
