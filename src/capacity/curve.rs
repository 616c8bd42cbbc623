//! Latency against load: a curve through what was seen, its knee, and how far it is to be trusted.
//!
//! Nothing is assumed of the curve but that latency does not fall as load rises: neighbours that contradict it are
//! taken together (isotonic regression by pooling adjacent violators; Ayer et al., "An empirical distribution function
//! for sampling with incomplete information", 1955). A formula for queues would be smoother, and wrong where
//! something else than the queue makes them wait: a host that takes the core away for a millisecond, a ring
//! that is full.
//!
//! The knee is where latency begins to grow faster than load, in proportion. There throughput divided by latency is
//! highest ("power": L. Kleinrock, "Power and deterministic rules of thumb for probabilistic problems in computer
//! communications", ICC 1979). It needs no threshold, and does not depend on the units or the range of a plot.
//! Around it power changes little, and which load has the highest is chance's; so it is the middle of those
//! that have nearly as much.

use serde::Serialize;

use super::doubt::{Answer, Doubt};
use super::squares::median;

/// Some intervals with about the same load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Point {
    pub(super) load: f64,
    /// Of the intervals' latencies, the median [µs].
    pub(super) time_us: f64,
    pub(super) intervals: usize,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Curve {
    /// By load; latency does not fall. In between it grows by the same factor for the same load.
    pub(super) points: Vec<Point>,
    /// How far it is from a point that it has not seen, as a part of that point's latency: the median.
    pub(super) error: f64,
}

/// Where the knee is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Knee {
    pub(super) load: f64,
    /// Standard error, by leaving out one point after another (the jackknife).
    pub(super) error: f64,
    pub(super) time_us: f64,
}

impl Point {
    /// Gathers `(load, latency)` of intervals by load.
    pub(super) fn gather(seen: &[(f64, f64)]) -> Vec<Point> {
        let loads = || seen.iter().map(|(load, _)| *load);
        let (from, to) = (loads().fold(f64::INFINITY, f64::min), loads().fold(0.0, f64::max));
        let bins = (seen.len() / INTERVALS_PER_POINT).clamp(1, POINTS_MAX);
        let width = (to - from) / bins as f64;
        let bin = |load: f64| (((load - from) / width) as usize).min(bins - 1);
        let points = (0..bins).filter_map(|n| {
            let here = || seen.iter().filter(|(load, _)| bin(*load) == n);
            Some(Point {
                load: median(here().map(|(load, _)| *load))?,
                time_us: median(here().map(|(_, time)| *time))?,
                intervals: here().count(),
            })
        });
        points.filter(|point| point.intervals >= INTERVALS_PER_POINT_MIN).collect()
    }
}

