use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;

use super::super::sim::{Settings, SimPeer, SimPort};
use super::*;
use crate::limits::BURST;

/// Simulated queues, and the other ends of their cables.
fn queues(count: usize) -> (Queues<SimPort>, Vec<SimPeer>) {
    let (ports, peers) = (0..count).map(|_| SimPort::with_peer(Settings::default())).unzip();
    (Queues::new(ports), peers)
}

/// One turn; returns the first octet of each packet.
fn receive(port: &mut Queues<SimPort>, pool: &mut FramePool) -> VecDeque<u8> {
    let mut burst = Burst::new();
    port.rx_burst(pool, &mut burst);
    let first = burst.iter().map(|frame| pool.bytes(frame)[0]).collect();
    burst.drain().for_each(|frame| pool.free(frame));
    first
}

fn finish(mut port: Queues<SimPort>, mut pool: FramePool) {
    port.close(&mut pool);
    assert_eq!((pool.free_count(), pool.with_devices()), (pool.capacity(), 0));
    assert!(!pool.is_scarce(), "nothing is reserved");
}

#[test]
fn no_queue_starves_the_others() {
    for flooded in 0..3 {
        let mut pool = FramePool::in_memory(1024, 2048);
        let (mut port, mut peers) = queues(3);
        (0..10 * BURST).for_each(|_| peers[flooded].send(&[flooded as u8; 60]));
        let others = [(flooded + 1) % 3, (flooded + 2) % 3];
        for _ in 0..4 {
            others.iter().for_each(|other| peers[*other].send(&[*other as u8; 60]));
            let mut got: Vec<u8> = (0..3).flat_map(|_| receive(&mut port, &mut pool)).collect();
            got.retain(|queue| usize::from(*queue) != flooded);
            got.sort_unstable();
            let mut expected = others.map(|other| other as u8);
            expected.sort_unstable();
            assert_eq!(got, expected, "within three turns, whatever is in queue {flooded}");
        }
        finish(port, pool);
    }
}

#[test]
fn a_turn_brings_one_burst_however_many_queues_are_full() {
    let mut pool = FramePool::in_memory(1024, 2048);
    let (mut port, mut peers) = queues(4);
    for (number, peer) in peers.iter_mut().enumerate() {
        (0..BURST).for_each(|_| peer.send(&[number as u8; 60]));
    }
    for queue in 0..4 {
        assert_eq!(receive(&mut port, &mut pool), [queue; BURST]);
    }
    assert_eq!(port.stats().received, 4 * BURST as u64, "of all queues");
    finish(port, pool);
}

#[test]
fn packets_leave_by_the_first_queue() {
    let mut pool = FramePool::in_memory(64, 2048);
    let (mut port, mut peers) = queues(2);
    let mut burst = Burst::new();
    let mut frame = pool.alloc().unwrap();
    pool.push_back(&mut frame, 60).unwrap().fill(9);
    burst.push(frame).unwrap();
    port.tx_burst(&mut pool, &mut burst);
    port.flush(&mut pool);
    assert_eq!((peers[0].receive(), peers[1].receive()), (Some(vec![9; 60]), None));
    assert_eq!(port.stats(), PortStats { sent: 1, ..PortStats::default() });
    finish(port, pool);
}

/// A queue that is there only to be slept on.
struct Sleeper {
    readable: Option<OwnedFd>,
}

impl Sleeper {
    fn with(count: u32) -> Self {
        Sleeper { readable: Some(EventFd::from_value(count).unwrap().into()) }
    }
}

impl Port for Sleeper {
    fn rx_burst(&mut self, _: &mut FramePool, _: &mut Burst) {}
    fn tx_burst(&mut self, _: &mut FramePool, _: &mut Burst) {}
    fn flush(&mut self, _: &mut FramePool) {}

    fn close(&mut self, _: &mut FramePool) {
        self.readable = None;
    }

    fn stats(&self) -> PortStats {
        PortStats::default()
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        self.readable.as_ref().map(|fd| fd.as_fd())
    }
}

#[test]
fn whichever_queue_has_packets_wakes_the_lane() {
    let wakes = |queues: Vec<Sleeper>| {
        let port = Queues::new(queues);
        let mut fds = [PollFd::new(port.wait_fd()?, PollFlags::POLLIN)];
        Some(poll(&mut fds, PollTimeout::ZERO).unwrap() == 1)
    };
    let (quiet, ready) = (|| Sleeper::with(0), || Sleeper::with(1));
    assert_eq!(wakes(vec![quiet(), quiet(), quiet()]), Some(false));
    assert_eq!(wakes(vec![quiet(), quiet(), ready()]), Some(true));
    assert_eq!(wakes(vec![ready()]), Some(true));
    assert_eq!(wakes(vec![quiet(), Sleeper { readable: None }]), None, "it has to be polled");
    let mut port = Queues::new(vec![ready(), ready()]);
    port.close(&mut FramePool::in_memory(1, 2048));
    assert!(port.wait_fd().is_none());
}
