//! A connection as it is shown: with names in place of numbers, and in the units that people and
//! scripts expect.

use std::net::SocketAddr;
use std::time::Duration;

use ringroad_engine::proxy::{ConnectionView, LegView, Phase};
use ringroad_engine::tcp::TimersView;
use ringroad_engine::tcp::congestion::Rate;
use ringroad_engine::telemetry::{self, Seen, aged};
use serde::{Deserialize, Serialize};

/// A proxied connection, as one line of `ringroad connections --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Connection {
    pub(crate) service: String,
    /// The thread that has it.
    pub(crate) worker: String,
    /// Whose handshake is not over: client or origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) handshake: Option<String>,
    /// Nothing happens on it, and its memory is others'.
    pub(crate) dormant: bool,
    pub(crate) age_s: f64,
    /// Since payload last crossed.
    pub(crate) idle_s: f64,
    /// Absent where there is none, or none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<Leg>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Leg>,
}

/// One of its two TCP connections. What is not known yet is absent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Leg {
    /// Ours.
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) state: String,
    pub(crate) congestion: String,
    pub(crate) phase: String,
    pub(crate) cwnd_bytes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ssthresh_bytes: Option<u32>,
    pub(crate) in_flight_bytes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rtt_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rttvar_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min_rtt_us: Option<u64>,
    /// Backing off included.
    pub(crate) rto_us: u64,
    /// Timeouts in a row.
    pub(crate) retries: u8,
    pub(crate) mss_bytes: u16,
    pub(crate) pmtu_bytes: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) window_scale: Option<WindowScale>,
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
    pub(crate) ecn: bool,
    /// What the peer takes.
    pub(crate) send_window_bytes: u32,
    /// What it was offered and may still send.
    pub(crate) receive_window_bytes: u32,
    pub(crate) sent_bytes: u64,
    pub(crate) acked_bytes: u64,
    pub(crate) received_bytes: u64,
    pub(crate) retransmitted_segments: u32,
    /// Presumed lost, each time that it was.
    pub(crate) lost_bytes: u64,
    /// The path was seen to change the order of segments.
    pub(crate) reordering: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivery_rate_bps: Option<u64>,
    /// The delivery rate is what the application made of it.
    pub(crate) app_limited: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pacing_rate_bps: Option<u64>,
    /// To be sent or acknowledged.
    pub(crate) queued_bytes: u32,
    pub(crate) queued_frames: u32,
    /// That hold what has arrived.
    pub(crate) received_frames: u32,
    pub(crate) limited_by: String,
    pub(crate) timers_ms: Timers,
    pub(crate) last_received_s: f64,
    pub(crate) last_sent_s: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quality: Option<Quality>,
}

/// Shifts of the windows that the peer offers, and that it is offered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct WindowScale {
    pub(crate) send: u8,
    pub(crate) receive: u8,
}

/// In how long each is due.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retransmission: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delayed_ack: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recovery: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pacing: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keepalive: Option<f64>,
}

/// How good a path is, from 0 to 100, and how far that can be relied on, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Quality {
    pub(crate) score: f64,
    pub(crate) confidence: f64,
    /// What each part alone would leave of 100.
    pub(crate) delay: f64,
    pub(crate) jitter: f64,
    pub(crate) loss: f64,
    pub(crate) bandwidth: f64,
}

impl Connection {
    /// `service` and `worker` by name.
    pub(crate) fn new(view: &ConnectionView, service: &str, worker: &str) -> Self {
        let [client, origin] = view.legs.each_ref().map(|leg| leg.as_ref().map(Leg::new));
        Connection {
            service: service.to_owned(),
            worker: worker.to_owned(),
            handshake: match view.phase {
                Phase::ClientHandshake => Some("client".to_owned()),
                Phase::OriginHandshake => Some("origin".to_owned()),
                Phase::Open => None,
            },
            dormant: view.dormant,
            age_s: view.age.as_secs_f64(),
            idle_s: view.idle.as_secs_f64(),
            client,
            origin,
        }
    }
}

