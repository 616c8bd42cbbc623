use super::*;
use crate::limits::BURST;

mod model;
mod pools;
mod promises;

fn pool(frames: usize) -> FramePool {
    FramePool::in_memory(frames, 2048)
}

#[test]
fn what_a_device_returns_is_checked() {
    let mut pool = pool(4);
    let frame = pool.alloc().unwrap();
    let index = u64::from(frame.index());
    let offset = pool.give_to_device(frame);
    assert_eq!(pool.with_devices(), 1);
    assert!(pool.take_from_device(1 << 40, 10).is_none(), "outside the region");
    assert!(pool.take_from_device((index + 1) % 4 * 2048, 10).is_none(), "a free frame");
    assert!(pool.take_from_device(offset, 4096).is_none(), "longer than a frame");
    let back = pool.take_from_device(offset, 60).unwrap();
    assert_eq!((back.len(), pool.with_devices()), (60, 0));
    pool.free(back);
    assert!(pool.take_from_device(offset, 60).is_none(), "twice");
}

#[test]
fn a_pool_lives_on_hugepages_or_what_stands_in_for_them() {
    let request = ringroad_hugepages::Request { len: 3 << 20, nodes: &[], hugepages: true };
    let mapping = ringroad_hugepages::map(request).unwrap();
    let mut pool = FramePool::new(Region::from_hugepages(mapping), 4096);
    assert_eq!(pool.capacity(), (4 << 20) / 4096, "whole hugepages");
    let mut held: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
    for frame in &mut held {
        pool.push_back(frame, 2000).unwrap().fill(7);
    }
    held.into_iter().for_each(|f| pool.free(f));
    assert_eq!(pool.free_count(), pool.capacity());
}

#[test]
fn of_a_burst_goes_into_a_ring_what_fits_and_the_rest_stays_in_order() {
    let mut pool = pool(6);
    let mut burst = Burst::new();
    while let Some(frame) = pool.alloc() {
        burst.push(frame).unwrap();
    }
    let order: Vec<u32> = burst.iter().map(Frame::index).collect();
    let (mut producer, mut consumer) = ringroad_ring::ring(4);
    assert_eq!(producer.push_burst(burst.drain()), 4);
    let left: Vec<u32> = burst.iter().map(Frame::index).collect();
    let crossed: Vec<Frame> = consumer.pop_burst(BURST).collect();
    assert_eq!(crossed.iter().map(Frame::index).chain(left).collect::<Vec<_>>(), order);
    crossed.into_iter().chain(burst.drain()).for_each(|frame| pool.free(frame));
    assert_eq!(pool.free_count(), pool.capacity());
}
