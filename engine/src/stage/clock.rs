//! The one clock that the engine reads.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::time::Instant;

/// `CLOCK_MONOTONIC`, which the shield compares heartbeats with. Read without a system call.
#[inline]
pub fn monotonic() -> Instant {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    Instant::from_nanos(now.as_nanos() as u64)
}
