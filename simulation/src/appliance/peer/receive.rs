//! The receiver: what it keeps, what it acknowledges and when, and what it has room for.

use std::collections::VecDeque;

use ringroad_engine::time::Instant;

use super::super::packet::{FIN, Segment};
use super::Peer;

impl Peer {
    /// Reads up to so many octets of what has arrived.
    pub fn read_some(&mut self, octets: usize) {
        let unread = self.received.len() - self.read;
        if unread == 0 || octets == 0 {
            return;
        }
        self.read += unread.min(octets);
        // The window may have opened: say so if it was nearly shut.
        if self.rcv_edge.saturating_sub(self.rcv_nxt()) < u64::from(self.settings.buffer) / 2 {
            self.acks_due = self.acks_due.max(1);
        }
    }

    /// Arrived in order, and not read [octets].
    pub fn unread(&self) -> usize {
        self.received.len() - self.read
    }

    /// What else the receiver can hold [octets].
    pub(super) fn room(&self) -> u64 {
        u64::from(self.settings.buffer).saturating_sub(self.unread() as u64)
    }

    pub(super) fn rcv_nxt(&self) -> u64 {
        1 + self.received.len() as u64 + u64::from(self.peer_finished)
    }

    /// Where a sequence number of the engine's is.
    pub(super) fn position_of(&self, seq: u32) -> u64 {
        let next = self.rcv_nxt();
        let distance = seq.wrapping_sub(self.irs.wrapping_add(next as u32)) as i32;
        let position = next.checked_add_signed(distance.into());
        position.unwrap_or_else(|| {
            panic!("{}: number {seq} is from before the SYN, {}", self.local, self.irs)
        })
    }

    pub(super) fn take_payload(&mut self, segment: &Segment, position: u64) {
        let next = self.rcv_nxt();
        if segment.sequence_len() == 0 {
            // RFC 9293 §3.10.7.4, first: what is outside the window is answered, a probe too.
            if position < next {
                self.acks_due += 1;
            }
            return;
        }
        self.judge_payload(segment, position);
        let len = segment.payload.len() as u64;
        self.stats.data_segments += u64::from(len > 0);
        self.stats.largest_payload = self.stats.largest_payload.max(segment.payload.len());
        let end = position + len;
        // Never less than what was sent, unless the window was taken back.
        let fits = end.min(next + self.room());
        if segment.has(FIN) && fits == end {
            self.finished_at = Some(end);
        }
        let payload = &segment.payload[..fits.saturating_sub(position) as usize];
        if position > next {
            assert!(self.settings.lossy, "a gap before {position}, {next} expected");
            if self.sack && !payload.is_empty() {
                self.out_of_order.insert(position, payload.to_vec());
            }
            self.acks_due += 1;
            return;
        }
        if position < next && len > 0 {
            self.arrived_twice = Some((position, end.min(next)));
        }
        if position + (payload.len() as u64) <= next || !self.out_of_order.is_empty() {
            self.acks_due = self.acks_due.max(1);
        }
        self.append(position, payload);
        self.unacknowledged_segments += 1;
        while let Some((from, octets)) = self.out_of_order.pop_first() {
            if from > self.rcv_nxt() {
                self.out_of_order.insert(from, octets);
                break;
            }
            self.append(from, &octets);
        }
        if !self.peer_finished && self.finished_at == Some(self.rcv_nxt()) {
            self.peer_finished = true;
            self.acks_due = self.acks_due.max(1);
        }
    }

    /// Takes what is new, and sees that what is not says the same as before.
    fn append(&mut self, position: u64, octets: &[u8]) {
        let from = position as usize - 1;
        let known = (self.received.len() - from).min(octets.len());
        assert!(
            self.received[from..from + known] == octets[..known],
            "octets {from} to {} differ from what was sent before",
            from + known
        );
        self.stats.duplicate_data += u64::from(known > 0);
        self.received.extend_from_slice(&octets[known..]);
    }

    /// Decides whether what has arrived is acknowledged now or later.
    pub(super) fn wait_to_acknowledge(&mut self, now: Instant) {
        if self.unacknowledged_segments == 0 || self.acks_due > 0 {
            return;
        }
        let at = *self.ack_at.get_or_insert(now + self.settings.acks.at_latest);
        if at <= now || self.unacknowledged_segments >= self.settings.acks.segments {
            self.acks_due = 1;
        }
    }

    /// An acknowledgment of everything before `next` leaves, and offers so much behind it.
    pub(super) fn note_acknowledged(&mut self, next: u64, window: u64) {
        self.last_ack_sent = next;
        self.rcv_edge = self.rcv_edge.max(next + window);
        self.unacknowledged_segments = 0;
        self.ack_at = None;
    }

    /// What an acknowledgment reports beside its number: what has arrived twice (RFC 2883 §4), and
    /// up to three ranges behind the gap.
    pub(super) fn reports(&mut self) -> Vec<(u32, u32)> {
        let mut ranges: VecDeque<(u64, u64)> = VecDeque::new();
        for (&from, octets) in &self.out_of_order {
            let to = from + octets.len() as u64;
            match ranges.back_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(to),
                _ => ranges.push_back((from, to)),
            }
        }
        let twice = self.arrived_twice.take().filter(|_| self.settings.dsack);
        if let Some(range) = twice {
            ranges.push_front(range);
        }
        let number = |position: u64| self.irs.wrapping_add(position as u32);
        ranges.iter().take(3).map(|&(from, to)| (number(from), number(to))).collect()
    }
}

/// Milliseconds, from a start of the hosts' own.
pub(super) fn clock(now: Instant) -> u32 {
    TIMESTAMPS_FROM + now.as_millis() as u32
}

pub(super) const TIMESTAMPS_FROM: u32 = 70_000;
