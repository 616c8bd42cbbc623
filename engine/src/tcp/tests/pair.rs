//! Two connections joined by a link in virtual time that loses, delays, reorders and duplicates.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::host::{Host, PLAIN, SACK, chunk, endpoints, ms, pattern, settings};
use crate::limits::RTO_MAX;
use crate::random::Random;
use crate::tcp::congestion::Algorithm;
use crate::tcp::pacing::Pacing;
use crate::tcp::{CloseReason, Connection, Endpoints, LegSettings, Offer, State, reset_in_reply};
use crate::time::Instant;
use crate::wire::tcp::{SeqNum, TcpHeader};

#[derive(Clone, Copy, Debug)]
struct Link {
    delay: Duration,
    /// Of a thousand segments.
    lost: u32,
    duplicated: u32,
    /// Delayed by up to four more delays, and so overtaken.
    late: u32,
}

const CLEAN: Link = Link { delay: Duration::from_millis(10), lost: 0, duplicated: 0, late: 0 };

/// A segment under way, ordered by arrival, then by departure.
type UnderWay = Reverse<(Instant, u64, usize, Vec<u8>)>;

struct Pair {
    sides: [Host; 2],
    link: Link,
    random: Random,
    client_endpoints: Endpoints,
    under_way: BinaryHeap<UnderWay>,
    departed: u64,
    now: Instant,
    to_write: [usize; 2],
    written: [usize; 2],
    read: [Vec<u8>; 2],
    /// Octets per chunk, chosen at random up to this.
    chunk_max: usize,
    segments: u64,
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

impl Pair {
    /// A client that has not sent its SYN yet, and a server that waits for it.
    fn new(seed: u64, link: Link, leg: LegSettings, offer: Offer) -> Pair {
        let now = Instant::from_millis(5000);
        let mut random = Random::new(seed);
        let isn = |random: &mut Random| SeqNum(random.draw() as u32);
        let server_endpoints = endpoints();
        let client_endpoints = Endpoints {
            local_port: server_endpoints.remote_port,
            remote_port: server_endpoints.local_port,
            ts_offset: random.draw() as u32,
            ..server_endpoints
        };
        let client = Connection::connect(&leg, client_endpoints, offer, isn(&mut random), now);
        let mut client = Host::new(client, now);
        let syn = client.sent().remove(0).header;
        let server = Connection::accept(&leg, server_endpoints, &syn, isn(&mut random), now);
        let server = Host::new(server, now);
        Pair {
            sides: [client, server],
            link,
            random,
            client_endpoints,
            under_way: BinaryHeap::new(),
            departed: 0,
            now,
            to_write: [0; 2],
            written: [0; 2],
            read: [Vec::new(), Vec::new()],
            chunk_max: 1000,
            segments: 0,
        }
    }

    /// Sends what each side wants, moves payload in and out of the applications.
    fn turn(&mut self) {
        for side in [CLIENT, SERVER] {
            let host = &mut self.sides[side];
            host.now = self.now;
            if host.connection.deadline() <= self.now {
                host.with(|connection, cx| connection.on_deadline(cx));
            }
            self.read[side].extend(host.reads());
            host.connection.set_receive_room(settings().receive_room);
            while self.written[side] < self.to_write[side]
                && host.connection.queued_octets() < 100_000
                && host.connection.queued_frames() < 100
            {
                let most = self.chunk_max.min(self.to_write[side] - self.written[side]);
                let len = 1 + self.random.below(most as u64) as usize;
                host.writes(&pattern(self.written[side], len));
                self.written[side] += len;
            }
            if self.written[side] == self.to_write[side] {
                host.connection.finish();
            }
            host.connection.check(&host.chunks);
            while let Some(outgoing) = host.poll_once() {
                let bytes = host.pool.bytes(&outgoing.frame)[4..].to_vec();
                host.pool.free(outgoing.frame);
                self.segments += 1;
                let copies = 1 + u32::from(self.random.one_in(1000 * self.link.duplicated));
                for _ in 0..copies {
                    if self.random.one_in(1000 * self.link.lost) {
                        continue;
                    }
                    let mut at = self.now + self.link.delay;
                    if self.random.one_in(1000 * self.link.late) {
                        at += self.link.delay * self.random.below(4) as u32;
                    }
                    self.departed += 1;
                    let segment = Reverse((at, self.departed, 1 - side, bytes.clone()));
                    self.under_way.push(segment);
                }
            }
        }
    }

