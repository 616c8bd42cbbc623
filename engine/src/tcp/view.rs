//! A connection as people look at it: figures that are copied out, and decide nothing.

use std::time::Duration;

use super::chunks::{ChunkSlab, NIL};
use super::congestion::{CongestionControl, CongestionPhase, Rate};
use super::delivery_rate::LatestRate;
use super::{Connection, State};
use crate::time::Instant;

/// One TCP connection at one instant. Plain data.
#[derive(Clone, Copy, Debug)]
pub struct TcpView {
    pub state: State,
    pub congestion: CongestionView,
    pub round_trip: RoundTripView,
    /// Most payload per segment that we send, without options [octets].
    pub mss: u16,
    /// The same with options: what peer and path take [octets].
    pub path_mss: u16,
    pub agreed: AgreedView,
    /// What the peer takes, and what it was offered and may still send [octets].
    pub send_window_octets: u32,
    pub receive_window_octets: u32,
    /// Payload that is queued to be sent or acknowledged; the part that has been sent; what holds it
    /// [octets, octets, frames].
    pub queued_octets: u32,
    pub outstanding_octets: u32,
    pub queued_frames: u32,
    /// Payload in order that nobody has taken yet [octets].
    pub receivable_octets: u32,
    /// Frames that hold what has arrived, in order and behind gaps [frames].
    pub received_frames: u32,
    /// The path was seen to change the order of segments.
    pub reordering_seen: bool,
    pub limited_by: Limit,
    pub timers: TimersView,
    /// Since anything acceptable arrived, and since payload last left.
    pub since_received: Duration,
    pub since_sent: Duration,
}

/// How fast it may send.
#[derive(Clone, Copy, Debug)]
pub struct CongestionView {
    /// As in the configuration.
    pub algorithm: &'static str,
    pub phase: CongestionPhase,
    pub window_octets: u32,
    /// `None` as long as nothing has set it.
    pub ssthresh_octets: Option<u32>,
    /// By the scoreboard's account.
    pub in_flight_octets: u32,
    /// `None` does not pace.
    pub pacing_rate: Option<Rate>,
    /// As measured last; `None` before the first.
    pub delivery_rate: Option<LatestRate>,
}

/// How long a round trip takes, and what follows from it.
#[derive(Clone, Copy, Debug)]
pub struct RoundTripView {
    /// `None` before the first sample; so the next two.
    pub smoothed: Option<Duration>,
    pub variation: Option<Duration>,
    pub shortest: Option<Duration>,
    /// The retransmission timeout, backing off included.
    pub timeout: Duration,
    /// Timeouts, or probes of a shut window, in a row.
    pub retries: u8,
}

/// What both ends have agreed on.
#[derive(Clone, Copy, Debug)]
pub struct AgreedView {
    /// Of the peer's windows and of ours; `None` without scaling.
    pub window_scales: Option<(u8, u8)>,
    pub sack: bool,
    pub timestamps: bool,
    pub ecn: bool,
}

/// What keeps a connection from sending more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// The handshake is not over, or the connection is.
    State,
    /// There is nothing more to send.
    Application,
    ReceiveWindow,
    CongestionWindow,
    Pacing,
    /// There is no free frame, or the one to be sent is still on its way out.
    Frames,
    /// Our own device, which has had no room.
    Device,
}

/// What is due by itself, and in how long.
#[derive(Clone, Copy, Debug)]
pub struct TimersView {
    /// Retransmission; persist, with nothing outstanding; the end of TIME-WAIT.
    pub retransmission: Option<Duration>,
    pub delayed_ack: Option<Duration>,
    /// RACK's reordering timer, or the tail loss probe.
    pub recovery: Option<Duration>,
    pub pacing: Option<Duration>,
    pub keepalive: Option<Duration>,
}

impl Limit {
    pub const ALL: [Limit; 7] = [
        Limit::State,
        Limit::Application,
        Limit::ReceiveWindow,
        Limit::CongestionWindow,
        Limit::Pacing,
        Limit::Frames,
        Limit::Device,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Limit::State => "state",
            Limit::Application => "application",
            Limit::ReceiveWindow => "receive_window",
            Limit::CongestionWindow => "congestion_window",
            Limit::Pacing => "pacing",
            Limit::Frames => "frames",
            Limit::Device => "device",
        }
    }
}

