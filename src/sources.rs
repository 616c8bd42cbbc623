//! Who opened connections of late, by what the cores counted.

use std::time::{Duration, Instant};

use ringroad_engine::telemetry::Sources;

use crate::stats::ClientSource;

/// Two stretches of time, one behind the other: what is told is of both, so that it is of some time
/// also when one has just begun.
#[derive(Debug)]
pub(crate) struct RecentSources {
    earlier: Option<Stretch>,
    now: Stretch,
    counted_to: Instant,
}

#[derive(Debug)]
struct Stretch {
    began: Instant,
    sources: Sources,
}

impl RecentSources {
    pub(crate) fn new(now: Instant) -> Self {
        RecentSources { earlier: None, now: Stretch::beginning(now), counted_to: now }
    }

    /// What cores have counted since the last call.
    pub(crate) fn add<'a>(&mut self, now: Instant, counted: impl Iterator<Item = &'a Sources>) {
        let lasted = self.counted_to - self.now.began;
        if lasted >= STRETCH {
            let ended = std::mem::replace(&mut self.now, Stretch::beginning(self.counted_to));
            // Where nobody asked for long, it says little of now.
            self.earlier = (lasted < 2 * STRETCH).then_some(ended);
        }
        counted.for_each(|counted| self.now.sources.add_all(counted));
        self.counted_to = now;
    }

    /// Who opened most, most first.
    pub(crate) fn busiest(&self) -> Vec<ClientSource> {
        let mut sources = self.now.sources.clone();
        let mut began = self.now.began;
        if let Some(earlier) = &self.earlier {
            sources.add_all(&earlier.sources);
            began = earlier.began;
        }
        let (seconds, total) = ((self.counted_to - began).as_secs_f64(), sources.total());
        let top = sources.top(SOURCES_SHOWN).into_iter();
        top.map(|(source, connections)| ClientSource {
            source: source.to_string(),
            connections,
            per_second: connections as f64 / seconds.max(f64::MIN_POSITIVE),
            share: connections as f64 / total as f64,
        })
        .collect()
    }
}

impl Stretch {
    fn beginning(began: Instant) -> Self {
        Stretch { began, sources: Sources::of_core() }
    }
}

/// Long enough to know who is busy, short enough to see it change.
const STRETCH: Duration = Duration::from_secs(10);

/// Sources that `ringroad stats` and `ringroad top` show.
const SOURCES_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use ringroad_engine::telemetry::Source;

    use super::*;

    /// So many connections of each.
    fn counted(clients: &[(&str, u64)]) -> Sources {
        let mut sources = Sources::of_core();
        for (client, connections) in clients {
            sources.add_many(Source::of(client.parse().unwrap()), *connections);
        }
        sources
    }

    /// Source, connections, connections a second.
    fn told(recent: &RecentSources) -> Vec<(String, u64, f64)> {
        let busiest = recent.busiest().into_iter();
        busiest.map(|busy| (busy.source, busy.connections, busy.per_second)).collect()
    }

    fn second(start: Instant, second: u64) -> Instant {
        start + Duration::from_secs(second)
    }

    #[test]
    fn what_all_cores_counted_is_told_together() {
        let start = Instant::now();
        let mut recent = RecentSources::new(start);
        let cores = [counted(&[("10.0.0.1", 2), ("10.0.0.2", 5)]), counted(&[("10.0.0.1", 13)])];
        recent.add(second(start, 5), cores.iter());
        let expected = [("10.0.0.1".to_owned(), 15, 3.0), ("10.0.0.2".to_owned(), 5, 1.0)];
        assert_eq!(told(&recent), expected);
        let shares: Vec<f64> = recent.busiest().iter().map(|busy| busy.share).collect();
        assert_eq!(shares, [0.75, 0.25]);
    }

    #[test]
    fn what_is_past_is_forgotten() {
        let start = Instant::now();
        let mut recent = RecentSources::new(start);
        recent.add(second(start, 1), [counted(&[("10.0.0.1", 50)])].iter());
        for later in 2..=40 {
            recent.add(second(start, later), [counted(&[("10.0.0.2", 4)])].iter());
            let told = told(&recent);
            assert_eq!(
                told.iter().any(|(source, ..)| source == "10.0.0.1"),
                later <= 20,
                "{later}"
            );
            let rate = told.iter().find(|(source, ..)| source == "10.0.0.2").unwrap().2;
            assert!((2.0..=4.0).contains(&rate), "{rate} after {later} s");
        }
    }

    #[test]
    fn after_a_long_time_without_a_question_the_answer_is_soon_of_now() {
        let start = Instant::now();
        let mut recent = RecentSources::new(start);
        recent.add(second(start, 3_600), [counted(&[("10.0.0.1", 3_600)])].iter());
        assert_eq!(told(&recent), [("10.0.0.1".to_owned(), 3_600, 1.0)]);
        recent.add(second(start, 3_601), [counted(&[("10.0.0.2", 4)])].iter());
        assert_eq!(told(&recent), [("10.0.0.2".to_owned(), 4, 4.0)]);
    }

    #[test]
    fn nobody_is_nothing() {
        assert_eq!(told(&RecentSources::new(Instant::now())), []);
    }
}