    fn deliver(&mut self) {
        while let Some(Reverse((at, ..))) = self.under_way.peek()
            && *at <= self.now
            && let Some(Reverse((_, _, side, bytes))) = self.under_way.pop()
        {
            let host = &mut self.sides[side];
            host.now = self.now;
            let (header, length) = TcpHeader::parse(&bytes).expect("a segment");
            if host.connection.state() != State::Closed {
                host.gets_payload(header, &bytes[length..]);
                continue;
            }
            // As for any segment to no connection (RFC 9293 §3.10.7.1).
            let len = (bytes.len() - length) as u32;
            let local = if side == CLIENT { self.client_endpoints } else { endpoints() };
            if let Some(reset) = reset_in_reply(&mut host.pool, &local, &header, len) {
                let bytes = host.pool.bytes(&reset.frame).to_vec();
                host.pool.free(reset.frame);
                self.departed += 1;
                let at = self.now + self.link.delay;
                self.under_way.push(Reverse((at, self.departed, 1 - side, bytes)));
            }
        }
    }

    /// Runs until nothing is left to happen, or `limit` has passed; returns how long it took.
    fn run(&mut self, limit: Duration) -> Duration {
        let start = self.now;
        loop {
            self.turn();
            let next = self.under_way.peek().map_or(Instant::FAR_FUTURE, |next| next.0.0);
            let deadline = self.sides.iter().map(|host| host.connection.deadline()).min();
            let next = next.min(deadline.unwrap_or(Instant::FAR_FUTURE));
            if next > start + limit {
                return self.now.since(start);
            }
            self.now = self.now.max(next);
            self.deliver();
        }
    }

    /// Both directions arrived whole, both ends are closed in order, every frame is home.
    fn assert_done(&mut self, seed: u64) {
        for side in [CLIENT, SERVER] {
            let expected = pattern(0, self.to_write[1 - side]);
            assert!(
                self.read[side] == expected,
                "side {side} read {} of {} octets, state {:?}/{:?} {:?}; replay: RINGROAD_SEED={seed} \
                 cargo test -p ringroad-engine tcp::tests::pair",
                self.read[side].len(),
                expected.len(),
                self.sides[side].connection.state(),
                self.sides[1 - side].connection.state(),
                self.sides[side].connection.close_reason(),
            );
            let host = &self.sides[side];
            let reason = host.connection.close_reason();
            // Should every answer to the last FIN be lost until TIME-WAIT is over, a reset ends
            // what had finished already.
            let finished = reason == Some(CloseReason::Finished)
                || (reason == Some(CloseReason::ResetByPeer) && self.link.lost > 0);
            assert!(finished, "seed {seed}: side {side} {reason:?}");
            assert_eq!(host.held(), 0, "seed {seed}");
        }
    }
}

/// Forty seeds; `RINGROAD_SEEDS=n` for more, `RINGROAD_SEED=n` to replay one.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("RINGROAD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RINGROAD_SEEDS").unwrap_or(40),
    }
}

#[test]
fn megabytes_cross_a_clean_link() {
    let mut pair = Pair::new(1, CLEAN, settings(), Offer::ALL);
    pair.to_write = [2_000_000, 1_000_000];
    let took = pair.run(Duration::from_secs(100));
    pair.assert_done(1);
    let retransmitted: u64 = pair.sides.iter().map(|host| host.counters.retransmitted).sum();
    assert_eq!(retransmitted, 0);
    // 64 KiB of window every 20 ms, and TIME-WAIT.
    assert!(took < Duration::from_secs(62), "{took:?}");
}

