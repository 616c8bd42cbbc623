//! Colours that nearly everybody can tell apart: Okabe and Ito's, "Color Universal Design" (2008).

use plotters::style::RGBColor;

pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
pub(super) const VERMILLION: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
pub(super) const ORANGE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
pub(super) const PURPLE: RGBColor = RGBColor(0xCC, 0x79, 0xA7);
pub(super) const SKY: RGBColor = RGBColor(0x56, 0xB4, 0xE9);
pub(super) const YELLOW: RGBColor = RGBColor(0xF0, 0xE4, 0x42);

/// Of text and axes. The page's style makes it light where the page is dark.
pub(super) const INK: RGBColor = RGBColor(0x00, 0x00, 0x00);
/// Of lines that help the eye. The page's style makes it dark where the page is.
pub(super) const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
/// Of what is left over; on light pages and dark ones.
pub(super) const GREY: RGBColor = RGBColor(0x99, 0x99, 0x99);

/// For things in a row, the first of them first.
pub(super) const IN_ORDER: [RGBColor; 7] = [BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, YELLOW];
