//! No more of a line than its pixels can show.

use std::collections::HashSet;

use super::Pixel;

/// Of each column of pixels where the line comes in, how far up and down it goes, and where it leaves.
/// Points come from left to right.
pub(super) fn thinned(points: impl IntoIterator<Item = Pixel>) -> Vec<Pixel> {
    let mut kept = Vec::new();
    let mut column: Vec<Pixel> = Vec::new();
    for point in points {
        if column.first().is_some_and(|first| first.0 != point.0) {
            keep(&mut kept, &column);
            column.clear();
        }
        column.push(point);
    }
    keep(&mut kept, &column);
    kept
}

/// Each place once.
pub(super) fn distinct(points: impl IntoIterator<Item = Pixel>) -> Vec<Pixel> {
    let mut seen = HashSet::new();
    points.into_iter().filter(|point| seen.insert(*point)).collect()
}

fn keep(kept: &mut Vec<Pixel>, column: &[Pixel]) {
    let by_height = |index: &usize| (column[*index].1, *index);
    let all = 0..column.len();
    let ends = [
        all.clone().next(),
        all.clone().min_by_key(by_height),
        all.clone().max_by_key(by_height),
        all.last(),
    ];
    let mut indices: Vec<usize> = ends.into_iter().flatten().collect();
    indices.sort_unstable();
    indices.dedup();
    let points = indices.into_iter().map(|index| column[index]);
    // What stands still is one point.
    for point in points {
        if kept.last() != Some(&point) {
            kept.push(point);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_stay_and_what_cannot_be_seen_goes() {
        let column: Vec<Pixel> =
            (0..1_000).map(|i| (7, if i == 500 { 900 } else { i % 10 })).collect();
        let points = [&[(6, 5)], column.as_slice(), &[(8, 5)]].concat();
        assert_eq!(thinned(points), [(6, 5), (7, 0), (7, 900), (7, 9), (8, 5)]);
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let points = [(0, 3), (2, 1), (4, 9)];
        assert_eq!(thinned(points), points);
        assert_eq!(thinned([(0, 3), (0, 3)]), [(0, 3)]);
        assert!(thinned([]).is_empty());
        assert_eq!(distinct([(1, 1), (2, 2), (1, 1)]), [(1, 1), (2, 2)]);
    }
}
