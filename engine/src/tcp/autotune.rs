//! How much room to offer: twice what the path and the taker carry in a round trip.
//!
//! Dynamic right-sizing (Fisk and Feng 2001). What was taken in one round trip is the product of
//! bandwidth and delay as it is now; twice of it lets the sender grow, and covers a loss that takes
//! a round trip to repair. A taker that takes nothing, a slow reader behind a proxy, is offered no
//! more than at the start.

use std::time::Duration;

use super::Connection;
use crate::limits::{RECEIVE_ROOM_INITIAL, RECEIVE_RTT_SPACING};
use crate::time::Instant;
use crate::wire::tcp::{SeqNum, TcpHeader};

/// The round trip as a receiver sees it, who may send nothing that would be acknowledged.
///
/// The shortest of the last few seconds counts: a queue that the sender builds up by itself makes
/// round trips longer, and a window that followed those would feed the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiveRtt {
    /// The shortest since `epoch`, and in the epoch before; `u32::MAX` without a sample.
    us_min: u32,
    us_min_before: u32,
    epoch: Instant,
    /// What reaches here brings the next sample.
    due: SeqNum,
    since: Instant,
}

impl ReceiveRtt {
    pub(super) const UNKNOWN: ReceiveRtt = ReceiveRtt {
        us_min: u32::MAX,
        us_min_before: u32::MAX,
        epoch: Instant::ZERO,
        due: SeqNum(0),
        since: Instant::FAR_FUTURE,
    };

    /// The first sample is that of the payload at `due`.
    pub(super) fn start(due: SeqNum) -> Self {
        ReceiveRtt { due, ..ReceiveRtt::UNKNOWN }
    }

    pub(super) fn get(&self) -> Option<Duration> {
        let us = self.us_min.min(self.us_min_before);
        (us < u32::MAX).then(|| Duration::from_micros(us.into()))
    }

    fn update(&mut self, now: Instant, sample: Duration) {
        let sample_us = sample.as_micros().clamp(1, LONGEST_US.into()) as u32;
        if now.since(self.epoch) >= EPOCH {
            (self.us_min_before, self.us_min, self.epoch) = (self.us_min, u32::MAX, now);
        }
        self.us_min = self.us_min.min(sample_us);
    }
}

/// How long the shortest round trip is remembered at least, and half of how long at most.
const EPOCH: Duration = Duration::from_secs(5);

/// A longer round trip is none, but somebody's pause.
const LONGEST_US: u32 = 10_000_000;

/// What is offered at most, and the measurement that it follows from.
#[derive(Clone, Copy, Debug)]
pub(super) struct AutoTune {
    /// [octets]
    room: u32,
    /// Where the taker was when the present measurement began.
    from: SeqNum,
    since: Instant,
    /// What the last one found [octets].
    last: u32,
}

impl AutoTune {
    pub(super) const START: AutoTune = AutoTune {
        room: RECEIVE_ROOM_INITIAL,
        from: SeqNum(0),
        since: Instant::FAR_FUTURE,
        last: 0,
    };

    /// The taker has come to `taken`, on a path of `rtt`.
    fn update(&mut self, now: Instant, taken: SeqNum, rtt: Duration, room_max: u32) {
        if self.since == Instant::FAR_FUTURE {
            (self.from, self.since) = (taken, now);
        }
        if now.since(self.since) < rtt {
            return;
        }
        // A taker's number may move back when it ends.
        let octets = if taken.after(self.from) { taken - self.from } else { 0 };
        (self.from, self.since) = (taken, now);
        if octets == 0 {
            return; // A pause says nothing about the path.
        }
        // A sender in slow start doubles by the round trip, and fills what is offered now only in
        // the next but one: ahead of the measurement by two doublings.
        let growth = octets.saturating_sub(self.last);
        self.last = octets;
        let wanted = octets.saturating_mul(2).saturating_add(growth.saturating_mul(4));
        // One quiet round trip is not a slower path: what is offered shrinks step by step. Nor is one
        // burst into somebody's buffer a faster one: it grows as slow start does.
        self.room = wanted.clamp(self.room - self.room / 8, self.room.saturating_mul(2));
        self.room = self.room.max(RECEIVE_ROOM_INITIAL).min(room_max);
    }
}

