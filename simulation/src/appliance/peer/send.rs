//! The sender: go-back-N, without congestion control.

use std::time::Duration;

use ringroad_engine::time::Instant;

use super::super::packet::{ACK, FIN, Options, PSH, SYN, Segment};
use super::{Peer, Status};

const RTO: Duration = Duration::from_millis(300);

/// Acknowledgments that are made of one at most, however small their steps.
const STEPS_MAX: u64 = 32;

impl Peer {
    /// A segment that belongs so far behind what is to be sent next: a gap lies before it.
    pub fn segment_ahead(&mut self, now: Instant, ahead: u64, payload: Vec<u8>) -> Segment {
        self.max = self.max.max(self.nxt + ahead + payload.len() as u64);
        self.segment(now, self.nxt + ahead, ACK, payload)
    }

    /// The largest payload that it sends.
    pub fn largest_segment(&self) -> u64 {
        self.mss
    }

    /// The SYN, or the answer to the engine's.
    pub(super) fn syn(&mut self, now: Instant) -> Segment {
        let flags = if self.status == Status::SynSent { SYN } else { SYN | ACK };
        let payload = self.early_payload();
        self.max = self.max.max(1 + payload.len() as u64);
        let mut syn = self.segment(now, 0, flags, payload);
        if self.status == Status::SynSent
            && let Some(cookie) = self.settings.fast_open
        {
            syn.options.fast_open = Some(cookie.map_or(Vec::new(), |c| c.to_vec()));
        }
        syn
    }

