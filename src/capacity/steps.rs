//! What a driven load was, step by step, as seen from outside; kept beside the recording.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::interval::Interval;

/// Of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Steps {
    pub(super) target: String,
    pub(super) connections: usize,
    pub(super) steps: Vec<Step>,
}

/// Some seconds at one rate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    /// Unix time [s].
    pub(super) began: f64,
    pub(super) ended: f64,
    pub(super) kind: Kind,
    /// Intended, and answered [requests/s].
    pub(super) offered: f64,
    pub(super) answered: f64,
    pub(super) failed: u64,
    /// From when a request was to be sent until it was answered [µs]; zero if none was.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// What a step is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Latency at a load.
    #[default]
    Load,
    /// What a new connection costs: each request has one.
    NewConnections,
    /// What an octet costs: replies are of another size.
    OtherReplies,
}

impl Steps {
    /// Of a recording that was driven.
    pub(super) fn read(directory: &Path) -> Result<Option<Steps>> {
        let path = directory.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let steps = serde_json::from_str(&text).with_context(|| {
            format!("{} is not what ringroad plan --drive writes", path.display())
        })?;
        Ok(Some(steps))
    }

    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// One more; said as it is over.
    pub(super) fn note(&mut self, step: Step) {
        eprintln!(
            "{:.0} requests/s: {:.0} answered, p50 {:.0} µs, p99 {:.0} µs{}",
            step.offered,
            step.answered,
            step.p50_us,
            step.p99_us,
            if step.failed > 0 { format!(", {} failed", step.failed) } else { String::new() }
        );
        self.steps.push(step);
    }

    /// Those that show latency at a load, as far as anything was answered.
    pub(super) fn loads(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.kind == Kind::Load && step.p99_us > 0.0)
    }
}

impl Step {
    /// Whether the target answered nearly what it was asked. If not, what waits grows as long as the step lasts.
    pub(super) fn kept_up(&self) -> bool {
        self.answered >= KEEPS_UP * self.offered
    }

    /// Whether all of an interval lies within.
    pub(super) fn holds(&self, interval: &Interval) -> bool {
        interval.began >= self.began - EDGE_S && interval.ended <= self.ended + EDGE_S
    }
}

const FILE: &str = "drive.json";

/// Who answers less than this part of what was asked has enough.
const KEEPS_UP: f64 = 0.9;

/// So much of an interval may belong to another step [s].
const EDGE_S: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_was_not_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Steps::read(directory.path()).unwrap(), None);
        let step = Step { kind: Kind::NewConnections, offered: 10.5, ..Step::default() };
        let steps = Steps { connections: 3, steps: vec![step], ..Steps::default() };
        steps.write(directory.path()).unwrap();
        assert_eq!(Steps::read(directory.path()).unwrap(), Some(steps));

        std::fs::write(directory.path().join(FILE), "{ \"steps\": 5 }").unwrap();
        let refusal = Steps::read(directory.path()).unwrap_err().to_string();
        assert!(
            refusal.ends_with("drive.json is not what ringroad plan --drive writes"),
            "{refusal}"
        );
    }
}
