//! The ACK field (RFC 9293 §3.10.7.4 fifth): what has arrived at the peer, and what it can take.

use super::DropReason;
use crate::limits::{RENEGING_DELAY_MIN, TIME_WAIT};
use crate::tcp::chunks::NIL;
use crate::tcp::congestion::{AckSample, CongestionControl, LossSample};
use crate::tcp::recovery::{Ack, Delivery, News, Outcome, Phase, Undone};
use crate::tcp::state::{CloseReason, Event, State};
use crate::tcp::{Connection, Context};
use crate::time::Instant;
use crate::wire::tcp::{Flags, SeqNum, TcpHeader};
use std::time::Duration;

/// How things stood before an ACK.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// Sent and not acknowledged [octets].
    outstanding: u32,
    /// The pipe [octets].
    in_flight: u32,
    /// What duplicates without SACK had said to be no longer in it [octets].
    left_network: u32,
    was_fast: bool,
    /// It says that what was sent was marked, and that counts.
    ece: bool,
}

impl Connection {
    pub(super) fn on_acknowledgment(
        &mut self,
        cx: &mut Context<'_>,
        header: &TcpHeader,
        len: u32,
    ) -> Result<(), DropReason> {
        if !header.flags.contains(Flags::ACK) {
            return Err(DropReason::NoAcknowledgment);
        }
        let ack = header.acknowledgment;
        if self.state == State::SynReceived {
            // RFC 9293 §3.10.7.4: it must acknowledge our SYN, or it gets a reset.
            if !ack.after(self.snd_una) || ack.after(self.snd_nxt) {
                self.cold.reset_reply = Some(ack);
                return Err(DropReason::BadAcknowledgment);
            }
            self.transition(Event::SynAcknowledged);
            self.on_syn_acknowledged(cx.now);
        }
        // RFC 5961 §5.2: SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT.
        if ack.after(self.snd_nxt)
            || (ack.before(self.snd_una) && self.snd_una - ack > self.cold.max_snd_wnd)
        {
            self.challenge(cx);
            return Err(DropReason::BadAcknowledgment);
        }
        if ack.before(self.snd_una) {
            return Ok(()); // Overtaken by a later one: nothing new in it.
        }
        let acked = ack - self.snd_una;
        let same_window = u32::from(header.window) << self.snd_scale == self.snd_wnd;
        let was_beyond = self.is_head_beyond_window(cx);
        self.update_send_window(header);
        if acked == 0 && was_beyond {
            self.on_answer_from_beyond(cx);
        }
        // RFC 5681 §2, duplicate acknowledgment.
        let is_duplicate = acked == 0
            && len == 0
            && same_window
            && !header.flags.contains(Flags::FIN)
            && self.snd_nxt != self.snd_una;
        let is_news = acked > 0 || header.options.sack.len > 0;
        if is_news || is_duplicate || !self.cold.recovery.is_quiet() {
            self.on_new_acknowledgment(cx, header, is_duplicate);
            return Ok(());
        }
        self.heed_echo(cx, header, self.snd_nxt - self.snd_una);
        if self.snd_nxt == self.snd_una {
            // An answer to a probe: the peer is alive.
            self.cold.retries = 0;
        }
        Ok(())
    }

    /// SND.WND and SND.WL1. SND.WL2 is not kept: acknowledgments before SND.UNA do not get here, so
    /// its condition always holds.
    #[inline]
    pub(super) fn update_send_window(&mut self, header: &TcpHeader) {
        if header.acknowledgment.after(self.snd_una) || header.sequence.at_or_after(self.snd_wl1) {
            let window = u32::from(header.window) << self.snd_scale;
            self.snd_wl1 = header.sequence;
            if window != self.snd_wnd {
                self.on_window_change(window);
            }
        }
    }

    fn on_window_change(&mut self, window: u32) {
        let opens = window > self.snd_wnd;
        self.snd_wnd = window;
        self.cold.max_snd_wnd = self.cold.max_snd_wnd.max(window);
        if opens && self.snd_nxt == self.snd_una && self.state.can_send() {
            // The persist timer has done its work.
            self.retransmit_at = Instant::FAR_FUTURE;
            self.cold.probe_due = false;
            self.cold.retries = 0;
            self.cold.rtt.on_progress();
        }
    }

    /// Whether the peer has taken its window back so far that what it waits for no longer fits.
    fn is_head_beyond_window(&self, cx: &Context<'_>) -> bool {
        if self.snd_nxt == self.snd_una {
            return false;
        }
        let head = self.queue.list.head;
        let len = if head == NIL { 1 } else { cx.chunks.node(head).len() };
        len > self.snd_wnd
    }

    /// The peer is alive, and cannot take what it is sent.
    fn on_answer_from_beyond(&mut self, cx: &Context<'_>) {
        // RFC 9293 §3.8.6, SHLD-17: that does not end the connection, as a shut window does not.
        self.cold.retries = 0;
        if !self.is_head_beyond_window(cx) {
            // Whatever was sent beyond the edge is gone, and the timer is far by now.
            self.cold.rtt.on_progress();
            self.arm_retransmission(cx.now);
        }
    }