#[test]
fn megabytes_cross_links_that_lose_reorder_and_duplicate() {
    for seed in seeds() {
        let mut choose = Random::new(seed);
        let link = Link {
            delay: Duration::from_micros(100 + choose.below(20_000)),
            lost: [0, 1, 10, 50, 150][choose.below(5) as usize],
            duplicated: [0, 10, 200][choose.below(3) as usize],
            late: [0, 10, 300][choose.below(3) as usize],
        };
        let algorithm = [
            Algorithm::NewReno,
            Algorithm::Cubic,
            Algorithm::Bbr,
            Algorithm::Dctcp,
            Algorithm::Vegas,
        ][choose.below(5) as usize];
        let pacing = [Pacing::Auto, Pacing::On, Pacing::Off][choose.below(3) as usize];
        let offer = [Offer::ALL, PLAIN, SACK][choose.below(3) as usize];
        let leg =
            LegSettings { congestion: algorithm, pacing, handshake_retries: 20, ..settings() };
        let mut pair = Pair::new(seed, link, leg, offer);
        pair.chunk_max = [1, 100, 1000, 1700][choose.below(4) as usize];
        let most = if pair.chunk_max == 1 { 20_000 } else { 500_000 };
        pair.to_write = [choose.below(most) as usize, choose.below(most) as usize];
        pair.run(Duration::from_secs(4 * 3600));
        pair.assert_done(seed);
    }
}

#[test]
fn one_percent_loss_does_not_stall() {
    for offer in [Offer::ALL, SACK, PLAIN] {
        let (mut timeouts, mut retransmitted) = (0, 0);
        for seed in 0..5 {
            let link = Link { lost: 10, ..CLEAN };
            let mut pair = Pair::new(seed, link, settings(), offer);
            pair.to_write = [1_000_000, 0];
            pair.run(Duration::from_secs(1000));
            pair.assert_done(seed);
            timeouts += pair.sides[CLIENT].counters.timeouts;
            retransmitted += pair.sides[CLIENT].counters.retransmitted;
        }
        // Left to the timer: the last segments of a flight, and retransmissions that are lost.
        // RACK finds both.
        let share = if offer.sack { 40 } else { 4 };
        assert!(timeouts * share <= retransmitted, "{offer:?}: {timeouts} of {retransmitted}");
    }
}

#[test]
fn a_request_and_its_response_cost_what_they_cost_end_to_end() {
    // After the SYN-ACK, each request carries the ACK of what came before it, as does each response.
    let mut pair = Pair::new(3, CLEAN, settings(), Offer::ALL);
    let (client, server) = (CLIENT, SERVER);
    let mut count = 0;
    let exchange = |pair: &mut Pair, from: usize, payload: &[u8]| {
        let host = &mut pair.sides[from];
        if !payload.is_empty() {
            let chunk = chunk(&mut host.pool, host.now, payload);
            host.with(|connection, cx| connection.send(cx, chunk));
        }
        let sent = host.sent();
        for segment in &sent {
            pair.sides[1 - from].gets_payload(segment.header, &segment.payload);
        }
        sent.len()
    };
    count += exchange(&mut pair, server, &[]);
    for _ in 0..10 {
        count += exchange(&mut pair, client, b"GET / HTTP/1.1");
        pair.sides[server].reads();
        count += exchange(&mut pair, server, &pattern(0, 800));
        pair.sides[client].reads();
    }
    assert_eq!(count, 1 + 20, "every segment but the SYN-ACK carries payload");
    for side in [client, server] {
        assert_eq!(pair.sides[side].connection.state(), State::Established);
    }
}

#[test]
fn a_link_that_dies_is_noticed() {
    let mut pair = Pair::new(5, CLEAN, settings(), Offer::ALL);
    pair.to_write = [200_000, 0];
    pair.run(ms(200));
    pair.link.lost = 1000;
    pair.run(RTO_MAX * 40);
    assert_eq!(pair.sides[CLIENT].connection.close_reason(), Some(CloseReason::TimedOut));
    assert_eq!(pair.sides[CLIENT].held(), 0);
}

#[test]
fn the_rig_can_fail() {
    let mut pair = Pair::new(9, CLEAN, settings(), Offer::ALL);
    pair.to_write = [5000, 0];
    pair.run(Duration::from_secs(100));
    pair.read[SERVER][1234] ^= 1;
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.assert_done(9)));
    assert!(failed.is_err());
}
