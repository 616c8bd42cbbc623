//! What the other commands ask the running engine, over its admin socket.

use std::path::Path;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

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
    let stream = UnixStream::connect(socket).await.with_context(|| {
        format!(
            "no engine answers at {}; is one running, or is it at another --socket?",
            socket.display()
        )
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request =
        hyper::Request::get(path).header("host", "ringroad").body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
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
