//! Tables: rows of figures that can be put in order by any of their columns.

use std::cmp::Ordering;

use super::figures;

/// A table as it was counted; the order of its rows is whoever looks at it's to choose.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Name(String),
    Count(u64),
    PerSecond(f64),
    Bits(f64),
    Share(f64),
    /// Of a core's time.
    Busy(f64),
    Nanos(f64),
    /// Whole ones, of what takes some hundreds.
    ShortNanos(f64),
    /// Nothing to be said.
    Nothing,
}

impl Table {
    pub(super) fn new(name: &'static str, columns: &[&'static str]) -> Self {
        Table { name, columns: columns.to_vec(), rows: Vec::new() }
    }

    /// With the most of a column first; by name, where there is as much, or where the column is one
    /// of names.
    pub(super) fn sorted_by(&self, column: usize) -> Table {
        let mut sorted = self.clone();
        sorted.rows.sort_by(|a, b| {
            let by_name = || a.first().zip(b.first()).map_or(Ordering::Equal, Cell::by_name);
            let more = |row: &[Cell]| row.get(column).map_or(f64::MIN, Cell::rank);
            more(b).total_cmp(&more(a)).then_with(by_name)
        });
        sorted
    }

    /// Without the columns in which no row has anything.
    pub(super) fn without_empty_columns(mut self) -> Self {
        let said: Vec<bool> = (0..self.columns.len())
            .map(|column| self.rows.iter().any(|row| row[column] != Cell::Nothing))
            .collect();
        let keep = |column: &mut usize| {
            let said = said[*column];
            *column += 1;
            said
        };
        let mut column = 0;
        self.columns.retain(|_| keep(&mut column));
        for row in &mut self.rows {
            let mut column = 0;
            row.retain(|_| keep(&mut column));
        }
        self
    }

    /// What each column takes [characters].
    pub(super) fn widths(&self) -> Vec<u16> {
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let widths = self.columns.iter().enumerate().map(|(column, title)| {
            let widest = cells(column).map(|cell| cell.text().chars().count()).max();
            widest.unwrap_or(0).max(title.chars().count()) as u16
        });
        widths.collect()
    }
}

impl Cell {
    pub(super) fn text(&self) -> String {
        match self {
            Cell::Name(name) => name.clone(),
            Cell::Count(count) => figures::count(*count),
            Cell::PerSecond(rate) => figures::per_second(*rate),
            Cell::Bits(rate) => figures::bits(*rate),
            Cell::Share(share) | Cell::Busy(share) => figures::percent(*share),
            Cell::Nanos(nanos) => figures::time(*nanos),
            Cell::ShortNanos(nanos) => format!("{nanos:>5.0}"),
            Cell::Nothing => "–".to_owned(),
        }
    }

    fn rank(&self) -> f64 {
        match self {
            Cell::Count(count) => *count as f64,
            Cell::PerSecond(figure)
            | Cell::Bits(figure)
            | Cell::Share(figure)
            | Cell::Busy(figure)
            | Cell::Nanos(figure)
            | Cell::ShortNanos(figure) => *figure,
            Cell::Name(_) | Cell::Nothing => f64::MIN,
        }
    }

    fn by_name((a, b): (&Cell, &Cell)) -> Ordering {
        match (a, b) {
            (Cell::Name(a), Cell::Name(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("services", &["service", "active", "idle"]);
        table.rows = [("web", 5), ("api", 5), ("ftp", 40)]
            .map(|(name, active)| {
                vec![Cell::Name(name.to_owned()), Cell::Count(active), Cell::Nothing]
            })
            .to_vec();
        table
    }

    fn names(table: &Table) -> Vec<String> {
        table.rows.iter().map(|row| row[0].text()).collect()
    }

    #[test]
    fn the_most_come_first_and_names_by_the_alphabet() {
        assert_eq!(names(&table().sorted_by(1)), ["ftp", "api", "web"]);
        assert_eq!(names(&table().sorted_by(0)), ["api", "ftp", "web"]);
        assert_eq!(names(&table().sorted_by(7)), ["api", "ftp", "web"], "no such column");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        assert_eq!(table().widths(), [7, 6, 4]);
        let full = table().without_empty_columns();
        assert_eq!((full.columns, full.rows[0].len()), (vec!["service", "active"], 2));
    }
}
