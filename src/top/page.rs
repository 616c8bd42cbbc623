//! The page: what is drawn where. What there is no room for goes, the least important first.

mod panel;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, RenderDirection, Sparkline, Widget};

use self::panel::Panel;
use super::figures::{bits, count, lasted, per_second, percent, time};
use super::history::History;
use super::palette::Palette;
use super::screen::{Screen, TABLES};
use super::table::Table;
use super::view::View;

/// Everything that a page shows.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// The engine's socket.
    pub(super) socket: &'a str,
    /// `None`: nothing is known yet.
    pub(super) screen: Option<&'a Screen>,
    pub(super) history: &'a History,
    pub(super) view: &'a View,
    /// Why `screen` is of the past.
    pub(super) trouble: Option<&'a str>,
    pub(super) palette: &'a Palette,
}

impl Page<'_> {
    /// Rows in which all there is to show can be shown.
    pub(super) fn full_height(&self) -> u16 {
        let tables = self.screen.map_or(0, |screen| {
            screen.tables.iter().map(|table| TABLE_FRAME + table.rows.len() as u16).sum()
        });
        PARTS.iter().map(|part| part.rows).sum::<u16>() - TABLES_LEAST + tables.max(TABLES_APART)
    }
}

impl Widget for Page<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let [title, summary, trends, times, bottleneck, tables, footer] = divide(area);
        if let Some(screen) = self.screen {
            self.summary(screen, summary, buf);
            self.trends(trends, buf);
            self.times_and_cores(screen, times, buf);
            let label = Span::styled(label("bottleneck"), self.palette.label);
            Line::from_iter([label, Span::raw(&screen.cores.bottleneck)]).render(bottleneck, buf);
            self.tables(screen, tables, buf);
        }
        if self.trouble.is_some() {
            buf.set_style(area, self.palette.stale);
        }
        self.title(title, buf);
        self.footer(footer, buf);
        if self.view.help {
            help(area, buf);
        }
    }
}

