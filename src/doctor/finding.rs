//! What was found, and how it is shown.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cores::Concern;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    /// Worth knowing.
    Note,
    /// Costs speed, or packets.
    Warning,
    /// Stops `ringroad run`.
    Failure,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Note => "note",
            Status::Warning => "warning",
            Status::Failure => "FAILURE",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Names what was looked at; stays the same from version to version.
    pub(super) check: &'static str,
    /// Which interface, core, service …
    pub(super) subject: Option<String>,
    pub(super) status: Status,
    /// What is.
    pub(super) message: String,
    /// What to do about it.
    pub(super) fix: Option<String>,
}

impl Finding {
    fn new(check: &'static str, status: Status, message: impl Into<String>) -> Self {
        Finding { check, subject: None, status, message: message.into(), fix: None }
    }

    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Finding::new(check, Status::Ok, message)
    }

    pub(super) fn note(check: &'static str, message: impl Into<String>) -> Self {
        Finding::new(check, Status::Note, message)
    }

    pub(super) fn warning(check: &'static str, message: impl Into<String>) -> Self {
        Finding::new(check, Status::Warning, message)
    }

    pub(super) fn failure(check: &'static str, message: impl Into<String>) -> Self {
        Finding::new(check, Status::Failure, message)
    }

    pub(super) fn on(mut self, subject: impl ToString) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    pub(super) fn stops(&self) -> bool {
        self.status == Status::Failure
    }
}

impl From<Concern> for Finding {
    fn from(concern: Concern) -> Self {
        let Concern { check, subject, message, fix } = concern;
        Finding { subject, ..Finding::warning(check, message).fix(fix) }
    }
}

/// Everything that `ringroad doctor --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Diagnosis {
    pub(super) fit: bool,
    pub(super) findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn of(findings: Vec<Finding>) -> Self {
        Diagnosis { fit: !findings.iter().any(Finding::stops), findings }
    }

    /// A line for each finding, with its fix beneath, and the verdict.
    pub(super) fn to_text(&self) -> String {
        let width = |of: fn(&Finding) -> usize| self.findings.iter().map(of).max().unwrap_or(0);
        let checks = width(|finding| finding.check.len());
        let subjects = width(|finding| finding.subject().chars().count());
        let indent = STATUS_WIDTH + checks + subjects + 2 * 3;
        let mut text = String::new();
        for finding in &self.findings {
            let (status, check, subject) =
                (finding.status.word(), finding.check, finding.subject());
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{status:STATUS_WIDTH$}  {check:checks$}  {subject:subjects$}  {}",
                finding.message
            );
            if let Some(fix) = &finding.fix {
                let _ = writeln!(text, "{:indent$}→ {fix}", "");
            }
        }
        text + &self.verdict() + "\n"
    }

    fn verdict(&self) -> String {
        let count = |status| self.findings.iter().filter(|f| f.status == status).count();
        let to_look_at = match count(Status::Warning) {
            0 => String::new(),
            1 => ", 1 thing to look at".to_owned(),
            many => format!(", {many} things to look at"),
        };
        match count(Status::Failure) {
            0 => format!("fit to run{to_look_at}"),
            failures => format!("would not start: {failures}{to_look_at}"),
        }
    }
}

impl Finding {
    fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or_default()
    }
}

const STATUS_WIDTH: usize = "FAILURE".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_aligned_and_summed_up() {
        let ok = Finding::ok("kernel", "Linux 6.1");
        let warning = Finding::warning("mtu", "too large").on("wan0").fix("make it smaller");
        let failure = Finding::failure("interface", "down").on("lan0").fix("bring it up");
        let text = Diagnosis::of(vec![ok.clone(), warning.clone(), failure]).to_text();
        assert_eq!(
            text,
            "\
ok       kernel           Linux 6.1
warning  mtu        wan0  too large
                          → make it smaller
FAILURE  interface  lan0  down
                          → bring it up
would not start: 1, 1 thing to look at
"
        );
        let verdict = |findings| Diagnosis::of(findings).verdict();
        assert_eq!(verdict(vec![ok.clone()]), "fit to run");
        assert_eq!(verdict(vec![ok, warning.clone(), warning]), "fit to run, 2 things to look at");
    }
}
