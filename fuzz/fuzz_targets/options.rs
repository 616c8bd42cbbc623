//! Any octets as TCP options: what is read and written again reads the same, and every list that we
//! write is one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringroad_engine::wire::exercise::options;

fuzz_target!(|input: &[u8]| options(input));
