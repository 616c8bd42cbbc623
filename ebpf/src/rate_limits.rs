//! How much sources may send.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ShieldError;
use crate::limits::{BYTE_RATE_MAX, BYTE_RATE_MIN, PACKET_RATE_MAX};

/// Who may send how much to the services. Who has completed a handshake has a budget of his own; all
/// others share one with their neighbours. So nobody can use up the budget of a source that has
/// proved itself, unless he forges that very source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Of each source that has completed a handshake; `None`: no limit.
    pub per_source: Option<RateLimit>,
    /// Of all other sources of a prefix together; `None`: no limit. Its prefixes are no longer than
    /// sources are.
    pub per_prefix: Option<RateLimit>,
    /// Of all other sources together \[SYN/s\], of which a second's worth may come at once; `None`:
    /// no limit.
    pub unproven_syn_per_second: Option<u32>,
}

/// What all addresses of a prefix may send together, each by a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Sustained rate \[SYN/s\].
    pub syn_per_second: u32,
    /// SYNs that may come at once \[SYN\].
    pub burst: u32,
    /// Sustained rate \[packets/s\], of which a second's worth may come at once; `None`: no limit.
    pub packets_per_second: Option<u32>,
    /// Sustained rate \[octets/s\], of which a second's worth may come at once; `None`: no limit.
    pub bytes_per_second: Option<u64>,
    /// Leading bits that the addresses share.
    pub prefix_v4: u8,
    /// The same for IPv6.
    pub prefix_v6: u8,
}

/// The bits of an address that count; IPv4 addresses are mapped (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masks {
    pub v4: u128,
    pub v6: u128,
}

impl RateLimits {
    /// Whether all is within range, and prefixes are made of whole sources.
    pub fn check(&self) -> Result<(), ShieldError> {
        for limit in [self.per_source, self.per_prefix].iter().flatten() {
            limit.check()?;
        }
        if let Some(syn_per_second) = self.unproven_syn_per_second {
            check_rate(syn_per_second.into(), 1, PACKET_RATE_MAX.into())?;
        }
        let (source, prefix) = (self.source_masks(), self.prefix_masks());
        if prefix.v4 & !source.v4 != 0 || prefix.v6 & !source.v6 != 0 {
            return Err(ShieldError::PrefixWithinSource);
        }
        Ok(())
    }

    /// Whether nothing is limited.
    pub fn is_off(&self) -> bool {
        *self == RateLimits::default()
    }

    /// Whether there is any limit on packets or octets.
    pub fn limits_packets(&self) -> bool {
        let limits = [self.per_source, self.per_prefix];
        limits
            .iter()
            .flatten()
            .any(|limit| limit.packets_per_second.is_some() || limit.bytes_per_second.is_some())
    }

    /// What tells sources apart.
    pub fn source_masks(&self) -> Masks {
        self.per_source.map_or(Masks::new(SOURCE_BITS_V4, SOURCE_BITS_V6), |limit| limit.masks())
    }

    /// What tells their prefixes apart.
    pub fn prefix_masks(&self) -> Masks {
        self.per_prefix.map_or(Masks::new(0, 0), |limit| limit.masks())
    }

    /// Time between two SYNs of all that have not completed a handshake \[ns\]; zero: no limit.
    pub fn unproven_syn_interval_ns(&self) -> u64 {
        interval_ns(self.unproven_syn_per_second)
    }
}

impl RateLimit {
    /// Time between two SYNs at the rate \[ns\].
    pub fn syn_interval_ns(&self) -> u64 {
        interval_ns(Some(self.syn_per_second))
    }

    /// Time that a whole burst of them takes at the rate \[ns\].
    pub fn syn_burst_ns(&self) -> u64 {
        u64::from(self.burst.max(1)) * self.syn_interval_ns()
    }

    /// Time between two packets at the rate \[ns\]; zero: no limit.
    pub fn packet_interval_ns(&self) -> u64 {
        interval_ns(self.packets_per_second)
    }

    /// Time that an octet takes at the rate \[2⁻²⁰ ns\]; zero: no limit.
    pub fn octet_interval(&self) -> u64 {
        self.bytes_per_second.map_or(0, |rate| (SECOND_NS << OCTET_INTERVAL_BITS) / rate.max(1))
    }

    pub fn masks(&self) -> Masks {
        Masks::new(self.prefix_v4, self.prefix_v6)
    }

    fn check(&self) -> Result<(), ShieldError> {
        let packets = [Some(self.syn_per_second), Some(self.burst), self.packets_per_second];
        for rate in packets.into_iter().flatten() {
            check_rate(rate.into(), 1, PACKET_RATE_MAX.into())?;
        }
        if let Some(rate) = self.bytes_per_second {
            check_rate(rate, BYTE_RATE_MIN, BYTE_RATE_MAX)?;
        }
        let RateLimit { prefix_v4, prefix_v6, .. } = *self;
        if u32::from(prefix_v4) > Ipv4Addr::BITS || u32::from(prefix_v6) > Ipv6Addr::BITS {
            return Err(ShieldError::PrefixOutOfRange { v4: prefix_v4, v6: prefix_v6 });
        }
        Ok(())
    }
}

