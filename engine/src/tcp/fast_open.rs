//! TCP Fast Open, the server's side (RFC 7413): a client that was here before brings its request
//! with its SYN, and its answer leaves before the handshake is over.
//!
//! What the client brings as proof is a cookie that it was given before: a keyed hash of both
//! addresses, so that nothing is remembered of it here. The key is a new one in each
//! [`FAST_OPEN_KEY_PERIOD`] and serves for two of them; who comes with the older one gets a newer
//! cookie with the answer.
//!
//! A SYN may arrive twice, the second time when its connection is long over (RFC 7413 §2.1): a
//! request that must not be served twice is not for Fast Open, which only the operator can tell.

use std::fmt;

use siphasher::sip::SipHasher24;
use siphasher::sip128;

use super::state::State;
use super::{Chunk, Connection, Context, Disposition, DropReason};
use crate::flow::FlowKey;
use crate::limits::{FAST_OPEN_KEY_PERIOD, WINDOW_UNSCALED_MAX};
use crate::tcp::receive_queue::trim_back;
use crate::time::Instant;
use crate::wire::tcp::FastOpen;

/// A cookie as it stands in the option [octets].
pub type Cookie = [u8; 8];

/// Hands out cookies and knows them again.
pub struct Cookies {
    secret: [u8; 16],
    /// The period that the first of the keys is of; the second is of the one before.
    period: u64,
    keys: [[u8; 16]; 2],
}

/// What becomes of a SYN with the option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It brought a cookie of ours: its source is who it says, and its payload may be taken.
    pub proven: bool,
    /// What the SYN-ACK brings for the next time.
    pub cookie: Option<Cookie>,
}

impl Cookies {
    /// `secret` is for this purpose alone. Who has the same and the same clock takes each other's
    /// cookies.
    pub fn new(secret: [u8; 16]) -> Self {
        let keys = Cookies::keys(&secret, 0);
        Cookies { secret, period: 0, keys }
    }

    /// Judges the option of a SYN to the local end of `flow` (RFC 7413 §4.1.2).
    pub fn judge(&mut self, flow: &FlowKey, brought: FastOpen, now: Instant) -> Verdict {
        let period = now.as_nanos() / FAST_OPEN_KEY_PERIOD.as_nanos() as u64;
        if period != self.period {
            self.period = period;
            self.keys = Cookies::keys(&self.secret, period);
        }
        let [fresh, older] = self.keys.each_ref().map(|key| bake(key, flow));
        match brought {
            FastOpen::Cookie(cookie) if cookie == fresh => Verdict { proven: true, cookie: None },
            FastOpen::Cookie(cookie) => Verdict { proven: cookie == older, cookie: Some(fresh) },
            FastOpen::Wanted => Verdict { proven: false, cookie: Some(fresh) },
        }
    }

    fn keys(secret: &[u8; 16], period: u64) -> [[u8; 16]; 2] {
        [period, period.wrapping_sub(1)].map(|period| {
            let message = period.to_le_bytes();
            sip128::SipHasher24::new_with_key(secret).hash(&message).as_bytes()
        })
    }
}

/// Never shows the keys.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies").field("period", &self.period).finish_non_exhaustive()
    }
}

/// Over addresses alone: clients keep cookies by address, and connect from any port (RFC 7413 §3).
fn bake(key: &[u8; 16], flow: &FlowKey) -> Cookie {
    let ends = flow.to_octets();
    SipHasher24::new_with_key(key).hash(&ends[..ADDRESSES_OCTETS]).to_le_bytes()
}

/// Both addresses of a flow, in front of its ports [octets].
const ADDRESSES_OCTETS: usize = 32;

impl Connection {
    /// In SYN-RECEIVED, before the first poll: the SYN-ACK brings a cookie.
    pub fn bring_cookie(&mut self, cookie: Cookie) {
        self.cold.fast_open_cookie = Some(cookie);
    }

