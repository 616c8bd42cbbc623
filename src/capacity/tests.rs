//! Recordings of queues of which everything is known have to be seen through.

mod queue;

use self::queue::{Queue, Recorder, Traffic};
use super::against::Against;
use super::answers::{Answers, Question, that_show_load};
use super::doubt::Doubt;
use super::interval::Intervals;
use super::steps::{Step, Steps};
use crate::recording::Recording;

/// Of which a core does 476,000 packets a second at most, in full bursts.
const QUEUE: Queue = Queue { turn: 6_400.0, packet: 2_000.0, connection: 15_000.0 };
const MOST: f64 = 1e9 / (2_000.0 + 6_400.0 / 64.0);

const QUESTION: Question = Question { load: None, p99_us: None, utilisation: 0.7, mtu: 1500 };

/// Packets of long connections, at a part of what the core can do.
fn long(part: f64) -> Traffic {
    Traffic { rate: part * MOST, packets_per_connection: 1_000_000_000, octets_per_packet: 500 }
}

/// And of short ones.
fn short(part: f64) -> Traffic {
    Traffic { packets_per_connection: 20, ..long(part) }
}

/// Four intervals at each tenth.
fn tenths(recorder: &mut Recorder, from: u32, to: u32, traffic: fn(f64) -> Traffic) {
    (from..=to).for_each(|n| recorder.record(traffic(f64::from(n) / 10.0), 4));
}

fn intervals(recorder: Recorder) -> Intervals {
    Intervals::of(&[Recording { intervals: recorder.intervals }])
}

fn answers(recorder: Recorder) -> Answers {
    Answers::of(&intervals(recorder), None, &QUESTION)
}

#[track_caller]
fn assert_near(value: f64, expected: f64, part: f64) {
    assert!((value / expected - 1.0).abs() < part, "{value} is not {expected}");
}

#[test]
fn the_costs_of_a_known_queue_come_back() {
    let mut recorder = Recorder::new(QUEUE);
    tenths(&mut recorder, 1, 9, long);
    tenths(&mut recorder, 1, 3, short);
    let costs = answers(recorder).costs.remove(0).unwrap();
    assert_near(costs.turn.ns, QUEUE.turn, 0.02);
    assert_near(costs.packet.ns, QUEUE.packet, 0.02);
    assert_near(costs.connection.ns, QUEUE.connection, 0.05);
    assert!(costs.r_squared > 0.999, "{costs:?}");
    for (cost, known) in [(costs.turn, QUEUE.turn), (costs.packet, QUEUE.packet)] {
        let error = cost.error_ns.unwrap();
        assert!((cost.ns - known).abs() < 4.0 * error && error < 0.02 * known, "{costs:?}");
    }
}

/// A turn lasts `turn / (1 - u)` with `u` the load by the packets' cost alone, and that rises as fast as load
/// where `u` is a half.
#[test]
fn the_knee_of_a_known_queue_is_found() {
    let mut recorder = Recorder::new(QUEUE);
    tenths(&mut recorder, 1, 9, long);
    let answers = answers(recorder);
    let knee = answers.knee.unwrap();
    assert_near(knee.packets_per_second, 0.5e9 / QUEUE.packet, 0.15);
    assert!(knee.utilisation_error.unwrap() < 0.1, "{knee:?}");
    assert_near(answers.recorded.highest.unwrap().packets_per_second, 0.9 * MOST, 0.05);
    assert_near(knee.head_room, 0.5 / 0.9, 0.15);
}

#[test]
fn the_knee_of_other_traffic_is_predicted() {
    let mut first = Recorder::new(QUEUE);
    tenths(&mut first, 1, 9, long);
    tenths(&mut first, 1, 2, short);
    let answers = answers(first);
    let mut second = Recorder::new(QUEUE);
    tenths(&mut second, 1, 6, short);
    let second = intervals(second);
    let against = Against::of(&answers, &that_show_load(&second.list, None)).unwrap();
    assert!(against.off.abs() < 0.15, "{against:?}");
}

#[test]
fn what_a_load_needs_follows_from_its_costs() {
    let mut recorder = Recorder::new(QUEUE);
    tenths(&mut recorder, 1, 9, long);
    tenths(&mut recorder, 1, 3, short);
    let load = "packets_per_second=1M,connections_per_second=10k,connections=50k".parse().unwrap();
    let question = Question { load: Some(load), ..QUESTION };
    let answers = Answers::of(&intervals(recorder), None, &question);
    let need = answers.need.unwrap().unwrap();
    let at_work = 1e6 / MOST + 10_000.0 * QUEUE.connection / 1e9;
    assert_near(need.cores[0].at_work, at_work, 0.05);
    assert_eq!(need.cores[0].cores, (at_work / 0.7).ceil() as u64);
    assert!(need.connection_octets >= 50_000.0 * 100.0, "{need:?}");
}

#[test]
fn a_p99_that_is_good_enough_says_how_much_may_come() {
    let mut recorder = Recorder::new(QUEUE);
    tenths(&mut recorder, 1, 9, long);
    let intervals = intervals(recorder);
    let at = |p99_us| {
        let question = Question { p99_us: Some(p99_us), ..QUESTION };
        Answers::of(&intervals, None, &question).at_p99.unwrap()
    };
    let (some, more) = (at(30.0).unwrap(), at(60.0).unwrap());
    assert!(some.packets_per_second < more.packets_per_second, "{some:?} {more:?}");
    assert!(matches!(at(1.0), Err(Doubt::NeverReached { .. })));
}

