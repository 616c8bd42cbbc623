//! Axes: where a value is on them, and where they have marks.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::{clock, units};

/// One side of a plot.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) title: String,
    scale: Scale,
    /// Its ends.
    low: f64,
    high: f64,
    ticks: Vec<Tick>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Linear,
    Logarithmic,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
struct Tick {
    value: f64,
    label: String,
}

/// How an axis' values are written.
pub(super) type Format = fn(f64) -> String;

impl Axis {
    /// From nothing to `most`, or a little more.
    pub(super) fn from_zero(title: &str, most: f64, format: Format) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = round_step(most / TICKS);
        let count = (most / step - ROUNDING).ceil() as u32;
        let ticks = (0..=count).map(|i| Tick::new(f64::from(i) * step, format));
        Axis::linear(title, 0.0..f64::from(count) * step, ticks.collect())
    }

    /// Around all of `values`, which are positive; smaller ones are drawn at its end.
    pub(super) fn logarithmic(
        title: &str,
        values: impl IntoIterator<Item = f64>,
        format: Format,
    ) -> Self {
        let positive = values.into_iter().filter(|value| *value > 0.0);
        let (least, most) =
            positive.fold((f64::INFINITY, 0.0), |(least, most), v| (v.min(least), v.max(most)));
        let (least, most) = if most > 0.0 { (least, most) } else { (1.0, 10.0) };
        let first = least.log10().floor();
        let decades = (most.log10().ceil() - first).max(1.0);
        let marks: &[f64] = if decades < FEW_DECADES { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let within = |decade: i32| marks.iter().map(move |mark| mark * 10_f64.powi(decade));
        let (first, last) = (first as i32, (first + decades) as i32);
        let mut ticks: Vec<f64> =
            (first..last).flat_map(within).chain([10_f64.powi(last)]).collect();
        // No further than to the next mark on either side; but from one to another.
        while ticks.len() > 2 && ticks[1] <= least {
            ticks.remove(0);
        }
        while ticks.len() > 2 && ticks[ticks.len() - 2] >= most {
            ticks.pop();
        }
        Axis {
            title: title.to_owned(),
            scale: Scale::Logarithmic,
            low: ticks[0],
            high: ticks[ticks.len() - 1],
            ticks: ticks.into_iter().map(|value| Tick::new(value, format)).collect(),
        }
    }

    /// The time of day; ends are in seconds since 1970.
    pub(super) fn time_of_day(began: f64, ended: f64) -> Self {
        let ended = ended.max(began + 1.0);
        let step = CLOCK_STEPS_S.into_iter().find(|step| (ended - began) / step <= TICKS);
        let step = step.unwrap_or_else(|| DAY_S * round_step((ended - began) / DAY_S / TICKS));
        let label: Format = match step {
            s if s < 60.0 => clock::hours_minutes_seconds,
            s if s < DAY_S => clock::hours_minutes,
            _ => clock::month_day,
        };
        let first = (began / step).ceil();
        let ticks = (0..).map(|i| (first + f64::from(i)) * step).take_while(|at| *at <= ended);
        let ticks = ticks.map(|at| Tick::new(at, label));
        Axis::linear("time of day, UTC", began..ended, ticks.collect())
    }

    /// Percentiles that `count` values can have, each nine as wide as the one before.
    pub(super) fn percentiles(count: u64) -> Self {
        let high = nines(1.0, count).ceil().clamp(2.0, NINES_MAX);
        let ticks = (0..=high as i32).map(|nines| {
            let share = 1.0 - 0.1_f64.powi(nines);
            // Two digits before the point, and one nine after another behind it.
            let places = (nines - 2).max(0) as usize;
            Tick { value: nines.into(), label: format!("{:.places$}", 100.0 * share) }
        });
        Axis::linear("percentile [%], nine by nine", 0.0..high, ticks.collect())
    }

    /// A row for each name, the first on top.
    pub(super) fn rows(title: &str, names: &[&str]) -> Self {
        let rows = names.len() as f64;
        let ticks = names
            .iter()
            .enumerate()
            .map(|(row, name)| Tick { value: rows - row as f64 - 0.5, label: (*name).to_owned() });
        Axis::linear(title, 0.0..rows, ticks.collect())
    }

    /// From none to all of something.
    pub(super) fn shares(title: &str) -> Self {
        Axis::from_zero(title, 1.0, units::percent)
    }

    fn linear(title: &str, ends: Range<f64>, ticks: Vec<Tick>) -> Self {
        let Range { start: low, end: high } = ends;
        Axis { title: title.to_owned(), scale: Scale::Linear, low, high, ticks }
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.ticks.iter().map(|tick| tick.label.as_str())
    }

    /// Where a value is, from 0 to 1; at the end, if it lies beyond.
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => (value / self.low).log10() / (self.high / self.low).log10(),
        }
    }
}

