//! What the path between the two ends says of segments, other than losing them.

use super::state::CloseReason;
use super::{Connection, State};
use crate::wire::tcp::SeqNum;

impl Connection {
    /// Whether an octet is sent and not acknowledged. An ICMP error that quotes any other is not
    /// about a segment of ours (RFC 5927 §4.1).
    pub fn is_outstanding(&self, sequence: SeqNum) -> bool {
        sequence.at_or_after(self.snd_una) && sequence.before(self.snd_nxt)
    }

    /// Whether what a segment acknowledges is neither outstanding nor what was acknowledged last: it
    /// is of another connection, or was overtaken.
    #[inline]
    pub fn is_foreign(&self, acknowledgment: SeqNum) -> bool {
        acknowledgment - self.snd_una > self.snd_nxt - self.snd_una
    }

    /// A router or the peer's host says that the peer cannot be reached. That ends a handshake
    /// of ours. It ends nothing else: it may pass, and it may be forged (RFC 5461 §2, §4).
    pub fn on_unreachable(&mut self) {
        if self.state == State::SynSent {
            self.end(CloseReason::Refused);
        }
    }

    /// The MSS in force before options are subtracted (RFC 6691 §3): the smaller of what the peer
    /// offered and the path takes [octets].
    pub fn path_mss(&self) -> u16 {
        self.mss() + self.options_octets()
    }
}