    /// What goes with the SYN the first time that it is sent, of one that brings a cookie.
    fn early_payload(&self) -> Vec<u8> {
        match self.settings.fast_open {
            Some(Some(_)) if self.status == Status::SynSent && self.backoff <= 1 => {
                self.out.iter().take(1000).copied().collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn poll_open(&mut self, now: Instant, sending: &mut Vec<Segment>) {
        let limit = self.snd_edge.min(self.una + self.settings.in_flight_max);
        let limit = limit.min(self.end_of_out());
        while self.nxt < limit {
            sending.push(self.next_segment(now, limit));
        }
        if self.una < self.end_of_out() && self.timer.is_none() {
            self.arm(now); // To retransmit, or to probe a window that stays shut.
        }
        self.wait_to_acknowledge(now);
        for _ in 0..std::mem::take(&mut self.acks_due) {
            self.acknowledge(now, sending);
        }
    }

    /// The next payload or FIN, up to `limit`.
    fn next_segment(&mut self, now: Instant, limit: u64) -> Segment {
        let from = (self.nxt - 1) as usize;
        let most = (limit - self.nxt).min(self.mss).min(self.settings.segment_max) as usize;
        let payload: Vec<u8> = self.out[from..].iter().take(most).copied().collect();
        let mut flags = ACK;
        let behind = from + payload.len();
        if behind == self.out.len() {
            flags |= PSH;
            if self.finish && self.nxt + (payload.len() as u64) < limit {
                flags |= FIN;
            }
        }
        let segment = self.segment(now, self.nxt, flags, payload);
        self.nxt += u64::from(segment.sequence_len());
        self.max = self.max.max(self.nxt);
        self.acks_due = 0;
        segment
    }

    /// An acknowledgment of everything, in steps if the settings say so.
    fn acknowledge(&mut self, now: Instant, sending: &mut Vec<Segment>) {
        let (next, acked) = (self.rcv_nxt(), self.last_ack_sent);
        let step = self.settings.acks.step.max((next - acked).div_ceil(STEPS_MAX)).max(1);
        let whole = self.segment(now, self.nxt, ACK, Vec::new());
        let mut behind = (next - acked).saturating_sub(step);
        while behind > 0 {
            let mut part = whole.clone();
            part.ack = whole.ack.wrapping_sub(behind as u32);
            // The edge stays where it is.
            let more = (behind >> self.rcv_scale).min(65_535) as u16;
            part.window = whole.window.saturating_add(more);
            sending.push(part);
            behind = behind.saturating_sub(step);
        }
        sending.push(whole);
    }

    pub(super) fn on_timer(&mut self, now: Instant) {
        self.timer = None;
        if self.una == self.end_of_out() && self.una > 0 {
            return;
        }
        if self.backoff > 0 || self.nxt > self.una {
            self.go_back();
        }
        if self.una > 0 && self.snd_edge <= self.una {
            // RFC 9293 §3.8.6.1: one octet beyond the window.
            self.nxt = self.una;
            self.snd_edge = self.una + 1;
        }
        self.backoff = (self.backoff + 1).min(4);
        self.arm(now);
    }

    fn go_back(&mut self) {
        self.nxt = self.una;
        self.recovered_to = self.max;
    }

    pub(super) fn arm(&mut self, now: Instant) {
        self.timer = Some(now + RTO * (1 << self.backoff.saturating_sub(1)));
    }

    /// Behind the last that is to be sent, FIN included.
    pub(super) fn end_of_out(&self) -> u64 {
        1 + self.out.len() as u64 + u64::from(self.finish)
    }

    pub(super) fn segment(
        &mut self,
        now: Instant,
        position: u64,
        flags: u8,
        payload: Vec<u8>,
    ) -> Segment {
        let syn = flags & SYN != 0;
        let shift = if syn { 0 } else { self.rcv_scale };
        let window = (self.room() >> shift).min(65_535);
        let mut options = Options::default();
        if syn {
            let answers = flags & ACK != 0;
            options.mss = Some(self.settings.mss);
            options.scale = self.settings.scale.filter(|_| !answers || self.rcv_scale > 0);
            options.sack_permitted = self.sack;
        }
        if self.timestamps {
            let echo = if flags & ACK != 0 { self.ts_recent } else { 0 };
            options.timestamps = Some((super::receive::clock(now), echo));
        }
        let mut ack = 0;
        if flags & ACK != 0 {
            let next = self.rcv_nxt();
            ack = self.irs.wrapping_add(next as u32);
            self.note_acknowledged(next, window << shift);
            if self.sack && !syn {
                options.sack = self.reports();
            }
        }
        let answers_syn = self.status == Status::SynReceived;
        let flags = flags | self.ecn.on_send(flags, !payload.is_empty(), answers_syn);
        Segment {
            link: self.link,
            source: self.local,
            destination: self.remote,
            seq: self.iss.wrapping_add(position as u32),
            ack,
            flags,
            window: window as u16,
            options,
            payload,
        }
    }

    pub(super) fn take_acknowledgment(&mut self, segment: &Segment, position: u64) {
        let una = self.iss.wrapping_add(self.una as u32);
        let distance = segment.ack.wrapping_sub(una) as i32;
        let ack = self.una.checked_add_signed(distance.into());
        let ack = ack.unwrap_or_else(|| panic!("acknowledges our past: {segment:?}"));
        self.judge_acknowledgment(ack);
        if self.status == Status::SynReceived {
            if ack < 1 {
                return;
            }
            self.status = Status::Open;
        }
        if ack < self.una {
            assert!(self.settings.lossy, "an acknowledgment went back: {segment:?}");
            return;
        }
        let edge = ack + (u64::from(segment.window) << self.snd_scale);
        if ack > self.una {
            self.una = ack;
            self.nxt = self.nxt.max(ack);
            self.duplicates = 0;
            self.backoff = 0;
            self.timer = None;
        } else if segment.sequence_len() == 0 && edge == self.snd_edge && self.nxt > self.una {
            self.duplicates += 1;
            if self.duplicates == 3 && self.una >= self.recovered_to {
                self.go_back();
            }
        }
        if (position, ack) >= self.window_from || ack > self.window_from.1 {
            self.judge_edge(edge);
            self.window_from = (position, ack);
            self.snd_edge = edge;
            self.advertised_window = edge - ack;
            self.stats.zero_windows += u64::from(segment.window == 0);
        }
    }
}
