//! Several lanes that have queues of one device, each with a pool of its own over one memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::MutexGuard;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;

use dpdk_sys::Eal;
use ringroad_engine::frame::{Burst, Frame, FramePool, Transit};
use ringroad_engine::limits::BURST;
use ringroad_engine::port::Port as _;
use ringroad_engine::port::dpdk::{Dpdk, Memory, Settings};

use crate::{FRAME_SIZE, eal};

struct Lanes {
    pools: Vec<FramePool>,
    memory: Memory,
    eal: MutexGuard<'static, Arc<Eal>>,
}

impl Lanes {
    fn new(name: &str, shares: &[usize]) -> Lanes {
        let eal = eal();
        let all = shares.iter().sum::<usize>() as u32;
        let (pool, mut memory) =
            Memory::for_lanes(&eal, shares.len(), name, all, FRAME_SIZE, None).expect("memory");
        let pools = memory.split(pool, shares);
        Lanes { pools, memory, eal }
    }

    fn open(&mut self, device: &str, rx_queues: u16) -> Vec<Dpdk> {
        let id = self.eal.attach(device, "").expect("a device");
        let settings = Settings { rx_queues, rx_descriptors: 256, tx_descriptors: 256, mtu: 1500 };
        Dpdk::open_for_lanes(&mut self.pools, &self.memory, id, settings).expect("a device")
    }
}

fn assert_all_home(pool: &FramePool) {
    assert_eq!((pool.free_count(), pool.held_count()), (pool.capacity(), 0));
    assert_eq!(pool.with_devices(), 0);
    assert!(!pool.is_scarce() && !pool.is_tight(), "nothing is reserved");
}

/// Closes all ports at once, as lanes do.
fn close(ports: Vec<Dpdk>, pools: &mut [FramePool]) {
    thread::scope(|scope| {
        for (mut port, pool) in ports.into_iter().zip(pools) {
            scope.spawn(move || port.close(pool));
        }
    });
}

fn filled(pool: &mut FramePool, octet: u8) -> Frame {
    let mut frame = pool.alloc().expect("a free frame");
    pool.push_back(&mut frame, 60).expect("room").fill(octet);
    frame
}

#[test]
fn each_frame_is_one_lanes_and_each_lane_receives_into_its_own() {
    let mut lanes = Lanes::new("lanes_own", &[300, 100, 112]);
    let capacities: Vec<usize> = lanes.pools.iter().map(FramePool::capacity).collect();
    assert_eq!(capacities, [300, 100, 112]);
    let mut ports = lanes.open("net_null_own", 4);
    let mut indices = Vec::new();
    for (port, pool) in ports.iter_mut().zip(&mut lanes.pools) {
        let mut burst = Burst::new();
        port.rx_burst(pool, &mut burst);
        assert_eq!((burst.len(), pool.held_count()), (BURST, BURST));
        indices.extend(burst.iter().map(Frame::index));
        let held: Vec<Frame> = std::iter::from_fn(|| pool.alloc()).collect();
        indices.extend(held.iter().map(Frame::index));
        held.into_iter().chain(burst.drain()).for_each(|frame| pool.free(frame));
    }
    indices.sort_unstable();
    assert!(indices.into_iter().eq(0..512));
    close(ports, &mut lanes.pools);
    lanes.pools.iter().for_each(assert_all_home);
}

/// What has gone to another lane, a driver gives back there, also when the lane keeps it for
/// retransmission.
#[test]
fn a_frame_that_changes_lanes_is_the_other_lanes_for_drivers_as_well() {
    let mut lanes = Lanes::new("lanes_change", &[128, 128]);
    let mut ports = lanes.open("net_null_change", 2);
    let [here, there] = lanes.pools.get_disjoint_mut([0, 1]).expect("two");
    let mut received = Burst::new();
    ports[0].rx_burst(here, &mut received);
    let mut burst = Burst::new();
    let mut kept = Vec::new();
    for frame in received.drain() {
        let mut frame = there.arrive(here.depart(frame));
        there.bytes_mut(&mut frame).fill(1);
        kept.push(there.share(&frame));
        burst.push(frame).expect("room");
    }
    assert_eq!((here.capacity(), there.capacity()), (128 - BURST, 128 + BURST));
    ports[1].tx_burst(there, &mut burst);
    assert_eq!((here.free_count(), there.free_count()), (128 - BURST, 128), "they are kept");
    for mut frame in kept.drain(..) {
        there.bytes_mut(&mut frame).fill(2);
        burst.push(frame).expect("room");
    }
    ports[1].tx_burst(there, &mut burst);
    assert_eq!((here.free_count(), there.free_count()), (128 - BURST, 128 + BURST));
    close(ports, &mut lanes.pools);
    lanes.pools.iter().for_each(assert_all_home);
}

