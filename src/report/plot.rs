//! A plot, and how it is drawn: as SVG with text that stays text.
//!
//! plotters draws at whole pixels, so a picture has more of them than it is wide on the page. What
//! is told when the pointer rests on something lies over the picture as elements of its own.

mod hints;
mod names;
mod thin;

use anyhow::Result;
use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

pub(super) use self::hints::{Hint, Spot};
use self::thin::thinned;
use super::axis::Axis;
use super::colours::{GRID, INK};

#[derive(Debug)]
pub(super) struct Plot {
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Later ones are drawn over earlier ones.
    pub(super) series: Vec<Series>,
    pub(super) hints: Vec<Hint>,
}

/// What has one colour, and a name beside it unless that is empty.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) colour: RGBColor,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Lines(Vec<Run>),
    /// Seen through the more, the less their opacity; 1 hides what is below.
    Areas {
        areas: Vec<Area>,
        opacity: f64,
    },
    Dots(Vec<Point>),
    /// From one corner to the opposite one.
    Bars(Vec<[Point; 2]>),
}

/// Values of both axes.
pub(super) type Point = (f64, f64);

/// Points without a gap between them, from left to right.
pub(super) type Run = Vec<Point>;

/// All between two lines.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) lower: Run,
    pub(super) upper: Run,
}

/// On the picture.
type Pixel = (i32, i32);

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Plot {
    pub(super) fn to_svg(&self, described: &str) -> Result<String> {
        let mut svg = String::new();
        let overlay = self.draw(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area())?;
        let opened = svg.replacen(
            "<svg ",
            &format!("<svg role=\"img\" aria-label=\"{}\" ", hints::escaped(described)),
            1,
        );
        let inside = opened.trim_end().trim_end_matches("</svg>");
        Ok(format!("{inside}{overlay}</svg>\n"))
    }

    /// Draws all that is seen; returns what is told of it.
    fn draw(&self, canvas: &Canvas) -> Result<String> {
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(FONT / 2)
            .margin_right(names::width(&self.series))
            .x_label_area_size(3 * FONT)
            .y_label_area_size(label_width(&self.y) + 2 * FONT)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID.stroke_width(LINE / 2))
            .light_line_style(ShapeStyle::from(GRID.mix(0.0)))
            .axis_style(INK.stroke_width(LINE / 2))
            .label_style(text_style())
            .axis_desc_style(text_style())
            .x_desc(&self.x.title)
            .y_desc(&self.y.title)
            .draw()?;
        let pixel = |point: Point| chart.backend_coord(&point);
        for series in &self.series {
            series.draw(canvas, pixel)?;
        }
        let (columns, rows) = chart.plotting_area().get_pixel_range();
        names::draw(canvas, &self.series, pixel, columns.end, rows.clone())?;
        let overlay = hints::overlay(&self.hints, pixel, columns, rows);
        canvas.present()?;
        Ok(overlay)
    }
}

impl Series {
    fn draw(&self, canvas: &Canvas, pixel: impl Fn(Point) -> Pixel) -> Result<()> {
        let pixels = |run: &[Point]| thinned(run.iter().copied().map(&pixel));
        let filled = self.colour.filled();
        match &self.shape {
            Shape::Lines(runs) => {
                for run in runs {
                    match pixels(run).as_slice() {
                        [] => {}
                        // A line of one point is not seen.
                        [point] => canvas.draw(&Circle::new(*point, LINE, filled))?,
                        points => {
                            let style = self.colour.stroke_width(LINE);
                            canvas.draw(&PathElement::new(points.to_vec(), style))?;
                        }
                    }
                }
            }
            Shape::Areas { areas, opacity } => {
                let style = self.colour.mix(*opacity).filled();
                for area in areas {
                    let mut outline = pixels(&area.upper);
                    outline.extend(pixels(&area.lower).into_iter().rev());
                    canvas.draw(&Polygon::new(outline, style))?;
                }
            }
            Shape::Dots(points) => {
                let style = self.colour.mix(DOT_OPACITY).filled();
                for point in thin::distinct(points.iter().copied().map(&pixel)) {
                    canvas.draw(&Circle::new(point, LINE, style))?;
                }
            }
            Shape::Bars(bars) => {
                for corners in bars {
                    canvas.draw(&Rectangle::new(corners.map(&pixel), filled))?;
                }
            }
        }
        Ok(())
    }
}

/// What the labels of an axis take [pixels].
fn label_width(axis: &Axis) -> u32 {
    axis.labels().map(text_width).max().unwrap_or(0)
}

/// About what a text takes [pixels]; the reader's fonts are not known here.
fn text_width(text: &str) -> u32 {
    text.chars().count() as u32 * FONT * 56 / 100
}

fn text_style() -> TextStyle<'static> {
    // plotters takes a font's height for its size, which SVG does not.
    TextStyle::from(("sans-serif", f64::from(FONT) * 1.24).into_font()).color(&INK)
}

/// Of every picture [pixels]; twice what it takes on a page of middling width.
const SIZE: (u32, u32) = (1_080, 620);

/// [pixels].
const FONT: u32 = 26;
const LINE: u32 = 4;

/// Where many lie one over the other, it is darker.
const DOT_OPACITY: f64 = 0.5;
