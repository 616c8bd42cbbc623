//! Frames that one pool lends to another, to be sent there.
//!
//! A worker that keeps a frame for retransmission cannot give it up; it lends the core that sends a
//! second handle. There the frame is a *guest*: it is read, counted among that pool's guests and in
//! none of its other figures, and never gets onto its stack. When it is freed there for the last
//! time it leaves, and its lender, which has counted it as held all the while, has it back. Nobody
//! writes a frame that is lent.

use super::{Frame, FramePool, Holders, INDEX_BITS, first_name};

/// A handle that one pool has lent and another is to host, or is to give back.
///
/// It owns the handle as a [`Frame`] does.
#[derive(Debug)]
#[must_use = "a loan that is dropped never comes home; give it to `host` or `receive_back`"]
pub struct Loan {
    /// A handle of the lender's.
    frame: Frame,
}

impl Loan {
    /// Which frame of the memory it is; see [`Frame::index`].
    #[inline]
    pub fn index(&self) -> u32 {
        self.frame.index()
    }

    /// Number of the pool that the loan goes home to; see [`FramePool::number`].
    #[inline]
    pub fn lender(&self) -> u8 {
        self.frame.pool()
    }
}

/// The frames of other pools that are here.
#[derive(Debug)]
pub(super) struct Guests {
    /// Who lent it, for each frame of the memory that is a guest.
    lenders: Vec<u8>,
    /// Behind each frame that leaves the one that leaves next, plus one; zero ends the list.
    next: Vec<u32>,
    /// For each pool, those that leave for it.
    leaving: Vec<Leaving>,
    /// [frames]
    count: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Leaving {
    /// Plus one.
    first: u32,
    /// [frames]
    count: usize,
}

impl Guests {
    /// Room for all frames of a memory of `pools` pools: there are never more guests.
    fn new(frames: usize, pools: usize) -> Self {
        Guests {
            lenders: vec![0; frames],
            next: vec![0; frames],
            leaving: vec![Leaving::default(); pools],
            count: 0,
        }
    }

    #[inline]
    fn welcome(&mut self, index: u32, lender: u8) {
        self.lenders[index as usize] = lender;
        self.count += 1;
    }

    #[inline]
    pub(super) fn leave(&mut self, index: u32) {
        let leaving = &mut self.leaving[usize::from(self.lenders[index as usize])];
        self.next[index as usize] = leaving.first;
        leaving.first = index + 1;
        leaving.count += 1;
    }

    #[inline]
    fn next_leaving(&mut self, lender: u8) -> Option<u32> {
        let leaving = self.leaving.get_mut(usize::from(lender))?;
        let index = leaving.first.checked_sub(1)?;
        leaving.first = self.next[index as usize];
        leaving.count -= 1;
        self.count -= 1;
        Some(index)
    }
}

impl FramePool {
    /// Which of its memory's pools this is: its place in what [`FramePool::split`] made.
    #[inline]
    pub fn number(&self) -> u8 {
        ((self.first_name.get() >> INDEX_BITS) - 1) as u8
    }

    /// Frames that other pools have lent to this one, until they have left again [frames].
    pub fn guest_count(&self) -> usize {
        self.guests.as_ref().map_or(0, |guests| guests.count)
    }

    pub(super) fn join_others(&mut self, number: u8, pools: usize) {
        self.first_name = first_name(number);
        self.guests = Some(Guests::new(self.index_end(), pools));
    }

    /// Lends a handle to another pool of this memory. Until it is back the frame is held, and, if
    /// there is another handle, shared; lent is also what may be with a device through the other.
    ///
    /// # Panics
    /// If the frame is lent already, or a guest itself.
    #[inline]
    pub fn lend(&mut self, frame: Frame) -> Loan {
        let index = self.index_of(&frame);
        let holders = self.store.holders(index);
        let is_own = holders.handles() > 0 && !holders.is_lent() && !holders.is_guest();
        assert!(is_own, "frame {index} is not this pool's to lend");
        self.store.set_holders(index, holders.lent());
        self.in_hand -= 1;
        Loan { frame }
    }

    /// Frees a handle that was lent.
    ///
    /// # Panics
    /// If it was not lent here.
    #[inline]
    pub fn receive_back(&mut self, loan: Loan) {
        let Loan { frame } = loan;
        let index = self.index_of(&frame);
        std::mem::forget(frame);
        let holders = self.store.holders(index);
        assert!(holders.is_lent(), "frame {index} was not lent here");
        let left = holders.returned();
        if left == Holders::NONE {
            self.store.mark_free(index);
            self.store.push(index);
        } else {
            self.store.set_holders(index, left);
        }
    }

    /// Takes a frame in that another pool of this memory has lent: a guest, to be read, shared,
    /// given to devices and freed like any other frame, but not to be written.
    ///
    /// # Panics
    /// If the frame is in this pool, or cannot be: it is of another memory.
    #[inline]
    pub fn host(&mut self, loan: Loan) -> Frame {
        let lender = loan.lender();
        let Loan { mut frame } = loan;
        let index = frame.index();
        let holders = self.store.holders(index);
        let guests = self.guests.as_mut().filter(|_| holders == Holders::NONE);
        guests.unwrap_or_else(|| panic!("frame {index} is no guest here")).welcome(index, lender);
        self.store.set_holders(index, Holders::FIRST_OF_GUEST);
        frame.name = self.name_of(index);
        frame
    }

    /// The guests of `lender` that were freed, as many as are taken; they have left then.
    #[inline]
    pub fn departing_guests(&mut self, lender: u8) -> DepartingGuests<'_> {
        DepartingGuests { pool: self, lender }
    }

    /// Whether the frame is another pool's.
    #[inline]
    pub(crate) fn is_guest(&self, frame: &Frame) -> bool {
        self.guests.is_some() && self.store.holders(self.index_of(frame)).is_guest()
    }

    /// Most guests that there can be [frames].
    #[cfg(feature = "dpdk")]
    pub(crate) fn guests_max(&self) -> usize {
        self.guests.as_ref().map_or(0, |guests| guests.next.len())
    }

    /// Whether this pool has no other handle to the frame, devices included.
    #[inline]
    #[cfg(feature = "dpdk")]
    pub(crate) fn is_last_handle(&self, frame: &Frame) -> bool {
        self.store.holders(self.index_of(frame)).handles() == 1
    }
}

/// See [`FramePool::departing_guests`].
#[derive(Debug)]
pub struct DepartingGuests<'a> {
    pool: &'a mut FramePool,
    lender: u8,
}

impl Iterator for DepartingGuests<'_> {
    type Item = Loan;

    #[inline]
    fn next(&mut self) -> Option<Loan> {
        let index = self.pool.guests.as_mut()?.next_leaving(self.lender)?;
        self.pool.store.set_holders(index, Holders::NONE);
        Some(Loan { frame: Frame::new(first_name(self.lender) | index, 0, 0) })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let leaving = self.pool.guests.as_ref().map(|guests| &guests.leaving);
        let leaving = leaving.and_then(|leaving| leaving.get(usize::from(self.lender)));
        let count = leaving.map_or(0, |leaving| leaving.count);
        (count, Some(count))
    }
}

impl ExactSizeIterator for DepartingGuests<'_> {}

const _: () = assert!(size_of::<Option<Loan>>() == 8);
