use super::*;
use crate::limits::BURST;

fn pool() -> FramePool {
    FramePool::in_memory(4, 2048)
}

#[test]
fn a_frame_comes_home_when_its_last_handle_does() {
    let mut pool = pool();
    let mut kept = pool.alloc().unwrap();
    pool.push_back(&mut kept, 5).unwrap().copy_from_slice(b"hello");
    let sent = pool.share(&kept);
    assert!(pool.is_shared(&kept));
    pool.free(kept);
    assert_eq!(pool.free_count(), 3, "still on its way out");
    assert_eq!(pool.bytes(&sent), b"hello");
    pool.free(sent);
    assert_eq!(pool.free_count(), 4);
}

#[test]
fn headers_go_in_front_of_a_payload_in_place() {
    let mut pool = pool();
    let mut frame = pool.alloc().unwrap();
    pool.push_back(&mut frame, 7).unwrap().copy_from_slice(b"payload");
    pool.push_front(&mut frame, 4).copy_from_slice(b"old ");
    frame.trim_front(4);
    pool.push_front(&mut frame, 6).copy_from_slice(b"newer ");
    assert_eq!(pool.bytes(&frame), b"newer payload");
    pool.free(frame);
}

#[test]
#[should_panic(expected = "on its way out")]
fn a_shared_frame_cannot_be_written() {
    let mut pool = pool();
    let mut kept = pool.alloc().unwrap();
    let sent = pool.share(&kept);
    std::mem::forget(sent);
    pool.bytes_mut(&mut kept);
}

#[test]
#[should_panic(expected = "was dropped, not freed")]
fn a_dropped_frame_is_noticed() {
    drop(pool().alloc());
}

#[test]
fn an_empty_pool_says_so() {
    let mut pool = pool();
    let held: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!((held.len(), pool.free_count(), pool.held_count()), (4, 0, 4));
    held.into_iter().for_each(|f| pool.free(f));
    assert_eq!(pool.free_count(), 4);
}

#[test]
fn what_a_device_returns_is_checked() {
    let mut pool = pool();
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
fn a_burst_keeps_order_and_what_was_not_taken() {
    let mut pool = FramePool::in_memory(BURST + 1, 2048);
    let mut burst = Burst::new();
    for _ in 0..BURST {
        burst.push(pool.alloc().unwrap()).unwrap();
    }
    let extra = burst.push(pool.alloc().unwrap()).unwrap_err();
    pool.free(extra);
    let first: Vec<u32> = burst.iter().map(Frame::index).collect();
    for frame in burst.drain().take(10) {
        pool.free(frame);
    }
    assert_eq!(burst.iter().map(Frame::index).collect::<Vec<_>>(), first[10..]);
    burst.drain().for_each(|f| pool.free(f));
    assert_eq!(pool.free_count(), BURST + 1);
}

#[test]
fn a_pool_says_when_what_is_left_is_the_devices() {
    let mut pool = pool();
    pool.add_device_reserve(2);
    let held: Vec<_> = (0..2).map(|_| pool.alloc().unwrap()).collect();
    assert!(!pool.is_scarce(), "two free, two reserved");
    let one_more = pool.alloc().unwrap();
    assert!(pool.is_scarce());
    pool.free(one_more);
    assert!(!pool.is_scarce());
    pool.remove_device_reserve(2);
    held.into_iter().for_each(|f| pool.free(f));
    assert!(!pool.is_scarce());
}

#[test]
fn a_pool_says_when_what_is_left_is_for_payload_in_order() {
    let mut pool = FramePool::in_memory(10, 2048);
    pool.add_device_reserve(2);
    // A quarter of the eight that are not reserved.
    let mut held: Vec<_> = (0..6).map(|_| pool.alloc().unwrap()).collect();
    assert!(!pool.is_tight(), "four free");
    held.extend(pool.alloc());
    assert!(pool.is_tight() && !pool.is_scarce(), "three free");
    held.into_iter().for_each(|f| pool.free(f));
}

#[test]
fn a_copy_is_its_own() {
    let mut pool = pool();
    let mut frame = pool.alloc().unwrap();
    pool.push_back(&mut frame, 5).unwrap().copy_from_slice(b"hello");
    frame.trim_front(1);
    let shared = pool.share(&frame);
    let mut copy = pool.copy(&frame).unwrap();
    pool.bytes_mut(&mut copy)[0] = b'E';
    assert_eq!((pool.bytes(&copy), pool.bytes(&frame)), (&b"Ello"[..], &b"ello"[..]));
    [frame, shared, copy].into_iter().for_each(|f| pool.free(f));
    assert_eq!(pool.free_count(), 4);
}

#[test]
fn a_pool_lives_on_hugepages_or_what_stands_in_for_them() {
    let request = ringroad_hugepages::Request { len: 3 << 20, node: None, hugepages: true };
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
