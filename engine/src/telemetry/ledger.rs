//! The ledger: every frame that came in and every frame that went out, by what became of it.

use ringroad_ebpf::ShieldCounters;

use super::add_each;
use crate::tcp::{self, TcpCounters};
use crate::wire::Malformed;

/// Counts of one lane since its start [frames].
///
/// On the way in, `received + taken_over = forwarded + consumed + to_kernel + handed_over + held +
/// Σ dropped`; on the way out, `sent = forwarded + originated + retransmitted`. Both hold between any
/// two bursts; [`Ledger::assert_balanced`] says so in tests. Of several lanes, as many frames are
/// between two as were handed over and are not taken over yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Taken from ports.
    pub received: u64,
    /// Received by another lane, whose worker left them to ours.
    pub taken_over: u64,
    /// Frames whose payload went on to the other leg. The frame that came in is the frame that
    /// went out, so this term stands in both sums.
    pub forwarded: u64,
    /// Frames that ended here: pure acknowledgments, handshakes, duplicates, small payloads that
    /// went on in another frame, and new connections that the shield answered. Those answers are
    /// the shield's: not in `sent`.
    pub consumed: u64,
    /// Frames handed to Linux.
    pub to_kernel: u64,
    /// Frames left to another lane's worker, whose flow they are of.
    pub handed_over: u64,
    /// Received frames whose payload waits to be sent for the first time.
    pub held: u64,
    /// Frames that are malformed, by the first thing wrong with them.
    pub malformed: [u64; Malformed::COUNT],
    /// Well-formed frames that were dropped all the same.
    pub dropped: [u64; DropReason::COUNT],
    /// Segments that their connection refused.
    pub refused: [u64; tcp::DropReason::COUNT],
    /// What the shield decided; its drops are among ours.
    pub shield: ShieldCounters,
    /// Given to ports.
    pub sent: u64,
    /// Sent frames that began here: handshakes, acknowledgments, resets, and copied payload.
    pub originated: u64,
    /// Sent frames that were sent before.
    pub retransmitted: u64,
}

impl Ledger {
    #[inline]
    pub fn malformed(&mut self, reason: Malformed) {
        self.malformed[reason.index()] += 1;
    }

    #[inline]
    pub fn dropped(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }

    #[inline]
    pub fn refused(&mut self, reason: tcp::DropReason) {
        self.refused[reason as usize] += 1;
    }

    /// Adds what another core counted.
    pub fn add(&mut self, other: &Ledger) {
        let Ledger {
            received,
            taken_over,
            forwarded,
            consumed,
            to_kernel,
            handed_over,
            held,
            malformed,
            dropped,
            refused,
            shield,
            sent,
            originated,
            retransmitted,
        } = other;
        self.received += received;
        self.taken_over += taken_over;
        self.forwarded += forwarded;
        self.consumed += consumed;
        self.to_kernel += to_kernel;
        self.handed_over += handed_over;
        self.held += held;
        add_each(&mut self.malformed, malformed);
        add_each(&mut self.dropped, dropped);
        add_each(&mut self.refused, refused);
        self.shield.add(shield);
        self.sent += sent;
        self.originated += originated;
        self.retransmitted += retransmitted;
    }

    /// Frames that are here with whoever says what becomes of them: not those that one lane has received
    /// and the other has yet to take over.
    pub fn arrived(&self) -> u64 {
        self.received + self.taken_over - self.handed_over
    }

    /// Takes over what the connections counted of the frames that they had queued: those that
    /// another frame made up for, those whose connection ended, and those that still wait.
    pub fn settle(&mut self, counters: &TcpCounters) {
        let made_up_for = counters.coalesced + counters.superseded;
        self.consumed += made_up_for;
        self.dropped[DropReason::ConnectionEnded as usize] += counters.discarded;
        let gone = self.forwarded + made_up_for + counters.discarded;
        self.held = counters.queued.saturating_sub(gone);
    }

