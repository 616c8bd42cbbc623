//! Loss recovery: what is presumed lost, what is still in flight, and when that was a mistake.
//!
//! With selective acknowledgments losses are found by RACK ([`rack`], RFC 8985), which needs no
//! other signal, and hastened by tail loss probes ([`tlp`]); without them by three duplicate ACKs
//! (NewReno, RFC 6582). Either way *pipe* is kept incrementally from what is sacked, lost and sent
//! again. Duplicate ACKs without SACK count as one segment each that has left the network, which is
//! what RFC 5681 §3.2 means by inflating the window. Limited transmit (RFC 3042) follows from the
//! same. A fast recovery spreads its reduction by [`prr`]; a timeout is looked into by [`frto`]; and
//! what turns out to have been spurious ([`undo`]) is taken back.
//!
//! The marks are on the queue's nodes, kept by the [`scoreboard`]; this file holds the phases, and
//! decides when to enter and leave them.

mod frto;
mod prr;
mod rack;
pub(super) mod scoreboard;
mod timers;
mod tlp;
mod undo;

use std::time::Duration;

use super::chunks::{ChunkSlab, Marks, NIL, Order};
use super::delivery_rate::DeliveryRate;
use super::send_queue::SendQueue;
use crate::time::Instant;
use crate::wire::tcp::{SackBlock, SeqNum};
use frto::Frto;
pub(super) use prr::Delivery;
use prr::Prr;
pub(super) use rack::Reordering;
use rack::{Conditions, Rack};
use scoreboard::Places;
pub(super) use timers::Soon;
use tlp::Probe;
use undo::Episode;

/// RFC 5681 §3.2, RFC 8985 §6.2 step 4: DupThresh [duplicate ACKs, or segments].
const DUP_THRESH: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is presumed lost.
    Open,
    /// Fast recovery, until `recover` is acknowledged.
    Fast,
    /// After a timeout, until `recover` is acknowledged.
    Timeout,
}

/// An ACK, and when it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ack {
    /// SND.UNA, which it may have advanced, and SND.NXT.
    pub(super) una: SeqNum,
    pub(super) nxt: SeqNum,
    pub(super) now: Instant,
    /// The timestamp that it echoes, as a count of our clock since its epoch [ms].
    pub(super) echo_ms: Option<u32>,
    /// The shortest and the smoothed round trip; zero if there is none yet.
    pub(super) min_rtt: Duration,
    pub(super) srtt: Duration,
    pub(super) mss: u32,
    /// Acknowledged cumulatively [octets].
    pub(super) acked: u32,
    /// A duplicate by RFC 5681 §2; and one without reports.
    pub(super) is_duplicate: bool,
    pub(super) is_plain_duplicate: bool,
    /// There is something new to send, and the peer's window takes it.
    pub(super) can_send_new: bool,
}

impl Ack {
    /// Whether it answers something that was sent before `instant`, by the timestamp it echoes.
    fn echo_is_older_than(&self, instant: Instant) -> bool {
        let ours = SeqNum(instant.as_millis() as u32);
        self.echo_ms.is_some_and(|echo| SeqNum(echo).before(ours))
    }
}

/// What the scoreboard finds in an ACK, chunk by chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// Of what was acknowledged cumulatively, what had been sacked [octets].
    pub(super) sacked_before: u32,
    /// Newly sacked [octets].
    pub(super) newly_sacked: u32,
    /// When the newest chunk that was sent exactly once had been sent: for the round trip.
    pub(super) sent_at: Option<Instant>,
    /// What was sent before the recovery began, and never again, has arrived.
    original_arrived: bool,
    /// What the recovery has sent again is acknowledged cumulatively.
    retransmission_acked: bool,
    /// What the peer says arrived twice (RFC 2883).
    pub(super) duplicate: Option<SackBlock>,
    /// Steps that the walk over the scoreboard may still take.
    steps_left: u32,
}

