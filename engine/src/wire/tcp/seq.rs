//! Sequence numbers: a circle, not a line (RFC 9293 §3.4).

use std::ops::{Add, AddAssign, Sub};

/// A sequence number. It has no `Ord`: on a circle there is only before and after, and only
/// within half of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// Strictly before `other` (SEG < X in RFC 9293).
    #[inline]
    pub const fn before(self, other: SeqNum) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Strictly after `other`.
    #[inline]
    pub const fn after(self, other: SeqNum) -> bool {
        other.before(self)
    }

    /// At or before `other`.
    #[inline]
    pub const fn at_or_before(self, other: SeqNum) -> bool {
        !self.after(other)
    }

    /// At or after `other`.
    #[inline]
    pub const fn at_or_after(self, other: SeqNum) -> bool {
        !self.before(other)
    }

    /// The earlier of the two.
    #[inline]
    pub const fn earliest(self, other: SeqNum) -> SeqNum {
        if self.before(other) { self } else { other }
    }

    /// The later of the two.
    #[inline]
    pub const fn latest(self, other: SeqNum) -> SeqNum {
        if self.after(other) { self } else { other }
    }
}

impl Add<u32> for SeqNum {
    type Output = SeqNum;

    #[inline]
    fn add(self, octets: u32) -> SeqNum {
        SeqNum(self.0.wrapping_add(octets))
    }
}

impl AddAssign<u32> for SeqNum {
    #[inline]
    fn add_assign(&mut self, octets: u32) {
        *self = *self + octets;
    }
}

/// The distance from `rhs` forward to `self` [octets]; meaningful when `rhs` is at or before it.
impl Sub for SeqNum {
    type Output = u32;

    #[inline]
    fn sub(self, rhs: SeqNum) -> u32 {
        self.0.wrapping_sub(rhs.0)
    }
}
