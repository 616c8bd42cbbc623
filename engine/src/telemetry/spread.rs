//! How values are spread: counts by size, of which quantiles can be told.

use std::fmt;

use hdrhistogram::Histogram;

/// Sizes or times [whatever the owner says], each known to within a tenth.
#[derive(Clone)]
pub struct Spread {
    histogram: Histogram<u64>,
}

impl Spread {
    /// Takes all memory that it will need. What is above `most` counts as `most`.
    pub fn new(most: u64) -> Self {
        let histogram = Histogram::new_with_bounds(1, most, SIGNIFICANT_DIGITS)
            .expect("constant bounds that hdrhistogram accepts");
        Spread { histogram }
    }

    #[inline]
    pub fn record(&mut self, value: u64, count: u64) {
        self.histogram.saturating_record_n(value, count);
    }

    /// Adds what another counted of the same.
    pub fn add(&mut self, other: &Spread) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
    }

    /// Takes over the counts of another of the same, without allocating.
    pub fn copy_from(&mut self, other: &Spread) {
        self.histogram.reset();
        self.add(other);
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// No more than this are so many of all, from 0 to 1; zero if there are none.
    pub fn quantile(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile).min(self.max())
    }

    pub fn max(&self) -> u64 {
        self.histogram.max()
    }
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spread").field("count", &self.count()).field("max", &self.max()).finish()
    }
}

const SIGNIFICANT_DIGITS: u8 = 1;
