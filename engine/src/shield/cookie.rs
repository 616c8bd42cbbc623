//! SYN cookies (RFC 4987 §3.6): a SYN is answered without remembering it, and the acknowledgment of
//! the answer brings back all that has to be known.
//!
//! What the client offered travels in our sequence number and, where the client sends timestamps,
//! in our first timestamp, which it echoes (RFC 7323 §3.2):
//!
//! ```text
//! sequence number:  slot:1 | MSS:3 | window scale:3 | SACK:1 | mac:24
//! timestamp value:  mac:27 | window scale:4 | ECN:1
//! ```
//!
//! Three bits stand for a class of values ([`MSS_V4`], [`MSS_V6`], [`SCALES`]), always the largest
//! that is not above what was offered: a segment too small or a window underestimated costs little,
//! the contrary breaks the connection. With timestamps the window scale is exact, and ECN possible.
//!
//! The mac is SipHash-2-4 over both ends, the client's initial sequence number and all bits above
//! that are not the mac: whoever has not seen our answer has to guess 24 bits, or 51 with
//! timestamps. The keys change every [`COOKIE_PERIOD`]; the slot tells which of the last two it was.
//! Machines with the same master secret and clocks that agree accept each other's cookies.
//!
//! [`bake`] is what `ebpf/bpf/cookie.h` does as well, to the bit; only [`open`] is here alone.

#[cfg(any(test, fuzzing))]
pub mod exercise;

use std::fmt;

use siphasher::sip::SipHasher24;
use siphasher::sip128;

use crate::flow::FlowKey;
use crate::limits::COOKIE_PERIOD;
use crate::planted::{self, Fault};
use crate::wire::tcp::SeqNum;

/// The keys of two periods, this one and the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    pub slots: [[u8; 16]; 2],
    /// Which slot cookies are baked with: 0 or 1.
    pub current: u8,
}

impl Keys {
    /// The keys at a time: one is overwritten in each period, the one that was not in use, so that
    /// a cookie is good for one to two periods.
    pub fn at(master: &[u8; 16], unix_seconds: u64) -> Self {
        let period = unix_seconds / COOKIE_PERIOD.as_secs();
        let mut slots = [[0; 16]; 2];
        for period in [period.wrapping_sub(1), period] {
            slots[(period & 1) as usize] = key(master, period);
        }
        Keys { slots, current: (period & 1) as u8 }
    }
}

/// Never shows the keys.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("current", &self.current).finish_non_exhaustive()
    }
}

/// What a SYN offers, as far as the answer depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynOptions {
    /// [octets]
    pub mss: Option<u16>,
    /// As sent; more than 14 means 14 (RFC 7323 §2.3).
    pub window_scale: Option<u8>,
    pub sack: bool,
    pub timestamps: bool,
    /// ECE and CWR (RFC 3168 §6.1.1). Only to be remembered along with timestamps.
    pub ecn: bool,
}

/// What the SYN-ACK starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub sequence: SeqNum,
    /// With timestamps: our first.
    pub timestamp: Option<u32>,
}

/// What a cookie remembers of the SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieOptions {
    /// Not above what was offered, nor above ours, unless that is below the least class [octets].
    pub mss: u16,
    /// With timestamps what was offered, at most 14; without not above it.
    pub window_scale: Option<u8>,
    pub sack: bool,
    pub timestamps: bool,
    pub ecn: bool,
}

/// The cookie that answers a SYN to the local end of `flow`, where our maximum segment size is
/// `our_mss` [octets].
#[inline]
pub fn bake(
    keys: &Keys,
    flow: &FlowKey,
    client_isn: SeqNum,
    offered: &SynOptions,
    our_mss: u16,
) -> Cookie {
    let mss = offered.mss.map_or(0, |mss| mss.min(our_mss));
    let scale = offered.window_scale.map(|shift| shift.min(SCALE_MAX));
    let scale_class = scale.map_or(0, |shift| 1 + class(&SCALES, shift));
    let above_mac = keys.current << 7
        | class(mss_classes(flow), mss) << 4
        | scale_class << 1
        | u8::from(offered.sack);
    let below_mac =
        offered.timestamps.then(|| scale.unwrap_or(SCALE_NONE) << 1 | u8::from(offered.ecn));
    seal(keys, flow, client_isn, above_mac, below_mac)
}

