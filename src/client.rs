//! What the other commands ask the running engine, over its admin socket.

use std::path::Path;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// What the engine behind `socket` has at `path`.
pub(crate) fn get(socket: &Path, path: &str) -> Result<Bytes> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fetch(socket, path))
}

async fn fetch(socket: &Path, path: &str) -> Result<Bytes> {
    let response = ask(socket, Method::GET, path, Bytes::new()).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        // Its reason is one line.
        let reason = String::from_utf8_lossy(&body);
        bail!("the engine at {} answered {status}: {}", socket.display(), reason.trim_end());
    }
    Ok(body)
}

/// The answer of the engine behind `socket`, whose body may still be on its way.
pub(crate) async fn ask(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Response<Incoming>> {
    let stream = UnixStream::connect(socket).await.with_context(|| {
        format!(
            "no engine answers at {}; is one running, or is it at another --socket?",
            socket.display()
        )
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "ringroad")
        .header("content-type", "application/json")
        .body(Full::new(body))?;
    Ok(sender.send_request(request).await?)
}
