use super::*;
use crate::report::tests::{NOON, engine, recording, serve};

fn rates(history: &History) -> Vec<Option<f64>> {
    let rate = |counts: &Counts| counts.rate(counts.received);
    history.steps.iter().map(|step| step.counts.as_ref().map(rate)).collect()
}

#[test]
fn rates_are_what_counts_grew_by() {
    let intervals = recording(&[10, 30_000, 50_000]);
    let history = History::new(&intervals).unwrap();
    assert_eq!(rates(&history), [None, Some(30_000.0), Some(50_000.0)]);
    assert_eq!((history.total.received, history.total.seconds), (80_000, 2.0));
    assert_eq!(history.total.services["web"].accepted, 800);
    assert_eq!(history.total.drops(), 59);
    let worker = &history.total.cores["worker-0"];
    assert!((worker.utilisation() - 0.04).abs() < 1e-9);
    assert!((history.total.stage("worker").nanos_per_packet().unwrap() - 400.0).abs() < 1e-6);
    assert_eq!(history.period(), (NOON, NOON + 3.0));
    assert_eq!(history.histograms["inside"].len(), 10 + 1_000 + 1_000);
}

#[test]
fn an_engine_that_started_anew_leaves_a_gap() {
    let mut intervals = recording(&[1_000; 4]);
    let mut anew = engine();
    for interval in &mut intervals[2..] {
        serve(&mut anew, 700);
        interval.stats = anew.clone();
    }
    let history = History::new(&intervals).unwrap();
    assert_eq!(rates(&history), [None, Some(1_000.0), None, Some(700.0)]);
    assert_eq!((history.restarts, history.missing_s), (1, 0.0));
    assert!(
        history.steps.iter().all(|step| step.inside.is_some()),
        "histograms stand for themselves"
    );
}

#[test]
fn time_that_is_missing_leaves_a_gap() {
    let mut intervals = recording(&[1_000; 5]);
    intervals.remove(2);
    let history = History::new(&intervals).unwrap();
    assert_eq!(rates(&history), [None, Some(1_000.0), None, Some(1_000.0)]);
    assert_eq!((history.restarts, history.missing_s), (0, 1.0));
    assert!(History::new(&[]).is_none());
}

/// A count that is not there any more fell, too.
#[test]
fn a_name_that_is_gone_is_a_restart() {
    let mut intervals = recording(&[10_000; 2]);
    intervals[1].stats.services[0].name = "other".to_owned();
    let history = History::new(&intervals).unwrap();
    assert_eq!((rates(&history), history.restarts), (vec![None, None], 1));
}
