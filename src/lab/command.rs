//! A command of the system that a lab is made with.

use std::fmt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

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
            .with_context(|| format!("cannot run {program}; install {}", package(program)))?;
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

/// Debian's package of a program.
fn package(program: &str) -> &str {
    match program {
        "ip" => "iproute2",
        "sysctl" => "procps",
        other => other,
    }
}
