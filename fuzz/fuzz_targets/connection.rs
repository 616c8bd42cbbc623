//! Arbitrary segments, calls and pauses at one TCP connection: it must not panic, its figures must
//! agree with its queues, and every frame must come home.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringroad_engine::tcp::exercise::exercise;

fuzz_target!(|input: &[u8]| exercise(input));
