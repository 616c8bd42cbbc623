//! How many new connections a source may ask for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ShieldError;
use crate::limits::SYN_RATE_MAX;

/// The limit on the SYNs of each source, by a token bucket. A source is a prefix of addresses, as
/// who has one address of it may have all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimit {
    /// Sustained rate \[SYN/s\].
    pub syn_per_second: u32,
    /// SYNs that may come at once \[SYN\].
    pub burst: u32,
    /// Leading bits that the addresses of a source share.
    pub prefix_v4: u8,
    /// The same for IPv6.
    pub prefix_v6: u8,
}

impl SourceLimit {
    /// Whether all is within range.
    pub fn check(&self) -> Result<(), ShieldError> {
        let SourceLimit { syn_per_second, burst, prefix_v4, prefix_v6 } = *self;
        if !(1..=SYN_RATE_MAX).contains(&syn_per_second) || !(1..=SYN_RATE_MAX).contains(&burst) {
            return Err(ShieldError::SynRateOutOfRange { syn_per_second, burst });
        }
        if u32::from(prefix_v4) > Ipv4Addr::BITS || u32::from(prefix_v6) > Ipv6Addr::BITS {
            return Err(ShieldError::SourcePrefixOutOfRange { v4: prefix_v4, v6: prefix_v6 });
        }
        Ok(())
    }

    /// Time between two SYNs at the rate \[ns\].
    pub fn interval_ns(&self) -> u64 {
        1_000_000_000 / u64::from(self.syn_per_second.clamp(1, SYN_RATE_MAX))
    }

    /// Time that a whole burst takes at the rate \[ns\].
    pub fn burst_ns(&self) -> u64 {
        u64::from(self.burst.max(1)) * self.interval_ns()
    }

    /// The bits that tell the sources of IPv6 addresses apart.
    pub fn mask_v6(&self) -> u128 {
        leading_ones(self.prefix_v6.into())
    }

    /// The same of IPv4 addresses, which are mapped (RFC 4291 §2.5.5.2).
    pub fn mask_v4(&self) -> u128 {
        leading_ones(u32::from(self.prefix_v4) + (Ipv6Addr::BITS - Ipv4Addr::BITS))
    }

    /// The masks as the program has them, IPv6 first.
    pub(crate) fn masks(&self) -> [IpAddr; 2] {
        [self.mask_v6(), self.mask_v4()].map(|mask| IpAddr::V6(Ipv6Addr::from_bits(mask)))
    }
}

/// An address whose first `bits` bits are set.
fn leading_ones(bits: u32) -> u128 {
    !u128::MAX.checked_shr(bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: SourceLimit =
        SourceLimit { syn_per_second: 200, burst: 400, prefix_v4: 24, prefix_v6: 64 };

    #[test]
    fn masks_keep_the_leading_bits() {
        assert_eq!(LIMIT.mask_v6(), 0xffff_ffff_ffff_ffff_0000_0000_0000_0000);
        assert_eq!(!LIMIT.mask_v4(), 0xff, "the last eight bits of 32");
        let all = SourceLimit { prefix_v4: 32, prefix_v6: 128, ..LIMIT };
        assert_eq!((all.mask_v4(), all.mask_v6()), (u128::MAX, u128::MAX));
        let none = SourceLimit { prefix_v4: 0, prefix_v6: 0, ..LIMIT };
        assert_eq!((!none.mask_v4(), none.mask_v6()), (0xffff_ffff, 0), "one source each");
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        assert!(LIMIT.check().is_ok());
        for wrong in [
            SourceLimit { syn_per_second: 0, ..LIMIT },
            SourceLimit { syn_per_second: SYN_RATE_MAX + 1, ..LIMIT },
            SourceLimit { burst: 0, ..LIMIT },
            SourceLimit { prefix_v4: 33, ..LIMIT },
            SourceLimit { prefix_v6: 129, ..LIMIT },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
