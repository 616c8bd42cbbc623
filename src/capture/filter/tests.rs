use std::net::SocketAddr;

use ringroad_engine::flow::FlowKey;
use ringroad_engine::telemetry::capture::About;

use super::*;

fn names() -> Vec<String> {
    vec!["web".to_owned(), "mail".to_owned()]
}

/// A segment of a client's, whose connection goes on to an origin.
fn about(client: &str, flags: Flags, service: Option<u16>) -> About {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    About {
        flows: [
            Some(FlowKey::new(at("10.10.1.1:80"), at(client))),
            Some(FlowKey::new(at("10.10.2.1:20000"), at("10.10.2.2:8080"))),
        ],
        flags,
        service,
        side: None,
    }
}

#[track_caller]
fn matches(text: &str, about: &About, dropped: Option<&str>) -> bool {
    parse(text, &names()).unwrap().matches(about, dropped)
}

#[test]
fn tests_ask_for_both_ends_of_both_legs() {
    let syn = about("192.0.2.7:40000", Flags::SYN, Some(1));
    for (text, expected) in [
        ("", true),
        ("host 192.0.2.7", true),
        ("host 10.10.2.2", true),
        ("host 192.0.2.8", false),
        ("net 192.0.2.0/24", true),
        ("net fd00::/8", false),
        ("port 40000", true),
        ("port 8080", true),
        ("port 8081", false),
        ("service mail", true),
        ("service web", false),
        ("syn", true),
        ("fin", false),
        ("rst", false),
        ("drop", false),
    ] {
        assert_eq!(matches(text, &syn, None), expected, "{text}");
    }
    let reason = "tcp_outside_window";
    assert!(matches("drop", &syn, Some(reason)));
    assert!(matches("drop tcp_outside_window", &syn, Some(reason)));
    assert!(!matches("drop no_connection", &syn, Some(reason)));
    assert!(matches("drop and not drop no_connection", &syn, Some(reason)));
}

/// Against the expression itself, for all that its tests can be.
#[test]
fn an_expression_means_what_it_says() {
    type Meaning = fn(bool, bool, bool) -> bool;
    let cases: [(&str, Meaning); 9] = [
        ("service web and syn and drop", |a, b, c| a && b && c),
        ("service web syn drop", |a, b, c| a && b && c),
        ("service web or syn and drop", |a, b, c| a || b && c),
        ("(service web or syn) and drop", |a, b, c| (a || b) && c),
        ("not (service web or syn) and drop", |a, b, c| !(a || b) && c),
        ("not(service web and syn)or drop", |a, b, c| !(a && b) || c),
        ("not not service web and not syn or not drop", |a, b, c| a && !b || !c),
        ("not (not (service web or syn) or drop)", |a, b, c| (a || b) && !c),
        ("( service web and ( syn or drop ) )", |a, b, c| a && (b || c)),
    ];
    for (text, meaning) in cases {
        for bits in 0..8 {
            let [web, syn, drop] = [1, 2, 4].map(|bit| bits & bit != 0);
            let flags = if syn { Flags::SYN } else { Flags::ACK };
            let packet = about("192.0.2.7:40000", flags, Some(u16::from(!web)));
            let dropped = drop.then_some("tcp_checksum");
            assert_eq!(
                matches(text, &packet, dropped),
                meaning(web, syn, drop),
                "{text}: {bits:03b}"
            );
        }
    }
}

#[test]
fn what_is_wrong_is_one_line_that_points_at_the_word() {
    let deep = "(".repeat(2000);
    let alternatives: Vec<String> = (0..20).map(|port| format!("port {port}")).collect();
    let long = alternatives.join(" or ");
    for (text, said) in [
        ("hots 10.10.1.2", "\"hots\" (at character 1) is no test; did you mean \"host\"?"),
        ("syn and hist 1.2.3.4", "\"hist\" (at character 9) is no test; did you mean \"host\"?"),
        (
            "quux",
            "\"quux\" (at character 1) is no test; there are service, host, net, port, syn, fin, rst, drop",
        ),
        ("service wab", "\"wab\" (at character 9) is no service; did you mean \"web\"?"),
        (
            "drop tcp_outsid",
            "\"tcp_outsid\" (at character 6) is no reason for a drop; did you mean \"tcp_outside_window\"?",
        ),
        ("port 99999", "\"99999\" (at character 6) is no port; from 0 to 65535"),
        (
            "host 10.10.1",
            "\"10.10.1\" (at character 6) is no address; such as 10.10.1.2 or fd00:1::2",
        ),
        (
            "net 10.10.1.0/33",
            "\"10.10.1.0/33\" (at character 5) is no prefix; such as 10.10.1.0/24 or fd00:1::/64",
        ),
        ("syn and", "it ends at character 8 where a test, such as host or service should follow"),
        ("(syn", "it ends at character 5 where a closing parenthesis should follow"),
        ("syn)", "\")\" (at character 4) is one too many: nothing is open that it could close"),
        (&deep, "the filter is longer than 1000 characters"),
        (
            &long,
            "the filter is too long: it comes to more than 16 alternatives, or 8 tests in one; \
             make it two captures",
        ),
    ] {
        let wrong = parse(text, &names()).expect_err(text).to_string();
        assert_eq!(wrong, said, "{text}");
        assert_eq!(wrong.lines().count(), 1);
    }
}
