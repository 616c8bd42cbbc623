//! Reading the keys of a mapping: each key that is asked for is known, every other is not.
//!
//! A problem is noted and reading goes on, so that one run shows all that is wrong. Values are
//! read by the functions of [`crate::value`], which return what they expected when they are not
//! given it.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use crate::document::{Content, Entry, Node};
use crate::limits::SUGGESTION_KEY_MAX;
use crate::problem::{Located, Position, Problems, quoted};
use crate::schema::Word;
use crate::value;

/// What a value should have been: `a whole number from 1 to 64`.
pub(crate) type Expected = String;

/// The keys of one mapping.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    /// What the mapping is, for messages: `service "web"`.
    pub(crate) name: String,
    pub(crate) at: Position,
    entries: &'a [Entry],
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The keys of `node`. A section whose keys are all commented out is an empty one.
    pub(crate) fn of(
        node: &'a Node,
        name: impl Into<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let name = name.into();
        let entries: &[Entry] = match &node.content {
            Content::Mapping(entries) => entries,
            Content::Nothing => &[],
            _ => {
                problems.add(
                    node.at,
                    format!("{name} cannot be {}; give keys with values", node.shown()),
                );
                return None;
            }
        };
        let mut first_lines = HashMap::new();
        for Entry { key, .. } in entries {
            match first_lines.get(&key.value) {
                Some(line) => problems.add(
                    key.at,
                    format!(
                        "key {} is already given in line {line}; remove one of them",
                        quoted(&key.value)
                    ),
                ),
                None => {
                    first_lines.insert(&key.value, key.at.line);
                }
            }
        }
        Some(Fields { name, at: node.at, entries, asked: Vec::new() })
    }

    /// The node under `key`, if there is one.
    pub(crate) fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        Some(&self.entries.iter().find(|entry| entry.key.value == key)?.value)
    }

    /// The value under `key` as `read` understands it; `None` if it is missing or wrong.
    pub(crate) fn value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, Expected>,
        problems: &mut Problems,
    ) -> Option<Located<T>> {
        let node = self.node(key)?;
        text(key, node, read, problems)
    }

    /// The word under `key`.
    pub(crate) fn word<T: Word>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<Located<T>> {
        self.value(key, value::word, problems)
    }

    /// The items of the list under `key`, if it is one of such a length.
    pub(crate) fn nodes(
        &mut self,
        key: &'static str,
        lengths: RangeInclusive<usize>,
        problems: &mut Problems,
    ) -> Option<&'a [Node]> {
        let node = self.node(key)?;
        let complaint = match &node.content {
            Content::List(items) if lengths.contains(&items.len()) => return Some(items),
            Content::List(items) if items.is_empty() => "is empty; give at least one".to_owned(),
            Content::List(items) => {
                format!("has {} items; give at most {}", items.len(), lengths.end())
            }
            _ => format!("cannot be {}; give a list: [ … ], or lines with \"- \"", node.shown()),
        };
        problems.add(node.at, format!("\"{key}\" {complaint}"));
        None
    }

    /// The list under `key` as `read` understands its items; wrong items are left out.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        lengths: RangeInclusive<usize>,
        read: impl Fn(&str) -> Result<T, Expected>,
        problems: &mut Problems,
    ) -> Option<Vec<Located<T>>> {
        let items = self.nodes(key, lengths, problems)?;
        Some(items.iter().filter_map(|item| text(key, item, &read, problems)).collect())
    }

    /// Notes the absence of a key that has no default.
    pub(crate) fn require(&self, key: &str, example: &str, problems: &mut Problems) {
        if !self.entries.iter().any(|entry| entry.key.value == key) {
            problems.add(
                self.at,
                format!("{} lacks \"{key}\"; add it, for example {example}", self.name),
            );
        }
    }

    /// Notes every key that nobody asked for. To be called when all were.
    pub(crate) fn finish(self, problems: &mut Problems) {
        for Entry { key, .. } in self.entries {
            if self.asked.contains(&key.value.as_str()) {
                continue;
            }
            let advice = match suggestion(&key.value, &self.asked) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("known are {}", self.asked.join(", ")),
            };
            problems.add(
                key.at,
                format!("unknown key {} in {}; {advice}", quoted(&key.value), self.name),
            );
        }
    }
}

fn text<T>(
    key: &str,
    node: &Node,
    read: impl FnOnce(&str) -> Result<T, Expected>,
    problems: &mut Problems,
) -> Option<Located<T>> {
    // No value can be read from the empty text: it asks what would have been right.
    let written = match &node.content {
        Content::Text(text) => text.as_str(),
        _ => "",
    };
    match read(written) {
        Ok(value) => Some(Located { at: node.at, value }),
        Err(expected) => {
            problems.add(node.at, format!("\"{key}\" cannot be {}; {expected}", node.shown()));
            None
        }
    }
}

/// The known key that was probably meant.
fn suggestion<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    if key.len() > SUGGESTION_KEY_MAX {
        return None;
    }
    let close = |candidate: &str| strsim::damerau_levenshtein(key, candidate);
    // A third of the letters may be wrong: a slip of the keyboard, not another word.
    let best = known.iter().copied().min_by_key(|candidate| close(candidate))?;
    (close(best) * 3 <= key.chars().count().max(3)).then_some(best)
}