impl Curve {
    /// A curve through points that are in order of load, if they support one.
    pub(super) fn through(points: &[Point]) -> Answer<Curve> {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Err(Doubt::TooFew { what: "loads", have: 0, need: POINTS_MIN });
        };
        if points.len() < POINTS_MIN {
            return Err(Doubt::TooFew { what: "loads", have: points.len(), need: POINTS_MIN });
        }
        if last.load < RANGE_MIN * first.load {
            return Err(Doubt::NarrowRange { times: last.load / first.load });
        }
        let curve = Curve::rising(points);
        if curve.at(last.load) < RISE_MIN * curve.at(first.load) {
            return Err(Doubt::NoRise);
        }
        // What lies beyond all others is another question.
        let inner = 1..points.len() - 1;
        let misses =
            without_each(points).zip(points).enumerate().filter_map(|(n, (others, point))| {
                let missed = (Curve::rising(&others).at(point.load) - point.time_us).abs();
                inner.contains(&n).then_some(missed / point.time_us)
            });
        let error = median(misses).unwrap_or(0.0);
        Ok(Curve { error, ..curve })
    }

    /// This one, if it says enough of loads that it has not seen. Where its knee is may be known all the same.
    pub(super) fn if_exact(self) -> Answer<Curve> {
        if self.error > ERROR_MAX {
            let what = "latency at a load that it has not seen";
            return Err(Doubt::Inexact { what, error: self.error });
        }
        Ok(self)
    }

    /// The points with those taken together that fall. Factors count, as with all that follows.
    fn rising(points: &[Point]) -> Curve {
        // Mean logarithm, weight and number of points.
        let mut levels: Vec<(f64, f64, usize)> = Vec::with_capacity(points.len());
        for point in points {
            let mut level = (point.time_us.ln(), point.intervals as f64, 1);
            while let Some(before) = levels.pop_if(|before| before.0 > level.0) {
                let weight = before.1 + level.1;
                let mean = (before.0 * before.1 + level.0 * level.1) / weight;
                level = (mean, weight, before.2 + level.2);
            }
            levels.push(level);
        }
        let times =
            levels.iter().flat_map(|(mean, _, count)| std::iter::repeat_n(mean.exp(), *count));
        let points = points.iter().zip(times).map(|(point, time_us)| Point { time_us, ..*point });
        Curve { points: points.collect(), error: 0.0 }
    }

    /// The lowest load that was seen.
    pub(super) fn from(&self) -> f64 {
        self.points.first().map_or(0.0, |point| point.load)
    }

    /// The highest.
    pub(super) fn to(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.load)
    }

    /// Latency at a load [µs]; outside what was seen, as at the nearest that was.
    pub(super) fn at(&self, load: f64) -> f64 {
        let after = self.points.partition_point(|point| point.load <= load);
        match (after.checked_sub(1).map(|before| self.points[before]), self.points.get(after)) {
            (Some(before), Some(after)) => {
                let part = (load - before.load) / (after.load - before.load);
                before.time_us * (after.time_us / before.time_us).powf(part)
            }
            (Some(point), None) => point.time_us,
            (None, point) => point.map_or(0.0, |point| point.time_us),
        }
    }

    pub(super) fn knee(&self, points: &[Point]) -> Answer<Knee> {
        let load = self.steepens()?;
        let without: Vec<f64> = without_each(points)
            .filter_map(|others| Curve::rising(&others).steepens().ok())
            .collect();
        let count = without.len() as f64;
        let mean = without.iter().sum::<f64>() / count;
        let spread: f64 = without.iter().map(|load| (load - mean).powi(2)).sum();
        let error = (spread * (count - 1.0) / count).sqrt();
        if error > KNEE_ERROR_MAX * load {
            return Err(Doubt::Inexact { what: "the knee", error: error / load });
        }
        Ok(Knee { load, error, time_us: self.at(load) })
    }

    /// Where one percent more load makes one percent more latency.
    fn steepens(&self) -> Answer<f64> {
        let (from, to) = (self.from(), self.to());
        let load = |n: usize| from + (to - from) * n as f64 / LOOKS as f64;
        let power = |n: usize| load(n) / self.at(load(n));
        let best = (0..=LOOKS).max_by(|one, other| power(*one).total_cmp(&power(*other)));
        let best = best.unwrap_or_default();
        let is_near = |n: &usize| power(*n) >= NEARLY * power(best);
        let first = (0..=best).rev().take_while(is_near).last().unwrap_or(best);
        let last = (best..=LOOKS).take_while(is_near).last().unwrap_or(best);
        match (first, last) {
            (_, LOOKS) => Err(Doubt::Above { what: "the knee" }),
            (0, _) => Err(Doubt::Below { what: "the knee" }),
            _ => Ok((load(first) + load(last)) / 2.0),
        }
    }

    /// The highest load at which latency is within a limit [µs].
    pub(super) fn reaches(&self, limit_us: f64) -> Answer<f64> {
        let least_us = self.at(self.from());
        if limit_us < least_us {
            return Err(Doubt::NeverReached { p99_us: limit_us, least_us });
        }
        let after = self.points.partition_point(|point| point.time_us <= limit_us);
        let Some([before, after]) = self.points.get(after - 1..=after) else {
            return Err(Doubt::Above { what: "the load with that p99" });
        };
        let part = (limit_us / before.time_us).ln() / (after.time_us / before.time_us).ln();
        Ok(before.load + part * (after.load - before.load))
    }
}

/// All points but one, for each of them.
fn without_each(points: &[Point]) -> impl Iterator<Item = Vec<Point>> {
    (0..points.len()).map(|n| {
        let mut others = points.to_vec();
        others.remove(n);
        others
    })
}

/// Fewer show no bend.
const POINTS_MIN: usize = 5;
/// Enough to see a curve, few enough that each has several intervals.
const POINTS_MAX: usize = 24;
const INTERVALS_PER_POINT: usize = 3;
const INTERVALS_PER_POINT_MIN: usize = 2;

/// The highest load is so many times the lowest, or there is nothing to see.
const RANGE_MIN: f64 = 2.0;
/// And latency there: below, it is noise.
const RISE_MIN: f64 = 1.2;

/// Where a curve misses by more, it says little of what has not been seen.
const ERROR_MAX: f64 = 0.35;

/// Nor is a knee known that may as well be elsewhere.
const KNEE_ERROR_MAX: f64 = 0.25;

/// No answer lies at more than so many times the highest load that was seen.
pub(super) const BEYOND_MAX: f64 = 1.25;

/// Power that is this part of the highest is nearly as much.
const NEARLY: f64 = 0.9;

