//! Arbitrary segments, calls and pauses at one connection, read from octets: for property tests
//! and for fuzzing.
//!
//! After every step the connection's figures are compared with what its queues really hold; in the
//! end every frame must be back in its pool. What becomes of a stream's octets is compared in
//! [`reassembly`].

pub mod reassembly;

use std::time::Duration;

use super::chunks::{ChunkSlab, Marks, NIL};
use super::congestion::Algorithm;
use super::pacing::Pacing;
use super::{
    Chunk, Connection, Context, EcnPolicy, Endpoints, Keepalive, LegSettings, Offer, OutgoingKind,
    State, TcpCounters,
};
use crate::frame::{Frame, FramePool};
use crate::shield::cookie::CookieOptions;
use crate::time::Instant;
use crate::wire::checksum;
use crate::wire::tcp::{Flags, SackBlock, SeqNum, TcpHeader, TcpOptions, Timestamps};

/// Few enough that the pool runs dry now and then.
const FRAMES: usize = 48;

struct Bench<'a> {
    input: std::slice::Iter<'a, u8>,
    pool: FramePool,
    chunks: ChunkSlab,
    counters: TcpCounters,
    connection: Connection,
    now: Instant,
    with_device: Vec<Frame>,
    /// The right edge of the window as the peer has seen it.
    edge: Option<SeqNum>,
    /// Frames with payload that the caller gave to [`Connection::send`], that it took with
    /// [`Connection::receive`], and that left for the first time.
    given: u64,
    taken: u64,
    forwarded: u64,
}

/// Runs the steps that `input` describes.
///
/// # Panics
/// If the connection breaks a promise.
pub fn exercise(input: &[u8]) {
    let mut bench = Bench::new(input);
    while let Some(step) = bench.input.next() {
        bench.step(*step);
        bench.connection.check(&bench.chunks);
    }
    bench.finish();
}

