//! The window that we offer (RFC 9293 §3.8.6).
//!
//! It follows what the taker can still take. Its right edge never moves back: what was once
//! offered stays offered (RFC 9293 §3.8.6.2.1, "shrinking the window").

use crate::limits::WINDOW_UNSCALED_MAX;
use crate::wire::tcp::SeqNum;

/// What the offer is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offered {
    pub(super) rcv_nxt: SeqNum,
    /// The right edge so far.
    pub(super) edge: SeqNum,
    /// What could be taken beyond `rcv_nxt` now [octets].
    pub(super) free: u32,
    /// Smallest step by which the edge moves [octets], see [`step`].
    pub(super) step: u32,
    pub(super) shift: u8,
}

/// RFC 9293 §3.8.6.2.2, receiver's SWS avoidance: the edge moves by at least a full segment, or by
/// half of all the room there can be where that is less [octets].
pub(super) fn step(room_max: u32, mss: u16) -> u32 {
    (room_max / 2).min(u32::from(mss)).max(1)
}

impl Offered {
    /// Where the right edge would be if a segment went out now.
    pub(super) fn next_edge(&self) -> SeqNum {
        let limit = WINDOW_UNSCALED_MAX << self.shift;
        let wanted = self.rcv_nxt + self.free.min(limit);
        if wanted.after(self.edge) && wanted - self.edge >= self.step { wanted } else { self.edge }
    }

    /// The window field to send, and the right edge that it promises.
    ///
    /// Rounded down to what the scale can express: a peer would send the few octets that rounding up
    /// offers besides as a segment of their own. Where that would move the edge back, rounded up
    /// (RFC 7323 §2.4).
    pub(super) fn advertise(&self) -> (u16, SeqNum) {
        let open = self.next_edge() - self.rcv_nxt;
        let unit = 1u32 << self.shift;
        let rounded_down = self.rcv_nxt + open / unit * unit;
        let units = match rounded_down.before(self.edge) {
            true => open.div_ceil(unit),
            false => open / unit,
        };
        let field = units.min(WINDOW_UNSCALED_MAX);
        (field as u16, self.rcv_nxt + (field << self.shift))
    }

    /// Whether the peer should be told at once that there is room again: the window would at least
    /// double.
    pub(super) fn update_is_due(&self) -> bool {
        let open = self.edge - self.rcv_nxt;
        let next = self.next_edge() - self.rcv_nxt;
        next > open && next / 2 >= open
    }
}
