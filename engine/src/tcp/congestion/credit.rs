//! Growth by less than an octet at a time.

/// What is left over when a fraction of octets is paid out in whole octets.
///
/// Windows grow by fractions of what was acknowledged. Rounding each one down would stop a large
/// window from growing at all; so the remainder is kept and counts towards the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Credit {
    remainder: u64,
}

impl Credit {
    /// Whole octets of `numerator / denominator` plus what was left over. Over many calls with
    /// one denominator, exact.
    ///
    /// The remainder is in units of the last denominator. When that changes, as windows do, the
    /// error is within one octet per call that changed it, times the relative change.
    #[inline]
    pub(super) fn whole_octets(&mut self, numerator: u64, denominator: u64) -> u32 {
        let denominator = denominator.max(1);
        let total = self.remainder.saturating_add(numerator);
        self.remainder = total % denominator;
        u32::try_from(total / denominator).unwrap_or(u32::MAX)
    }
}
