//! Frames that devices hold: to receive into, or on their way out.

use super::{Frame, FramePool, Holders};

impl FramePool {
    /// Frames that devices alone hold, to receive into or on their way out, be it by another pool.
    pub fn with_devices(&self) -> usize {
        self.held_count().saturating_sub(self.in_hand)
    }

    /// Sets aside `frames` more for devices to receive into; a port calls it when it opens.
    pub fn add_device_reserve(&mut self, frames: usize) {
        self.device_reserve += frames;
    }

    /// Undoes [`FramePool::add_device_reserve`] when the port closes.
    pub fn remove_device_reserve(&mut self, frames: usize) {
        self.device_reserve = self.device_reserve.saturating_sub(frames);
    }

    /// Hands a handle to a device; it comes back through [`FramePool::take_from_device`].
    /// Returns the window's offset from the first frame, which is how AF_XDP names it [octets].
    #[inline]
    pub fn give_to_device(&mut self, frame: Frame) -> u64 {
        let offset = self.index_of(&frame) as usize * self.frame_size() + frame.start();
        self.hand_over(frame);
        offset as u64
    }

    /// Takes a handle back from a device, with the window that the device names: `len` octets at
    /// `offset` from the first frame. `None` if the device names memory that is not within one
    /// frame or a frame that is free: a device is not trusted to be right.
    #[inline]
    pub fn take_from_device(&mut self, offset: u64, len: usize) -> Option<Frame> {
        let offset = usize::try_from(offset).ok()?;
        let index = u32::try_from(offset / self.frame_size()).ok()?;
        self.take_over(index, offset % self.frame_size(), len)
    }

    /// Gives up a handle that a device has from here on. The frame's number and window are the
    /// caller's to tell.
    #[inline]
    pub(crate) fn hand_over(&mut self, frame: Frame) {
        self.in_hand -= usize::from(!self.is_guest(&frame));
        std::mem::forget(frame);
    }

    /// Makes a handle of what a device gives up: `len` octets from `start` on of frame `index`.
    /// `None` if they are not within a frame, or the frame is known to be free.
    #[inline]
    pub(crate) fn take_over(&mut self, index: u32, start: usize, len: usize) -> Option<Frame> {
        let fits = start <= self.frame_size() && len <= self.frame_size() - start;
        if index as usize >= self.index_end() || !fits {
            return None;
        }
        let holders = self.store.holders(index);
        if holders.handles() == 0 {
            return None;
        }
        self.in_hand += usize::from(!holders.is_guest());
        Some(Frame::new(self.name_of(index), start, len))
    }

    /// What a device in software sees of a frame that it holds: `len` octets at `offset`, as
    /// [`FramePool::give_to_device`] named it.
    ///
    /// # Panics
    /// If they are not within one frame, or that is in another pool.
    pub(crate) fn device_bytes(&self, offset: u64, len: usize) -> &[u8] {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let index = u32::try_from(offset / self.frame_size()).unwrap_or(u32::MAX);
        assert!(self.store.holders(index) != Holders::NONE, "frame {index} is not held here");
        self.store.slice(index, offset % self.frame_size(), len)
    }
}
