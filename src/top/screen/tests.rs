use super::*;
use crate::top::made::Made;

fn screen() -> Screen {
    let engine = Made::new();
    Screen::new(&engine.sample(100), &engine.sample(102)).unwrap()
}

/// The rows of a table as they are shown.
fn rows(table: &Table) -> Vec<Vec<String>> {
    let text = |cell: &Cell| cell.text().trim().to_owned();
    table.rows.iter().map(|row| row.iter().map(text).collect()).collect()
}

#[test]
fn rates_are_those_of_the_interval() {
    let screen = screen();
    let packets = Packets { received: 6_000.0, sent: 5_000.0, retransmitted: 20.0, dropped: 50.0 };
    assert_eq!(screen.packets, packets);
    let payload = Payload { to_origins: 50_000.0, to_clients: 5_000_000.0 };
    assert_eq!(screen.payload, payload);
    let connections =
        Connections { active: 15, half_open: 5, accepted: 50.0, refused: 5.0, fell_back: 0.0 };
    assert_eq!(screen.connections, connections);
    assert_eq!((screen.up_s, screen.cookies.as_str()), (102, "auto, off"));
}

#[test]
fn times_are_those_of_the_interval() {
    let screen = screen();
    assert_eq!(
        rows(&screen.times)[0],
        ["inside", "1.50 ms", "1.99 ms", "2.00 ms", "1.90 ms", "1.00 k/s"],
        "and not the second that the first of all took"
    );
    assert_eq!(rows(&screen.times)[1], ["handshake client", "–", "–", "–", "–", "–"]);
    let moment = screen.moment();
    assert_eq!(moment.bits, 5_050_000.0);
    assert!((1.98e6..2.0e6).contains(&moment.p99_ns.unwrap()), "{moment:?}");
}

#[test]
fn a_core_is_busy_with_work_and_not_with_looking_for_some() {
    let Cores { table, bottleneck } = screen().cores;
    assert_eq!(table.columns, ["core", "busy", "work ns"], "nothing is known of the others");
    assert_eq!(rows(&table), [["lane-0", "25.0 %", "500"], ["lane-1", "95.0 %", "500"]]);
    assert!(bottleneck.starts_with("lane-1, 95 % busy"), "{bottleneck}");
}

#[test]
fn tables_say_who_and_why() {
    let [services, sources, drops, shield] = screen().tables;
    let web = ["web", "4.00 Mbit/s", "40.0 kbit/s", "12", "40.0 /s", "4.00 /s", "0 /s"];
    assert_eq!(rows(&services)[0], web);
    assert_eq!(rows(&sources)[0], ["10.0.0.1", "3.00 /s", "75.0 %", "30"]);
    assert_eq!(rows(&drops), [["bad_options", "0 /s", "3"], ["rx_ring", "50.0 /s", "5,100"]]);
    let names = rows(&shield).into_iter().map(|row| row[0].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["not_ours", "to_engine"], "without what never was");
}

#[test]
fn what_two_engines_did_is_not_compared() {
    let engine = Made::new();
    let next = engine.restarted_after(100);
    assert_eq!(Screen::new(&engine.sample(100), &next.sample(1)), None);
    assert_eq!(Screen::new(&engine.sample(5), &next.sample(50)), None, "also where it did more");
    assert!(Screen::new(&next.sample(1), &next.sample(2)).is_some());
}

#[test]
fn cookies_are_told_by_lane() {
    let lane = |on| crate::stats::LaneCookies { on, ..Default::default() };
    let mode = "auto".to_owned();
    let mut told = Cookies { mode, lanes: vec![lane(true), lane(false)], key_age_s: None };
    assert_eq!(cookies(&told), "auto, ON in 1 of 2 lanes");
    told.lanes[1].on = true;
    assert_eq!(cookies(&told), "auto, ON");
}
