//! The engine, and what its cores are to do.

use super::{assert_says, assert_says_after, assert_says_behind};
use crate::parse;

#[test]
fn engine() {
    for burst in ["0", "65", "-1", "+1", "1.5", "0x10", "lots", "99999999999999999999999"] {
        assert_says_behind(
            &format!("engine:\n  burst: {burst}\n"),
            &[&format!("11:10: \"burst\" cannot be \"{burst}\"; give a whole number from 1 to 64")],
        );
    }
    assert_says_behind(
        "engine: { idle: sleep }\n",
        &["10:17: \"idle\" cannot be \"sleep\"; give one of spin, adaptive"],
    );
    assert_says_behind(
        "engine: { arrangement: pipline }\n",
        &[
            "10:24: \"arrangement\" cannot be \"pipline\"; give one of auto, run-to-completion, pipeline",
        ],
    );
    assert_says_behind(
        "engine: { cores: [9000] }\n",
        &["10:19: \"cores\" cannot be \"9000\"; give a whole number from 0 to 8191"],
    );
    assert_says_behind(
        "engine: { frames: 4096 }\n",
        &[
            "10:19: \"frames\" cannot be 4096; the rings of 2 queues take 4096 each, and payload that waits for its acknowledgement 4096: give at least 12288",
        ],
    );
    assert_says_after(
        "  - name: lan\n    interface: lan0\n",
        "engine: { frames: 8191 }\n",
        &[
            "4:19: \"frames\" cannot be 8191; the rings of 1 queue take 4096 each, and payload that waits for its acknowledgement 4096: give at least 8192",
        ],
    );
    assert_says_behind(
        "engine: { frames: 99999999 }\n",
        &["10:19: \"frames\" cannot be \"99999999\"; give a whole number from 1 to 16777216"],
    );
    for time in ["30", "s", "30 s", "30sec", "2d", "1.5s", "-1s", "25h", "999999999999999999h"] {
        assert_says_behind(
            &format!("engine:\n  drain_timeout: {time}\n"),
            &[&format!(
                "11:18: \"drain_timeout\" cannot be \"{time}\"; give a time with its unit (us, ms, s, m or h) from 0s to 24h"
            )],
        );
    }
    assert_says_behind(
        "engine: { heartbeat_limit: 1ms }\n",
        &[
            "10:28: \"heartbeat_limit\" cannot be \"1ms\"; give a time with its unit (us, ms, s, m or h) from 10ms to 10s",
        ],
    );
}

#[test]
fn cores_that_an_arrangement_has_no_use_for() {
    let lonely = "10:24: \"arrangement\" cannot be pipeline with one core, as the first only receives and sends; give more \"cores\", or auto";
    for cores in ["", ", cores: [3]"] {
        assert_says_behind(&format!("engine: {{ arrangement: pipeline{cores} }}\n"), &[lonely]);
    }
    assert_says_behind(
        "engine: { cores: [4, 2, 7], arrangement: run-to-completion }\n",
        &[
            "10:22: core 2 has no queue to poll: with run-to-completion each core has its own of every port, and port \"wan\" has 1; give as many cores, more \"queues\", or arrangement pipeline",
        ],
    );
    // The port with the fewest queues counts.
    let ports = "ports: [{ name: a, driver: dpdk, device: n0, queues: 4 }, { name: b, driver: dpdk, device: n1, queues: 2 }]\n\
                 services: [{ port: a, listen: [\"10.0.0.1:80\"], origins: [\"10.0.0.2:80\"] }]\n";
    assert!(
        parse(
            "f",
            &format!("{ports}engine: {{ arrangement: run-to-completion, cores: [0, 1] }}\n")
        )
        .is_ok()
    );
    assert_says(
        &format!("{ports}engine: {{ arrangement: run-to-completion, cores: [0, 1, 2] }}\n"),
        &[
            "3:57: core 2 has no queue to poll: with run-to-completion each core has its own of every port, and port \"b\" has 2; give as many cores, more \"queues\", or arrangement pipeline",
        ],
    );
}
