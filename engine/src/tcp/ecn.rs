//! Explicit congestion notification: routers mark what they would else drop (RFC 3168), and the
//! marks of a path with DCTCP are echoed one by one (RFC 8257).
//!
//! A connection has two halves. The receiving half is told of marks by the IP header and echoes
//! them with ECE; the sending half takes an echo for congestion, reduces its window once for a
//! window of data, and says so with CWR. The two legs of a pair have nothing of this in common: a
//! mark ends where its connection ends.

use super::congestion::{Algorithm, CongestionControl, LossSample};
use super::settings::LegSettings;
use super::{Connection, Context};
use crate::wire::ip::Ecn;
use crate::wire::tcp::{Flags, TcpHeader};

/// What a leg does about ECN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnPolicy {
    /// Neither asks nor agrees.
    Off,
    /// Agrees where the peer asks, which is also Linux's default (`net.ipv4.tcp_ecn` = 2); with DCTCP
    /// it asks.
    #[default]
    Accept,
    /// Also asks.
    Ask,
}

/// What both halves keep at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EcnState {
    /// Both ends have agreed: new payload leaves as ECN-capable, and marks and echoes count.
    pub(super) in_force: bool,
    /// Echoes tell of each mark (RFC 8257 §3.2), instead of lasting until CWR.
    pub(super) accurate: bool,
    /// What is acknowledged is acknowledged with ECE.
    pub(super) echo: bool,
    /// The next new payload carries CWR.
    pub(super) cwr_due: bool,
}

impl LegSettings {
    /// Whether our SYNs ask for ECN: by DCTCP nothing can be done without (RFC 8257 §3).
    pub fn asks_for_ecn(&self) -> bool {
        match self.ecn {
            EcnPolicy::Off => false,
            EcnPolicy::Accept => self.congestion == Algorithm::Dctcp,
            EcnPolicy::Ask => true,
        }
    }
}

impl EcnState {
    /// Before the handshake. The peer of a leg with DCTCP is taken to do the same.
    pub(super) fn of(settings: &LegSettings) -> Self {
        let accurate = settings.congestion == Algorithm::Dctcp;
        EcnState { accurate, ..EcnState::default() }
    }

    /// Payload has arrived that is new. Returns whether it must be acknowledged at once.
    #[inline]
    fn on_payload(&mut self, flags: Flags, marked: bool) -> bool {
        let before = self.echo;
        if self.accurate {
            // RFC 8257 §3.2: an ACK covers segments that were all marked, or all not, as far as
            // the change can be told at once.
            self.echo = marked;
            return before != marked;
        }
        // RFC 3168 §6.1.3: ECE until the peer has reduced its window; a mark on the very segment
        // that says so is a new one.
        let reduced = flags.contains(Flags::CWR);
        self.echo = marked || (before && !reduced);
        // The peer's window may now be a single segment, whose ACK must not be late (so Linux).
        reduced || (marked && !before)
    }
}

/// Whether a SYN asks for ECN, or a SYN-ACK agrees to it.
fn is_setup(flags: Flags) -> bool {
    // RFC 3168 §6.1.1: a SYN-ACK with both bits is what a peer sends that reflects what it does not
    // know.
    let cwr_expected = !flags.contains(Flags::ACK);
    flags.contains(Flags::ECE) && flags.contains(Flags::CWR) == cwr_expected
}

impl Connection {
    /// What both ends have agreed on, or not.
    pub fn ecn_in_force(&self) -> bool {
        self.ecn.in_force
    }

    /// The peer's SYN or SYN-ACK has arrived.
    pub(super) fn agree_on_ecn(&mut self, flags: Flags) {
        self.ecn.in_force = self.cold.ecn_willing && is_setup(flags);
    }

    /// The peer's SYN has arrived again. RFC 3168 §6.1.1: one that does not ask ends the agreement:
    /// the first may have been dropped for asking, or our answer for agreeing.
    pub(super) fn reconsider_ecn(&mut self, flags: Flags) {
        self.ecn.in_force &= is_setup(flags);
    }

    /// Our SYN was not answered. RFC 3168 §6.1.1.1: some boxes drop SYNs that ask for ECN.
    ///
    /// Note: it is not used then even if the answer to the first SYN still comes: neither end may
    /// that has sent a SYN without (RFC 3168 §6.1.1).
    pub(super) fn stop_asking_for_ecn(&mut self) {
        self.cold.ecn_willing = false;
    }

    /// The bits of our SYN.
    pub(super) fn ecn_of_syn(&self) -> Flags {
        if self.cold.ecn_willing { Flags::ECE.with(Flags::CWR) } else { Flags(0) }
    }

    /// The bits of our SYN-ACK.
    pub(super) fn ecn_of_syn_ack(&self) -> Flags {
        if self.ecn.in_force { Flags::ECE } else { Flags(0) }
    }

    /// Payload that passed all checks and is new; `marked` tells of congestion experienced.
    #[inline]
    pub(super) fn note_mark(&mut self, flags: Flags, marked: bool) {
        if self.ecn.in_force {
            self.ack_now |= self.ecn.on_payload(flags, marked);
        }
    }

    /// An ACK that does not lie before SND.UNA, once it is known what losses it tells of.
    /// `outstanding` octets were before it.
    #[inline]
    pub(super) fn heed_echo(&mut self, cx: &mut Context<'_>, header: &TcpHeader, outstanding: u32) {
        if !self.ecn.in_force {
            return;
        }
        if self.cold.reduced_at.is_some_and(|end| header.acknowledgment.after(end)) {
            self.cold.reduced_at = None;
        }
        if header.flags.contains(Flags::ECE) {
            self.on_echo(cx, outstanding);
        }
    }

    /// RFC 3168 §6.1.2: answered as a loss, once for each window of data, and not where a loss in
    /// that window was answered.
    fn on_echo(&mut self, cx: &mut Context<'_>, outstanding: u32) {
        cx.counters.ece_received += 1;
        if self.cold.reduced_at.is_some() || self.cold.recovery.is_recovering() {
            return;
        }
        let sample = LossSample { in_flight_octets: outstanding, now: cx.now };
        self.cold.controller.on_congestion_experienced(&sample);
        self.note_reduction();
    }

    /// The window was reduced, whatever for: the peer is told with the next new payload, and echoes
    /// of what was sent before say nothing new (RFC 3168 §6.1.2).
    pub(super) fn note_reduction(&mut self) {
        if self.ecn.in_force {
            self.ecn.cwr_due = true;
            self.cold.reduced_at = Some(self.snd_nxt);
        }
    }

    /// The bits of a segment that acknowledges.
    #[inline]
    pub(super) fn ecn_of_ack(&self) -> Flags {
        if self.ecn.echo { Flags::ECE } else { Flags(0) }
    }

    /// The bits of a segment with payload, and the field of its IP header.
    ///
    /// RFC 3168 §6.1.5: a retransmission is not ECN-capable, or else whoever forges one could have
    /// a window reduced. Note: with DCTCP it is, as in Linux: in a queue that DCTCP keeps short, all
    /// else is dropped first.
    #[inline]
    pub(super) fn ecn_of_payload(&mut self, cx: &mut Context<'_>, is_new: bool) -> (Flags, Ecn) {
        if !self.ecn.in_force || !(is_new || self.ecn.accurate) {
            return (Flags(0), Ecn::NotCapable);
        }
        let tells = is_new && self.ecn.cwr_due;
        if tells {
            self.ecn.cwr_due = false;
            cx.counters.cwr_sent += 1;
        }
        (if tells { Flags::CWR } else { Flags(0) }, Ecn::Capable0)
    }
}
