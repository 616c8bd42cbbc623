//! A proxied connection as people look at it: both of its legs at one instant.

use std::time::Duration;

use super::{Leg, Pair, Phase, Side};
use crate::flow::FlowKey;
use crate::tcp::{ChunkSlab, TcpView};
use crate::time::Instant;

/// One pair. Plain data.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionView {
    /// Index of the service, and of the origin within it.
    pub service: u16,
    pub origin: u16,
    pub phase: Phase,
    /// Nothing happens on it, and little is kept of it; shown is what it will be when it wakes.
    pub dormant: bool,
    /// Since the client's SYN, or the proof of its cookie.
    pub age: Duration,
    /// Since payload last crossed, or what had crossed was acknowledged.
    pub idle: Duration,
    /// The client's, then the origin's; `None` where there is none, or none any more.
    pub legs: [Option<LegView>; 2],
}

/// One leg of it.
#[derive(Clone, Copy, Debug)]
pub struct LegView {
    pub key: FlowKey,
    pub tcp: TcpView,
    /// Payload sent for the first time, acknowledged, and received in order [octets].
    pub sent_octets: u64,
    pub acknowledged_octets: u64,
    pub received_octets: u64,
    /// Presumed lost, each time that it was [octets].
    pub lost_octets: u64,
    /// Segments sent again, SYN and FIN included [segments].
    pub retransmitted: u32,
    /// Samples that it has given of its path.
    pub samples: u32,
}

impl Pair {
    /// What there is to see of it. `chunks` are the nodes that its queues lie in.
    pub fn view(&self, chunks: &ChunkSlab, now: Instant) -> ConnectionView {
        let leg = |side| self.leg(side).map(|leg| self.leg_view(side, leg, chunks, now));
        ConnectionView {
            service: self.service,
            origin: self.origin,
            phase: self.phase,
            dormant: false,
            age: now.since(self.milestones.opened_at),
            idle: now.since(self.moved_at),
            legs: Side::BOTH.map(leg),
        }
    }

    fn leg_view(&self, side: Side, leg: &Leg, chunks: &ChunkSlab, now: Instant) -> LegView {
        let tcp = leg.tcp.view(chunks, now);
        let greeting = match side {
            Side::Client => 0,
            Side::Origin => u64::from(self.greeting_octets),
        };
        // What crosses to a leg is in its queue until it is acknowledged.
        let given = self.crossed_octets[side as usize] + greeting;
        let acknowledged_octets = given.saturating_sub(tcp.queued_octets.into());
        LegView {
            key: leg.key,
            tcp,
            sent_octets: acknowledged_octets + u64::from(tcp.outstanding_octets),
            acknowledged_octets,
            received_octets: self.crossed_octets[side.other() as usize]
                + u64::from(tcp.receivable_octets),
            lost_octets: leg.lost_octets(),
            retransmitted: leg.account.past.retransmitted,
            samples: leg.account.past.samples,
        }
    }
}
