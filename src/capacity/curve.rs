//! Latency against load: a curve through what was seen, its knee, and how far it is to be trusted.
//!
//! The curve is `base + slope · u / (1 - u)`, with `u` the load as a part of what saturates the server. So
//! a queue with random arrivals behaves (Pollaczek and Khinchine's formula for M/G/1); and so does
//! a core that polls: a turn takes a fixed time and some for each packet that came during the last one,
//! so that turns last `fixed / (1 - u)`. A core that naps for a while adds the nap to `slope`.
//!
//! The knee is where latency begins to grow faster than load, in proportion: one percent more load,
//! one percent more latency. There throughput divided by latency is highest ("power": L. Kleinrock, "Power and
//! deterministic rules of thumb for probabilistic problems in computer communications", ICC 1979).
//! It needs no threshold, and does not depend on the units or the range of a plot.

use serde::Serialize;

use super::doubt::{Answer, Doubt};
use super::squares::{Row, fit, median};

/// Some intervals with about the same load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Point {
    pub(super) load: f64,
    /// Of the intervals' latencies, the median [µs].
    pub(super) time_us: f64,
    pub(super) intervals: usize,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Curve {
    /// At no load [µs].
    pub(super) base_us: f64,
    pub(super) slope_us: f64,
    /// The load at which there is no end to waiting.
    pub(super) saturation: f64,
    /// How far it is from a point that it has not seen, on average, as a part of that point's latency.
    pub(super) error: f64,
    /// The loads that were seen.
    pub(super) from: f64,
    pub(super) to: f64,
}

/// Where the knee is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Knee {
    pub(super) load: f64,
    /// Standard error, by leaving out one point after another (the jackknife).
    pub(super) error: f64,
    pub(super) time_us: f64,
}

