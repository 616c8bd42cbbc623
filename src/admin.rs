//! Where the running engine is reached: HTTP on a Unix socket for the commands, and Prometheus'
//! text format on TCP.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use ringroad_config::schema::Metrics;
use ringroad_engine::stage::{Command, Commands};
use ringroad_engine::telemetry::Snapshot;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::oneshot;

use crate::backend::ShieldHandle;
use crate::metrics;
use crate::stats::{Names, Stats};

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) commands: Commands,
    pub(crate) shield: Box<dyn ShieldHandle>,
    pub(crate) names: Names,
}

impl Admin {
    /// Asks the lane and the shield for their counts.
    pub(crate) async fn stats(&self) -> Result<Stats> {
        let snapshot = Box::new(Snapshot::new(self.names.services.len(), self.names.ports.len()));
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Snapshot(snapshot, reply)).is_err() {
            bail!("the lane does not take commands: it hangs, or is busy with earlier ones");
        }
        let mut snapshot = answer.await.context("the lane has ended")?;
        self.shield.add_to(&mut snapshot)?;
        Ok(Stats::new(&self.names, &snapshot))
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
    pub(crate) fn serve(&mut self, admin: Arc<Admin>) {
        if let Some(listener) = self.listener.take() {
            let router = router(admin);
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
    pub(crate) fn serve(self, admin: Arc<Admin>) {
        match self.listener {
            Ok(listener) => {
                let router = Router::new().route("/metrics", get(prometheus)).with_state(admin);
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
    Router::new().route("/stats", get(stats)).route("/metrics", get(prometheus)).with_state(admin)
}

async fn stats(State(admin): State<Arc<Admin>>) -> Response {
    match admin.stats().await {
        Ok(stats) => Json(stats).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}

async fn prometheus(State(admin): State<Arc<Admin>>) -> Response {
    match admin.stats().await {
        Ok(stats) => metrics::to_openmetrics(&stats).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}
