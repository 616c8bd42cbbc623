//! Several pools over one memory, and frames that go from one to another for good.
//!
//! A core has a pool of its own, with its own stack of free frames and its own counts of holders;
//! none of them is ever touched by two cores. What does cross is handles, over rings. A frame whose
//! only handle is given up by one pool and taken up by another is in *transit*. So the frames of a
//! memory are those that its pools have and those in transit: `capacity` goes with a frame, and in
//! each pool `free + held == capacity`.

use super::{Frame, FramePool, Holders, Store};
use crate::limits::POOLS_MAX;

/// The only handle to a frame, between two pools of one memory.
///
/// It owns the frame as a [`Frame`] does, and is no use but to [`FramePool::arrive`]: frames of one
/// pool cannot get into another by mistake.
#[derive(Debug)]
#[must_use = "a frame in transit that is dropped is lost; another pool takes it by `arrive`"]
pub struct Transit {
    frame: Frame,
}

impl FramePool {
    /// Makes pools over this one's memory, with so many free frames each. The first is this very
    /// pool and keeps what drivers know of it; the others have books of their own.
    ///
    /// # Panics
    /// If the shares do not add up to the frames, or are more than [`POOLS_MAX`]; or a frame is
    /// held: this is done at start, before any device is open.
    pub fn split(self, shares: &[usize]) -> Vec<FramePool> {
        let others = shares.iter().skip(1).map(|_| self.store.beside()).collect();
        self.split_among(others, shares)
    }

    /// The same with stores for the other pools that are there: over this one's memory, and without
    /// frames.
    ///
    /// # Panics
    /// As [`FramePool::split`]; or if there are not as many as shares for them, or over other memory.
    pub(crate) fn split_among(self, others: Vec<Store>, shares: &[usize]) -> Vec<FramePool> {
        assert!(
            (1..=POOLS_MAX).contains(&shares.len())
                && others.len() == shares.len() - 1
                && shares.iter().sum::<usize>() == self.free_count(),
            "shares {shares:?} of {} free frames; up to {POOLS_MAX} that add up to all",
            self.free_count()
        );
        assert!(self.held_count() == 0 && self.device_reserve == 0, "frames are held");
        let mut first = self;
        let give = |(mut store, share): (Store, &usize)| {
            first.store.give(*share, &mut store);
            FramePool::from_store(store)
        };
        let others: Vec<FramePool> = others.into_iter().zip(&shares[1..]).map(give).collect();
        let mut pools: Vec<FramePool> = std::iter::once(first).chain(others).collect();
        let count = pools.len();
        for (number, pool) in pools.iter_mut().enumerate() {
            pool.join_others(number as u8, count);
            pool.set_capacity_max(pool.capacity());
        }
        pools
    }

    /// Gives up a frame, for another pool of this memory.
    ///
    /// # Panics
    /// If another handle exists.
    #[inline]
    pub fn depart(&mut self, frame: Frame) -> Transit {
        self.assert_sole(&frame);
        self.store.leave(self.index_of(&frame));
        self.in_hand -= 1;
        Transit { frame }
    }

    /// Takes a frame that another pool of this memory has given up.
    ///
    /// # Panics
    /// If the frame is in this pool, or cannot be: it is of another memory.
    #[inline]
    pub fn arrive(&mut self, transit: Transit) -> Frame {
        let Transit { mut frame } = transit;
        let index = frame.index();
        assert!(self.store.holders(index) == Holders::NONE, "frame {index} arrives where it is");
        self.store.join(index);
        frame.name = self.name_of(index);
        self.in_hand += 1;
        frame
    }

    /// Gives up a free frame, if there is one: it goes home, or where frames are wanted.
    #[inline]
    pub fn depart_free(&mut self) -> Option<Transit> {
        let frame = self.alloc()?;
        Some(self.depart(frame))
    }

    /// Takes a frame for the sake of its memory. It is free here.
    #[inline]
    pub fn arrive_free(&mut self, transit: Transit) {
        let frame = self.arrive(transit);
        self.free(frame);
    }
}

const _: () = assert!(size_of::<Option<Transit>>() == 8);