/// What the connection must tell its congestion controller, in this order, and count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The last recovery was spurious; whether a timeout had begun it.
    pub(super) undone: Option<Undone>,
    /// A recovery is over.
    pub(super) left: bool,
    /// A probe has repaired a loss that nothing else showed.
    pub(super) tail_repaired: bool,
    /// A loss was found that begins a fast recovery.
    pub(super) entered: bool,
    /// Something was found lost.
    pub(super) found_loss: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undone {
    Fast,
    Timeout,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    pub(super) phase: Phase,
    /// Whether the peer sends selective acknowledgments.
    pub(super) sack: bool,
    /// The phase began without a loss that the controller was told of.
    silent: bool,
    /// Fast retransmit sends its first segment whatever the window says (RFC 6675 §5 (4.3)).
    pub(super) first_is_due: bool,
    /// A tail loss probe is to be sent.
    pub(super) probe_is_due: bool,
    /// A round trip was measured since the last probe (RFC 8985 §7.3).
    measured: bool,
    soon: Soon,
    frto: Frto,
    /// SND.NXT when the phase began (RFC 6582 `recover`, RFC 6675 RecoveryPoint).
    recover: SeqNum,
    /// Without SACK.
    dup_acks: u32,
    /// Without SACK: what duplicate ACKs say has left the network [octets].
    left_network: u32,
    /// Payload that is sacked, and the chunks that hold it [octets, segments].
    sacked: u32,
    sacked_segments: u32,
    /// Payload that is lost; never sacked too [octets].
    lost: u32,
    /// Of that, what was sent again and is in flight [octets].
    retransmitted: u32,
    /// Sent more than once, and not reported to have arrived twice, in all [octets].
    repeated: u32,
    /// What is in flight, by the time at which it was sent last.
    in_flight: Order,
    /// What is lost and waits to be sent again.
    to_resend: Order,
    /// The last chunk that was sent for the first time; `NIL` if it is acknowledged.
    pub(super) last_sent: u32,
    places: Places,
    rack: Rack,
    probe: Option<Probe>,
    prr: Prr,
    episode: Option<Episode>,
    /// When [`Recovery::soon`] is due.
    pub(super) soon_at: Instant,
    /// Told of every chunk that is marked, as sacked or as lost.
    pub(super) delivery: DeliveryRate,
}

impl Recovery {
    pub(super) fn new(isn: SeqNum) -> Self {
        Recovery {
            phase: Phase::Open,
            sack: false,
            silent: false,
            first_is_due: false,
            probe_is_due: false,
            measured: true,
            soon: Soon::Nothing,
            frto: Frto::Off,
            recover: isn,
            dup_acks: 0,
            left_network: 0,
            sacked: 0,
            sacked_segments: 0,
            lost: 0,
            retransmitted: 0,
            repeated: 0,
            in_flight: Order::EMPTY,
            to_resend: Order::EMPTY,
            last_sent: NIL,
            places: Places::new(),
            rack: Rack::new(isn),
            probe: None,
            prr: Prr::default(),
            episode: None,
            soon_at: Instant::FAR_FUTURE,
            delivery: DeliveryRate::new(),
        }
    }

