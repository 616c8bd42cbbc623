//! Several receive queues of one device.

use ringroad_engine::frame::Burst;
use ringroad_engine::limits::BURST;
use ringroad_engine::port::Port as _;

use crate::Bench;
use crate::packet::{ACK, Link, Options, Segment, Tags};
use crate::rig::{CLIENTS, OURS, THEIRS, address};
use crate::tap::{self, eventually, in_namespace};

/// A packet of the flow with this number; Linux spreads flows over a TAP's queues.
fn packet(flow: u16) -> Vec<u8> {
    let segment = Segment {
        link: Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: Tags::default() },
        source: address(&format!("198.51.100.7:{}", 40_000 + flow)),
        destination: address("10.10.1.1:80"),
        seq: 1,
        ack: 1,
        flags: ACK,
        window: 1000,
        options: Options::default(),
        payload: Vec::new(),
    };
    segment.build()
}

/// Whichever queue a flood is in, what is in the others comes after no more than a burst of it.
#[test]
fn no_queue_starves_the_others() {
    in_namespace(|| {
        let mut bench = Bench::new(4096);
        let (mut port, wire) = tap::open(&mut bench, 10, 4);
        let mut early = [0; FLOWS as usize];
        for flood in 0..FLOWS {
            for _ in 0..4 * BURST {
                wire.send(&packet(flood));
            }
            (0..FLOWS).filter(|flow| *flow != flood).for_each(|flow| wire.send(&packet(flow)));
            let mut arrived = Vec::new();
            eventually(|| {
                let mut burst = Burst::new();
                port.rx_burst(&mut bench.pool, &mut burst);
                for frame in burst.drain() {
                    let octets = bench.pool.bytes(&frame);
                    arrived.push(u16::from_be_bytes([octets[34], octets[35]]) - 40_000);
                    bench.pool.free(frame);
                }
                (arrived.len() == 4 * BURST + usize::from(FLOWS) - 1).then_some(())
            });
            // The flows that share the flood's queue come when it has passed.
            let turn = &arrived[..2 * BURST + usize::from(FLOWS)];
            let others = turn.iter().filter(|flow| **flow != flood).count();
            early[usize::from(flood)] = others;
        }
        assert!(early.iter().all(|others| *others > usize::from(FLOWS) / 4), "{early:?}");
        assert!(
            early.iter().any(|others| *others < usize::from(FLOWS) - 1),
            "no two share a queue"
        );
        port.close(&mut bench.pool);
        bench.assert_all_home();
    });
}

#[test]
fn only_a_single_queue_can_be_slept_on() {
    in_namespace(|| {
        let mut bench = Bench::new(2048);
        for (number, queues) in [(11, 1), (12, 2)] {
            let (mut port, _wire) = tap::open(&mut bench, number, queues);
            assert_eq!(port.wait_fd().is_some(), queues == 1);
            port.close(&mut bench.pool);
            assert!(port.wait_fd().is_none());
        }
        let mut port = bench.open("net_ring_awake", "");
        assert!(port.wait_fd().is_none(), "it has to be polled");
        port.close(&mut bench.pool);
    });
}

#[test]
fn more_queues_than_the_device_has_are_refused() {
    let mut bench = Bench::new(256);
    let refused = bench.try_open("net_ring_queues", "", 17).expect_err("it has 16");
    assert_eq!(
        refused.to_string(),
        "net_ring_queues takes 1 to 16 receive queues, 17 were asked for; ask for so many"
    );
    bench.assert_all_home();
    let mut port = bench.try_open("net_ring_queues", "", 16).expect("it has 16");
    port.close(&mut bench.pool);
    bench.assert_all_home();
}

/// Of all queues together, at most a burst a turn; the next turn goes on with the next queue.
#[test]
fn a_turn_brings_one_burst_however_many_queues_are_full() {
    let mut bench = Bench::new(1024);
    let mut port = bench.try_open("net_null_queues", "", 4).expect("a device");
    for _ in 0..5 {
        let mut burst = Burst::new();
        port.rx_burst(&mut bench.pool, &mut burst);
        assert_eq!(bench.pool.held_count(), BURST);
        burst.drain().for_each(|frame| bench.pool.free(frame));
    }
    assert_eq!(port.stats().received, 5 * BURST as u64);
    port.close(&mut bench.pool);
    bench.assert_all_home();
}

const FLOWS: u16 = 24;
