//! The live view: rates, times and tables of the running engine, drawn anew at each interval.
//!
//! What is shown is worked out without a terminal: two [`Sample`]s make a [`Screen`], which a
//! [`Page`] draws as it is looked at ([`View`]). [`live`] has the terminal, the keys and the clock.

mod cores;
mod figures;
mod history;
mod live;
#[cfg(test)]
mod made;
mod page;
mod palette;
mod sample;
mod screen;
mod table;
mod view;

use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use self::history::History;
use self::page::Page;
use self::palette::Palette;
use self::sample::Sample;
use self::screen::Screen;
use self::view::View;
use crate::client::Socket;

/// Watch the running engine
///
/// Rates, connections, times, cores, services, sources and drops of the last interval; ? shows the keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often to ask the engine (200ms to 1m)
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    socket: Socket,
    /// Print one interval as text, and end
    #[arg(long)]
    once: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.once {
        print_once(&args.socket.path, args.interval)?;
    } else if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        live::watch(&args.socket.path, args.interval)?;
    } else {
        bail!("top needs a terminal; --once prints one interval as text");
    }
    Ok(ExitCode::SUCCESS)
}

fn print_once(socket: &Path, interval: Duration) -> Result<()> {
    let before = Sample::fetch(socket)?;
    std::thread::sleep(interval);
    let now = Sample::fetch(socket)?;
    let screen = Screen::new(&before, &now).with_context(|| {
        format!("the engine at {} was started anew meanwhile; try again", socket.display())
    })?;
    let mut history = History::default();
    history.push(screen.moment());
    let page = Page {
        socket: &socket.to_string_lossy(),
        screen: Some(&screen),
        history: &history,
        view: &View::new(interval),
        trouble: None,
        palette: &Palette::PLAIN,
    };
    let area = Rect::new(0, 0, TEXT_WIDTH, page.full_height());
    let mut buffer = Buffer::empty(area);
    page.render(area, &mut buffer);
    let mut out = std::io::stdout().lock();
    write!(out, "{}", text_of(&buffer)).context("cannot write to standard output")
}

/// What stands on a screen, without what it looks like.
fn text_of(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let rows = buffer.content().chunks(width).map(|row| {
        let row: String = row.iter().map(|cell| cell.symbol()).collect();
        row.trim_end().to_owned() + "\n"
    });
    rows.collect()
}

fn interval(text: &str) -> Result<Duration, String> {
    ringroad_config::duration(text, Duration::from_millis(200)..=Duration::from_secs(60))
}

/// Of the page as text [characters].
const TEXT_WIDTH: u16 = 100;
