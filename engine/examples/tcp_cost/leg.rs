//! One leg of many flows, as sender and as receiver.

use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use ringroad_engine::frame::{Frame, FramePool};
use ringroad_engine::limits::{BURST, CACHED_PAIRS};
use ringroad_engine::random::Random;
use ringroad_engine::tcp::congestion::Algorithm;
use ringroad_engine::tcp::{
    Chunk, ChunkSlab, Connection, Context, Disposition, Endpoints, LegSettings, TcpCounters,
};
use ringroad_engine::time::Instant;
use ringroad_engine::wire::ip::Ecn;
use ringroad_engine::wire::tcp::{Flags, SackBlock, SeqNum, TcpHeader, TcpOptions, Timestamps};

/// What [`Leg::measure`] measures, in this order.
pub const FIGURES: [&str; 5] = [
    "data segment sent",
    "ACK of two segments",
    "ACK of reordered segments, SACK",
    "data segment received",
    "ACK generated",
];

const PAYLOAD: usize = 1448;
const HEADERS: usize = 54;
const OUR_ISN: SeqNum = SeqNum(1000);
const PEER_ISN: SeqNum = SeqNum(5000);

/// Connections to peers that acknowledge each second segment at once.
pub struct Leg {
    pool: FramePool,
    chunks: ChunkSlab,
    counters: TcpCounters,
    connections: Vec<Connection>,
    /// In which flows take turns: no order that a cache could foresee.
    order: Vec<u32>,
    /// Segments that each flow has under way in a round.
    flight: usize,
    now: Instant,
    /// Payload that all flows have sent, and received [octets].
    sent: u32,
    received: u32,
}

/// What each cost in every burst [ns].
#[derive(Default)]
struct Spent(Vec<f64>);

impl Spent {
    /// One burst of `count`.
    fn add(&mut self, time: Duration, count: usize) {
        self.0.push(time.as_nanos() as f64 / count as f64);
    }

    /// The median of the bursts: those in which the processor did something else do not count.
    fn each(self) -> f64 {
        median(self.0)
    }
}

pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

impl Leg {
    pub fn new(algorithm: Algorithm, flows: usize, flight: usize) -> Leg {
        let now = Instant::from_millis(1000);
        // What is sent and kept, and one burst's outgoing headers of acknowledgments.
        let pool = FramePool::in_memory(flows * flight + 4 * BURST, 2048);
        let settings = LegSettings {
            congestion: algorithm,
            initial_window_segments: 4 * flight as u16,
            ..LegSettings::default()
        };
        let mut leg = Leg {
            chunks: ChunkSlab::for_pool(&pool),
            pool,
            counters: TcpCounters::default(),
            connections: Vec::with_capacity(flows),
            order: (0..flows as u32).collect(),
            flight,
            now,
            sent: 0,
            received: 0,
        };
        for _ in 0..flows {
            let endpoints = Endpoints {
                local_port: 80,
                remote_port: 40_000,
                pseudo_sum: 0x1234,
                ts_offset: 0,
                mss: 1460,
                default_mss: 536,
            };
            let options = TcpOptions {
                mss: Some(1460),
                window_scale: Some(7),
                sack_permitted: true,
                timestamps: Some(Timestamps { value: 1000, echo_reply: 0 }),
                ..TcpOptions::default()
            };
            let syn = TcpHeader { sequence: PEER_ISN, flags: Flags::SYN, options, ..leg.header(0) };
            leg.connections.push(Connection::accept(&settings, endpoints, &syn, OUR_ISN, now));
        }
        let mut random = Random::new(1);
        for last in (1..flows).rev() {
            leg.order.swap(last, random.below(last as u64 + 1) as usize);
        }
        for flow in 0..flows {
            let mut syn_ack = None;
            leg.poll(flow, |frame| syn_ack = Some(frame));
            syn_ack.into_iter().for_each(|frame| leg.pool.free(frame));
            let header = leg.header(0);
            leg.take(flow, &header, None);
        }
        leg
    }