    /// Something is newly acknowledged, cumulatively or selectively, or this is a duplicate by
    /// RFC 5681 §2.
    pub(super) fn on_new_acknowledgment(
        &mut self,
        cx: &mut Context<'_>,
        header: &TcpHeader,
        is_duplicate: bool,
    ) {
        let una = header.acknowledgment;
        let flight = Flight {
            outstanding: self.snd_nxt - self.snd_una,
            in_flight: self.in_flight(),
            left_network: self.cold.recovery.left_network(),
            was_fast: self.cold.recovery.phase == Phase::Fast,
            ece: self.ecn.in_force && header.flags.contains(Flags::ECE),
        };
        self.check_app_limited();
        let ack = Ack {
            acked: una - self.snd_una,
            echo_ms: self.echo_ms(header),
            is_duplicate,
            is_plain_duplicate: is_duplicate && header.options.sack.len == 0,
            can_send_new: self.cold.recovery.looks_into_timeout() && self.can_send_new(cx),
            ..self.ack_of(una, cx.now)
        };
        let in_order = !self.cold.recovery.has_seen_reordering();
        let mut news = News::default();
        self.queue.acknowledge(cx, &mut self.cold.recovery, &ack, &mut news);
        self.snd_una = una;
        self.check_mtu_probe(cx.now);
        if self.cold.recovery.sack && header.options.sack.len > 0 {
            let blocks = &header.options.sack;
            self.cold.recovery.update(cx.chunks, &self.queue, blocks, &ack, &mut news);
            cx.counters.duplicate_reports += u64::from(news.duplicate.is_some());
        }
        let mut rtt = None;
        if ack.acked > 0 {
            rtt = self.round_trip(&ack, &news);
            self.on_progress(cx, rtt);
        }
        let mut outcome = Outcome::default();
        if !self.cold.recovery.is_idle() || header.options.sack.len > 0 || is_duplicate {
            outcome = self.cold.recovery.on_ack(cx.chunks, &self.queue, &ack, &news);
            self.tell_controller(cx, &outcome, flight.outstanding);
        }
        let is_reordered = in_order && self.cold.recovery.has_seen_reordering();
        cx.counters.reordering_seen += u64::from(is_reordered);
        self.heed_echo(cx, header, flight.outstanding);
        self.tell_delivery(&ack, &news, &flight, rtt, &outcome);
        self.reduce(&ack, &news, &flight, &outcome);
        self.set_pace();
        self.arm_probe(cx.now);
        if self.fin_sent && una == self.snd_end + 1 && ack.acked > 0 {
            self.on_fin_acknowledged(cx.now);
        }
    }

    /// What recovery asks of an ACK, and of the timers.
    pub(in crate::tcp) fn ack_of(&self, una: SeqNum, now: Instant) -> Ack {
        Ack {
            una,
            nxt: self.snd_nxt,
            now,
            echo_ms: None,
            min_rtt: self.cold.rtt.min_rtt().unwrap_or_default(),
            srtt: self.cold.rtt.srtt().unwrap_or_default(),
            mss: u32::from(self.mss),
            acked: 0,
            is_duplicate: false,
            is_plain_duplicate: false,
            can_send_new: false,
        }
    }

    /// The timestamp that is echoed, as our clock counts [ms].
    fn echo_ms(&self, header: &TcpHeader) -> Option<u32> {
        let echo = header.options.timestamps?.echo_reply;
        (self.timestamps && echo != 0).then(|| echo.wrapping_sub(self.ts_offset))
    }

    /// Tells congestion control of what has arrived.
    fn tell_delivery(
        &mut self,
        ack: &Ack,
        news: &News,
        flight: &Flight,
        rtt: Option<Duration>,
        outcome: &Outcome,
    ) {
        // What was sacked before has been counted then.
        let acked_octets = ack.acked.saturating_sub(news.sacked_before) + news.newly_sacked;
        if acked_octets == 0 {
            return;
        }
        let min_rtt = self.cold.rtt.min_rtt();
        let sample = AckSample {
            acked_octets,
            lost_octets: self.cold.recovery.delivery.take_lost(),
            in_flight_octets: flight.in_flight,
            in_flight_after_octets: self.in_flight(),
            rtt,
            srtt: self.cold.rtt.srtt(),
            min_rtt,
            rate: self.cold.recovery.delivery.sample(ack.now, min_rtt),
            now: ack.now,
            cwnd_limited: self.cold.cwnd_limited,
            ece: flight.ece,
            // Also for the ACK that ends a recovery (RFC 6582 §3.2 (3), full acknowledgment), and
            // for one that only reports what lies behind a gap (RFC 5681 §3.2 step 1).
            in_recovery: (ack.acked == 0 && !self.cold.recovery.is_recovering())
                || flight.was_fast
                || outcome.left
                || self.cold.recovery.phase == Phase::Fast,
        };
        self.cold.controller.on_ack(&sample);
        if self.cold.controller.limits_itself() {
            self.cold.recovery.delivery.mark_app_limited(self.in_flight());
        }
    }