/// At so many loads the knee is looked for.
const LOOKS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn points(loads: impl Iterator<Item = f64>, time: impl Fn(f64) -> f64) -> Vec<Point> {
        loads.map(|load| Point { load, time_us: time(load), intervals: 4 }).collect()
    }

    fn tenths(from: u32, to: u32) -> impl Iterator<Item = f64> {
        (from..=to).map(|n| f64::from(n) / 10.0)
    }

    fn knee(seen: &[Point]) -> Answer<Knee> {
        Curve::through(seen)?.knee(seen)
    }

    #[test]
    fn the_knee_of_a_queue_with_random_arrivals_is_found() {
        // Pollaczek and Khinchine's formula: 40 / u² = 10 / (1 - u)² where u is two thirds, and latency is 60.
        let seen = points(tenths(1, 9), |u| 40.0 + 10.0 * u / (1.0 - u));
        let knee = knee(&seen).unwrap();
        assert!((knee.load - 2.0 / 3.0).abs() < 0.04, "{knee:?}");
        assert!((knee.time_us - 60.0).abs() < 4.0 && knee.error < 0.05, "{knee:?}");
    }

    #[test]
    fn the_knee_of_what_rises_at_once_is_before_it_does() {
        let seen =
            points((1..20).map(|n| f64::from(n) / 20.0), |u| if u < 0.5 { 50.0 } else { 900.0 });
        let knee = knee(&seen).unwrap();
        assert!((0.4..0.5).contains(&knee.load), "{knee:?}");
        // Whether the unit is packets or a part of something makes no difference.
        let packets =
            points((1..20).map(|n| 7e4 * f64::from(n)), |n| if n < 7e5 { 50.0 } else { 900.0 });
        let of_packets = Curve::through(&packets).unwrap().knee(&packets).unwrap();
        assert!((of_packets.load / 1.4e6 / knee.load - 1.0).abs() < 1e-6, "{of_packets:?}");
    }

    #[test]
    fn latency_that_falls_as_load_rises_is_noise() {
        let noise = |u: f64| if ((u * 20.0).round() as u32).is_multiple_of(2) { 1.1 } else { 0.9 };
        let seen = points((1..20).map(|n| f64::from(n) / 20.0), |u| {
            noise(u) * (40.0 + 10.0 * u / (1.0 - u))
        });
        let curve = Curve::through(&seen).unwrap();
        assert!(curve.points.is_sorted_by(|one, next| one.time_us <= next.time_us), "{curve:?}");
        let knee = curve.knee(&seen).unwrap();
        assert!((knee.load - 2.0 / 3.0).abs() < 0.1, "{knee:?}");
    }

    #[test]
    fn a_limit_is_reached_between_two_points() {
        let curve = Curve::through(&points(tenths(1, 9), |u| 10.0 * 100_f64.powf(u))).unwrap();
        let at_100 = curve.reaches(100.0).unwrap();
        assert!((at_100 - 0.5).abs() < 1e-6 && (curve.at(at_100) - 100.0).abs() < 1e-6, "{at_100}");
        assert!(matches!(curve.reaches(10.0), Err(Doubt::NeverReached { .. })));
        assert!(matches!(curve.reaches(1e6), Err(Doubt::Above { .. })));
    }

    #[test]
    fn what_the_points_do_not_support_is_said() {
        let through = |seen: &[Point]| Curve::through(seen).unwrap_err();
        let rising = |u: f64| 40.0 + 10.0 * u / (1.0 - u);
        assert!(matches!(through(&points(tenths(1, 4), rising)), Doubt::TooFew { have: 4, .. }));
        assert!(matches!(through(&[]), Doubt::TooFew { have: 0, .. }));
        let narrow = points((40..50).map(|n| f64::from(n) / 100.0), rising);
        assert!(matches!(through(&narrow), Doubt::NarrowRange { .. }));
        assert_eq!(through(&points(tenths(1, 9), |_| 50.0)), Doubt::NoRise);
        let jumps = |u: f64| 10_f64.powf((3.0 * u).round());
        let jumping = Curve::through(&points(tenths(1, 9), jumps)).unwrap();
        assert!(matches!(jumping.if_exact(), Err(Doubt::Inexact { .. })));
    }

    #[test]
    fn a_knee_that_was_not_passed_is_not_known() {
        let low = points((1..9).map(|n| f64::from(n) / 20.0), |u| 40.0 + 20.0 * u / (1.0 - u));
        assert_eq!(knee(&low), Err(Doubt::Above { what: "the knee" }));
        let high = points((10..30).map(f64::from), |u| u * u);
        assert_eq!(knee(&high), Err(Doubt::Below { what: "the knee" }));
    }

    #[test]
    fn intervals_of_about_the_same_load_make_a_point() {
        let seen: Vec<_> = (0..30)
            .map(|n| (f64::from(n / 3) + 0.01 * f64::from(n % 3), f64::from(n / 3) * 7.0 + 1.0))
            .collect();
        let points = Point::gather(&seen);
        assert_eq!(points.len(), 10);
        assert!(points.iter().all(|point| point.intervals == 3));
        assert_eq!(points[4].time_us, 29.0);
    }
}
