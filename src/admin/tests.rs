//! What is gathered from several who count at their own time.

use ringroad_ebpf::{Sample, Verdict};
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::{Command, Mailbox, mailbox};

use super::*;
use crate::backend::ShieldCounts;

/// So many packets come to the engine between any two looks.
#[derive(Debug, Default)]
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
fn answer(mailbox: &Mailbox, flood: &Flood) {
    while let Some(command) = mailbox.take() {
        if let Command::Snapshot(mut snapshot, reply) = command {
            let came = flood.look();
            (snapshot.ledger.received, snapshot.ledger.consumed) = (came, came);
            let _ = reply.send(snapshot);
        }
    }
}

/// Nothing waits, however long it takes until all have said what they counted.
#[tokio::test]
async fn what_comes_while_counts_are_gathered_is_not_held() {
    let flood = Flood::default();
    let (commands, mailbox) = mailbox().unwrap();
    let crew = Crew::of([("lane-0".to_owned(), commands)]);
    let names = Names::default();
    let captures = Captures::new(crew.clone(), names.clone(), std::iter::empty(), 1500);
    let shield = Box::new(Flood { came: flood.came.clone() });
    let events = Events::new(Vec::new());
    let admin = Admin::new(crew, shield, names, SynCookies::Off, captures, events, None);
    for _ in 0..3 {
        let (stats, ()) = tokio::join!(admin.stats(), async { answer(&mailbox, &flood) });
        let ledger = stats.unwrap().ledger;
        assert_eq!((ledger.received, ledger.held), (ledger.consumed, 0));
    }
}
