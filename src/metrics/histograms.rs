//! What is recorded as a histogram, in buckets for Prometheus.
//!
//! The recorders are finer than any set of buckets that is worth to be sent every few seconds: their
//! slots are a thousandth of a value wide. A slot counts in the bucket that its lowest value is in. So
//! the count at a bound is exact where slots hold one value (up to 2047 [ns or packets]), and beyond
//! has in it what lies less than a thousandth above the bound. A sum is that of the slots' middles:
//! within a two-thousandth.

use std::fmt;
use std::ops::RangeInclusive;
use std::slice;

use ringroad_engine::telemetry::{Measure, Recorders, Ring, Unit};

use super::Scrape;
use super::page::{Buckets, Page};
use crate::cores::PollingThread;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Measured {
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    name: String,
    help: &'static str,
    samples: Vec<(Vec<(&'static str, String)>, Buckets)>,
}

/// What one measure is about, and its like are too.
#[derive(Clone, Copy)]
enum Of {
    Engine,
    Leg(&'static str),
    /// Of the core that takes from it: a deep one is its core's.
    Ring(Ring),
}

impl Measured {
    /// What each of these threads has recorded. Who records nothing has nothing here.
    pub(super) fn of(threads: &[PollingThread], recorded: &[Recorders]) -> Self {
        let mut measured = Measured::default();
        for measure in Measure::ALL {
            let together =
                || recorded.iter().any(Recorders::is_on).then(|| buckets(measure, recorded));
            match what(measure) {
                Of::Engine => measured.extend(measure, together().map(|it| (vec![], it))),
                Of::Leg(leg) => measured
                    .extend(measure, together().map(|it| (vec![("leg", leg.to_owned())], it))),
                Of::Ring(ring) => {
                    // Who is alone takes from none.
                    let cores = threads.iter().zip(recorded).filter(|_| threads.len() > 1);
                    let cores = cores.filter(|(thread, _)| thread.role.way_in() == ring);
                    measured.extend(
                        measure,
                        cores.map(|(thread, recorders)| {
                            let ring = ("ring", ring.name().to_owned());
                            let labels = vec![("core", thread.name.clone()), ring];
                            (labels, buckets(measure, slice::from_ref(recorders)))
                        }),
                    );
                }
            }
        }
        measured
    }

    fn extend(
        &mut self,
        measure: Measure,
        samples: impl IntoIterator<Item = (Vec<(&'static str, String)>, Buckets)>,
    ) {
        let (name, help) = family(measure);
        match self.families.iter_mut().find(|family| family.name == name) {
            Some(family) => family.samples.extend(samples),
            None => {
                self.families.push(Family { name, help, samples: samples.into_iter().collect() });
            }
        }
    }
}

pub(super) fn write(page: &mut Page<'_>, Scrape { measured, .. }: &Scrape) -> fmt::Result {
    measured.families.iter().try_for_each(|Family { name, help, samples }| {
        page.histograms(name, help, samples.iter().map(|(labels, it)| (labels.as_slice(), it)))
    })
}

fn what(measure: Measure) -> Of {
    match measure {
        Measure::HandshakeClient | Measure::RttClient => Of::Leg("client"),
        Measure::HandshakeOrigin | Measure::RttOrigin => Of::Leg("origin"),
        _ => {
            let mut rings = Ring::ALL.into_iter();
            let of = |ring: &Ring| [Measure::wait(*ring), Measure::depth(*ring)].contains(&measure);
            rings.find(of).map_or(Of::Engine, Of::Ring)
        }
    }
}

/// What a measure is told under, with its unit: what labels tell apart has one name.
fn family(measure: Measure) -> (String, &'static str) {
    let (name, about) = match measure {
        Measure::RingWaitRx | Measure::RingWaitTx | Measure::RingWaitHandOver => {
            ("ring_wait", "wait of packets in a ring for the core that takes them")
        }
        Measure::RingDepthRx | Measure::RingDepthTx | Measure::RingDepthHandOver => {
            ("ring_depth", "packets in a ring when the core looked that takes them")
        }
        Measure::HandshakeClient | Measure::HandshakeOrigin => {
            ("handshake", "handshakes, but for those of clients by SYN cookie")
        }
        Measure::RttClient | Measure::RttOrigin => ("rtt", "smoothed round-trip times"),
        _ => (measure.name(), measure.about()),
    };
    match measure.unit() {
        Unit::Nanoseconds => (format!("{name}_seconds"), about),
        Unit::Packets => (name.to_owned(), about),
    }
}

fn buckets(measure: Measure, cores: &[Recorders]) -> Buckets {
    let bounds = bounds(measure);
    let mut counts = vec![0; bounds.len() + 1];
    let mut sum = 0.0;
    for recorded in cores.iter().filter_map(|core| core.histogram(measure)) {
        for slot in recorded.iter_recorded() {
            let (value, count) = (slot.value_iterated_to(), slot.count_at_value());
            let lowest = recorded.lowest_equivalent(value);
            counts[bounds.partition_point(|bound| *bound < lowest)] += count;
            sum += recorded.median_equivalent(value) as f64 * count as f64;
        }
    }
    let scale = match measure.unit() {
        Unit::Nanoseconds => 1e9,
        Unit::Packets => 1.0,
    };
    let bounds = bounds.iter().map(|bound| *bound as f64 / scale).chain([Buckets::INFINITE]);
    Buckets { sum: sum / scale, counts: bounds.zip(counts).collect() }
}

/// Upper bounds of a measure's buckets [what it is measured in], fixed, so that what was scraped last
/// year can be compared: three to the power of ten, over what can be told from it. A quantile that
/// Prometheus works out is between two neighbours; `ringroad histograms` knows it to a thousandth.
fn bounds(measure: Measure) -> &'static [u64] {
    match measure {
        // A core takes some hundred nanoseconds for a packet; after a second without a turn its
        // connections have been Linux's for long.
        Measure::RxWait
        | Measure::RingWaitRx
        | Measure::RingWaitTx
        | Measure::RingWaitHandOver
        | Measure::Worker
        | Measure::TxWait => between(&TIMES, 100..=SECOND),
        // From a burst that goes right through to a window that stays shut.
        Measure::Inside => between(&TIMES, MICROSECOND..=10 * SECOND),
        // From a cable in the same rack to the last retransmission of a SYN.
        Measure::HandshakeClient
        | Measure::HandshakeOrigin
        | Measure::RttClient
        | Measure::RttOrigin
        | Measure::FirstByte => between(&TIMES, 10 * MICROSECOND..=50 * SECOND),
        // From one small answer to a session of days.
        Measure::Duration => between(&TIMES, 1_000 * MICROSECOND..=500_000 * SECOND),
        Measure::Burst
        | Measure::RingDepthRx
        | Measure::RingDepthTx
        | Measure::RingDepthHandOver => between(&PACKETS, 1..=measure.most()),
    }
}

fn between(bounds: &'static [u64], range: RangeInclusive<u64>) -> &'static [u64] {
    let first = bounds.partition_point(|bound| bound < range.start());
    let end = bounds.partition_point(|bound| bound <= range.end());
    &bounds[first..end]
}

const MICROSECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000_000;

/// 100, 200, 500, 1000 … [ns]
const TIMES: [u64; 39] = {
    let mut times = [0; 39];
    let (mut at, mut decade) = (0, 100);
    while at < times.len() {
        times[at] = decade;
        times[at + 1] = 2 * decade;
        times[at + 2] = 5 * decade;
        (at, decade) = (at + 3, 10 * decade);
    }
    times
};

/// Whole and half powers of two: what rings and bursts hold is a power of two at most [packets].
const PACKETS: [u64; 20] =
    [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024];

#[cfg(test)]
mod tests {
    use core_affinity::CoreId;

    use super::*;
    use crate::cores::Role;

    #[test]
    fn each_value_is_in_the_bucket_whose_bound_it_reaches_at_most() {
        let (mut recorders, mut other) = (Recorders::new(), Recorders::new());
        for (nanos, count) in [(0, 1), (1_000, 2), (1_001, 4), (2_000, 8)] {
            recorders.record_n(Measure::Inside, nanos, count);
        }
        other.record_n(Measure::Inside, 30_000_000_000, 16);
        let found = buckets(Measure::Inside, &[recorders, other]);
        assert_eq!(found.counts[..3], [(1e-6, 3), (2e-6, 12), (5e-6, 0)]);
        assert_eq!(found.counts.last(), Some(&(Buckets::INFINITE, 16)));
        assert_eq!(found.count(), 31);
        let sum = (2 * 1_000 + 4 * 1_001 + 8 * 2_000) as f64 / 1e9 + 16.0 * 30.0;
        assert!((found.sum / sum - 1.0).abs() < 1.0 / 2_000.0, "{} for {sum}", found.sum);
    }

    /// As far as the recorder can tell.
    #[test]
    fn what_lies_above_a_bound_by_a_thousandth_is_above_it() {
        for measure in Measure::ALL {
            for (at, bound) in bounds(measure).iter().enumerate() {
                let mut recorders = Recorders::new();
                recorders.record(measure, *bound);
                recorders.record_n(measure, bound + bound / 1_000 + 1, 2);
                let found = buckets(measure, &[recorders]);
                let above: u64 = found.counts[at + 1..].iter().map(|(_, count)| count).sum();
                let found = (found.counts[at].1, above);
                assert_eq!(found, (1, 2), "{} {bound}", measure.name());
            }
        }
    }

    #[test]
    fn a_ring_is_told_by_the_core_that_takes_from_it() {
        let thread = |name: &str, role| PollingThread {
            name: name.to_owned(),
            role,
            core: CoreId { id: 0 },
        };
        let threads = [thread("io", Role::Io), thread("worker-0", Role::Worker)];
        let mut recorded = [Recorders::new(), Recorders::new()];
        recorded[0].record(Measure::RingDepthTx, 3);
        recorded[0].record(Measure::Burst, 64);
        recorded[1].record(Measure::Burst, 1);
        let measured = Measured::of(&threads, &recorded);
        let rings = measured.families.iter().filter(|family| family.name.starts_with("ring_"));
        let rings: Vec<_> = rings
            .flat_map(|family| {
                let of = |(labels, it): &(Vec<(_, String)>, Buckets)| {
                    (family.name.clone(), labels[0].1.clone(), labels[1].1.clone(), it.count())
                };
                family.samples.iter().map(of).collect::<Vec<_>>()
            })
            .collect();
        let expected = [
            ("ring_wait_seconds", "worker-0", "rx", 0),
            ("ring_wait_seconds", "io", "tx", 0),
            ("ring_depth", "worker-0", "rx", 0),
            ("ring_depth", "io", "tx", 1),
        ];
        let expected = expected.map(|(name, core, ring, count)| {
            (name.to_owned(), core.to_owned(), ring.to_owned(), count)
        });
        assert_eq!(rings, expected);
        let bursts = measured.families.iter().find(|family| family.name == "burst").unwrap();
        assert_eq!(bursts.samples[0].1.count(), 2);
        let alone = Measured::of(&threads[..1], &recorded[..1]);
        assert!(
            alone.families.iter().all(|it| it.samples.is_empty() == it.name.starts_with("ring_"))
        );
    }

    #[test]
    fn who_records_nothing_has_nothing_to_show() {
        let measured = Measured::of(&[], &[Recorders::off()]);
        assert!(measured.families.iter().all(|family| family.samples.is_empty()));
    }

    #[test]
    fn bounds_are_few_and_within_what_can_be_recorded() {
        for measure in Measure::ALL {
            let bounds = bounds(measure);
            assert!((10..=28).contains(&bounds.len()), "{} {bounds:?}", measure.name());
            assert!(bounds.is_sorted() && bounds[bounds.len() - 1] <= measure.most());
        }
    }
}
