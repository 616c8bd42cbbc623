//! Packet scripts: what arrives, what must leave, and when, in a notation close to packetdrill's.
//!
//! `docs/testing.md` describes the language; the scripts are in `scripts/`, a directory for each
//! topic. `RINGROAD_SCRIPTS=loss/` runs only those with that in their path and prints the whole
//! exchange of each.

mod parse;
mod run;
mod segment;
mod tests;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parse::Script;
use run::{Exchange, Failure, run};

/// Where the scripts are; a failure names them below the workspace.
const DIRECTORY: &str = "src/tcp/tests/scripts";

/// How much of an exchange a failure shows [lines].
const SHOWN: usize = 10;

macro_rules! suites {
    ($($topic:ident)+) => {
        const TOPICS: &[&str] = &[$(stringify!($topic)),+];

        $(#[test]
        fn $topic() {
            run_topic(stringify!($topic));
        })+
    };
}

suites! {
    autotune
    bbr
    close
    congestion
    data
    ecn
    fast_open
    frto
    handshake
    loss
    pacing
    path_mtu
    paws
    prr
    rack
    reassembly
    resets
    sack
    tlp
    undo
    vegas
    window
}

#[test]
fn every_directory_of_scripts_is_a_suite() {
    let mut found: Vec<String> =
        files_in(&root()).iter().filter(|path| path.is_dir()).map(|path| name_of(path)).collect();
    found.sort();
    assert_eq!(found, TOPICS);
}

/// Runs the scripts of one directory and tells of all that fail.
fn run_topic(topic: &str) {
    let wanted = std::env::var("RINGROAD_SCRIPTS").ok();
    let mut failures = Vec::new();
    for path in files_in(&root().join(topic)) {
        let name = format!("engine/{DIRECTORY}/{topic}/{}", name_of(&path));
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a script can be read");
        let mut exchange = Exchange::default();
        let outcome = run_text(&name, &text, &mut exchange);
        if wanted.is_some() {
            show(&format!("{name}\n{}\n", exchange.lines.join("\n")));
        }
        failures.extend(outcome.err());
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

/// Runs one script. What went wrong is told with file and line, and what led to it.
fn run_text(name: &str, text: &str, exchange: &mut Exchange) -> Result<(), String> {
    let comes_first = text.lines().next().unwrap_or_default();
    if !comes_first.starts_with("//") {
        return Err(format!("{name}:1:1: a comment that says what is shown comes first"));
    }
    let script = Script::parse(text).map_err(|error| {
        format!("{name}:{}:{}: {}", error.line, error.fault.column, error.fault.message)
    })?;
    // A connection that panics must not hide which script made it.
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&script, exchange)))
        .unwrap_or_else(|_| Err(Failure { line: 0, message: "it panicked, see above".into() }));
    outcome.map_err(|Failure { line, message }| {
        let from = exchange.lines.len().saturating_sub(SHOWN);
        let last = exchange.lines[from..].join("\n    ");
        format!("{name}:{line}: {message}\nwhat came before:\n    {last}")
    })
}

#[expect(clippy::print_stdout, reason = "asked for, and the test harness keeps it otherwise")]
fn show(text: &str) {
    println!("{text}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(DIRECTORY)
}

/// What a directory holds, in order of names; of files, scripts.
fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory of scripts");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|kind| kind == "pkt"))
        .collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
