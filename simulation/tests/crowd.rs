//! Many connections on which nothing happens.

use ringroad_simulation::crowd::{self, CONNECTIONS_MAX};

#[test]
fn twenty_thousand_connections_sleep_wake_and_end() {
    let report = crowd::run(20_000, 1);
    eprintln!("{report}");
    assert_eq!((report.connections, report.woken.connections), (20_000, 2000));
}

#[test]
#[should_panic(expected = "a lane has 1048576 pairs")]
fn more_than_a_lane_takes_are_refused_before_they_are_opened() {
    crowd::run(CONNECTIONS_MAX + 1, 1);
}
