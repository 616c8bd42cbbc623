//! Ports, whatever drives them.

use super::{assert_says, assert_says_after};
use crate::tests::GOOD;

#[test]
fn ports() {
    assert_says_after(
        "name: lan",
        "name: wan",
        &["4:11: there is already a port \"wan\" (line 2); give each its own"],
    );
    assert_says_after(
        "lan0",
        "wan0",
        &["5:16: there is already a port on \"wan0\" (line 3); give each its own"],
    );
    assert_says_after(
        "    interface: lan0\n",
        "",
        &["4:5: port \"lan\" lacks \"interface\"; add it, for example interface: eth1"],
    );
    assert_says_after(
        "name: lan",
        "name: my lan",
        &[
            "4:11: \"name\" cannot be \"my lan\"; give up to 32 letters, digits, \"-\", \"_\" and \".\", the first a letter or digit, and not \"auto\"",
        ],
    );
    assert_says_after(
        "name: lan",
        "name: auto",
        &[
            "4:11: \"name\" cannot be \"auto\"; give up to 32 letters, digits, \"-\", \"_\" and \".\", the first a letter or digit, and not \"auto\"",
        ],
    );
    assert_says_after(
        "interface: lan0",
        "interface: a-name-much-too-long",
        &[
            "5:16: \"interface\" cannot be \"a-name-much-too-long\"; give the name of an interface as \"ip link\" shows it, up to 15 characters",
        ],
    );
    assert_says_after(
        "interface: lan0",
        "interface: lan0\n    xdp_mode: native",
        &["6:15: \"xdp_mode\" cannot be \"native\"; give one of auto, zero-copy, copy, generic"],
    );
    assert_says_after(
        "interface: lan0",
        "interface: lan0\n    queues: 0",
        &["6:13: \"queues\" cannot be \"0\"; give a whole number from 1 to 128"],
    );
    assert_says_after(
        "interface: lan0",
        "driver: xdp",
        &[
            "4:5: port \"lan\" lacks \"interface\"; add it, for example interface: eth1",
            "5:13: \"driver\" cannot be \"xdp\"; give one of af_xdp, dpdk",
        ],
    );
    assert_says_after(
        "interface: lan0",
        "driver: dpdk",
        &[
            "4:5: port \"lan\" lacks \"device\"; add it, for example device: 0000:3b:00.0",
            "4:5: port \"lan\" has driver dpdk, and port \"wan\" af_xdp; give all ports the same",
        ],
    );
}

#[test]
fn ports_of_dpdk() {
    let file = |first: &str, second: &str| {
        GOOD.replace("interface: wan0", &format!("driver: dpdk\n    {first}"))
            .replace("interface: lan0", &format!("driver: dpdk\n    {second}"))
    };
    assert_says(
        &file("device: net_tap0", "device: net_tap0"),
        &["7:13: there is already a port on \"net_tap0\" (line 4); give each its own"],
    );
    assert_says(
        &file("device: net_tap0\n    tap: edge0", "device: net_tap1\n    tap: edge0"),
        &["9:10: there is already a port with the TAP \"edge0\" (line 5); give each its own"],
    );
    assert_says(
        &file("device: net_tap0\n    tap: a/b", "device: net_tap1"),
        &[
            "5:10: \"tap\" cannot be \"a/b\"; give the name of an interface as \"ip link\" shows it, up to 15 characters",
        ],
    );
    assert_says(
        &file("device: net_tap0", "device: net_tap1")
            .replace("name: lan", "name: towards-the-origins"),
        &[
            "5:11: \"towards-the-origins\" is too long for an interface of Linux's; give port \"towards-the-origins\" a \"tap\", for example tap: wan0",
        ],
    );
}

#[test]
fn busy_poll() {
    for time in ["on", "0us", "20", "11ms"] {
        assert_says_after(
            "lan0",
            &format!("lan0\n    busy_poll: {time}"),
            &[&format!(
                "6:16: \"busy_poll\" cannot be \"{time}\"; give a time with its unit (us, ms, s, m or \
                 h) from 1us to 10ms, or off"
            )],
        );
    }
}
