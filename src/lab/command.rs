//! A command of the system that a lab is made with.

use std::fmt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The programs that a lab is made with, and Debian's packages of them.
const TOOLS: [(&str, &str); 3] = [("ip", "iproute2"), ("ethtool", "ethtool"), ("sysctl", "procps")];

/// Fails if one of the programs is missing: before anything is made, and with what to install.
pub(super) fn require_tools() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for (tool, package) in TOOLS {
        if !std::env::split_paths(&path).any(|directory| directory.join(tool).is_file()) {
            bail!("there is no {tool} in the search path; install the package {package}");
        }
    }
    Ok(())
}

/// A program with its arguments; prints as one would type it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line(Vec<String>);

/// The line of these words, the program first.
pub(super) fn line(words: &[&str]) -> Line {
    Line(words.iter().map(|word| (*word).to_owned()).collect())
}

impl Line {
    /// Runs to the end; returns what was printed. Fails with what the program complained of.
    pub(super) fn run(&self) -> Result<String> {
        let [program, arguments @ ..] = self.0.as_slice() else {
            return Ok(String::new());
        };
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {program}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().replace('\n', "; ");
            match said.as_str() {
                "" => bail!("\"{self}\" failed with {}", output.status),
                said => bail!("\"{self}\" failed: {said}"),
            }
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}
