//! Time passes: retransmission (RFC 6298), persist and keepalive (RFC 9293 §3.8.6.1, §3.8.4),
//! delayed acknowledgment and TIME-WAIT.
//!
//! One instant serves three timers that never run at once: with something outstanding it is the
//! retransmission timer, with payload but no window the persist timer, in TIME-WAIT its end.

use super::congestion::{CongestionControl, TimeoutSample};
use super::recovery::{Delivery, News, Soon};
use super::settings::LegSettings;
use super::state::{CloseReason, Event, State};
use super::{Connection, Context};
use crate::time::Instant;

impl Connection {
    /// When [`Connection::on_deadline`] wants to be called; [`Instant::FAR_FUTURE`] if never.
    #[inline]
    pub fn deadline(&self) -> Instant {
        let soonest = self.retransmit_at.min(self.ack_at).min(self.cold.retry_at);
        let soonest = soonest.min(self.cold.recovery.soon_at).min(self.cold.pace_at);
        soonest.min(self.keepalive_at())
    }

    /// Acts on what is due at `cx.now`; then the caller polls for segments. May be called early.
    pub fn on_deadline(&mut self, cx: &mut Context<'_>) {
        let now = cx.now;
        if now >= self.cold.retry_at {
            self.cold.retry_at = Instant::FAR_FUTURE;
        }
        if now >= self.cold.pace_at {
            self.cold.pace_at = Instant::FAR_FUTURE;
        }
        if now >= self.ack_at {
            self.ack_at = Instant::FAR_FUTURE;
            self.ack_now = true;
        }
        // Before the retransmission timer, which a probe puts off.
        match self.cold.recovery.take_due(now) {
            Soon::Nothing => {}
            Soon::Reordering => self.on_reordering_timer(cx),
            Soon::Probe => {
                // RFC 8985 §7.3: whether a probe can be sent or not.
                self.cold.recovery.probe_is_due = true;
                self.arm_retransmission(now);
            }
        }
        if now >= self.retransmit_at {
            self.retransmit_at = Instant::FAR_FUTURE;
            self.check_app_limited();
            self.on_timer(cx);
        }
        if now >= self.keepalive_at() {
            self.on_keepalive(cx);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_>) {
        match self.state {
            State::Closed => {}
            State::TimeWait => {
                self.transition(Event::TimeWaitOver);
                self.end(CloseReason::Finished);
            }
            State::SynSent | State::SynReceived => self.on_handshake_timeout(cx),
            _ if self.snd_nxt != self.snd_una => self.on_retransmission_timeout(cx),
            _ => self.on_persist_timeout(cx),
        }
    }

    fn on_handshake_timeout(&mut self, cx: &mut Context<'_>) {
        if self.cold.retries >= self.cold.settings.handshake_retries {
            return self.give_up(cx);
        }
        self.cold.retries += 1;
        self.cold.rtt.on_timeout();
        self.cold.syn_due = true;
        if self.state == State::SynSent {
            self.stop_asking_for_ecn();
        }
        cx.counters.timeouts += 1;
    }

    /// RFC 8985 §6.2 step 5: what was overtaken has had its time to arrive.
    fn on_reordering_timer(&mut self, cx: &mut Context<'_>) {
        let outstanding = self.snd_nxt - self.snd_una;
        let ack = self.ack_of(self.snd_una, cx.now);
        let outcome = self.cold.recovery.on_reordering_timer(cx.chunks, &ack);
        self.tell_controller(cx, &outcome, outstanding);
        if outcome.entered {
            self.cold.recovery.begin_reduction(&ack, &News::default(), 0);
        }
        if outcome.found_loss {
            let window = self.cold.controller.window_octets();
            self.cold.recovery.reduce(&Delivery {
                delivered: 0,
                in_flight: self.in_flight(),
                ssthresh: window,
                mss: ack.mss,
                is_safe: false,
            });
            self.note_disorder();
        }
    }

    /// RFC 6298 §5.4 to §5.7.
    fn on_retransmission_timeout(&mut self, cx: &mut Context<'_>) {
        if cx.now >= self.user_timeout_at() {
            return self.give_up(cx);
        }
        let head = self.queue.list.head;
        if head != self.queue.unsent && cx.chunks.node(head).is_shared(cx.pool) {
            // It has not even left: our own device is late, not the path.
            return self.arm_retransmission(cx.now);
        }
        if self.cold.retries >= self.cold.settings.data_retries {
            return self.give_up(cx);
        }
        let in_flight_octets = self.snd_nxt - self.snd_una;
        let is_repeated = self.cold.retries > 0;
        self.cold.controller.on_rto(&TimeoutSample { in_flight_octets, is_repeated, now: cx.now });
        self.set_pace();
        let ack = self.ack_of(self.snd_una, cx.now);
        let reneged = self.cold.recovery.on_timeout(cx.chunks, &self.queue, &ack);
        cx.counters.reneged += u64::from(reneged);
        self.note_reduction();
        self.cold.fin_lost = self.fin_sent;
        self.cold.retries += 1;
        self.cold.rtt.on_timeout();
        cx.counters.timeouts += 1;
        self.suspect_black_hole(cx);
        self.arm_retransmission(cx.now);
        self.note_disorder();
    }

    /// RFC 9293 §3.8.6.1: the window has been too small for a while, its opening may be lost.
    fn on_persist_timeout(&mut self, cx: &mut Context<'_>) {
        if self.queue.list.is_empty() || !self.state.can_send() {
            return;
        }
        // A window that stays shut is waited for without end while it is answered for (RFC 9293
        // §3.8.6.1), unless there is a user timeout.
        let overdue = cx.now >= self.user_timeout_at();
        if overdue || self.cold.retries >= self.cold.settings.data_retries {
            return self.give_up(cx);
        }
        if self.usable_window() > 0 {
            self.cold.override_sws = true;
        } else {
            self.cold.probe_due = true;
            self.cold.retries += 1;
        }
        self.cold.rtt.on_timeout();
        self.arm_retransmission(cx.now);
    }

    /// When the peer has had the user timeout to acknowledge anything; never in a handshake, which
    /// is bounded by its retries.
    pub(super) fn user_timeout_at(&self) -> Instant {
        match self.cold.settings.user_timeout {
            Some(timeout) if self.state.is_synchronized() => self.cold.waiting_since + timeout,
            _ => Instant::FAR_FUTURE,
        }
    }

    /// When silence is long enough to ask; never, while something is outstanding or the persist
    /// timer runs: their timers ask already.
    #[inline]
    pub(super) fn keepalive_at(&self) -> Instant {
        let may_ask = self.state.is_synchronized()
            && self.state != State::TimeWait
            && self.retransmit_at == Instant::FAR_FUTURE;
        if !may_ask {
            return Instant::FAR_FUTURE;
        }
        keepalive_due(&self.cold.settings, self.last_received, self.cold.keepalives_sent)
    }

    fn on_keepalive(&mut self, cx: &mut Context<'_>) {
        let LegSettings { keepalive, user_timeout, .. } = self.cold.settings;
        let sent = self.cold.keepalives_sent;
        // A probe is something to be acknowledged, so the user timeout bounds it (as in Linux).
        let silence = cx.now.since(self.last_received);
        let overdue = sent > 0 && user_timeout.is_some_and(|timeout| silence >= timeout);
        if overdue || sent >= keepalive.map_or(0, |keepalive| keepalive.probes) {
            return self.give_up(cx);
        }
        self.cold.keepalives_sent += 1;
        self.cold.probe_due = true;
    }

    /// The peer has fallen silent. It is sent a RST, should it still be there.
    fn give_up(&mut self, cx: &mut Context<'_>) {
        self.cold.reset_due = self.state != State::SynSent;
        self.end(CloseReason::TimedOut);
        self.discard(cx);
    }
}

/// When a peer that was last heard of at `last_received`, and has been sent `probes_sent` probes since,
/// is asked for a sign of life.
#[inline]
pub(super) fn keepalive_due(
    settings: &LegSettings,
    last_received: Instant,
    probes_sent: u8,
) -> Instant {
    let Some(keepalive) = settings.keepalive else { return Instant::FAR_FUTURE };
    last_received + keepalive.idle + keepalive.interval * u32::from(probes_sent)
}
