//! A YAML file as a tree of nodes that know where they stand.
//!
//! Scalars stay the text that was written: what they mean is decided by the key that asks (so
//! `off` is never a boolean, and `1e3` never a name). What a configuration has no use for and
//! could be used to make it large or ambiguous is refused: aliases, tags, several documents, deep
//! nesting. Start at [`parse`].

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use crate::limits::DEPTH_MAX;
use crate::problem::{Located, Position, Problems, quoted};

/// A value of the file.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// Nothing was written behind the key or dash.
    Nothing,
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Located<String>,
    pub(crate) value: Node,
}

impl Node {
    /// What was written, for a message.
    pub(crate) fn shown(&self) -> String {
        match &self.content {
            Content::Nothing => "nothing".to_owned(),
            Content::Text(text) => quoted(text),
            Content::List(_) => "a list".to_owned(),
            Content::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

/// Reads `text`; `None` if it is no YAML, or has no content, after saying so.
pub(crate) fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let end = within(text, Position { line: usize::MAX, column: usize::MAX });
    let mut builder = Builder { end, open: Vec::new(), root: None };
    for event in Parser::new_from_str(text) {
        let taken = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err((
                within(text, position(error.marker())),
                format!("not valid YAML: {}; mend the syntax here or just above", error.info()),
            )),
        };
        if let Err((at, message)) = taken {
            problems.add(at, message);
            return None;
        }
    }
    if builder.root.is_none() {
        problems
            .add(Position::START, "the file is empty; give at least \"ports\" and \"services\"");
    }
    builder.root
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

/// The place in `text` that the parser means: it counts octets in a comment, where there may be fewer
/// characters, and looks for what is missing at the end in a line more than there is. Lines end with
/// CR, LF or both (YAML 1.2.2 §5.4).
fn within(text: &str, at: Position) -> Position {
    let text = text.replace("\r\n", "\n");
    let lines = (1..).zip(text.split(['\n', '\r'])).take(at.line);
    lines.last().map_or(at, |(line, characters)| {
        let behind = Position { line, column: 1 + characters.chars().count() };
        at.min(behind)
    })
}

/// A list or mapping that is still open.
#[derive(Debug)]
struct Open {
    node: Node,
    /// The key that waits for its value.
    key: Option<Located<String>>,
}

/// Builds the tree from the parser's events. Its own stack instead of recursion: nesting costs
/// memory up to [`DEPTH_MAX`] and never the thread's stack.
#[derive(Debug)]
struct Builder {
    /// Behind the last character. Where nothing stands at the end, the parser is a line further.
    end: Position,
    open: Vec<Open>,
    root: Option<Node>,
}

type Refusal = (Position, String);

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Refusal> {
        let at = position(&span.start).min(self.end);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_anchor(at, anchor, tag.is_some())?;
                let nothing = style == ScalarStyle::Plain && span.is_empty();
                let content =
                    if nothing { Content::Nothing } else { Content::Text(text.into_owned()) };
                self.value(Node { at, content })
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_anchor(at, anchor, tag.is_some())?;
                self.open(Node { at, content: Content::List(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                refuse_anchor(at, anchor, tag.is_some())?;
                self.open(Node { at, content: Content::Mapping(Vec::new()) })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, .. }) => self.value(node),
                None => Ok(()),
            },
            Event::Alias(_) => {
                Err((at, "an alias (\"*\") is not supported; write the value out".to_owned()))
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err((at, "a second document starts here; a file holds one".to_owned()))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, node: Node) -> Result<(), Refusal> {
        if self.open.len() == DEPTH_MAX {
            return Err((node.at, format!("nested more than {DEPTH_MAX} deep; no setting is")));
        }
        self.open.push(Open { node, key: None });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn value(&mut self, mut node: Node) -> Result<(), Refusal> {
        let Some(Open { node: parent, key }) = self.open.last_mut() else {
            // A document without content is no root: the file counts as empty.
            if !matches!(node.content, Content::Nothing) {
                self.root = Some(node);
            }
            return Ok(());
        };
        match (&mut parent.content, key.take()) {
            (Content::Mapping(entries), Some(key)) => {
                if matches!(node.content, Content::Nothing) {
                    // Nothing stands nowhere: speak of its key instead.
                    node.at = key.at;
                }
                entries.push(Entry { key, value: node });
            }
            (Content::Mapping(_), None) => match node.content {
                Content::Text(text) => *key = Some(Located { at: node.at, value: text }),
                _ => {
                    return Err((
                        node.at,
                        format!("a key cannot be {}; give a word", node.shown()),
                    ));
                }
            },
            (Content::List(items), _) => items.push(node),
            (Content::Nothing | Content::Text(_), _) => {}
        }
        Ok(())
    }
}

fn refuse_anchor(at: Position, anchor: usize, tagged: bool) -> Result<(), Refusal> {
    if tagged {
        return Err((at, "a tag (\"!\") is not supported; leave it out".to_owned()));
    }
    if anchor != 0 {
        return Err((at, "an anchor (\"&\") is not supported; leave it out".to_owned()));
    }
    Ok(())
}
