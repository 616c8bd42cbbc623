//! The last minutes, as far as they fit a line.

use std::collections::VecDeque;

/// What an interval was like: its payload [bit/s], and the p99 of the time inside [ns], if anything
/// was forwarded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment {
    pub(super) bits: f64,
    pub(super) p99_ns: Option<f64>,
}

/// Intervals one behind the other, [`PER_COLUMN`] of them a column of the screen.
#[derive(Debug, Default)]
pub(super) struct History {
    columns: VecDeque<Column>,
}

#[derive(Debug, Default)]
struct Column {
    intervals: usize,
    bits: f64,
    p99_ns: Option<f64>,
}

impl History {
    pub(super) fn push(&mut self, moment: Moment) {
        if self.columns.back().is_none_or(|column| column.intervals == PER_COLUMN) {
            if self.columns.len() == COLUMNS_KEPT {
                self.columns.pop_front();
            }
            self.columns.push_back(Column::default());
        }
        if let Some(column) = self.columns.back_mut() {
            column.intervals += 1;
            column.bits += moment.bits;
            // The worst of them: what a mean would hide.
            column.p99_ns = column.p99_ns.into_iter().chain(moment.p99_ns).reduce(f64::max);
        }
    }

    /// The latest `most` columns of payload, oldest first [bit/s].
    pub(super) fn bits(&self, most: usize) -> Vec<f64> {
        self.latest(most).map(|column| column.bits / column.intervals as f64).collect()
    }

    /// The latest `most` columns of p99, oldest first [ns].
    pub(super) fn p99_ns(&self, most: usize) -> Vec<Option<f64>> {
        self.latest(most).map(|column| column.p99_ns).collect()
    }

    fn latest(&self, most: usize) -> impl Iterator<Item = &Column> {
        self.columns.iter().skip(self.columns.len().saturating_sub(most))
    }
}

/// At one a second, a line of sixty columns is three minutes.
const PER_COLUMN: usize = 3;

/// As many as the widest of screens has.
const COLUMNS_KEPT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_the_mean_of_rates_and_the_worst_of_times() {
        let mut history = History::default();
        for (bits, p99_ns) in [(1.0, None), (2.0, Some(30.0)), (6.0, Some(20.0)), (5.0, None)] {
            history.push(Moment { bits, p99_ns });
        }
        assert_eq!(history.bits(10), [3.0, 5.0]);
        assert_eq!(history.p99_ns(10), [Some(30.0), None]);
        assert_eq!(history.bits(1), [5.0], "the latest");
    }

    #[test]
    fn what_is_long_past_goes() {
        let mut history = History::default();
        for number in 0..PER_COLUMN * (COLUMNS_KEPT + 1) {
            history.push(Moment { bits: (number / PER_COLUMN) as f64, p99_ns: None });
        }
        let bits = history.bits(usize::MAX);
        assert_eq!((bits.len(), bits[0]), (COLUMNS_KEPT, 1.0));
    }
}