/// What is known of the load that saturates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Saturation {
    /// Loads are utilisations: it should be 1, and is elsewhere if something else saturates.
    Utilisation,
    /// Only that it is above what was seen.
    Unknown,
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
    /// Fits a curve, if the points support one.
    pub(super) fn through(points: &[Point], saturation: Saturation) -> Answer<Curve> {
        if points.len() < POINTS_MIN {
            return Err(Doubt::TooFew { what: "loads", have: points.len(), need: POINTS_MIN });
        }
        let too_few = Doubt::TooFew { what: "loads", have: points.len() - 1, need: POINTS_MIN };
        let curve = Curve::best(points, saturation).ok_or(too_few)?;
        if curve.to < RANGE_MIN * curve.from {
            return Err(Doubt::NarrowRange { times: curve.to / curve.from });
        }
        if curve.at(curve.to) < RISE_MIN * curve.at(curve.from) {
            return Err(Doubt::NoRise);
        }
        if saturation == Saturation::Utilisation && curve.saturation < ELSEWHERE {
            return Err(Doubt::LimitElsewhere { utilisation: curve.to });
        }
        let misses = without_each(points).zip(points).filter_map(|(others, point)| {
            let curve = Curve::best(&others, saturation)?;
            // What lies beyond all others is another question.
            let is_between = (curve.from..=curve.to).contains(&point.load);
            is_between.then(|| (curve.at(point.load) - point.time_us).abs() / point.time_us)
        });
        let misses: Vec<f64> = misses.collect();
        let error = misses.iter().sum::<f64>() / misses.len().max(1) as f64;
        if error > ERROR_MAX {
            return Err(Doubt::Inexact { what: "latency at a load that it has not seen", error });
        }
        Ok(Curve { error, ..curve })
    }

    /// Latency at a load [µs].
    pub(super) fn at(&self, load: f64) -> f64 {
        self.base_us + self.slope_us * odds(load, self.saturation)
    }

    pub(super) fn knee(&self, points: &[Point], saturation: Saturation) -> Answer<Knee> {
        let load = self.steepens();
        self.expect_seen("the knee", load)?;
        if load < BEFORE_MIN * self.from {
            return Err(Doubt::Before { what: "the knee", times: load / self.from });
        }
        let without = without_each(points)
            .filter_map(|others| Some(Curve::best(&others, saturation)?.steepens()));
        let without: Vec<f64> = without.collect();
        let count = without.len() as f64;
        let mean = without.iter().sum::<f64>() / count;
        let spread: f64 = without.iter().map(|load| (load - mean).powi(2)).sum();
        let error = (spread * (count - 1.0) / count).sqrt();
        Ok(Knee { load, error, time_us: self.at(load) })
    }

    /// The load at which latency reaches a limit [µs].
    pub(super) fn reaches(&self, limit_us: f64) -> Answer<f64> {
        if limit_us <= self.base_us {
            return Err(Doubt::NeverReached { p99_us: limit_us, least_us: self.base_us });
        }
        let odds = (limit_us - self.base_us) / self.slope_us;
        let load = self.saturation * odds / (1.0 + odds);
        self.expect_seen("the load with that p99", load)?;
        Ok(load)
    }

    fn expect_seen(&self, what: &'static str, load: f64) -> Answer<()> {
        let times = load / self.to;
        if times > BEYOND_MAX { Err(Doubt::Beyond { what, times }) } else { Ok(()) }
    }

    /// Where one percent more load makes one percent more latency. By the derivative of `latency / u`:
    /// `base / u² = slope / (1 - u)²`.
    fn steepens(&self) -> f64 {
        self.saturation / (1.0 + (self.slope_us / self.base_us).sqrt())
    }

    /// That with the smallest relative errors.
    fn best(points: &[Point], saturation: Saturation) -> Option<Curve> {
        let loads = || points.iter().map(|point| point.load);
        let (from, to) = (loads().fold(f64::INFINITY, f64::min), loads().fold(0.0, f64::max));
        let most = match saturation {
            Saturation::Utilisation => SATURATION_MOST.max(to * SATURATION_TIMES_LEAST),
            Saturation::Unknown => to * SATURATION_TIMES_MOST,
        };
        let least = to * SATURATION_TIMES_LEAST;
        let ratio = (most / least).powf(1.0 / (SATURATIONS - 1) as f64);
        let curves = (0..SATURATIONS).filter_map(|n| {
            let saturation = least * ratio.powi(n);
            let row = |point: &Point| -> Row<2> {
                let parts = [1.0, odds(point.load, saturation)];
                // Divided by latency: it is relative errors that count.
                (parts.map(|part| part / point.time_us), 1.0)
            };
            let rows: Vec<_> = points.iter().map(row).collect();
            let fit = fit(&rows)?;
            let left: f64 = rows.iter().map(|(x, y)| (y - fit.at(x)).powi(2)).sum();
            let [base_us, slope_us] = fit.coefficients;
            Some((left, Curve { base_us, slope_us, saturation, error: 0.0, from, to }))
        });
        curves.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, curve)| curve)
    }
}

/// Of `load` as a part of `saturation`.
fn odds(load: f64, saturation: f64) -> f64 {
    load / (saturation - load).max(f64::EPSILON)
}

/// All points but one, for each of them.
fn without_each(points: &[Point]) -> impl Iterator<Item = Vec<Point>> {
    (0..points.len()).map(|n| {
        let mut others = points.to_vec();
        others.remove(n);
        others
    })
}

/// Three parameters and one more.
const POINTS_MIN: usize = 4;
/// Enough to see a curve, few enough that each has several intervals.
const POINTS_MAX: usize = 12;
const INTERVALS_PER_POINT: usize = 3;
const INTERVALS_PER_POINT_MIN: usize = 2;

/// The highest load is so many times the lowest, or there is nothing to see.
const RANGE_MIN: f64 = 2.0;
/// And latency there: below, it is noise.
const RISE_MIN: f64 = 1.2;

/// What saturates at less than this part of the engine is not the engine.
const ELSEWHERE: f64 = 0.5;

/// Where a curve misses by more, it says little of what has not been seen.
const ERROR_MAX: f64 = 0.35;

/// No answer lies at more than so many times the highest load that was seen.
pub(super) const BEYOND_MAX: f64 = 1.25;

/// Nor at less than this part of the lowest.
const BEFORE_MIN: f64 = 0.8;

/// Saturations that are tried, from just above what was seen; utilisations are not that wrong.
const SATURATIONS: i32 = 64;
const SATURATION_TIMES_LEAST: f64 = 1.01;
const SATURATION_TIMES_MOST: f64 = 4.0;
const SATURATION_MOST: f64 = 1.25;

