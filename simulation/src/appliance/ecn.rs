//! A host's ECN, and what networks do to it.
//!
//! By the letter of RFC 3168 §6.1, and code of the rig's own. [`Ecn`] is told of each segment that
//! comes and goes, and panics at what the engine may not send.

use super::packet::{ACK, CWR, ECE, RST, SYN, Segment};

/// In the IP header: not capable, ECT(0), and CE.
pub const NOT_CAPABLE: u8 = 0;
pub const CAPABLE: u8 = 2;
pub const MARKED: u8 = 3;

/// Of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ecn {
    /// Asks, or agrees where it is asked.
    pub willing: bool,
    pub agreed: bool,
    /// The field of the segment that is about to be taken.
    pub arriving: u8,
    echoing: bool,
    cwr_due: bool,
    /// Up to here an echo was answered.
    answered_to: u64,
    pub stats: EcnStats,
}

/// What a host has seen of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnStats {
    /// Payload that was sent as ECN-capable, marked or not [segments].
    pub capable: u64,
    pub marked: u64,
    /// With ECE.
    pub echoes: u64,
    /// With CWR.
    pub reductions: u64,
}

impl Ecn {
    pub fn new(willing: bool) -> Ecn {
        Ecn { willing, ..Ecn::default() }
    }

    /// The flags of a segment that leaves, and ends at `position`.
    pub fn on_send(&mut self, flags: u8, has_payload: bool, answers_syn: bool) -> u8 {
        match (flags & SYN != 0, flags & ACK != 0) {
            (true, false) if self.willing => ECE | CWR,
            (true, true) if answers_syn && self.agreed => ECE,
            (false, true) if self.agreed && flags & RST == 0 => {
                let echo = if self.echoing { ECE } else { 0 };
                let told = has_payload && std::mem::take(&mut self.cwr_due);
                echo | if told { CWR } else { 0 }
            }
            _ => 0,
        }
    }

    /// The field of the IP header that a segment leaves with.
    pub fn field(&self, segment: &Segment) -> u8 {
        if self.agreed && !segment.payload.is_empty() { CAPABLE } else { NOT_CAPABLE }
    }

    /// A SYN, or the answer to ours.
    pub fn on_syn(&mut self, syn: &Segment) {
        assert_eq!(self.arriving, NOT_CAPABLE, "RFC 3168 §6.1.1: {syn:?}");
        let flags = syn.flags & (ECE | CWR);
        if syn.has(ACK) {
            assert!(flags == 0 || (flags == ECE && self.willing), "not asked for: {syn:?}");
            self.agreed = flags == ECE;
        } else {
            assert!(flags == 0 || flags == ECE | CWR, "half an offer: {syn:?}");
            self.agreed = self.willing && flags != 0;
        }
    }

    /// Any other segment of the engine's. `new`: it brings payload that is expected next.
    /// `sent_to`: what we have sent.
    pub fn on_segment(&mut self, segment: &Segment, new: bool, acked_to: u64, sent_to: u64) {
        let field = std::mem::take(&mut self.arriving);
        let flags = segment.flags & (ECE | CWR);
        if !self.agreed || segment.has(RST) {
            assert_eq!((flags, field), (0, NOT_CAPABLE), "nobody has agreed: {segment:?}");
            return;
        }
        if segment.payload.is_empty() {
            assert_eq!(field, NOT_CAPABLE, "RFC 3168 §6.1.4: {segment:?}");
            assert_eq!(flags & CWR, 0, "CWR without new payload: {segment:?}");
        }
        self.stats.capable += u64::from(field != NOT_CAPABLE);
        self.stats.echoes += u64::from(flags & ECE != 0);
        self.stats.reductions += u64::from(flags & CWR != 0);
        if flags & CWR != 0 {
            self.echoing = false;
        }
        if field == MARKED && new {
            self.stats.marked += 1;
            self.echoing = true;
        }
        if flags & ECE != 0 && acked_to > self.answered_to {
            self.answered_to = sent_to;
            self.cwr_due = true;
        }
    }
}

/// What a network does to the ECN of packets that cross it, in either direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Treatment {
    /// Marks one in so many of those that are capable; zero: none.
    pub marks_every: u32,
    /// Clears the field of all.
    pub bleaches: bool,
    /// Drops SYNs that ask.
    pub drops_setup: bool,
    seen: u32,
}

impl Treatment {
    /// Treats a packet's field.
    pub fn of(&mut self, field: u8) -> u8 {
        if self.bleaches || field == NOT_CAPABLE {
            return NOT_CAPABLE;
        }
        self.seen += 1;
        let marked = self.marks_every > 0 && self.seen.is_multiple_of(self.marks_every);
        if marked { MARKED } else { field }
    }
}
