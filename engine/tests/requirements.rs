//! `docs/tcp.md` and its tables say only what is so: every file and test that they name exists, every
//! deviation is explained, every number of RFC 9293 is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn files_and_tests_named_in_the_tables_exist() {
    let tests = names_of_tests();
    let mut wrong = Vec::new();
    for row in rows() {
        let mut complain = |what: String| wrong.push(format!("{}: {what}", row.at()));
        if row.is_applicable() {
            let files: Vec<&str> = quoted(&row.place).collect();
            if files.is_empty() {
                complain("names no file".into());
            }
            for file in files {
                if !root().join("engine/src").join(file).is_file() {
                    complain(format!("there is no engine/src/{file}"));
                }
            }
        }
        if row.state == "met" && quoted(&row.held_by).next().is_none() {
            complain("met, and no test holds it".into());
        }
        for test in quoted(&row.held_by) {
            if !tests.contains(test) && !scripts().join(test).is_file() {
                complain(format!("there is no test {test}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_deviation_is_explained_and_every_explanation_needed() {
    let explained: BTreeSet<String> = overview()
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_owned)
        .collect();
    let mut claimed = BTreeSet::new();
    for row in rows() {
        match row.state.as_str() {
            "met" => {}
            "not applicable" => assert!(!row.place.is_empty(), "{}: says no reason", row.at()),
            state => {
                let name = state
                    .strip_prefix("deviates: [")
                    .and_then(|rest| rest.split_once("](../tcp.md#"))
                    .filter(|(name, link)| link.strip_suffix(')') == Some(*name))
                    .unwrap_or_else(|| panic!("{}: what is the state {state:?}?", row.at()))
                    .0;
                claimed.insert(name.to_owned());
            }
        }
    }
    assert_eq!(claimed, explained, "deviations of the tables, and those that docs/tcp.md explains");
}

#[test]
fn every_number_of_rfc_9293_is_there_once() {
    let numbers: Vec<String> = rows()
        .filter(|row| row.file == "rfc9293.md")
        .map(|row| row.name)
        .filter(|name| !name.starts_with("REC-"))
        .collect();
    let wanted: BTreeSet<String> = (1..=69)
        .map(|number| format!("MUST-{number}"))
        .chain((1..=31).map(|number| format!("SHLD-{number}")))
        .collect();
    assert_eq!(numbers.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(numbers.len(), wanted.len(), "one of them is there twice");
}

#[test]
fn the_counts_are_right() {
    for file in pages() {
        let count =
            |of: &dyn Fn(&Row) -> bool| rows().filter(|row| row.file == file && of(row)).count();
        let met = count(&|row| row.state == "met");
        let deviates = count(&|row| row.state.starts_with("deviates"));
        let counts = format!("| {met} | {deviates} | {} |", count(&|row| !row.is_applicable()));
        let overview = overview();
        let line = overview.lines().find(|line| line.contains(&format!("(tcp/{file})")));
        let line = line.unwrap_or_else(|| panic!("docs/tcp.md does not list {file}"));
        assert!(line.ends_with(&counts), "docs/tcp.md of {file}: should end in {counts}");
    }
}

/// One requirement.
struct Row {
    file: String,
    name: String,
    state: String,
    place: String,
    held_by: String,
}

impl Row {
    fn at(&self) -> String {
        format!("docs/tcp/{}, {}", self.file, self.name)
    }

    fn is_applicable(&self) -> bool {
        self.state != "not applicable"
    }
}

fn rows() -> impl Iterator<Item = Row> {
    pages().into_iter().flat_map(|file| {
        let text = fs::read_to_string(root().join("docs/tcp").join(&file)).unwrap();
        let is_row = |line: &&str| {
            line.starts_with("| ") && !line.starts_with("| No. |") && !line.starts_with("| § |")
        };
        let row = |line: &str| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [name, _, state, place, rest @ ..] = cells.as_slice() else {
                panic!("docs/tcp/{file}: a row has five columns: {line}");
            };
            Row {
                file: file.clone(),
                name: (*name).to_owned(),
                state: (*state).to_owned(),
                place: (*place).to_owned(),
                held_by: rest.first().copied().unwrap_or_default().to_owned(),
            }
        };
        text.lines().filter(is_row).map(row).collect::<Vec<_>>()
    })
}

/// The names of the files with tables.
fn pages() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("docs/tcp"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

fn overview() -> String {
    fs::read_to_string(root().join("docs/tcp.md")).unwrap()
}

/// What stands between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The names of all functions that a test runner runs.
fn names_of_tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["engine/src", "engine/tests", "config/src"] {
        for path in files_below(&root().join(folder), "rs") {
            let text = fs::read_to_string(path).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                if let Some(name) = line.strip_prefix("fn ").filter(|_| is_test) {
                    names.insert(name.split(['(', '<']).next().unwrap_or_default().to_owned());
                }
                // Between the attribute and the function there may be others.
                is_test = line == "#[test]" || (is_test && line.starts_with("#["));
            }
        }
    }
    for path in files_below(&root().join("tests/e2e"), "py") {
        let text = fs::read_to_string(path).unwrap();
        let tests = text.lines().filter_map(|line| line.trim().strip_prefix("def test_"));
        names.extend(
            tests.map(|rest| format!("test_{}", rest.split('(').next().unwrap_or_default())),
        );
    }
    names
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files
}

fn scripts() -> PathBuf {
    root().join("engine/src/tcp/tests/scripts")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
