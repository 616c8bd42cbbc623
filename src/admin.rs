//! Where the running engine is reached: HTTP on a Unix socket for the commands, and on TCP for
//! Prometheus.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use ringroad_config::schema::{Metrics, SynCookies};
use ringroad_engine::stage::monotonic;
use ringroad_engine::telemetry::Recorders;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::{MissedTickBehavior, interval};

use crate::backend::ShieldHandle;
use crate::capture::{Captures, Refusal, Request};
use crate::connections::census::{Census, CensusTaker};
use crate::connections::{Paths, listing};
use crate::crew::Crew;
use crate::events::Events;
use crate::histograms::Histograms;
use crate::keeper::{Counted, INTERVAL, Keeper};
use crate::metrics::{self, Exporter};
use crate::recording::Feed;
use crate::refused::Refused;
use crate::stats::{self, Cookies, LaneCookies, Names, Recording, Stats};
use crate::unix_time;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) crew: Crew,
    pub(crate) keeper: Keeper,
    pub(crate) shield: Arc<dyn ShieldHandle>,
    pub(crate) names: Names,
    pub(crate) cookies: SynCookies,
    /// When the period of the key in use began, since 1970 [s]; 0: there is none.
    key_since: AtomicU64,
    refused: Mutex<Refused>,
    /// Where what is recorded on disk goes.
    feed: Option<Arc<Feed>>,
    pub(crate) captures: Captures,
    pub(crate) events: Events,
    paths: Paths,
    census: CensusTaker,
}

impl Admin {
    pub(crate) fn new(
        crew: Crew,
        shield: Box<dyn ShieldHandle>,
        names: Names,
        cookies: SynCookies,
        captures: Captures,
        events: Events,
        feed: Option<Arc<Feed>>,
    ) -> Self {
        let counts = (names.services.len(), names.ports.len(), names.paths());
        let shield: Arc<dyn ShieldHandle> = shield.into();
        Admin {
            keeper: Keeper::new(crew.clone(), shield.clone(), counts, feed.clone()),
            paths: Paths::new(&names),
            crew,
            shield,
            names,
            cookies,
            key_since: AtomicU64::new(0),
            refused: Mutex::new(Refused::new()),
            feed,
            captures,
            events,
            census: CensusTaker::new(),
        }
    }

    /// The key in use is that of the period which began then, since 1970 [s].
    pub(crate) fn set_key_since(&self, unix_seconds: u64) {
        self.key_since.store(unix_seconds, Ordering::Relaxed);
    }

    /// Gathers samples of what is refused; never ends.
    pub(crate) async fn gather(&self) {
        let mut aged_at = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(GATHER_INTERVAL).await;
            match self.refused() {
                Ok(mut refused) if aged_at.elapsed() >= SAMPLES_HALF_LIFE => {
                    refused.age();
                    aged_at = tokio::time::Instant::now();
                }
                Ok(_) => {}
                Err(error) => tracing::warn!("samples of refused packets: {error:#}"),
            }
        }
    }

    /// Counts connections whenever somebody asks; never ends.
    pub(crate) async fn take_census(&self) {
        self.census.run(&self.crew, &self.names.services).await
    }

    /// With the samples that have come since the last call.
    fn refused(&self) -> Result<MutexGuard<'_, Refused>> {
        let samples = self.shield.take_samples()?;
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        samples.into_iter().for_each(|sample| refused.add(sample));
        Ok(refused)
    }

    /// Asks the polling threads and the shield for their counts.
    pub(crate) async fn stats(&self) -> Result<Stats> {
        Ok(self.stats_with(|_| ()).await?.0)
    }

    /// The same, with what is made of what each thread has recorded until then.
    pub(crate) async fn stats_with<T>(
        &self,
        make: impl FnOnce(&[Recorders]) -> T,
    ) -> Result<(Stats, T)> {
        let Counted { snapshot, kept } = self.keeper.count().await?;
        let stats = Stats::new(&self.names, &snapshot, &kept.cores);
        let (made, sources) = (make(&kept.cores), kept.sources.busiest());
        drop(kept);
        let stats = Stats {
            cookies: self.cookies(stats.cookies.lanes),
            refused: self.refused_so_far()?,
            recording: self.recording(),
            sources,
            paths: self.paths.update(&self.names, &snapshot.paths, monotonic()),
            ..stats
        };
        Ok((stats, made))
    }

    fn cookies(&self, lanes: Vec<LaneCookies>) -> Cookies {
        let key_age_s = match self.key_since.load(Ordering::Relaxed) {
            0 => None,
            since => Some(unix_time::now().as_secs().saturating_sub(since)),
        };
        Cookies { mode: self.cookies.to_string(), lanes, key_age_s }
    }

    fn refused_so_far(&self) -> Result<stats::Refused> {
        let refused = self.refused()?;
        Ok(stats::Refused {
            samples: refused.seen(),
            lost: self.shield.samples_lost()?,
            worst: refused.worst(),
        })
    }

    fn recording(&self) -> Option<Recording> {
        let tally = self.feed.as_ref()?.tally();
        Some(Recording { written: tally.written(), lost: tally.lost() })
    }

    /// The latest census of the connections.
    pub(crate) async fn census(&self) -> Option<Census> {
        self.census.latest().await
    }

    /// What was recorded since the start.
    async fn histograms(&self) -> Result<Histograms> {
        let Counted { kept, .. } = self.keeper.count().await?;
        Histograms::new(kept.started, &kept.cores)
    }

    /// Ends an interval whenever it is time; never ends itself.
    pub(crate) async fn keep(&self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.end_interval().await;
        }
    }

    /// Ends an interval now: events are found in its counts, and who records has it. What is known of the
    /// paths grows older with it.
    pub(crate) async fn end_interval(&self) {
        // As long as a thread does not answer, of which the watchdog tells, the interval goes on.
        if let Ok(stats) = self.stats().await {
            self.events.look(&stats);
            self.keeper.end_interval(stats).await;
        }
    }

    fn capture(&self) -> Result<Vec<u8>> {
        self.refused()?.to_pcapng(&self.names)
    }
}

