//! Any octets as a configuration file: each problem has its place, and what is accepted survives being
//! written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringroad_config::exercise::exercise;

fuzz_target!(|input: &[u8]| exercise(input));
