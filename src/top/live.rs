//! The terminal: one thread draws, and is told by others of keys, of signals and of what the engine
//! says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, KeyEvent};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::history::History;
use super::page::Page;
use super::palette::Palette;
use super::sample::Sample;
use super::screen::Screen;
use super::view::{View, Wish};

/// Shows the engine behind `socket` until it is told to end. The terminal is then as it was before.
pub(super) fn watch(socket: &Path, interval: Duration) -> Result<()> {
    // A wrong path is told on the terminal as it is.
    let first = Sample::fetch(socket)?;
    let (events, inbox) = mpsc::channel();
    tell_signals(events.clone())?;
    let outcome = match ratatui::try_init().context("cannot draw on this terminal") {
        Ok(mut terminal) => {
            tell_keys(events.clone());
            let intervals = tell_samples(socket.to_owned(), interval, events);
            let mut watch = Watch::new(socket, interval, intervals);
            watch.take(Ok(Box::new(first)));
            watch.run(&mut terminal, &inbox)
        }
        Err(error) => Err(error),
    };
    // Also what was begun and could not be done.
    ratatui::restore();
    outcome
}

/// What the drawing thread is told.
enum Event {
    Key(KeyEvent),
    Resized,
    Sample(Result<Box<Sample>>),
    /// By a signal, or because the terminal is gone.
    End,
}

#[derive(Debug)]
struct Watch {
    socket: String,
    view: View,
    palette: Palette,
    latest: Option<Box<Sample>>,
    screen: Option<Screen>,
    history: History,
    trouble: Option<String>,
    heard_at: Instant,
    intervals: Sender<Duration>,
}

impl Watch {
    fn new(socket: &Path, interval: Duration, intervals: Sender<Duration>) -> Self {
        Watch {
            socket: socket.display().to_string(),
            view: View::new(interval),
            palette: Palette::of_environment(),
            latest: None,
            screen: None,
            history: History::default(),
            trouble: None,
            heard_at: Instant::now(),
            intervals,
        }
    }

    fn run(mut self, terminal: &mut DefaultTerminal, inbox: &Receiver<Event>) -> Result<()> {
        loop {
            terminal
                .draw(|frame| frame.render_widget(self.page(), frame.area()))
                .context("cannot draw on this terminal")?;
            match inbox.recv_timeout(self.view.interval + PATIENCE) {
                Ok(Event::Key(key)) => match self.view.on_key(key, self.rows()) {
                    Wish::Quit => return Ok(()),
                    // Its thread lives as long as this one.
                    Wish::Interval(interval) => drop(self.intervals.send(interval)),
                    Wish::Nothing => {}
                },
                Ok(Event::Resized) => {}
                Ok(Event::Sample(sample)) => self.take(sample),
                Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    let silent = self.heard_at.elapsed().as_secs();
                    let socket = &self.socket;
                    self.trouble =
                        Some(format!("the engine at {socket} has said nothing for {silent} s"));
                }
            }
        }
    }

    /// The engine has said something, or nothing can be heard of it.
    fn take(&mut self, sample: Result<Box<Sample>>) {
        self.heard_at = Instant::now();
        match sample {
            Err(error) => {
                self.trouble = Some(format!("{error:#}"));
                self.latest = None;
            }
            Ok(sample) => {
                let screen = self.latest.as_ref().and_then(|latest| Screen::new(latest, &sample));
                self.latest = Some(sample);
                // The first of a run has nothing to be compared with: what is known is of the past.
                let Some(screen) = screen else { return };
                self.trouble = None;
                if !self.view.paused {
                    self.history.push(screen.moment());
                    self.screen = Some(screen);
                }
            }
        }
    }

    /// Of the chosen table.
    fn rows(&self) -> usize {
        self.screen.as_ref().map_or(0, |screen| screen.tables[self.view.table].rows.len())
    }

    fn page(&self) -> Page<'_> {
        Page {
            socket: &self.socket,
            screen: self.screen.as_ref(),
            history: &self.history,
            view: &self.view,
            trouble: self.trouble.as_deref(),
            palette: &self.palette,
        }
    }
}

fn tell_signals(events: Sender<Event>) -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            let _ = events.send(Event::End);
        }
    });
    Ok(())
}

fn tell_keys(events: Sender<Event>) {
    thread::spawn(move || {
        loop {
            let told = match event::read() {
                Ok(event::Event::Key(key)) => Event::Key(key),
                Ok(event::Event::Resize(..)) => Event::Resized,
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => Event::End,
            };
            let ends = matches!(told, Event::End);
            if events.send(told).is_err() || ends {
                return;
            }
        }
    });
}

/// Asks the engine once an interval, which can be changed; it may take as long as it likes to answer.
fn tell_samples(socket: PathBuf, interval: Duration, events: Sender<Event>) -> Sender<Duration> {
    let (changes, changed) = mpsc::channel();
    thread::spawn(move || {
        let (mut interval, mut asked_at) = (interval, Instant::now());
        loop {
            match changed.recv_timeout((asked_at + interval).duration_since(Instant::now())) {
                Ok(changed) => interval = changed,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    asked_at = Instant::now();
                    let sample = Sample::fetch(&socket).map(Box::new);
                    if events.send(Event::Sample(sample)).is_err() {
                        return;
                    }
                }
            }
        }
    });
    changes
}

/// How much later than it is due an answer may come: a hung core alone takes the engine two seconds
/// to say so.
const PATIENCE: Duration = Duration::from_millis(2_500);

#[cfg(test)]
mod tests;
