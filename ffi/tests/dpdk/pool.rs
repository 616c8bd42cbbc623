//! Frames keep their places, and the stack is the only place where free ones are.

use std::sync::Arc;

use dpdk_sys::limits::{BURST_MAX, HEADROOM};
use dpdk_sys::{Device, DeviceSettings, Packet, PacketPool};

use crate::frames::Frames;
use crate::{BUFFER_LEN, eal, open, pool, settings};

#[test]
fn a_fresh_pool_has_every_frame_free_once() {
    let eal = eal();
    let pool = pool(&eal, 1000);
    let layout = pool.layout();
    assert_eq!((layout.frames, layout.usable, layout.buffer_len), (1000, 1000, BUFFER_LEN));
    assert_eq!(pool.available(), 1000);
    let mut frames = Frames::new(&pool);
    let mut indices: Vec<u32> = std::iter::from_fn(|| frames.take()).collect();
    assert_eq!(pool.available(), 0);
    indices.sort_unstable();
    assert!(indices.iter().copied().eq(0..1000));
}

#[test]
fn the_stride_spreads_headers_over_a_cache() {
    let eal = eal();
    for buffer_len in [BUFFER_LEN, 2048 + HEADROOM, 1600, 9216 + HEADROOM, 2240] {
        let pool = PacketPool::new(&eal, "stride", 4, buffer_len, None).unwrap();
        let stride = pool.layout().stride;
        assert!(stride >= usize::from(buffer_len), "{buffer_len}: {stride}");
        assert_eq!((stride % 64, stride / 64 % 2), (0, 1), "{buffer_len}: {stride}");
    }
}

/// What is written into a frame by its index comes out of the device in the frame of that index:
/// the drivers' addresses and the engine's are the same, for every frame of several strides.
#[test]
fn index_and_address_agree_for_every_frame() {
    let eal = eal();
    for buffer_len in [BUFFER_LEN, 1650, 9216 + HEADROOM] {
        let pool = PacketPool::new(&eal, "agree", 500, buffer_len, None).unwrap();
        let ring = open(&eal, &pool, "net_ring_agree", "");
        let mut frames = Frames::new(&pool);
        for index in 0..500 {
            frames.buffer(index)[200..204].copy_from_slice(&index.to_be_bytes());
        }
        let mut seen = 0;
        while let Some(index) = frames.take() {
            let packet = Packet::new(index, 200, 60);
            let mut back = [Packet::default(); BURST_MAX];
            // SAFETY: this thread's pool, and a frame of ours.
            unsafe {
                assert_eq!(ring.tx_burst(0, &[packet]), 1);
                assert_eq!(ring.rx_burst(0, &mut back), 1);
            }
            assert_eq!(back[0], packet);
            assert_eq!(frames.buffer(back[0].index)[200..204], index.to_be_bytes());
            seen += 1;
        }
        assert_eq!(seen, 500);
    }
}

#[test]
fn a_driver_takes_from_the_stack_and_puts_back_there() {
    let eal = eal();
    let pool = pool(&eal, 128);
    let null = open(&eal, &pool, "net_null_stack", "");
    let mut frames = Frames::new(&pool);
    let mut packets = [Packet::default(); BURST_MAX];
    // SAFETY: this thread's pool.
    let received = unsafe { null.rx_burst(0, &mut packets) };
    assert_eq!(received, BURST_MAX);
    assert_eq!((frames.free(), pool.available()), (64, 64));
    assert!(packets.iter().all(|p| p.start == HEADROOM && p.len == 64));
    // SAFETY: frames just received.
    assert_eq!(unsafe { null.tx_burst(0, &packets) }, BURST_MAX);
    assert_eq!((frames.free(), pool.available()), (128, 128));
}

#[test]
fn an_empty_pool_receives_nothing_until_a_frame_is_free() {
    let eal = eal();
    let pool = pool(&eal, 128);
    let null = open(&eal, &pool, "net_null_empty", "");
    let mut frames = Frames::new(&pool);
    let taken: Vec<u32> = std::iter::from_fn(|| frames.take()).collect();
    let mut packets = [Packet::default(); BURST_MAX];
    // SAFETY: this thread's pool.
    assert_eq!(unsafe { null.rx_burst(0, &mut packets) }, 0);
    taken[..64].iter().for_each(|index| frames.put(*index));
    // SAFETY: this thread's pool.
    assert_eq!(unsafe { null.rx_burst(0, &mut packets) }, 64);
    let mut received: Vec<u32> = packets.iter().map(|packet| packet.index).collect();
    received.reverse();
    assert_eq!(received, taken[..64]);
}