/// A device in software that holds what it was sent, for each queue: when all have closed, all is home.
#[test]
fn a_device_that_stops_gives_each_lane_what_is_its_own() {
    let mut lanes = Lanes::new("lanes_stop", &[256, 256]);
    for round in 0..3 {
        let mut ports = lanes.open("net_ring_stop", 2);
        for (number, (port, pool)) in ports.iter_mut().zip(&mut lanes.pools).enumerate() {
            let mut burst = Burst::new();
            (0..20 + number).for_each(|_| burst.push(filled(pool, number as u8)).expect("room"));
            port.tx_burst(pool, &mut burst);
            assert_eq!(pool.with_devices(), 20 + number, "round {round}");
        }
        close(ports, &mut lanes.pools);
        lanes.pools.iter().for_each(assert_all_home);
    }
}

/// Its frames are lost with it, as is the device; the other comes to its end.
#[test]
fn nobody_waits_for_a_lane_that_is_dropped_unclosed() {
    let mut lanes = Lanes::new("lanes_dropped", &[128, 128]);
    let mut ports = lanes.open("net_ring_gone", 2);
    let mut burst = Burst::new();
    burst.push(filled(&mut lanes.pools[1], 1)).expect("room");
    ports[1].tx_burst(&mut lanes.pools[1], &mut burst);
    drop(ports.pop());
    close(ports, &mut lanes.pools[..1]);
    assert_all_home(&lanes.pools[0]);
    assert_eq!(lanes.pools[1].with_devices(), 1);
    assert!(lanes.eal.attach("net_ring_gone", "").is_err(), "it is there still");
}

#[test]
fn a_queue_is_not_polled_with_the_pool_of_another_lane() {
    let mut lanes = Lanes::new("lanes_other", &[128, 128]);
    let mut ports = lanes.open("net_ring_other", 2);
    let mut burst = Burst::new();
    let [here, there] = lanes.pools.get_disjoint_mut([0, 1]).expect("two");
    for call in [Dpdk::rx_burst, Dpdk::tx_burst] {
        let call = AssertUnwindSafe(|| call(&mut ports[0], there, &mut burst));
        let panic = catch_unwind(call).expect_err("a panic");
        assert_eq!(panic.downcast_ref(), Some(&"the memory of another pool"));
    }
    burst.push(filled(there, 1)).expect("room");
    let send = AssertUnwindSafe(|| ports[0].tx_burst(here, &mut burst));
    assert!(catch_unwind(send).is_err(), "a frame of the other lane's");
    burst.drain().for_each(|frame| there.free(frame));
    close(ports, &mut lanes.pools);
    lanes.pools.iter().for_each(assert_all_home);
}

/// Two lanes at once, each of which sends half of what it receives by the other.
#[test]
fn lanes_on_threads_of_their_own_hand_frames_to_each_other() {
    const ROUNDS: usize = 2000;
    let mut lanes = Lanes::new("lanes_threads", &[1024, 1024]);
    let ports = lanes.open("net_null_threads", 2);
    let (ways, ends): (Vec<Sender<Transit>>, Vec<Receiver<Transit>>) =
        (0..2).map(|_| channel()).unzip();
    let over = Barrier::new(2);
    thread::scope(|scope| {
        let each = ports.into_iter().zip(&mut lanes.pools).zip(ways.into_iter().rev()).zip(ends);
        for (((mut port, pool), to_other), from_other) in each {
            let over = &over;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let (mut received, mut burst) = (Burst::new(), Burst::new());
                    port.rx_burst(pool, &mut received);
                    for (number, frame) in received.drain().enumerate() {
                        match number % 2 {
                            0 => to_other.send(pool.depart(frame)).expect("the other lane"),
                            _ => burst.push(frame).expect("room"),
                        }
                    }
                    for transit in from_other.try_iter().take(BURST - burst.len()) {
                        let mut frame = pool.arrive(transit);
                        pool.bytes_mut(&mut frame).fill(3);
                        burst.push(frame).expect("room");
                    }
                    port.tx_burst(pool, &mut burst);
                    burst.drain().for_each(|frame| pool.free(frame));
                    port.flush(pool);
                }
                over.wait();
                from_other.try_iter().for_each(|transit| pool.arrive_free(transit));
                port.close(pool);
            });
        }
    });
    lanes.pools.iter().for_each(assert_all_home);
    assert_eq!(lanes.pools.iter().map(FramePool::capacity).sum::<usize>(), 2048);
}

/// The first lane alone speaks for the device.
#[test]
fn what_a_device_counts_is_counted_once() {
    let mut lanes = Lanes::new("lanes_counts", &[64, 512]);
    let mut ports = lanes.open("net_null_counts", 2);
    for (port, pool) in ports.iter_mut().zip(&mut lanes.pools) {
        // More than the first has frames for.
        let bursts: Vec<Burst> = (0..2)
            .map(|_| {
                let mut burst = Burst::new();
                port.rx_burst(pool, &mut burst);
                burst
            })
            .collect();
        bursts.into_iter().for_each(|mut burst| burst.drain().for_each(|frame| pool.free(frame)));
    }
    assert_eq!(ports[1].stats().rx_dropped, 0);
    assert_eq!((ports[0].stats().received, ports[1].stats().received), (64, 128));
    close(ports, &mut lanes.pools);
}