impl Page<'_> {
    fn title(&self, area: Rect, buf: &mut Buffer) {
        let interval = self.view.interval.as_secs_f64();
        let mut title = format!(" ringroad top   {}   every {interval} s", self.socket);
        if let Some(screen) = self.screen {
            title += &format!("   up {}", lasted(screen.up_s));
        }
        if self.view.paused {
            title += "   PAUSED";
        }
        buf.set_style(area, self.palette.title);
        Line::raw(title).render(area, buf);
    }

    fn footer(&self, area: Rect, buf: &mut Buffer) {
        let line = match (self.trouble, self.screen) {
            (Some(trouble), _) => Line::styled(trouble, self.palette.alarm),
            (None, None) => Line::raw("waiting for the first interval to end"),
            (None, Some(_)) => Line::styled(KEYS, self.palette.heading),
        };
        Clear.render(area, buf);
        line.render(area, buf);
    }

    fn summary(&self, screen: &Screen, area: Rect, buf: &mut Buffer) {
        let Screen { packets, payload, connections, frames, .. } = screen;
        let share = frames.free as f64 / frames.capacity.max(1) as f64;
        let lines = [
            self.facts(
                "packets",
                &[
                    (per_second(packets.received), "in"),
                    (per_second(packets.sent), "out"),
                    (per_second(packets.retransmitted), "sent again"),
                    (per_second(packets.dropped), "dropped"),
                ],
            ),
            self.facts(
                "payload",
                &[
                    (bits(payload.to_clients), "to clients"),
                    (bits(payload.to_origins), "to origins"),
                ],
            ),
            self.facts(
                "connections",
                &[
                    (format!("{:>7}", count(connections.active)), "active"),
                    (per_second(connections.accepted), "new"),
                    (per_second(connections.refused), "refused"),
                    (per_second(connections.fell_back), "fell back"),
                ],
            ),
            self.facts(
                "frames",
                &[
                    (percent(share), "free"),
                    (format!("{:>9}", count(connections.half_open)), "half open"),
                    (screen.cookies.clone(), "cookies"),
                ],
            ),
        ];
        Paragraph::new(lines.to_vec()).render(area, buf);
    }

    /// A line of figures, each with what it is of.
    fn facts(&self, subject: &str, facts: &[(String, &'static str)]) -> Line<'static> {
        let mut spans = vec![Span::styled(label(subject), self.palette.label)];
        for (figure, of) in facts {
            spans.push(Span::styled(figure.clone(), self.palette.figure));
            spans.push(Span::raw(format!(" {of}  ")));
        }
        Line::from(spans)
    }

    fn trends(&self, area: Rect, buf: &mut Buffer) {
        let room = area.width.saturating_sub(LABEL + TREND_MOST).into();
        let payload = self.history.bits(room).into_iter().map(Some).collect();
        let p99 = self.history.p99_ns(room);
        let [upper, lower] = [0, 1].map(|row| row_of(area, row));
        self.trend("payload", payload, bits, upper, buf);
        self.trend("p99 inside", p99, time, lower, buf);
    }

    /// One line of what was, newest to the right, with the most that there was.
    fn trend(
        &self,
        subject: &str,
        values: Vec<Option<f64>>,
        figure: fn(f64) -> String,
        area: Rect,
        buf: &mut Buffer,
    ) {
        let most = values.iter().flatten().copied().fold(0.0, f64::max);
        Line::styled(label(subject), self.palette.label).render(area, buf);
        let (mut graph, mut end) = (area, area);
        graph.x += LABEL.min(area.width);
        graph.width = area.width.saturating_sub(LABEL + TREND_MOST);
        end.x = graph.right();
        end.width = area.right() - end.x;
        let newest_first = values.into_iter().rev().map(|value| value.map(|value| value as u64));
        Sparkline::default()
            .data(newest_first)
            .max((most as u64).max(1))
            .absent_value_symbol(" ")
            .direction(RenderDirection::RightToLeft)
            .style(self.palette.trend)
            .render(graph, buf);
        Line::raw(format!(" at most {}", figure(most))).render(end, buf);
    }

    fn times_and_cores(&self, screen: &Screen, area: Rect, buf: &mut Buffer) {
        let panel = |table, spacing| Panel { table, order: None, spacing, palette: self.palette };
        let (times, cores) = (panel(&screen.times, 2), panel(&screen.cores.table, 1));
        let (mut left, mut right) = (area, area);
        if TIMES_LEAST + cores.width() <= area.width {
            left.width = area.width - cores.width() - APART;
            left.width = left.width.min(times.width());
            right.x = left.right() + APART;
            right.width = area.right() - right.x;
            cores.render(right, buf);
        }
        times.render(left, buf);
    }

    /// All of them, if there is room; else the one that was chosen.
    fn tables(&self, screen: &Screen, area: Rect, buf: &mut Buffer) {
        let names = screen.tables.iter().map(|table| table.name);
        if area.height < TABLES_APART {
            let names = names.enumerate().flat_map(|(index, name)| self.tab(index, name));
            Line::from_iter(names).render(row_of(area, 0), buf);
            return self.table(screen, self.view.table, below(area, 1), buf);
        }
        let wanted = screen.tables.each_ref().map(|table| TABLE_FRAME + table.rows.len() as u16);
        let mut rest = area;
        for (index, rows) in share(area.height, wanted).into_iter().enumerate() {
            let part = Rect { height: rows, ..rest };
            Line::from_iter(self.tab(index, screen.tables[index].name)).render(part, buf);
            self.table(screen, index, below(part, 1), buf);
            rest = below(rest, rows);
        }
    }

    fn tab(&self, index: usize, name: &'static str) -> [Span<'static>; 2] {
        let chosen = index == self.view.table;
        let style = if chosen { self.palette.chosen } else { self.palette.label };
        [Span::styled(format!(" {name} "), style), Span::raw(" ")]
    }

    fn table(&self, screen: &Screen, index: usize, area: Rect, buf: &mut Buffer) {
        let (table, look) = (&screen.tables[index], self.view.looks[index]);
        let order = look.order % table.columns.len();
        let mut table: Table = table.sorted_by(order);
        table.rows.drain(..look.scrolled.min(table.rows.len()));
        let panel = Panel { table: &table, order: Some(order), spacing: 2, palette: self.palette };
        panel.render(area, buf);
    }
}

fn help(area: Rect, buf: &mut Buffer) {
    let size = (HELP.iter().map(|line| line.chars().count()).max().unwrap_or(0), HELP.len());
    let (width, height) = (area.width.min(size.0 as u16 + 4), area.height.min(size.1 as u16 + 2));
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 2;
    let area = Rect { x, y, width, height };
    Clear.render(area, buf);
    let lines: Vec<Line<'_>> = HELP.iter().map(|line| Line::raw(format!(" {line}"))).collect();
    Paragraph::new(lines).block(Block::bordered().title(" keys ")).render(area, buf);
}

/// A part of the page, top to bottom.
struct Part {
    /// What it takes.
    rows: u16,
    /// The least goes first.
    importance: u8,
}

const PARTS: [Part; 7] = [
    Part { rows: 1, importance: 6 },            // title
    Part { rows: 4, importance: 5 },            // summary
    Part { rows: 2, importance: 0 },            // trends
    Part { rows: 7, importance: 3 },            // times and cores
    Part { rows: 1, importance: 1 },            // bottleneck
    Part { rows: TABLES_LEAST, importance: 4 }, // tables, which take what is left
    Part { rows: 1, importance: 2 },            // footer
];
const TABLES_PART: usize = 5;

/// Where each part is.
fn divide(area: Rect) -> [Rect; PARTS.len()] {
    let mut left = area.height;
    let mut rows = [0; PARTS.len()];
    let mut order: [usize; PARTS.len()] = std::array::from_fn(|part| part);
    order.sort_by_key(|part| std::cmp::Reverse(PARTS[*part].importance));
    for part in order {
        rows[part] = PARTS[part].rows.min(left);
        left -= rows[part];
    }
    rows[TABLES_PART] += left;
    let mut rest = area;
    rows.map(|rows| {
        let part = Rect { height: rows, ..rest };
        rest = below(rest, rows);
        part
    })
}

/// Divides so many rows among those who want them: each has what it wants, up to an equal share; what
/// is left is for the first that want more.
fn share(rows: u16, wanted: [u16; TABLES]) -> [u16; TABLES] {
    let equal = rows / TABLES as u16;
    let mut given = wanted.map(|wanted| wanted.min(equal));
    let mut left = rows - given.iter().sum::<u16>();
    for (given, wanted) in given.iter_mut().zip(wanted) {
        let more = (wanted - *given).min(left);
        *given += more;
        left -= more;
    }
    given
}

fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// One row of an area; empty, where there is none.
fn row_of(area: Rect, row: u16) -> Rect {
    let rest = below(area, row);
    Rect { height: rest.height.min(1), ..rest }
}

fn label(subject: &str) -> String {
    format!("{subject:<width$}", width = usize::from(LABEL))
}

/// Columns that the names of lines take, and the most of a trend.
const LABEL: u16 = 12;
const TREND_MOST: u16 = 20;

/// Between what stands side by side.
const APART: u16 = 2;

/// The names of times, p50 and p99.
const TIMES_LEAST: u16 = 16 + 2 * 9 + APART;

/// A table's title and header; one with two rows; and four of them with five.
const TABLE_FRAME: u16 = 2;
const TABLES_LEAST: u16 = TABLE_FRAME + 2;
const TABLES_APART: u16 = TABLES as u16 * (TABLE_FRAME + 3);

const KEYS: &str = "tab table  s order  ↑↓ rows  p pause  +/- interval  ? help  q quit";

const HELP: [&str; 10] = [
    "tab ← →   another table",
    "↑ ↓       its rows",
    "s         its order: by the next column",
    "p         pause, and go on",
    "+ -       a longer, a shorter interval",
    "q         quit",
    "",
    "Rates and times are those of the last interval; trends are of three",
    "intervals a column. busy: turns that found something to do.",
    "ring: packets in it at one look in a hundred (p99).",
];

#[cfg(test)]
mod tests;
