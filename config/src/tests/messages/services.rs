//! Services, with their addresses.

use super::{assert_says, assert_says_after, assert_says_behind, assert_says_in_service};
use crate::parse;

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
