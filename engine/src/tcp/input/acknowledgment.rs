//! The ACK field (RFC 9293 §3.10.7.4 fifth): what has arrived at the peer, and what it can take.

use super::DropReason;
use crate::limits::TIME_WAIT;
use crate::tcp::congestion::{AckSample, CongestionControl, LossSample};
use crate::tcp::recovery::{AckNews, Change, Phase, Sent};
use crate::tcp::send_queue::Acknowledged;
use crate::tcp::state::{CloseReason, Event, State};
use crate::tcp::{Connection, Context};
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};
use std::time::Duration;

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
            if ack != self.snd_nxt {
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
        self.update_send_window(header);
        if acked > 0 || header.options.sack.len > 0 || !self.cold.recovery.is_quiet() {
            self.on_new_acknowledgment(cx, header);
            return Ok(());
        }
        // RFC 5681 §2, duplicate acknowledgment. With SACK, only a report of news counts
        // (RFC 6675 §2).
        let is_duplicate = len == 0
            && same_window
            && !header.flags.contains(Flags::FIN)
            && self.snd_nxt != self.snd_una;
        if is_duplicate && !self.cold.recovery.sack {
            self.on_new_acknowledgment(cx, header);
        } else if self.snd_nxt == self.snd_una {
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

    /// Something is newly acknowledged, cumulatively or selectively, or this is a duplicate.
    pub(super) fn on_new_acknowledgment(&mut self, cx: &mut Context<'_>, header: &TcpHeader) {
        let ack = header.acknowledgment;
        let acked = ack - self.snd_una;
        let outstanding = self.snd_nxt - self.snd_una;
        let in_flight = self.in_flight();
        self.check_app_limited();
        let was_fast = self.cold.recovery.phase == Phase::Fast;
        let gone = self.queue.acknowledge(cx, ack, &mut self.cold.recovery.delivery);
        self.cold.recovery.forget(&gone);
        self.snd_una = ack;
        self.check_probe(cx.now);
        let sent = Sent { una: ack, nxt: self.snd_nxt, now: cx.now };
        let mss = u32::from(self.mss);
        let newly_sacked = match self.cold.recovery.sack {
            true => {
                let blocks = &header.options.sack;
                self.cold.recovery.update(cx.chunks, &self.queue, blocks, sent, mss)
            }
            false => 0,
        };

        let mut rtt = None;
        if acked > 0 {
            rtt = self.round_trip(cx.now, header, &gone);
            self.on_progress(cx.now, rtt);
        }
        let mut change = Change::None;
        if acked == 0 || !self.cold.recovery.is_quiet() {
            let is_duplicate = acked == 0 && (newly_sacked > 0 || !self.cold.recovery.sack);
            let news = AckNews { acked, newly_sacked, is_duplicate };
            change = self.cold.recovery.on_ack(cx.chunks, &self.queue, sent, mss, news);
            self.tell_controller(cx, change, outstanding);
        }
        // What was sacked before has been counted then.
        let acked_octets = acked.saturating_sub(gone.sacked) + newly_sacked;
        if acked_octets > 0 {
            let min_rtt = self.cold.rtt.min_rtt();
            let sample = AckSample {
                acked_octets,
                lost_octets: self.cold.recovery.delivery.take_lost(),
                in_flight_octets: in_flight,
                in_flight_after_octets: self.in_flight(),
                rtt,
                srtt: self.cold.rtt.srtt(),
                min_rtt,
                rate: self.cold.recovery.delivery.sample(cx.now, min_rtt),
                now: cx.now,
                cwnd_limited: self.cold.cwnd_limited,
                ece: false,
                // Also for the ACK that ends a recovery (RFC 6582 §3.2 (3), full acknowledgment).
                in_recovery: was_fast
                    || change == Change::Left
                    || self.cold.recovery.phase == Phase::Fast,
            };
            self.cold.controller.on_ack(&sample);
            if self.cold.controller.limits_itself() {
                self.cold.recovery.delivery.mark_app_limited(self.in_flight());
            }
        }
        if self.fin_sent && ack == self.snd_end + 1 && acked > 0 {
            self.on_fin_acknowledged(cx.now);
        }
    }

    /// One round trip, from the newest segment that was sent once (Karn), or else from the
    /// timestamp that is echoed (RFC 7323 §4).
    fn round_trip(
        &self,
        now: Instant,
        header: &TcpHeader,
        gone: &Acknowledged,
    ) -> Option<Duration> {
        if let Some(sent_at) = gone.sent_at {
            return Some(now.since(sent_at));
        }
        let echo = header.options.timestamps?.echo_reply;
        let elapsed_ms = self.clock(now).wrapping_sub(echo);
        // A peer may echo anything; what cannot be is no sample.
        let plausible = self.timestamps && echo != 0 && elapsed_ms < i32::MAX as u32;
        plausible.then(|| Duration::from_millis(u64::from(elapsed_ms)))
    }

    /// SND.UNA has moved: RFC 6298 §5.2 and §5.3.
    fn on_progress(&mut self, now: Instant, rtt: Option<Duration>) {
        match rtt {
            Some(rtt) => self.cold.rtt.on_sample(rtt, now),
            None => self.cold.rtt.on_progress(),
        }
        self.cold.retries = 0;
        let waits = self.snd_una != self.snd_nxt || !self.queue.list.is_empty();
        self.cold.waiting_since = if waits { now } else { Instant::FAR_FUTURE };
        if self.snd_una == self.snd_nxt {
            self.retransmit_at = Instant::FAR_FUTURE;
        } else {
            self.arm_retransmission(now);
        }
    }

    fn tell_controller(&mut self, cx: &mut Context<'_>, change: Change, outstanding: u32) {
        match change {
            Change::None => {}
            Change::Entered if self.is_probe_lost() => self.cold.recovery.keep_silent(),
            Change::Entered => {
                cx.counters.fast_recoveries += 1;
                let sample = LossSample { in_flight_octets: outstanding, now: cx.now };
                self.cold.controller.on_loss(&sample);
            }
            Change::Left => self.cold.controller.on_recovery_exit(cx.now),
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
