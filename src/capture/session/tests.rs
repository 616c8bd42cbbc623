use ringroad_engine::tcp::OutgoingKind;
use ringroad_engine::telemetry::capture::What;

use super::*;

#[test]
fn a_comment_says_where_whose_what_and_how_long() {
    let names = Names {
        services: vec!["web".to_owned()],
        ports: vec!["wan".to_owned()],
        ..Names::default()
    };
    let about = |what| describe(what, Some(0), Some(Side::Client), &names, 0);
    let waited = Some(Duration::from_nanos(12_340));
    assert_eq!(
        about(What::Received { waited, dropped: None }),
        "rx, service web, client leg, ring wait 12.3 µs"
    );
    assert_eq!(
        about(What::Received { waited: None, dropped: Some("tcp_checksum") }),
        "drop, service web, client leg, dropped: tcp_checksum"
    );
    let inside = Some(Duration::from_micros(7));
    assert_eq!(
        describe(What::Sent { kind: OutgoingKind::Forwarded, inside }, None, None, &names, 0),
        "tx, forwarded, inside 7.0 µs"
    );
}