    /// In SYN-RECEIVED, before the first poll: takes the payload of a SYN whose source has proven
    /// itself. What is queued may from now on be sent ahead of the ACK of our SYN (RFC 7413 §4.2.2).
    pub fn open_early(&mut self, cx: &mut Context<'_>, mut chunk: Chunk) -> Disposition {
        // What does not fit the window that the SYN-ACK offers is not acknowledged, and sent again.
        let room = self.room.min(WINDOW_UNSCALED_MAX);
        let brought = chunk.frame.len() as u32;
        let len = brought.min(room);
        if self.state != State::SynReceived || self.cold.early || len == 0 {
            cx.pool.free(chunk.frame);
            return Disposition::Dropped(DropReason::OutsideWindow);
        }
        if cx.pool.is_scarce() {
            // As without Fast Open: the client sends it again.
            cx.pool.free(chunk.frame);
            return Disposition::Dropped(DropReason::FramesScarce);
        }
        trim_back(cx.pool, &mut chunk, brought - len);
        cx.counters.queued += 1;
        cx.counters.fast_opens += 1;
        self.received.push(cx, chunk, self.rcv_nxt);
        self.rcv_nxt += len;
        self.rcv_acked = self.rcv_nxt;
        self.rcv_edge = self.rcv_nxt;
        self.cold.early = true;
        Disposition::Queued
    }

    /// Whether the SYN brought payload that was taken.
    pub fn opened_early(&self) -> bool {
        self.cold.early
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = FAST_OPEN_KEY_PERIOD;

    fn flow(client: &str) -> FlowKey {
        let service = if client.starts_with('[') { "[fd00::1]:443" } else { "10.0.0.1:443" };
        FlowKey::new(service.parse().unwrap(), client.parse().unwrap())
    }

    fn at(time: Duration) -> Instant {
        Instant::ZERO + time
    }

    fn given(cookies: &mut Cookies, client: &str, now: Instant) -> Cookie {
        let verdict = cookies.judge(&flow(client), FastOpen::Wanted, now);
        assert!(!verdict.proven, "asking proves nothing");
        verdict.cookie.expect("a cookie for who asks")
    }

    #[test]
    fn a_cookie_is_good_for_its_address_on_every_port() {
        let mut cookies = Cookies::new([7; 16]);
        for (client, again, other) in [
            ("192.0.2.7:1000", "192.0.2.7:2000", "192.0.2.8:1000"),
            ("[2001:db8::7]:1000", "[2001:db8::7]:2000", "[2001:db8::8]:1000"),
        ] {
            let cookie = given(&mut cookies, client, at(HOUR));
            let good = cookies.judge(&flow(again), FastOpen::Cookie(cookie), at(HOUR));
            assert_eq!(good, Verdict { proven: true, cookie: None });
            let stolen = cookies.judge(&flow(other), FastOpen::Cookie(cookie), at(HOUR));
            assert!(!stolen.proven);
            assert_eq!(stolen.cookie, Some(given(&mut cookies, other, at(HOUR))), "one of its own");
        }
    }

    #[test]
    fn a_cookie_is_good_for_one_to_two_periods_and_replaced_in_the_second() {
        let mut cookies = Cookies::new([7; 16]);
        let client = "192.0.2.7:1000";
        let cookie = given(&mut cookies, client, at(HOUR * 5));
        let brought = FastOpen::Cookie(cookie);
        let soon = cookies.judge(&flow(client), brought, at(HOUR * 6 - Duration::from_secs(1)));
        assert_eq!(soon, Verdict { proven: true, cookie: None });
        let later = cookies.judge(&flow(client), brought, at(HOUR * 6));
        assert!(later.proven && later.cookie.is_some_and(|fresh| fresh != cookie));
        let late = cookies.judge(&flow(client), brought, at(HOUR * 7));
        assert!(!late.proven && late.cookie.is_some());
    }

    #[test]
    fn who_shares_the_secret_takes_the_cookie_and_nobody_else() {
        let client = "192.0.2.7:1000";
        let cookie = FastOpen::Cookie(given(&mut Cookies::new([7; 16]), client, at(HOUR)));
        assert!(Cookies::new([7; 16]).judge(&flow(client), cookie, at(HOUR)).proven);
        assert!(!Cookies::new([8; 16]).judge(&flow(client), cookie, at(HOUR)).proven);
    }

    #[test]
    fn every_bit_of_a_cookie_counts() {
        let mut cookies = Cookies::new([7; 16]);
        let client = "192.0.2.7:1000";
        let cookie = given(&mut cookies, client, at(HOUR));
        for bit in 0..64 {
            let forged = u64::from_le_bytes(cookie) ^ 1 << bit;
            let forged = FastOpen::Cookie(forged.to_le_bytes());
            assert!(!cookies.judge(&flow(client), forged, at(HOUR)).proven, "bit {bit}");
        }
    }
}
