//! A device that receives what it sends: nothing is lost on the way, and all frames come home.

use ringroad_engine::frame::{Burst, Frame};
use ringroad_engine::limits::BURST;
use ringroad_engine::port::dpdk::Dpdk;
use ringroad_engine::port::{Port as _, PortStats};

use crate::Bench;

/// Receives all that the device has.
fn receive(port: &mut Dpdk, bench: &mut Bench) -> Vec<Frame> {
    let mut received = Vec::new();
    loop {
        let mut burst = Burst::new();
        port.rx_burst(&mut bench.pool, &mut burst);
        if burst.is_empty() {
            return received;
        }
        received.extend(burst.drain());
    }
}

/// `count` packets, each with its number in it.
fn numbered(bench: &mut Bench, count: usize) -> Burst {
    let mut burst = Burst::new();
    for number in 0..count {
        burst.push(bench.frame(&[number as u8; 60])).unwrap();
    }
    burst
}

#[test]
fn what_is_sent_comes_back_in_order() {
    let mut bench = Bench::new(512);
    let mut port = bench.open("net_ring_order", "");
    for count in [1, 63, BURST, 0] {
        let mut burst = numbered(&mut bench, count);
        port.tx_burst(&mut bench.pool, &mut burst);
        assert!(burst.is_empty());
        assert_eq!(bench.pool.with_devices(), count);
        for (number, frame) in receive(&mut port, &mut bench).into_iter().enumerate() {
            assert_eq!(bench.pool.bytes(&frame), [number as u8; 60]);
            bench.pool.free(frame);
        }
        assert_eq!(bench.pool.free_count(), bench.pool.capacity());
    }
    let counted = (1 + 63 + BURST) as u64;
    let expected = PortStats { received: counted, sent: counted, ..PortStats::default() };
    assert_eq!(port.stats(), expected);
    port.close(&mut bench.pool);
    assert_eq!(port.stats(), expected, "also when closed");
    bench.assert_all_home();
}

#[test]
fn a_burst_that_has_something_in_it_is_filled_up_behind() {
    let mut bench = Bench::new(512);
    let mut port = bench.open("net_ring_behind", "");
    let mut sent = numbered(&mut bench, BURST);
    port.tx_burst(&mut bench.pool, &mut sent);
    let mut burst = Burst::new();
    for _ in 0..BURST - 2 {
        burst.push(bench.frame(b"before")).unwrap();
    }
    port.rx_burst(&mut bench.pool, &mut burst);
    assert!(burst.is_full());
    let last: Vec<&[u8]> = burst.iter().skip(BURST - 3).map(|f| bench.pool.bytes(f)).collect();
    assert_eq!(last, [&b"before"[..], &[0; 60], &[1; 60]]);
    burst.drain().for_each(|frame| bench.pool.free(frame));
    let rest = receive(&mut port, &mut bench);
    assert!(rest.iter().map(|f| bench.pool.bytes(f)[0]).eq(2..BURST as u8), "the rest waits");
    rest.into_iter().for_each(|frame| bench.pool.free(frame));
    port.close(&mut bench.pool);
    bench.assert_all_home();
}

#[test]
fn a_kept_frame_is_shared_until_the_device_lets_go() {
    let mut bench = Bench::new(256);
    let mut port = bench.open("net_ring_kept", "");
    let mut kept = bench.frame(&[1; 60]);
    let mut burst = Burst::new();
    burst.push(bench.pool.share(&kept)).unwrap();
    port.tx_burst(&mut bench.pool, &mut burst);
    assert!(bench.pool.is_shared(&kept), "the device has it");
    assert_eq!(bench.pool.held_count(), 1);
    for mut frame in receive(&mut port, &mut bench) {
        assert_eq!(bench.pool.bytes(&frame), [1; 60]);
        bench.pool.push_front(&mut frame, 14).fill(3);
        bench.pool.free(frame);
    }
    assert!(!bench.pool.is_shared(&kept), "the device has let go");
    assert_eq!(bench.pool.bytes(&kept), [1; 60], "who received it had one to write to");
    bench.pool.bytes_mut(&mut kept).fill(2);
    bench.pool.free(kept);
    port.close(&mut bench.pool);
    bench.assert_all_home();
}

