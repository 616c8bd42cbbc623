//! Arbitrary segments of one stream, in any order and over one another, beside a model that knows
//! only which octets have arrived: for property tests and for fuzzing.
//!
//! A peer may send other octets for the same numbers (it lies): what is delivered must then be
//! one of those that arrived. In the end an honest peer sends what is missing, and all of the
//! stream must come out.

use std::ops::Range;
use std::time::Duration;

use crate::frame::FramePool;
use crate::tcp::receive_queue::frames_max;
use crate::tcp::{
    Chunk, ChunkSlab, Connection, Context, Disposition, DropReason, Endpoints, LegSettings,
    TcpCounters,
};
use crate::time::Instant;
use crate::wire::checksum;
use crate::wire::tcp::{Flags, SackBlock, SeqNum, TcpHeader, TcpOptions};

/// All that the peer ever sends, with FIN behind it [octets].
const STREAM: u32 = 1 << 13;

/// The number before the stream: it wraps in the middle.
const PEER_ISN: SeqNum = SeqNum(u32::MAX - STREAM / 2);
const OUR_ISN: SeqNum = SeqNum(7);

/// Enough to fill every queue; more would only take time.
const SEGMENTS_MAX: u32 = 1000;

const MSS: u32 = 1460;
const WINDOW_MAX: u32 = 65_535;

/// What the connection must know, in the simplest form.
struct Model {
    /// Which versions of each octet have arrived, as bits.
    versions: Vec<u8>,
    /// The first octet that has not arrived, and how many have behind it.
    next: u32,
    behind_gap: u32,
    /// How far the stream was taken.
    taken: u32,
    /// FIN was sent, and may have been believed.
    finished: bool,
    /// An octet of the segment out of order that was queued last.
    newest: Option<u32>,
}

struct Bench<'a> {
    input: std::slice::Iter<'a, u8>,
    pool: FramePool,
    chunks: ChunkSlab,
    counters: TcpCounters,
    connection: Connection,
    now: Instant,
    model: Model,
    /// Segments of the peer so far.
    sent: u32,
}

/// Sends the segments that `input` describes.
///
/// # Panics
/// If the connection and the model disagree, a bound is broken or a frame is lost.
pub fn exercise(input: &[u8]) {
    let mut bench = Bench::new(input);
    while bench.sent < SEGMENTS_MAX
        && let Some(step) = bench.input.next()
    {
        bench.step(*step);
        bench.check();
    }
    bench.complete();
}

