//! Figures as they are shown: three digits that count, SI prefixes, and always the same width, so that
//! nothing jumps as they change.

/// How often something happens: `65.2 k/s`.
pub(super) fn per_second(rate: f64) -> String {
    with_prefix(rate, "/s")
}

/// Payload as networks count it: `1.20 Gbit/s`.
pub(super) fn bits(rate: f64) -> String {
    with_prefix(rate, "bit/s")
}

/// A time [ns]: `45.6 µs`.
pub(super) fn time(nanos: f64) -> String {
    let (digits, steps) = scaled(nanos);
    let unit = ["ns", "µs", "ms", "s "].get(steps).unwrap_or(&"ks");
    format!("{digits:>4} {unit}")
}

/// `95.2 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    // Three digits: what is all is not 100.0.
    let decimals = usize::from(percent < 99.95);
    format!("{percent:>4.decimals$} %")
}

/// All digits, by thousands: `1,234,567`.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<_> = (digits.as_bytes().rchunks(3).rev())
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    groups.join(",")
}

/// For how long: `1 h 02 min`.
pub(super) fn lasted(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {:02} s", seconds % 60),
        (0, _, _) => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

fn with_prefix(value: f64, unit: &str) -> String {
    let (digits, steps) = scaled(value);
    let prefix = ["", "k", "M", "G", "T", "P"].get(steps).unwrap_or(&"E");
    let width = 1 + unit.len();
    format!("{digits:>4} {:<width$}", format!("{prefix}{unit}"))
}

/// Three digits, and by how many thousands they are to be multiplied.
fn scaled(value: f64) -> (String, usize) {
    let mut value = value.max(0.0);
    let mut steps = 0;
    while value >= 999.5 {
        value /= 1_000.0;
        steps += 1;
    }
    let digits = match value {
        0.0 => "0".to_owned(),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    (digits, steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        let shown = [0.0, 0.5, 9.994, 9.996, 99.96, 999.4, 999.6, 65_234.0, 1.2e9].map(per_second);
        let expected = [
            "   0 /s ", "0.50 /s ", "9.99 /s ", "10.0 /s ", " 100 /s ", " 999 /s ", "1.00 k/s",
            "65.2 k/s", "1.20 G/s",
        ];
        assert_eq!(shown, expected);
        assert_eq!([0.0, 1.5e9].map(bits), ["   0 bit/s ", "1.50 Gbit/s"]);
        let times = [12.0, 45_600.0, 1.234e6, 3.0e9].map(time);
        assert_eq!(times, ["12.0 ns", "45.6 µs", "1.23 ms", "3.00 s "]);
    }

    #[test]
    fn the_width_is_always_the_same() {
        for exponent in -4..19 {
            for mantissa in [1.0, 5.4321, 9.9949, 9.995, 9.9999] {
                let value = mantissa * 10_f64.powi(exponent);
                assert_eq!(per_second(value).chars().count(), 8, "{value}");
                assert_eq!(bits(value).chars().count(), 11, "{value}");
            }
        }
        for share in [0.0, 0.001, 0.0999, 0.5, 0.9994, 0.9996, 1.0] {
            assert_eq!(percent(share).len(), 6, "{share}");
        }
    }

    #[test]
    fn counts_and_durations_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let shown = [59, 61, 3_725, 90_000].map(lasted);
        assert_eq!(shown, ["59 s", "1 min 01 s", "1 h 02 min", "1 d 01 h"]);
    }
}