impl Ranged for Axis {
    type ValueType = f64;
    type FormatOption = NoDefaultFormatting;

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.place(*value) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.ticks.iter().map(|tick| tick.value).collect(),
        }
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| tick.value == *value);
        tick.map(|tick| tick.label.clone()).unwrap_or_default()
    }
}

impl Tick {
    fn new(value: f64, format: Format) -> Self {
        Tick { value, label: format(value) }
    }
}

/// A quantile's place among percentiles: 1 is 90 %, 2 is 99 %, and so on. The last of `count` values is
/// where all but one lie below.
pub(super) fn nines(quantile: f64, count: u64) -> f64 {
    let beyond = (1.0 - quantile).max(1.0 / count.max(1) as f64);
    -beyond.log10()
}

/// 1, 2 or 5 times a power of ten, `least` or more.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    let fits = |step: &f64| *step >= least * (1.0 - ROUNDING);
    [decade, 2.0 * decade, 5.0 * decade].into_iter().find(fits).unwrap_or(10.0 * decade)
}

/// There is no room for the marks of more. What is rarer is drawn at the end.
const NINES_MAX: f64 = 6.0;

/// Between marks, at most so many steps.
const TICKS: f64 = 5.0;

/// With fewer, an axis has marks within them.
const FEW_DECADES: f64 = 3.0;

/// What people divide days by [s].
const CLOCK_STEPS_S: [f64; 16] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 10_800.0,
    21_600.0, DAY_S,
];

const DAY_S: f64 = 86_400.0;

/// What floating-point numbers may be off by.
const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::units::tests::plain;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.labels().map(plain).collect()
    }

    #[test]
    fn marks_are_round_and_end_above_all_values() {
        let axis = Axis::from_zero("", 870_000.0, units::number);
        assert_eq!(labels(&axis), ["0", "200 k", "400 k", "600 k", "800 k", "1 M"]);
        assert_eq!(axis.high, 1e6);
        assert_eq!(labels(&Axis::shares("")), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        assert_eq!(labels(&Axis::from_zero("", 0.0, units::number)).len(), 6);
    }

    #[test]
    fn logarithmic_axes_have_marks_within_decades_while_those_are_few() {
        let few = Axis::logarithmic("", [12_000.0, 180_000.0, 0.0], units::time);
        assert_eq!(labels(&few), ["10 µs", "20 µs", "50 µs", "100 µs", "200 µs"]);
        assert!((few.place(100_000.0) - 10_f64.log10() / 20_f64.log10()).abs() < ROUNDING);
        assert_eq!((few.place(0.0), few.place(1e9)), (0.0, 1.0));
        assert_eq!(few.map(&0.0, (500, 20)), 500);
        let many = Axis::logarithmic("", [900.0, 2e9], units::time);
        assert_eq!(labels(&many).first().unwrap(), "100 ns");
        assert_eq!(labels(&many).last().unwrap(), "10 s");
        let one = Axis::logarithmic("", [1_000.0], units::time);
        assert!(one.low < one.high);
        assert!(labels(&Axis::logarithmic("", [], units::time)).len() > 1);
    }

    #[test]
    fn the_day_is_divided_as_people_do() {
        let noon = 1_700_049_600.0;
        assert_eq!(
            labels(&Axis::time_of_day(noon + 3.0, noon + 40.0)),
            ["12:00:10", "12:00:20", "12:00:30", "12:00:40"]
        );
        let hours = Axis::time_of_day(noon, noon + 4.0 * 3_600.0);
        assert_eq!(labels(&hours), ["12:00", "13:00", "14:00", "15:00", "16:00"]);
        let days = Axis::time_of_day(noon, noon + 3.0 * DAY_S);
        assert_eq!(labels(&days), ["11-16", "11-17", "11-18"]);
    }

    #[test]
    fn percentiles_go_as_far_as_there_are_values() {
        let axis = Axis::percentiles(5_000);
        assert_eq!(labels(&axis), ["0", "90", "99", "99.9", "99.99"]);
        assert!((nines(0.999, 5_000) - 3.0).abs() < ROUNDING);
        assert!((nines(1.0, 1_000) - 3.0).abs() < ROUNDING, "the greatest is the last");
    }
}
