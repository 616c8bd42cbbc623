//! Who holds a frame, as far as one pool knows.

/// How many handles a pool has made to a frame and not got back, those of devices included; and
/// whether other pools have to do with it.
///
/// One word, which in DPDK's memory is the mbuf's own count of references. A frame that is free or
/// in another pool has no handles; what can be written has one and is nobody else's; so each of the
/// two is a single comparison. With either mark a driver that gives up its reference never finds
/// itself the last to have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Holders(pub(super) u16);

impl Holders {
    /// The frame is free, or in another pool.
    pub(super) const NONE: Self = Holders(0);
    /// One handle, of a frame that is this pool's and lent to no other.
    pub(super) const SOLE: Self = Holders(1);
    /// The frame is another pool's, and here to be read and sent.
    const GUEST: u16 = 1 << 15;
    /// A handle of this pool's is with another, as a loan.
    const LENT: u16 = 1 << 14;
    /// The first handle of a guest.
    pub(super) const FIRST_OF_GUEST: Self = Holders(Self::GUEST | 1);

    #[inline]
    pub(super) const fn handles(self) -> u16 {
        self.0 & !(Self::GUEST | Self::LENT)
    }

    #[inline]
    pub(super) const fn is_guest(self) -> bool {
        self.0 & Self::GUEST != 0
    }

    #[inline]
    pub(super) const fn is_lent(self) -> bool {
        self.0 & Self::LENT != 0
    }

    #[inline]
    pub(super) const fn one_more(self) -> Self {
        Holders(self.0 + 1)
    }

    /// Only where there are handles.
    #[inline]
    pub(super) const fn one_less(self) -> Self {
        Holders(self.0 - 1)
    }

    /// One handle goes away as a loan.
    #[inline]
    pub(super) const fn lent(self) -> Self {
        Holders((self.0 - 1) | Self::LENT)
    }

    /// The loan is back.
    #[inline]
    pub(super) const fn returned(self) -> Self {
        Holders(self.0 & !Self::LENT)
    }
}