    /// Medians of `runs` [ns each], as [`FIGURES`] names them.
    pub fn measure(&mut self, runs: usize) -> [f64; FIGURES.len()] {
        // About as many segments in each run, however many flows.
        let rounds = (400_000 / (self.connections.len() * self.flight)).max(2);
        let mut samples: [Vec<f64>; FIGURES.len()] = Default::default();
        for run in 0..=runs {
            let mut spent: [Spent; FIGURES.len()] = Default::default();
            let [sent, acked, sacked, received, answered] = &mut spent;
            for _ in 0..rounds {
                self.send_round(sent, acked, false);
                self.send_round(&mut Spent::default(), sacked, true);
                self.receive_round(received, answered);
            }
            if run > 0 {
                // The first warms up.
                samples.iter_mut().zip(spent).for_each(|(all, spent)| all.push(spent.each()));
            }
        }
        samples.map(median)
    }

    /// Every flow sends its flight, and has it acknowledged: each second segment, or, if they were
    /// reordered, each second one selectively and then both.
    fn send_round(&mut self, sent: &mut Spent, acked: &mut Spent, reordered: bool) {
        for turn in 0..self.connections.len() {
            let flow = self.flow(turn);
            for _ in 0..self.flight {
                let chunk = self.chunk();
                let (connection, mut cx) = self.parts(flow);
                connection.send(&mut cx, chunk);
            }
        }
        self.pass_of_time(Duration::from_millis(9));
        let mut out: Vec<Frame> = Vec::with_capacity(BURST * self.flight);
        for burst in self.bursts() {
            let start = Clock::now();
            self.look_ahead(burst.clone());
            for turn in burst {
                let flow = self.flow(turn);
                for _ in 0..self.flight {
                    self.poll(flow, |frame| out.push(frame));
                }
            }
            sent.add(start.elapsed(), out.len());
            out.drain(..).for_each(|frame| self.pool.free(frame));
        }
        self.pass_of_time(Duration::from_millis(1));
        let mut headers = Vec::new();
        for pair in 1..=self.flight as u32 / 2 {
            let end = self.sent + 2 * pair * PAYLOAD as u32;
            if reordered {
                let right = OUR_ISN + 1 + end;
                let left = OUR_ISN + 1 + (end - PAYLOAD as u32);
                let mut header = self.header(end - 2 * PAYLOAD as u32);
                header.options.sack.push(SackBlock { left, right });
                headers.push(header);
            }
            headers.push(self.header(end));
        }
        for burst in self.bursts() {
            let start = Clock::now();
            self.look_ahead(burst.clone());
            for turn in burst.clone() {
                let flow = self.flow(turn);
                for header in &headers {
                    black_box(self.take(flow, header, None));
                }
            }
            acked.add(start.elapsed(), burst.len() * headers.len());
        }
        self.sent += (self.flight * PAYLOAD) as u32;
        let queued: u32 = self.connections.iter().map(Connection::queued_octets).sum();
        assert_eq!(queued, 0, "all was sent and acknowledged");
    }

