//! What the schema knows and this version cannot do: the one list of it.
//!
//! Such a setting is refused rather than ignored, as an operator would rely on it. When a feature
//! arrives, its line goes.

use crate::document::{Content, Node};
use crate::limits::BURST_MAX;
use crate::value;

/// When a key is refused.
#[derive(Debug)]
enum When {
    /// Its value is one of these words.
    Is(&'static [&'static str]),
    /// Its number is smaller.
    LessThan(u64),
    /// Its list is longer.
    LongerThan(usize),
}

/// Key (with its section where another has one of the same name), when it is refused, and what to
/// do instead.
const UNSUPPORTED: &[(&str, When, &str)] = &[
    ("engine.burst", When::LessThan(BURST_MAX as u64), "give 64, or leave it out"),
    ("arrangement", When::Is(&["pipeline"]), "use auto or run-to-completion"),
    ("cores", When::LongerThan(1), "give one core"),
];

/// Whether `word` is refused as the value of `key`.
pub(crate) fn refuses_word(key: &str, word: &str) -> bool {
    UNSUPPORTED.iter().any(|(unsupported, when, _)| {
        *unsupported == key && matches!(when, When::Is(words) if words.contains(&word))
    })
}

/// Why `node` cannot be the value of `key` in `section` in this version.
pub(crate) fn refusal(section: &str, key: &str, node: &Node) -> Option<String> {
    let (_, when, instead) = UNSUPPORTED.iter().find(|(unsupported, ..)| {
        *unsupported == key || unsupported.split_once('.') == Some((section, key))
    })?;
    let what = match (when, &node.content) {
        (When::Is(_), Content::Text(text)) if refuses_word(key, text) => {
            format!("{key} {text}")
        }
        (When::LessThan(least), Content::Text(text))
            if value::digits(text).is_some_and(|number: u64| (1..*least).contains(&number)) =>
        {
            format!("less than {least} in \"{key}\"")
        }
        (When::LongerThan(most), Content::List(items)) if items.len() > *most => {
            format!("more than {most} in \"{key}\"")
        }
        _ => return None,
    };
    Some(format!("{what} is not available in this version; {instead}"))
}
