//! Numbers that a connection starts with and that nobody off the path may guess: the initial
//! sequence number (RFC 6528) and the offset of its timestamps (RFC 7323 §5.4).
//!
//! Both are a clock plus a keyed hash of the connection's addresses and ports. The hash is
//! SipHash-2-4, a pseudorandom function with a 128-bit key, as RFC 6528 §3 asks for; whoever
//! does not know the [`Secret`] learns nothing about one connection from the numbers of another.

use std::fmt;

use siphasher::sip::SipHasher24;

use crate::flow::FlowKey;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

/// A 128-bit key. Never shown: its `Debug` says only that there is one.
///
/// Drawn at random when the process starts. Keeping it for the life of the process is what makes
/// sequence numbers of successive connections between the same ends move forward.
#[derive(Clone)]
pub struct Secret([u8; 16]);

impl Secret {
    /// Takes 16 octets from a cryptographic source of randomness.
    pub const fn new(octets: [u8; 16]) -> Self {
        Secret(octets)
    }

    /// `purpose` separates the uses of one key: no value of one purpose says anything about
    /// another's.
    fn hash(&self, key: &FlowKey, purpose: u8) -> u64 {
        let mut message = [purpose; FlowKey::OCTETS + 1];
        message[..FlowKey::OCTETS].copy_from_slice(&key.to_octets());
        SipHasher24::new_with_key(&self.0).hash(&message)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The initial sequence number of a connection that is opened at `now`.
// RFC 6528 §3: ISN = M + F(localip, localport, remoteip, remoteport, secretkey).
pub fn initial_sequence(secret: &Secret, key: &FlowKey, now: Instant) -> SeqNum {
    // RFC 9293 §3.4.1: M is a clock that ticks every 4 microseconds, so it wraps in 4.77 hours.
    let clock = now.as_micros() / 4;
    SeqNum((clock as u32).wrapping_add(secret.hash(key, PURPOSE_SEQUENCE) as u32))
}

/// What a connection adds (wrapping) to its millisecond clock to make timestamps.
///
/// It is the same for every connection between the same two ends and ports, so their timestamps
/// keep rising from one connection to the next, which PAWS at the peer and the reuse of its
/// TIME-WAIT state rely on (RFC 7323 §5, RFC 6191). To anyone else the timestamps tell neither
/// how long we have been up nor which connections end at the same machine (RFC 7323 §7.1).
pub fn timestamp_offset(secret: &Secret, key: &FlowKey) -> u32 {
    secret.hash(key, PURPOSE_TIMESTAMP) as u32
}

const PURPOSE_SEQUENCE: u8 = 1;
const PURPOSE_TIMESTAMP: u8 = 2;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn secret() -> Secret {
        Secret::new(*b"0123456789abcdef")
    }

    fn key(remote_port: u16) -> FlowKey {
        FlowKey::from_ipv4(([10, 10, 1, 1], 80), ([198, 51, 100, 7], remote_port))
    }

    #[test]
    fn a_later_connection_between_the_same_ends_starts_further_on() {
        let start = Instant::from_millis(123_456);
        let first = initial_sequence(&secret(), &key(40_000), start);
        let second = initial_sequence(&secret(), &key(40_000), start + Duration::from_secs(1));
        assert_eq!(second - first, 250_000, "one step every 4 microseconds");
    }

    #[test]
    fn other_ends_and_other_keys_give_unrelated_numbers() {
        let now = Instant::from_millis(5);
        let mut seen: Vec<u32> =
            (0..1000).map(|port| initial_sequence(&secret(), &key(port), now).0).collect();
        seen.push(initial_sequence(&Secret::new([7; 16]), &key(1), now).0);
        seen.push(initial_sequence(&secret(), &key(1).reversed(), now).0);
        seen.push(timestamp_offset(&secret(), &key(1)));
        // Spread over the whole circle: every sixteenth of it holds about a sixteenth of them.
        for sixteenth in 0..16 {
            let share = seen.iter().filter(|n| *n >> 28 == sixteenth).count();
            assert!((30..100).contains(&share), "{share} numbers in sixteenth {sixteenth}");
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1003);
    }

    #[test]
    fn the_hash_is_siphash_2_4_as_published() {
        // Reference vector of the SipHash paper, appendix A: key 00..0f, message 00..0e.
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let message: [u8; 15] = std::array::from_fn(|i| i as u8);
        assert_eq!(SipHasher24::new_with_key(&key).hash(&message), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn timestamps_of_a_tuple_keep_their_offset() {
        let offset = timestamp_offset(&secret(), &key(9));
        assert_eq!(offset, timestamp_offset(&secret(), &key(9)));
        assert_ne!(offset, timestamp_offset(&secret(), &key(10)));
    }

    #[test]
    fn a_secret_is_not_printed() {
        let shown = format!("{:?} {:#?}", Secret::new([0xab; 16]), Secret::new([0xab; 16]));
        assert_eq!(shown, "Secret(..) Secret(..)");
    }
}
