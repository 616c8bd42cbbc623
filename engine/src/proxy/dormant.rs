//! A pair asleep: two quiet connections, and the way their segments took.

use super::{
    ConnectionView, Leg, LegAccount, LegPast, LegPath, LinkPath, Milestones, Pair, Phase,
    ServiceSettings,
};
use crate::flow::FlowKey;
use crate::tcp::{Asleep, ChunkSlab, Connection, LegSettings};
use crate::time::Instant;

/// What is kept of a pair on which nothing happens. Plain data; holds no frames.
///
/// It has every right that a pair has: its flows, its source port, its place among the service's
/// connections. Only the memory of what it might do next is given to others.
#[derive(Debug)]
pub struct DormantPair {
    pub service: u16,
    pub legs: [DormantLeg; 2],
    origin: u16,
    tries: u16,
    came_by: LinkPath,
    moved_at: Instant,
    crossed_octets: [u64; 2],
    greeting_octets: u8,
    milestones: Milestones,
}

/// What is kept of a leg. The headers in front of its segments are built anew when it wakes.
#[derive(Debug)]
pub struct DormantLeg {
    pub key: FlowKey,
    tcp: Asleep,
    port: u8,
    path: LinkPath,
    routes_generation: u64,
    past: LegPast,
}

impl Pair {
    /// What to keep of the pair in its place, if it is wholly quiet: open, both legs with nothing
    /// under way, and nothing waiting for it.
    pub fn sleep(&self, now: Instant) -> Option<DormantPair> {
        let [Some(client), Some(origin)] = &self.legs else { return None };
        if self.phase != Phase::Open || self.queued {
            return None;
        }
        Some(DormantPair {
            service: self.service,
            legs: [client.sleep(now)?, origin.sleep(now)?],
            origin: self.origin,
            tries: self.tries,
            came_by: self.came_by,
            moved_at: self.moved_at,
            crossed_octets: self.crossed_octets,
            greeting_octets: self.greeting_octets,
            milestones: self.milestones,
        })
    }
}

impl Leg {
    fn sleep(&self, now: Instant) -> Option<DormantLeg> {
        let LegPath::Known(envelope) = &self.path else { return None };
        Some(DormantLeg {
            key: self.key,
            tcp: self.tcp.sleep(now)?,
            port: self.port,
            path: *envelope.path(),
            routes_generation: self.routes_generation,
            past: self.account.past,
        })
    }
}

impl DormantPair {
    /// The pair, as if it had never slept. Routes that have changed meanwhile are taken over when
    /// something is sent, as always.
    pub fn wake(&self, settings: &ServiceSettings, now: Instant) -> Pair {
        let [client, origin] = &self.legs;
        Pair {
            service: self.service,
            origin: self.origin,
            tries: self.tries,
            phase: Phase::Open,
            queued: false,
            fast_open_pending: false,
            legs: [
                Some(client.wake(&settings.client_leg, now)),
                Some(origin.wake(&settings.origin_leg, now)),
            ],
            came_by: self.came_by,
            awake_since: now,
            crossed_octets: self.crossed_octets,
            greeting_octets: self.greeting_octets,
            sample_at: now,
            moved_at: self.moved_at,
            stirred_at: now,
            queued_octets: 0,
            armed: Instant::FAR_FUTURE,
            milestones: self.milestones,
        }
    }

    /// What there is to see of it, without waking it.
    pub fn view(
        &self,
        settings: &ServiceSettings,
        chunks: &ChunkSlab,
        now: Instant,
    ) -> ConnectionView {
        ConnectionView { dormant: true, ..self.wake(settings, now).view(chunks, now) }
    }

    /// When the pair has something to do by itself: a keepalive, or to end.
    pub fn deadline(&self, settings: &ServiceSettings) -> Instant {
        let [client, origin] = &self.legs;
        (self.moved_at + settings.idle_timeout)
            .min(client.tcp.deadline(&settings.client_leg))
            .min(origin.tcp.deadline(&settings.origin_leg))
    }
}

impl DormantLeg {
    fn wake(&self, settings: &LegSettings, now: Instant) -> Leg {
        let tcp: Connection = self.tcp.wake(settings);
        let path = LegPath::along(&self.path, self.key.local().ip(), self.key.remote().ip());
        Leg {
            tcp,
            key: self.key,
            port: self.port,
            path,
            routes_generation: self.routes_generation,
            account: LegAccount::of(self.past),
            rtt_due: now,
        }
    }
}
