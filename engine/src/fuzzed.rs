//! What `fuzz/` runs for as long as one likes, run here for a moment: on arbitrary octets, and on
//! those that fuzzing has found to take other ways through the code.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::shield::cookie;
use crate::{tcp, wire};

/// A fuzz target by its name, and what it runs.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 5] = [
    ("connection", tcp::exercise::exercise),
    ("cookie", cookie::exercise::exercise),
    ("options", wire::exercise::options),
    ("parse", wire::exercise::frame),
    ("reassembly", tcp::exercise::reassembly::exercise),
];

/// Those of them that are run where what they need is: with the configuration, and with the XDP
/// program.
const ELSEWHERE: [&str; 2] = ["config", "twin"];

#[test]
fn no_corpus_breaks_a_promise() {
    for (target, exercise) in TARGETS {
        let files = names_in(&format!("corpus/{target}"));
        assert!(!files.is_empty(), "{target} has no corpus");
        for file in files {
            let input = std::fs::read(fuzz().join(format!("corpus/{target}/{file}")));
            exercise(&input.expect("a file of the corpus"));
        }
    }
}

#[test]
fn every_target_is_run_here_too() {
    let mut known: Vec<_> =
        TARGETS.map(|(target, _)| target).into_iter().chain(ELSEWHERE).collect();
    known.sort_unstable();
    assert_eq!(names_in("corpus"), known);
    let files = names_in("fuzz_targets");
    let targets: Vec<_> = files.iter().filter_map(|file| file.strip_suffix(".rs")).collect();
    assert_eq!(targets, known);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_octets_break_a_promise(input in vec(any::<u8>(), 0..300)) {
        TARGETS.iter().for_each(|(_, exercise)| exercise(&input));
    }
}

fn fuzz() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// What a directory of `fuzz/` holds, in order.
fn names_in(directory: &str) -> Vec<String> {
    let entries = fuzz().join(directory).read_dir().expect("a directory of fuzz/");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
