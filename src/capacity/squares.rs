//! Least squares with coefficients that cannot be negative: nothing takes less than no time.

/// What was found for `y ≈ Σ coefficient · x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit<const N: usize> {
    /// Zero for those that explain nothing, or nothing that the others do not.
    pub(super) coefficients: [f64; N],
    /// Standard errors; of a coefficient that was left out there is none.
    pub(super) errors: [Option<f64>; N],
    /// Which part of the variance of `y` is explained, from 0 to 1.
    pub(super) r_squared: f64,
}

impl<const N: usize> Fit<N> {
    pub(super) fn at(&self, x: &[f64; N]) -> f64 {
        dot(&self.coefficients, x)
    }
}

/// One observation.
pub(super) type Row<const N: usize> = ([f64; N], f64);

/// Fits all rows. `None`: there are not enough, or no coefficient can be told from them.
///
/// The best of all choices of coefficients that come out positive by themselves; with the few that are
/// asked for here, trying each choice is simplest, and exact. Where two explain as much, as they do when
/// all packets are of one size, it is the one with the sooner coefficients.
pub(super) fn fit<const N: usize>(rows: &[Row<N>]) -> Option<Fit<N>> {
    let choices = (1..1_u32 << N).map(|bits| std::array::from_fn(|n| bits & (1 << n) != 0));
    let fits: Vec<_> = choices.filter_map(|chosen| fit_chosen(rows, &chosen)).collect();
    let least = fits.iter().map(|(left, _)| *left).min_by(f64::total_cmp)?;
    fits.into_iter().find(|(left, _)| *left <= least * ALIKE).map(|(_, fit)| fit)
}

/// The same without the few rows that are far from all others': a second in which something else had
/// the core. Returns how many were left out, too.
pub(super) fn fit_most<const N: usize>(rows: &[Row<N>]) -> Option<(Fit<N>, usize)> {
    let first = fit(rows)?;
    let distance = |(x, y): &Row<N>| (y - first.at(x)).abs();
    let typical = median(rows.iter().map(distance))?;
    let kept: Vec<_> =
        rows.iter().filter(|row| distance(row) <= OUTLIER * typical).copied().collect();
    let left_out = rows.len() - kept.len();
    match fit(&kept) {
        Some(fit) if left_out <= rows.len() / OUTLIERS_ONE_IN => Some((fit, left_out)),
        _ => Some((first, 0)),
    }
}

/// The sum of squares that is left with these coefficients alone, and the fit.
fn fit_chosen<const N: usize>(rows: &[Row<N>], chosen: &[bool; N]) -> Option<(f64, Fit<N>)> {
    let count = chosen.iter().filter(|chosen| **chosen).count();
    let freedom = rows.len().checked_sub(count).filter(|freedom| *freedom > 0)?;
    // In units in which all columns are alike, so that small ones are not taken for nothing.
    let scale: [f64; N] =
        std::array::from_fn(|n| rows.iter().map(|(x, _)| x[n] * x[n]).sum::<f64>().sqrt());
    let mut normal = [[0.0; N]; N];
    let mut right = [0.0; N];
    for n in 0..N {
        // One that is not chosen is an equation of its own, which says zero.
        normal[n][n] = 1.0;
        if !chosen[n] {
            continue;
        }
        if scale[n] == 0.0 {
            return None;
        }
        right[n] = rows.iter().map(|(x, y)| x[n] * y).sum::<f64>() / scale[n];
        for m in (0..N).filter(|m| chosen[*m]) {
            let products: f64 = rows.iter().map(|(x, _)| x[n] * x[m]).sum();
            normal[n][m] = products / (scale[n] * scale[m]);
        }
    }
    let inverse = invert(normal)?;
    let scaled: [f64; N] = std::array::from_fn(|n| dot(&inverse[n], &right));
    let coefficients: [f64; N] =
        std::array::from_fn(|n| if chosen[n] { scaled[n] / scale[n] } else { 0.0 });
    if coefficients.iter().any(|c| *c < 0.0 || !c.is_finite()) {
        return None;
    }
    let left: f64 = rows.iter().map(|(x, y)| (y - dot(&coefficients, x)).powi(2)).sum();
    let mean = rows.iter().map(|(_, y)| y).sum::<f64>() / rows.len() as f64;
    let total: f64 = rows.iter().map(|(_, y)| (y - mean).powi(2)).sum();
    let variance = left / freedom as f64;
    let error = |n: usize| (variance * inverse[n][n]).sqrt() / scale[n];
    let fit = Fit {
        coefficients,
        errors: std::array::from_fn(|n| chosen[n].then(|| error(n))),
        r_squared: if total > 0.0 { (1.0 - left / total).max(0.0) } else { 0.0 },
    };
    Some((left, fit))
}

