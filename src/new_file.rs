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
    /// One that is to be at `path`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let beside = beside(path).with_context(|| cannot_write(path))?;
        let file = File::create(&beside).with_context(|| cannot_write(path))?;
        Ok(NewFile { file, beside, path: path.to_owned(), kept: false })
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
}