#[test]
fn two_pools_do_not_meet() {
    let eal = eal();
    let one = PacketPool::new(&eal, "one", 300, BUFFER_LEN, Some(0)).unwrap();
    let two = PacketPool::new(&eal, "two", 200, 1600, None).unwrap();
    let (mut frames, mut others) = (Frames::new(&one), Frames::new(&two));
    (0..300).for_each(|index| frames.buffer(index).fill(1));
    (0..200).for_each(|index| others.buffer(index).fill(2));
    assert!((0..300).all(|index| frames.buffer(index).iter().all(|octet| *octet == 1)));
    while frames.take().is_some() {}
    assert_eq!((one.available(), two.available()), (0, 200));
}

/// What comes by a queue lies in frames of its own pool, and whoever sends a frame, it goes where it
/// belongs.
#[test]
fn pools_over_one_memory_have_a_queue_each() {
    let eal = eal();
    let one = pool(&eal, 256);
    let two = PacketPool::over(&one, "two").unwrap();
    assert_eq!((one.available(), two.available()), (256, 0));
    let (mut ones, mut twos) = (Frames::new(&one), Frames::new(&two));
    (0..100).for_each(|_| twos.adopt(ones.take().unwrap()));
    let pools = [Arc::clone(&one), Arc::clone(&two)];
    let queues = DeviceSettings { rx_queues: 2, tx_queues: 2, ..settings() };
    let null = Device::open(eal.attach("net_null_over", "").unwrap(), &pools, &queues).unwrap();
    let mut packets = [[Packet::default(); BURST_MAX]; 2];
    for queue in [1, 0] {
        // SAFETY: this thread's pools.
        assert_eq!(unsafe { null.rx_burst(queue, &mut packets[usize::from(queue)]) }, BURST_MAX);
    }
    assert_eq!((one.available(), two.available()), (156 - 64, 100 - 64));
    let of_two = packets[1].map(|packet| packet.index);
    assert!(packets[0].iter().all(|packet| !of_two.contains(&packet.index)));
    for queue in [0, 1] {
        // SAFETY: frames just received, of pools of this thread's.
        unsafe { null.tx_burst(queue, &packets[usize::from(1 - queue)]) };
    }
    assert_eq!((one.available(), two.available()), (156, 100));
    let name = |pool: &Arc<PacketPool>| PacketPool::over(pool, "two").unwrap_err().to_string();
    assert!(name(&one).contains("two"), "the name is taken");
    drop((null, one, ones, pools));
    assert_eq!((two.available(), twos.free()), (100, 100), "the memory stays with who needs it");
    twos.buffer(of_two[0]).fill(7);
}

/// Fifty pools of 13 MB in turn, from 64 MB.
#[test]
fn memory_of_a_dropped_pool_is_used_again() {
    let eal = eal();
    for _ in 0..50 {
        assert_eq!(pool(&eal, 5500).available(), 5500);
    }
}

#[test]
fn what_is_no_pool_is_refused_in_one_line() {
    let eal = eal();
    let _taken = pool(&eal, 8);
    let refused = |name, frames, buffer_len| {
        PacketPool::new(&eal, name, frames, buffer_len, None).unwrap_err().to_string()
    };
    let expected = [
        (
            "test",
            8,
            BUFFER_LEN,
            "a pool named \"test\" exists already; give each a name of its own",
        ),
        ("", 8, BUFFER_LEN, "a pool's name has 1 to 25 octets, \"\" has 0; choose another"),
        ("none", 0, BUFFER_LEN, "0 frames asked for in a pool; it holds from 1 to 16777216"),
        ("small", 8, 128, "buffers of 128 octets asked for; they have from 192 to 10368"),
        (
            "large",
            100_000,
            BUFFER_LEN,
            "cannot make pool \"large\" of 100000 frames, some 208 MB: Cannot allocate memory; \
             give DPDK more memory, or the pool fewer frames",
        ),
    ];
    for (name, frames, buffer_len, message) in expected {
        assert_eq!(refused(name, frames, buffer_len), message);
    }
}
