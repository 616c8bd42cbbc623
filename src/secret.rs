//! The secret that sequence numbers, timestamps and hashes follow from, kept over restarts.
//!
//! Origins keep connections in TIME-WAIT for a minute. They take a new one between the same
//! addresses and ports when its timestamps and sequence numbers go on from where the last one
//! ended (RFC 6191, RFC 9293 §3.10.7.4), which they do as long as the secret stays. So it lives
//! as long as the boot, as Linux's own does: in a file beside the admin socket, on a file system
//! that a boot empties.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

/// Length of the secret [octets].
const LEN: usize = 16;

/// The secret of the engine whose admin socket is `socket`: an earlier run's, or a new one.
pub(crate) fn load(socket: &Path) -> Result<[u8; LEN]> {
    let path = path_beside(socket);
    match read(&path) {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => create(&path),
        Err(error) => Err(error.context(format!("secret {}", path.display()))),
    }
}

/// `None` if there is none yet.
fn read(path: &Path) -> Result<Option<[u8; LEN]>> {
    let mut file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    let own = metadata.uid() == nix::unistd::geteuid().as_raw();
    if !own || metadata.mode() & 0o077 != 0 {
        bail!("others can read or write it; remove it, a new one is made at start");
    }
    let mut secret = [0; LEN];
    file.read_exact(&mut secret).context("it is too short; remove it")?;
    Ok(Some(secret))
}

/// Randomness for what need not outlive this run.
pub(crate) fn draw() -> Result<[u8; LEN]> {
    let mut secret = [0; LEN];
    getrandom::fill(&mut secret)
        .map_err(|error| anyhow!("no randomness from the kernel: {error}"))?;
    Ok(secret)
}

fn create(path: &Path) -> Result<[u8; LEN]> {
    let secret = draw()?;
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(
        |mut file: File| {
            // What is there in part would be refused by the next start.
            file.write_all(&secret).inspect_err(|_| _ = std::fs::remove_file(path))
        },
    );
    if let Err(error) = written {
        // It serves this run all the same; a restart may then meet a TIME-WAIT here and there.
        tracing::warn!("secret {}: cannot be kept: {error}", path.display());
    }
    Ok(secret)
}

fn path_beside(socket: &Path) -> PathBuf {
    socket.with_extension("secret")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_stays_over_restarts_and_differs_between_engines() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let first = load(&socket).unwrap();
        assert_ne!(first, [0; LEN]);
        assert_eq!(load(&socket).unwrap(), first);
        assert_ne!(load(&folder.path().join("other.sock")).unwrap(), first);
        let mode = std::fs::metadata(path_beside(&socket)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn one_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        load(&socket).unwrap();
        let path = path_beside(&socket);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = format!("{:#}", load(&socket).unwrap_err());
        assert!(error.contains("engine.secret: others can read"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(load(&socket).is_err());
    }
}
