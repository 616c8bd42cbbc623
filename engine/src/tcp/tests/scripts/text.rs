//! A line of text, read from left to right, with the column for what is wrong in it.

use std::time::Duration;

/// What is wrong in a line, and where: columns count from one, in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) column: usize,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of a line, which ends where a comment begins.
    pub(super) fn new(line: &'a str) -> Self {
        let line = line.find("//").map_or(line, |comment| &line[..comment]);
        Cursor { line: line.trim_end(), at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    pub(super) fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        let column = self.line[..self.at].chars().count() + 1;
        Err(Fault { column, message: message.into() })
    }

    pub(super) fn skip_space(&mut self) {
        self.at = self.line.len() - self.rest().trim_start().len();
    }

    /// Takes `text` if it comes next.
    pub(super) fn takes(&mut self, text: &str) -> bool {
        self.skip_space();
        let comes = self.rest().starts_with(text);
        self.at += if comes { text.len() } else { 0 };
        comes
    }

    /// Takes `text`, which has to come next.
    pub(super) fn expect(&mut self, text: &str) -> Result<(), Fault> {
        match self.takes(text) {
            true => Ok(()),
            false => self.fault(format!("`{text}` is missing here")),
        }
    }

    /// Takes what comes next as long as `accept` says so; empty if it says so at once.
    pub(super) fn run(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A word of letters, digits, `_` and `-`, which begins with a letter; empty if there is none.
    pub(super) fn word(&mut self) -> &'a str {
        self.skip_space();
        if !self.rest().starts_with(char::is_alphabetic) {
            return "";
        }
        self.run(|c| c.is_alphanumeric() || c == '_' || c == '-')
    }

    /// Takes the word `expected` if it comes next.
    pub(super) fn takes_word(&mut self, expected: &str) -> bool {
        let before = *self;
        let comes = self.word() == expected;
        if !comes {
            *self = before;
        }
        comes
    }

    /// A number that `T` can hold.
    pub(super) fn number<T: TryFrom<i64>>(&mut self, what: &str) -> Result<T, Fault> {
        self.skip_space();
        let before = *self;
        let negative = self.takes("-");
        let digits = self.run(|c| c.is_ascii_digit());
        let value: Option<i64> = digits.parse().ok();
        let value = value.map(|value| if negative { -value } else { value });
        match value.and_then(|value| T::try_from(value).ok()) {
            Some(value) => Ok(value),
            None => before.fault(format!("{what} has to be a number here")),
        }
    }

    /// A number on a circle of 32 bits, which may be given as a negative one.
    pub(super) fn circular(&mut self, what: &str) -> Result<u32, Fault> {
        let before = *self;
        let value: i64 = self.number(what)?;
        match u32::try_from(value).or(i32::try_from(value).map(|value| value as u32)) {
            Ok(value) => Ok(value),
            Err(_) => before.fault(format!("{what} has 32 bits")),
        }
    }

    /// A time: seconds with up to nine decimals, or with one of the units ns, us, ms, s, min, h, d.
    pub(super) fn time(&mut self) -> Result<Duration, Fault> {
        self.skip_space();
        let before = *self;
        let number = self.run(|c| c.is_ascii_digit() || c == '.');
        let unit_ns: u128 = match self.rest().chars().next() {
            Some(c) if c.is_alphabetic() => match self.word() {
                "ns" => 1,
                "us" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "min" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "d" => 86_400_000_000_000,
                unit => return before.fault(format!("no unit of time is called `{unit}`")),
            },
            _ => 1_000_000_000,
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let shown = format!("0{whole}{decimals}").parse::<u128>().ok();
        let divisor = 10u128.checked_pow(decimals.len() as u32);
        match (shown, divisor) {
            (Some(value), Some(divisor))
                if !(whole.is_empty() && decimals.is_empty())
                    && (value * unit_ns).is_multiple_of(divisor)
                    && value < 1 << 50 =>
            {
                let ns = value * unit_ns / divisor;
                Ok(Duration::new((ns / 1_000_000_000) as u64, (ns % 1_000_000_000) as u32))
            }
            _ => before.fault("a time in whole nanoseconds is missing here"),
        }
    }

    /// Nothing but a comment may follow.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        match self.is_at_end() {
            true => Ok(()),
            false => self.fault(format!("`{}` is not understood", self.rest())),
        }
    }
}

/// A time as scripts are best read: milliseconds, with as many decimals as it takes.
pub(super) fn in_ms(time: Duration) -> String {
    let ns = time.as_nanos();
    let shown = format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000);
    format!("{}ms", shown.trim_end_matches('0').trim_end_matches('.'))
}
