//! Times as people read them: in UTC, of seconds since 1970.

use std::time::{Duration, UNIX_EPOCH};

/// `2026-11-22 09:15:00`.
pub(super) fn date_and_time(at: f64) -> String {
    let since = Duration::try_from_secs_f64(at.min(LATEST)).unwrap_or_default();
    // RFC 3339 §4.3, without the letters.
    let whole = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
    whole.replace('T', " ").replace('Z', "")
}

/// `11-22`.
pub(super) fn month_day(at: f64) -> String {
    date_and_time(at)[5..10].to_owned()
}

/// `09:15`.
pub(super) fn hours_minutes(at: f64) -> String {
    date_and_time(at)[11..16].to_owned()
}

/// `09:15:00`.
pub(super) fn hours_minutes_seconds(at: f64) -> String {
    date_and_time(at)[11..].to_owned()
}

/// The last that has four digits for its year.
const LATEST: f64 = 253_402_300_799.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_instant_in_four_ways() {
        let at = 1_700_049_675.9;
        assert_eq!(date_and_time(at), "2023-11-15 12:01:15");
        assert_eq!(month_day(at), "11-15");
        assert_eq!(hours_minutes(at), "12:01");
        assert_eq!(hours_minutes_seconds(at), "12:01:15");
    }
}
