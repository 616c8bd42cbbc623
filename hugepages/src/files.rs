//! Reading the small files that the kernel shows.

use std::fs;
use std::path::Path;

use crate::Error;

/// The text of a file, without the line's end.
pub(crate) fn text(path: &Path) -> Result<String, Error> {
    let text =
        fs::read_to_string(path).map_err(|reason| Error::Read { path: path.to_owned(), reason })?;
    Ok(text.trim().to_owned())
}

/// The same of a file that need not be there, or has nothing to say.
pub(crate) fn text_or_none(path: &Path) -> Option<String> {
    text(path).ok().filter(|text| !text.is_empty())
}

/// The name of what a symbolic link leads to, such as the driver's of `…/device/driver`.
pub(crate) fn link_name(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes files as sysfs and procfs would show them.
    pub(crate) fn lay_out(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }
    }

    /// Makes a symbolic link, and the directory that it leads to.
    pub(crate) fn link(root: &Path, from: &str, to: &str) {
        let (from, to) = (root.join(from), root.join(to));
        fs::create_dir_all(from.parent().unwrap()).unwrap();
        fs::create_dir_all(&to).unwrap();
        std::os::unix::fs::symlink(to, from).unwrap();
    }
}