impl Masks {
    fn new(bits_v4: u8, bits_v6: u8) -> Self {
        let v4 = leading_ones(u32::from(bits_v4) + (Ipv6Addr::BITS - Ipv4Addr::BITS));
        Masks { v4, v6: leading_ones(bits_v6.into()) }
    }

    /// What an address has in common with its prefix, in words as they lie in memory.
    #[inline]
    pub fn prefix_of(&self, address: u128, is_ipv4: bool) -> [u32; 4] {
        let masked = address & if is_ipv4 { self.v4 } else { self.v6 };
        [96, 64, 32, 0].map(|shift| ((masked >> shift) as u32).to_be())
    }

    /// As the program has them, IPv6 first.
    pub(crate) fn addresses(&self) -> [IpAddr; 2] {
        [self.v6, self.v4].map(|mask| IpAddr::V6(Ipv6Addr::from_bits(mask)))
    }
}

/// What comes at once of packets and octets takes this long at their rate \[ns\].
pub const SECOND_NS: u64 = 1_000_000_000;

/// Of [`RateLimit::octet_interval`]: the largest packet at the slowest rate fits 64 bits, an octet
/// at the fastest is still exact to a thousandth.
pub const OCTET_INTERVAL_BITS: u32 = 20;

/// What tells sources apart where they have no limit.
const SOURCE_BITS_V4: u8 = 32;
const SOURCE_BITS_V6: u8 = 64;

fn interval_ns(per_second: Option<u32>) -> u64 {
    per_second.map_or(0, |rate| SECOND_NS / u64::from(rate.clamp(1, PACKET_RATE_MAX)))
}

fn check_rate(rate: u64, min: u64, max: u64) -> Result<(), ShieldError> {
    if (min..=max).contains(&rate) {
        return Ok(());
    }
    Err(ShieldError::RateOutOfRange { rate, min, max })
}

/// An address whose first `bits` bits are set.
fn leading_ones(bits: u32) -> u128 {
    !u128::MAX.checked_shr(bits).unwrap_or(0)
}

const _: () = assert!(BYTE_RATE_MIN < u64::MAX >> OCTET_INTERVAL_BITS);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit {
        syn_per_second: 200,
        burst: 400,
        packets_per_second: None,
        bytes_per_second: None,
        prefix_v4: 24,
        prefix_v6: 64,
    };

    #[test]
    fn masks_keep_the_leading_bits() {
        let masks = LIMIT.masks();
        assert_eq!(masks.v6, 0xffff_ffff_ffff_ffff_0000_0000_0000_0000);
        assert_eq!(!masks.v4, 0xff, "the last eight bits of 32");
        assert_eq!(Masks::new(32, 128), Masks { v4: u128::MAX, v6: u128::MAX });
        assert_eq!(Masks::new(0, 0), Masks { v4: !0xffff_ffff, v6: 0 }, "one source each");
    }

    #[test]
    fn costs_follow_from_rates() {
        assert_eq!((LIMIT.syn_interval_ns(), LIMIT.syn_burst_ns()), (5_000_000, 2_000_000_000));
        assert_eq!((LIMIT.packet_interval_ns(), LIMIT.octet_interval()), (0, 0), "no limit");
        for (rate, packet_ns) in
            [(BYTE_RATE_MIN, 22_888_183), (125_000_000, 12_000), (BYTE_RATE_MAX, 14)]
        {
            let limit = RateLimit { bytes_per_second: Some(rate), ..LIMIT };
            let cost = (1500 * limit.octet_interval()) >> OCTET_INTERVAL_BITS;
            assert_eq!(cost, packet_ns, "1500 octets at {rate} octets/s");
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let check = |per_source, per_prefix, unproven_syn_per_second| {
            RateLimits { per_source, per_prefix, unproven_syn_per_second }.check()
        };
        let limit = Some(LIMIT);
        assert!(check(limit, limit, Some(1)).is_ok());
        assert!(check(None, limit, None).is_ok());
        for wrong in [
            RateLimit { syn_per_second: 0, ..LIMIT },
            RateLimit { syn_per_second: PACKET_RATE_MAX + 1, ..LIMIT },
            RateLimit { burst: 0, ..LIMIT },
            RateLimit { packets_per_second: Some(0), ..LIMIT },
            RateLimit { bytes_per_second: Some(BYTE_RATE_MIN - 1), ..LIMIT },
            RateLimit { prefix_v4: 33, ..LIMIT },
            RateLimit { prefix_v6: 129, ..LIMIT },
        ] {
            assert!(check(Some(wrong), None, None).is_err(), "{wrong:?}");
            assert!(check(None, Some(wrong), None).is_err(), "{wrong:?}");
        }
        assert!(check(None, None, Some(0)).is_err());
        let longer = RateLimit { prefix_v6: 65, ..LIMIT };
        for source in [None, limit] {
            let refused = check(source, Some(longer), None);
            assert!(matches!(refused, Err(ShieldError::PrefixWithinSource)), "{refused:?}");
        }
    }
}
