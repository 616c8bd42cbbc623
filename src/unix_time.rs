//! Time since 1970, as clocks on the wall have it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since 1970 until now.
pub(crate) fn now() -> Duration {
    since_1970(SystemTime::now())
}

/// Since 1970; nothing, of a clock that stands before.
pub(crate) fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
