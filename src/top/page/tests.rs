use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Modifier;

use super::*;
use crate::top::history::Moment;
use crate::top::made::Made;

/// What is drawn on a terminal of this size.
fn drawn(size: (u16, u16), view: &View, trouble: Option<&str>) -> TestBackend {
    let engine = Made::new();
    let screen = Screen::new(&engine.sample(100), &engine.sample(101)).unwrap();
    let mut history = History::default();
    for step in 0..90 {
        history.push(Moment { bits: f64::from(step) * 1e6, p99_ns: Some(2e6) });
    }
    let page = Page {
        socket: "/run/ringroad.sock",
        screen: Some(&screen),
        history: &history,
        view,
        trouble,
        palette: &Palette::PLAIN,
    };
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| frame.render_widget(page, frame.area())).unwrap();
    terminal.backend().clone()
}

fn view() -> View {
    View::new(Duration::from_secs(1))
}

fn rows(backend: &TestBackend) -> Vec<String> {
    crate::top::text_of(backend.buffer()).lines().map(str::to_owned).collect()
}

#[test]
fn a_small_terminal_shows_all_that_matters() {
    let rows = rows(&drawn((80, 24), &view(), None));
    println!("{}", rows.join("\n"));
    let expected = [
        " ringroad top   /run/ringroad.sock   every 1 s   up 1 min 41 s",
        "packets     6.00 k/s in  5.00 k/s out  20.0 /s  sent again  50.0 /s  dropped",
        "payload     5.00 Mbit/s to clients  50.0 kbit/s to origins",
        "connections      15 active  50.0 /s  new  5.00 /s  refused     0 /s  fell back",
        "frames      75.0 % free          5 half open  auto, off cookies",
    ];
    assert_eq!(rows[..5], expected);
    assert!(
        rows[5].starts_with("payload") && rows[5].ends_with("at most 88.0 Mbit/s"),
        "{}",
        rows[5]
    );
    assert!(rows[5].contains("▁") && rows[5].contains("█"), "{}", rows[5]);
    assert!(rows[6].ends_with("at most 2.00 ms"), "{}", rows[6]);
    assert!(rows[8].starts_with("inside            1.50 ms  1.99 ms  2.00 ms"), "{}", rows[8]);
    assert!(rows[8].contains("lane-0 25.0 %"), "{}", rows[8]);
    assert!(rows[14].starts_with("bottleneck  lane-1, 95 % busy"), "{}", rows[14]);
    assert_eq!(rows[15], " services   sources   drops   shield");
    assert!(
        rows[17].starts_with("web      4.00 Mbit/s  40.0 kbit/s      12  40.0 /s"),
        "{}",
        rows[17]
    );
    assert_eq!(rows[23], KEYS);
}

#[test]
fn the_chosen_table_is_shown_in_the_chosen_order() {
    let mut view = view();
    view.table = 2;
    let by_rate = rows(&drawn((80, 24), &view, None));
    assert!(by_rate[17].starts_with("rx_ring"), "{}", by_rate[17]);
    assert!(by_rate[18].starts_with("bad_options"), "{}", by_rate[18]);
    view.looks[2].order = 3; // Round again to the first column, of names.
    assert!(rows(&drawn((80, 24), &view, None))[17].starts_with("bad_options"));
    view.looks[2].scrolled = 1;
    assert!(rows(&drawn((80, 24), &view, None))[17].starts_with("rx_ring"));
}

#[test]
fn a_large_terminal_shows_all_tables() {
    let text = rows(&drawn((120, 60), &view(), None)).join("\n");
    for shown in ["\n services\n", "\n10.0.0.1", "\nrx_ring", "\nto_engine", "p90"] {
        assert!(text.contains(shown), "{shown} in\n{text}");
    }
}

#[test]
fn any_terminal_will_do() {
    for width in [0, 1, 12, 39, 40, 79, 200, 300] {
        for height in [0, 1, 2, 5, 9, 12, 16, 23, 40, 120] {
            let mut view = view();
            drawn((width, height), &view, None);
            view.help = true;
            drawn((width, height), &view, Some("no engine answers"));
        }
    }
    let rows = rows(&drawn((40, 10), &view(), None));
    assert!(rows[1].starts_with("packets     6.00 k/s in"), "{}", rows[1]);
    assert!(rows[7].starts_with("web      4.00 Mbit/s"), "{rows:?}");
}

#[test]
fn what_is_of_the_past_is_pale_and_says_why() {
    let backend = drawn((80, 24), &view(), Some("no engine answers at /run/ringroad.sock"));
    let rows = rows(&backend);
    assert!(rows[1].starts_with("packets     6.00 k/s in"), "what was last known");
    assert_eq!(rows[23], "no engine answers at /run/ringroad.sock");
    let is_pale = |x, y| backend.buffer()[(x, y)].modifier.contains(Modifier::DIM);
    assert!(is_pale(12, 1) && !is_pale(0, 23));
}

#[test]
fn the_text_has_room_for_everything() {
    let engine = Made::new();
    let screen = Screen::new(&engine.sample(100), &engine.sample(101)).unwrap();
    let (history, view) = (History::default(), view());
    let page = Page {
        socket: "",
        screen: Some(&screen),
        history: &history,
        view: &view,
        trouble: None,
        palette: &Palette::PLAIN,
    };
    let area = Rect::new(0, 0, 100, page.full_height());
    let mut buffer = Buffer::empty(area);
    page.render(area, &mut buffer);
    let text = crate::top::text_of(&buffer);
    for shown in ["\nweb ", "\napi ", "\n10.0.0.1 ", "\nfd00:1::/64 ", "\nrx_ring ", "\nto_engine "]
    {
        assert!(text.contains(shown), "{shown:?} in\n{text}");
    }
}
