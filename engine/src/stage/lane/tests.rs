//! What the gate is told of the services, turn by turn.

use std::sync::Arc;

use super::*;
use crate::flow::Owner;
use crate::kernel::Routes;
use crate::limits::{CHUNK_SIZE_MIN, REOPEN_AFTER, SLEEP_MAX};
use crate::port::sim::SimPort;
use crate::proxy::{Fallback, OriginSettings, ServiceSettings};
use crate::stage::{WorkerSettings, mailbox};
use crate::tcp::LegSettings;

const FRAMES: usize = 16;

/// Remembers what it was told last of each service.
#[derive(Debug, Default)]
struct Told([Option<bool>; 3]);

impl Gate for Told {
    fn beat(&mut self, _now: Instant) {}

    fn set_accepting(&mut self, service: usize, accepting: bool) {
        self.0[service] = Some(accepting);
    }
}

#[derive(Debug)]
struct Nobody;

impl Neighbours for Nobody {
    fn resolve(&mut self, _next_hop: NextHop) {}

    fn in_use(&mut self, _next_hop: NextHop) {}
}

/// Services that fall back to Linux, reset and drop, in this order.
fn lane() -> Lane<SimPort, Told, Nobody> {
    let services = [Fallback::Kernel, Fallback::Reset, Fallback::Drop].map(|fallback| {
        let origin = OriginSettings {
            address: "10.10.2.2:80".parse().unwrap(),
            egress_port: 0,
            egress_address: "10.10.2.1".parse().unwrap(),
            source_ports: 20_000..=20_999,
        };
        ServiceSettings {
            name: format!("{fallback:?}"),
            listen: Vec::new(),
            port: 0,
            origins: vec![origin],
            client_leg: LegSettings::default(),
            origin_leg: LegSettings::default(),
            proxy_protocol: None,
            max_connections: 10,
            fallback,
            connect_timeout: SLEEP_MAX,
            idle_timeout: SLEEP_MAX,
        }
    });
    let settings = WorkerSettings {
        ports: Vec::new(),
        services: services.into(),
        known_flows: None,
        proven_sources: None,
        secret: [7; 16],
        owner: Owner::default(),
        records: true,
    };
    let pool = FramePool::in_memory(FRAMES, CHUNK_SIZE_MIN);
    let worker = Worker::new(settings, pool, Arc::new(Routes::default()), Instant::ZERO);
    let (_, mailbox) = mailbox().unwrap();
    Lane::new(worker, Vec::new(), Told::default(), Nobody, mailbox, IdlePolicy::Spin)
}

/// What the gate knows after a turn at `millis`.
fn told_at(lane: &mut Lane<SimPort, Told, Nobody>, millis: u64) -> [Option<bool>; 3] {
    lane.turn(&mut || Instant::from_millis(millis));
    lane.gate.0
}

#[test]
fn a_draining_lane_gives_linux_only_what_may_fall_back_to_it() {
    let mut lane = lane();
    assert_eq!(told_at(&mut lane, 1_000), [Some(true); 3]);
    lane.worker.drain();
    assert_eq!(told_at(&mut lane, 1_001), [Some(false), Some(true), Some(true)]);
}

#[test]
fn scarce_memory_closes_the_gate_at_once_and_opens_it_when_it_has_lasted() {
    let mut lane = lane();
    assert_eq!(told_at(&mut lane, 1_000), [Some(true); 3]);

    lane.worker.pool.add_device_reserve(FRAMES + 1);
    assert_eq!(told_at(&mut lane, 1_001), [Some(false), Some(true), Some(true)]);
    lane.worker.pool.remove_device_reserve(FRAMES + 1);
    assert_eq!(told_at(&mut lane, 1_002)[0], Some(false), "opened for what may not last");
    assert_eq!(told_at(&mut lane, 1_001 + REOPEN_AFTER.as_millis() as u64)[0], Some(true));
}
