//! Rings in a memory file, with the kernel's side played here.

use std::fs::File;
use std::os::fd::AsRawFd;

use super::*;

const LAYOUT: libc::xdp_ring_offset =
    libc::xdp_ring_offset { producer: 0, consumer: 64, flags: 128, desc: 192 };
const ENTRIES: u32 = 8;

fn memory() -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    file
}

fn start_at(file: &File, count: u32) {
    use std::os::unix::fs::FileExt;
    file.write_all_at(&count.to_ne_bytes(), LAYOUT.producer).unwrap();
    file.write_all_at(&count.to_ne_bytes(), LAYOUT.consumer).unwrap();
}

/// Both ends of one ring: ours, and the kernel's played by the other kind.
fn both_ends(start: u32) -> (Producer<u64>, Consumer<u64>) {
    let file = memory();
    start_at(&file, start);
    let fd = file.as_raw_fd();
    (
        Producer::map(fd, 0, &LAYOUT, ENTRIES).unwrap(),
        Consumer::map(fd, 0, &LAYOUT, ENTRIES).unwrap(),
    )
}

#[test]
fn entries_arrive_in_order_also_where_the_counters_wrap() {
    let (mut ours, mut theirs) = both_ends(u32::MAX - 11);
    for round in 0..10u64 {
        let room = ours.room(5);
        assert_eq!(room, 5);
        for i in 0..5 {
            ours.write(round * 5 + i);
        }
        assert_eq!(theirs.available(5), 0, "unseen before it is published");
        ours.publish();
        assert_eq!((ours.unconsumed(), theirs.available(99)), (5, 5));
        for i in 0..5 {
            assert_eq!(theirs.read(), round * 5 + i);
        }
        theirs.release();
        assert_eq!(ours.unconsumed(), 0);
    }
}

#[test]
fn a_full_ring_has_no_room_until_entries_are_released() {
    let (mut ours, mut theirs) = both_ends(0);
    assert_eq!(ours.room(100), ENTRIES);
    for i in 0..u64::from(ENTRIES) {
        ours.write(i);
    }
    ours.publish();
    assert_eq!(ours.room(1), 0);
    assert_eq!(theirs.available(3), 3);
    let _ = (theirs.read(), theirs.read());
    assert_eq!(ours.room(4), 0, "read but not released");
    theirs.release();
    assert_eq!(ours.room(4), 2);
}

#[test]
fn a_counter_gone_wild_stays_within_the_ring() {
    let file = memory();
    let mut consumer = Consumer::<u64>::map(file.as_raw_fd(), 0, &LAYOUT, ENTRIES).unwrap();
    consumer.ring.producer().store(1_000_000, Ordering::Release);
    let available = consumer.available(u32::MAX);
    assert_eq!(available, ENTRIES);
    (0..available).for_each(|_| assert_eq!(consumer.read(), 0));

    let file = memory();
    let mut producer = Producer::<u64>::map(file.as_raw_fd(), 0, &LAYOUT, ENTRIES).unwrap();
    assert_eq!(producer.room(4), 4);
    producer.written += 6;
    producer.ring.consumer().store(2_000_000, Ordering::Release);
    assert_eq!(producer.room(u32::MAX), 0, "consumed more than there was: nothing is believed");
}

#[test]
fn the_wakeup_flag_is_read_from_the_ring() {
    let (ours, theirs) = both_ends(0);
    assert!(!ours.needs_wakeup());
    // SAFETY: a word of the mapping, accessed as an atomic by both ends.
    unsafe { theirs.ring.flags.as_ref() }.store(libc::XDP_RING_NEED_WAKEUP, Ordering::Relaxed);
    assert!(ours.needs_wakeup());
}

#[test]
fn layouts_that_cannot_be_are_refused() {
    let file = memory();
    let map = |layout: libc::xdp_ring_offset, entries| {
        Producer::<u64>::map(file.as_raw_fd(), 0, &layout, entries).map(drop).unwrap_err().kind()
    };
    let wrong = io::ErrorKind::InvalidData;
    assert_eq!(map(libc::xdp_ring_offset { producer: 2, ..LAYOUT }, 8), wrong);
    assert_eq!(map(libc::xdp_ring_offset { consumer: 190, ..LAYOUT }, 8), wrong);
    assert_eq!(map(libc::xdp_ring_offset { flags: u64::MAX - 3, ..LAYOUT }, 8), wrong);
    assert_eq!(map(libc::xdp_ring_offset { desc: 196, ..LAYOUT }, 8), wrong);
    assert_eq!(map(LAYOUT, 7), wrong);
}
