//! The files of a recording: what they are called, which there are, which go.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where the two files of a pair are: their path without its ending. In order of time, but for a
/// clock that was set back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PairPath(PathBuf);

impl PairPath {
    /// The histograms.
    pub(super) fn hlog(&self) -> PathBuf {
        self.0.with_extension(HLOG)
    }

    /// The counts.
    pub(super) fn jsonl(&self) -> PathBuf {
        self.0.with_extension(JSONL)
    }

    /// Both, as far as they are there.
    pub(super) fn remove(&self) -> io::Result<()> {
        // The counts alone are no pair to anybody.
        for path in [self.hlog(), self.jsonl()] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A pair that is being written.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) path: PairPath,
    pub(super) hlog: File,
    pub(super) jsonl: File,
}

impl Pair {
    /// Two new files in `directory`, which is made if it is gone.
    pub(super) fn create(directory: &Path, began: SystemTime) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let time = humantime::format_rfc3339_seconds(began).to_string().replace(['-', ':'], "");
        for number in 1..=SAME_SECOND_MAX {
            let name = match number {
                1 => format!("{NAME}{time}"),
                // Of an engine that was started twice within a second.
                _ => format!("{NAME}{time}-{number}"),
            };
            let path = PairPath(directory.join(name));
            let jsonl = match create_new(&path.jsonl()) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                either => either?,
            };
            let hlog = create_new(&path.hlog())?;
            return Ok(Pair { path, hlog, jsonl });
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Of both together. An error if one is no longer in its directory: what is written to it is
    /// lost, and nothing else would say so.
    pub(super) fn octets(&self) -> io::Result<u64> {
        let mut octets = 0;
        for file in [&self.hlog, &self.jsonl] {
            let metadata = file.metadata()?;
            if metadata.nlink() == 0 {
                return Err(io::Error::new(ErrorKind::NotFound, "it was removed"));
            }
            octets += metadata.len();
        }
        Ok(octets)
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// The pairs in `directory`, oldest first.
pub(super) fn pairs(directory: &Path) -> io::Result<Vec<PairPath>> {
    let mut pairs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        // What is not text is not ours.
        let stem = name.to_str().and_then(|name| name.strip_suffix(HLOG)?.strip_suffix('.'));
        if let Some(stem) = stem.filter(|stem| stem.starts_with(NAME)) {
            pairs.push(PairPath(directory.join(stem)));
        }
    }
    pairs.sort();
    Ok(pairs)
}

/// Removes the oldest pairs until there are `keep`, with the one that is `written`, which stays.
pub(super) fn prune(directory: &Path, keep: usize, written: &PairPath) -> io::Result<()> {
    let mut others = pairs(directory)?;
    others.retain(|pair| pair != written);
    let surplus = (others.len() + 1).saturating_sub(keep);
    others.iter().take(surplus).try_for_each(PairPath::remove)
}

const NAME: &str = "ringroad-";
const HLOG: &str = "hlog";
const JSONL: &str = "jsonl";

/// Who may read what clients were refused is for the operator to say, by the group.
const MODE: u32 = 0o640;

/// Starts within one second that find a name; nobody starts that often.
const SAME_SECOND_MAX: u32 = 100;
