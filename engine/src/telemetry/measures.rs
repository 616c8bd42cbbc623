//! What is recorded as a histogram, under which name, and in what it is measured.

use super::Ring;
use crate::limits::BURST;

/// One kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// From the look at a port until the worker begins with what was there; behind a core that has
    /// the devices, until it is in the worker's ring. In the turns that are measured.
    RxWait,
    /// In a ring, by kind.
    RingWaitRx,
    RingWaitTx,
    RingWaitHandOver,
    /// What a worker takes for a packet. In the turns that are measured.
    Worker,
    /// From when a packet is ready to be sent until the device has been told of it. In the turns that
    /// are measured.
    TxWait,
    /// Of payload, from the RX burst that brought it to the TX burst that first took it out.
    Inside,
    /// From the client's SYN to the end of its handshake; of one by SYN cookie nothing is known.
    HandshakeClient,
    /// From our SYN to the end of the handshake with the origin.
    HandshakeOrigin,
    /// Smoothed round-trip time of the clients' legs, once a round trip.
    RttClient,
    /// The same of the origins' legs.
    RttOrigin,
    /// From the first payload for an origin to the first from it.
    FirstByte,
    /// From the first segment of a client to the end of both legs.
    Duration,
    /// Packets found at each look at a port that found any.
    Burst,
    /// Packets found at each look into a ring that found any, by kind.
    RingDepthRx,
    RingDepthTx,
    RingDepthHandOver,
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Nanoseconds,
    Packets,
}

impl Measure {
    pub const ALL: [Measure; 17] = [
        Measure::RxWait,
        Measure::RingWaitRx,
        Measure::RingWaitTx,
        Measure::RingWaitHandOver,
        Measure::Worker,
        Measure::TxWait,
        Measure::Inside,
        Measure::HandshakeClient,
        Measure::HandshakeOrigin,
        Measure::RttClient,
        Measure::RttOrigin,
        Measure::FirstByte,
        Measure::Duration,
        Measure::Burst,
        Measure::RingDepthRx,
        Measure::RingDepthTx,
        Measure::RingDepthHandOver,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Measure::RxWait => "rx_wait",
            Measure::RingWaitRx => "ring_wait_rx",
            Measure::RingWaitTx => "ring_wait_tx",
            Measure::RingWaitHandOver => "ring_wait_hand_over",
            Measure::Worker => "worker",
            Measure::TxWait => "tx_wait",
            Measure::Inside => "inside",
            Measure::HandshakeClient => "handshake_client",
            Measure::HandshakeOrigin => "handshake_origin",
            Measure::RttClient => "rtt_client",
            Measure::RttOrigin => "rtt_origin",
            Measure::FirstByte => "first_byte",
            Measure::Duration => "duration",
            Measure::Burst => "burst",
            Measure::RingDepthRx => "ring_depth_rx",
            Measure::RingDepthTx => "ring_depth_tx",
            Measure::RingDepthHandOver => "ring_depth_hand_over",
        }
    }

    pub fn by_name(name: &str) -> Option<Measure> {
        Measure::ALL.into_iter().find(|measure| measure.name() == name)
    }

    /// In a few words.
    pub const fn about(self) -> &'static str {
        match self {
            Measure::RxWait => {
                "wait of packets in the device's ring, and for the worker or its ring"
            }
            Measure::RingWaitRx => "from reception until a worker takes it out of its ring",
            Measure::RingWaitTx => "wait in the ring to the core with the devices",
            Measure::RingWaitHandOver => "from reception until a lane takes it from another",
            Measure::Worker => "time of a worker for a packet",
            Measure::TxWait => "wait of packets that are ready for the device",
            Measure::Inside => "time of payload inside, from the device's RX ring to the TX burst",
            Measure::HandshakeClient => "handshake with a client, but for those by SYN cookie",
            Measure::HandshakeOrigin => "handshake with an origin",
            Measure::RttClient => "smoothed round-trip time to clients",
            Measure::RttOrigin => "smoothed round-trip time to origins",
            Measure::FirstByte => "time to the first byte of an origin",
            Measure::Duration => "duration of a connection",
            Measure::Burst => "packets at a look at a port that found any",
            Measure::RingDepthRx => "packets in the ring to a worker",
            Measure::RingDepthTx => "packets in the ring to the core with the devices",
            Measure::RingDepthHandOver => "packets in the ring from another lane",
        }
    }

    pub const fn unit(self) -> Unit {
        match self {
            Measure::Burst
            | Measure::RingDepthRx
            | Measure::RingDepthTx
            | Measure::RingDepthHandOver => Unit::Packets,
            _ => Unit::Nanoseconds,
        }
    }

    /// What lies above counts as this.
    pub const fn most(self) -> u64 {
        match self {
            Measure::Burst => BURST as u64,
            Measure::RingDepthRx => Ring::Rx.capacity() as u64,
            Measure::RingDepthTx => Ring::Tx.capacity() as u64,
            Measure::RingDepthHandOver => Ring::HandOver.capacity() as u64,
            Measure::Duration => DURATION_NANOS_MAX,
            _ => WAIT_NANOS_MAX,
        }
    }

    /// The wait in a ring.
    pub const fn wait(ring: Ring) -> Measure {
        match ring {
            Ring::Rx => Measure::RingWaitRx,
            Ring::Tx => Measure::RingWaitTx,
            Ring::HandOver => Measure::RingWaitHandOver,
        }
    }

    /// The depth of a ring.
    pub const fn depth(ring: Ring) -> Measure {
        match ring {
            Ring::Rx => Measure::RingDepthRx,
            Ring::Tx => Measure::RingDepthTx,
            Ring::HandOver => Measure::RingDepthHandOver,
        }
    }
}

impl Unit {
    /// Behind a number.
    pub const fn symbol(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::Packets => "packets",
        }
    }
}

/// One minute: nothing that still matters stays or takes longer.
const WAIT_NANOS_MAX: u64 = 60_000_000_000;
/// One week.
const DURATION_NANOS_MAX: u64 = 7 * 24 * 3600 * 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measure_stands_in_its_place_and_is_found_by_its_name() {
        for (place, measure) in Measure::ALL.into_iter().enumerate() {
            assert_eq!(measure as usize, place);
            assert_eq!(Measure::by_name(measure.name()), Some(measure));
        }
        assert_eq!(Measure::by_name("insides"), None);
    }
}