#[test]
fn too_little_is_no_ground_for_an_answer() {
    let mut recorder = Recorder::new(QUEUE);
    recorder.record(long(0.5), 5);
    let few = answers(recorder);
    assert!(matches!(few.costs[0], Err(Doubt::TooFew { .. })), "{few:?}");
    assert!(few.knee.is_err() && !few.are_whole());
    assert!(few.to_text().contains("unsupported: too few"), "{}", few.to_text());

    let nothing = Answers::of(&Intervals::default(), None, &QUESTION);
    assert!(matches!(nothing.knee, Err(Doubt::TooFew { .. })), "{nothing:?}");
}

#[test]
fn one_load_is_no_curve() {
    let mut recorder = Recorder::new(QUEUE);
    (0..10).for_each(|n| recorder.record(long(0.5 + 0.02 * f64::from(n)), 4));
    let knee = answers(recorder).knee;
    assert!(matches!(knee, Err(Doubt::NarrowRange { .. } | Doubt::TooFew { .. })), "{knee:?}");
}

#[test]
fn light_load_does_not_tell_of_heavy_load() {
    let mut recorder = Recorder::new(QUEUE);
    (1..=10).for_each(|n| recorder.record(long(0.02 * f64::from(n)), 4));
    let load = "packets_per_second=1M".parse().unwrap();
    let question = Question { load: Some(load), ..QUESTION };
    let answers = Answers::of(&intervals(recorder), None, &question);
    assert!(answers.knee.is_err(), "{:?}", answers.knee);
    let need = answers.need.unwrap();
    assert!(matches!(need, Err(Doubt::Beyond { .. })), "{need:?}");
}

#[test]
fn a_stage_that_was_never_measured_has_no_cost() {
    let mut recorder = Recorder::new(QUEUE);
    tenths(&mut recorder, 1, 9, long);
    for interval in &mut recorder.intervals {
        let stage = &mut interval.stats.cores[0].stages[0];
        (stage.sampled_packets, stage.sampled_s) = (0, 0.0);
    }
    let answers = answers(recorder);
    let stage = &answers.costs[0].as_ref().unwrap().stages[0];
    let doubt = Doubt::NeverSampled { role: "lane", stage: "worker".to_owned() };
    assert_eq!(stage.ns_per_packet, Err(doubt));
    assert!(answers.knee.is_ok(), "the rest stands");
}

/// The engine has time, and whoever drives it waits all the same.
#[test]
fn a_limit_elsewhere_is_not_taken_for_the_engines() {
    let mut recorder = Recorder::new(QUEUE);
    (1..=10).for_each(|n| recorder.record(long(0.03 * f64::from(n)), 4));
    let step = |n: usize, p99_us: f64| Step {
        began: recorder.intervals[4 * n].began,
        ended: recorder.intervals[4 * n + 3].ended,
        answered: 1_000.0 * (n + 1) as f64,
        p99_us,
        ..Step::default()
    };
    let times = [300.0, 310.0, 320.0, 340.0, 370.0, 420.0, 500.0, 700.0, 1_500.0, 9_000.0];
    let steps = times.iter().enumerate().map(|(n, p99_us)| step(n, *p99_us)).collect();
    let steps = Steps { steps, ..Steps::default() };
    let answers = Answers::of(&intervals(recorder), Some(&steps), &QUESTION);
    assert!(matches!(answers.knee, Err(Doubt::LimitElsewhere { .. })), "{:?}", answers.knee);
    assert!(answers.to_text().contains("the limit is elsewhere"), "{}", answers.to_text());
}

#[test]
fn an_engine_that_was_started_anew_leaves_a_gap() {
    let mut recorder = Recorder::new(QUEUE);
    tenths(&mut recorder, 1, 4, long);
    recorder.restart();
    tenths(&mut recorder, 5, 9, long);
    let intervals = intervals(recorder);
    assert_eq!((intervals.restarts.len(), intervals.list.len()), (1, 34));
    let answers = Answers::of(&intervals, None, &QUESTION);
    assert_near(answers.costs[0].as_ref().unwrap().packet.ns, QUEUE.packet, 0.02);
    assert!(answers.to_text().contains("counts fell 1 times"), "{}", answers.to_text());
}

#[test]
fn seconds_that_are_missing_are_not_made_up() {
    let mut recorder = Recorder::new(QUEUE);
    tenths(&mut recorder, 1, 9, long);
    recorder.intervals.drain(10..20);
    let intervals = intervals(recorder);
    assert_eq!((intervals.restarts.len(), intervals.list.len()), (0, 24));
}

#[test]
fn packets_lost_on_the_way_in_say_nothing_of_latency() {
    let mut recorder = Recorder::new(QUEUE);
    tenths(&mut recorder, 1, 9, long);
    for (n, interval) in recorder.intervals.iter_mut().enumerate() {
        let rx_dropped = n.saturating_sub(31) as u64 * 1_000;
        interval.stats.ports = vec![crate::stats::Port { rx_dropped, ..Default::default() }];
    }
    let answers = answers(recorder);
    assert_eq!(answers.recorded.overloaded, 4);
    assert_near(answers.recorded.highest.unwrap().packets_per_second, 0.8 * MOST, 0.05);
}
