//! What bindgen generates from DPDK's headers and the shim's.

#![allow(
    unsafe_code,
    unreachable_pub,
    missing_debug_implementations,
    non_camel_case_types,
    non_upper_case_globals,
    dead_code,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    reason = "generated"
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
