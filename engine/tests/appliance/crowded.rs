//! Very many connections that wait for the same thing: what a turn costs does not grow with them.

use std::net::SocketAddr;

use ringroad_engine::flow::Owner;
use ringroad_engine::frame::{Burst, Frame, FramePool};
use ringroad_engine::kernel::NextHop;
use ringroad_engine::limits::{BURST, UNFINISHED_PER_TURN_MAX};
use ringroad_engine::stage::{Outlet, PortIdentity, Worker, WorkerSettings};
use ringroad_engine::time::Instant;

use crate::packet::{Link, Options, SYN, Segment, Tags};
use crate::rig::{CLIENTS, IFINDEX, OURS, Plan, THEIRS, linux, service};

const CLIENTS_COUNT: u32 = 4000;

/// Where packets go that are read and freed, as long as there is room.
#[derive(Default)]
struct Device {
    room: usize,
    /// How often there was somebody who asked for it.
    asked: usize,
    packets: Vec<Segment>,
}

impl Outlet for Device {
    fn has_room(&mut self, _pool: &mut FramePool, _port: u8) -> bool {
        self.asked += 1;
        self.room > 0
    }

    fn send(&mut self, pool: &mut FramePool, _port: u8, packet: Frame) {
        self.room -= 1;
        self.packets.push(Segment::parse(pool.bytes(&packet)).expect("a sound packet"));
        pool.free(packet);
    }

    fn resolve(&mut self, _next_hop: NextHop) {}

    fn in_use(&mut self, _next_hop: NextHop) {}
}

fn worker(plan: Plan, now: Instant) -> Worker {
    let ports =
        IFINDEX.map(|ifindex| PortIdentity { ifindex, mtu: 1500, verified: false }).to_vec();
    let (pool, mut linux) = (plan.pool(), linux(&plan));
    let settings = WorkerSettings {
        ports,
        services: vec![plan.service],
        known_flows: None,
        proven_sources: None,
        secret: [7; 16],
        owner: Owner::default(),
        records: false,
    };
    Worker::new(settings, pool, linux.snapshot(), now)
}

fn crowd() -> Plan {
    let mut plan = Plan { frames: 8192, ..Plan::new(0) };
    plan.service.max_connections = CLIENTS_COUNT;
    plan
}

fn syn(number: u32) -> Segment {
    let [_, _, high, low] = number.to_be_bytes();
    Segment {
        link: Link { source: THEIRS[CLIENTS], destination: OURS[CLIENTS], tags: Tags::default() },
        source: SocketAddr::new([198, 51, high, low].into(), 40_000),
        destination: service(),
        seq: number << 8,
        ack: 0,
        flags: SYN,
        window: 60_000,
        options: Options { mss: Some(1460), ..Options::default() },
        payload: Vec::new(),
    }
}

fn arrive(worker: &mut Worker, now: Instant, segments: impl Iterator<Item = Segment>) {
    let mut burst = Burst::new();
    for segment in segments {
        let octets = segment.build();
        let mut frame = worker.pool.alloc().expect("a free frame");
        let room = worker.pool.push_back(&mut frame, octets.len()).expect("a short packet");
        room.copy_from_slice(&octets);
        burst.push(frame).expect("emptied in time");
        if burst.len() == BURST {
            worker.on_burst(now, CLIENTS as u8, &mut burst);
        }
    }
    worker.on_burst(now, CLIENTS as u8, &mut burst);
}

#[test]
fn a_device_without_room_is_asked_for_it_as_often_whoever_waits() {
    let now = Instant::from_millis(1000);
    let mut worker = worker(crowd(), now);
    arrive(&mut worker, now, (0..CLIENTS_COUNT).map(syn));
    let mut device = Device::default();
    worker.flush(now, &mut device);
    assert!(device.asked <= 2 * UNFINISHED_PER_TURN_MAX, "{} times", device.asked);

    // In each turn a little room: everybody has it once, and nobody twice.
    let mut turns = 0;
    while worker.has_queued() {
        device.room = 16;
        worker.flush(now, &mut device);
        turns += 1;
        assert!(turns <= CLIENTS_COUNT / 16 + 1, "it is not used: {turns} turns");
    }
    let mut answered: Vec<_> = device.packets.iter().map(|answer| answer.destination).collect();
    answered.sort_unstable();
    answered.dedup();
    assert_eq!((answered.len(), device.packets.len()), (CLIENTS_COUNT as usize, answered.len()));
}
