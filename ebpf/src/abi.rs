//! The structures of `bpf/structs.h` as octets, in and out of maps.

#![allow(unsafe_code, reason = "views plain structures as octets")]

use std::mem::size_of;
use std::net::IpAddr;

use crate::skeleton::types;
use crate::{CookieMode, CookieService};

/// A structure that is nothing but integers.
///
/// # Safety
/// `#[repr(C)]`, without padding, and every pattern of bits is a value.
pub(crate) unsafe trait Plain: Copy + Default {}

// SAFETY: integers only; `structs.h` asserts that the structures with mixed widths have no padding
// (`service_key`, `egress_key`, `flow_key`, `prefix_v4`, `prefix_v6`, `cookie_service`), the others
// have fields of one width or that fill it.
unsafe impl Plain for types::service_key {}
// SAFETY: as above.
unsafe impl Plain for types::service {}
// SAFETY: as above.
unsafe impl Plain for types::egress_key {}
// SAFETY: as above.
unsafe impl Plain for types::egress {}
// SAFETY: as above.
unsafe impl Plain for types::flow_key {}
// SAFETY: as above.
unsafe impl Plain for types::address {}
// SAFETY: as above.
unsafe impl Plain for types::prefix_v4 {}
// SAFETY: as above.
unsafe impl Plain for types::prefix_v6 {}
// SAFETY: as above.
unsafe impl Plain for types::counters {}
// SAFETY: as above.
unsafe impl Plain for types::cookie_service {}
// SAFETY: as above.
unsafe impl Plain for types::rate_limit {}
// SAFETY: as above.
unsafe impl Plain for types::service_counters {}
// SAFETY: as above; `structs.h` asserts that a sample has no padding.
unsafe impl Plain for types::sample {}
// SAFETY: as above.
unsafe impl Plain for types::sampler {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}

pub(crate) fn octets<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain`: all octets of `value` are initialised; the slice borrows it.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// `None` if `octets` are fewer than the structure has.
pub(crate) fn from_octets<T: Plain>(octets: &[u8]) -> Option<T> {
    let octets = octets.get(..size_of::<T>())?;
    // SAFETY: `Plain`: any octets are a value, and there are enough; the read asks no alignment.
    Some(unsafe { std::ptr::read_unaligned(octets.as_ptr().cast()) })
}

/// A service's settings as the word that they are in the control page.
pub(crate) fn cookie_service(service: &CookieService) -> u64 {
    let &CookieService { mss_v4, mss_v6, window, window_scale, ecn, mode } = service;
    let scale_and_ecn = window_scale & WINDOW_SCALE | if ecn { ECN } else { 0 };
    let mode = cookie_mode(mode);
    let plain = types::cookie_service { mss_v4, mss_v6, window, scale_and_ecn, mode };
    from_octets(octets(&plain)).unwrap_or_default()
}

/// As in `bpf/consts.h`: `SERVICE_WINDOW_SCALE` and `SERVICE_ECN`.
const WINDOW_SCALE: u8 = 0x0f;
const ECN: u8 = 0x10;

/// As in `bpf/consts.h`.
pub(crate) const fn cookie_mode(mode: CookieMode) -> u8 {
    match mode {
        CookieMode::Off => 0,
        CookieMode::Always => 1,
        CookieMode::UnderPressure => 2,
    }
}

/// Sixteen octets as on the wire, IPv4 mapped (RFC 4291 §2.5.5.2).
pub(crate) fn address(address: IpAddr) -> types::address {
    let octets = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let mut words = [0; 4];
    for (word, octets) in words.iter_mut().zip(octets.chunks_exact(4)) {
        *word = u32::from_ne_bytes([octets[0], octets[1], octets[2], octets[3]]);
    }
    types::address { words }
}
