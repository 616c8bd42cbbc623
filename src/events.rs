//! What happens rarely, or should: told in the log, and the latest of it by `ringroad events`.
//!
//! Workers tell of single connections and origins ([`ringroad_engine::telemetry::events`]); what only counts show is
//! found by looking at them once a second ([`Watch`]). Neither can flood the log: a worker tells a few
//! of each kind and how many more there were, and what the counts show is told once in a while.

mod watch;

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use ringroad_engine::proxy::ServiceSettings;
use ringroad_engine::telemetry::events::{Details, Event, EventKind};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use self::watch::Watch;
use crate::client::{self, Socket};
use crate::crew::Crew;
use crate::stats::Stats;
use crate::unix_time;

/// Something that has happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Happening {
    /// Since 1970 [s].
    pub(crate) at: f64,
    /// What kind of thing, in one word.
    pub(crate) event: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// How many there were; of an origin, how many handshakes failed in a row.
    pub(crate) count: u64,
    /// The same as a sentence.
    pub(crate) message: String,
}

/// What has happened of late, and who is told.
#[derive(Debug)]
pub(crate) struct Events {
    services: Vec<Names>,
    state: Mutex<State>,
}

/// What a service and its origins are called.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) service: String,
    pub(crate) origins: Vec<SocketAddr>,
}

impl Names {
    pub(crate) fn of(service: &ServiceSettings) -> Self {
        let origins = service.origins.iter().map(|origin| origin.address);
        Names { service: service.name.clone(), origins: origins.collect() }
    }
}

#[derive(Debug, Default)]
struct State {
    latest: VecDeque<Happening>,
    watch: Watch,
    /// Origins that are down, by their indices: every worker finds that out for itself, and it is told once.
    down: HashSet<(u16, u16)>,
}

impl Events {
    pub(crate) fn new(services: Vec<Names>) -> Self {
        Events { services, state: Mutex::default() }
    }

    /// Logs and keeps it.
    pub(crate) fn tell(&self, happening: Happening) {
        let happening = Happening { at: unix_time::now().as_secs_f64(), ..happening };
        happening.log();
        let latest = &mut self.state().latest;
        if latest.len() == KEPT {
            latest.pop_front();
        }
        latest.push_back(happening);
    }

    /// The latest, oldest first.
    pub(crate) fn latest(&self) -> Vec<Happening> {
        self.state().latest.iter().cloned().collect()
    }

    /// Tells what workers say; never ends.
    pub(crate) async fn attend(&self, crew: &Crew) {
        let mut workers = crew.listen().await;
        loop {
            sleep(WORKERS_LOOK).await;
            for worker in &mut workers {
                while let Some(event) = worker.take() {
                    self.take_up(&event);
                }
            }
        }
    }

    /// Tells what these counts show that those before did not.
    pub(crate) fn look(&self, stats: &Stats) {
        let news = self.state().watch.look(stats, Instant::now());
        news.into_iter().for_each(|happening| self.tell(happening));
    }

    fn take_up(&self, event: &Event) {
        if event.kind == EventKind::FellBack {
            // How many there are only the counts show: most of them the shield leaves to Linux by itself.
            if let Some(details) = event.details {
                self.state().watch.note_fallback(self.service(&details), &details);
            }
        } else if let Some(happening) = self.describe(event) {
            self.tell(happening);
        }
    }

    /// `None` if it is known already.
    fn describe(&self, event: &Event) -> Option<Happening> {
        let told = Happening {
            event: event.kind.name().to_owned(),
            count: event.count.into(),
            ..Happening::default()
        };
        let Some(details) = event.details else {
            let message = format!("and {} more of {}", event.count, event.kind.name());
            return Some(Happening { message, ..told });
        };
        let service = self.service(&details);
        let origin = self.origin(&details);
        let key = details.origin.map(|origin| (details.service, origin));
        let shown = origin.as_deref().unwrap_or_default();
        let reason = details.reason;
        let message = match event.kind {
            EventKind::OriginDown => {
                if !self.state().down.insert(key?) {
                    return None;
                }
                format!(
                    "origin {shown} of {service} is down: {} handshakes in a row failed, the last by {reason}",
                    event.count
                )
            }
            EventKind::OriginUp => {
                if !self.state().down.remove(&key?) {
                    return None;
                }
                format!(
                    "origin {shown} of {service} is up again, after {} handshakes that failed",
                    event.count
                )
            }
            EventKind::Refused | EventKind::FellBack => {
                let client = details.client.map(|client| client.to_string()).unwrap_or_default();
                format!("a connection of {client} to {service} was refused: {reason}")
            }
        };
        Some(Happening {
            service: Some(service),
            origin,
            client: details.client.map(|client| client.to_string()),
            reason: Some(reason.to_owned()),
            message,
            ..told
        })
    }

    fn service(&self, details: &Details) -> String {
        let names = self.services.get(usize::from(details.service));
        names.map(|names| names.service.clone()).unwrap_or_default()
    }

    fn origin(&self, details: &Details) -> Option<String> {
        let names = self.services.get(usize::from(details.service))?;
        Some(names.origins.get(usize::from(details.origin?))?.to_string())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Happening {
    /// One that is no connection's and no origin's.
    pub(crate) fn new(event: &str, message: String) -> Self {
        Happening { event: event.to_owned(), count: 1, message, ..Happening::default() }
    }

    fn log(&self) {
        let Happening { event, service, origin, client, reason, count, message, .. } = self;
        tracing::warn!(event, service, origin, client, reason, count, "{message}");
    }
}

/// Show what has happened of late
///
/// Connections refused or left to Linux, origins down and up, threads that stood still, cookies on and off, rings that
/// were full. The log has all of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: Socket,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let body = client::get(&args.socket.path, "/events")?;
    let mut out = String::new();
    if args.json {
        out.push_str(&String::from_utf8_lossy(&body));
        out.push('\n');
    } else {
        let latest: Vec<Happening> = serde_json::from_slice(&body)
            .context("the engine speaks of events otherwise; are both of one version?")?;
        let now = unix_time::now().as_secs_f64();
        for Happening { at, event, message, .. } in latest {
            // Writing to a `String` cannot fail.
            let _ = writeln!(out, "{:>8.0} s ago  {event:<18}  {message}", now - at);
        }
    }
    std::io::stdout().write_all(out.as_bytes()).context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// What can be asked for later.
const KEPT: usize = 256;

/// How often workers are asked.
const WORKERS_LOOK: Duration = Duration::from_millis(100);
