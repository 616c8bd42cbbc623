//! What nobody means well who sends it: `ebpf/bpf/sanity.h`, where the standards are cited.

use std::net::{Ipv4Addr, Ipv6Addr};

use ringroad_ebpf::Verdict;

use super::parse::{ACK, FIN, RST, SYN, Segment, is_mapped};

/// Why a packet that is ours is dropped whoever would have it.
#[inline]
pub(super) fn check(segment: &Segment) -> Result<(), Verdict> {
    if segment.flags.is_some_and(has_bad_flags) {
        return Err(Verdict::BadFlags);
    }
    let is_bad_source = match segment.is_ipv4() {
        true => is_bad_source_v4(Ipv4Addr::from_bits(segment.source as u32)),
        false => is_bad_source_v6(segment.source),
    };
    if is_bad_source {
        return Err(Verdict::BadSource);
    }
    if segment.flags.is_some() && segment.local == segment.remote {
        return Err(Verdict::Land);
    }
    Ok(())
}

#[inline]
fn has_bad_flags(flags: u8) -> bool {
    const GO_ON: u8 = FIN | ACK;
    const OPEN: u8 = SYN | ACK;
    const END: u8 = RST | ACK;
    !matches!(flags & (FIN | SYN | RST | ACK), SYN | OPEN | RST | END | ACK | GO_ON)
}

fn is_bad_source_v4(source: Ipv4Addr) -> bool {
    source.octets()[0] == 0
        || source.is_loopback()
        || source.is_multicast()
        || source.is_broadcast()
}

fn is_bad_source_v6(source: u128) -> bool {
    let address = Ipv6Addr::from_bits(source);
    address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_mapped(source)
}