    /// Every flow receives two segments, which are taken and acknowledged.
    fn receive_round(&mut self, received: &mut Spent, answered: &mut Spent) {
        self.pass_of_time(Duration::from_millis(10));
        let mut arrived: Vec<Chunk> = Vec::with_capacity(2 * BURST);
        let headers = [0, 1].map(|segment| {
            let mut header = self.header(0);
            header.acknowledgment = OUR_ISN + 1 + self.sent;
            header.sequence = PEER_ISN + 1 + self.received + segment * PAYLOAD as u32;
            header
        });
        let mut out: Vec<Frame> = Vec::with_capacity(BURST);
        for burst in self.bursts() {
            for _ in 0..2 * burst.len() {
                let chunk = self.chunk();
                arrived.push(chunk);
            }
            let mut taken: Vec<Chunk> = Vec::with_capacity(2 * BURST);
            let start = Clock::now();
            self.look_ahead(burst.clone());
            for turn in burst.clone() {
                let flow = self.flow(turn);
                for header in &headers {
                    let chunk = arrived.pop();
                    black_box(self.take(flow, header, chunk));
                }
            }
            for turn in burst.clone() {
                let flow = self.flow(turn);
                let (connection, mut cx) = self.parts(flow);
                while let Some(chunk) = connection.receive(&mut cx) {
                    taken.push(chunk);
                }
                connection.set_receive_room(256 * 1024);
            }
            received.add(start.elapsed(), taken.len());
            taken.drain(..).for_each(|chunk| self.pool.free(chunk.frame));
            let start = Clock::now();
            for turn in burst {
                let flow = self.flow(turn);
                self.poll(flow, |frame| out.push(frame));
            }
            answered.add(start.elapsed(), out.len());
            out.drain(..).for_each(|frame| self.pool.free(frame));
        }
        self.received += 2 * PAYLOAD as u32;
    }

    /// As a worker does with more flows than its cache holds.
    fn look_ahead(&self, burst: std::ops::Range<usize>) {
        if self.connections.len() <= CACHED_PAIRS {
            return;
        }
        for turn in burst.clone() {
            self.connections[self.flow(turn)].prefetch();
        }
        for turn in burst {
            self.connections[self.flow(turn)].prefetch_queue(&self.chunks, &self.pool);
        }
    }

    fn flow(&self, turn: usize) -> usize {
        self.order[turn] as usize
    }

    fn bursts(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let flows = self.connections.len();
        (0..flows).step_by(BURST).map(move |from| from..(from + BURST).min(flows))
    }

    /// A frame with a segment's payload, as it is when its headers have been read.
    fn chunk(&mut self) -> Chunk {
        let mut frame = self.pool.alloc().expect("frames for all flows");
        let _ = self.pool.push_back(&mut frame, HEADERS + PAYLOAD).expect("room for a segment");
        frame.trim_front(HEADERS);
        Chunk { frame, sum: 0, received_at: self.now }
    }

    /// An ACK of what is `acked` octets behind our first.
    fn header(&self, acked: u32) -> TcpHeader {
        let millis = self.now.as_millis() as u32;
        TcpHeader {
            source_port: 40_000,
            destination_port: 80,
            sequence: PEER_ISN + 1 + self.received,
            acknowledgment: OUR_ISN + 1 + acked,
            flags: Flags::ACK,
            window: 60_000,
            options: TcpOptions {
                timestamps: Some(Timestamps { value: millis, echo_reply: millis }),
                ..TcpOptions::default()
            },
        }
    }

    fn parts(&mut self, flow: usize) -> (&mut Connection, Context<'_>) {
        let cx = Context {
            now: self.now,
            pool: &mut self.pool,
            chunks: &mut self.chunks,
            counters: &mut self.counters,
        };
        (&mut self.connections[flow], cx)
    }

    fn take(&mut self, flow: usize, header: &TcpHeader, chunk: Option<Chunk>) -> Disposition {
        let (connection, mut cx) = self.parts(flow);
        connection.on_segment(&mut cx, header, false, chunk)
    }

    /// Has a segment written, with room for lower headers, and hands it over.
    fn poll(&mut self, flow: usize, sink: impl FnOnce(Frame)) {
        let (connection, mut cx) = self.parts(flow);
        let wrap = |pool: &mut FramePool, frame: &mut Frame, _: Ecn| {
            black_box(pool.push_front(frame, 34));
        };
        if let Some(outgoing) = connection.poll_transmit(&mut cx, wrap) {
            sink(outgoing.frame);
        }
    }

    fn pass_of_time(&mut self, time: Duration) {
        self.now += time;
    }
}
