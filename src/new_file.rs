//! Files that are whole, or not there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A file that is not in its place yet; gone if it never is.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    /// Where it is written: beside its place, with a name of its own.
    beside: PathBuf,
    path: PathBuf,
    kept: bool,
}

impl NewFile {
    /// One that is to be at `path`, or at what that is a link to.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let place = place(path).with_context(|| cannot_write(path))?;
        let beside = beside(&place).with_context(|| cannot_write(path))?;
        let file = File::create(&beside).with_context(|| cannot_write(path))?;
        Ok(NewFile { file, beside, path: place, kept: false })
    }

    /// Has `write` write into it.
    pub(crate) fn write(&mut self, write: impl FnOnce(&File) -> io::Result<()>) -> Result<()> {
        write(&self.file).with_context(|| cannot_write(&self.path))
    }

    /// Puts it in its place; what was there is gone.
    pub(crate) fn keep(mut self) -> Result<()> {
        fs::rename(&self.beside, &self.path).with_context(|| cannot_write(&self.path))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // Whoever could not write may not be able to remove either.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Only a file gives way to another: a device would be lost to all who use it.
fn place(path: &Path) -> io::Result<PathBuf> {
    match fs::metadata(path) {
        Ok(there) if there.is_file() => fs::canonicalize(path),
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Err(io::Error::other("it is there, and no regular file; give another")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(error),
    }
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::IsADirectory)?);
    name.push(".new");
    Ok(path.with_file_name(name))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn replace(path: &Path, text: &str) -> Result<()> {
        let mut file = NewFile::create(path)?;
        file.write(|mut file| file.write_all(text.as_bytes()))?;
        file.keep()
    }

    #[test]
    fn an_old_file_is_replaced_as_a_whole_or_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for text in ["first", "second"] {
            replace(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let mut half = NewFile::create(&path).unwrap();
        half.write(|mut file| file.write_all(b"thi")).unwrap();
        drop(half);
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");

        let taken = directory.path().join("taken");
        fs::create_dir(&taken).unwrap();
        for path in [&taken, &directory.path().join("missing/file"), Path::new("/")] {
            let error = replace(path, "text").unwrap_err();
            assert_eq!(error.to_string(), format!("cannot write {}", path.display()));
        }
        let left = fs::read_dir(directory.path()).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["file", "taken"], "nothing half-written is left");
    }

    #[test]
    fn a_link_stays_and_so_does_what_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link, socket] =
            ["file", "link", "socket"].map(|name| directory.path().join(name));
        replace(&file, "first").unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, "second").unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), file);
        assert_eq!(fs::read_to_string(&file).unwrap(), "second");

        let _listener = UnixListener::bind(&socket).unwrap();
        let said = format!("{:#}", replace(&socket, "text").unwrap_err());
        assert!(
            said.ends_with("/socket: it is there, and no regular file; give another"),
            "{said}"
        );
        assert!(!fs::symlink_metadata(&socket).unwrap().is_file(), "still a socket");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "nothing is left beside");
    }
}