    /// Whether nothing is amiss, so that an ACK needs no look at the scoreboard.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.phase == Phase::Open && self.dup_acks == 0 && self.sacked == 0 && self.lost == 0
    }

    /// Whether a loss, found or presumed, is being repaired.
    pub(super) fn is_recovering(&self) -> bool {
        self.phase != Phase::Open
    }

    /// Whether an ACK without reports has nothing to decide here.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.is_quiet() && self.probe.is_none()
    }

    /// Whether nothing is remembered that matters to what follows.
    pub(super) fn is_at_rest(&self) -> bool {
        self.is_idle() && self.measured
    }

    /// What is in flight of `outstanding` octets (RFC 6675 §4 SetPipe).
    #[inline]
    pub(super) fn pipe(&self, outstanding: u32) -> u32 {
        let gone = self.sacked + self.lost + self.left_network;
        (outstanding + self.retransmitted).saturating_sub(gone)
    }

    /// Whether anything waits to be sent again.
    #[inline]
    pub(super) fn has_lost(&self) -> bool {
        !self.to_resend.is_empty()
    }

    /// What is worth keeping of a connection that falls asleep.
    pub(super) fn reordering(&self) -> Reordering {
        self.rack.reordering
    }

    /// Recovery on a connection where nothing is under way.
    pub(super) fn recall(nxt: SeqNum, sack: bool, reordering: Reordering) -> Self {
        let mut recovery = Recovery::new(nxt);
        recovery.sack = sack;
        recovery.rack.reordering = reordering;
        recovery
    }

    /// What of the queue is in flight [segments].
    #[inline]
    pub(super) fn segments_in_flight(&self) -> u32 {
        self.in_flight.count
    }

    pub(super) fn has_seen_reordering(&self) -> bool {
        self.rack.reordering.seen
    }

    /// The first chunk that is to be sent again now; `NIL` if there is none.
    pub(super) fn next_lost(&self) -> u32 {
        if self.frto.holds_lost() { NIL } else { self.to_resend.first }
    }

    /// Whether F-RTO is at work, which asks for something new to send.
    #[inline]
    pub(super) fn looks_into_timeout(&self) -> bool {
        self.frto != Frto::Off
    }

    /// Whether F-RTO has nothing against sending new payload.
    #[inline]
    pub(super) fn lets_new_out(&self) -> bool {
        !self.frto.holds_new()
    }

    /// How much may be in flight, where `window` is what the controller says [octets].
    #[inline]
    pub(super) fn window(&self, window: u32, manages_recovery: bool) -> u32 {
        match self.phase {
            Phase::Fast if !manages_recovery => self.prr.window(),
            _ => window,
        }
    }

    /// Payload leaves, for the first time or again.
    #[inline]
    pub(super) fn on_sent(&mut self, octets: u32) {
        if self.phase == Phase::Fast {
            self.prr.on_sent(octets);
        }
    }

    /// Decides what an ACK means, after the scoreboard has been brought up to date.
    pub(super) fn on_ack(
        &mut self,
        chunks: &mut ChunkSlab,
        queue: &SendQueue,
        ack: &Ack,
        news: &News,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        self.probe_is_due = false;
        if !self.sack {
            self.count_duplicate(ack);
        }
        let of_probe = self.probe.is_some_and(|probe| probe.is_reported_by(news.duplicate));
        outcome.tail_repaired = self.judge_probe(ack, of_probe);
        outcome.undone = self.find_spurious(ack, news, of_probe);
        if outcome.undone.is_some() {
            self.undo(chunks);
        }
        if self.phase != Phase::Open && ack.una.at_or_after(self.recover) {
            outcome.left = !self.silent;
            self.leave_phase();
        }
        let found =
            if self.sack { self.detect(chunks, ack) } else { self.find_hole(chunks, queue, ack) };
        outcome.found_loss = found;
        // Also for what was sent after the last recovery began, and sent again within it: losses in
        // two windows are two reductions (RFC 5681 §4.3).
        if self.phase == Phase::Open && self.lost > 0 {
            self.enter_fast(ack);
            outcome.entered = true;
        }
        outcome
    }

    /// RFC 5681 §3.2 without SACK: each duplicate says that one segment has arrived somewhere.
    fn count_duplicate(&mut self, ack: &Ack) {
        if ack.is_plain_duplicate {
            self.dup_acks += 1;
            let most = (ack.nxt - ack.una).saturating_sub(self.lost);
            self.left_network = (self.left_network + ack.mss).min(most);
        } else if ack.acked > 0 {
            self.dup_acks = 0;
            // What had left the network is now acknowledged; the segment that was missing was
            // not among it.
            self.left_network = if self.phase == Phase::Fast {
                self.left_network.saturating_sub(ack.acked.saturating_sub(ack.mss))
            } else {
                0
            };
        }
    }

    /// Without SACK, the first chunk is lost: after DupThresh duplicates (RFC 5681 §3.2), and
    /// within fast recovery after a partial acknowledgment (RFC 6582 §3.2 step 3).
    fn find_hole(&mut self, chunks: &mut ChunkSlab, queue: &SendQueue, ack: &Ack) -> bool {
        let head = queue.list.head;
        let is_found = match self.phase {
            // RFC 6582 §3.2 step 2: not again for what was sent before the last recovery.
            Phase::Open => self.dup_acks >= DUP_THRESH && ack.una.after(self.recover),
            Phase::Fast => ack.acked > 0,
            Phase::Timeout => false,
        };
        if !is_found || head == queue.unsent {
            return false;
        }
        self.lose(chunks, head);
        self.first_is_due |= self.phase == Phase::Fast;
        true
    }

    /// RFC 8985 §6.2 step 5: what has been on its way for too long is lost. Ends at the first that
    /// has not, and arms the reordering timer for it.
    ///
    /// Note: the RFC waits for the last of those that were overtaken; the first is looked at sooner,
    /// and the others when it is their turn.
    fn detect(&mut self, chunks: &mut ChunkSlab, ack: &Ack) -> bool {
        let window = self.rack.reordering_window(&self.conditions(ack));
        let mut found = false;
        self.forget_reordering_timer();
        while !self.in_flight.is_empty() {
            let node = chunks.node(self.in_flight.first);
            let Some(at) = self.rack.lost_at(node.sent_at, node.end(), window) else { break };
            if at > ack.now {
                self.arm_reordering_timer(at);
                break;
            }
            self.lose(chunks, self.in_flight.first);
            found = true;
        }
        found
    }

    fn conditions(&self, ack: &Ack) -> Conditions {
        Conditions {
            in_recovery: self.phase != Phase::Open,
            sacked_segments: self.sacked_segments,
            min_rtt: ack.min_rtt,
            srtt: ack.srtt,
        }
    }

    fn enter_fast(&mut self, ack: &Ack) {
        self.phase = Phase::Fast;
        self.recover = ack.nxt;
        self.silent = false;
        self.first_is_due = self.has_lost();
        self.episode = Some(Episode::new(ack.una, false));
    }

    /// Begins PRR: a fast recovery was entered by an ACK with this news.
    pub(super) fn begin_reduction(&mut self, ack: &Ack, news: &News, left_before: u32) {
        // RFC 9937 §6.1: the flight, without what was sacked before this ACK, with what this one
        // acknowledges. Without SACK `left_before` is what duplicates had said by then.
        let gone = self.sacked.saturating_sub(news.newly_sacked) + left_before;
        self.prr = Prr::begin((ack.nxt - ack.una + ack.acked).saturating_sub(gone));
    }

    /// Continues PRR, if fast recovery is under way.
    pub(super) fn reduce(&mut self, delivery: &Delivery) {
        if self.phase == Phase::Fast {
            self.prr.on_ack(delivery);
        }
    }

    /// What duplicate ACKs say has left the network, without SACK [octets].
    pub(super) fn left_network(&self) -> u32 {
        self.left_network
    }

    fn leave_phase(&mut self) {
        self.phase = Phase::Open;
        self.silent = false;
        self.dup_acks = 0;
        self.left_network = 0;
        self.first_is_due = false;
        self.frto = Frto::Off;
        self.rack.on_recovery_exit();
    }

    /// The timer expired.
    pub(super) fn on_timeout(
        &mut self,
        chunks: &mut ChunkSlab,
        queue: &SendQueue,
        ack: &Ack,
    ) -> bool {
        let head = queue.list.head;
        // RFC 2018 §8: what the peer has not yet taken, it may have thrown away again; a sacked
        // chunk at SND.UNA proves it. RFC 6675 §5.1 keeps the marks otherwise.
        let reneged = self.head_is_sacked(chunks, queue);
        if reneged {
            self.forget_sacked(chunks, queue);
        }
        // RFC 8985 §6.3: with RACK only what has been on its way for long is lost; else all is.
        // Note: by the smoothed round trip, as RACK's last is that of one segment.
        let window = self.rack.reordering_window(&self.conditions(ack));
        while !self.in_flight.is_empty() {
            let first = self.in_flight.first;
            let overdue_at = chunks.node(first).sent_at + ack.srtt + window;
            if self.sack && !reneged && overdue_at > ack.now {
                break;
            }
            self.lose(chunks, first);
        }
        if head != queue.unsent && head != NIL {
            self.lose(chunks, head);
            self.resend_first(chunks, head);
        }
        if !self.sack {
            self.resend_in_order(chunks, queue);
        }
        self.frto = if self.phase == Phase::Timeout { Frto::Off } else { Frto::SentAgain };
        if self.phase == Phase::Open {
            self.episode = Some(Episode::new(ack.una, true));
        }
        self.phase = Phase::Timeout;
        self.recover = ack.nxt;
        self.silent = false;
        self.dup_acks = 0;
        self.left_network = 0;
        self.first_is_due = true;
        self.probe = None;
        self.forget_timers();
        reneged
    }

    /// What is sacked begins at SND.UNA, which an honest peer would have acknowledged.
    pub(super) fn head_is_sacked(&self, chunks: &ChunkSlab, queue: &SendQueue) -> bool {
        let head = queue.list.head;
        self.sacked > 0 && head != NIL && chunks.node(head).marks.has(Marks::SACKED)
    }

    /// Whether the loss of what begins at `seq` would be noticed before the timer expires: without
    /// SACK, not that of what directly follows a recovery (RFC 6582 §3.2 (2)).
    pub(super) fn notices_loss_at(&self, seq: SeqNum) -> bool {
        self.sack || seq.after(self.recover)
    }

    /// The fast recovery that has just begun repairs what is no sign of congestion. Nothing is
    /// reduced, and its end is not told either.
    pub(super) fn keep_silent(&mut self) {
        self.phase = Phase::Timeout;
        self.episode = None;
        self.silent = true;
    }

    /// The path does not take what is larger than `mss`: it did not arrive.
    ///
    /// That is no sign of congestion, so the recovery it begins is silent: the controller does not
    /// hear of it (RFC 8899 §3, "congestion control").
    pub(super) fn mark_larger(
        &mut self,
        chunks: &mut ChunkSlab,
        queue: &SendQueue,
        nxt: SeqNum,
        mss: u32,
    ) {
        let mut found = false;
        let mut at = queue.list.head;
        while at != queue.unsent && at != NIL {
            if chunks.node(at).len() > mss {
                found |= self.mark_lost(chunks, at);
            }
            at = chunks.next(at);
        }
        if self.phase == Phase::Open && found {
            self.phase = Phase::Timeout;
            self.recover = nxt;
            self.silent = true;
        }
    }
}
