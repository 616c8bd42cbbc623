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
