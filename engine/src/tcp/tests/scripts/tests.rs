//! What the language and its runner promise to who writes a script.

use super::parse::Script;
use super::run::Exchange;
use super::run_text;

fn fails(text: &str) -> String {
    run_text("a.pkt", text, &mut Exchange::default()).expect_err("this script is wrong")
}

fn passes(text: &str) {
    let outcome = run_text("a.pkt", text, &mut Exchange::default());
    assert_eq!(outcome, Ok(()));
}

#[test]
fn what_is_not_understood_is_told_with_line_and_column() {
    let cases = [
        ("established\n+0 wrote 5", "2:4: no call is named `wrote`"),
        ("+0.0000000001 finish", "1:2: a time in whole nanoseconds is missing here"),
        ("+1sec finish", "1:2: no unit of time is called `sec`"),
        ("< X 0:0(0)", "1:3: `X` is not among the flags SFRPUEW."),
        ("< . 1:5(3) ack 1", "1:5: 1:5 are not 3 octets"),
        ("< . 1:1(0)", "1:11: `ack` goes with the flag `.`, and the flag with `ack`"),
        ("< R 1:1(0) ack 1", "1:12: `ack` goes with the flag `.`, and the flag with `ack`"),
        ("< S 0:0(0) <mss>", "1:16: the MSS has to be a number here"),
        ("< S 0:0(0) <mss 70000>", "1:17: the MSS has to be a number here"),
        ("< S 0:0(0) <colour 7>", "1:13: no option is called `colour`"),
        ("< S 0:0(0) <mss 7", "1:18: an option is missing here"),
        ("> . 1:1(0) ack 1 <sack>", "1:23: a block `LEFT:RIGHT` is missing here"),
        ("finish now", "1:8: `now` is not understood"),
        ("= cwnd", "1:7: what `cwnd` should be is missing here"),
        ("finish\nsettings reno", "2:1: settings come before all else"),
        ("settings reno, fast", "1:16: no setting is called `fast`"),
        ("settings ecn maybe", "1:14: `maybe` is no policy for ECN: off, accept, ask"),
        ("settings offer TS+ECN", "1:19: `ECN` cannot be offered: sackOK, TS, wscale"),
    ];
    for (text, expected) in cases {
        let error = Script::parse(text).expect_err(text);
        let told = format!("{}:{}: {}", error.line, error.fault.column, error.fault.message);
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn a_script_that_says_nothing_of_itself_is_refused() {
    let told = fails("established");
    assert_eq!(told, "a.pkt:1:1: a comment that says what is shown comes first");
}

#[test]
fn a_failure_shows_what_was_expected_what_came_and_what_led_to_it() {
    let told = fails("// x\nestablished\n0 write 10\n> P. 1:11(10) ack 2");
    let expected = "\
a.pkt:4: expected:
    0ms > P. 1:11(10) ack 2
came, with another acknowledgment:
    0ms > P. 1:11(10) ack 1 win 65535
what came before:
         0ms established
         0ms write 10
         0ms > P. 1:11(10) ack 1 win 65535";
    assert_eq!(told, expected);
}

#[test]
fn every_part_of_a_segment_is_compared() {
    let came = "P. 1:11(10) ack 1 win 65535";
    let cases = [
        ("P. 1:11(10) ack 1 win 65535", None),
        ("P. 1:11(10) ack 1", None),
        ("P. 1:11(10) ack 1 <...>", None),
        ("P. 1:11(10) ack 1 <>", None),
        (". 1:11(10) ack 1", Some("flags")),
        ("P. 2:12(10) ack 1", Some("sequence number")),
        ("P. 1:10(9) ack 1", Some("length")),
        ("P. 1:11(10) ack 3", Some("acknowledgment")),
        ("P. 1:11(10) ack 1 win 65534", Some("window")),
        ("P. 1:11(10) ack 1 <sack 1:2>", Some("options")),
        ("P. 1:11(10) ack 1 <TS val 1 ecr 2>", Some("options")),
    ];
    for (expected, difference) in cases {
        let text = format!("// x\nestablished\n0 write 10\n> {expected}");
        match difference {
            None => passes(&text),
            Some(difference) => {
                let told = fails(&text);
                assert!(told.contains(&format!("with another {difference}:\n")), "{told}");
                assert!(told.contains(came), "{told}");
            }
        }
    }
}

#[test]
fn time_is_exact() {
    let script =
        |wait: &str| format!("// x\nestablished\n0 < P. 1:2(1) ack 1\n{wait} > . 1:1(0) ack 2");
    passes(&script("+40ms"));
    passes(&script(".04"));
    assert!(fails(&script("+40.000001ms")).contains("with another time"));
    assert!(fails(&script("+39.999999ms")).contains("nothing came"));
}

#[test]
fn what_was_not_expected_fails() {
    let told = fails("// x\nestablished\n0 < P. 1:2(1) ack 1\n+1 finish");
    assert!(
        told.starts_with("a.pkt:4: this came and was not expected:\n    40ms > . 1:1"),
        "{told}"
    );
    let told = fails("// x\nestablished\n0 write 1");
    assert!(told.starts_with("a.pkt:3: behind this, this came and was not expected:"), "{told}");
}

#[test]
fn segments_without_timestamps_in_force_are_told_from_those_with() {
    let syn = "// x\n0 < S 0:0(0) win 1 <mss 1000,TS val 5 ecr 0>\n";
    let told = fails(&format!("{syn}> S. 0:0(0) ack 1 <mss 1000>"));
    assert!(told.contains("with another options"), "{told}");
    passes(&format!("{syn}> S. 0:0(0) ack 1 <mss 1000,TS val 1000 ecr 5>"));
}

#[test]
fn a_figure_that_differs_is_told() {
    let told = fails("// x\nestablished\n= cwnd 9000");
    assert!(told.starts_with("a.pkt:3: `cwnd` is 10000, not 9000"), "{told}");
    assert!(fails("// x\nestablished\n= colour 9000").contains("no figure is called `colour`"));
    assert!(
        fails("// x\nestablished\n= count colours 1").contains("nothing is counted as `colours`")
    );
}
