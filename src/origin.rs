//! `ringroad origin`: a small HTTP origin for demos and tests, whose every reply can be verified.
//!
//! Bodies of any size come out of [`content`], never out of memory; the same function gives the
//! hash that the receiver should get. Start at [`router`].

mod content;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Json;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// Longest body that is sent or hashed on request \[octets\]; a longer one is refused. 64 GiB keep
/// the fastest link busy for seconds, and a hash within minutes.
const BYTES_MAX: u64 = 64 << 30;

/// Longest delay on request \[ms\]; a longer one is refused.
const DELAY_MS_MAX: u64 = 60_000;

/// Serve HTTP with replies that can be verified, for demos and tests
///
///   GET /            a fixed reply
///   GET /bytes/N     N octets, always the same
///   GET /sha256/N    the SHA-256 of these
///   POST /upload     takes anything; answers {"octets": …, "sha256": "…"}
///   GET /delay/MS    answers after MS milliseconds
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Address and port to listen on; may be given several times
    #[arg(long, required = true, value_name = "ADDR")]
    listen: Vec<SocketAddr>,
}

/// Serves until `SIGTERM` or `SIGINT`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&args.listen))?;
    // Replies that are still on their way are cut: who ends an origin wants it gone.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(addresses: &[SocketAddr]) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut servers = JoinSet::new();
    for address in addresses {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        eprintln!("listening on {}", listener.local_addr()?);
        // A reply goes out when it is written, not when the last one was acknowledged.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        servers.spawn(async move { axum::serve(listener, router()).await });
    }
    tokio::select! {
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        Some(ended) = servers.join_next() => ended?.context("a listener failed"),
    }
}

fn router() -> axum::Router {
    axum::Router::new()
        .route("/", get("ringroad origin\n"))
        .route("/bytes/{octets}", get(bytes))
        .route("/sha256/{octets}", get(sha256))
        .route("/upload", post(upload))
        .route("/delay/{ms}", get(delay))
}

async fn bytes(Path(octets): Path<u64>) -> Response {
    if octets > BYTES_MAX {
        return too_much("octets", BYTES_MAX);
    }
    let chunks = content::chunks(octets).map(Ok::<_, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, octets.to_string()),
    ];
    (headers, Body::from_stream(futures_util::stream::iter(chunks))).into_response()
}

async fn sha256(Path(octets): Path<u64>) -> Response {
    if octets > BYTES_MAX {
        return too_much("octets", BYTES_MAX);
    }
    let hash = tokio::task::spawn_blocking(move || {
        let mut hasher = Sha256::new();
        content::chunks(octets).for_each(|chunk| hasher.update(&chunk));
        hasher.finalize()
    });
    match hash.await {
        Ok(hash) => format!("{hash:x}\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What arrived, for the sender to compare.
#[derive(Debug, serde::Serialize)]
struct Received {
    octets: u64,
    sha256: String,
}

async fn upload(mut body: Body) -> Response {
    let mut octets = 0;
    let mut hasher = Sha256::new();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        };
        if let Ok(data) = frame.into_data() {
            octets += data.len() as u64;
            hasher.update(&data);
        }
    }
    Json(Received { octets, sha256: format!("{:x}", hasher.finalize()) }).into_response()
}

async fn delay(Path(ms): Path<u64>) -> Response {
    if ms > DELAY_MS_MAX {
        return too_much("milliseconds", DELAY_MS_MAX);
    }
    tokio::time::sleep(Duration::from_millis(ms)).await;
    format!("waited {ms} ms\n").into_response()
}

fn too_much(unit: &str, most: u64) -> Response {
    (StatusCode::BAD_REQUEST, format!("too much: ask for at most {most} {unit}\n")).into_response()
}
