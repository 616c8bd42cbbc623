//! Adding up what several cores counted.

/// Adds counts field by field. All fields have to be named: one that is new and forgotten is an
/// error of the compiler's.
macro_rules! add_counts {
    ($into:expr, $from:expr; $Counts:ident { $($field:ident),+ $(,)? }) => {{
        let $Counts { $($field),+ } = $from;
        $($into.$field += $field;)+
    }};
}
pub(crate) use add_counts;

/// The same for counts that stand in a row.
pub(crate) fn add_each(into: &mut [u64], from: &[u64]) {
    for (sum, count) in into.iter_mut().zip(from) {
        *sum += count;
    }
}
