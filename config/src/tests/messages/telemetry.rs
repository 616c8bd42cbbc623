//! What is recorded.

use super::assert_says_behind;

#[test]
fn telemetry() {
    assert_says_behind(
        "telemetry: { directory: recordings, interval: 500ms, rotate: 64MB, keep: 0 }\n",
        &[
            "10:25: \"directory\" cannot be \"recordings\"; give an absolute path, or off",
            "10:47: \"interval\" cannot be \"500ms\"; give a time with its unit (us, ms, s, m or h) from 1s to 1h",
            "10:62: \"rotate\" cannot be \"64MB\"; give a size with its unit (KiB, MiB or GiB) from 256KiB to 1GiB",
            "10:74: \"keep\" cannot be \"0\"; give a whole number from 1 to 10000",
        ],
    );
    assert_says_behind(
        "telemetry: { interval: 2500ms, rotate: 2GiB, dir: /var/tmp }\n",
        &[
            "10:24: \"interval\" cannot be \"2500ms\"; give whole seconds",
            "10:40: \"rotate\" cannot be \"2GiB\"; give a size with its unit (KiB, MiB or GiB) from 256KiB to 1GiB",
            "10:46: unknown key \"dir\" in telemetry; known are histograms, directory, interval, rotate, keep",
        ],
    );
}
