//! What whoever looks has chosen, and what each key changes of it.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::screen::TABLES;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The chosen one of the tables.
    pub(super) table: usize,
    pub(super) looks: [Look; TABLES],
    pub(super) interval: Duration,
    pub(super) paused: bool,
    pub(super) help: bool,
}

/// How a table is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// The column by which it is in order.
    pub(super) order: usize,
    /// Rows above the first that is shown.
    pub(super) scrolled: usize,
}

/// What is to be done beside drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quit,
    /// To ask the engine that often from now on.
    Interval(Duration),
}

impl View {
    pub(super) fn new(interval: Duration) -> Self {
        let look = Look { order: FIRST_ORDER, scrolled: 0 };
        View { table: 0, looks: [look; TABLES], interval, paused: false, help: false }
    }

    /// `rows`: of the chosen table.
    pub(super) fn on_key(&mut self, key: KeyEvent, rows: usize) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::Nothing;
        }
        let look = &mut self.looks[self.table];
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Wish::Quit;
            }
            KeyCode::Char('q') => return Wish::Quit,
            // Leaves the help first.
            KeyCode::Esc if !self.help => return Wish::Quit,
            KeyCode::Esc => self.help = false,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Tab | KeyCode::Right => self.table = (self.table + 1) % TABLES,
            KeyCode::BackTab | KeyCode::Left => self.table = (self.table + TABLES - 1) % TABLES,
            KeyCode::Up => look.scrolled = look.scrolled.saturating_sub(1),
            KeyCode::Down => look.scrolled = (look.scrolled + 1).min(rows.saturating_sub(1)),
            KeyCode::Home => look.scrolled = 0,
            KeyCode::Char('s') => *look = Look { order: look.order + 1, scrolled: 0 },
            KeyCode::Char('+' | '=') => {
                return self.set_interval(INTERVALS.into_iter().find(|next| *next > self.interval));
            }
            KeyCode::Char('-') => {
                let shorter = INTERVALS.into_iter().rev().find(|next| *next < self.interval);
                return self.set_interval(shorter);
            }
            _ => {}
        }
        Wish::Nothing
    }

    fn set_interval(&mut self, interval: Option<Duration>) -> Wish {
        let Some(interval) = interval else { return Wish::Nothing };
        self.interval = interval;
        Wish::Interval(interval)
    }
}

/// Tables begin in the order of their first figures.
const FIRST_ORDER: usize = 1;

/// What `+` and `-` choose from.
const INTERVALS: [Duration; 8] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn press(view: &mut View, code: KeyCode) -> Wish {
        view.on_key(KeyEvent::new(code, KeyModifiers::NONE), 3)
    }

    #[test]
    fn tables_are_chosen_in_a_circle_and_looked_at_each_in_its_own_way() {
        let mut view = View::new(Duration::from_secs(1));
        press(&mut view, KeyCode::Left);
        assert_eq!(view.table, TABLES - 1);
        (0..9).for_each(|_| drop(press(&mut view, KeyCode::Down)));
        assert_eq!(view.looks[view.table].scrolled, 2, "the last row stays in sight");
        press(&mut view, KeyCode::Up);
        assert_eq!(view.looks[view.table].scrolled, 1);
        press(&mut view, KeyCode::Char('s'));
        assert_eq!(view.looks[view.table], Look { order: FIRST_ORDER + 1, scrolled: 0 });
        press(&mut view, KeyCode::Tab);
        assert_eq!((view.table, view.looks[0].order), (0, FIRST_ORDER));
    }

    #[test]
    fn the_interval_has_bounds() {
        let mut view = View::new(Duration::from_millis(1_500));
        assert_eq!(press(&mut view, KeyCode::Char('+')), Wish::Interval(Duration::from_secs(2)));
        assert_eq!(press(&mut view, KeyCode::Char('-')), Wish::Interval(Duration::from_secs(1)));
        while press(&mut view, KeyCode::Char('-')) != Wish::Nothing {}
        assert_eq!(view.interval, INTERVALS[0]);
    }

    #[test]
    fn it_is_left_by_q_by_ctrl_c_and_by_escape_where_there_is_no_help_to_leave() {
        let mut view = View::new(Duration::from_secs(1));
        press(&mut view, KeyCode::Char('?'));
        assert_eq!((press(&mut view, KeyCode::Esc), view.help), (Wish::Nothing, false));
        assert_eq!(press(&mut view, KeyCode::Esc), Wish::Quit);
        assert_eq!(press(&mut view, KeyCode::Char('q')), Wish::Quit);
        assert_eq!(press(&mut view, KeyCode::Char('c')), Wish::Nothing);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.on_key(interrupt, 0), Wish::Quit);
    }
}
