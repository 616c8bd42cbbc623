//! Up to 64 frames that travel together.

use super::Frame;
use crate::limits::BURST;

/// A fixed array of at most [`BURST`] frames, in order. No allocation, ever.
#[derive(Debug)]
pub struct Burst {
    frames: [Option<Frame>; BURST],
    len: usize,
}

impl Burst {
    pub const fn new() -> Self {
        Burst { frames: [const { None }; BURST], len: 0 }
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
    pub fn is_full(&self) -> bool {
        self.len == BURST
    }

    /// Adds a frame at the end; gives it back if the burst is full.
    #[inline]
    pub fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.is_full() {
            return Err(frame);
        }
        self.frames[self.len] = Some(frame);
        self.len += 1;
        Ok(())
    }

    /// Takes all frames out, first to last; what the iterator has not handed out when it is
    /// dropped stays in the burst, in order.
    #[inline]
    pub fn drain(&mut self) -> Drain<'_> {
        Drain { burst: self, next: 0 }
    }

    /// The frames, first to last.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.frames[..self.len].iter().flatten()
    }

    /// As [`Burst::iter`], to change them.
    #[inline]
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        self.frames[..self.len].iter_mut().flatten()
    }
}

impl Default for Burst {
    fn default() -> Self {
        Burst::new()
    }
}

/// See [`Burst::drain`].
#[derive(Debug)]
pub struct Drain<'a> {
    burst: &'a mut Burst,
    next: usize,
}

impl Iterator for Drain<'_> {
    type Item = Frame;

    #[inline]
    fn next(&mut self) -> Option<Frame> {
        if self.next == self.burst.len {
            return None;
        }
        self.next += 1;
        self.burst.frames[self.next - 1].take()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.burst.len - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Drain<'_> {}

impl Drop for Drain<'_> {
    #[inline]
    fn drop(&mut self) {
        let left = self.burst.len - self.next;
        if self.next > 0 {
            for i in 0..left {
                self.burst.frames[i] = self.burst.frames[self.next + i].take();
            }
        }
        self.burst.len = left;
    }
}
