//! A lane in real time with Linux itself behind it, by way of a TAP device: hosts on the wire reach
//! Linux, and Linux reaches them, while the lane naps and sleeps.
//!
//! Needs root; says so and passes without.

#![allow(dead_code, reason = "the shield's rig is shared with its own tests")]

#[path = "../../ebpf/tests/shield/rig.rs"]
mod rig;

use std::net::UdpSocket;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant as Clock};

use ringroad_ebpf::{FingerprintKey, KnownFlows};
use ringroad_engine::flow::Owner;
use ringroad_engine::frame::FramePool;
use ringroad_engine::kernel::{NextHop, Routes};
use ringroad_engine::port::sim::{self, SimPeer, SimPort};
use ringroad_engine::port::tap::{self, Tap};
use ringroad_engine::shield::{Rates, Settings, Twin};
use ringroad_engine::stage::{
    Command, IdlePolicy, Lane, Mailbox, Neighbours, PortIdentity, TwinGate, Worker, WorkerSettings,
    mailbox, monotonic,
};
use ringroad_engine::telemetry::Snapshot;
use ringroad_engine::wire::ethernet::MacAddr;

use rig::{in_namespace, ip_command};

const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x10]);
const THEIRS: [u8; 6] = [2, 0, 0, 0, 1, 0x10];
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Nobody;

impl Neighbours for Nobody {
    fn resolve(&mut self, _next_hop: NextHop) {}

    fn in_use(&mut self, _next_hop: NextHop) {}
}

/// A lane without services, with one port.
fn lane(tap: Tap, mailbox: Mailbox) -> (Lane<SimPort, TwinGate<Tap>, Nobody>, SimPeer) {
    let (port, wire) = SimPort::with_peer(sim::Settings::default());
    let settings = WorkerSettings {
        ports: vec![PortIdentity { ifindex: 1, mtu: 1500, verified: false }],
        services: Vec::new(),
        known_flows: None,
        proven_sources: None,
        secret: [7; 16],
        owner: Owner::default(),
        records: true,
    };
    let pool = FramePool::in_memory(1024, 2048);
    let worker = Worker::new(settings, pool, Arc::new(Routes::default()), monotonic());
    let key = FingerprintKey::new(b"the quick brown fox jumps over the lazy dog, ok.");
    let nothing = Settings::new(1, KnownFlows::new(&[1], 1, key), [7; 16]);
    let gate = TwinGate::new(Twin::new(&nothing), vec![tap], Rates::default());
    (Lane::new(worker, vec![port], gate, Nobody, mailbox, IdlePolicy::Adaptive), wire)
}

/// The next packet on the wire that is `wanted`.
#[track_caller]
fn receive(wire: &mut SimPeer, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let start = Clock::now();
    loop {
        match wire.receive() {
            Some(packet) if wanted(&packet) => return packet,
            Some(_) => {}
            None => thread::sleep(Duration::from_micros(100)),
        }
        assert!(start.elapsed() < PATIENCE, "it never came");
    }
}

#[test]
fn hosts_on_the_wire_and_linux_reach_each_other() {
    in_namespace(|| {
        let settings = tap::Settings { interface: "wan0".to_owned(), mac: OURS, mtu: Some(1500) };
        let tap = Tap::open(&settings).expect("a TAP device");
        ip_command("addr add 10.7.0.1/24 dev wan0");
        ip_command("neigh replace 10.7.0.3 lladdr 02:00:00:00:01:10 dev wan0");
        let (commands, mailbox) = mailbox().expect("an eventfd");
        let (lane, mut wire) = lane(tap, mailbox);
        let running = thread::spawn(move || lane.run(monotonic, Snapshot::new(0, 1)));

        let mut question = [[0xff; 6], THEIRS].concat();
        question.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
        question.extend(THEIRS);
        question.extend([10, 7, 0, 2, 0, 0, 0, 0, 0, 0, 10, 7, 0, 1]);
        wire.send(&question);
        let answer = receive(&mut wire, |packet| packet[12..14] == [0x08, 0x06]);
        assert_eq!(
            (&answer[..6], &answer[20..22], &answer[22..28]),
            (&THEIRS[..], &[0, 2][..], &OURS.0[..])
        );

        let socket = UdpSocket::bind("10.7.0.1:5000").expect("a socket");
        for number in 0..20 {
            socket.send_to(&[number; 100], "10.7.0.3:6000").expect("send");
            let packet = receive(&mut wire, |packet| packet[23] == 17);
            assert_eq!(packet[42..], [number; 100]);
        }
        assert!(commands.send(Command::Stop).is_ok());
        let last = running.join().expect("the lane to end");
        last.ledger.assert_balanced();
        assert_eq!((last.frames.free, last.ports[0].received), (last.frames.capacity, 1));
        assert_eq!(last.kernel_paths[0].to_kernel, 1);
        assert_eq!(last.kernel_paths[0].from_kernel, last.ports[0].sent);
        assert_eq!(last.ledger.sent, 0);
    });
}
