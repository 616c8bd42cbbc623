//! A device that is polled by one core, with frames of another's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringroad_engine::frame::{Burst, Frame, FramePool};
use ringroad_engine::limits::BURST;
use ringroad_engine::port::Port as _;
use ringroad_engine::port::dpdk::Dpdk;

use crate::Bench;

fn filled(pool: &mut FramePool, octet: u8) -> Frame {
    let mut frame = pool.alloc().expect("a free frame");
    pool.push_back(&mut frame, 60).expect("room").fill(octet);
    frame
}

/// `count` frames that the worker lends and keeps, as they get to the core that sends.
fn lend(bench: &mut Bench, worker: &mut FramePool, count: usize) -> (Burst, Vec<Frame>) {
    let (mut burst, mut kept) = (Burst::new(), Vec::new());
    for number in 0..count {
        let frame = filled(worker, number as u8);
        let shared = worker.share(&frame);
        let loan = worker.lend(shared);
        burst.push(bench.pool.host(loan)).expect("room");
        kept.push(frame);
    }
    (burst, kept)
}

/// Brings home what the port is done with, and says how many that were.
fn bring_home(bench: &mut Bench, worker: &mut FramePool) -> usize {
    let home: Vec<_> = bench.pool.departing_guests(1).collect();
    let count = home.len();
    home.into_iter().for_each(|loan| worker.receive_back(loan));
    count
}

fn finish(mut port: Dpdk, mut bench: Bench, mut worker: FramePool, kept: Vec<Frame>) {
    port.close(&mut bench.pool);
    bring_home(&mut bench, &mut worker);
    assert!(kept.iter().all(|frame| !worker.is_shared(frame)), "sole again");
    kept.into_iter().for_each(|frame| worker.free(frame));
    bench.assert_all_home();
    assert_eq!(bench.pool.guest_count(), 0);
    assert_eq!((worker.free_count(), worker.held_count()), (worker.capacity(), 0));
}

/// A driver that is done at once, many times over: none of the guests gets onto its stack.
#[test]
fn a_guest_that_was_sent_goes_home_and_not_onto_the_stack() {
    let (mut bench, mut worker) = Bench::with_worker(256, 100);
    let mut port = bench.open("net_null_guests", "");
    let mut all = Vec::new();
    for _ in 0..20 {
        let (mut burst, kept) = lend(&mut bench, &mut worker, BURST);
        port.tx_burst(&mut bench.pool, &mut burst);
        assert!(burst.is_empty());
        assert_eq!(bench.pool.free_count(), bench.pool.capacity(), "nothing was added");
        port.flush(&mut bench.pool);
        assert_eq!(bring_home(&mut bench, &mut worker), BURST);
        assert!(kept.iter().all(|frame| !worker.is_shared(frame)));
        kept.into_iter().for_each(|frame| worker.free(frame));
        // The driver takes what is on its stack, which none of them is.
        port.rx_burst(&mut bench.pool, &mut burst);
        all.extend(burst.iter().map(Frame::index));
        burst.drain().for_each(|frame| bench.pool.free(frame));
    }
    let mut of_worker: Vec<Frame> = std::iter::from_fn(|| worker.alloc()).collect();
    assert!(of_worker.iter().all(|frame| !all.contains(&frame.index())));
    of_worker.drain(..).for_each(|frame| worker.free(frame));
    finish(port, bench, worker, Vec::new());
}

/// A device that holds what was sent until it is received: only then do guests go home. They arrive
/// as copies, since their worker keeps them.
#[test]
fn a_guest_stays_as_long_as_the_device_has_it() {
    let (mut bench, mut worker) = Bench::with_worker(256, 100);
    let mut port = bench.open("net_ring_guests", "");
    let (mut burst, kept) = lend(&mut bench, &mut worker, 20);
    // One of its own among them.
    let own = bench.frame(&[99; 60]);
    burst.push(own).expect("room");
    port.tx_burst(&mut bench.pool, &mut burst);
    port.flush(&mut bench.pool);
    assert_eq!((bring_home(&mut bench, &mut worker), bench.pool.guest_count()), (0, 20));
    assert!(kept.iter().all(|frame| worker.is_shared(frame)));
    port.rx_burst(&mut bench.pool, &mut burst);
    let octets: Vec<u8> = burst.iter().map(|frame| bench.pool.bytes(frame)[0]).collect();
    assert!(octets.into_iter().eq((0..20).chain([99])));
    for mut frame in burst.drain() {
        bench.pool.bytes_mut(&mut frame).fill(0);
        bench.pool.free(frame);
    }
    port.flush(&mut bench.pool);
    assert_eq!(bring_home(&mut bench, &mut worker), 20);
    let intact = |(number, frame)| worker.bytes(frame) == [number as u8; 60];
    assert!(kept.iter().enumerate().all(intact));
    finish(port, bench, worker, kept);
}

