//! Putting one segment together: header values, the frame, the checksum.

use super::{Outgoing, OutgoingKind};
use crate::frame::{Frame, FramePool};
use crate::limits::OUTPUT_RETRY;
use crate::tcp::chunks::Marks;
use crate::tcp::congestion::{CongestionControl, SendSample};
use crate::tcp::settings::Endpoints;
use crate::tcp::state::State;
use crate::tcp::{Connection, Context};
use crate::time::Instant;
use crate::wire::ip::Ecn;
use crate::wire::tcp::{
    FastOpen, Flags, SeqNum, TcpHeader, TcpOptions, Timestamps, fill_in_checksum,
};

/// RFC 2018 §3: four blocks fit the option space, three beside timestamps.
const SACK_BLOCKS_MAX: usize = 4;
const SACK_BLOCKS_MAX_WITH_TIMESTAMPS: usize = 3;

impl Connection {
    /// A header as every segment but SYN has it, with `flags` and what is to be echoed. Offers the
    /// window, and so moves its edge.
    #[inline]
    pub(super) fn header(&mut self, now: Instant, sequence: SeqNum, flags: Flags) -> TcpHeader {
        let (window, edge) = self.offered().advertise();
        self.rcv_edge = edge;
        TcpHeader {
            source_port: self.local_port,
            destination_port: self.remote_port,
            sequence,
            acknowledgment: self.rcv_nxt,
            flags: flags.with(self.ecn_of_ack()),
            window,
            options: TcpOptions {
                timestamps: self
                    .timestamps
                    .then(|| Timestamps { value: self.clock(now), echo_reply: self.ts_recent }),
                ..TcpOptions::default()
            },
        }
    }

    /// A pure ACK, with reports of what is out of order.
    pub(super) fn acknowledgment_header(&mut self, now: Instant) -> TcpHeader {
        let mut header = self.header(now, self.snd_nxt, Flags::ACK);
        if self.cold.recovery.sack {
            let most =
                if self.timestamps { SACK_BLOCKS_MAX_WITH_TIMESTAMPS } else { SACK_BLOCKS_MAX };
            header.options.sack = self.cold.out_of_order.blocks(most);
        }
        header
    }

    /// SYN in SYN-SENT, SYN-ACK in SYN-RECEIVED; and the edge of the window that it offers.
    pub(super) fn syn_header(&self, now: Instant) -> (TcpHeader, SeqNum) {
        let offer = self.cold.offer;
        let answers = self.state == State::SynReceived;
        let (window, edge) = self.offered_in_syn();
        // What the peer's SYN did not offer is not answered (RFC 7323 §2.2, §3.2; RFC 2018 §2).
        let timestamps = if answers { self.timestamps } else { offer.timestamps };
        let sack_permitted = if answers { self.cold.recovery.sack } else { offer.sack };
        let header = TcpHeader {
            source_port: self.local_port,
            destination_port: self.remote_port,
            sequence: self.snd_una,
            acknowledgment: if answers { self.rcv_nxt } else { SeqNum(0) },
            flags: if answers {
                Flags::SYN.with(Flags::ACK).with(self.ecn_of_syn_ack())
            } else {
                Flags::SYN.with(self.ecn_of_syn())
            },
            window,
            options: TcpOptions {
                mss: Some(self.cold.offered_mss),
                window_scale: offer.window_scale.then_some(self.rcv_scale),
                sack_permitted,
                fast_open: self.cold.fast_open_cookie.map(FastOpen::Cookie),
                timestamps: timestamps.then(|| Timestamps {
                    value: self.clock(now),
                    echo_reply: if answers { self.ts_recent } else { 0 },
                }),
                ..TcpOptions::default()
            },
        };
        (header, edge)
    }

    /// The timestamp clock: milliseconds (RFC 7323 §5.4), from a start of this connection's own.
    #[inline]
    pub(in crate::tcp) fn clock(&self, now: Instant) -> u32 {
        (now.as_millis() as u32).wrapping_add(self.ts_offset)
    }

    /// Sends a segment without payload. An empty pool loses nothing: it is tried again.
    pub(super) fn send_control(
        &mut self,
        cx: &mut Context<'_>,
        header: TcpHeader,
        kind: OutgoingKind,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        let Some(mut frame) = control_frame(cx.pool, self.pseudo_sum, &header) else {
            cx.counters.pool_empty += 1;
            self.cold.retry_at = self.cold.retry_at.min(cx.now + OUTPUT_RETRY);
            return None;
        };
        // RFC 3168 §6.1.1, §6.1.4, §6.1.6: neither handshakes nor pure ACKs nor probes are capable.
        wrap(cx.pool, &mut frame, Ecn::NotCapable);
        Some(Outgoing { frame, kind, received_at: None, payload_len: 0 })
    }