impl<'a> Bench<'a> {
    fn new(input: &'a [u8]) -> Bench<'a> {
        let mut input = input.iter();
        let choice = input.next().copied().unwrap_or(0);
        let control = input.next().copied().unwrap_or(0);
        let offer = Offer {
            timestamps: choice & 1 != 0,
            sack: choice & 2 != 0,
            window_scale: choice & 4 != 0,
        };
        let keepalive = Keepalive {
            idle: Duration::from_secs(10),
            interval: Duration::from_secs(1),
            probes: 3,
        };
        let settings = LegSettings {
            congestion: [
                Algorithm::Cubic,
                Algorithm::NewReno,
                Algorithm::Bbr,
                Algorithm::Dctcp,
                Algorithm::Vegas,
            ][usize::from(control) % 5],
            pacing: if control & 128 != 0 { Pacing::On } else { Pacing::Auto },
            ecn: if choice & 3 == 3 { EcnPolicy::Off } else { EcnPolicy::Ask },
            receive_room: if choice & 16 != 0 { 3000 } else { 1 << 20 },
            keepalive: (choice & 32 != 0).then_some(keepalive),
            ..LegSettings::default()
        };
        let endpoints = Endpoints {
            local_port: 1,
            remote_port: 2,
            pseudo_sum: 3,
            ts_offset: 4,
            mss: 1000,
            default_mss: 536,
        };
        let pool = FramePool::in_memory(FRAMES, 2048);
        let chunks = ChunkSlab::for_pool(&pool);
        let (isn, now) = (SeqNum(u32::MAX - 500), Instant::from_millis(1));
        let mut bench = Bench {
            input,
            chunks,
            pool,
            counters: TcpCounters::default(),
            connection: Connection::connect(&settings, endpoints, offer, isn, now),
            now,
            with_device: Vec::new(),
            edge: None,
            given: 0,
            taken: 0,
            forwarded: 0,
        };
        if choice & 64 != 0 {
            let syn = bench.header();
            bench.connection = Connection::accept(&settings, endpoints, &syn, isn, now);
            if choice & 6 == 6
                && let Some(chunk) = bench.chunk()
            {
                bench.call(|connection, cx| connection.open_early(cx, chunk));
            }
        } else if choice & 128 != 0 {
            let ack = bench.header();
            let cookie = CookieOptions {
                mss: u16::from(bench.octet()) * 8,
                window_scale: offer.window_scale.then_some(7),
                sack: offer.sack,
                timestamps: ack.options.timestamps.is_some(),
                ecn: offer.timestamps,
            };
            bench.connection = Connection::accept_cookie(&settings, endpoints, &ack, &cookie, now);
        }
        bench
    }

    fn octet(&mut self) -> u8 {
        self.input.next().copied().unwrap_or(0)
    }

    /// Mostly close to something that means something, sometimes anywhere.
    fn number(&mut self, near: SeqNum) -> SeqNum {
        let (kind, value) = (self.octet(), u32::from(self.octet()));
        match kind % 8 {
            0..=2 => near,
            3 => near + value,
            4 => SeqNum(near.0.wrapping_sub(value)),
            5 => near + value * 100,
            6 => SeqNum(near.0.wrapping_sub(value * 100)),
            _ => SeqNum(value << 24),
        }
    }

    /// Where a chunk that was queued begins, or where the last one ends: what honest
    /// acknowledgments name.
    fn boundary(&mut self) -> SeqNum {
        let mut at = self.connection.queue.list.head;
        for _ in 0..self.octet() % 16 {
            at = if at == NIL { NIL } else { self.chunks.next(at) };
        }
        if at == NIL { self.connection.snd_nxt } else { self.chunks.node(at).seq }
    }

    fn header(&mut self) -> TcpHeader {
        const FLAGS: [Flags; 8] = [
            Flags::ACK,
            Flags::ACK,
            Flags::ACK,
            Flags(Flags::ACK.0 | Flags::PSH.0),
            Flags(Flags::ACK.0 | Flags::FIN.0),
            Flags(Flags::ACK.0 | Flags::SYN.0),
            Flags::SYN,
            Flags::RST,
        ];
        let kind = self.octet();
        let flags = match kind {
            0..=239 => FLAGS[usize::from(kind % 8)],
            240..=247 => FLAGS[usize::from(kind % 8)].with(Flags::ECE),
            _ => Flags(self.octet()),
        };
        let una = self.connection.snd_una;
        let acknowledgment = match kind >> 5 {
            0..=2 => una,
            3 | 4 => self.boundary(),
            5 => self.connection.snd_nxt,
            _ => self.number(self.connection.snd_nxt),
        };
        let sequence = self.number(self.connection.rcv_nxt);
        let mut options = TcpOptions::default();
        let choice = self.octet();
        if choice & 1 != 0 {
            let value = self.number(SeqNum(self.connection.ts_recent)).0;
            options.timestamps = Some(Timestamps { value, echo_reply: value });
        }
        for _ in 0..(choice >> 1) % 5 {
            let (left, right) = match choice & 32 {
                0 => (self.boundary(), self.boundary()),
                _ => (self.number(una), self.number(una)),
            };
            options.sack.push(SackBlock { left, right });
        }
        if choice & 64 != 0 {
            options.mss = Some(u16::from(self.octet()) * 8);
            options.window_scale = Some(self.octet());
            options.sack_permitted = choice & 128 != 0;
        }
        TcpHeader {
            source_port: 2,
            destination_port: 1,
            sequence,
            acknowledgment,
            flags,
            window: u16::from(self.octet()) * 64,
            options,
        }
    }

    fn chunk(&mut self) -> Option<Chunk> {
        let len = usize::from(self.octet()) * 7;
        let mut frame = self.pool.alloc()?;
        if let Some(room) = self.pool.push_back(&mut frame, len) {
            room.fill(len as u8);
        }
        let sum = checksum::sum(self.pool.bytes(&frame));
        Some(Chunk { frame, sum, received_at: self.now })
    }

    fn call<T>(&mut self, f: impl FnOnce(&mut Connection, &mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            now: self.now,
            pool: &mut self.pool,
            chunks: &mut self.chunks,
            counters: &mut self.counters,
        };
        f(&mut self.connection, &mut cx)
    }

    fn step(&mut self, step: u8) {
        match step % 16 {
            0..=4 => {
                let header = self.header();
                let chunk = if step & 64 != 0 { self.chunk() } else { None };
                let marked = step & 32 != 0;
                self.call(|connection, cx| connection.on_segment(cx, &header, marked, chunk));
            }
            5 | 6 => {
                if let Some(chunk) = self.chunk() {
                    self.given += 1;
                    self.call(|connection, cx| connection.send(cx, chunk));
                }
            }
            7 => {
                while let Some(chunk) = self.call(|connection, cx| connection.receive(cx)) {
                    let bytes = self.pool.bytes(&chunk.frame);
                    assert!(checksum::same(checksum::sum(bytes), chunk.sum));
                    self.pool.free(chunk.frame);
                    self.taken += 1;
                }
            }
            8 => {
                let room = u32::from(self.octet()) * 100;
                self.connection.set_receive_room(room);
            }
            9 => {
                self.now += Duration::from_millis(1 << (step >> 4));
                self.call(|connection, cx| connection.on_deadline(cx));
            }
            10 => {
                let deadline = self.connection.deadline();
                if deadline != Instant::FAR_FUTURE {
                    self.now = self.now.max(deadline);
                }
                self.call(|connection, cx| connection.on_deadline(cx));
            }
            11 => match step >> 4 {
                0 => self.connection.finish(),
                1 => self.connection.abort(),
                2 => {
                    let mss = u16::from(self.octet()) * 4;
                    self.call(|connection, cx| connection.on_path_mtu(cx, mss));
                }
                _ => {
                    self.connection.time_wait();
                }
            },
            12 => self.with_device.drain(..).for_each(|frame| self.pool.free(frame)),
            _ => self.poll(step & 64 != 0),
        }
    }

    fn poll(&mut self, device_is_slow: bool) {
        // More than both windows and every timer could want at one instant.
        for _ in 0..4 * FRAMES + usize::from(u8::MAX) {
            let Some(outgoing) = self.call(|c, cx| c.poll_transmit(cx, |_, _, _| ())) else {
                return;
            };
            let bytes = self.pool.bytes(&outgoing.frame);
            let sum =
                checksum::combine(checksum::with_length(3, bytes.len()), checksum::sum(bytes));
            assert_eq!(sum, 0xffff, "checksum");
            let (header, _) = TcpHeader::parse(bytes).expect("what is sent is valid");
            self.watch_edge(&header);
            self.forwarded += u64::from(outgoing.kind == OutgoingKind::Forwarded);
            if device_is_slow {
                self.with_device.push(outgoing.frame);
            } else {
                self.pool.free(outgoing.frame);
            }
        }
        panic!("sending does not come to an end");
    }

    /// What was offered is not taken back.
    fn watch_edge(&mut self, header: &TcpHeader) {
        let open = self.connection.state.is_synchronized();
        if !open || header.flags.contains(Flags::RST) || !header.flags.contains(Flags::ACK) {
            return;
        }
        let shift = if header.flags.contains(Flags::SYN) { 0 } else { self.connection.rcv_scale };
        let edge = header.acknowledgment + (u32::from(header.window) << shift);
        if let Some(before) = self.edge {
            assert!(edge.at_or_after(before), "the right edge moved back");
        }
        self.edge = Some(edge);
    }

    fn finish(mut self) {
        self.call(|connection, cx| connection.release(cx));
        self.with_device.drain(..).for_each(|frame| self.pool.free(frame));
        assert_eq!(self.pool.free_count(), FRAMES, "every frame is home");
        let TcpCounters { queued, coalesced, superseded, discarded, .. } = self.counters;
        assert_eq!(
            queued + self.given,
            self.taken + self.forwarded + coalesced + superseded + discarded,
            "every frame with payload is accounted for: {:?}",
            self.counters
        );
    }
}

impl Connection {
    /// Compares what is kept incrementally with what the queues hold.
    pub(super) fn check(&self, chunks: &ChunkSlab) {
        let (mut frames, mut octets) = (0, 0);
        let mut unsent_reached = false;
        let mut at = self.queue.list.head;
        let mut last = NIL;
        while at != NIL {
            let node = chunks.node(at);
            unsent_reached |= at == self.queue.unsent;
            assert_eq!(node.marks.has(Marks::SENT), !unsent_reached);
            frames += 1;
            octets += node.len();
            last = at;
            at = chunks.next(at);
            if at != NIL {
                assert_eq!(chunks.node(at).seq, chunks.node(last).end(), "no gap");
            }
        }
        assert_eq!(last, self.queue.list.tail);
        assert_eq!((frames, octets), (self.queue.list.frames, self.queue.list.octets));
        self.cold.recovery.check(chunks, &self.queue);
        self.cold.out_of_order.check(chunks);
        if self.state != State::Closed {
            assert!(self.snd_una.at_or_before(self.snd_nxt));
            assert!(self.rcv_acked.at_or_before(self.rcv_nxt));
            assert!(self.rcv_nxt.at_or_before(self.rcv_edge) || !self.state.is_synchronized());
            if last != NIL {
                assert_eq!(chunks.node(last).end(), self.snd_end);
            }
        }
    }
}
