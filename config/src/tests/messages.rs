//! The messages, letter by letter: each is an input and all that is said about it.

use super::GOOD;
use crate::parse;

/// Asserts what is said about `text`.
#[track_caller]
fn assert_says(text: &str, expected: &[&str]) {
    match parse("edge.yaml", text) {
        Ok(_) => panic!("nothing was said about:\n{text}"),
        Err(errors) => {
            let said = errors.to_string();
            let expected: Vec<String> =
                expected.iter().map(|line| format!("edge.yaml:{line}")).collect();
            assert_eq!(said, expected.join("\n"), "about:\n{text}");
        }
    }
}

/// The same about [`GOOD`] with `engine`, `shield` and the like put behind it (line 10 on).
#[track_caller]
fn assert_says_behind(section: &str, expected: &[&str]) {
    assert_says(&format!("{GOOD}{section}"), expected);
}

/// The same with keys added to the service (line 10 on).
#[track_caller]
fn assert_says_in_service(keys: &str, expected: &[&str]) {
    let indented: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    assert_says(&format!("{GOOD}{indented}"), expected);
}

/// The same with one text replaced.
#[track_caller]
fn assert_says_after(from: &str, to: &str, expected: &[&str]) {
    assert!(GOOD.contains(from), "{from}");
    assert_says(&GOOD.replacen(from, to, 1), expected);
}

#[test]
fn syntax() {
    assert_says("", &["1:1: the file is empty; give at least \"ports\" and \"services\""]);
    assert_says(
        "# only a comment\n---\n",
        &["1:1: the file is empty; give at least \"ports\" and \"services\""],
    );
    assert_says(
        "ports: [\n",
        &[
            "2:1: not valid YAML: while parsing a node, did not find expected node content; mend the syntax here or just above",
        ],
    );
    assert_says(
        "ports:\n\t- name: x\n",
        &[
            "2:2: not valid YAML: tabs disallowed within this context (block indentation); mend the syntax here or just above",
        ],
    );
    assert_says(
        "a: b: c\n",
        &[
            "1:5: not valid YAML: mapping values are not allowed in this context; mend the syntax here or just above",
        ],
    );
    assert_says(
        "a: \"b\n",
        &[
            "1:4: not valid YAML: while scanning a quoted scalar, found unexpected end of stream; mend the syntax here or just above",
        ],
    );
    assert_says("just words\n", &["1:1: the file cannot be \"just words\"; give keys with values"]);
    assert_says("- a\n- b\n", &["1:1: the file cannot be a list; give keys with values"]);
    assert_says(
        "engine: &e { burst: 1 }\n",
        &["1:9: an anchor (\"&\") is not supported; leave it out"],
    );
    assert_says(
        "engine: *e\n",
        &[
            "1:9: not valid YAML: while parsing node, found unknown anchor; mend the syntax here or just above",
        ],
    );
    assert_says(
        "engine: !!map { burst: 1 }\n",
        &["1:9: a tag (\"!\") is not supported; leave it out"],
    );
    assert_says("? [a, b]\n: c\n", &["1:3: a key cannot be a list; give a word"]);
    assert_says(&"[".repeat(100), &["1:17: nested more than 16 deep; no setting is"]);
    assert_says(
        &format!("{GOOD}---\n{GOOD}"),
        &["10:1: a second document starts here; a file holds one"],
    );
    assert_says(
        "\u{feff}prots: 1\n",
        &[
            "1:1: the file lacks \"ports\"; add it, for example ports: [{ interface: eth1 }]",
            "1:1: the file lacks \"services\"; add it, for example services: [{ listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.2:80\"] }]",
            "1:1: unknown key \"prots\" in the file; did you mean \"ports\"?",
        ],
    );
}

