//! A pool in DPDK's memory is a pool like any other, and drivers are lent no other than theirs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringroad_engine::frame::{Burst, Frame, FramePool};
use ringroad_engine::limits::BURST;
use ringroad_engine::port::Port as _;
use ringroad_engine::port::dpdk::{Dpdk, Settings};

use crate::{Bench, eal, memory};

#[path = "../../src/frame/tests/promises.rs"]
mod promises;

fn pool(frames: usize) -> FramePool {
    memory(&eal(), frames).0
}

#[test]
fn each_number_below_the_end_is_handed_out_once() {
    let mut pool = pool(1000);
    assert_eq!((pool.capacity(), pool.index_end(), pool.free_count()), (1000, 1000, 1000));
    let held: Vec<Frame> = std::iter::from_fn(|| pool.alloc()).collect();
    let mut indices: Vec<u32> = held.iter().map(Frame::index).collect();
    indices.sort_unstable();
    assert!(indices.into_iter().eq(0..1000));
    held.into_iter().for_each(|frame| pool.free(frame));
}

#[test]
fn what_one_frame_holds_is_in_no_other() {
    let mut pool = pool(300);
    let mut held: Vec<Frame> = std::iter::from_fn(|| pool.alloc()).collect();
    for frame in &mut held {
        let (mark, room) = (frame.index() as u8, pool.room_behind(frame));
        pool.push_back(frame, room).unwrap().fill(mark);
        let room = frame.start();
        pool.push_front(frame, room).fill(mark);
    }
    for frame in held {
        assert_eq!(frame.len(), pool.frame_size());
        assert!(pool.bytes(&frame).iter().all(|octet| *octet == frame.index() as u8));
        pool.free(frame);
    }
}

/// Of a frame in DPDK's memory it cannot be told that it is free; that there is no room for one more
/// can, before it is written there.
#[test]
#[should_panic(expected = "more frames are free than there are")]
fn a_free_frame_that_is_freed_is_noticed() {
    let mut pool = pool(4);
    assert!(pool.take_from_device(4 * pool.frame_size() as u64, 0).is_none(), "there is none");
    let free = pool.take_from_device(0, 0).unwrap();
    pool.free(free);
}

/// Two frames that the device's pool cannot have, by their number and by their length.
#[test]
fn a_frame_of_another_pool_is_not_sent() {
    let mut bench = Bench::new(64);
    let mut port = bench.open("net_ring_strange", "");
    let mut more = FramePool::in_memory(1000, 2048);
    let mut larger = FramePool::in_memory(64, 4096);
    let mut held: Vec<Frame> = std::iter::from_fn(|| more.alloc()).collect();
    let numbered = held.pop().unwrap();
    let mut long = larger.alloc().unwrap();
    larger.push_back(&mut long, 3000).unwrap();
    for (strange, refusal) in [(numbered, "frame "), (long, "octets ")] {
        let mut burst = Burst::new();
        burst.push(bench.frame(&[1; 60])).unwrap();
        burst.push(strange).unwrap();
        let send = AssertUnwindSafe(|| port.tx_burst(&mut bench.pool, &mut burst));
        let panic = catch_unwind(send).expect_err("a panic");
        assert!(panic.downcast_ref::<String>().unwrap().starts_with(refusal));
        assert_eq!((burst.len(), port.stats().sent), (2, 0), "nothing was sent");
        bench.pool.free(burst.drain().next().unwrap());
        burst.drain().chain(held.drain(..)).for_each(std::mem::forget);
    }
    port.close(&mut bench.pool);
    bench.assert_all_home();
}

/// Another thread may have the pool: nothing of it is touched, and the device stays as it is.
#[test]
fn a_port_that_is_dropped_unclosed_leaves_the_pool_alone() {
    let mut bench = Bench::new(64);
    let mut port = bench.open("net_ring_dropped", "");
    let mut burst = Burst::new();
    burst.push(bench.frame(&[1; 60])).unwrap();
    port.tx_burst(&mut bench.pool, &mut burst);
    let free = bench.pool.free_count();
    drop(port);
    assert_eq!((bench.pool.free_count(), bench.pool.with_devices()), (free, 1));
    assert!(bench.eal.attach("net_ring_dropped", "").is_err(), "it is there still");
}

#[test]
fn a_port_may_outlive_its_pool() {
    let mut bench = Bench::new(64);
    let mut port = bench.open("net_ring_outlives", "");
    let mut burst = Burst::new();
    burst.push(bench.frame(&[1; 60])).unwrap();
    port.tx_burst(&mut bench.pool, &mut burst);
    let Bench { pool, memory, eal: _eal } = bench;
    drop((pool, memory));
    assert_eq!(port.stats().sent, 1);
}

#[test]
fn a_port_that_is_lent_another_pool_panics_and_harms_neither() {
    const REFUSAL: &str = "the memory of another pool";
    let mut bench = Bench::new(256);
    let (mut other, other_memory) = memory(&bench.eal, 256);
    let mut port = bench.open("net_ring_foreign", "");
    let mut burst = Burst::new();
    burst.push(bench.frame(&[0; 60])).unwrap();
    port.tx_burst(&mut bench.pool, &mut burst);
    let id = bench.eal.attach("net_ring_foreign2", "").unwrap();
    let settings = Settings { rx_queues: 1, rx_descriptors: 256, tx_descriptors: 256, mtu: 1500 };

    let refused = |call: &mut dyn FnMut()| {
        let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("a panic");
        assert_eq!(panic.downcast_ref(), Some(&REFUSAL));
    };
    refused(&mut || port.rx_burst(&mut other, &mut burst));
    refused(&mut || port.tx_burst(&mut other, &mut burst));
    refused(&mut || port.flush(&mut other));
    refused(&mut || port.close(&mut other));
    let mut id = Some(id);
    refused(&mut || {
        let _ = Dpdk::open(&mut bench.pool, &other_memory, id.take().unwrap(), settings);
    });
    assert_eq!((other.free_count(), bench.pool.free_count()), (256, 255));
    port.close(&mut bench.pool);
    bench.assert_all_home();
}