impl Leg {
    fn new(view: &LegView) -> Self {
        let tcp = &view.tcp;
        let congestion = &tcp.congestion;
        let us = |time: Option<Duration>| time.map(|time| time.as_micros() as u64);
        let headers = if view.key.is_ipv4() { IPV4_TCP_OCTETS } else { IPV6_TCP_OCTETS };
        Leg {
            local: view.key.local(),
            remote: view.key.remote(),
            state: tcp.state.name().to_owned(),
            congestion: congestion.algorithm.to_owned(),
            phase: congestion.phase.name().to_owned(),
            cwnd_bytes: congestion.window_octets,
            ssthresh_bytes: congestion.ssthresh_octets,
            in_flight_bytes: congestion.in_flight_octets,
            rtt_us: us(tcp.round_trip.smoothed),
            rttvar_us: us(tcp.round_trip.variation),
            min_rtt_us: us(tcp.round_trip.shortest),
            rto_us: tcp.round_trip.timeout.as_micros() as u64,
            retries: tcp.round_trip.retries,
            mss_bytes: tcp.mss,
            pmtu_bytes: tcp.path_mss + headers,
            window_scale: (tcp.agreed.window_scales)
                .map(|(send, receive)| WindowScale { send, receive }),
            sack: tcp.agreed.sack,
            timestamps: tcp.agreed.timestamps,
            ecn: tcp.agreed.ecn,
            send_window_bytes: tcp.send_window_octets,
            receive_window_bytes: tcp.receive_window_octets,
            sent_bytes: view.sent_octets,
            acked_bytes: view.acknowledged_octets,
            received_bytes: view.received_octets,
            retransmitted_segments: view.retransmitted,
            lost_bytes: view.lost_octets,
            reordering: tcp.reordering_seen,
            delivery_rate_bps: congestion.delivery_rate.map(|latest| bps(latest.rate)),
            app_limited: congestion.delivery_rate.is_some_and(|latest| latest.is_app_limited),
            pacing_rate_bps: congestion.pacing_rate.map(bps),
            queued_bytes: tcp.queued_octets,
            queued_frames: tcp.queued_frames,
            received_frames: tcp.received_frames,
            limited_by: tcp.limited_by.name().to_owned(),
            timers_ms: Timers::new(&tcp.timers),
            last_received_s: tcp.since_received.as_secs_f64(),
            last_sent_s: tcp.since_sent.as_secs_f64(),
            quality: quality_of(view),
        }
    }
}

impl Timers {
    fn new(timers: &TimersView) -> Self {
        let ms = |within: Option<Duration>| within.map(|within| within.as_secs_f64() * 1e3);
        Timers {
            retransmission: ms(timers.retransmission),
            delayed_ack: ms(timers.delayed_ack),
            recovery: ms(timers.recovery),
            pacing: ms(timers.pacing),
            keepalive: ms(timers.keepalive),
        }
    }
}

impl From<telemetry::Quality> for Quality {
    fn from(quality: telemetry::Quality) -> Self {
        let telemetry::Quality { score, delay, jitter, loss, bandwidth, confidence } = quality;
        Quality { score, confidence, delay, jitter, loss, bandwidth }
    }
}

/// A path as this one connection sees it.
fn quality_of(leg: &LegView) -> Option<Quality> {
    let tcp = &leg.tcp;
    let gone = leg.acknowledged_octets + leg.lost_octets;
    let seen = Seen {
        rtt: tcp.round_trip.smoothed?,
        jitter: tcp.round_trip.variation?,
        loss: leg.lost_octets as f64 / gone.max(1) as f64,
        bandwidth: (tcp.congestion.delivery_rate)
            .filter(|latest| !latest.is_app_limited)
            .map(|latest| latest.rate.octets_per_second() as f64),
    };
    let weight = aged(leg.samples.into(), tcp.since_received);
    Some(telemetry::Quality::of(&seen, weight).into())
}

fn bps(rate: Rate) -> u64 {
    rate.octets_per_second().saturating_mul(8)
}

/// Headers without options.
const IPV4_TCP_OCTETS: u16 = 40;
const IPV6_TCP_OCTETS: u16 = 60;