    /// Sends a chunk of the queue, which fits the MSS and is not on its way out: its header is
    /// written in front of the payload in place, and the frame is shared with the device.
    pub(super) fn transmit_chunk(
        &mut self,
        cx: &mut Context<'_>,
        index: u32,
        wrap: impl FnOnce(&mut FramePool, &mut Frame, Ecn),
    ) -> Option<Outgoing> {
        let last = index == self.queue.list.tail;
        let (seq, payload_len) = (cx.chunks.node(index).seq, cx.chunks.node(index).len());
        let first = !cx.chunks.node(index).marks.has(Marks::SENT);
        let (cwr, ecn) = self.ecn_of_payload(cx, first);
        let mut flags = Flags::ACK.with(cwr);
        // FIN rides on the last payload; PSH marks the end of what there is (RFC 9293 §3.9.1.2).
        if last {
            flags = flags.with(Flags::PSH);
            // Not in SYN-RECEIVED, where it would have to be sent again alone.
            if self.fin_queued && self.state.can_send() {
                flags = flags.with(Flags::FIN);
            }
        }
        let header = self.header(cx.now, seq, flags);
        let in_flight = self.in_flight();
        let node = cx.chunks.node_mut(index);
        let sum = node.sum(cx.pool);
        let mut kept = node.take_frame()?;
        write_header(cx.pool, self.pseudo_sum, &header, &mut kept, sum);
        wrap(cx.pool, &mut kept, ecn);
        let frame = cx.pool.share(&kept);
        // What is kept is the payload alone again.
        kept.trim_front(kept.len() - payload_len as usize);
        node.put_frame(kept);

        let copied = node.marks.has(Marks::COPY) || node.marks.has(Marks::COALESCED);
        let kind = if !first {
            OutgoingKind::Retransmitted
        } else if node.marks.has(Marks::COPY) {
            OutgoingKind::Originated
        } else {
            OutgoingKind::Forwarded
        };
        let received_at = (kind == OutgoingKind::Forwarded).then_some(node.received_at);
        node.marks.set(if first { Marks::SENT } else { Marks::AMBIGUOUS });
        node.sent_at = cx.now;
        let delivery = &mut self.cold.recovery.delivery;
        node.sent = delivery.on_send(payload_len, in_flight, cx.now);
        self.cold.controller.on_sent(&SendSample {
            octets: payload_len,
            in_flight_octets: in_flight,
            app_limited: delivery.is_app_limited(),
            now: cx.now,
        });
        if in_flight == 0 {
            // Sending begins again, at a pace of its own.
            self.set_pace();
        }
        self.cold.pacer.on_sent(payload_len, cx.now);

        if first {
            let counter = match copied {
                true => &mut cx.counters.copied_segments,
                false => &mut cx.counters.zero_copy_segments,
            };
            *counter += 1;
            let nothing_outstanding = self.snd_nxt == self.snd_una;
            self.snd_nxt = seq + payload_len;
            self.queue.advance(cx.chunks);
            self.cold.recovery.on_first_sent(cx.chunks, index);
            // RFC 6298 §5.1; the persist timer gives way to it.
            if nothing_outstanding || self.retransmit_at == Instant::FAR_FUTURE {
                self.arm_retransmission(cx.now);
            }
        } else {
            cx.counters.retransmitted += 1;
            self.cold.recovery.on_sent_again(cx.chunks, index, cx.now);
            // The first of all has a whole timeout to be answered in.
            if self.retransmit_at == Instant::FAR_FUTURE || index == self.queue.list.head {
                self.arm_retransmission(cx.now);
            }
        }
        self.cold.recovery.on_sent(payload_len);
        if self.state.can_send() {
            self.arm_probe(cx.now);
        }
        if flags.contains(Flags::FIN) {
            self.note_fin_sent();
        }
        self.cold.last_sent = cx.now;
        self.cold.override_sws = false;
        self.note_acknowledged();
        Some(Outgoing { frame, kind, received_at, payload_len })
    }
}

/// A segment without payload in a fresh frame; `None` if the pool is empty.
pub(in crate::tcp) fn control_frame(
    pool: &mut FramePool,
    pseudo_sum: u16,
    header: &TcpHeader,
) -> Option<Frame> {
    let mut frame = pool.alloc()?;
    write_header(pool, pseudo_sum, header, &mut frame, 0);
    Some(frame)
}

/// The reset that answers a segment which belongs to no connection (RFC 9293 §3.10.7.1), `None`
/// for a reset itself and for want of a frame. `payload_len` is that of the segment.
pub fn reset_in_reply(
    pool: &mut FramePool,
    endpoints: &Endpoints,
    segment: &TcpHeader,
    payload_len: u32,
) -> Option<Outgoing> {
    if segment.flags.contains(Flags::RST) {
        return None;
    }
    let mut header = TcpHeader {
        source_port: endpoints.local_port,
        destination_port: endpoints.remote_port,
        flags: Flags::RST,
        ..TcpHeader::default()
    };
    if segment.flags.contains(Flags::ACK) {
        header.sequence = segment.acknowledgment;
    } else {
        let syn = u32::from(segment.flags.contains(Flags::SYN));
        let fin = u32::from(segment.flags.contains(Flags::FIN));
        header.flags = Flags::RST.with(Flags::ACK);
        header.acknowledgment = segment.sequence + payload_len + syn + fin;
    }
    let frame = control_frame(pool, endpoints.pseudo_sum, &header)?;
    Some(Outgoing { frame, kind: OutgoingKind::Originated, received_at: None, payload_len: 0 })
}

/// Writes the header in front of the window, with a checksum that takes the payload from `sum`:
/// the payload is not read.
#[inline]
fn write_header(
    pool: &mut FramePool,
    pseudo_sum: u16,
    header: &TcpHeader,
    frame: &mut Frame,
    sum: u16,
) {
    let payload_len = frame.len();
    let room = pool.push_front(frame, header.header_len());
    header.emit(room);
    fill_in_checksum(room, pseudo_sum, sum, payload_len);
}
