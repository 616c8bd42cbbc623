//! What a pipeline is put together from: packet memory, divided among its cores, and workers behind the
//! core that has the devices.

use std::iter::{once, repeat_n};

use super::bell::Bell;
use super::board::Board;
use super::control::{Commands, Mailbox, Neighbours};
use super::hop::{Hop, hops};
use super::idle::IdlePolicy;
use super::io::WorkerEnd;
use super::lane::Lane;
use super::worker::Worker;
use crate::frame::FramePool;
use crate::limits::DEVICE_RESERVE;
use crate::port::Port;

/// Divides packet memory between the core with the devices, which need so many frames to receive into,
/// and its workers.
///
/// Of what the devices leave, a worker has half of its part at hand; the other half is for what it
/// receives, and comes with that.
pub fn split_for_pipeline(
    pool: FramePool,
    devices: usize,
    workers: usize,
) -> (FramePool, Vec<FramePool>) {
    let all = pool.free_count();
    let most = all.saturating_sub(devices) / workers;
    let at_hand = most / 2;
    let shares: Vec<usize> =
        once(all - at_hand * workers).chain(repeat_n(at_hand, workers)).collect();
    let mut pools = pool.split(&shares);
    let mut behind = pools.split_off(1);
    for pool in &mut behind {
        pool.set_capacity_max(most);
        pool.add_device_reserve(DEVICE_RESERVE);
    }
    (pools.remove(0), behind)
}

impl<N: Neighbours> Lane<Hop, Board, N> {
    /// A worker behind the core that wakes by `io`, and that core's end of it.
    pub fn behind(
        io: &Bell,
        mut worker: Worker,
        neighbours: N,
        (commands, mailbox): (Commands, Mailbox),
        idle: IdlePolicy,
    ) -> (Self, WorkerEnd) {
        let (ports, hops) = hops(worker.ports_mut().len(), &worker.pool, mailbox.bell(), io);
        for (identity, port) in worker.ports_mut().iter_mut().zip(&ports) {
            identity.verified = port.verifies_checksums();
        }
        let board = Board::new(worker.services());
        let lane = Lane::new(worker, ports, board.clone(), neighbours, mailbox, idle);
        (lane, WorkerEnd { hops, board, commands })
    }
}
