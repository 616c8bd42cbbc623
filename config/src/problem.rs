//! What is wrong with a file, where, and what to do about it: one line each.

use std::fmt;

use crate::limits::{PROBLEMS_SHOWN, TEXT_SHOWN};

/// A place in a file, as editors count: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub(crate) const START: Position = Position { line: 1, column: 1 };
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located<T> {
    pub(crate) at: Position,
    pub(crate) value: T,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `None` when the file could not be read at all.
    pub at: Option<Position>,
    /// What is wrong and what to do; a single line.
    pub message: String,
}

/// Collects problems while a file is read; reading goes on after each.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, at: Position, message: impl Into<String>) {
        self.0.push(Problem { at: Some(at), message: message.into() });
    }

    /// `config` if nothing is wrong with it.
    pub(crate) fn finish<T>(mut self, file: &str, config: Option<T>) -> Result<T, Errors> {
        match config {
            Some(config) if self.0.is_empty() => Ok(config),
            _ => {
                self.0.sort_by_key(|problem| problem.at);
                Err(Errors { file: file.to_owned(), problems: self.0 })
            }
        }
    }
}

/// Everything that is wrong with a file, in the file's order.
///
/// Prints one line for each problem: `file:line:column: what, and what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    file: String,
    problems: Vec<Problem>,
}

impl Errors {
    /// A file that could not be read at all.
    pub(crate) fn unreadable(file: &str, message: String) -> Self {
        Errors { file: file.to_owned(), problems: vec![Problem { at: None, message }] }
    }

    /// At least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(PROBLEMS_SHOWN).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.file)?;
            if let Some(Position { line, column }) = problem.at {
                write!(f, "{line}:{column}:")?;
            }
            write!(f, " {}", problem.message)?;
        }
        match self.problems.len().saturating_sub(PROBLEMS_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more; mend these first", self.file),
        }
    }
}

impl std::error::Error for Errors {}

/// Text of the file in quotes, for a message: one line, however it was written, and not too long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(TEXT_SHOWN) {
        Some((end, _)) => format!("\"{}…\"", text[..end].escape_debug()),
        None => format!("\"{}\"", text.escape_debug()),
    }
}