/// The Unix socket, removed when dropped.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl AdminSocket {
    /// Binds `path`. A socket that an engine left behind when it died is replaced; one that
    /// answers is not.
    pub(crate) async fn bind(path: &Path) -> Result<Self> {
        if let Ok(metadata) = std::fs::symlink_metadata(path) {
            if !metadata.file_type().is_socket() {
                bail!(
                    "admin.socket: {} exists and is no socket; choose another path",
                    path.display()
                );
            }
            if UnixStream::connect(path).await.is_ok() {
                bail!(
                    "admin.socket: an engine already answers at {}; stop it, or choose another path",
                    path.display()
                );
            }
            std::fs::remove_file(path)
                .with_context(|| format!("admin.socket: cannot replace {}", path.display()))?;
        }
        let listener = UnixListener::bind(path)
            .with_context(|| format!("admin.socket: cannot listen at {}", path.display()))?;
        // Whoever can write to it can read what passes through the engine's counters: root alone.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(AdminSocket { listener: Some(listener), path: path.to_owned() })
    }

    /// Serves until the runtime ends.
    pub(crate) fn serve(&mut self, admin: Arc<Admin>, exporter: Arc<Exporter>) {
        if let Some(listener) = self.listener.take() {
            let router = router(admin).merge(metrics::router(exporter));
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!("admin.socket: cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Where Prometheus asks.
#[derive(Debug)]
pub(crate) struct MetricsSocket {
    listener: io::Result<TcpListener>,
    address: SocketAddr,
}

impl MetricsSocket {
    /// Binds the address. Only one that the configuration asks for has to be free.
    pub(crate) async fn bind(metrics: Metrics) -> Result<Self> {
        let Metrics { address, required } = metrics;
        let listener = match TcpListener::bind(address).await {
            Err(error) if required => Err(error).with_context(|| {
                format!("admin.metrics: cannot listen at {address}; choose another address")
            })?,
            either => either,
        };
        Ok(MetricsSocket { listener, address })
    }

    /// Serves until the runtime ends, or says why it cannot.
    pub(crate) fn serve(self, exporter: Arc<Exporter>) {
        match self.listener {
            Ok(listener) => {
                let router = metrics::router(exporter);
                tokio::spawn(async move { axum::serve(listener, router).await });
            }
            Err(error) => tracing::warn!(
                "admin.metrics: not served, cannot listen at {}: {error}; choose another \
                 address, or off",
                self.address
            ),
        }
    }
}

fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/capture", post(capture).delete(end_capture))
        .route("/events", get(events))
        .route("/stats", get(stats))
        .route("/connections", get(listing::answer))
        .route("/histograms", get(histograms))
        .route("/refused", get(refused))
        .with_state(admin)
}

/// The answer grows with the capture, and ends with it.
async fn capture(State(admin): State<Arc<Admin>>, Json(request): Json<Request>) -> Response {
    let session = match admin.captures.begin(&request).await {
        Ok(session) => session,
        Err(Refusal::Wrong(why)) => return (StatusCode::BAD_REQUEST, why).into_response(),
        Err(Refusal::Busy) => {
            let why = "a capture runs already; it ends when its reader does: try again then";
            return (StatusCode::CONFLICT, why).into_response();
        }
        Err(Refusal::Failed(error)) => return unavailable(&error),
    };
    let pieces =
        stream::unfold(session, async |mut session| Some((session.next().await?, session)));
    ([(CONTENT_TYPE, "application/x-pcapng")], Body::from_stream(Box::pin(pieces))).into_response()
}

async fn end_capture(State(admin): State<Arc<Admin>>) {
    admin.captures.end();
}

async fn events(State(admin): State<Arc<Admin>>) -> Response {
    Json(admin.events.latest()).into_response()
}

async fn refused(State(admin): State<Arc<Admin>>) -> Response {
    match admin.capture() {
        Ok(capture) => ([(CONTENT_TYPE, "application/x-pcapng")], capture).into_response(),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &anyhow::Error) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response()
}

async fn stats(State(admin): State<Arc<Admin>>) -> Response {
    match admin.stats().await {
        Ok(stats) => Json(Stats { census: admin.census().await, ..stats }).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn histograms(State(admin): State<Arc<Admin>>) -> Response {
    match admin.histograms().await {
        Ok(histograms) => Json(histograms).into_response(),
        Err(error) => unavailable(&error),
    }
}

/// How often waiting samples are taken: there is room for more than come meanwhile.
const GATHER_INTERVAL: Duration = Duration::from_millis(100);

/// What was refused so long ago counts half among the worst sources.
const SAMPLES_HALF_LIFE: Duration = Duration::from_secs(60);