#[test]
fn keys() {
    assert_says(
        "engine:\n",
        &[
            "1:1: the file lacks \"ports\"; add it, for example ports: [{ interface: eth1 }]",
            "1:1: the file lacks \"services\"; add it, for example services: [{ listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.2:80\"] }]",
        ],
    );
    assert_says_after(
        "origins",
        "orgins",
        &[
            "7:5: service \"web\" lacks \"origins\"; add it, for example origins: [\"10.10.2.2:80\"]",
            "9:5: unknown key \"orgins\" in service \"web\"; did you mean \"origins\"?",
        ],
    );
    assert_says_after(
        "services",
        "servces",
        &[
            "1:1: the file lacks \"services\"; add it, for example services: [{ listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.2:80\"] }]",
            "6:1: unknown key \"servces\" in the file; did you mean \"services\"?",
        ],
    );
    assert_says_behind(
        "engine: { color: red }\n",
        &[
            "10:11: unknown key \"color\" in engine; known are arrangement, cores, burst, idle, frames, drain_timeout, heartbeat_limit",
        ],
    );
    assert_says_behind(
        "engine: { bursst: 7 }\n",
        &["10:11: unknown key \"bursst\" in engine; did you mean \"burst\"?"],
    );
    assert_says_behind(
        "shield: { \"a\\nb\": 7 }\n",
        &[
            "10:11: unknown key \"a\\nb\" in shield; known are syn_cookies, pressure, cookie_secret, fragments, unknown_acks, deny, allow, per_source, per_prefix, unproven_syn_per_second",
        ],
    );
    assert_says_behind(
        &format!("{}: 7\n", "x".repeat(100)),
        &[
            "10:1: unknown key \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\" in the file; known are engine, ports, services, shield, admin, telemetry",
        ],
    );
    assert_says_behind(
        "<<: { burst: 1 }\n",
        &[
            "10:1: unknown key \"<<\" in the file; known are engine, ports, services, shield, admin, telemetry",
        ],
    );
    assert_says_after(
        "interface: lan0",
        "interface: lan0\n    device: x",
        &[
            "6:5: unknown key \"device\" in port \"lan\"; known are name, driver, queues, interface, xdp_mode, busy_poll",
        ],
    );
    assert_says_behind(
        "engine: { burst: 64, burst: 2 }\n",
        &["10:22: key \"burst\" is already given in line 10; remove one of them"],
    );
    assert_says_in_service(
        "name: again",
        &["10:5: key \"name\" is already given in line 7; remove one of them"],
    );
}

#[test]
fn types() {
    assert_says_behind("engine: 7\n", &["10:9: engine cannot be \"7\"; give keys with values"]);
    assert_says_behind(
        "engine: [burst]\n",
        &["10:9: engine cannot be a list; give keys with values"],
    );
    assert_says_behind(
        "engine: { burst: [64] }\n",
        &["10:18: \"burst\" cannot be a list; give a whole number from 1 to 64"],
    );
    assert_says_behind(
        "engine: { burst: }\n",
        &["10:11: \"burst\" cannot be nothing; give a whole number from 1 to 64"],
    );
    assert_says_behind(
        "engine: { burst: \"\" }\n",
        &["10:18: \"burst\" cannot be \"\"; give a whole number from 1 to 64"],
    );
    assert_says_behind(
        "engine: { idle: { spin: 1 } }\n",
        &["10:17: \"idle\" cannot be a mapping; give one of spin, adaptive"],
    );
    assert_says_behind(
        "engine: { cores: 0 }\n",
        &["10:18: \"cores\" cannot be \"0\"; give a list: [ … ], or lines with \"- \""],
    );
    assert_says_behind(
        "engine: { cores: [] }\n",
        &["10:18: \"cores\" is empty; give at least one"],
    );
    assert_says_behind(
        "engine: { cores: [1, 1] }\n",
        &["10:22: core 1 is already in the list; remove it"],
    );
    assert_says_behind(
        "engine: { cores: [[0]] }\n",
        &["10:19: \"cores\" cannot be a list; give a whole number from 0 to 8191"],
    );
    assert_says(
        "ports: wan0\nservices: { web: 80 }\n",
        &[
            "1:8: \"ports\" cannot be \"wan0\"; give a list: [ … ], or lines with \"- \"",
            "2:11: \"services\" cannot be a mapping; give a list: [ … ], or lines with \"- \"",
        ],
    );
    assert_says(
        "ports: []\nservices: []\n",
        &[
            "1:8: \"ports\" is empty; give at least one",
            "2:11: \"services\" is empty; give at least one",
        ],
    );
    assert_says(
        "ports: [wan0]\nservices: [80]\n",
        &[
            "1:9: port 1 cannot be \"wan0\"; give keys with values",
            "2:12: service 1 cannot be \"80\"; give keys with values",
        ],
    );
    assert_says(
        "ports:\nservices:\n",
        &[
            "1:1: \"ports\" cannot be nothing; give a list: [ … ], or lines with \"- \"",
            "2:1: \"services\" cannot be nothing; give a list: [ … ], or lines with \"- \"",
        ],
    );
}

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

