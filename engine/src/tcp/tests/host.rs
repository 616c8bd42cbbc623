//! A connection with its surroundings, for scripts.
//!
//! Numbers are relative as in tcpdump: the peer's SYN is 0 and its first octet 1, ours likewise.
//! What the connection sends reads `"FLAGS SEQ+LEN ack ACK"`, with `sack L-R` where there are
//! reports; flags are S, F, R, P, and A for ACK. Every segment's checksum is verified, and every
//! script ends by checking that all frames are back in the pool.

use std::time::Duration;

use crate::frame::{Frame, FramePool};
use crate::tcp::congestion::Algorithm;
use crate::tcp::{
    Chunk, ChunkSlab, Connection, Context, Disposition, Endpoints, LegSettings, Offer, Outgoing,
    OutgoingKind, TcpCounters,
};
use crate::time::Instant;
use crate::wire::checksum;
use crate::wire::ip::Ecn;
use crate::wire::tcp::{Flags, SeqNum, TcpHeader, TcpOptions, Timestamps};

/// Our initial sequence number and the peer's: both wrap within the first octets.
pub(super) const OUR_ISN: SeqNum = SeqNum(0xffff_fff0);
pub(super) const PEER_ISN: SeqNum = SeqNum(0xffff_ff00);
pub(super) const MSS: u16 = 1000;
const PSEUDO: u16 = 0x1234;

pub(super) struct Host {
    pub(super) pool: FramePool,
    pub(super) chunks: ChunkSlab,
    pub(super) counters: TcpCounters,
    pub(super) now: Instant,
    pub(super) connection: Connection,
    /// Frames that have been polled and not come back from the device.
    pub(super) on_the_way_out: Vec<Frame>,
    /// Whether polled frames stay out, until [`Host::device_completes`].
    pub(super) device_is_slow: bool,
}

/// One segment that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) header: TcpHeader,
    pub(super) payload: Vec<u8>,
    pub(super) kind: OutgoingKind,
    /// Of the IP header.
    pub(super) ecn: Ecn,
}

impl Sent {
    pub(super) fn line(&self) -> String {
        let mut flags = String::new();
        for (bit, name) in
            [(Flags::SYN, 'S'), (Flags::FIN, 'F'), (Flags::RST, 'R'), (Flags::PSH, 'P')]
        {
            if self.header.flags.contains(bit) {
                flags.push(name);
            }
        }
        let seq = self.header.sequence - OUR_ISN;
        let mut line = if self.header.flags.contains(Flags::ACK) {
            let ack = self.header.acknowledgment - PEER_ISN;
            format!("{flags}A {seq}+{} ack {ack}", self.payload.len())
        } else {
            format!("{flags} {seq}+{}", self.payload.len())
        };
        for block in self.header.options.sack.iter() {
            line += &format!(" sack {}-{}", block.left - PEER_ISN, block.right - PEER_ISN);
        }
        line
    }
}

/// NewReno, whose window is easy to follow by hand; no keepalive.
pub(super) fn settings() -> LegSettings {
    LegSettings { congestion: Algorithm::NewReno, receive_room: 65_535, ..LegSettings::default() }
}

pub(super) fn endpoints() -> Endpoints {
    Endpoints {
        local_port: 80,
        remote_port: 40_000,
        pseudo_sum: PSEUDO,
        ts_offset: 0,
        mss: MSS,
        default_mss: 536,
    }
}

/// No options: payload of a full MSS, scripts without timestamps.
pub(super) const PLAIN: Offer = Offer { timestamps: false, sack: false, window_scale: false };
pub(super) const SACK: Offer = Offer { timestamps: false, sack: true, window_scale: false };

pub(super) fn syn(offer: Offer) -> TcpHeader {
    TcpHeader {
        source_port: 40_000,
        destination_port: 80,
        sequence: PEER_ISN,
        flags: Flags::SYN,
        window: 65_535,
        options: TcpOptions {
            mss: Some(MSS),
            window_scale: offer.window_scale.then_some(2),
            sack_permitted: offer.sack,
            timestamps: offer.timestamps.then_some(Timestamps { value: 100, echo_reply: 0 }),
            ..TcpOptions::default()
        },
        ..TcpHeader::default()
    }
}

