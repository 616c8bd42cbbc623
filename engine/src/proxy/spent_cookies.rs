//! SYN cookies that have opened a connection: none opens a second.
//!
//! A connection that is open, or in TIME-WAIT, is found by its flow. One that was reset, or that
//! its client finished first, leaves nothing behind; and its first segment, come once more within
//! the life of its cookie, would be a new connection, request and all.

use std::fmt;

use crate::flow::FlowHash;
use crate::limits::SPENT_COOKIES_MAX;
use crate::wire::tcp::SeqNum;

/// The cookies that were spent last. Nothing expires: a cookie that has outlived its key is refused
/// whether it is in here or not. Where many are spent, the oldest is forgotten early.
pub struct SpentCookies {
    /// Each a cache line; the newest entry first, zero where there is none.
    buckets: Vec<[u64; PER_BUCKET]>,
}

impl SpentCookies {
    /// Takes all memory that the set will ever need; what is never used stays untouched.
    pub fn new() -> Self {
        SpentCookies { buckets: vec![[0; PER_BUCKET]; SPENT_COOKIES_MAX / PER_BUCKET] }
    }

    pub fn insert(&mut self, cookie: Fingerprint) {
        let bucket = &mut self.buckets[cookie.bucket()];
        bucket.copy_within(..PER_BUCKET - 1, 1);
        bucket[0] = cookie.0;
    }

    pub fn contains(&self, cookie: Fingerprint) -> bool {
        self.buckets[cookie.bucket()].contains(&cookie.0)
    }
}

impl Default for SpentCookies {
    fn default() -> Self {
        SpentCookies::new()
    }
}

impl fmt::Debug for SpentCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpentCookies(..)")
    }
}

/// Tells one handshake from all others. Flow hashes are keyed, so nobody can aim at an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of the handshake on a flow, by both initial sequence numbers.
    pub fn new(flow: FlowHash, client_isn: SeqNum, cookie: SeqNum) -> Self {
        Fingerprint(flow.0 ^ (u64::from(client_isn.0) << 32 | u64::from(cookie.0)))
    }

    fn bucket(self) -> usize {
        // Both halves count: clients choose one of them, but never know what it is mixed with.
        (self.0 ^ self.0 >> 32) as usize % (SPENT_COOKIES_MAX / PER_BUCKET)
    }
}

const PER_BUCKET: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(number: u64) -> Fingerprint {
        let flow = FlowHash(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Fingerprint::new(flow, SeqNum(number as u32), SeqNum(7))
    }

    #[test]
    fn a_spent_cookie_is_known_until_many_others_were_spent() {
        let mut spent = SpentCookies::new();
        assert!(!spent.contains(cookie(1)));
        spent.insert(cookie(1));
        assert!(spent.contains(cookie(1)));
        let known = |spent: &SpentCookies, of: std::ops::Range<u64>| {
            of.filter(|number| spent.contains(cookie(*number))).count()
        };
        // A quarter of what there is room for: a bucket overflows by chance alone.
        let few = SPENT_COOKIES_MAX as u64 / 4;
        (2..few).for_each(|number| spent.insert(cookie(number)));
        assert!(known(&spent, 1..few) as u64 > few - few / 1000);
        (few..20 * few).for_each(|number| spent.insert(cookie(number)));
        assert!(known(&spent, 1..few) as u64 * 100 < few, "the oldest went first");
    }

    #[test]
    fn handshakes_on_one_flow_are_told_apart() {
        let mut spent = SpentCookies::new();
        let flow = FlowHash(0x1234_5678_9abc_def0);
        spent.insert(Fingerprint::new(flow, SeqNum(1), SeqNum(2)));
        assert!(spent.contains(Fingerprint::new(flow, SeqNum(1), SeqNum(2))));
        assert!(!spent.contains(Fingerprint::new(flow, SeqNum(2), SeqNum(1))));
        assert!(!spent.contains(Fingerprint::new(flow, SeqNum(1), SeqNum(3))));
        assert!(!spent.contains(Fingerprint::new(FlowHash(1), SeqNum(1), SeqNum(2))));
    }
}