#[test]
fn addresses() {
    let form = "give an address with its port, such as 10.10.1.1:80 or \"[fd00:1::1]:80\"";
    let any = "it stands for any address: give each one by itself";
    let one = "TCP has no multicast: give the address of one host";
    let bracket = "an IPv6 address with a port takes brackets:";
    for (listen, advice) in [
        ("10.10.1.1", "the port is missing: give 10.10.1.1:80, say"),
        ("10.10.1.1:0", "port 0 is none: give one from 1 to 65535"),
        ("10.10.1.1:65536", form),
        ("10.10.1:80", form),
        ("10.10.1.256:80", form),
        (":80", form),
        ("*:80", form),
        ("localhost:80", form),
        ("[fd00:1::1]", form),
        ("[10.10.1.1]:80", form),
        ("fd00:1::1", &format!("{bracket} give [fd00:1::1]:80, say")),
        ("fd00:1::1:80", &format!("{bracket} give [fd00:1::1:80]:80, say")),
        ("0.0.0.0:80", any),
        ("[::]:80", any),
        ("127.0.0.1:80", "a loopback address is never on a port: give another of the host"),
        ("[::1]:80", "a loopback address is never on a port: give another of the host"),
        ("224.0.0.1:80", one),
        ("255.255.255.255:80", one),
        ("[ff02::1]:80", one),
        ("[::ffff:10.10.1.1]:80", "give it as IPv4, 10.10.1.1"),
        ("[fe80::1%2]:80", "link-local addresses with a zone are not supported: give a routed one"),
    ] {
        assert_says_after(
            "10.10.1.1:80",
            listen,
            &[&format!("8:14: \"listen\" cannot be \"{listen}\"; {advice}")],
        );
    }
    assert_says_after(
        "[\"10.10.1.1:80\"]",
        "10.10.1.1:80",
        &["8:13: \"listen\" cannot be \"10.10.1.1:80\"; give a list: [ … ], or lines with \"- \""],
    );
    assert_says_after(
        "[\"10.10.1.1:80\"]",
        "[[fd00:1::1]:80]",
        &["8:14: a key cannot be a list; give a word"],
    );
    assert_says_after(
        "[\"10.10.1.1:80\"]",
        "[]",
        &["8:13: \"listen\" is empty; give at least one"],
    );
    assert_says_after(
        "[\"10.10.2.2:80\"]",
        "[]",
        &["9:14: \"origins\" is empty; give at least one"],
    );
    assert_says_after(
        "[\"10.10.2.2:80\"]",
        "[\"10.10.2.2:80\", \"10.10.2.2:80\"]",
        &["9:31: origin 10.10.2.2:80 is already in the list; remove it"],
    );
    assert_says_after(
        "[\"10.10.1.1:80\"]",
        "[\"10.10.1.1:80\", \"10.10.1.1:80\"]",
        &["8:30: service \"web\" already listens on 10.10.1.1:80 (line 8); give each address once"],
    );
    assert_says_after(
        "10.10.2.2:80",
        "10.10.1.1:80",
        &[
            "9:15: service \"web\" listens on 10.10.1.1:80, so it cannot be an origin; give the address of the server behind it",
        ],
    );
    assert_says_behind(
        "  - { name: two, listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.3:80\"] }\n",
        &[
            "10:27: service \"web\" already listens on 10.10.1.1:80 (line 8); give each address once",
        ],
    );
}