#[test]
fn a_full_device_leaves_the_rest_in_the_burst() {
    let mut bench = Bench::new(2048);
    let mut port = bench.open("net_ring_full", "");
    let (mut sent, mut left) = (Vec::new(), Burst::new());
    while left.is_empty() {
        left = numbered(&mut bench, BURST);
        let indices: Vec<u32> = left.iter().map(Frame::index).collect();
        port.tx_burst(&mut bench.pool, &mut left);
        let taken = BURST - left.len();
        assert!(left.iter().map(Frame::index).eq(indices[taken..].iter().copied()));
        sent.extend_from_slice(&indices[..taken]);
    }
    port.tx_burst(&mut bench.pool, &mut left);
    let rest: Vec<u32> = left.iter().map(Frame::index).collect();
    assert!(!rest.is_empty(), "it is full still");
    assert_eq!(bench.pool.held_count(), sent.len() + rest.len());
    let received = receive(&mut port, &mut bench);
    assert!(received.iter().map(Frame::index).eq(sent.iter().copied()));
    port.tx_burst(&mut bench.pool, &mut left);
    assert!(left.is_empty(), "there is room again");
    let late = receive(&mut port, &mut bench);
    assert!(late.iter().map(Frame::index).eq(rest.iter().copied()));
    let count = (sent.len() + rest.len()) as u64;
    let expected = PortStats { received: count, sent: count, ..PortStats::default() };
    assert_eq!(port.stats(), expected, "what was not taken is not dropped");
    received.into_iter().chain(late).for_each(|frame| bench.pool.free(frame));
    port.close(&mut bench.pool);
    bench.assert_all_home();
}

/// With packets in the ring, with frames that are kept besides, with a burst that was not taken.
#[test]
fn a_device_that_closes_sends_every_frame_home() {
    let mut bench = Bench::new(512);
    for round in 0..50 {
        for device in ["net_ring_closing", "net_null_closing"] {
            let mut port = bench.open(device, "");
            let mut burst = numbered(&mut bench, round);
            let kept: Vec<Frame> = (0..10).map(|_| bench.frame(&[9; 60])).collect();
            for frame in &kept {
                burst.push(bench.pool.share(frame)).unwrap();
            }
            port.tx_burst(&mut bench.pool, &mut burst);
            port.flush(&mut bench.pool);
            port.close(&mut bench.pool);
            assert_eq!(bench.pool.held_count(), 10, "what is kept stays kept");
            assert!(kept.iter().all(|frame| !bench.pool.is_shared(frame)));
            burst.push(bench.frame(&[8; 60])).unwrap();
            port.tx_burst(&mut bench.pool, &mut burst);
            assert_eq!(burst.len(), 1, "a closed port takes nothing");
            port.rx_burst(&mut bench.pool, &mut burst);
            assert_eq!(burst.len(), 1, "nor does it bring anything");
            kept.into_iter().chain(burst.drain()).for_each(|frame| bench.pool.free(frame));
            port.close(&mut bench.pool);
            bench.assert_all_home();
        }
    }
}

#[test]
fn a_device_without_free_frames_goes_on_when_there_are_some() {
    let mut bench = Bench::new(256);
    let mut port = bench.open("net_null_starved", "");
    let held: Vec<Frame> = std::iter::from_fn(|| bench.pool.alloc()).collect();
    assert!(bench.pool.is_scarce());
    let mut burst = Burst::new();
    port.rx_burst(&mut bench.pool, &mut burst);
    assert!(burst.is_empty());
    held.into_iter().for_each(|frame| bench.pool.free(frame));
    port.rx_burst(&mut bench.pool, &mut burst);
    assert!(burst.is_full());
    burst.drain().for_each(|frame| bench.pool.free(frame));
    port.close(&mut bench.pool);
    bench.assert_all_home();
}
