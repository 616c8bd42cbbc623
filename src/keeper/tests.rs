use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};

use ringroad_ebpf::{Sample, Verdict};
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::{Command, Mailbox, mailbox};
use ringroad_engine::telemetry::Measure;

use super::*;
use crate::backend::ShieldCounts;

/// So many packets come to the engine between any two looks.
#[derive(Clone, Debug, Default)]
struct Flood {
    came: Arc<AtomicU64>,
}

impl Flood {
    fn look(&self) -> u64 {
        self.came.fetch_add(100, Ordering::Relaxed)
    }
}

impl ShieldHandle for Flood {
    fn counts(&self, _services: usize) -> Result<ShieldCounts> {
        let mut counts = ShieldCounts::default();
        (0..self.look()).for_each(|_| counts.all.count(Verdict::ToEngine));
        Ok(counts)
    }

    fn set_cookie_keys(&self, _keys: &Keys) {}

    fn take_samples(&self) -> Result<Vec<Sample>> {
        Ok(Vec::new())
    }

    fn samples_lost(&self) -> Result<u64> {
        Ok(0)
    }
}

/// A thread that has taken all that has come.
struct Lane {
    mailbox: Mailbox,
    recorders: Recorders,
    flood: Flood,
}

impl Lane {
    fn new() -> (Lane, Keeper) {
        let (commands, mailbox) = mailbox().unwrap();
        let crew = Crew::of([("lane-0".to_owned(), commands)]);
        let flood = Flood::default();
        let keeper = Keeper::new(crew, Arc::new(flood.clone()), (0, 0, 0), None);
        (Lane { mailbox, recorders: Recorders::new(), flood }, keeper)
    }

    /// What it was asked so far.
    fn answer(&mut self) {
        while let Some(command) = self.mailbox.take() {
            if let Command::Snapshot(mut snapshot, reply) = command {
                let came = self.flood.look();
                (snapshot.ledger.received, snapshot.ledger.consumed) = (came, came);
                snapshot.take_from(&mut self.recorders);
                let _ = reply.send(snapshot);
            }
        }
    }
}

fn inside(kept: &Kept) -> u64 {
    kept.cores[0].histogram(Measure::Inside).map_or(0, hdrhistogram::Histogram::len)
}

/// Begins to count, and gives up.
async fn count_halfway(keeper: &Keeper) {
    tokio::select! {
        biased;
        _ = keeper.count() => unreachable!("nobody has answered"),
        () = ready(()) => {}
    }
}

/// As when a client hangs up, or a thread hangs for a while.
#[tokio::test]
async fn what_comes_after_nobody_waits_any_more_is_kept() {
    let (mut lane, keeper) = Lane::new();
    let hung = keeper.count().await.unwrap_err().to_string();
    assert!(hung.starts_with("lane-0 has not answered within"), "{hung}");

    lane.recorders.record(Measure::Inside, 10);
    lane.answer();
    lane.recorders.record(Measure::Inside, 20);
    let late = tokio::join!(keeper.count(), async { lane.answer() }).0;
    assert_eq!(inside(&late.unwrap().kept), 2);

    lane.recorders.record(Measure::Inside, 30);
    count_halfway(&keeper).await;
    lane.answer();
    let last = tokio::join!(keeper.count(), async { lane.answer() }).0;
    assert_eq!(inside(&last.unwrap().kept), 3);
}

/// Nothing waits, however long it takes until all have said what they counted.
#[tokio::test]
async fn what_comes_while_counts_are_gathered_is_not_held() {
    let (mut lane, keeper) = Lane::new();
    for _ in 0..3 {
        let (counted, ()) = tokio::join!(keeper.count(), async { lane.answer() });
        let ledger = counted.unwrap().snapshot.ledger;
        assert_eq!((ledger.received, ledger.held), (ledger.consumed, 0));
    }
}

/// Else what the shield says would be older than what the threads say by as long as that took.
#[tokio::test]
async fn who_waits_for_another_reader_asks_nobody_before() {
    let (lane, keeper) = Lane::new();
    let another = keeper.kept.lock().await;
    count_halfway(&keeper).await;
    assert_eq!(lane.flood.came.load(Ordering::Relaxed), 0);
    drop(another);
    count_halfway(&keeper).await;
    assert_eq!(lane.flood.came.load(Ordering::Relaxed), 100);
}