#[test]
fn services() {
    assert_says_behind(
        "  - { name: web, listen: [\"10.10.1.2:80\"], origins: [\"10.10.2.3:80\"] }\n",
        &["10:13: there is already a service \"web\" (line 7); give each its own"],
    );
    assert_says_behind(
        "  - {}\n",
        &[
            "10:5: service 2 lacks \"listen\"; add it, for example listen: [\"10.10.1.1:80\"]",
            "10:5: service 2 lacks \"origins\"; add it, for example origins: [\"10.10.2.2:80\"]",
        ],
    );
    assert_says_in_service("port: lna", &["10:11: there is no port \"lna\"; known are wan, lan"]);
    assert_says_in_service(
        "egress: { port: lna }",
        &["10:21: there is no port \"lna\"; known are wan, lan"],
    );
    assert_says_in_service(
        "egress: { address: 'fd00:2::1' }",
        &[
            "10:24: egress address fd00:2::1 is IPv6, but origin 10.10.2.2:80 is not; leave \"address\" out to use the one that Linux routes by",
        ],
    );
    assert_says_in_service(
        "egress: { address: '10.10.2.1:80' }",
        &[
            "10:24: \"address\" cannot be \"10.10.2.1:80\"; give an address without a port, such as 10.10.2.1 or fd00:2::1, or auto",
        ],
    );
    assert_says_in_service(
        "egress: { address: 127.0.0.1 }",
        &[
            "10:24: \"address\" cannot be \"127.0.0.1\"; a loopback address is never on a port: give another of the host, or auto",
        ],
    );
    let form = "give two ports, low to high, such as 20000-59999";
    for (ports, advice) in [
        ("20000", form),
        ("a-b", form),
        ("20000-", form),
        ("20000-70000", form),
        ("20000–30000", form),
        ("59999-20000", "the first is the lower one: give 20000-59999"),
        ("1-59999", "ports below 1024 are for servers: start higher"),
        ("20000-20010", "these come round again too soon: give at least 256 ports"),
    ] {
        assert_says_in_service(
            &format!("egress:\n  source_ports: {ports}"),
            &[&format!("11:21: \"source_ports\" cannot be \"{ports}\"; {advice}")],
        );
    }
    assert_says_after(
        "10.10.1.1:80\"]",
        "10.10.1.1:30000\"]\n    egress: { address: 10.10.1.1 }",
        &[
            "9:13: the source ports of service \"web\" (20000-59999) include 30000, and 10.10.1.1:30000 is listened on; choose ports around it",
        ],
    );
    assert_says_after(
        "[\"10.10.2.2:80\"]",
        "[\"10.10.2.2:80\"]\n    egress: { address: 10.10.1.9 }\n  - listen: [\"10.10.1.9:40000\"]\n    origins: [\"10.10.2.3:80\"]",
        &[
            "10:13: the source ports of service \"web\" (20000-59999) include 40000, and 10.10.1.9:40000 is listened on; choose ports around it",
        ],
    );
    assert_says_in_service(
        "client_leg: { congestion: cubik }",
        &["10:31: \"congestion\" cannot be \"cubik\"; give one of reno, cubic, bbr, dctcp, vegas"],
    );
    assert_says_in_service(
        "client_leg: { initial_window: 0 }",
        &["10:35: \"initial_window\" cannot be \"0\"; give a whole number from 1 to 100"],
    );
    assert_says_in_service(
        "client_leg: { min_window: 0 }",
        &["10:31: \"min_window\" cannot be \"0\"; give a whole number from 1 to 100"],
    );
    assert_says_in_service(
        "client_leg: { max_window: none }",
        &[
            "10:31: \"max_window\" cannot be \"none\"; give a whole number from 2 to 1000000, or off",
        ],
    );
    assert_says_in_service(
        "client_leg: { max_window: 8 }",
        &[
            "10:31: max_window 8 is less than initial_window 10; give more, or a smaller first window",
        ],
    );
    assert_says_in_service(
        "origin_leg: { min_window: 20, max_window: 12 }",
        &["10:47: max_window 12 is less than min_window 20; give more, or a smaller least"],
    );
    assert_says_in_service(
        "client_leg: { pacing: always }",
        &["10:27: \"pacing\" cannot be \"always\"; give one of auto, on, off"],
    );
    assert_says_in_service(
        "client_leg: { congestion: bbr, pacing: off }",
        &[
            "10:44: congestion bbr sends by rate, and \"pacing\" is off; leave \"pacing\" out, or use another algorithm",
        ],
    );
    assert_says_in_service(
        "origin_leg: { congestion: dctcp, ecn: off }",
        &[
            "10:43: congestion dctcp goes by ECN, and \"ecn\" is off; leave \"ecn\" out, or use another algorithm",
        ],
    );
    assert_says_in_service(
        "origin_leg: { ecn: maybe }",
        &["10:24: \"ecn\" cannot be \"maybe\"; give one of accept, on, off"],
    );
    assert_says_in_service(
        "origin_leg: { fast_open: on }",
        &[
            "10:19: unknown key \"fast_open\" in origin_leg; known are congestion, initial_window, min_window, max_window, pacing, ecn, receive_buffer_max, mtu_probing, keepalive, user_timeout",
        ],
    );
    assert_says_in_service(
        "client_leg: { receive_buffer_max: 1 }",
        &[
            "10:39: \"receive_buffer_max\" cannot be \"1\"; give a whole number from 65535 to 268435456",
        ],
    );
    assert_says_in_service(
        "client_leg: { mtu_probing: yes }",
        &["10:32: \"mtu_probing\" cannot be \"yes\"; give one of off, auto, on"],
    );
    assert_says_in_service(
        "client_leg: { keepalive: on }",
        &["10:30: keepalive cannot be \"on\"; give keys with values"],
    );
    assert_says_in_service(
        "client_leg: { keepalive: { idle: 1ms, probes: 0, after: 1s } }",
        &[
            "10:38: \"idle\" cannot be \"1ms\"; give a time with its unit (us, ms, s, m or h) from 1s to 24h",
            "10:51: \"probes\" cannot be \"0\"; give a whole number from 1 to 100",
            "10:54: unknown key \"after\" in keepalive; known are idle, interval, probes",
        ],
    );
    assert_says_in_service(
        "origin_leg: { user_timeout: 30 }",
        &[
            "10:33: \"user_timeout\" cannot be \"30\"; give a time with its unit (us, ms, s, m or h) from 1s to 24h, or off",
        ],
    );
    assert_says_in_service(
        "client_leg: cubic",
        &["10:17: client_leg cannot be \"cubic\"; give keys with values"],
    );
    assert_says_in_service(
        "proxy_protocol: true",
        &["10:21: \"proxy_protocol\" cannot be \"true\"; give one of off, v1, v2"],
    );
    assert_says_in_service(
        "max_connections: 0",
        &["10:22: \"max_connections\" cannot be \"0\"; give a whole number from 1 to 10000000"],
    );
    assert_says_in_service(
        "fallback: none",
        &["10:15: \"fallback\" cannot be \"none\"; give one of kernel, reset, drop"],
    );
    assert_says_in_service(
        "connect_timeout: 1h",
        &[
            "10:22: \"connect_timeout\" cannot be \"1h\"; give a time with its unit (us, ms, s, m or h) from 100ms to 2m",
        ],
    );
    assert_says_in_service(
        "idle_timeout: 0s",
        &[
            "10:19: \"idle_timeout\" cannot be \"0s\"; give a time with its unit (us, ms, s, m or h) from 1s to 168h",
        ],
    );
}

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
            "10:46: unknown key \"dir\" in telemetry; known are directory, interval, rotate, keep",
        ],
    );
}

