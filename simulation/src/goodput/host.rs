//! One end of a connection: the engine's [`Connection`], memory of its own, and an application
//! that sends without end or takes whatever arrives.
//!
//! As in the engine's lanes, each segment that arrives is taken in, then the application gets its
//! turn, then the connection is polled until it has nothing more to send. Deadlines are met when a
//! lane's timing wheel would meet them, up to a tick late.
//!
//! Payload is not carried: a segment under way is its header, a length, and the first octets of
//! the payload, in which the source writes the position in the stream. The sink checks what it
//! finds there; so a stream that loses, repeats or moves octets is noticed.

use std::time::Duration;

use ringroad_engine::frame::{Frame, FramePool};
use ringroad_engine::limits::WHEEL_TICK;
use ringroad_engine::tcp::{
    Chunk, ChunkSlab, Connection, Context, Endpoints, LegSettings, Offer, Outgoing, TcpCounters,
    TcpView,
};
use ringroad_engine::time::Instant;
use ringroad_engine::wire::checksum;
use ringroad_engine::wire::ip::Ecn;
use ringroad_engine::wire::tcp::{SeqNum, TcpHeader};

use crate::link::Packet;

/// What a segment can carry without options [octets]: an MTU of 1500 over IPv4.
pub const MSS: u16 = 1460;
/// What a segment carries, timestamps being used [octets].
pub const PAYLOAD: u32 = MSS as u32 - 12;
/// A full segment with its IP header [octets].
pub const PACKET: u32 = 1500;
/// IPv4 without options [octets].
const IP_HEADER: u32 = 20;
/// The beginning of the payload, which is carried.
const STAMP: usize = size_of::<u64>();
/// Payload that the source keeps ready beyond what has been sent [chunks].
const READY: u32 = 128;

/// A segment under way.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub header: TcpHeader,
    pub payload_len: u32,
    /// What IP and TCP add to the payload [octets].
    pub headers_len: u32,
    stamp: [u8; STAMP],
    /// Of its IP header.
    pub ecn: Ecn,
    /// Which connection it belongs to.
    pub flow: u32,
}

impl Packet for Segment {
    fn octets(&self) -> u32 {
        self.payload_len + self.headers_len
    }

    /// Handshakes are spared: how long SYN waits to be sent again would drown everything else.
    fn may_be_lost(&self) -> bool {
        self.payload_len > 0
    }

    fn mark(&mut self) -> bool {
        let capable = self.ecn != Ecn::NotCapable;
        if capable {
            self.ecn = Ecn::CongestionExperienced;
        }
        capable
    }
}

/// What a host is made for.
#[derive(Clone, Copy, Debug)]
pub struct HostSettings {
    pub leg: LegSettings,
    /// Most frames that its queues can need [frames].
    pub frames: usize,
    pub flow: u32,
}

#[derive(Debug)]
enum Application {
    /// Sends without end; what it has written so far [octets].
    Source { written: u64 },
    /// Takes what arrives; how much so far [octets].
    Sink { taken: u64 },
}

/// One end of a connection.
#[derive(Debug)]
pub struct Host {
    pool: FramePool,
    chunks: ChunkSlab,
    counters: TcpCounters,
    connection: Connection,
    application: Application,
    /// The sequence number of the first octet that a source writes.
    first_octet: SeqNum,
    flow: u32,
    receive_room: u32,
    segments_sent: u64,
}

impl Host {
    /// A source that opens its connection at `now`.
    pub fn source(settings: &HostSettings, isn: SeqNum, now: Instant) -> Host {
        let connection = Connection::connect(&settings.leg, endpoints(1), Offer::ALL, isn, now);
        Host::new(settings, connection, Application::Source { written: 0 })
    }

    /// A sink that answers `syn`.
    pub fn sink(settings: &HostSettings, syn: &Segment, isn: SeqNum, now: Instant) -> Host {
        let connection = Connection::accept(&settings.leg, endpoints(2), &syn.header, isn, now);
        Host::new(settings, connection, Application::Sink { taken: 0 })
    }