    /// Spreads the reduction of a fast recovery over its ACKs (RFC 9937).
    fn reduce(&mut self, ack: &Ack, news: &News, flight: &Flight, outcome: &Outcome) {
        if self.cold.recovery.phase != Phase::Fast {
            return;
        }
        if outcome.entered {
            self.cold.recovery.begin_reduction(ack, news, flight.left_network);
        }
        // Without SACK duplicates stand for what has arrived (RFC 9937 §5, DeliveredData).
        let newly = ack.acked + news.newly_sacked + self.cold.recovery.left_network();
        let delivery = Delivery {
            delivered: newly.saturating_sub(news.sacked_before + flight.left_network),
            in_flight: self.in_flight(),
            ssthresh: self.cold.controller.window_octets(),
            mss: ack.mss,
            is_safe: ack.acked > 0 && !outcome.found_loss,
        };
        self.cold.recovery.reduce(&delivery);
    }

    /// One round trip, from the newest segment that was sent once (Karn), or else from the
    /// timestamp that is echoed (RFC 7323 §4).
    fn round_trip(&self, ack: &Ack, news: &News) -> Option<Duration> {
        if let Some(sent_at) = news.sent_at {
            return Some(ack.now.since(sent_at));
        }
        let elapsed_ms = (ack.now.as_millis() as u32).wrapping_sub(ack.echo_ms?);
        // A peer may echo anything; what cannot be is no sample.
        let plausible = elapsed_ms < i32::MAX as u32;
        plausible.then(|| Duration::from_millis(u64::from(elapsed_ms)))
    }

    /// SND.UNA has moved: RFC 6298 §5.2 and §5.3.
    fn on_progress(&mut self, cx: &Context<'_>, rtt: Option<Duration>) {
        let now = cx.now;
        match rtt {
            Some(rtt) => {
                self.cold.rtt.on_sample(rtt, now);
                self.cold.recovery.on_round_trip();
            }
            None => self.cold.rtt.on_progress(),
        }
        self.cold.retries = 0;
        let waits = self.snd_una != self.snd_nxt || !self.queue.list.is_empty();
        self.cold.waiting_since = if waits { now } else { Instant::FAR_FUTURE };
        if self.snd_una == self.snd_nxt {
            self.retransmit_at = Instant::FAR_FUTURE;
            return;
        }
        self.arm_retransmission(now);
        if self.cold.recovery.head_is_sacked(cx.chunks, &self.queue) {
            // The peer should have acknowledged that too; unless it says so soon, it has thrown
            // it away (RFC 2018 §8), and waiting for a whole timeout brings nothing.
            let patience = self.cold.rtt.srtt().unwrap_or_default() / 2;
            let soon = now + patience.max(RENEGING_DELAY_MIN);
            self.retransmit_at = self.retransmit_at.min(soon);
        }
    }

    /// Arms the timer of the tail loss probe anew.
    #[inline]
    pub(in crate::tcp) fn arm_probe(&mut self, now: Instant) {
        self.cold.recovery.arm_probe(now, self.cold.rtt.srtt(), self.retransmit_at);
    }

    pub(in crate::tcp) fn tell_controller(
        &mut self,
        cx: &mut Context<'_>,
        outcome: &Outcome,
        outstanding: u32,
    ) {
        let probe_lost = self.is_mtu_probe_lost();
        let controller = &mut self.cold.controller;
        // RFC 5681 §3.2 step 2: what limited transmit has sent beyond the window does not count.
        let in_flight_octets = outstanding.min(controller.window_octets());
        let sample = LossSample { in_flight_octets, now: cx.now };
        if let Some(undone) = outcome.undone {
            controller.on_spurious(cx.now);
            let counter = match undone {
                Undone::Fast => &mut cx.counters.spurious_recoveries,
                Undone::Timeout => &mut cx.counters.spurious_timeouts,
            };
            *counter += 1;
        }
        if outcome.left {
            controller.on_recovery_exit(cx.now);
        }
        if outcome.tail_repaired && !outcome.entered {
            // RFC 8985 §7.4.2: as much as if fast recovery had repaired it.
            controller.on_loss(&sample);
            controller.on_recovery_exit(cx.now);
        }
        let entered = outcome.entered && !probe_lost;
        if entered {
            cx.counters.fast_recoveries += 1;
            controller.on_loss(&sample);
        } else if outcome.entered {
            self.cold.recovery.keep_silent();
        }
        if outcome.tail_repaired || entered {
            self.note_reduction();
        }
    }

    fn on_fin_acknowledged(&mut self, now: Instant) {
        self.transition(Event::FinAcknowledged);
        match self.state {
            State::Closed => self.end(CloseReason::Finished),
            State::TimeWait => self.retransmit_at = now + TIME_WAIT,
            _ => {}
        }
    }
}
