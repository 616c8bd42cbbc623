//! Filters as people write them, a small subset of tcpdump's language:
//!
//! ```text
//! filter = every { "or" every }
//! every  = one { ["and"] one }
//! one    = "not" one | "(" filter ")" | test
//! test   = "service" NAME | "host" ADDRESS | "net" PREFIX | "port" NUMBER
//!        | "syn" | "fin" | "rst" | "drop" [REASON]
//! ```
//!
//! An expression becomes alternatives of tests that all have to hold ([`Filter`]): by De Morgan's rules
//! and the distributive one.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use ringroad_ebpf::Verdict;
use ringroad_engine::tcp;
use ringroad_engine::telemetry::DropReason;
use ringroad_engine::telemetry::capture::{Filter, Literal, Test};
use ringroad_engine::wire::Malformed;
use ringroad_engine::wire::tcp::Flags;

/// Makes a filter of its text. `services` are the names of those that there are, in their order.
///
/// # Errors
/// In one line, which word is wrong and what would be right.
pub(super) fn parse(text: &str, services: &[String]) -> Result<Filter, Wrong> {
    if text.len() > TEXT_MAX {
        return Err(Wrong(format!("the filter is longer than {TEXT_MAX} characters")));
    }
    let mut words = Words { words: split(text), at: 0, end: text.chars().count() + 1, services };
    if words.words.is_empty() {
        return Ok(Filter::ALL);
    }
    let expression = words.filter()?;
    if let Some(word) = words.peek() {
        return Err(word.wrong("is one too many: nothing is open that it could close"));
    }
    let too_long = |error| Wrong(format!("the filter {error}; make it two captures"));
    Filter::any_of(&expression.alternatives(true)).map_err(too_long)
}

/// What is wrong with a filter, in one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug)]
enum Expression {
    Test(Test),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    /// Alternatives, one of which allows a packet if the expression holds for it, or (`holds` is
    /// `false`) if it does not.
    fn alternatives(&self, holds: bool) -> Vec<Vec<Literal>> {
        match (self, holds) {
            (Expression::Test(test), holds) => vec![vec![Literal { test: *test, holds }]],
            (Expression::Not(inner), holds) => inner.alternatives(!holds),
            (Expression::Any(parts), true) | (Expression::All(parts), false) => {
                parts.iter().flat_map(|part| part.alternatives(holds)).collect()
            }
            (Expression::All(parts), true) | (Expression::Any(parts), false) => {
                let all = parts.iter().map(|part| part.alternatives(holds));
                all.fold(vec![Vec::new()], |sofar, more| each_with_each(&sofar, &more))
            }
        }
    }
}

/// No more than show that it is too long.
fn each_with_each(left: &[Vec<Literal>], right: &[Vec<Literal>]) -> Vec<Vec<Literal>> {
    let with = |one: &Vec<Literal>| right.iter().map(|other| [&one[..], other].concat()).collect();
    left.iter().flat_map(|one| -> Vec<_> { with(one) }).take(ALTERNATIVES_CARRIED).collect()
}

#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    text: &'a str,
    /// Place of its first character, counted from one.
    place: usize,
}

impl Word<'_> {
    fn wrong(&self, why: &str) -> Wrong {
        Wrong(format!("{:?} (at character {}) {why}", self.text, self.place))
    }
}

/// Words, with parentheses as words of their own.
fn split(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut begin = None;
    let ends = text.char_indices().map(|(at, c)| (at, Some(c))).chain([(text.len(), None)]);
    for (place, (at, c)) in (1..).zip(ends) {
        let is_parenthesis = matches!(c, Some('(' | ')'));
        if is_parenthesis || c.is_none_or(char::is_whitespace) {
            if let Some((from, place)) = begin.take() {
                words.push(Word { text: &text[from..at], place });
            }
        } else if begin.is_none() {
            begin = Some((at, place));
        }
        if is_parenthesis {
            words.push(Word { text: &text[at..=at], place });
        }
    }
    words
}

/// The words of a filter, and how far it has been read.
#[derive(Debug)]
struct Words<'a> {
    words: Vec<Word<'a>>,
    at: usize,
    /// Place behind the last character.
    end: usize,
    services: &'a [String],
}

impl<'a> Words<'a> {
    fn filter(&mut self) -> Result<Expression, Wrong> {
        let mut parts = vec![self.every()?];
        while self.take("or") {
            parts.push(self.every()?);
        }
        Ok(Expression::Any(parts))
    }

    fn every(&mut self) -> Result<Expression, Wrong> {
        let mut parts = vec![self.one()?];
        loop {
            let goes_on = self.take("and");
            if !goes_on && self.peek().is_none_or(|word| matches!(word.text, "or" | ")")) {
                return Ok(Expression::All(parts));
            }
            parts.push(self.one()?);
        }
    }

