//! How things look, with colours or without.

use ratatui::style::{Color, Modifier, Style};

/// Styles by what they say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub(super) title: Style,
    pub(super) label: Style,
    pub(super) figure: Style,
    pub(super) heading: Style,
    /// The column by which a table is in order.
    pub(super) order: Style,
    /// Which one of several is chosen.
    pub(super) chosen: Style,
    pub(super) trend: Style,
    /// Worth a look, and worse.
    pub(super) warning: Style,
    pub(super) alarm: Style,
    /// What is of the past.
    pub(super) stale: Style,
}

impl Palette {
    /// As the environment asks for (<https://no-color.org>).
    pub(super) fn of_environment() -> Self {
        match std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            true => Palette::PLAIN,
            false => Palette::COLOURED,
        }
    }

    /// Only what every terminal can do.
    pub(super) const PLAIN: Palette = Palette {
        title: Style::new().add_modifier(Modifier::REVERSED),
        label: Style::new(),
        figure: Style::new().add_modifier(Modifier::BOLD),
        heading: Style::new().add_modifier(Modifier::DIM),
        order: Style::new().add_modifier(Modifier::UNDERLINED),
        chosen: Style::new().add_modifier(Modifier::REVERSED),
        trend: Style::new(),
        warning: Style::new().add_modifier(Modifier::BOLD),
        alarm: Style::new().add_modifier(Modifier::BOLD.union(Modifier::REVERSED)),
        stale: Style::new().add_modifier(Modifier::DIM),
    };

    /// Of the sixteen that every theme has a shade for.
    const COLOURED: Palette = Palette {
        title: Style::new().fg(Color::Black).bg(Color::Cyan),
        label: Style::new().fg(Color::Gray),
        heading: Style::new().fg(Color::DarkGray),
        order: Style::new().fg(Color::Cyan).add_modifier(Modifier::UNDERLINED),
        chosen: Style::new().fg(Color::Black).bg(Color::Cyan),
        trend: Style::new().fg(Color::Cyan),
        warning: Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD),
        alarm: Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        stale: Style::new().fg(Color::DarkGray).add_modifier(Modifier::DIM),
        ..Palette::PLAIN
    };
}
