//! ProbeRTT (draft-ietf-ccwg-bbr-06 §5.3.4): for a moment, little is in flight, so that the path is
//! seen without queues. All BBR connections on a path do it together, as the one that lets its
//! queue go lets the others measure less.

use std::time::Duration;

use super::{
    Ack, Bbr, MIN_PIPE_SEGMENTS, MIN_RTT_FILTER, PROBE_RTT_CWND_GAIN, PROBE_RTT_DURATION,
    PROBE_RTT_INTERVAL, State,
};
use crate::time::Instant;

/// When it was, and when it is over.
#[derive(Clone, Debug)]
pub(super) struct ProbeRtt {
    /// BBR.probe_rtt_min_delay, `u64::MAX` before there is one [ns].
    min_delay_ns: u64,
    /// BBR.probe_rtt_min_stamp.
    min_at: Instant,
    /// BBR.probe_rtt_expired.
    expired: bool,
    /// BBR.probe_rtt_round_done.
    round_done: bool,
    /// BBR.probe_rtt_done_stamp; never, before little enough is in flight.
    done_at: Instant,
}

impl ProbeRtt {
    pub(super) fn new() -> ProbeRtt {
        ProbeRtt {
            min_delay_ns: u64::MAX,
            min_at: Instant::ZERO,
            expired: false,
            round_done: false,
            done_at: Instant::FAR_FUTURE,
        }
    }
}

impl Bbr {
    /// UpdateMinRTT.
    pub(super) fn update_min_rtt(&mut self, ack: &Ack<'_>) {
        let now = ack.sample.now;
        let probe = &mut self.probe_rtt;
        let is_known = probe.min_delay_ns < u64::MAX;
        probe.expired = is_known && now > probe.min_at + PROBE_RTT_INTERVAL;
        if let Some(rtt) = ack.sample.rtt
            && let Ok(rtt_ns) = u64::try_from(rtt.as_nanos())
            && (probe.expired || rtt_ns < probe.min_delay_ns)
        {
            probe.min_delay_ns = rtt_ns;
            probe.min_at = now;
        }
        if probe.min_delay_ns == u64::MAX {
            return;
        }
        let min_delay = Duration::from_nanos(probe.min_delay_ns);
        let expired = now > self.model.min_rtt_at + MIN_RTT_FILTER;
        if expired || self.model.min_rtt.is_none_or(|min_rtt| min_delay < min_rtt) {
            self.model.min_rtt = Some(min_delay);
            self.model.follow_min_rtt(min_delay, expired);
            self.model.min_rtt_at = probe.min_at;
        }
    }

    /// CheckProbeRTT.
    pub(super) fn check_probe_rtt(&mut self, ack: &Ack<'_>) {
        if self.state != State::ProbeRtt && self.probe_rtt.expired && !self.idle_restart {
            self.save_cwnd();
            self.state = State::ProbeRtt;
            self.probe_rtt.done_at = Instant::FAR_FUTURE;
            self.probe.stop();
            self.model.start_round();
        }
        if self.state == State::ProbeRtt {
            self.handle_probe_rtt(ack);
        }
        if ack.rate.delivered_octets > 0 {
            self.idle_restart = false;
        }
    }

    /// HandleProbeRTT. That rates measured now mean nothing is told by `limits_itself`.
    fn handle_probe_rtt(&mut self, ack: &Ack<'_>) {
        if self.probe_rtt.done_at != Instant::FAR_FUTURE {
            self.probe_rtt.round_done |= self.model.round_start;
            if self.probe_rtt.round_done {
                self.check_probe_rtt_done(ack.sample.now);
            }
        } else if ack.sample.in_flight_after_octets <= self.probe_rtt_cwnd() {
            self.probe_rtt.done_at = ack.sample.now + PROBE_RTT_DURATION;
            self.probe_rtt.round_done = false;
            self.model.start_round();
        }
    }

    /// CheckProbeRTTDone.
    pub(super) fn check_probe_rtt_done(&mut self, now: Instant) {
        if now > self.probe_rtt.done_at {
            self.probe_rtt.min_at = now;
            self.restore_cwnd();
            self.exit_probe_rtt(now);
        }
    }

    /// ExitProbeRTT (§5.3.4.4).
    fn exit_probe_rtt(&mut self, now: Instant) {
        self.model.reset_short_term();
        if self.full_pipe.reached {
            self.start_probe_bw_down(now);
            self.start_probe_bw_cruise();
        } else {
            self.enter_startup();
        }
    }

    /// ProbeRTTCwnd (§5.6.4.5) [octets].
    pub(super) fn probe_rtt_cwnd(&self) -> u32 {
        let half = self.bdp_multiple(self.model.bw(), PROBE_RTT_CWND_GAIN);
        half.max(MIN_PIPE_SEGMENTS * self.mss())
    }
}