    fn new(settings: &HostSettings, connection: Connection, application: Application) -> Host {
        let pool = FramePool::in_memory(settings.frames, FRAME);
        Host {
            chunks: ChunkSlab::for_pool(&pool),
            pool,
            counters: TcpCounters::default(),
            first_octet: connection.send_next(),
            connection,
            application,
            flow: settings.flow,
            receive_room: settings.leg.receive_room,
            segments_sent: 0,
        }
    }

    /// Takes in a segment; what it makes the connection send goes to `send`.
    pub fn on_segment(&mut self, now: Instant, segment: &Segment, send: impl FnMut(Segment)) {
        let mut chunk = None;
        if segment.payload_len > 0 {
            chunk = self.received(now, segment);
            if chunk.is_none() {
                return; // Without a frame the device would have dropped it.
            }
        }
        let (connection, mut cx) = self.split(now);
        let ce = segment.ecn == Ecn::CongestionExperienced;
        connection.on_segment(&mut cx, &segment.header, ce, chunk);
        self.progress(now, send);
    }

    /// When [`Host::on_deadline`] wants to be called, by the ticks of a lane's wheel.
    #[inline]
    pub fn deadline(&self) -> Instant {
        match self.connection.deadline() {
            Instant::FAR_FUTURE => Instant::FAR_FUTURE,
            at => Instant::from_nanos(at.as_nanos().div_ceil(TICK_NS) * TICK_NS),
        }
    }

    /// Lets the connection act on its deadline.
    pub fn on_deadline(&mut self, now: Instant, send: impl FnMut(Segment)) {
        let (connection, mut cx) = self.split(now);
        connection.on_deadline(&mut cx);
        self.progress(now, send);
    }

