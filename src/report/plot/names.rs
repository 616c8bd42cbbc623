//! Series' names, beside where each ends rather than in a box of their own.

use std::ops::Range;

use anyhow::Result;
use plotters::element::{Rectangle, Text};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Canvas, FONT, LINE, Pixel, Point, Series, Shape, text_style, text_width};

/// What the names take on the right of a plot [pixels].
pub(super) fn width(series: &[Series]) -> u32 {
    let widest = series.iter().map(|each| text_width(&each.name)).max();
    widest.map_or(FONT, |widest| widest + 2 * FONT)
}

/// Writes them to the right of the column `left`, within the given rows of pixels.
pub(super) fn draw(
    canvas: &Canvas,
    series: &[Series],
    pixel: impl Fn(Point) -> Pixel,
    left: i32,
    rows: Range<i32>,
) -> Result<()> {
    let mut named: Vec<(i32, &Series)> = (series.iter())
        .filter(|each| !each.name.is_empty())
        .filter_map(|each| Some((pixel(each.shape.end()?).1, each)))
        .collect();
    named.sort_by_key(|(row, _)| *row);
    let wanted: Vec<i32> = named.iter().map(|(row, _)| *row).collect();
    let (font, line) = (FONT as i32, LINE as i32);
    let style = text_style().pos(Pos::new(HPos::Left, VPos::Center));
    for (row, (_, each)) in apart(&wanted, font * 5 / 4, rows).into_iter().zip(named) {
        let mark = [(left + font / 2, row - line), (left + font, row + line)];
        canvas.draw(&Rectangle::new(mark, each.colour.filled()))?;
        canvas.draw(&Text::new(each.name.as_str(), (left + font * 5 / 4, row), style.clone()))?;
    }
    Ok(())
}

impl Shape {
    /// Where its name belongs.
    fn end(&self) -> Option<Point> {
        match self {
            Shape::Lines(runs) => runs.last()?.last().copied(),
            Shape::Areas { areas, .. } => {
                let area = areas.last()?;
                let ((x, lower), (_, upper)) = (area.lower.last()?, area.upper.last()?);
                Some((*x, f64::midpoint(*lower, *upper)))
            }
            // They lie all over the place; the highest is as good as any.
            Shape::Dots(points) => points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)),
            Shape::Bars(bars) => bars.first().map(|[corner, _]| *corner),
        }
    }
}

/// Rows near those that are `wanted`, which are in order, at least so far apart, and within `rows` as far
/// as there is room.
fn apart(wanted: &[i32], distance: i32, rows: Range<i32>) -> Vec<i32> {
    let mut placed: Vec<i32> = Vec::with_capacity(wanted.len());
    for row in wanted {
        let least = placed.last().map_or(rows.start + distance / 2, |last| last + distance);
        placed.push((*row).max(least));
    }
    let mut most = rows.end - distance / 2;
    for row in placed.iter_mut().rev() {
        *row = (*row).min(most);
        most = *row - distance;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_cover_each_other() {
        assert_eq!(apart(&[50, 52, 90], 10, 0..100), [50, 60, 90]);
        assert_eq!(apart(&[97, 98, 99], 10, 0..100), [75, 85, 95]);
        assert_eq!(apart(&[0, 0], 10, 0..100), [5, 15]);
        assert!(apart(&[], 10, 0..100).is_empty());
    }
}
