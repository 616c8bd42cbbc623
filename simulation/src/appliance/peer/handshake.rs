//! How a connection begins, and how a reset ends it.

use super::super::packet::{ACK, FIN, PSH, Segment};
use super::{Peer, Status};

impl Peer {
    /// Learns numbers and options from a SYN or SYN-ACK, and judges them.
    pub(super) fn learn(&mut self, syn: &Segment) {
        let mss = self.judge_syn(syn);
        self.irs = syn.seq;
        self.ecn.on_syn(syn);
        self.last_ack_sent = 1;
        (self.snd_scale, self.rcv_scale) = match (syn.options.scale, self.settings.scale) {
            (Some(theirs), Some(ours)) => (theirs.into(), ours.into()),
            _ => (0, 0),
        };
        self.timestamps &= syn.options.timestamps.is_some();
        self.sack &= syn.options.sack_permitted;
        self.ts_recent = syn.options.timestamps.map_or(0, |timestamps| timestamps.0);
        self.mss = u64::from(mss.min(self.settings.mss)) - if self.timestamps { 12 } else { 0 };
        // RFC 7323 §2.2: the window of a SYN is not scaled.
        self.snd_edge = 1 + u64::from(syn.window);
        self.advertised_window = syn.window.into();
    }

    pub(super) fn take_syn(&mut self, segment: &Segment) {
        let bare = segment.payload.is_empty() && !segment.has(FIN | PSH);
        assert!(bare || self.settings.forged, "{segment:?}");
        match (self.status, segment.has(ACK)) {
            (Status::SynSent, true) => {
                let acked = u64::from(segment.ack.wrapping_sub(self.iss));
                // All of what came with the SYN, or nothing of it.
                if acked != 1 && acked != self.max {
                    assert!(self.may_have_double(), "acknowledges something else");
                    return self.disown(segment);
                }
                self.early = acked - 1;
                self.cookie = segment.options.fast_open.clone().and_then(|c| c.try_into().ok());
                let asked = self.settings.fast_open.is_some();
                assert!(asked || self.cookie.is_none(), "not asked for: {segment:?}");
                self.learn(segment);
                self.status = Status::Open;
                (self.una, self.nxt) = (acked, acked);
                self.timer = None;
                self.backoff = 0;
                self.acks_due = 1;
            }
            // Sent again: ours, or the answer to it, was lost.
            (Status::SynReceived, false) if segment.seq == self.irs => {
                self.ecn.on_syn(segment);
                self.nxt = 0;
            }
            // Again; or ours was repeated on the way, and each was answered by a cookie of its own.
            (_, true) => {
                assert!(self.settings.lossy, "a SYN-ACK again: {segment:?}");
                self.acks_due = 1;
            }
            // Its ACK and this crossed, or were reordered.
            (_, false) if segment.seq == self.irs && self.settings.lossy => self.acks_due = 1,
            // Of another connection in our name (RFC 5961 §4.2).
            _ if self.may_have_double() => self.challenge(),
            _ => panic!("a SYN in the middle of {:?}: {segment:?}", self.status),
        }
    }

    /// Something else in front of the SYN-ACK.
    pub(super) fn take_early(&mut self, segment: &Segment) {
        let acked = u64::from(segment.ack.wrapping_sub(self.iss));
        let overtook_it = (1..=self.max).contains(&acked);
        let double = self.may_have_double();
        assert!(double || self.settings.lossy, "before the handshake: {segment:?}");
        if double && !overtook_it {
            self.disown(segment);
        }
    }

    pub(super) fn take_reset(&mut self, segment: &Segment) {
        assert!(segment.payload.is_empty(), "{segment:?}");
        match self.status {
            Status::SynSent => {
                let acked = u64::from(segment.ack.wrapping_sub(self.iss));
                let ours = segment.has(ACK) && (1..=self.max).contains(&acked);
                assert!(ours || self.settings.lossy, "{segment:?}");
                if ours {
                    self.end(Status::Refused);
                }
            }
            // Of another connection in our name, or of none: the very next number is believed, and one
            // near it asked about (RFC 5961 §3.2).
            Status::SynReceived | Status::Open
                if self.may_have_double() && !self.is_next(segment.seq) =>
            {
                let near = self.is_near(segment.seq);
                if near {
                    self.challenge();
                }
            }
            Status::SynReceived | Status::Open => {
                self.judge_reset(segment);
                self.end(Status::Reset);
            }
            _ => {}
        }
    }

    /// It is of no connection of ours (RFC 9293 §3.10.7.1 and §3.10.7.3).
    pub(super) fn disown(&mut self, segment: &Segment) {
        if segment.has(ACK) {
            self.aside.push(segment.reset());
        }
    }
}