    /// The application's turn, and then the connection's.
    pub fn progress(&mut self, now: Instant, mut send: impl FnMut(Segment)) {
        self.take();
        self.connection.set_receive_room(self.receive_room);
        loop {
            self.write(now);
            let (connection, mut cx) = self.split(now);
            let mut field = Ecn::NotCapable;
            let Some(outgoing) = connection.poll_transmit(&mut cx, |_, _, ecn| field = ecn) else {
                return;
            };
            let segment = self.put_on_the_wire(outgoing, field);
            self.segments_sent += 1;
            send(segment);
        }
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The connection as an operator would see it.
    pub fn view(&self, now: Instant) -> TcpView {
        self.connection.view(&self.chunks, now)
    }

    pub fn counters(&self) -> &TcpCounters {
        &self.counters
    }

    /// Segments that were sent, of all kinds.
    pub fn segments_sent(&self) -> u64 {
        self.segments_sent
    }

    /// What has reached the application in order [octets]; of a source, what it has written.
    pub fn octets(&self) -> u64 {
        match self.application {
            Application::Source { written } => written,
            Application::Sink { taken } => taken,
        }
    }

    /// Ends the connection, and checks that every frame comes home.
    ///
    /// # Panics
    /// If one does not.
    pub fn end(mut self, now: Instant) {
        let (connection, mut cx) = self.split(now);
        connection.release(&mut cx);
        assert_eq!(self.pool.held_count(), 0, "frames that are in no queue");
    }

    fn split(&mut self, now: Instant) -> (&mut Connection, Context<'_>) {
        let cx = Context {
            now,
            pool: &mut self.pool,
            chunks: &mut self.chunks,
            counters: &mut self.counters,
        };
        (&mut self.connection, cx)
    }

    /// Keeps the source ahead of the connection.
    fn write(&mut self, now: Instant) {
        let Application::Source { mut written } = self.application else { return };
        while self.connection.state().takes_payload() {
            let end = self.first_octet + written as u32;
            if end - self.connection.send_next() >= READY * PAYLOAD {
                break;
            }
            let Some(mut frame) = self.pool.alloc() else { break };
            let Some(payload) = self.pool.push_back(&mut frame, PAYLOAD as usize) else {
                self.pool.free(frame);
                break;
            };
            // All behind the stamp is zero, and stays so.
            let stamp = written.to_be_bytes();
            payload[..STAMP].copy_from_slice(&stamp);
            let chunk = Chunk { frame, sum: checksum::sum(&stamp), received_at: now };
            let (connection, mut cx) = self.split(now);
            connection.send(&mut cx, chunk);
            written += u64::from(PAYLOAD);
        }
        self.application = Application::Source { written };
    }

    /// Takes what has arrived in order.
    fn take(&mut self) {
        let Application::Sink { mut taken } = self.application else { return };
        loop {
            let (connection, mut cx) = self.split(Instant::ZERO);
            let Some(chunk) = connection.receive(&mut cx) else { break };
            let octets = self.pool.bytes(&chunk.frame);
            if taken.is_multiple_of(u64::from(PAYLOAD))
                && let Some(stamp) = octets.first_chunk::<STAMP>()
            {
                assert_eq!(u64::from_be_bytes(*stamp), taken, "the stream is out of order");
            }
            taken += octets.len() as u64;
            self.pool.free(chunk.frame);
        }
        self.application = Application::Sink { taken };
    }

    /// The payload of a segment, in a frame of this host.
    fn received(&mut self, now: Instant, segment: &Segment) -> Option<Chunk> {
        let mut frame = self.pool.alloc()?;
        let Some(payload) = self.pool.push_back(&mut frame, segment.payload_len as usize) else {
            self.pool.free(frame);
            return None;
        };
        let carried = payload.len().min(STAMP);
        payload[..carried].copy_from_slice(&segment.stamp[..carried]);
        let sum = checksum::sum(&segment.stamp[..carried]);
        Some(Chunk { frame, sum, received_at: now })
    }

    fn put_on_the_wire(&mut self, outgoing: Outgoing, ecn: Ecn) -> Segment {
        let Outgoing { frame, payload_len, .. } = outgoing;
        let segment = self.read(&frame, payload_len, ecn);
        self.pool.free(frame);
        segment
    }

    fn read(&self, frame: &Frame, payload_len: u32, ecn: Ecn) -> Segment {
        let octets = self.pool.bytes(frame);
        let (header, header_len) =
            TcpHeader::parse(octets).expect("a connection sends what can be parsed");
        let payload = &octets[header_len..];
        let mut stamp = [0; STAMP];
        let carried = payload.len().min(STAMP);
        stamp[..carried].copy_from_slice(&payload[..carried]);
        Segment {
            header,
            payload_len,
            headers_len: IP_HEADER + header_len as u32,
            stamp,
            ecn,
            flow: self.flow,
        }
    }
}

/// Frames of a host [octets].
const FRAME: usize = 2048;

/// A tick of the wheel that lanes keep their deadlines in: a power of two.
const TICK_NS: u64 = 1 << WHEEL_TICK.as_nanos().ilog2();

fn endpoints(side: u16) -> Endpoints {
    Endpoints {
        local_port: side,
        remote_port: 3 - side,
        pseudo_sum: 0,
        ts_offset: 0,
        mss: MSS,
        default_mss: 536,
    }
}

/// Frames that a host's queues need for a flight of so many octets, or as many behind a gap, with
/// what a quarter of the pool is kept free for.
pub fn frames_for(octets: u64) -> usize {
    let frames = octets / u64::from(PAYLOAD) + 4 * u64::from(READY);
    (frames * 3 / 2) as usize + 1024
}

/// What the far end of a path should offer to be no limit to it: enough for a flight of a full
/// path and queue and, while a loss is repaired and repaired again, for what follows it.
pub fn room_for(path_octets: u64, queue_octets: u64) -> u32 {
    let room = 4 * path_octets + 2 * queue_octets;
    room.clamp(256 * 1024, 1 << 30) as u32
}

const _: () = assert!(PACKET == PAYLOAD + 12 + IP_HEADER + 20);
const _: () = assert!(Duration::from_nanos(TICK_NS).as_nanos() <= WHEEL_TICK.as_nanos());

#[cfg(test)]
mod tests;
