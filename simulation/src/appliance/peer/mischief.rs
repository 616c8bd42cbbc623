//! What a host does that a well-behaved one would not. An app asks for it.

use super::super::packet::SYN;
use super::{Peer, Status};

/// What is left of a connection whose address and port the next one uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub status: Status,
    pub received: Vec<u8>,
    pub peer_finished: bool,
}

impl Peer {
    /// The host is gone: it neither hears nor says anything any more.
    pub fn vanish(&mut self) {
        self.end(Status::Vanished);
        self.aside.clear();
    }

    /// Sends the SYN once more, its number so much higher.
    pub fn repeat_syn(&mut self, higher: u32) {
        let mut syn = self.segment(self.now, 0, SYN, Vec::new());
        syn.seq = syn.seq.wrapping_add(higher);
        self.aside.push(syn);
        self.odd_syns = true;
    }

    /// Opens the next connection from the same address and port, its number so much behind what was
    /// sent last.
    ///
    /// # Panics
    /// If the last one has not ended.
    pub fn reopen(&mut self, behind: u32) {
        assert!(self.is_over(), "still open");
        let iss = self.iss.wrapping_add(self.max as u32).wrapping_add(behind);
        let (key, app) = ((self.local, self.remote), Box::new(|_: &mut Peer| {}));
        let next = Peer::connect(self.settings, key, self.link, iss, app);
        let last = std::mem::replace(self, next);
        (self.now, self.app, self.before) = (last.now, last.app, last.before);
        self.odd_syns = true;
        self.before.push(Life {
            status: last.status,
            received: last.received,
            peer_finished: last.peer_finished,
        });
    }

    /// Holds no more than so much from now on, whatever was offered before (RFC 9293 §3.8.6,
    /// "shrinking the window"), and says so [octets].
    pub fn offer_only(&mut self, octets: u32) {
        self.settings.buffer = octets;
        self.acks_due = self.acks_due.max(1);
    }

    /// Throws away what it has reported to hold behind a gap (RFC 2018 §8).
    pub fn renege(&mut self) {
        self.out_of_order.clear();
    }
}
