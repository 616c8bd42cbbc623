//! Percentile tables in the text form that HdrHistogram's implementations share, and that its plotters
//! read.

use std::fmt::Write;

use hdrhistogram::Histogram;

/// The table of a histogram, its values divided by `scale`.
pub(super) fn table(histogram: &Histogram<u64>, scale: f64) -> String {
    let digits = usize::from(histogram.sigfig());
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / scale;
        let level = step.quantile_iterated_to();
        let _ = write!(out, "{value:12.digits$} {level:.12} {total:10}");
        // Nothing lies beyond the last one.
        let _ = match level < 1.0 {
            true => writeln!(out, " {:14.2}", 1.0 / (1.0 - level)),
            false => writeln!(out),
        };
    }
    let (mean, deviation) = (histogram.mean() / scale, histogram.stdev() / scale);
    let _ =
        writeln!(out, "#[Mean    = {mean:12.digits$}, StdDeviation   = {deviation:12.digits$}]");
    let (max, count) = (histogram.max() as f64 / scale, histogram.len());
    let _ = writeln!(out, "#[Max     = {max:12.digits$}, Total count    = {count:12}]");
    // Of each bucket as many as tell values apart to so many digits.
    let sub_buckets = (2 * 10_u64.pow(digits as u32)).next_power_of_two();
    let buckets = histogram.buckets();
    let _ = writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]");
    out
}

/// As HdrHistogram's own programs have it: so many rows between 0 and 50 %, between there and 75 %,
/// and so on.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// As the reference implementation (Java) prints the same values.
    #[test]
    fn it_reads_like_hdr_histograms_own() {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        histogram.record_n(1_000, 3).unwrap();
        histogram.record(2_500).unwrap();
        assert_eq!(
            table(&histogram, 1_000.0),
            "       Value     Percentile TotalCount 1/(1-Percentile)

       1.000 0.000000000000          3           1.00
       1.000 0.100000000000          3           1.11
       1.000 0.200000000000          3           1.25
       1.000 0.300000000000          3           1.43
       1.000 0.400000000000          3           1.67
       1.000 0.500000000000          3           2.00
       1.000 0.550000000000          3           2.22
       1.000 0.600000000000          3           2.50
       1.000 0.650000000000          3           2.86
       1.000 0.700000000000          3           3.33
       1.000 0.750000000000          3           4.00
       2.501 0.775000000000          4           4.44
       2.501 1.000000000000          4
#[Mean    =        1.375, StdDeviation   =        0.650]
#[Max     =        2.501, Total count    =            4]
#[Buckets =           26, SubBuckets     =         2048]
"
        );
    }

    #[test]
    fn where_nothing_was_recorded_there_are_no_rows() {
        let histogram = Histogram::new_with_bounds(1, 1_000, 3).unwrap();
        let table = table(&histogram, 1.0);
        assert_eq!(table.lines().count(), 5, "{table}");
        assert!(table.contains("Total count    =            0"), "{table}");
    }
}
