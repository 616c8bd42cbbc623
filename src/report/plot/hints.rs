//! What is told when the pointer rests on a part of a plot.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;

use maud::html;

use super::{LINE, Pixel, Point};

#[derive(Clone, Debug)]
pub(in crate::report) struct Hint {
    pub(in crate::report) spot: Spot,
    pub(in crate::report) text: String,
}

/// What a hint is about.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) enum Spot {
    /// All that is nearer to this value of the horizontal axis than to another hint's.
    Column(f64),
    Dot(Point),
    Bar([Point; 2]),
}

/// Elements that are not seen and lie over a plot of these columns and rows of pixels. Columns are in
/// order.
pub(super) fn overlay(
    hints: &[Hint],
    pixel: impl Fn(Point) -> Pixel,
    columns: Range<i32>,
    rows: Range<i32>,
) -> String {
    let mut out = String::new();
    let mut taken = HashSet::new();
    let step = hints.len().div_ceil(COLUMNS_MAX).max(1);
    let middles = |hint: &Hint| match hint.spot {
        Spot::Column(x) => Some(pixel((x, 0.0)).0),
        Spot::Dot(_) | Spot::Bar(_) => None,
    };
    let shown: Vec<(&Hint, i32)> =
        hints.iter().step_by(step).filter_map(|hint| Some((hint, middles(hint)?))).collect();
    let mut left = columns.start;
    for (index, (hint, middle)) in shown.iter().enumerate() {
        let next = shown.get(index + 1);
        let right = next.map_or(columns.end, |(_, next)| i32::midpoint(*middle, *next));
        write_hint(&mut out, [(left, rows.start), (right, rows.end)], &hint.text);
        left = right;
    }
    for hint in hints {
        match hint.spot {
            Spot::Column(_) => {}
            Spot::Dot(point) => {
                let (x, y) = pixel(point);
                let near = 2 * LINE as i32;
                // Of what lies one over the other, one can be pointed at.
                if taken.insert((x / near, y / near)) {
                    write_hint(&mut out, [(x - near, y - near), (x + near, y + near)], &hint.text);
                }
            }
            Spot::Bar(corners) => {
                let [(x, y), (to_x, to_y)] = corners.map(&pixel);
                write_hint(
                    &mut out,
                    [(x.min(to_x), y.min(to_y)), (x.max(to_x), y.max(to_y))],
                    &hint.text,
                );
            }
        }
    }
    out
}

fn write_hint(out: &mut String, [(left, top), (right, bottom)]: [Pixel; 2], text: &str) {
    let (width, height) = (right - left, bottom - top);
    if width > 0 && height > 0 {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "<rect class=\"hint\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\">\
             <title>{}</title></rect>",
            escaped(text)
        );
    }
}

/// As text or as an attribute of SVG.
pub(super) fn escaped(text: &str) -> String {
    html! { (text) }.into_string()
}

/// More cannot be pointed at.
const COLUMNS_MAX: usize = 240;
