//! Where the engine is to be reached.

use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Result;
use ringroad_config::schema::Admin;
use ringroad_engine::kernel::clashes;

use super::finding::Finding;

/// Whether an engine answers at `socket`.
pub(super) fn answers(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

pub(super) fn judge(admin: &Admin, running: bool) -> Result<Vec<Finding>> {
    let socket = &admin.socket;
    if running {
        let message = "an engine runs here already; what it has taken is taken for free";
        return Ok(vec![
            Finding::note("engine", message)
                .on(socket.display())
                .fix("before another is started, stop it"),
        ]);
    }
    let mut findings = Vec::new();
    let directory = socket.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        findings.push(
            Finding::failure("admin-socket", "its directory is not there")
                .on(socket.display())
                .fix(format!("mkdir -p {}, or choose another admin.socket", directory.display())),
        );
    }
    if let Some(metrics) = admin.metrics {
        let address = metrics.address;
        let taken = clashes(address.ip(), address.port()..=address.port())?;
        if taken.iter().any(|clash| clash.state == "LISTEN") {
            let message = "another program listens there";
            let finding = match metrics.required {
                true => Finding::failure("metrics", message),
                false => {
                    Finding::warning("metrics", format!("{message}; there would be no metrics"))
                }
            };
            findings.push(finding.on(address).fix(format!(
                "choose another admin.metrics, or stop it (`ss -tlnp 'sport = :{}'`)",
                address.port()
            )));
        }
    }
    Ok(findings)
}
