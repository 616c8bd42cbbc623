//! Figures as people read them: three digits that count, and a unit that keeps them short, on the same
//! line.

/// A time [ns].
pub(super) fn time(nanos: f64) -> String {
    let nanos = three_digits(nanos);
    let (unit, name) = match nanos {
        n if n < 1e3 => (1.0, "ns"),
        n if n < 1e6 => (1e3, "µs"),
        n if n < 1e9 => (1e6, "ms"),
        n if n < 120e9 => (1e9, "s"),
        n if n < 7_200e9 => (60e9, "min"),
        _ => (3_600e9, "h"),
    };
    format!("{}{SPACE}{name}", decimal(nanos / unit))
}

/// A length of time [s].
pub(super) fn seconds(seconds: f64) -> String {
    time(seconds * 1e9)
}

/// A number of anything: `12.3 k`.
pub(super) fn number(value: f64) -> String {
    prefixed(value, "").trim_end_matches(SPACE).to_owned()
}

/// A rate of payload [bit/s].
pub(super) fn bit_rate(value: f64) -> String {
    prefixed(value, "bit/s")
}

/// An amount of payload [octets].
pub(super) fn octets(value: f64) -> String {
    prefixed(value, "B")
}

/// A part of a whole, from 0 to 1.
pub(super) fn percent(share: f64) -> String {
    format!("{}{SPACE}%", decimal(three_digits(100.0 * share)))
}

/// `1 packet`, `2 packets`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{}{SPACE}{noun}{plural}", number(count as f64))
}

fn prefixed(value: f64, unit: &str) -> String {
    let value = three_digits(value);
    let (scale, prefix) = match value.abs() {
        v if v < 1e3 => (1.0, ""),
        v if v < 1e6 => (1e3, "k"),
        v if v < 1e9 => (1e6, "M"),
        v if v < 1e12 => (1e9, "G"),
        _ => (1e12, "T"),
    };
    format!("{}{SPACE}{prefix}{unit}", decimal(value / scale))
}

/// Rounded to the digits that are shown.
fn three_digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let last = 10_f64.powf(value.abs().log10().floor() - 2.0);
    (value / last).round() * last
}

/// Without digits that say nothing.
fn decimal(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 || v == 0.0 => 2,
        // Two that count.
        v => 1 + (-v.log10().floor()) as usize,
    };
    let digits = format!("{value:.places$}");
    match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits,
    }
}

/// Lines do not break at it.
const SPACE: char = '\u{a0}';

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// With spaces that are easier to write.
    pub(in crate::report) fn plain(text: &str) -> String {
        text.replace(SPACE, " ")
    }

    #[test]
    fn three_digits_and_the_unit_that_fits() {
        let times = [
            (0.0, "0 ns"),
            (999.4, "999 ns"),
            (999.6, "1 µs"),
            (12_345.0, "12.3 µs"),
            (1e6, "1 ms"),
            (119e9, "119 s"),
            (600e9, "10 min"),
            (86_400e9, "24 h"),
        ];
        for (nanos, said) in times {
            assert_eq!(plain(&time(nanos)), said);
        }
        assert_eq!(plain(&bit_rate(9.876e9)), "9.88 Gbit/s");
        assert_eq!(plain(&octets(1_234.0)), "1.23 kB");
        for (value, said) in [(0.0, "0"), (7.0, "7"), (0.5, "0.5"), (200_000.0, "200 k")] {
            assert_eq!(plain(&number(value)), said);
        }
        for (share, said) in [
            (0.0, "0 %"),
            (0.123_45, "12.3 %"),
            (1.0, "100 %"),
            (0.999, "99.9 %"),
            (3e-5, "0.003 %"),
        ] {
            assert_eq!(plain(&percent(share)), said);
        }
        assert_eq!(plain(&counted(1, "packet")), "1 packet");
        assert_eq!(plain(&counted(1_500, "packet")), "1.5 k packets");
    }
}
