//! Arbitrary segments over one another: what comes out is what a map of octets says, within bounds,
//! and every frame comes home.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringroad_engine::tcp::exercise::reassembly::exercise;

fuzz_target!(|input: &[u8]| exercise(input));
