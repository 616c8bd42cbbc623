//! What a worker tells of clients that it does not serve and origins that do not answer.

use std::net::SocketAddr;

use super::Worker;
use crate::proxy::{Origin, Side};
use crate::tcp::{CloseReason, Connection};
use crate::telemetry::events::{Details, EventKind, Teller};

impl Worker {
    /// Tells events here from now on.
    pub fn set_events(&mut self, teller: Teller) {
        self.events = Some(teller);
    }

    /// A client is not served (`kind`). Why, is found out for those alone that are told of.
    #[inline]
    pub(super) fn tell_of_client(
        &mut self,
        kind: EventKind,
        service: u16,
        client: SocketAddr,
        reason: Option<&'static str>,
    ) {
        let Some(mut events) = self.events.take() else { return };
        events.tell(self.now, kind, 1, || Details {
            service,
            origin: None,
            client: Some(client),
            reason: reason.unwrap_or_else(|| self.why_no_room(service)),
        });
        self.events = Some(events);
    }

    /// The origin that pair `index` has tried did not answer, for that reason.
    pub(super) fn origin_failed(&mut self, index: u32, reason: &'static str) {
        let Some(pair) = self.pairs.get(index) else { return };
        let (service, origin) = (pair.service, pair.origin);
        let Origin { health, counters, .. } =
            self.services[usize::from(service)].origin_mut(origin);
        let found_down = health.failed();
        counters.failed += 1;
        if health.is_down() {
            counters.down_at = Some(self.now);
        }
        if let (Some(failures), Some(events)) = (found_down, &mut self.events) {
            let details = Details { service, origin: Some(origin), client: None, reason };
            events.tell(self.now, EventKind::OriginDown, failures, || details);
        }
    }

    /// The origin of pair `index` has answered: the pair is open.
    #[inline]
    pub(super) fn origin_answered(&mut self, index: u32) {
        let Some(pair) = self.pairs.get(index) else { return };
        let (service, origin) = (pair.service, pair.origin);
        let Origin { health, counters, .. } =
            self.services[usize::from(service)].origin_mut(origin);
        counters.active += 1;
        counters.opened += 1;
        counters.answered_at = Some(self.now);
        if let (Some(failures), Some(events)) = (health.answered(), &mut self.events) {
            let details =
                Details { service, origin: Some(origin), client: None, reason: "answers" };
            events.tell(self.now, EventKind::OriginUp, failures, || details);
        }
    }

    /// The client of pair `index` is given up: no origin has answered.
    pub(super) fn tell_of_no_origin(&mut self, index: u32) {
        let Some(pair) = self.pairs.get(index) else { return };
        let Some(client) = pair.leg(Side::Client).map(|leg| leg.key.remote()) else { return };
        self.tell_of_client(EventKind::Refused, pair.service, client, Some("no_origin"));
    }

    /// What keeps a new connection from being taken, in the order of [`Worker::has_room`].
    fn why_no_room(&self, service: u16) -> &'static str {
        if self.draining {
            "draining"
        } else if !self.services[usize::from(service)].has_room() {
            "max_connections"
        } else if self.pool.is_scarce() {
            "memory_scarce"
        } else {
            "all_connections_busy"
        }
    }
}

/// Why a handshake with an origin has come to nothing.
pub(super) fn why_closed(tcp: &Connection) -> &'static str {
    match tcp.close_reason() {
        Some(CloseReason::Refused | CloseReason::ResetByPeer) => "refused",
        Some(CloseReason::TimedOut | CloseReason::Aborted) => "no_answer",
        Some(CloseReason::Finished) | None => "unreachable",
    }
}
