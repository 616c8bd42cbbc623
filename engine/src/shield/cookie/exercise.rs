//! Any SYN answered by a cookie, and any damage to what comes back: for property tests and for
//! fuzzing.
//!
//! A cookie opens to what the SYN offered, as far as a cookie can tell. What is none of ours is
//! refused, unless somebody has guessed 24 bits: then it is exactly a cookie that we would have
//! baked for these ends, and the guess is good for one secret only.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Cookie, CookieOptions, Keys, MSS_V4, MSS_V6, SCALE_MAX, SynOptions, bake, open};
use crate::flow::FlowKey;
use crate::limits::COOKIE_PERIOD;
use crate::random::Random;
use crate::wire::tcp::SeqNum;

/// Secrets under which the same is tried.
const SECRETS: u64 = 3;

/// A segment that may bring a cookie back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Returned {
    flow: FlowKey,
    client_isn: SeqNum,
    cookie: Cookie,
}

/// The octets of an input, and zeros behind them.
struct Octets<'a>(&'a [u8]);

/// Bakes what `input` describes, opens it, and opens what `input` makes of it.
///
/// # Panics
/// If a cookie does not open to what was offered, or one opens that we have not baked.
pub fn exercise(input: &[u8]) {
    let mut octets = Octets(input);
    let choice = octets.take::<1>()[0];
    let flow = octets.flow(choice & 1 != 0);
    let client_isn = SeqNum(octets.number());
    let our_mss = u16::from_be_bytes(octets.take());
    let offered = SynOptions {
        mss: (choice & 2 != 0).then(|| u16::from_be_bytes(octets.take())),
        window_scale: (choice & 4 != 0).then(|| octets.take::<1>()[0]),
        sack: choice & 8 != 0,
        timestamps: choice & 16 != 0,
        ecn: choice & 32 != 0,
    };
    // How many periods later it comes back.
    let age = u64::from(choice >> 6);
    let damage = Octets(octets.0);
    let mut guesses = 0;
    for secret in 0..SECRETS {
        let master = Random::new(secret).draw().to_be_bytes();
        let master: [u8; 16] = std::array::from_fn(|i| master[i % master.len()]);
        let keys_in = |period: u64| Keys::at(&master, (1000 + period) * COOKIE_PERIOD.as_secs());
        let cookie = bake(&keys_in(0), &flow, client_isn, &offered, our_mss);
        let sent = Returned { flow, client_isn, cookie };
        let opened = sent.open(&keys_in(age));
        if age < 2 {
            is_what_was_offered(&opened.expect("ours"), &offered, our_mss, &flow);
        }
        let returned = Octets(damage.0).damaged(&sent);
        let fresh = age < 2 && returned == sent;
        if let Some(options) = returned.open(&keys_in(age))
            && !fresh
        {
            guesses += 1;
            returned.is_one_of_ours(&keys_in(age), &options);
        }
    }
    assert!(guesses < 2, "{guesses} secrets take what none of them has baked");
}

/// Nothing better than what was offered, and all that can be told.
fn is_what_was_offered(opened: &CookieOptions, offered: &SynOptions, our_mss: u16, flow: &FlowKey) {
    let classes = if flow.local().is_ipv4() { MSS_V4 } else { MSS_V6 };
    let least = classes[0];
    let wanted = offered.mss.unwrap_or(0).min(our_mss).max(least);
    let mss = classes.into_iter().filter(|class| *class <= wanted).max();
    assert_eq!(Some(opened.mss), mss);
    let scale = offered.window_scale.map(|shift| shift.min(SCALE_MAX));
    assert_eq!(opened.window_scale.is_some(), scale.is_some());
    assert!(opened.window_scale <= scale);
    assert!(!offered.timestamps || opened.window_scale == scale);
    assert_eq!(
        (opened.sack, opened.timestamps, opened.ecn),
        (offered.sack, offered.timestamps, offered.ecn && offered.timestamps)
    );
}

impl Returned {
    fn open(&self, keys: &Keys) -> Option<CookieOptions> {
        open(keys, &self.flow, self.client_isn, self.cookie.sequence, self.cookie.timestamp)
    }

    /// Whatever opens is what we bake for what it opens to.
    fn is_one_of_ours(&self, keys: &Keys, options: &CookieOptions) {
        let &CookieOptions { mss, window_scale, sack, timestamps, ecn } = options;
        let offered = SynOptions { mss: Some(mss), window_scale, sack, timestamps, ecn };
        let slot = (self.cookie.sequence.0 >> 31) as u8;
        let keys = Keys { current: slot, ..*keys };
        let again = bake(&keys, &self.flow, self.client_isn, &offered, u16::MAX);
        assert_eq!(again, self.cookie);
    }
}

impl Octets<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (front, rest) = self.0.split_at(self.0.len().min(N));
        self.0 = rest;
        let mut taken = [0; N];
        taken[..front.len()].copy_from_slice(front);
        taken
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn end(&mut self, is_v4: bool) -> SocketAddr {
        let port = u16::from_be_bytes(self.take());
        match is_v4 {
            true => SocketAddr::from((Ipv4Addr::from(self.take::<4>()), port)),
            false => SocketAddr::from((Ipv6Addr::from(self.take::<16>()), port)),
        }
    }

    fn flow(&mut self, is_v4: bool) -> FlowKey {
        FlowKey::new(self.end(is_v4), self.end(is_v4))
    }

    /// What is left of the input tells which field to change and how, again and again.
    fn damaged(mut self, sent: &Returned) -> Returned {
        let mut returned = *sent;
        while !self.0.is_empty() {
            let field = self.take::<1>()[0];
            let cookie = &mut returned.cookie;
            match field % 8 {
                0 => cookie.sequence.0 ^= self.number(),
                1 => cookie.sequence.0 = cookie.sequence.0.wrapping_add(self.number()),
                2 => returned.client_isn.0 ^= self.number(),
                3 => returned.client_isn.0 = returned.client_isn.0.wrapping_add(self.number()),
                4 => cookie.timestamp = cookie.timestamp.map(|value| value ^ self.number()),
                5 => {
                    cookie.timestamp = match cookie.timestamp {
                        Some(_) => None,
                        None => Some(self.number()),
                    }
                }
                6 => returned.flow = returned.flow.reversed(),
                _ => returned.flow = self.flow(sent.flow.local().is_ipv4()),
            }
        }
        returned
    }
}
