//! The messages, letter by letter: each is an input and all that is said about it.

mod engine;
mod ports;
mod services;
mod shield;
mod telemetry;

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
