//! What a network is made from: plain data, so that a case can be printed, compared and shrunk.
//!
//! Times of schedules count from the first packet that the network carries. The default of every
//! setting is a network that does nothing but pass on.

use std::time::Duration;

use super::middlebox::Middlebox;
use crate::link::Loss;

/// One network between the appliance and some hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSettings {
    pub name: String,
    /// From the hosts to the appliance.
    pub up: PathSettings,
    pub down: PathSettings,
    /// The largest IP packet that it takes; larger ones are dropped at the hosts' end. At least
    /// 1280 for IPv6, where what is smaller fragments below IP (RFC 8200 §5) [octets].
    pub mtu: u16,
    /// The appliance does not hear of what was larger. Hosts never do: theirs must be small enough,
    /// by their own settings or by [`Middlebox::ClampMss`].
    pub filters_icmp: bool,
    pub flapping: Option<Flapping>,
    pub black_hole: Option<BlackHole>,
    /// In the hosts' end of the network, the first nearest to the hosts.
    pub middleboxes: Vec<Middlebox>,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        NetworkSettings {
            name: String::new(),
            up: PathSettings::default(),
            down: PathSettings::default(),
            mtu: 1500,
            filters_icmp: false,
            flapping: None,
            black_hole: None,
            middleboxes: Vec::new(),
        }
    }
}

/// One direction. What meets a packet, in this order: the queue, which may drop or mark it; loss;
/// duplication; and each copy by itself damage, the delay, jitter and lateness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSettings {
    /// Of whole IP packets; zero for a path without a queue, which takes no time to send.
    pub rate_bps: u64,
    /// What waits at most, the packet being sent included [octets].
    pub queue_octets: u64,
    /// What must wait for an ECN-capable packet to be marked (RFC 3168 §5) [octets].
    pub mark_octets: Option<u64>,
    pub delay: Duration,
    /// Up to this much longer, each packet by its own chance; none overtakes another.
    pub jitter: Duration,
    pub reordering: Reordering,
    pub loss: Loss,
    /// Packets that arrive twice.
    pub duplicate_ppm: u32,
    /// Packets that are damaged behind the Ethernet header, where a checksum shows it: one bit, or
    /// some of fifteen in a row, which the Internet checksum never misses.
    pub corrupt_ppm: u32,
}

/// Packets that are late by so much, so that others may overtake them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reordering {
    pub ppm: u32,
    pub late_by: Duration,
}

/// The network goes and comes, and takes no packet meanwhile. Each time is by chance between half
/// as long and half as long again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    pub up_for: Duration,
    pub down_for: Duration,
}

/// The network takes packets for a while and does not deliver them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlackHole {
    pub from: Duration,
    pub to: Duration,
    pub swallows: Swallows,
}

/// What a black hole does not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swallows {
    All,
    /// What goes to the appliance.
    Up,
    /// What comes from it.
    Down,
    /// IP packets of more than so many octets.
    Over(u16),
}
