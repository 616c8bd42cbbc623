//! Any octets as a configuration file: for property tests and for fuzzing.

use crate::parse;
use crate::problem::{Errors, Position};
use crate::schema::Config;

/// Reads `input`, as far as it is text, as a file.
///
/// # Panics
/// If a problem stands nowhere in the file or takes more than a line, or if what is accepted does
/// not survive being written and read again.
pub fn exercise(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match parse("fuzzed.yaml", &text) {
        Ok(config) => survives_a_round_trip(&config),
        Err(errors) => are_about(&errors, &text),
    }
}

/// Written and read again, a configuration is the same.
pub(crate) fn survives_a_round_trip(config: &Config) {
    let yaml = config.to_yaml();
    let again = parse("again", &yaml).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"));
    // What was a default is asked for once it is written down.
    let mut config = config.clone();
    config.admin.metrics.iter_mut().for_each(|metrics| metrics.required = true);
    assert_eq!(again, config, "{yaml}");
    assert_eq!(again.to_yaml(), yaml);
}

/// An editor finds the place of each problem, and each is one line.
fn are_about(errors: &Errors, text: &str) {
    assert!(!errors.problems().is_empty());
    assert!(errors.problems().is_sorted_by_key(|problem| problem.at));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<usize> = lines(text);
    for problem in errors.problems() {
        assert!(!problem.message.contains(char::is_control), "{problem:?}");
        let Some(Position { line, column }) = problem.at else {
            panic!("{problem:?} says nothing of where");
        };
        let length = line.checked_sub(1).and_then(|index| lines.get(index));
        let length = length.unwrap_or_else(|| panic!("{problem:?}: {} lines", lines.len()));
        // The place just behind a line is where something is missing.
        assert!((1..=length + 1).contains(&column), "{problem:?}: {length} characters");
    }
}

/// The length of each line \[characters\]. A line ends with CR, LF or both (YAML 1.2.2 §5.4); behind
/// the last end there is one more, perhaps of nothing.
fn lines(text: &str) -> Vec<usize> {
    text.replace("\r\n", "\n").split(['\n', '\r']).map(|line| line.chars().count()).collect()
}