/// Gauss and Jordan, with the largest pivot first. `None`: two columns say the same.
fn invert<const N: usize>(mut matrix: [[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let mut inverse: [[f64; N]; N] =
        std::array::from_fn(|n| std::array::from_fn(|m| f64::from(u8::from(n == m))));
    for column in 0..N {
        let size = |row: &usize| matrix[*row][column].abs();
        let pivot = (column..N).max_by(|one, other| size(one).total_cmp(&size(other)))?;
        if size(&pivot) < SINGULAR {
            return None;
        }
        matrix.swap(column, pivot);
        inverse.swap(column, pivot);
        let by = matrix[column][column];
        for m in 0..N {
            matrix[column][m] /= by;
            inverse[column][m] /= by;
        }
        for row in (0..N).filter(|row| *row != column) {
            let by = matrix[row][column];
            for m in 0..N {
                matrix[row][m] -= by * matrix[column][m];
                inverse[row][m] -= by * inverse[column][m];
            }
        }
    }
    Some(inverse)
}

fn dot<const N: usize>(one: &[f64; N], other: &[f64; N]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// The middle one; of an even number, the mean of the two in the middle.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

/// So many times the typical distance is four standard deviations of a normal distribution and more.
const OUTLIER: f64 = 6.0;

/// Where more than one row in so many is far from the rest, it is the model that is wrong.
const OUTLIERS_ONE_IN: usize = 5;

/// Of columns of length 1: what is left of one when the others are taken away.
const SINGULAR: f64 = 1e-6;

/// Sums of squares that differ by less are alike.
const ALIKE: f64 = 1.0 + 1e-6;

#[cfg(test)]
mod tests {
    use ringroad_engine::random::Random;

    use super::*;

    /// Between -1 and 1.
    fn noise(random: &mut Random) -> f64 {
        random.below(2_000_001) as f64 / 1e6 - 1.0
    }

    #[test]
    fn known_costs_come_back_within_their_errors() {
        let random = &mut Random::new(1);
        let costs = [2e-6, 0.7e-6, 11e-6];
        let rows: Vec<Row<3>> = (1..40)
            .map(|n| {
                let packets = 10_000.0 * f64::from(n);
                let turns = packets / (1.0 + f64::from(n) / 4.0);
                let connections = 500.0 * f64::from(n % 5);
                let x = [turns, packets, connections];
                (x, dot(&costs, &x) * (1.0 + 0.01 * noise(random)))
            })
            .collect();
        let found = fit(&rows).unwrap();
        assert!(found.r_squared > 0.99, "{found:?}");
        for ((cost, coefficient), error) in costs.iter().zip(found.coefficients).zip(found.errors) {
            let error = error.unwrap();
            assert!((coefficient - cost).abs() < 3.0 * error, "{found:?}");
            assert!(error < 0.1 * cost, "{found:?}");
        }
    }

    #[test]
    fn nothing_costs_less_than_nothing() {
        let rows: Vec<Row<2>> =
            (1..10).map(f64::from).map(|n| ([n, n * n], 3.0 * n - 0.05 * n * n)).collect();
        let found = fit(&rows).unwrap();
        assert_eq!((found.coefficients[1], found.errors[1]), (0.0, None));
        assert!((2.0..3.0).contains(&found.coefficients[0]), "{found:?}");
    }

    #[test]
    fn what_cannot_be_told_apart_is_one() {
        let rows: Vec<Row<2>> = (1..10).map(f64::from).map(|n| ([n, 4.0 * n], 8.0 * n)).collect();
        let found = fit(&rows).unwrap();
        assert_eq!(found.errors.iter().filter(|error| error.is_some()).count(), 1, "{found:?}");
        assert!((found.at(&[1.0, 4.0]) - 8.0).abs() < 1e-9);
        assert_eq!(fit(&rows[..1]), None, "one row says nothing of errors");
    }

    #[test]
    fn a_second_that_was_somebody_elses_is_left_out() {
        let random = &mut Random::new(2);
        let mut rows: Vec<Row<1>> =
            (1..30).map(f64::from).map(|n| ([n], 5.0 * n + 0.01 * noise(random))).collect();
        rows[7].1 += 40.0;
        let (found, left_out) = fit_most(&rows).unwrap();
        assert_eq!(left_out, 1);
        assert!((found.coefficients[0] - 5.0).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }
}
