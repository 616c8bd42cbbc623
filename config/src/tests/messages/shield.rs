//! The shield, and how the engine is reached.

use super::assert_says_behind;

#[test]
fn shield_and_admin() {
    assert_says_behind(
        "shield: { syn_cookies: on }\n",
        &["10:24: \"syn_cookies\" cannot be \"on\"; give one of auto, always, off"],
    );
    assert_says_behind(
        "shield: { deny: [10.0.0.1/8] }\n",
        &[
            "10:18: \"deny\" cannot be \"10.0.0.1/8\"; bits are set behind the prefix: give 10.0.0.0/8",
        ],
    );
    assert_says_behind(
        "shield: { deny: [10.0.0.0/33] }\n",
        &[
            "10:18: \"deny\" cannot be \"10.0.0.0/33\"; give a prefix such as 192.0.2.0/24 or 2001:db8::/32",
        ],
    );
    assert_says_behind(
        "shield: { allow: ['::ffff:10.0.0.0/104'] }\n",
        &["10:19: \"allow\" cannot be \"::ffff:10.0.0.0/104\"; give it as IPv4, 10.0.0.0/8"],
    );
    assert_says_behind(
        "shield:\n  deny: [192.0.2.0/24, 192.0.2.1, 192.0.2.1/32]\n  allow: ['2001:db8::/32', 192.0.2.0/24]\n",
        &[
            "11:35: 192.0.2.1/32 is already in \"deny\" (line 11); give each prefix once",
            "12:28: 192.0.2.0/24 is already in \"deny\" (line 11); give each prefix once",
        ],
    );
    assert_says_behind(
        "shield: { per_source: { burst: 0, prefix_v4: 33 } }\n",
        &[
            "10:32: \"burst\" cannot be \"0\"; give a whole number from 1 to 10000000",
            "10:46: \"prefix_v4\" cannot be \"33\"; give a whole number from 1 to 32",
        ],
    );
    assert_says_behind(
        "shield: { per_prefix: { syn_per_second: 0, prefix_v4: 0, prefix_v6: 129 } }\n",
        &[
            "10:41: \"syn_per_second\" cannot be \"0\"; give a whole number from 1 to 10000000",
            "10:55: \"prefix_v4\" cannot be \"0\"; give a whole number from 1 to 32",
            "10:69: \"prefix_v6\" cannot be \"129\"; give a whole number from 1 to 128",
        ],
    );
    assert_says_behind(
        "shield: { per_source: { packets_per_second: 0, bytes_per_second: 1500 } }\n",
        &[
            "10:45: \"packets_per_second\" cannot be \"0\"; give a whole number from 1 to 10000000, or off",
            "10:66: \"bytes_per_second\" cannot be \"1500\"; give a whole number from 65536 to 100000000000, or off",
        ],
    );
    assert_says_behind(
        "shield: { per_prefix: { prefix_v4: 25 }, per_source: { prefix_v4: 24 } }\n",
        &[
            "10:36: \"prefix_v4\" cannot be \"25\"; a source in it has 24 bits (per_source): give a whole number from 1 to 24",
        ],
    );
    assert_says_behind(
        "shield: { per_prefix: { prefix_v6: 65 } }\n",
        &[
            "10:36: \"prefix_v6\" cannot be \"65\"; a source in it has 64 bits (per_source): give a whole number from 1 to 64",
        ],
    );
    assert_says_behind(
        "shield: { unproven_syn_per_second: 0 }\n",
        &[
            "10:36: \"unproven_syn_per_second\" cannot be \"0\"; give a whole number from 1 to 10000000, or off",
        ],
    );
    assert_says_behind(
        "shield: { pressure: { syn_per_second: 0, half_open: 2000000, backlog: 1 } }\n",
        &[
            "10:39: \"syn_per_second\" cannot be \"0\"; give a whole number from 1 to 10000000",
            "10:53: \"half_open\" cannot be \"2000000\"; give a whole number from 1 to 1048576",
            "10:62: unknown key \"backlog\" in pressure; known are syn_per_second, half_open",
        ],
    );
    assert_says_behind(
        "admin: { socket: ringroad.sock }\n",
        &[
            "10:18: \"socket\" cannot be \"ringroad.sock\"; give an absolute path of up to 107 characters",
        ],
    );
    assert_says_behind(
        "admin: { socket: /run/ }\n",
        &["10:18: \"socket\" cannot be \"/run/\"; give an absolute path of up to 107 characters"],
    );
    assert_says_behind(
        "admin: { metrics: 9464 }\n",
        &[
            "10:19: \"metrics\" cannot be \"9464\"; give an address with its port, such as 10.10.1.1:80 or \"[fd00:1::1]:80\", or off",
        ],
    );
}
