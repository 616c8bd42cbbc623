//! What every pool promises, wherever its frames lie. Whoever includes this says by `pool(frames)`
//! which kind of pool it is about.

use super::{BURST, Burst, Frame, pool};

#[test]
fn a_frame_comes_home_when_its_last_handle_does() {
    let mut pool = pool(4);
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
    let mut pool = pool(4);
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
    let mut pool = pool(4);
    let mut kept = pool.alloc().unwrap();
    let sent = pool.share(&kept);
    std::mem::forget(sent);
    pool.bytes_mut(&mut kept);
}

#[test]
#[should_panic(expected = "was dropped, not freed")]
fn a_dropped_frame_is_noticed() {
    drop(pool(4).alloc());
}

#[test]
fn an_empty_pool_says_so() {
    let mut pool = pool(4);
    let held: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!((held.len(), pool.free_count(), pool.held_count()), (4, 0, 4));
    held.into_iter().for_each(|f| pool.free(f));
    assert_eq!(pool.free_count(), 4);
}

#[test]
fn every_frame_is_free_or_held_by_somebody() {
    let mut pool = pool(4);
    let kept = pool.alloc().unwrap();
    let lent = pool.share(&kept);
    let len = lent.len();
    let offset = pool.give_to_device(lent);
    let (free, held, with_devices) = (pool.free_count(), pool.held_count(), pool.with_devices());
    assert_eq!((free, held, with_devices), (3, 1, 0), "the device has it, but not alone");
    pool.free(kept);
    let (free, held, with_devices) = (pool.free_count(), pool.held_count(), pool.with_devices());
    assert_eq!((free, held, with_devices), (3, 1, 1));
    let back = pool.take_from_device(offset, len).unwrap();
    assert_eq!((pool.held_count(), pool.with_devices()), (1, 0));
    pool.free(back);
    assert_eq!((pool.free_count(), pool.held_count()), (4, 0));
}

#[test]
fn a_burst_keeps_order_and_what_was_not_taken() {
    let mut pool = pool(BURST + 1);
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
    let mut pool = pool(4);
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
    let mut pool = pool(10);
    pool.add_device_reserve(2);
    // A quarter of the eight that are not reserved.
    let mut held: Vec<_> = (0..6).map(|_| pool.alloc().unwrap()).collect();
    assert!(!pool.is_tight(), "four free");
    held.extend(pool.alloc());
    assert!(pool.is_tight() && !pool.is_scarce(), "three free");
    held.into_iter().for_each(|f| pool.free(f));
}

#[test]
fn what_is_passing_does_not_count_as_held() {
    let mut pool = pool(10);
    pool.add_device_reserve(2);
    let held: Vec<_> = (0..9).map(|_| pool.alloc().unwrap()).collect();
    assert!(pool.is_scarce(), "one free, two reserved");
    pool.set_passing(1);
    assert!(!pool.is_scarce() && pool.is_tight());
    pool.set_passing(3);
    assert!(!pool.is_tight());
    assert_eq!((pool.spare_count(), pool.free_count()), (2, 1));
    pool.set_passing(0);
    assert_eq!((pool.is_scarce(), pool.spare_count()), (true, 0));
    held.into_iter().for_each(|f| pool.free(f));
}

#[test]
fn a_copy_is_its_own() {
    let mut pool = pool(4);
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
