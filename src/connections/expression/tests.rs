use super::*;

fn leg(remote: &str, more: &str) -> String {
    format!(
        r#"{{"local":"10.10.1.1:80","remote":"{remote}","state":"established","congestion":"cubic",
        "phase":"avoidance","cwnd_bytes":14480,"in_flight_bytes":0,"rto_us":204000,"retries":0,
        "mss_bytes":1448,"pmtu_bytes":1500,"sack":true,"timestamps":true,"ecn":false,
        "send_window_bytes":65535,"receive_window_bytes":65535,"sent_bytes":100,"acked_bytes":100,
        "received_bytes":2000000,"lost_bytes":0,"reordering":false,"app_limited":true,
        "queued_bytes":0,"queued_frames":2,"received_frames":3,"limited_by":"application",
        "timers_ms":{{}},"last_received_s":1.0,"last_sent_s":1.0,{more}}}"#
    )
}

/// Of a client that is far, with an origin that is near and loses much.
fn connection() -> Connection {
    let client = leg("10.1.2.3:40000", r#""rtt_us":60000,"retransmitted_segments":0"#);
    let origin = leg(
        "[2001:db8::2]:8080",
        r#""rtt_us":200,"retransmitted_segments":11,"ssthresh_bytes":9000,"delivery_rate_bps":2000000"#,
    );
    let text = format!(
        r#"{{"service":"web","worker":"lane-0","dormant":false,"age_s":90.0,"idle_s":0.5,
        "client":{client},"origin":{origin}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn holds(text: &str) -> bool {
    text.parse::<Expression>().unwrap().holds(&connection())
}

#[test]
fn expressions_hold_for_what_they_describe() {
    for (yes, no) in [
        ("service=web", "service!=web"),
        ("service!=api", "service=api"),
        ("worker=lane-0", "worker=lane-1"),
        ("client=10.0.0.0/8", "client=10.2.0.0/16"),
        ("client!=10.2.0.0/16", "client!=10.1.2.3"),
        ("origin=2001:db8::/32", "origin=10.0.0.0/8"),
        ("port=40000", "port=4000"),
        ("port!=22", "client.port!=80"),
        ("port=8080", "client.port=8080"),
        ("dormant=no", "dormant=yes"),
        ("dormant!=yes", "dormant!=no"),
        ("age>1m", "age>2m"),
        ("idle<=500ms", "idle<0.5s"),
        ("state=established", "state=fin_wait_1"),
        ("congestion=cubic", "congestion=bbr"),
        ("phase=avoidance", "phase!=avoidance"),
        ("limited=application", "origin.limited=pacing"),
        ("rtt>50ms", "origin.rtt>50ms"),
        ("client.rtt=60ms", "client.rtt<60ms"),
        ("rtt<1ms", "client.rtt<1ms"),
        ("retransmitted>10", "client.retransmitted>10"),
        ("origin.retransmitted>=11", "retransmitted>11"),
        ("received>1.9M", "received>2M"),
        ("cwnd>14k", "cwnd>15k"),
        ("frames=5", "frames=6"),
        ("delivery>=2M", "client.delivery>=1"),
        // What is not known holds for nothing, whichever way it is asked.
        ("ssthresh<10k", "client.ssthresh<10k"),
        ("ssthresh<10k", "score<101"),
        (" rtt > 50ms ", "rtt > 70ms"),
    ] {
        assert!(holds(yes), "{yes}");
        assert!(!holds(no), "{no}");
    }
}

#[test]
fn a_wrong_expression_is_told_of_in_one_line_that_says_what_would_be_right() {
    for (text, says) in [
        ("rtx>10", r#"there is no field "rtx"; there are service, worker, client, "#),
        ("client.service=web", r#"there is no field "client.service""#),
        ("server.rtt>1ms", r#"there is no field "server.rtt""#),
        ("web", "compares nothing: give a field"),
        ("=web", "compares nothing"),
        ("rtt>", "compares nothing"),
        ("service>web", "service is no number, compare it by = or !="),
        ("rtt>50", "give a time with its unit (us, ms, s, m or h)"),
        ("rtt>50mm", "give a time with its unit"),
        ("rtt>-1s", "give a time"),
        ("sent>1.2.3M", "give octets"),
        ("retransmitted>x", "give a number"),
        ("pacing>5Mbps", "give bits a second"),
        ("state=estab", "give one of closed, syn_sent, syn_received, established"),
        ("congestion=tahoe", "give one of reno, cubic, bbr, dctcp, vegas"),
        ("dormant=true", "give yes or no"),
        ("client=10.0.0.300", "give an address or a prefix"),
        ("port=99999", "give a port"),
    ] {
        let wrong = text.parse::<Expression>().unwrap_err();
        assert!(wrong.contains(says), "{text}: {wrong}");
        assert!(!wrong.contains('\n'));
    }
}

#[test]
fn the_engine_is_told_what_it_can_tell_by_itself() {
    let services = ["api".to_owned(), "web".to_owned()];
    let mut wanted = Wanted::default();
    for text in ["service=web", "client=10.0.0.0/8", "origin=10.10.2.2", "port=80", "rtt>1ms"] {
        text.parse::<Expression>().unwrap().narrow(&mut wanted, &services).unwrap();
    }
    assert_eq!((wanted.service, wanted.port), (Some(1), Some(80)));
    assert_eq!(wanted.client, "10.0.0.0/8".parse().ok());
    assert_eq!(wanted.origin, "10.10.2.2/32".parse().ok());
    let mut wanted = Wanted::default();
    for text in ["service!=nobody", "client!=10.0.0.0/8", "port>80", "client.rtt>1ms"] {
        text.parse::<Expression>().unwrap().narrow(&mut wanted, &services).unwrap();
    }
    assert_eq!((wanted.service, wanted.client, wanted.port), (None, None, None));
    let unknown = "service=wbe".parse::<Expression>().unwrap();
    let wrong = unknown.narrow(&mut wanted, &services).unwrap_err();
    assert_eq!(wrong, r#"there is no service "wbe"; there are api, web"#);
}