    fn one(&mut self) -> Result<Expression, Wrong> {
        let word = self.next("a test, such as host or service")?;
        let test = match word.text {
            "not" => return Ok(Expression::Not(Box::new(self.one()?))),
            "(" => {
                let inside = self.filter()?;
                let closing = self.next("a closing parenthesis")?;
                return match closing.text {
                    ")" => Ok(inside),
                    _ => Err(closing.wrong("stands where a closing parenthesis is missing")),
                };
            }
            "service" => Test::Service(self.service()?),
            "host" => {
                let address = self.next("an address")?;
                let ip: IpAddr = (address.text.parse())
                    .map_err(|_| address.wrong("is no address; such as 10.10.1.2 or fd00:1::2"))?;
                Test::Net(ip.into())
            }
            "net" => {
                let prefix = self.next("a prefix")?;
                let net: IpNet = (prefix.text.parse()).map_err(|_| {
                    prefix.wrong("is no prefix; such as 10.10.1.0/24 or fd00:1::/64")
                })?;
                Test::Net(net)
            }
            "port" => {
                let number = self.next("a port's number")?;
                let port: u16 =
                    number.text.parse().map_err(|_| number.wrong("is no port; from 0 to 65535"))?;
                Test::Port(port)
            }
            "syn" => Test::Flags(Flags::SYN),
            "fin" => Test::Flags(Flags::FIN),
            "rst" => Test::Flags(Flags::RST),
            "drop" => Test::Drop(self.reason()?),
            _ => return Err(word.wrong(&unknown(word.text, "test", WORDS.iter().copied()))),
        };
        Ok(Expression::Test(test))
    }

    fn service(&mut self) -> Result<u16, Wrong> {
        let name = self.next("a service's name")?;
        let index = self.services.iter().position(|service| service == name.text);
        let names = self.services.iter().map(String::as_str);
        let index = index.ok_or_else(|| name.wrong(&unknown(name.text, "service", names)))?;
        Ok(index as u16)
    }

    /// The reason behind `drop`, if there is one.
    fn reason(&mut self) -> Result<Option<&'static str>, Wrong> {
        let Some(word) = self.peek().filter(|word| !WORDS.contains(&word.text)) else {
            return Ok(None);
        };
        self.at += 1;
        let reason = reasons().find(|reason| *reason == word.text);
        match reason {
            Some(reason) => Ok(Some(reason)),
            None => Err(word.wrong(&unknown(word.text, "reason for a drop", reasons()))),
        }
    }

    fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.at).copied()
    }

    /// Takes the next word if it is this one.
    fn take(&mut self, text: &str) -> bool {
        let is_next = self.peek().is_some_and(|word| word.text == text);
        self.at += usize::from(is_next);
        is_next
    }

    fn next(&mut self, what: &str) -> Result<Word<'a>, Wrong> {
        let word = self.peek().ok_or_else(|| {
            Wrong(format!("it ends at character {} where {what} should follow", self.end))
        })?;
        self.at += 1;
        Ok(word)
    }
}

/// Everything for which the engine drops packets.
fn reasons() -> impl Iterator<Item = &'static str> {
    let malformed = Malformed::ALL.iter().map(|reason| reason.as_str());
    let dropped = DropReason::ALL.iter().map(|reason| reason.as_str());
    let refused = tcp::DropReason::ALL.iter().map(|reason| reason.as_str());
    let shield = Verdict::ALL.into_iter().filter(|verdict| verdict.is_drop()).map(Verdict::name);
    malformed.chain(dropped).chain(refused).chain(shield)
}

/// That a word is none of `known`, and which of these is most like it.
fn unknown<'a>(word: &str, what: &str, known: impl Iterator<Item = &'a str>) -> String {
    let likeness = |other: &&str| strsim::jaro_winkler(word, other);
    let closest = known.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match closest.filter(|closest| likeness(closest) > ALIKE) {
        Some(closest) => format!("is no {what}; did you mean {closest:?}?"),
        None if what == "test" => format!("is no {what}; there are {}", WORDS[..8].join(", ")),
        None => format!("is no {what}"),
    }
}

/// Words that mean something by themselves: tests first.
const WORDS: [&str; 13] =
    ["service", "host", "net", "port", "syn", "fin", "rst", "drop", "and", "or", "not", "(", ")"];

/// Above this, one word may have been meant by the other.
const ALIKE: f64 = 0.7;

/// Longest filter [octets]: what is nested deeper than this allows would take the stack.
const TEXT_MAX: usize = 1000;

/// More than any filter may have.
const ALTERNATIVES_CARRIED: usize = 64;

#[cfg(test)]
mod tests;
