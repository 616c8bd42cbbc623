//! SYN cookies: ours open to what was offered; what is none of ours does not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringroad_engine::shield::cookie::exercise::exercise;

fuzz_target!(|input: &[u8]| exercise(input));
