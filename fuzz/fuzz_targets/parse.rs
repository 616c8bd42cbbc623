//! Any octets as a received frame: parsing must not panic, and what it accepts must be true.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringroad_engine::wire::exercise::frame;

fuzz_target!(|input: &[u8]| frame(input));
