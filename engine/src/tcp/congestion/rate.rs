//! A rate, and what it makes of time and octets.

use std::time::Duration;

/// Octets per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl Rate {
    pub const ZERO: Rate = Rate(0);

    pub const fn from_octets_per_second(rate: u64) -> Rate {
        Rate(rate)
    }

    /// `octets` in `time`; as fast as can be if that is no time at all.
    pub fn of(octets: u64, time: Duration) -> Rate {
        let nanos = time.as_nanos().max(1);
        Rate(u64::try_from(u128::from(octets) * NANOS / nanos).unwrap_or(u64::MAX))
    }

    pub const fn octets_per_second(self) -> u64 {
        self.0
    }

    /// How much passes in `time`, rounded down [octets].
    pub fn octets_in(self, time: Duration) -> u64 {
        let octets = u128::from(self.0).saturating_mul(time.as_nanos()) / NANOS;
        u64::try_from(octets).unwrap_or(u64::MAX)
    }

    /// How long `octets` take, rounded up; for ever at no rate at all.
    pub fn time_for(self, octets: u64) -> Duration {
        if self.0 == 0 {
            return Duration::MAX;
        }
        let nanos = (u128::from(octets) * NANOS).div_ceil(u128::from(self.0));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// `numerator / denominator` of it, rounded down.
    #[must_use]
    pub fn scaled(self, numerator: u32, denominator: u32) -> Rate {
        let rate = u128::from(self.0) * u128::from(numerator) / u128::from(denominator.max(1));
        Rate(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

const NANOS: u128 = 1_000_000_000;
