//! The keyed hash of flow keys.
//!
//! Whoever sends packets chooses addresses and ports, and could choose thousands whose hashes
//! collide if the hash were known. So it is SipHash-1-3 with a key drawn at random at start: a
//! pseudorandom function with fewer rounds than where its value is shown to others (the sequence
//! numbers of `tcp::isn`); what a hash table does with it reaches an attacker through timing at
//! most, and the reduced rounds are what hash tables exposed to the network commonly use. Faster
//! hashes that fold a 128-bit product have keys but no such claim: chosen inputs can zero a factor.

use std::fmt;
use std::num::NonZeroU8;

use siphasher::sip::SipHasher13;

use super::FlowKey;

/// The hash of a flow key. Worthless to anyone who does not know the hasher's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowHash(pub u64);

impl FlowHash {
    /// One of `parts` equal ones, from zero: by the lower half, of which a flow table knows nothing.
    #[inline]
    pub fn part(self, parts: NonZeroU8) -> u8 {
        ((u64::from(self.0 as u32) * u64::from(parts.get())) >> 32) as u8
    }
}

/// Hashes flow keys under a secret key.
#[derive(Clone)]
pub struct FlowHasher {
    /// A template: keyed once, copied for every hash.
    keyed: SipHasher13,
}

impl FlowHasher {
    /// `key` is 16 octets from a cryptographic source of randomness.
    pub fn new(key: &[u8; 16]) -> Self {
        FlowHasher { keyed: SipHasher13::new_with_key(key) }
    }

    /// What [`super::FlowTable`] wants.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> FlowHash {
        FlowHash(self.keyed.hash(&key.to_octets()))
    }

    /// The same value for a key and its reverse: for what must treat both directions of a flow
    /// alike, such as choosing a worker for it.
    #[inline]
    pub fn hash_symmetric(&self, key: &FlowKey) -> FlowHash {
        FlowHash(self.keyed.hash(&key.to_octets_symmetric()))
    }
}

/// Never shows the key.
impl fmt::Debug for FlowHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlowHasher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> FlowKey {
        let port = (n % 60_000) as u16;
        FlowKey::from_ipv4(([10, 10, 1, 1], 80), ((0x0a00_0000 + n / 60_000).to_be_bytes(), port))
    }

    #[test]
    fn the_symmetric_hash_ignores_direction_and_the_other_does_not() {
        let hasher = FlowHasher::new(&[7; 16]);
        for n in 0..1000 {
            let key = key(n);
            assert_eq!(hasher.hash_symmetric(&key), hasher.hash_symmetric(&key.reversed()));
            assert_ne!(hasher.hash(&key), hasher.hash(&key.reversed()));
        }
    }

    #[test]
    fn neighbouring_flows_spread_evenly_under_any_key() {
        for seed in 0..4 {
            let hasher = FlowHasher::new(&[seed; 16]);
            for shift in [0, 32, 56] {
                let mut counts = [0u32; 256];
                for n in 0..65_536 {
                    counts[(hasher.hash(&key(n)).0 >> shift) as usize & 0xff] += 1;
                }
                // 256 expected, standard deviation 16: six of them allowed.
                assert!(counts.iter().all(|c| (160..352).contains(c)), "key {seed}, bit {shift}");
            }
        }
    }

    #[test]
    fn flows_that_collide_under_one_key_do_not_under_another() {
        let (ours, other) = (FlowHasher::new(&[1; 16]), FlowHasher::new(&[2; 16]));
        let chosen: Vec<_> =
            (0..60_000).map(key).filter(|k| ours.hash(k).0 >> 56 == 0x5a).collect();
        assert!(chosen.len() > 100);
        let still = chosen.iter().filter(|k| other.hash(k).0 >> 56 == 0x5a).count();
        assert!(still < 10, "{still} of {}", chosen.len());
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", FlowHasher::new(&[0xab; 16])), "FlowHasher(..)");
    }
}