/// So many ports, or services, each with its number for `#` in `form`.
fn numbered(count: usize, form: &str) -> String {
    (1..=count).map(|number| form.replace('#', &number.to_string())).collect()
}

#[test]
fn totals() {
    let service = "services: [{ listen: ['10.0.0.1:80'], origins: ['10.0.0.2:80'] }]\n";
    let ports = |count| format!("ports:\n{}", numbered(count, "  - interface: e#\n"));
    assert!(parse("f", &format!("{}{service}", ports(8))).is_ok());
    assert_says(&format!("{}{service}", ports(9)), &["2:3: \"ports\" has 9 items; give at most 8"]);
    assert_says_after(
        "interface: lan0",
        "interface: lan0\n    queues: 129",
        &["6:13: \"queues\" cannot be \"129\"; give a whole number from 1 to 128"],
    );

    // Sixteen services of 256 addresses, and one more address.
    let listen = |count| numbered(count, "'10.1.@.1:#',");
    let service = |number: usize, count| {
        let listen = listen(count).replace('@', &number.to_string());
        format!("  - {{ listen: [{listen}], origins: ['10.0.0.2:80'] }}\n")
    };
    let most: String = (0..16).map(|number| service(number, 256)).collect();
    let most = format!("ports: [{{ interface: e1 }}]\nservices:\n{most}");
    assert!(parse("f", &most).is_ok());
    assert_says(
        &format!("{most}{}", service(16, 1)),
        &[
            "19:16: with 10.1.16.1:1 the services listen on more than 4096 addresses together; give fewer",
        ],
    );
}

