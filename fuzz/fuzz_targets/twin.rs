//! Arbitrary packets, settings and pauses for the XDP program and its twin: they must agree on every
//! verdict, on every octet of an answer, and on what they count. Needs root and BPF.

#![no_main]
#![allow(dead_code, reason = "what the program and its twin stand on is shared with their tests")]

#[path = "../../engine/tests/twin/both.rs"]
mod both;
#[path = "../../engine/tests/twin/exercise.rs"]
mod exercise;
#[path = "../../ebpf/tests/shield/packets.rs"]
mod packets;
#[path = "../../ebpf/tests/shield/rig.rs"]
mod rig;
#[path = "../../engine/tests/twin/traffic.rs"]
mod traffic;

use std::cell::RefCell;
use std::process;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use nix::sched::{CloneFlags, unshare};
use ringroad_engine::time::Instant;

use both::Both;
use exercise::{exercise, start_afresh};
use rig::now_ns;

thread_local! {
    /// Loaded once for many inputs, as the verifier takes longer than they do.
    static LOADED: RefCell<Option<Both>> = const { RefCell::new(None) };
}

fuzz_target!(|input: &[u8]| LOADED.with_borrow_mut(|loaded| {
    let mut both = loaded.take().unwrap_or_else(load);
    exercise(&mut both, input);
    start_afresh(&mut both);
    // Of connections that are Linux's the program has the real clock.
    let is_ahead = both.now > Instant::from_nanos(now_ns()) + AHEAD_MAX;
    if both.twin.kernel_flow_count() == 0 && !is_ahead {
        *loaded = Some(both);
    }
}));

fn load() -> Both {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("twin: loading XDP programs needs root; run it as root or through sudo");
        process::exit(0);
    }
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    Both::new()
}

/// How far the heartbeat may run ahead of the real clock: less than `KERNEL_FLOW_MEMORY_NS`.
const AHEAD_MAX: Duration = Duration::from_secs(3600);
