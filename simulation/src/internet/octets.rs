//! Where things are in a frame, whatever it is.

use std::net::IpAddr;

/// Source and destination of an IP packet.
pub(super) fn addresses(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let at = ip_at(frame);
    let ip = frame.get(at..)?;
    match (frame.get(at - 2..at)?, ip.first()? >> 4) {
        ([0x08, 0x00], 4) => {
            let address = |at: usize| Some(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?.into());
            Some((address(12)?, address(16)?))
        }
        ([0x86, 0xdd], 6) => {
            let address = |at: usize| Some(<[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?.into());
            Some((address(8)?, address(24)?))
        }
        _ => None,
    }
}

/// Length of what is behind the Ethernet header and the tags [octets].
pub(super) fn ip_octets(frame: &[u8]) -> usize {
    frame.len().saturating_sub(ip_at(frame))
}

/// Marks an ECN-capable packet with congestion experienced (RFC 3168 §5); `false` if it is none.
/// The checksum of the IPv4 header stays right if it was, and wrong if it was (RFC 1624 §3).
pub(super) fn mark(frame: &mut [u8]) -> bool {
    let Some((source, _)) = addresses(frame) else { return false };
    let ip = ip_at(frame);
    let (at, shift) = if source.is_ipv4() { (ip, 0) } else { (ip, 4) };
    let before = [frame[at], frame[at + 1]];
    if before[1] >> shift & 3 == 0 {
        return false;
    }
    frame[at + 1] |= 3 << shift;
    if source.is_ipv4() {
        let after = [frame[at], frame[at + 1]];
        update_checksum(frame, ip + 10, before, after);
    }
    true
}

/// Updates a checksum for two octets that have changed (RFC 1624 §3, equation 3).
fn update_checksum(frame: &mut [u8], at: usize, before: [u8; 2], after: [u8; 2]) {
    let checksum = u16::from_be_bytes([frame[at], frame[at + 1]]);
    let removed = !u16::from_be_bytes(before);
    let added = u16::from_be_bytes(after);
    let mut sum = u32::from(!checksum) + u32::from(removed) + u32::from(added);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// What may be damaged so that a checksum shows it: the IP packet, but of IPv6 the addresses and
/// what follows, as nothing sums most of what is before them (RFC 8200 §3, §8.1).
pub(super) fn damageable(frame: &mut [u8]) -> &mut [u8] {
    let is_v6 = matches!(addresses(frame), Some((IpAddr::V6(_), _)));
    let from = ip_at(frame) + if is_v6 { 8 } else { 0 };
    frame.get_mut(from..).unwrap_or_default()
}

/// Where the IP header begins.
pub(super) fn ip_at(frame: &[u8]) -> usize {
    let mut at = ETHERNET_HEADER;
    while let Some([0x81, 0x00] | [0x88, 0xa8]) = frame.get(at - 2..at) {
        at += 4;
    }
    at
}

/// [octets].
const ETHERNET_HEADER: usize = 14;