/// Freed by their worker before the device is done: acknowledged, say, after a retransmission.
#[test]
fn a_guest_that_nobody_keeps_is_free_when_the_device_is_done() {
    let (mut bench, mut worker) = Bench::with_worker(128, 10);
    let mut port = bench.open("net_ring_acked", "");
    let (mut burst, kept) = lend(&mut bench, &mut worker, 10);
    port.tx_burst(&mut bench.pool, &mut burst);
    kept.into_iter().for_each(|frame| worker.free(frame));
    assert_eq!(worker.free_count(), 0);
    port.rx_burst(&mut bench.pool, &mut burst);
    burst.drain().for_each(|frame| bench.pool.free(frame));
    port.flush(&mut bench.pool);
    assert_eq!(bring_home(&mut bench, &mut worker), 10);
    assert_eq!(worker.free_count(), 10);
    finish(port, bench, worker, Vec::new());
}

/// What a device takes no more of stays in the burst; its caller frees it, or tries again.
#[test]
fn guests_that_the_device_does_not_take_are_the_callers() {
    let (mut bench, mut worker) = Bench::with_worker(4096, 3000);
    let mut port = bench.open("net_ring_taken", "");
    let mut all = Vec::new();
    let mut refused = loop {
        let (mut burst, kept) = lend(&mut bench, &mut worker, BURST);
        port.tx_burst(&mut bench.pool, &mut burst);
        all.extend(kept);
        if !burst.is_empty() {
            break burst;
        }
    };
    let (sent, left) = (port.stats().sent as usize, refused.len());
    assert_eq!(sent + left, all.len());
    refused.drain().for_each(|frame| bench.pool.free(frame));
    port.flush(&mut bench.pool);
    assert_eq!(bring_home(&mut bench, &mut worker), left);
    assert_eq!(bench.pool.guest_count(), sent);
    finish(port, bench, worker, all);
}

/// Received here, worked on there; and as many free ones come back to be received into.
#[test]
fn frames_that_go_to_another_core_are_made_up_for() {
    let (mut bench, mut worker) = Bench::with_worker(128, 64);
    let mut port = bench.open("net_null_transit", "");
    for _ in 0..50 {
        let mut burst = Burst::new();
        port.rx_burst(&mut bench.pool, &mut burst);
        assert!(burst.is_full());
        for frame in burst.drain() {
            let mut frame = worker.arrive(bench.pool.depart(frame));
            worker.bytes_mut(&mut frame).fill(1);
            worker.free(frame);
            bench.pool.arrive_free(worker.depart_free().expect("a free frame"));
        }
        assert_eq!((bench.pool.capacity(), worker.capacity()), (64, 64));
    }
    finish(port, bench, worker, Vec::new());
}

/// It has the same memory, and not the stack that the drivers use.
#[test]
fn a_device_is_not_polled_with_the_pool_of_another_core() {
    let (mut bench, mut worker) = Bench::with_worker(256, 100);
    let mut port = bench.open("net_ring_cores", "");
    let mut burst = Burst::new();
    burst.push(filled(&mut worker, 1)).expect("room");
    for call in [Dpdk::rx_burst, Dpdk::tx_burst] {
        let call = AssertUnwindSafe(|| call(&mut port, &mut worker, &mut burst));
        let panic = catch_unwind(call).expect_err("a panic");
        assert_eq!(panic.downcast_ref(), Some(&"the memory of another pool"));
    }
    burst.drain().for_each(|frame| worker.free(frame));
    finish(port, bench, worker, Vec::new());
}
