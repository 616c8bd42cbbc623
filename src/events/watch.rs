//! What the counts show that nobody tells: connections left to Linux by the shield, cookies on and off,
//! rings that were full.

use std::collections::HashMap;
use std::time::Duration;

use ringroad_engine::telemetry::Ring;
use ringroad_engine::telemetry::events::Details;
use tokio::time::Instant;

use super::Happening;
use crate::stats::Stats;

/// What was seen last.
#[derive(Debug, Default)]
pub(super) struct Watch {
    cookies_on: Option<bool>,
    fallbacks: HashMap<String, Growth>,
    /// Why a service last left a connection to Linux, and whose.
    last_fallback: HashMap<String, (&'static str, Option<String>)>,
    /// By thread and ring.
    rings: HashMap<(String, String), Growth>,
}

/// A count that grows, and how much of that has been told.
#[derive(Debug, Default)]
struct Growth {
    told: u64,
    told_at: Option<Instant>,
}

impl Growth {
    /// By how much it has grown, if that is to be told now: at once, and then no more often than every
    /// [`PAUSE`].
    fn look(&mut self, count: u64, now: Instant) -> Option<u64> {
        let grown = count.saturating_sub(self.told);
        let is_due = self.told_at.is_none_or(|told_at| now >= told_at + PAUSE);
        (grown > 0 && is_due).then(|| {
            (self.told, self.told_at) = (count, Some(now));
            grown
        })
    }
}

impl Watch {
    /// A worker has left a connection to Linux.
    pub(super) fn note_fallback(&mut self, service: String, details: &Details) {
        let client = details.client.map(|client| client.to_string());
        self.last_fallback.insert(service, (details.reason, client));
    }

    /// What is new in the counts.
    pub(super) fn look(&mut self, stats: &Stats) -> Vec<Happening> {
        let now = Instant::now();
        let mut news = Vec::new();
        let on = stats.cookies.lanes.iter().any(|lane| lane.on);
        if self.cookies_on.replace(on).is_some_and(|before| before != on) {
            news.push(match on {
                true => Happening::new(
                    "cookies_on",
                    "new connections are answered by SYN cookies".into(),
                ),
                false => Happening::new(
                    "cookies_off",
                    "new connections are answered without SYN cookies again".into(),
                ),
            });
        }
        for service in &stats.services {
            let growth = self.fallbacks.entry(service.name.clone()).or_default();
            if let Some(count) = growth.look(service.connections.fell_back, now) {
                news.push(self.fell_back(&service.name, count));
            }
        }
        for core in &stats.cores {
            // A worker that waits for room in a tx ring loses nothing.
            for ring in core.rings.iter().filter(|ring| ring.name != TX) {
                let growth = self.rings.entry((core.name.clone(), ring.name.clone())).or_default();
                if let Some(count) = growth.look(ring.full, now) {
                    news.push(ring_full(&core.name, &ring.name, count));
                }
            }
        }
        news
    }

    fn fell_back(&mut self, service: &str, count: u64) -> Happening {
        let last = self.last_fallback.remove(service);
        let (reason, client) = last.map_or((None, None), |(reason, client)| (Some(reason), client));
        let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let message = format!("{count} new connections to {service} were left to Linux{why}");
        Happening {
            service: Some(service.to_owned()),
            client,
            reason: reason.map(str::to_owned),
            count,
            ..Happening::new("fell_back", message)
        }
    }
}

fn ring_full(core: &str, ring: &str, count: u64) -> Happening {
    let message =
        format!("{count} packets were dropped: the {ring} ring that {core} fills was full");
    Happening { count, reason: Some(ring.to_owned()), ..Happening::new("ring_full", message) }
}

/// The ring in which workers wait for room.
const TX: &str = Ring::Tx.name();

/// Between two tellings of one thing.
const PAUSE: Duration = Duration::from_secs(5);
