//! Where the engine is to be reached.

use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Result;
use nix::unistd::{AccessFlags, eaccess};
use ringroad_config::schema::{Admin, Metrics};
use ringroad_engine::kernel::{Clash, Routes, clashes};

use super::finding::Finding;

/// Whether an engine answers at `socket`.
pub(super) fn answers(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

pub(super) fn judge(admin: &Admin, routes: &Routes, running: bool) -> Result<Vec<Finding>> {
    let socket = &admin.socket;
    if running {
        let message = "an engine runs here already; what it has taken is taken for free";
        return Ok(vec![
            Finding::note("engine", message)
                .on(socket.display())
                .fix("before another is started, stop it"),
        ]);
    }
    Ok([at_socket(socket), at_metrics(admin.metrics, routes)?].into_iter().flatten().collect())
}

fn at_socket(socket: &Path) -> Option<Finding> {
    let directory = socket.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let other = "or choose another admin.socket";
    let finding = if !directory.is_dir() {
        let message = "its directory is not there";
        let made = format!("mkdir -p {}, {other}", directory.display());
        // What is in /run goes with each boot, and is made again by whoever starts a service.
        match directory.strip_prefix("/run") {
            Ok(name) => Finding::note("admin-socket", message).fix(format!(
                "systemd makes it with RuntimeDirectory={}; by hand: {made}",
                name.display()
            )),
            Err(_) => Finding::failure("admin-socket", message).fix(made),
        }
    } else if eaccess(directory, AccessFlags::W_OK).is_err() {
        Finding::failure("admin-socket", "its directory cannot be written by this user")
            .fix(format!("run as root, {other}"))
    } else if socket.symlink_metadata().is_ok_and(|file| !file.file_type().is_socket()) {
        Finding::failure("admin-socket", "a file that is no socket is there")
            .fix(format!("move it away, {other}"))
    } else {
        return None;
    };
    Some(finding.on(socket.display()))
}

fn at_metrics(metrics: Option<Metrics>, routes: &Routes) -> Result<Option<Finding>> {
    let Some(Metrics { address, required }) = metrics else { return Ok(None) };
    let (ip, port) = (address.ip(), address.port());
    let listens = |clash: &Clash| clash.state == "LISTEN";
    let (message, fix) = if !ip.is_unspecified() && !routes.is_local(ip) {
        ("is no address of this host", "choose another admin.metrics".to_owned())
    } else if clashes(ip, port..=port)?.iter().any(listens) {
        let fix =
            format!("choose another admin.metrics, or stop it (`ss -tlnp 'sport = :{port}'`)");
        ("another program listens there", fix)
    } else {
        return Ok(None);
    };
    let finding = match required {
        true => Finding::failure("metrics", message),
        // Nobody asked for the default.
        false => Finding::warning("metrics", format!("{message}; there would be no metrics")),
    };
    Ok(Some(finding.on(address).fix(fix)))
}