/// Reads a cookie that came back: `sequence` is one less than the segment acknowledges,
/// `client_isn` one less than its own sequence number, `echoed` its timestamp echo reply. `None`:
/// it is none of ours, or too old.
#[inline]
pub fn open(
    keys: &Keys,
    flow: &FlowKey,
    client_isn: SeqNum,
    sequence: SeqNum,
    echoed: Option<u32>,
) -> Option<CookieOptions> {
    let above_mac = (sequence.0 >> 24) as u8;
    let below_mac = echoed.map(|timestamp| timestamp as u8 & BELOW_MAC_MASK);
    let returned = Cookie { sequence, timestamp: echoed };
    if seal(keys, flow, client_isn, above_mac, below_mac) != returned {
        return None;
    }
    let scale = match below_mac {
        Some(exact) => Some(exact >> 1).filter(|shift| *shift != SCALE_NONE),
        None => usize::from(above_mac >> 1 & 7).checked_sub(1).map(|class| SCALES[class]),
    };
    let too_large = u8::from(planted::is(Fault::CookieMssTooLarge));
    let mss_class = ((above_mac >> 4 & 7) + too_large).min(7);
    Some(CookieOptions {
        mss: mss_classes(flow)[usize::from(mss_class)],
        window_scale: scale,
        sack: above_mac & 1 == 1,
        timestamps: below_mac.is_some(),
        ecn: below_mac.is_some_and(|exact| exact & 1 == 1),
    })
}

/// Adds the mac to what a cookie says: the octet above the sequence number's, and, with timestamps,
/// the five bits below the timestamp's.
#[inline]
fn seal(
    keys: &Keys,
    flow: &FlowKey,
    client_isn: SeqNum,
    above_mac: u8,
    below_mac: Option<u8>,
) -> Cookie {
    // In network order. What all mapped addresses begin with is left out: the length, hashed as
    // well, tells the families apart.
    let ends = flow.reversed().to_octets();
    let (client, ours, ports) = (&ends[..16], &ends[16..32], &ends[32..]);
    let mut message = [0; MESSAGE_OCTETS];
    message[..12].copy_from_slice(&client[..12]);
    message[12..24].copy_from_slice(&ours[..12]);
    message[24..28].copy_from_slice(&client[12..]);
    message[28..32].copy_from_slice(&ours[12..]);
    message[32..36].copy_from_slice(ports);
    message[36..40].copy_from_slice(&client_isn.0.to_be_bytes());
    message[40..].copy_from_slice(&[above_mac, below_mac.unwrap_or(NO_TIMESTAMPS)]);
    let start = if flow.local().is_ipv4() { MESSAGE_START_V4 } else { 0 };
    let key = &keys.slots[usize::from(above_mac >> 7)];
    let mac = SipHasher24::new_with_key(key).hash(&message[start..]);
    Cookie {
        sequence: SeqNum(u32::from(above_mac) << 24 | mac as u32 & 0x00ff_ffff),
        timestamp: below_mac.map(|exact| ((mac >> 24) as u32) << 5 | u32::from(exact)),
    }
}

/// The key of a period: whoever learns one learns nothing of the others.
fn key(master: &[u8; 16], period: u64) -> [u8; 16] {
    let mut message = *b"ringroad cookie\0\0\0\0\0\0\0\0";
    message[15..].copy_from_slice(&period.to_le_bytes());
    sip128::SipHasher24::new_with_key(master).hash(&message).as_bytes()
}

/// The largest class that is not above `value`, or else the least.
#[inline]
fn class<T: PartialOrd + Copy>(classes: &[T], value: T) -> u8 {
    classes[1..].iter().map(|least| u8::from(*least <= value)).sum()
}

#[inline]
fn mss_classes(flow: &FlowKey) -> &'static [u16; 8] {
    if flow.local().is_ipv4() { &MSS_V4 } else { &MSS_V6 }
}

/// Classes of segment sizes [octets]: what RFC 9293 §3.7.1 has a client mean that offers none; what
/// every link of IPv6 carries; tunnels, PPPoE, Ethernet with and without timestamps' room, and
/// jumbo frames.
const MSS_V4: [u16; 8] = [536, 1220, 1360, 1400, 1440, 1452, 1460, 8960];
const MSS_V6: [u16; 8] = [1220, 1280, 1340, 1380, 1400, 1420, 1440, 8940];

/// Classes of window scales, behind that of none: what systems offer.
const SCALES: [u8; 7] = [0, 3, 5, 6, 7, 8, 9];

/// RFC 7323 §2.3.
const SCALE_MAX: u8 = 14;

/// In the timestamp: no window scale was offered.
const SCALE_NONE: u8 = 15;

/// What is hashed, and where it starts for IPv4.
const MESSAGE_OCTETS: usize = 42;
const MESSAGE_START_V4: usize = 24;

/// What stands below the timestamp's mac.
const BELOW_MAC_MASK: u8 = 0x1f;

/// Hashed in its place without timestamps; differs from all that it can be.
const NO_TIMESTAMPS: u8 = 0xff;

#[cfg(test)]
mod tests;
