//! What a turn of the core with the devices is bounded by.

use super::*;
use crate::limits::CHUNK_SIZE_MIN;
use crate::port::PortStats;
use crate::stage::hop::hops;
use crate::stage::{Hop, NoGate, mailbox};

const OF_DEVICES: usize = 128;
const OF_WORKER: usize = 16 * HOP_TX_ENTRIES;

/// A device that is never full, beside a worker that is as fast: when it has taken what there was, there
/// is as much again.
struct Endless {
    pool: FramePool,
    worker: Hop,
    sent: usize,
}

impl Endless {
    fn send_more(&mut self) {
        let mut burst = Burst::new();
        while !burst.is_full()
            && let Some(frame) = self.pool.alloc()
        {
            burst.push(frame).expect("it is not full");
        }
        self.worker.tx_burst(&mut self.pool, &mut burst);
        burst.drain().for_each(|frame| self.pool.free(frame));
    }
}

impl Port for Endless {
    fn rx_burst(&mut self, _pool: &mut FramePool, _burst: &mut Burst) {}

    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        self.sent += burst.len();
        burst.drain().for_each(|frame| pool.free(frame));
        self.send_more();
    }

    fn flush(&mut self, _pool: &mut FramePool) {
        self.worker.flush(&mut self.pool);
    }

    fn close(&mut self, _pool: &mut FramePool) {}

    fn stats(&self) -> PortStats {
        PortStats::default()
    }
}

#[test]
fn workers_that_never_stop_sending_do_not_keep_it_from_receiving() {
    let pools = FramePool::in_memory(OF_DEVICES + OF_WORKER, CHUNK_SIZE_MIN);
    let mut pools = pools.split(&[OF_DEVICES, OF_WORKER]);
    let (of_worker, of_devices) = (pools.pop().unwrap(), pools.pop().unwrap());
    let (commands, its_mailbox) = mailbox().unwrap();
    let (_, own_mailbox) = mailbox().unwrap();
    let (mut near, far) = hops(1, &of_worker, its_mailbox.bell(), own_mailbox.bell());
    let mut device = Endless { pool: of_worker, worker: near.pop().unwrap(), sent: 0 };
    device.send_more();
    let settings = IoSettings {
        ports: vec![device],
        gate: NoGate,
        steering: Steering::default(),
        hasher: FlowHasher::new(&[7; 16]),
        workers: vec![WorkerEnd { hops: far, board: Board::new(0), commands }],
        stalled_after: Duration::MAX,
        says: Vec::new(),
        mailbox: own_mailbox,
        idle: IdlePolicy::Spin,
        records: false,
    };
    let mut stage = IoStage::new(of_devices, settings);
    for turn in 1..=3 {
        stage.turn(&mut || Instant::from_millis(1));
        let sent = stage.ports[0].sent;
        assert!((turn * BURST..=turn * HOP_TX_ENTRIES).contains(&sent), "{sent} in {turn} turns");
    }
}
