//! What the counts show that nobody tells: connections left to Linux by the shield, cookies on and off,
//! rings that were full.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ringroad_engine::telemetry::Ring;
use ringroad_engine::telemetry::events::Details;
use tokio::time::Instant;

use super::Happening;
#[cfg(test)]
use crate::stats::LaneCookies;
use crate::stats::{Service, Stats};

/// What was seen last.
#[derive(Debug, Default)]
pub(super) struct Watch {
    cookies_on: Option<bool>,
    /// By service.
    fallbacks: HashMap<String, Fallback>,
    /// By thread and ring.
    rings: HashMap<(String, String), Growth>,
    /// Intervals that were not recorded.
    recording: Growth,
}

/// A service's connections that were left to Linux.
#[derive(Debug, Default)]
struct Fallback {
    growth: Growth,
    /// By the shield, for each of its reasons.
    by_shield: BTreeMap<String, u64>,
    /// By a worker, since the last telling: why, and whose.
    by_worker: Option<(&'static str, Option<String>)>,
}

/// A count that grows, and how much of that has been told.
#[derive(Debug, Default)]
struct Growth {
    told: u64,
    told_at: Option<Instant>,
}

impl Growth {
    /// By how much it has grown, if that is to be told now: at once, and then with a pause in between.
    fn look(&mut self, count: u64, now: Instant, pause: Duration) -> Option<u64> {
        let grown = count.saturating_sub(self.told);
        let is_due = self.told_at.is_none_or(|told_at| now >= told_at + pause);
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
        self.fallbacks.entry(service).or_default().by_worker = Some((details.reason, client));
    }

    /// What is new in the counts.
    pub(super) fn look(&mut self, stats: &Stats, now: Instant) -> Vec<Happening> {
        let mut news = Vec::new();
        let on = stats.cookies.lanes.iter().any(|lane| lane.on);
        if self.cookies_on.replace(on).is_some_and(|before| before != on) {
            let (event, how) = if on {
                ("cookies_on", "by SYN cookies")
            } else {
                ("cookies_off", "without SYN cookies")
            };
            news.push(Happening::new(
                event,
                format!("new connections are answered {how} from now on"),
            ));
        }
        for service in &stats.services {
            let fallback = self.fallbacks.entry(service.name.clone()).or_default();
            news.extend(fallback.look(service, now));
        }
        for core in &stats.cores {
            // A worker that waits for room in a tx ring loses nothing.
            for ring in core.rings.iter().filter(|ring| ring.name != TX) {
                let growth = self.rings.entry((core.name.clone(), ring.name.clone())).or_default();
                if let Some(count) = growth.look(ring.full, now, PAUSE) {
                    news.push(ring_full(&core.name, &ring.name, count));
                }
            }
        }
        let lost = stats.recording.as_ref().map_or(0, |recording| recording.lost);
        if let Some(count) = self.recording.look(lost, now, RECORDING_PAUSE) {
            let message =
                format!("intervals that could not be recorded: {count}; the log says why");
            news.push(Happening { count, ..Happening::new("recording_failing", message) });
        }
        news
    }
}

impl Fallback {
    fn look(&mut self, service: &Service, now: Instant) -> Option<Happening> {
        let count = self.growth.look(service.connections.fell_back, now, PAUSE)?;
        let by_shield = service.shield.iter().filter(|(verdict, _)| verdict.starts_with(FALLBACK));
        let by_shield: BTreeMap<_, _> =
            by_shield.map(|(verdict, n)| (verdict.clone(), *n)).collect();
        let before = std::mem::replace(&mut self.by_shield, by_shield);
        let grown = |verdict: &str, n: u64| n - before.get(verdict).copied().unwrap_or(0).min(n);
        let most = self.by_shield.iter().map(|(verdict, n)| (grown(verdict, *n), verdict)).max();
        let by_shield =
            most.filter(|(grown, _)| *grown > 0).map(|(_, verdict)| &verdict[FALLBACK.len()..]);
        // A worker knows better why, but seldom sees them.
        let (reason, client) = match self.by_worker.take() {
            Some((reason, client)) => (Some(reason), client),
            None => (by_shield, None),
        };
        let why = reason.map(|reason| format!(", {reason}")).unwrap_or_default();
        let message = format!("new connections to {} left to Linux: {count}{why}", service.name);
        Some(Happening {
            service: Some(service.name.clone()),
            client,
            reason: reason.map(str::to_owned),
            count,
            ..Happening::new("fell_back", message)
        })
    }
}

fn ring_full(core: &str, ring: &str, count: u64) -> Happening {
    let message = format!("packets dropped as the {ring} ring that {core} fills was full: {count}");
    Happening { count, reason: Some(ring.to_owned()), ..Happening::new("ring_full", message) }
}

/// The ring in which workers wait for room.
const TX: &str = Ring::Tx.name();

/// How the shield's verdicts begin on new connections that it leaves to Linux.
const FALLBACK: &str = "fallback_";

/// Between two tellings of one thing.
const PAUSE: Duration = Duration::from_secs(5);
const RECORDING_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    fn service(fell_back: u64, not_accepting: u64) -> Stats {
        let mut service = Service { name: "web".to_owned(), ..Service::default() };
        service.connections.fell_back = fell_back;
        service.shield.insert("fallback_not_accepting".to_owned(), not_accepting);
        Stats { services: vec![service], ..Stats::default() }
    }

    #[test]
    fn connections_left_to_linux_are_told_of_at_once_and_then_in_sums() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(&service(0, 0), at(0)), []);
        let details = Details { service: 0, origin: None, client: None, reason: "draining" };
        watch.note_fallback("web".to_owned(), &details);
        let told = watch.look(&service(1, 0), at(1));
        assert_eq!(told[0].message, "new connections to web left to Linux: 1, draining");
        assert_eq!(watch.look(&service(50, 49), at(2)), [], "not again so soon");
        let told = watch.look(&service(70, 69), at(7));
        assert_eq!((told[0].count, told[0].reason.as_deref()), (69, Some("not_accepting")));
        assert_eq!(watch.look(&service(70, 69), at(20)), [], "it has come to an end");
    }

    #[test]
    fn cookies_are_told_of_when_they_change() {
        let with = |on| {
            let mut stats = Stats::default();
            stats.cookies.lanes.push(LaneCookies { on, ..LaneCookies::default() });
            stats
        };
        let mut watch = Watch::default();
        let kinds = [true, true, false, false, true].map(|on| {
            watch.look(&with(on), at(0)).into_iter().map(|told| told.event).collect::<Vec<_>>()
        });
        assert_eq!(kinds.concat(), ["cookies_off", "cookies_on"], "the first is how it is set");
    }
}
