//! What a connection is told at its start.

use std::time::Duration;

use super::congestion::{Algorithm, Parameters, WindowBounds};
use super::ecn::EcnPolicy;
use super::pacing::Pacing;
use crate::limits::{IPV4_MTU_MIN, IPV6_MTU_MIN, WINDOW_SCALE_MAX, WINDOW_UNSCALED_MAX};
use crate::wire::tcp::{SeqNum, TcpHeader};

/// How one leg behaves: the same for all connections of a service's client or origin side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegSettings {
    pub congestion: Algorithm,
    /// RFC 3168.
    pub ecn: EcnPolicy,
    /// Whether clients may bring their request with the SYN (RFC 7413). Of a client's leg.
    pub fast_open: bool,
    /// RFC 6928 [segments].
    pub initial_window_segments: u16,
    /// Between which sizes the congestion window stays.
    pub window_bounds: WindowBounds,
    pub pacing: Pacing,
    /// What the peer is offered at most [octets]; decides the window scale. What it is offered at
    /// first, and when it has shown that it makes use of more, is in `autotune.rs`.
    pub receive_room: u32,
    pub mtu_probing: MtuProbing,
    pub keepalive: Option<Keepalive>,
    /// How long what was sent, or waits for a window, may go without any of it being acknowledged
    /// (the user timeout of RFC 9293 §3.8.3). No option tells the peer of it (RFC 5482).
    pub user_timeout: Option<Duration>,
    /// How often SYN or SYN-ACK is sent again before giving up.
    pub handshake_retries: u8,
    /// How often in a row the retransmission timer may expire (R2 of RFC 9293 §3.8.3).
    pub data_retries: u8,
}

/// When segments larger than those that are known to arrive are tried (RFC 4821).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuProbing {
    /// Never; and none are made smaller because they vanish. ICMP alone counts.
    Off,
    /// After full-sized segments have vanished, and some time after ICMP has named a limit.
    Auto,
    /// From the start: first segments are small.
    On,
}

/// RFC 9293 §3.8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence after which the peer is probed.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes after which the connection is given up.
    pub probes: u8,
}

/// Who talks to whom, as far as a TCP header and its checksum need to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub local_port: u16,
    pub remote_port: u16,
    /// Ones' complement sum of both addresses and the protocol number, folded: the checksum's
    /// pseudo-header without the length.
    pub pseudo_sum: u16,
    /// Added to the timestamps that we send, so that they tell nothing of other connections
    /// (RFC 7323 §5.4).
    pub ts_offset: u32,
    /// The MSS to offer, and the most to send: what the path's MTU leaves after IP and TCP headers
    /// without options (RFC 9293 §3.7.1) [octets].
    pub mss: u16,
    /// What to send at most to a peer that offers no MSS: 536 over IPv4, 1220 over IPv6
    /// (RFC 9293 §3.7.1) [octets].
    pub default_mss: u16,
}

/// The version of IP under a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// What a packet of `mtu` octets leaves for a segment's payload without options (RFC 9293
/// §3.7.1), at least what every path must carry (RFC 791 §3.1, RFC 8200 §5) [octets].
pub fn mss_within(mtu: u16, family: Family) -> u16 {
    match family {
        Family::V4 => mtu.max(IPV4_MTU_MIN) - 40,
        Family::V6 => mtu.max(IPV6_MTU_MIN) - 60,
    }
}

/// Options to offer in a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub timestamps: bool,
    pub sack: bool,
    pub window_scale: bool,
}

impl Offer {
    /// Everything we know.
    pub const ALL: Offer = Offer { timestamps: true, sack: true, window_scale: true };

    /// What a client's SYN offers. Offering the same to the origin makes the headers of both legs
    /// equally long, so that a full segment of one fits the other.
    pub fn of(syn: &TcpHeader) -> Offer {
        Offer {
            timestamps: syn.options.timestamps.is_some(),
            sack: syn.options.sack_permitted,
            window_scale: syn.options.window_scale.is_some(),
        }
    }
}

impl LegSettings {
    /// What a congestion controller for a leg like this is made from. The initial sequence number
    /// is as good as random.
    pub(super) fn parameters(&self, mss: u16, isn: SeqNum) -> Parameters {
        Parameters {
            algorithm: self.congestion,
            mss,
            initial_window_segments: self.initial_window_segments.into(),
            bounds: self.window_bounds,
            paced: self.pacing == Pacing::On,
            seed: isn.0,
        }
    }

    /// What a SYN or SYN-ACK offers, unscaled [octets].
    pub fn initial_window(&self) -> u16 {
        self.receive_room.min(WINDOW_UNSCALED_MAX) as u16
    }

    /// The smallest shift by which the whole of `receive_room` can be offered (RFC 7323 §2.2).
    pub fn window_scale(&self) -> u8 {
        (0..WINDOW_SCALE_MAX)
            .find(|shift| self.receive_room >> shift <= WINDOW_UNSCALED_MAX)
            .unwrap_or(WINDOW_SCALE_MAX)
    }
}

impl Default for LegSettings {
    /// What Linux does, where it has an opinion.
    fn default() -> Self {
        LegSettings {
            congestion: Algorithm::Cubic,
            ecn: EcnPolicy::Accept,
            fast_open: false,
            initial_window_segments: 10, // RFC 6928
            window_bounds: WindowBounds::default(),
            pacing: Pacing::Auto,
            receive_room: 16_000_000,
            mtu_probing: MtuProbing::Auto,
            keepalive: None,
            user_timeout: None,
            handshake_retries: 5,
            data_retries: 15,
        }
    }
}