#[test]
fn ranges_of_source_ports_of_one_address() {
    let service = |number: usize, first: usize, port: &str| {
        format!(
            "  - {{ listen: ['10.1.0.1:{number}'], origins: ['10.0.0.2:80'], egress: {{ {port}address: 10.2.0.1, source_ports: {first}-{} }} }}\n",
            first + 499
        )
    };
    let apart = |count, port: &str| -> String {
        (1..=count).map(|number| service(number, 1000 * (number + 1), port)).collect()
    };
    let one_port = "ports: [{ interface: e1 }]\nservices:\n";
    let touching = service(9, 2500, "");
    assert!(parse("f", &format!("{one_port}{}{touching}", apart(8, ""))).is_ok());
    let said = "the source ports of service \"service-9\" make more than 8 separate ranges of egress address 10.2.0.1; give services that share it ranges that touch, or the same";
    assert_says(&format!("{one_port}{}", apart(9, "")), &[&format!("11:100: {said}")]);

    let two_ports = "ports: [{ interface: e1 }, { interface: e2 }]\nservices:\n";
    assert_says(&format!("{two_ports}{}", apart(9, "port: e2, ")), &[&format!("11:110: {said}")]);
    // Linux may route half of them by each.
    assert!(parse("f", &format!("{two_ports}{}", apart(9, ""))).is_ok());
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

#[test]
fn what_this_version_cannot_do() {
    for burst in [1, 32, 63] {
        assert_says_behind(
            &format!("engine: {{ burst: {burst} }}\n"),
            &[
                "10:18: less than 64 in \"burst\" is not available in this version; give 64, or leave it out",
            ],
        );
    }
    assert_says_behind(
        "shield: { cookie_secret: secret }\n",
        &["10:26: \"cookie_secret\" cannot be \"secret\"; give an absolute path, or own"],
    );
}

#[test]
fn many_problems() {
    assert_says_behind(
        &(0..30).map(|i| format!("key{i}: 1\n")).collect::<String>(),
        &[
            "10:1: unknown key \"key0\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "11:1: unknown key \"key1\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "12:1: unknown key \"key2\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "13:1: unknown key \"key3\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "14:1: unknown key \"key4\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "15:1: unknown key \"key5\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "16:1: unknown key \"key6\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "17:1: unknown key \"key7\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "18:1: unknown key \"key8\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "19:1: unknown key \"key9\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "20:1: unknown key \"key10\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "21:1: unknown key \"key11\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "22:1: unknown key \"key12\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "23:1: unknown key \"key13\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "24:1: unknown key \"key14\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "25:1: unknown key \"key15\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "26:1: unknown key \"key16\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "27:1: unknown key \"key17\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "28:1: unknown key \"key18\" in the file; known are engine, ports, services, shield, admin, telemetry",
            "29:1: unknown key \"key19\" in the file; known are engine, ports, services, shield, admin, telemetry",
            " and 10 more; mend these first",
        ],
    );
}
