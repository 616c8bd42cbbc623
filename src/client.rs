//! What the other commands ask the running engine, over its admin socket.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

/// Where it is reached.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Socket {
    /// The engine's admin socket
    #[arg(
        id = "socket",
        long = "socket",
        value_name = "PATH",
        default_value = "/run/ringroad.sock"
    )]
    pub(crate) path: PathBuf,
}

/// What the engine behind `socket` has at `path`.
pub(crate) fn get(socket: &Path, path: &str) -> Result<Bytes> {
    runtime()?.block_on(async {
        let body = request(socket, path).await?;
        Ok(body.collect().await?.to_bytes())
    })
}

/// Has `take` see each line of it, as they come.
pub(crate) fn each_line(
    socket: &Path,
    path: &str,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    runtime()?.block_on(async {
        let mut body = request(socket, path).await?;
        let mut waiting = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the engine's answer breaks off; its log says why")?;
            let Ok(data) = frame.into_data() else { continue };
            waiting.extend_from_slice(&data);
            let Some(end) = waiting.iter().rposition(|octet| *octet == b'\n') else { continue };
            waiting[..end].split(|octet| *octet == b'\n').try_for_each(&mut take)?;
            waiting.drain(..=end);
        }
        Ok(())
    })
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The body of a good answer.
async fn request(socket: &Path, path: &str) -> Result<Incoming> {
    let response = ask(socket, Method::GET, path, Bytes::new()).await?;
    let status = response.status();
    let body = response.into_body();
    if !status.is_success() {
        // Its reason is one line.
        let reason = body.collect().await?.to_bytes();
        let reason = String::from_utf8_lossy(&reason);
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
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        let socket = socket.display();
        let what = match error.kind() {
            ErrorKind::PermissionDenied => {
                format!("may not ask the engine at {socket}; run this as root, or as its user")
            }
            _ => format!(
                "no engine answers at {socket}; is one running, or is it at another --socket?"
            ),
        };
        anyhow::Error::new(error).context(what)
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