impl<'a> Bench<'a> {
    fn new(input: &'a [u8]) -> Bench<'a> {
        let mut input = input.iter();
        let choice = input.next().copied().unwrap_or(0);
        let frames = if choice & 1 != 0 { 48 } else { 640 };
        let mut pool = FramePool::in_memory(frames, 2048);
        pool.add_device_reserve(8);
        let receive_room = [3000, 16_000, WINDOW_MAX, WINDOW_MAX][usize::from(choice >> 1 & 3)];
        let settings = LegSettings { receive_room, ..LegSettings::default() };
        let endpoints = Endpoints { mss: MSS as u16, default_mss: 536, ..Endpoints::default() };
        let now = Instant::from_millis(1);
        let mut options = TcpOptions { mss: Some(MSS as u16), ..TcpOptions::default() };
        options.sack_permitted = choice & 8 == 0;
        let syn = TcpHeader { flags: Flags::SYN, options, ..segment(PEER_ISN) };
        let mut bench = Bench {
            input,
            chunks: ChunkSlab::for_pool(&pool),
            pool,
            counters: TcpCounters::default(),
            connection: Connection::accept(&settings, endpoints, &syn, OUR_ISN, now),
            now,
            model: Model::new(),
            sent: 0,
        };
        bench.poll();
        bench.call(|connection, cx| {
            connection.on_segment(cx, &segment(PEER_ISN + 1), false, None);
        });
        bench
    }

    fn octet(&mut self) -> u32 {
        self.input.next().copied().unwrap_or(0).into()
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
        let version = u32::from(step >> 5);
        match step % 8 {
            0..=3 => {
                let (start, len) = (self.place(), 1 + self.octet() * 6);
                self.arrives(start..start.saturating_add(len), version);
            }
            4 => {
                // A comb: many small segments with gaps as wide as they are.
                let (start, count, width) = (self.place(), self.octet(), 1 + self.octet() % 8);
                for tooth in 0..count {
                    let at = start.saturating_add(2 * width * tooth);
                    self.arrives(at..at.saturating_add(width), version);
                }
            }
            5 => (0..=version).for_each(|_| self.take()),
            6 => self.poll(),
            _ => match version {
                0 => {
                    self.now += Duration::from_millis(50);
                    self.call(|connection, cx| connection.on_deadline(cx));
                }
                _ => {
                    let room = self.octet() * 257;
                    self.connection.set_receive_room(room);
                }
            },
        }
    }

    /// Somewhere in the stream: where it matters most often.
    fn place(&mut self) -> u32 {
        let (kind, value) = (self.octet(), self.octet());
        let next = self.model.next;
        match kind % 8 {
            0 => next,
            1 => next + value,
            2 => next.saturating_sub(value * 8),
            3 => next + value * MSS,
            4 => self.edge_of_run(value),
            5 => self.edge_of_run(kind >> 3).saturating_sub(value),
            6 => self.edge_of_run(kind >> 3) + value,
            _ => kind >> 3 << 8 | value,
        }
    }

    /// Where a run behind the gap begins or ends.
    fn edge_of_run(&self, which: u32) -> u32 {
        let runs = self.runs();
        let run = runs.get(which as usize / 2 % runs.len().max(1));
        run.map_or(self.model.next, |run| if which & 1 == 0 { run.start } else { run.end })
    }

    /// The runs that the connection keeps behind the gap.
    fn runs(&self) -> Vec<Range<u32>> {
        self.connection.cold.out_of_order.runs(&self.chunks).map(|run| octets(&run)).collect()
    }

    /// A segment of this part of the stream; FIN goes with its end.
    fn arrives(&mut self, part: Range<u32>, version: u32) {
        self.sent += 1;
        let part = part.start.min(STREAM)..part.end.min(STREAM);
        let Some(mut frame) = self.pool.alloc() else { return };
        let room = self.pool.push_back(&mut frame, part.len()).expect("a segment fits a frame");
        room.iter_mut().zip(part.clone()).for_each(|(octet, at)| *octet = octet_at(at, version));
        let sum = checksum::sum(self.pool.bytes(&frame));
        let chunk = Chunk { frame, sum, received_at: self.now };
        let mut header = segment(PEER_ISN + 1 + part.start);
        if part.end == STREAM {
            header.flags = header.flags.with(Flags::FIN);
            self.model.finished = true;
        }
        let edge = self.connection.rcv_edge - (PEER_ISN + 1);
        let window = self.model.next..edge.min(STREAM);
        let was_tight = self.pool.is_tight();
        let disposition =
            self.call(|connection, cx| connection.on_segment(cx, &header, false, Some(chunk)));
        match disposition {
            Disposition::Queued => {
                let kept = part.start.max(window.start)..part.end.min(window.end);
                assert!(self.model.arrive(kept, version) > 0, "{part:?} brought nothing new");
            }
            Disposition::Consumed => assert!(part.is_empty()),
            Disposition::Dropped(DropReason::Duplicate) => {
                let within = part.start..part.end.min(window.end);
                assert!(within.clone().all(|at| self.model.has(at)), "{within:?} is new");
            }
            Disposition::Dropped(DropReason::OutsideWindow) => {
                let new = part.start.max(window.start);
                assert!(new >= window.end, "{part:?} has something within {window:?}");
            }
            Disposition::Dropped(DropReason::FramesScarce) => assert!(was_tight),
            Disposition::Dropped(DropReason::QueueFull) => {
                let most = frames_max(edge.saturating_sub(window.start));
                let Connection { received, cold, .. } = &self.connection;
                assert!(received.list.frames >= most || cold.out_of_order.frames() >= most);
            }
            Disposition::Dropped(reason) => panic!("{part:?} is refused: {}", reason.as_str()),
        }
    }

    /// Takes what is next and compares every octet of it.
    fn take(&mut self) {
        let Some(chunk) = self.call(|connection, cx| connection.receive(cx)) else { return };
        let payload = self.pool.bytes(&chunk.frame);
        assert!(checksum::same(checksum::sum(payload), chunk.sum));
        for (octet, at) in payload.iter().zip(self.model.taken..) {
            let version = u32::from(octet ^ octet_at(at, 0));
            assert!(version < u8::BITS, "octet {at} never was on the wire");
            assert!(self.model.versions[at as usize] >> version & 1 == 1, "octet {at}: {version}");
        }
        self.model.taken += payload.len() as u32;
        assert!(self.model.taken <= self.model.next);
        self.pool.free(chunk.frame);
    }

    fn poll(&mut self) {
        while let Some(outgoing) = self.call(|c, cx| c.poll_transmit(cx, |_, _, _| ())) {
            let (header, _) = TcpHeader::parse(self.pool.bytes(&outgoing.frame)).expect("valid");
            self.pool.free(outgoing.frame);
            assert_eq!(header.acknowledgment, self.connection.rcv_nxt);
            if !header.flags.contains(Flags::SYN) {
                self.check_reports(&header);
            }
        }
    }

    /// Selective acknowledgments say what is true, and the first one what is new (RFC 2018 §4); a
    /// duplicate may be reported before it (RFC 2883 §4).
    fn check_reports(&self, header: &TcpHeader) {
        let reports: Vec<Range<u32>> = header.options.sack.iter().map(|b| octets(&b)).collect();
        for report in &reports {
            assert!(!report.is_empty() && report.clone().all(|at| self.model.has(at)));
        }
        let runs = self.runs();
        assert!(reports.iter().skip(1).all(|report| runs.contains(report)), "{reports:?} {runs:?}");
        if let Some(newest) = self.model.newest
            && self.connection.cold.recovery.sack
        {
            assert!(reports.iter().take(2).any(|report| report.contains(&newest)), "{reports:?}");
        }
    }

    /// What is cheap enough to be compared after each step.
    fn check(&self) {
        let Connection { received, cold, .. } = &self.connection;
        self.connection.check(&self.chunks);
        let finished = u32::from(self.connection.state.peer_finished());
        assert!(finished == 0 || self.model.finished && self.model.next == STREAM);
        assert_eq!(self.connection.rcv_nxt, PEER_ISN + 1 + self.model.next + finished);
        assert_eq!(self.connection.receivable_octets(), self.model.next - self.model.taken);
        let runs = self.runs();
        let mut behind_gap = 0;
        for run in &runs {
            assert!(run.start > self.model.next && !self.model.has(run.start - 1));
            assert!(run.end == STREAM || !self.model.has(run.end));
            behind_gap += run.len() as u32;
        }
        assert_eq!(behind_gap, self.model.behind_gap);
        let held = received.list.frames + cold.out_of_order.frames();
        assert_eq!(self.pool.held_count(), held as usize);
        assert!(cold.out_of_order.frames() <= frames_max(WINDOW_MAX));
        assert!(runs.len() <= cold.out_of_order.frames() as usize);
    }

    /// An honest peer sends all that is missing, from the front.
    fn complete(mut self) {
        for run in self.runs() {
            assert!(run.into_iter().all(|at| self.model.has(at)));
        }
        while self.model.taken < STREAM || !self.connection.state.peer_finished() {
            let before = (self.model.taken, self.connection.rcv_edge);
            while self.connection.receivable_octets() > 0 {
                self.take();
            }
            self.connection.set_receive_room(WINDOW_MAX);
            self.poll();
            let next = self.model.next;
            let edge = self.connection.rcv_edge - (PEER_ISN + 1);
            self.arrives(next..edge.min(next + MSS), 0);
            self.take();
            let after = (self.model.taken, self.connection.rcv_edge);
            let finished = self.connection.state.peer_finished();
            assert!(finished || before != after, "nothing moves");
        }
        self.call(|connection, cx| connection.release(cx));
        assert_eq!(self.pool.held_count(), 0, "every frame is home");
        let TcpCounters { queued, coalesced, superseded, discarded, .. } = self.counters;
        assert!(queued >= coalesced + superseded + discarded);
    }
}

impl Model {
    fn new() -> Model {
        Model {
            versions: vec![0; STREAM as usize],
            next: 0,
            behind_gap: 0,
            taken: 0,
            finished: false,
            newest: None,
        }
    }