#[cfg(test)]
mod tests {
    use super::*;

    fn points(loads: impl Iterator<Item = f64>, time: impl Fn(f64) -> f64) -> Vec<Point> {
        loads.map(|load| Point { load, time_us: time(load), intervals: 4 }).collect()
    }

    fn tenths(from: u32, to: u32) -> impl Iterator<Item = f64> {
        (from..=to).map(|n| f64::from(n) / 10.0)
    }

    #[test]
    fn a_curve_of_that_form_comes_back_with_its_knee() {
        let seen = points(tenths(1, 9), |u| 40.0 + 10.0 * u / (1.0 - u));
        let curve = Curve::through(&seen, Saturation::Utilisation).unwrap();
        assert!((curve.saturation - 1.0).abs() < 0.03, "{curve:?}");
        let knee = curve.knee(&seen, Saturation::Utilisation).unwrap();
        // 40 / u² = 10 / (1 - u)² where u is two thirds, and latency is 60.
        assert!((knee.load - 2.0 / 3.0).abs() < 0.02, "{knee:?}");
        assert!((knee.time_us - 60.0).abs() < 2.0 && knee.error < 0.03, "{knee:?}");
        let at_100 = curve.reaches(100.0).unwrap();
        assert!((at_100 - 6.0 / 7.0).abs() < 0.02, "{at_100}");
    }

    #[test]
    fn at_the_knee_throughput_by_latency_is_highest() {
        let curve = Curve {
            base_us: 30.0,
            slope_us: 90.0,
            saturation: 0.9,
            error: 0.0,
            from: 0.1,
            to: 0.8,
        };
        let power = |load: f64| load / curve.at(load);
        let knee = curve.steepens();
        assert!(power(knee) > power(knee * 1.01) && power(knee) > power(knee * 0.99));
    }

    #[test]
    fn the_load_that_saturates_need_not_be_known() {
        let seen = points((1..10).map(|n| f64::from(n) * 4_000.0), |rate| {
            100.0 + 50.0 * rate / (42_000.0 - rate)
        });
        let curve = Curve::through(&seen, Saturation::Unknown).unwrap();
        assert!((curve.saturation / 42_000.0 - 1.0).abs() < 0.03, "{curve:?}");
    }

    #[test]
    fn what_the_points_do_not_support_is_said() {
        let through = |seen: &[Point]| Curve::through(seen, Saturation::Utilisation).unwrap_err();
        let rising = |u: f64| 40.0 + 10.0 * u / (1.0 - u);
        assert!(matches!(through(&points(tenths(1, 3), rising)), Doubt::TooFew { have: 3, .. }));
        let narrow = points((40..50).map(|n| f64::from(n) / 100.0), rising);
        assert!(matches!(through(&narrow), Doubt::NarrowRange { .. }));
        assert_eq!(through(&points(tenths(1, 9), |_| 50.0)), Doubt::NoRise);
        let elsewhere =
            points((1..9).map(|n| f64::from(n) / 30.0), |u| 40.0 + 10.0 * u / (0.3 - u));
        assert!(matches!(through(&elsewhere), Doubt::LimitElsewhere { .. }));
        let jumps =
            points(
                tenths(1, 9),
                |u| if ((u * 10.0) as u32).is_multiple_of(2) { 10.0 } else { 90.0 },
            );
        let doubt = through(&jumps);
        assert!(matches!(doubt, Doubt::Inexact { .. } | Doubt::NoRise), "{doubt:?}");
    }

    #[test]
    fn beyond_what_was_seen_there_is_no_answer() {
        let seen = points((1..9).map(|n| f64::from(n) / 20.0), |u| 40.0 + 20.0 * u / (1.0 - u));
        let curve = Curve::through(&seen, Saturation::Utilisation).unwrap();
        let knee = curve.knee(&seen, Saturation::Utilisation);
        assert!(matches!(knee, Err(Doubt::Beyond { .. })), "{knee:?}");
        assert!(matches!(curve.reaches(30.0), Err(Doubt::NeverReached { .. })));
        assert!(matches!(curve.reaches(1e6), Err(Doubt::Beyond { .. })));
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
