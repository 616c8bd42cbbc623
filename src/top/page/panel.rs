//! A table on the page: as many of its columns and rows as there is room for.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Row, Table as Grid, Widget};

use crate::top::palette::Palette;
use crate::top::table::{Cell, Table};

#[derive(Debug)]
pub(super) struct Panel<'a> {
    pub(super) table: &'a Table,
    /// The column by which it is in order, where that can be chosen.
    pub(super) order: Option<usize>,
    /// Between columns [characters].
    pub(super) spacing: u16,
    pub(super) palette: &'a Palette,
}

impl Panel<'_> {
    /// What all of its columns take [characters].
    pub(super) fn width(&self) -> u16 {
        let widths = self.table.widths();
        widths.iter().sum::<u16>() + self.spacing * (widths.len().saturating_sub(1)) as u16
    }

    /// What is shown of each column in so much room: all of it, or nothing.
    fn columns(&self, room: u16) -> Vec<u16> {
        let mut taken = 0;
        let widths = self.table.widths().into_iter().take_while(|width| {
            taken += width;
            let fits = taken <= room;
            taken += self.spacing;
            fits
        });
        widths.collect()
    }
}

impl Widget for Panel<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let Palette { heading, order, .. } = *self.palette;
        let widths = self.columns(area.width);
        let header = self.table.columns.iter().enumerate().map(|(column, title)| {
            let style = if self.order == Some(column) { order } else { heading };
            let title = Line::styled(*title, style);
            // Figures stand to the right, and so does what is above them.
            if column == 0 { title } else { title.right_aligned() }
        });
        let rows =
            self.table.rows.iter().map(|row| Row::new(row.iter().map(|cell| self.cell(cell))));
        Grid::new(rows, widths.into_iter().map(Constraint::Length))
            .header(Row::new(header))
            .column_spacing(self.spacing)
            .render(area, buf);
    }
}

impl Panel<'_> {
    fn cell(&self, cell: &Cell) -> Line<'static> {
        let style = match cell {
            Cell::Busy(share) if *share >= BUSY => self.palette.alarm,
            Cell::Busy(share) if *share >= RATHER_BUSY => self.palette.warning,
            Cell::Name(_) => self.palette.label,
            _ => Style::new(),
        };
        let line = Line::styled(cell.text(), style);
        if matches!(cell, Cell::Name(_)) { line } else { line.right_aligned() }
    }
}

/// Parts of its time after which a core has little left, and somewhat.
const BUSY: f64 = 0.9;
const RATHER_BUSY: f64 = 0.7;
