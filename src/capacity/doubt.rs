//! Why the data does not support an answer, and what would.

use std::fmt;

use serde::{Serialize, Serializer};

/// An answer, or why there is none.
pub(super) type Answer<T> = Result<T, Doubt>;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Doubt {
    /// Intervals with traffic, or loads that can be told apart.
    TooFew { what: &'static str, have: usize, need: usize },
    /// The highest load is hardly more than the lowest.
    NarrowRange { times: f64 },
    /// What is asked for lies too far beyond what was seen.
    Beyond { what: &'static str, times: f64 },
    /// At all loads that were seen there was less.
    Above { what: &'static str },
    /// Or more.
    Below { what: &'static str },
    /// Packets went through a stage, and none of them was measured.
    NeverSampled { role: &'static str, stage: String },
    /// Latency rises while the engine has time.
    LimitElsewhere { utilisation: f64 },
    /// Latency is the same at all loads.
    NoRise,
    /// The model does not fit.
    Inexact { what: &'static str, error: f64 },
    /// Of two things that always came together in one proportion, or hardly at all.
    NotApart { what: &'static str },
    /// It takes less than is there at any load that was seen.
    NeverReached { p99_us: f64, least_us: f64 },
    /// One core has the devices for all, and it would have too much to do.
    OneCore { utilisation: f64 },
    /// Nobody has counted requests.
    NoRequests,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::TooFew { what, have, need } => {
                write!(f, "too few {what}: {have} of {need}; record for longer, at more loads")
            }
            Doubt::NarrowRange { times } => write!(
                f,
                "the highest load is {times:.2} times the lowest; record quiet hours and busy ones"
            ),
            Doubt::Beyond { what, times } => write!(
                f,
                "{what} lies at {times:.2} times the highest load that was seen; record at a higher one"
            ),
            Doubt::Above { what } => {
                write!(f, "{what} lies above all loads that were seen; record at a higher one")
            }
            Doubt::Below { what } => {
                write!(f, "{what} lies below all loads that were seen; record at a lower one")
            }
            Doubt::NeverSampled { role, stage } => write!(
                f,
                "{role}: packets went through {stage}, and none was measured; record for longer"
            ),
            Doubt::LimitElsewhere { utilisation } => write!(
                f,
                "latency rises though the engine is {:.0} % utilised at most: the limit is elsewhere \
                 (clients, network, origins); look there, or bring more load",
                100.0 * utilisation
            ),
            Doubt::NoRise => {
                write!(f, "latency does not rise with load; record at a higher load")
            }
            Doubt::Inexact { what, error } => write!(
                f,
                "the model misses {what} by {:.0} %; record on a quieter host, or for longer",
                100.0 * error
            ),
            Doubt::NotApart { what } => {
                write!(f, "{what} cannot be told from the rest; record while it varies by itself")
            }
            Doubt::NeverReached { p99_us, least_us } => write!(
                f,
                "a p99 of {p99_us:.0} µs is less than it takes at the lowest load that was seen, {least_us:.0} µs; \
                 allow for more"
            ),
            Doubt::OneCore { utilisation } => write!(
                f,
                "the one core with the devices would be {:.0} % utilised; give ports more queues and \
                 run to completion",
                100.0 * utilisation
            ),
            Doubt::NoRequests => write!(
                f,
                "nobody counted requests in this recording; give packets_per_second or bits_per_second"
            ),
        }
    }
}

/// An answer as it is written: what it is, or `{"unsupported": why}`.
#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a, T> {
    Known(&'a T),
    Unknown { unsupported: String },
}

impl<'a, T> From<&'a Answer<T>> for Written<'a, T> {
    fn from(answer: &'a Answer<T>) -> Self {
        match answer {
            Ok(known) => Written::Known(known),
            Err(doubt) => Written::Unknown { unsupported: doubt.to_string() },
        }
    }
}

/// For `serialize_with`.
pub(super) fn answer<T: Serialize, S: Serializer>(
    answer: &Answer<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Written::from(answer).serialize(serializer)
}

/// The same of one that was perhaps not asked for.
pub(super) fn answer_if_asked<T: Serialize, S: Serializer>(
    asked: &Option<Answer<T>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    asked.as_ref().map(Written::from).serialize(serializer)
}

/// The same of several.
pub(super) fn answers<T: Serialize, S: Serializer>(
    answers: &[Answer<T>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(answers.iter().map(Written::from))
}
