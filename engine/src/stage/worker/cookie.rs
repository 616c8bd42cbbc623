//! New connections whose SYN the shield has answered by a cookie: the first segment that proves it
//! opens them. Nothing was kept here until then.
//!
//! The first segment may be the ACK of the handshake, or payload that has overtaken it, or outlived
//! it: all that the client sends first carries the same numbers.

use super::receive::Arrival;
use super::{Worker, context};
use crate::proxy::{Fingerprint, Side};
use crate::shield::cookie::{self, CookieOptions};
use crate::tcp::{Connection, State};
use crate::telemetry::DropReason;
use crate::wire::tcp::{Flags, SeqNum};

/// What a segment has proven to have been the answer to its client's SYN.
#[derive(Debug)]
pub(super) struct Proven {
    service: u16,
    options: CookieOptions,
    fingerprint: Fingerprint,
}

/// Why a segment proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// It cannot: cookies are off, it is no acknowledgment, or for no service.
    NoCookie,
    /// It could, but what it acknowledges is no cookie of ours, or a stale or a spent one.
    BadCookie,
}

impl Worker {
    /// What a segment proves that belongs to no connection, or not to the one on its flow.
    pub(super) fn prove(&self, arrival: &Arrival) -> Result<Proven, Unproven> {
        let Arrival { header, key, hash, .. } = arrival;
        let keys = self.cookie_keys.as_ref().ok_or(Unproven::NoCookie)?;
        let acknowledges = header.flags.contains(Flags::ACK)
            && !header.flags.contains(Flags::SYN)
            && !header.flags.contains(Flags::RST);
        let service = match self.listeners.get(&key.local()) {
            Some(&service) if acknowledges => service,
            _ => return Err(Unproven::NoCookie),
        };
        let client_isn = SeqNum(header.sequence.0.wrapping_sub(1));
        let sequence = SeqNum(header.acknowledgment.0.wrapping_sub(1));
        let echoed = header.options.timestamps.map(|timestamps| timestamps.echo_reply);
        let options =
            cookie::open(keys, key, client_isn, sequence, echoed).ok_or(Unproven::BadCookie)?;
        let fingerprint = Fingerprint::new(*hash, client_isn, sequence);
        if self.spent_cookies.contains(fingerprint) {
            return Err(Unproven::BadCookie);
        }
        Ok(Proven { service, options, fingerprint })
    }

    /// Opens the connection that a segment has proven, and hands it the segment. A cookie whose
    /// client is turned away is not spent: where it was not told so, it may try again.
    pub(super) fn accept_cookie(&mut self, proven: &Proven, arrival: Arrival) {
        if !self.has_room(proven.service) {
            return self.turn_away(proven.service, arrival);
        }
        let tcp = self.proven_connection(proven, &arrival);
        let Some(index) = self.add_pair(proven.service, &arrival, tcp) else {
            return self.drop_frame(arrival.frame, DropReason::NotAccepting);
        };
        self.spent_cookies.insert(proven.fingerprint);
        self.on_segment(index, Side::Client, arrival);
    }

    /// What a segment proves that has nothing to do with its flow's connection. The SYN went to the
    /// shield, so nothing has told that connection yet that its client is gone.
    #[inline]
    pub(super) fn supersedes(&self, index: u32, side: Side, arrival: &Arrival) -> Option<Proven> {
        let tcp = &self.pairs.get(index)?.leg(side)?.tcp;
        if side == Side::Origin || !tcp.is_foreign(arrival.header.acknowledgment) {
            return None;
        }
        let proven = self.prove(arrival).ok()?;
        // To end a live connection takes the 51 bits of a cookie with timestamps: 24 can be guessed
        // sooner than the one number that a reset must have (RFC 5961 §3.2).
        let suffices = proven.options.timestamps || tcp.state() == State::SynReceived;
        suffices.then_some(proven)
    }

    /// Puts a proven connection in the place of the one on its flow.
    pub(super) fn take_over(&mut self, index: u32, proven: &Proven, arrival: Arrival) {
        let tcp = self.proven_connection(proven, &arrival);
        let Some(pair) = self.pairs.get_mut(index) else { return self.refuse(arrival) };
        if let Some(leg) = pair.leg_mut(Side::Client)
            && leg.tcp.state() == State::SynReceived
            && !leg.tcp.opened_early()
        {
            // One SYN, sent twice: we have answered it, and so has the shield.
            leg.tcp.release(&mut context!(self));
            leg.tcp = tcp;
            self.spent_cookies.insert(proven.fingerprint);
            return self.on_segment(index, Side::Client, arrival);
        }
        if let Some(origin) = pair.leg_mut(Side::Origin) {
            origin.tcp.abort();
        }
        self.forget_leg(index, Side::Client);
        self.enqueue(index);
        self.accept_cookie(proven, arrival);
    }

    fn proven_connection(&self, proven: &Proven, arrival: &Arrival) -> Connection {
        let endpoints = self.client_endpoints(arrival);
        let settings = &self.services[usize::from(proven.service)].settings.client_leg;
        Connection::accept_cookie(settings, endpoints, &arrival.header, &proven.options, self.now)
    }
}