/// A segment of the peer with ACK, by relative numbers.
pub(super) fn seg(seq: u32, ack: u32) -> TcpHeader {
    TcpHeader {
        source_port: 40_000,
        destination_port: 80,
        sequence: PEER_ISN + seq,
        acknowledgment: OUR_ISN + ack,
        flags: Flags::ACK,
        window: 65_535,
        options: TcpOptions::default(),
    }
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Octets that tell where they belong.
pub(super) fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// A chunk as the receive path of a lane makes it.
pub(super) fn chunk(pool: &mut FramePool, now: Instant, payload: &[u8]) -> Chunk {
    let mut frame = pool.alloc().expect("a script has enough frames");
    pool.push_back(&mut frame, payload.len()).expect("fits").copy_from_slice(payload);
    Chunk { frame, sum: checksum::sum(payload), received_at: now }
}

impl Host {
    pub(super) fn new(connection: Connection, now: Instant) -> Host {
        Host::with_frames(connection, now, 512)
    }

    pub(super) fn with_frames(connection: Connection, now: Instant, frames: usize) -> Host {
        let pool = FramePool::in_memory(frames, 2048);
        let chunks = ChunkSlab::for_pool(&pool);
        Host {
            pool,
            chunks,
            counters: TcpCounters::default(),
            now,
            connection,
            on_the_way_out: Vec::new(),
            device_is_slow: false,
        }
    }

    /// A host in SYN-SENT.
    pub(super) fn connecting(settings: &LegSettings, offer: Offer) -> Host {
        let now = Instant::from_millis(1000);
        Host::new(Connection::connect(settings, endpoints(), offer, OUR_ISN, now), now)
    }

    /// A host in SYN-RECEIVED.
    pub(super) fn accepting(settings: &LegSettings, syn: &TcpHeader) -> Host {
        let now = Instant::from_millis(1000);
        Host::new(Connection::accept(settings, endpoints(), syn, OUR_ISN, now), now)
    }

    /// An established connection that the peer has opened, 10 ms away.
    pub(super) fn established_with(settings: &LegSettings, offer: Offer) -> Host {
        Host::accepting(settings, &syn(offer)).opened()
    }

    /// The same with this many frames, for scripts of a large window.
    pub(super) fn established_large(settings: &LegSettings, offer: Offer, frames: usize) -> Host {
        let now = Instant::from_millis(1000);
        let connection = Connection::accept(settings, endpoints(), &syn(offer), OUR_ISN, now);
        Host::with_frames(connection, now, frames).opened()
    }

    fn opened(self) -> Host {
        let mut host = self;
        host.sent();
        host.now += ms(10);
        host.gets(host.stamped(seg(1, 1)));
        host.sends(&[]);
        host
    }

    pub(super) fn established(offer: Offer) -> Host {
        Host::established_with(&settings(), offer)
    }

    /// Adds timestamps if they are in use.
    pub(super) fn stamped(&self, mut header: TcpHeader) -> TcpHeader {
        if self.connection.options_in_force().timestamps {
            let value = 100 + (self.now.as_millis() - 1000) as u32;
            header.options.timestamps = Some(Timestamps { value, echo_reply: 0 });
        }
        header
    }

    pub(super) fn with<T>(&mut self, f: impl FnOnce(&mut Connection, &mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            now: self.now,
            pool: &mut self.pool,
            chunks: &mut self.chunks,
            counters: &mut self.counters,
        };
        f(&mut self.connection, &mut cx)
    }

    pub(super) fn gets(&mut self, header: TcpHeader) -> Disposition {
        self.gets_payload(header, &[])
    }

    pub(super) fn gets_payload(&mut self, header: TcpHeader, payload: &[u8]) -> Disposition {
        self.gets_packet(header, payload, Ecn::NotCapable)
    }

    /// A segment in an IP packet with this ECN field.
    pub(super) fn gets_packet(
        &mut self,
        header: TcpHeader,
        payload: &[u8],
        ecn: Ecn,
    ) -> Disposition {
        let chunk = (!payload.is_empty()).then(|| chunk(&mut self.pool, self.now, payload));
        let marked = ecn == Ecn::CongestionExperienced;
        self.with(|connection, cx| connection.on_segment(cx, &header, marked, chunk))
    }

    /// The caller queues payload.
    pub(super) fn writes(&mut self, payload: &[u8]) {
        let chunk = chunk(&mut self.pool, self.now, payload);
        self.with(|connection, cx| connection.send(cx, chunk));
    }

    /// The caller takes all there is.
    pub(super) fn reads(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        while let Some(chunk) = self.with(|connection, cx| connection.receive(cx)) {
            let bytes = self.pool.bytes(&chunk.frame);
            assert!(checksum::same(chunk.sum, checksum::sum(bytes)), "the sum of a chunk");
            octets.extend_from_slice(bytes);
            self.pool.free(chunk.frame);
        }
        octets
    }

    pub(super) fn poll_once(&mut self) -> Option<Outgoing> {
        // Lower headers go in front: here four octets that stand for them.
        self.with(|connection, cx| {
            connection.poll_transmit(cx, |pool, frame, ecn| {
                pool.push_front(frame, 4).copy_from_slice(&[b'i', b'p', b'v', ecn as u8]);
            })
        })
    }

    /// Everything that the connection sends now.
    pub(super) fn sent(&mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        while let Some(outgoing) = self.poll_once() {
            let Outgoing { mut frame, kind, payload_len, .. } = outgoing;
            let bytes = self.pool.bytes(&frame);
            assert_eq!(&bytes[..3], b"ipv");
            let ecn = Ecn::from_traffic_class(bytes[3]);
            let segment = &bytes[4..];
            let sum = checksum::with_length(PSEUDO, segment.len());
            let sum = checksum::combine(sum, checksum::sum(segment));
            assert_eq!(sum, 0xffff, "checksum");
            let (header, length) = TcpHeader::parse(segment).expect("a segment");
            let payload = segment[length..].to_vec();
            assert_eq!(payload.len(), payload_len as usize);
            all.push(Sent { header, payload, kind, ecn });
            if self.device_is_slow {
                frame.trim_front(0);
                self.on_the_way_out.push(frame);
            } else {
                self.pool.free(frame);
            }
            assert!(all.len() < 10_000, "the connection never stops sending");
        }
        all
    }

    pub(super) fn device_completes(&mut self) {
        for frame in self.on_the_way_out.drain(..) {
            self.pool.free(frame);
        }
    }

    /// Polls and compares.
    #[track_caller]
    pub(super) fn sends(&mut self, expected: &[&str]) -> Vec<Sent> {
        let sent = self.sent();
        let lines: Vec<String> = sent.iter().map(Sent::line).collect();
        assert_eq!(lines, expected);
        sent
    }

    /// Lets time pass, with every deadline met and polled; returns what was sent and after how long.
    pub(super) fn waits(&mut self, time: Duration) -> Vec<(Duration, Sent)> {
        let start = self.now;
        let end = start + time;
        let mut all = Vec::new();
        for _ in 0..10_000 {
            let deadline = self.connection.deadline();
            if deadline > end {
                self.now = end;
                return all;
            }
            self.now = self.now.max(deadline);
            self.with(|connection, cx| connection.on_deadline(cx));
            let after = self.now - start;
            all.extend(self.sent().into_iter().map(|sent| (after, sent)));
        }
        panic!("the deadline does not move on");
    }

    /// As [`Host::waits`], compared: `("ms", "segment")`.
    #[track_caller]
    pub(super) fn sends_within(&mut self, time: Duration, expected: &[(u64, &str)]) {
        let sent = self.waits(time);
        let lines: Vec<(u64, String)> =
            sent.iter().map(|(at, sent)| (at.as_millis() as u64, sent.line())).collect();
        let expected: Vec<(u64, String)> =
            expected.iter().map(|(at, line)| (*at, line.to_string())).collect();
        assert_eq!(lines, expected);
    }

    /// Frames that are not in the pool.
    pub(super) fn held(&self) -> usize {
        self.pool.held_count()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.on_the_way_out.drain(..).for_each(std::mem::forget);
            return;
        }
        self.device_completes();
        self.with(|connection, cx| connection.release(cx));
        assert_eq!(self.pool.free_count(), self.pool.capacity(), "every frame is home");
    }
}