    /// All drops with their reasons, zero counts left out.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.by_reason().filter(|(_, count)| *count > 0)
    }

    /// How many were dropped for each of the reasons that there are.
    pub fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let malformed = Malformed::ALL.iter().map(|m| (m.as_str(), self.malformed[m.index()]));
        let dropped = DropReason::ALL.iter().map(|r| (r.as_str(), self.dropped[*r as usize]));
        let refused = tcp::DropReason::ALL.iter().map(|r| (r.as_str(), self.refused[*r as usize]));
        let shield = self.shield.drops().map(|(verdict, count)| (verdict.name(), count));
        malformed.chain(dropped).chain(refused).chain(shield)
    }

    /// What the two sums of the type's description differ by: `(in, out)`, zero when balanced.
    pub fn imbalance(&self) -> (i64, i64) {
        let drops: u64 = self.drops().map(|(_, count)| count).sum();
        let fates =
            self.forwarded + self.consumed + self.to_kernel + self.handed_over + self.held + drops;
        let origins = self.forwarded + self.originated + self.retransmitted;
        let came = self.received + self.taken_over;
        (came.wrapping_sub(fates) as i64, self.sent.wrapping_sub(origins) as i64)
    }

    /// # Panics
    /// If a frame came in and nobody can say what became of it, or one went out from nowhere.
    pub fn assert_balanced(&self) {
        assert_eq!(self.imbalance(), (0, 0), "(in, out) of {self:?}");
    }
}

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why a well-formed frame was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DropReason { $($(#[$doc])* $variant,)+ }

        impl DropReason {
            pub const ALL: &[DropReason] = &[$(DropReason::$variant,)+];
            pub const COUNT: usize = DropReason::ALL.len();

            /// As operators see it in `ringroad stats`.
            pub fn as_str(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)+ }
            }
        }
    };
}

drop_reasons! {
    /// A segment for no connection that we know; answered with a reset within the rate limit.
    NoConnection = "no_connection",
    /// A segment for no connection that we know and which proves no SYN cookie, or a spent one, while
    /// cookies are on. Never answered: a flood of them must not draw one of resets.
    BadCookie = "bad_cookie",
    /// A new connection beyond `max_connections`, or while draining; its next try goes to the
    /// kernel.
    NotAccepting = "not_accepting",
    /// A new connection refused by the service's `fallback: drop` or `reset`; or by any, if the
    /// client has proven a SYN cookie, of which the kernel knows nothing.
    Refused = "refused",
    /// A packet that the shield should not have sent us: for no service and no egress address.
    NotOurs = "not_ours",
    /// A packet for Linux, beyond what its class may have per second; see [`crate::shield`].
    KernelPathLimited = "kernel_path_limited",
    /// A packet for Linux that the port's interface there refused: it is down, or full.
    KernelPathFull = "kernel_path_full",
    /// A new connection that the shield answered, by a port that had no room to send.
    AnswersFull = "answers_full",
    /// A segment of a connection that slept, while all those awake were busy; it is sent again.
    AllAwakeBusy = "all_awake_busy",
    /// A packet for a worker that had fallen behind, on a core of its own: for want of room in its ring,
    /// or of no connection and taken out of it too late.
    WorkerBehind = "worker_behind",
    /// A packet of another lane's flow that found no room on its way there.
    HandOverFull = "hand_over_full",
    /// A packet that another lane took for ours, of a flow that we take for another's.
    Misdirected = "misdirected",
    /// Payload that was waiting for a connection which has ended meanwhile, or behind a gap when packet
    /// memory ran out.
    ConnectionEnded = "connection_ended",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unaccounted_frame_shows() {
        let mut ledger = Ledger { received: 3, consumed: 1, ..Ledger::default() };
        ledger.dropped(DropReason::NoConnection);
        assert_eq!(ledger.imbalance(), (1, 0));
        ledger.malformed(Malformed::ALL[0]);
        ledger.assert_balanced();
        assert_eq!(ledger.drops().map(|(_, count)| count).sum::<u64>(), 2);
    }
}