impl Connection {
    /// What there is to see of it. `chunks` are the nodes that its queues lie in.
    pub fn view(&self, chunks: &ChunkSlab, now: Instant) -> TcpView {
        let cold = &self.cold;
        let list = &self.queue.list;
        TcpView {
            state: self.state,
            congestion: self.congestion_view(),
            round_trip: RoundTripView {
                smoothed: cold.rtt.srtt(),
                variation: cold.rtt.rttvar(),
                shortest: cold.rtt.min_rtt(),
                timeout: cold.rtt.rto().get(),
                retries: cold.retries,
            },
            mss: self.mss,
            path_mss: self.path_mss(),
            agreed: AgreedView {
                window_scales: (self.snd_scale > 0 || self.rcv_scale > 0)
                    .then_some((self.snd_scale, self.rcv_scale)),
                sack: cold.recovery.sack,
                timestamps: self.timestamps,
                ecn: self.ecn.in_force,
            },
            send_window_octets: self.snd_wnd,
            receive_window_octets: self.open_window(),
            queued_octets: list.octets,
            // SYN and FIN have a number each, and are no payload.
            outstanding_octets: (self.snd_nxt - self.snd_una).min(list.octets),
            queued_frames: list.frames,
            receivable_octets: self.received.list.octets,
            received_frames: self.received.list.frames + cold.out_of_order.frames(),
            reordering_seen: cold.recovery.has_seen_reordering(),
            limited_by: self.limit(chunks),
            timers: self.timers_view(now),
            since_received: now.since(self.last_received),
            since_sent: now.since(cold.last_sent),
        }
    }

    /// Payload delivered, cumulatively or selectively, and presumed lost, since it was opened or last
    /// woke [octets].
    pub fn delivery_totals(&self) -> (u64, u64) {
        self.cold.recovery.delivery.totals()
    }

    /// The rate that the path has set, if it has set one since this was last asked.
    pub fn take_path_rate(&mut self) -> Option<Rate> {
        self.cold.recovery.delivery.take_path_rate()
    }

    /// How much round trips vary (RTTVAR); `None` until there is a sample.
    pub fn rttvar(&self) -> Option<Duration> {
        self.cold.rtt.rttvar()
    }

    fn congestion_view(&self) -> CongestionView {
        let controller = &self.cold.controller;
        let ssthresh = controller.ssthresh_octets();
        CongestionView {
            algorithm: controller.name(),
            phase: controller.phase(),
            window_octets: controller.window_octets(),
            ssthresh_octets: (ssthresh < u32::MAX).then_some(ssthresh),
            in_flight_octets: self.in_flight(),
            pacing_rate: self.cold.pacer.rate(),
            delivery_rate: self.cold.recovery.delivery.latest(),
        }
    }

    /// What keeps the next segment, in the order in which sending it would ask.
    fn limit(&self, chunks: &ChunkSlab) -> Limit {
        if !self.state.can_send() {
            return Limit::State;
        }
        let next = self.queue.unsent;
        if next == NIL {
            return Limit::Application;
        }
        let len = chunks.node(next).len().min(u32::from(self.mss));
        let in_flight = self.in_flight();
        if len > self.usable_window() {
            Limit::ReceiveWindow
        } else if in_flight > 0 && in_flight + len > self.send_window() {
            Limit::CongestionWindow
        } else if self.cold.pace_at < Instant::FAR_FUTURE {
            Limit::Pacing
        } else if self.cold.retry_at < Instant::FAR_FUTURE {
            Limit::Frames
        } else {
            Limit::Device
        }
    }

    fn timers_view(&self, now: Instant) -> TimersView {
        let within = |at: Instant| (at < Instant::FAR_FUTURE).then(|| at.since(now));
        TimersView {
            retransmission: within(self.retransmit_at),
            delayed_ack: within(self.ack_at),
            recovery: within(self.cold.recovery.soon_at),
            pacing: within(self.cold.pace_at),
            keepalive: within(self.keepalive_at()),
        }
    }
}