impl Connection {
    /// What to offer the peer at most, [`super::LegSettings::receive_room`] being the bound
    /// [octets].
    ///
    /// `taken` is how far whoever takes the payload has come, on any count of octets that moves
    /// with what it is really done with: behind a proxy, with what the far end acknowledged.
    #[inline]
    pub fn tuned_room(&mut self, now: Instant, taken: SeqNum) -> u32 {
        let room_max = self.cold.settings.receive_room;
        let rtt = self.cold.receive_rtt.get().or_else(|| self.cold.rtt.srtt());
        if let Some(rtt) = rtt {
            self.cold.autotune.update(now, taken, rtt, room_max);
        }
        self.cold.autotune.room.min(room_max)
    }

    /// Payload has arrived, in order. Every now and then it tells the round trip.
    #[inline]
    pub(super) fn note_arrival(&mut self, now: Instant, header: &TcpHeader) {
        if header.sequence.at_or_after(self.cold.receive_rtt.due) {
            self.measure_receive_rtt(now, header);
        }
    }

    /// By the timestamp that comes back (RFC 7323 §4); without timestamps, by how long it takes
    /// until what was offered a while ago has all arrived: never shorter than a round trip.
    fn measure_receive_rtt(&mut self, now: Instant, header: &TcpHeader) {
        let rtt = &mut self.cold.receive_rtt;
        let since = rtt.since;
        rtt.since = now;
        if !self.timestamps {
            rtt.due = self.rcv_edge;
            if since != Instant::FAR_FUTURE {
                rtt.update(now, now.since(since));
            }
            return;
        }
        rtt.due = header.sequence + RECEIVE_RTT_SPACING;
        let Some(timestamps) = header.options.timestamps else { return };
        let elapsed_ms = self.clock(now).wrapping_sub(timestamps.echo_reply);
        if timestamps.echo_reply != 0 && elapsed_ms < LONGEST_US / 1000 {
            // The clock's unit is the shortest that it can tell.
            let sample = Duration::from_millis(elapsed_ms.max(1).into());
            self.cold.receive_rtt.update(now, sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    /// Takes `rates[i]` octets in the i-th round trip, in ten steps; returns the room after each.
    fn rooms(rates: &[u32], room_max: u32) -> Vec<u32> {
        let mut tune = AutoTune::START;
        let (mut now, mut taken) = (Instant::from_millis(5), SeqNum(u32::MAX - 1000));
        tune.update(now, taken, RTT, room_max);
        let mut rooms = Vec::new();
        for octets in rates {
            for _ in 0..10 {
                now += RTT / 10;
                taken += octets / 10;
                tune.update(now, taken, RTT, room_max);
            }
            rooms.push(tune.room);
        }
        rooms
    }

    #[test]
    fn a_steady_taker_is_offered_twice_what_it_takes_in_a_round_trip() {
        let rooms = rooms(&[1_000_000; 60], 1 << 26);
        assert_eq!(*rooms.last().unwrap(), 2_000_000);
    }

    #[test]
    fn a_sender_that_doubles_is_never_held_up() {
        let doubling: Vec<u32> = (0..11).map(|n| 14_600 << n).collect();
        let rooms = rooms(&doubling, 1 << 30);
        for n in 0..9 {
            // What is measured in one round trip opens the window for the next but one.
            assert!(rooms[n] >= doubling[n + 2].max(RECEIVE_ROOM_INITIAL), "{n}: {rooms:?}");
        }
    }

    #[test]
    fn a_taker_that_takes_nothing_is_offered_what_it_was_at_the_start() {
        assert_eq!(rooms(&[0; 50], 1 << 26), [RECEIVE_ROOM_INITIAL; 50]);
    }

    #[test]
    fn what_is_offered_is_bounded_and_shrinks_with_the_rate() {
        let mut rates = vec![10_000_000; 8];
        rates.extend([100_000; 60]);
        let rooms = rooms(&rates, 8_000_000);
        assert_eq!(rooms[7], 8_000_000);
        assert_eq!(*rooms.last().unwrap(), 200_000);
        assert!(rooms.windows(2).all(|pair| pair[1] >= pair[0] / 8 * 7), "{rooms:?}");
    }

    #[test]
    fn the_shortest_round_trip_counts_until_it_is_old() {
        let mut rtt = ReceiveRtt::UNKNOWN;
        assert_eq!(rtt.get(), None);
        let ms = Duration::from_millis;
        for (at, sample, expected) in
            [(0, 3000, 3000), (1, 40, 40), (2, 80, 40), (4, 90, 40), (9, 90, 40), (14, 90, 90)]
        {
            rtt.update(Instant::from_millis(10_000 + at * 1000), ms(sample));
            assert_eq!(rtt.get(), Some(ms(expected)), "after {at} seconds");
        }
    }
}
