//! The Internet checksum (RFC 1071), whole and in parts.
//!
//! A *sum* here is the ones' complement sum of big-endian 16-bit words, folded to 16 bits and
//! **not** complemented; a *checksum* is what stands in a header: the complement of a sum, made by
//! [`finish`]. Sums of parts that each start at an even offset add up with [`combine`].
//!
//! Ones' complement has two zeros, `0x0000` and `0xffff`. [`sum`] gives `0x0000` for nothing but
//! zero octets; [`subtract`] may give `0xffff` where `sum` gives `0x0000`. The difference never
//! reaches the wire: a TCP pseudo-header has a sum of its own that is not zero, and added to such
//! a sum both zeros change nothing. To compare two sums, use [`same`].

use std::net::{Ipv4Addr, Ipv6Addr};

/// The sum of `bytes`; an odd last octet counts as the high half of a word (RFC 1071 §1).
#[inline]
pub fn sum(bytes: &[u8]) -> u16 {
    // The sum does not depend on byte order until its very end, nor on how many bits are added at
    // a time (RFC 1071 §2). Halves of 32 bits in accumulators of 64 leave room for the carries of
    // any packet, and the loop has no dependency that keeps the compiler from vectorising it.
    const LOW_HALF: u64 = 0xffff_ffff;
    let (words, rest) = bytes.as_chunks::<8>();
    let (mut low, mut high) = (0_u64, 0_u64);
    for word in words {
        let word = u64::from_ne_bytes(*word);
        low += word & LOW_HALF;
        high += word >> 32;
    }
    let mut total = low + high;
    let (pairs, odd) = rest.as_chunks::<2>();
    for pair in pairs {
        total += u64::from(u16::from_ne_bytes(*pair));
    }
    if let [last] = odd {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    u16::from_be(fold(total))
}

/// The sum of two parts laid end to end. If the first has an odd length, [`swap`] the second.
#[inline]
pub const fn combine(a: u16, b: u16) -> u16 {
    let (total, carry) = a.overflowing_add(b);
    total + carry as u16
}

/// What remains of the sum `whole` without `part`: `combine(subtract(whole, part), part)` is the
/// same sum as `whole`.
#[inline]
pub const fn subtract(whole: u16, part: u16) -> u16 {
    combine(whole, !part)
}

/// The sum of a part when it starts at an odd offset (RFC 1071 §2 (B)).
#[inline]
pub const fn swap(sum: u16) -> u16 {
    sum.swap_bytes()
}

/// Whether two sums are equal, both zeros taken as one.
#[inline]
pub const fn same(a: u16, b: u16) -> bool {
    a == b || matches!((a, b), (0, 0xffff) | (0xffff, 0))
}

/// The checksum to write into a header whose sum, over everything it covers, is `sum`.
#[inline]
pub const fn finish(sum: u16) -> u16 {
    !sum
}

/// The sum of a TCP or UDP pseudo-header over IPv4 (RFC 9293 §3.1) without its length, which
/// differs from segment to segment: see [`with_length`].
#[inline]
pub fn pseudo_header_v4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8) -> u16 {
    let addresses = combine(sum(&source.octets()), sum(&destination.octets()));
    combine(addresses, u16::from(protocol))
}

/// As [`pseudo_header_v4`], over IPv6 (RFC 8200 §8.1).
#[inline]
pub fn pseudo_header_v6(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8) -> u16 {
    let addresses = combine(sum(&source.octets()), sum(&destination.octets()));
    combine(addresses, u16::from(protocol))
}

/// Completes the sum of a pseudo-header by the length of the upper-layer packet, header and
/// payload [octets].
#[inline]
pub const fn with_length(pseudo_header: u16, length: usize) -> u16 {
    combine(pseudo_header, fold(length as u64))
}

/// The checksum after one 16-bit word that it covers changes from `old` to `new`.
#[inline]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    // RFC 1624 §3 (eqn 3): HC' = ~(~HC + ~m + m'). Unlike eqn 4 and RFC 1141 it never turns a
    // checksum into the wrong one of the two zeros.
    !combine(combine(!checksum, !old), new)
}

/// As [`update`], for two adjacent words: an IPv4 address, a sequence number.
#[inline]
pub const fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    let checksum = update(checksum, (old >> 16) as u16, (new >> 16) as u16);
    update(checksum, old as u16, new as u16)
}

/// Folds carries back in until 16 bits are left.
#[inline]
const fn fold(total: u64) -> u16 {
    let total = (total >> 32) + (total & 0xffff_ffff);
    let total = (total >> 16) + (total & 0xffff);
    let total = (total >> 16) + (total & 0xffff);
    ((total >> 16) + (total & 0xffff)) as u16
}

#[cfg(test)]
mod tests;