    fn has(&self, at: u32) -> bool {
        // FIN has a number as well.
        self.versions.get(at as usize).is_none_or(|versions| *versions != 0)
    }

    /// Notes what was kept, and tells how much of it is new.
    fn arrive(&mut self, part: Range<u32>, version: u32) -> u32 {
        let mut new = 0;
        self.newest = Some(part.start);
        for at in part {
            let versions = &mut self.versions[at as usize];
            new += u32::from(*versions == 0);
            *versions |= 1 << version;
        }
        self.behind_gap += new;
        while self.next < STREAM && self.has(self.next) {
            self.next += 1;
            self.behind_gap -= 1;
        }
        self.newest = self.newest.filter(|at| *at > self.next);
        new
    }
}

/// The octet of the stream at `at`, in one of eight versions.
fn octet_at(at: u32, version: u32) -> u8 {
    (at * 31 + at / 251) as u8 ^ version as u8
}

/// Which of the stream's octets a block names.
fn octets(block: &SackBlock) -> Range<u32> {
    block.left - (PEER_ISN + 1)..block.right - (PEER_ISN + 1)
}

/// A segment of the peer.
fn segment(sequence: SeqNum) -> TcpHeader {
    TcpHeader {
        sequence,
        acknowledgment: OUR_ISN + 1,
        flags: Flags::ACK,
        window: u16::MAX,
        ..TcpHeader::default()
    }
}
