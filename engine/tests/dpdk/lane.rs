//! A lane on devices of DPDK's: hosts on both sides, a bad network between, and Linux behind the
//! shield's twin, all in virtual time.

use ringroad_engine::frame::{Burst, FramePool};
use ringroad_engine::port::dpdk::Dpdk;
use ringroad_engine::port::impair::{self, Impair};
use ringroad_engine::port::sim::SimPort;
use ringroad_engine::port::{Port, PortStats};
use ringroad_engine::shield::Rates;
use ringroad_engine::stage::TwinGate;
use ringroad_engine::time::Instant;
use ringroad_simulation::faults::stop;

use crate::Bench;
use crate::apps::{echo, send};
use crate::peer::Settings;
use crate::rig::{CLIENTS, Listener, Plan, Wire, World, address, ms, origin, pattern, secs, seed};

/// Both directions of a port through DPDK, each by a device that receives what it sends; behind
/// them the cable to the hosts. What was sent stays with its device until the next turn.
struct Looped {
    outward: Dpdk,
    inward: Dpdk,
    cable: SimPort,
    /// What the inward device had no room for.
    waiting: Burst,
}

impl Port for Looped {
    fn set_now(&mut self, now: Instant) {
        self.outward.set_now(now);
        self.inward.set_now(now);
    }

    fn rx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let mut sent = Burst::new();
        while self.outward.stats().received < self.outward.stats().sent {
            self.outward.rx_burst(pool, &mut sent);
            self.cable.tx_burst(pool, &mut sent);
            self.cable.flush(pool);
        }
        self.cable.rx_burst(pool, &mut self.waiting);
        self.inward.tx_burst(pool, &mut self.waiting);
        self.inward.rx_burst(pool, burst);
    }

    fn tx_burst(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        self.outward.tx_burst(pool, burst);
    }

    fn flush(&mut self, pool: &mut FramePool) {
        self.outward.flush(pool);
        self.inward.flush(pool);
    }

    fn close(&mut self, pool: &mut FramePool) {
        self.waiting.drain().for_each(|frame| pool.free(frame));
        self.outward.close(pool);
        self.inward.close(pool);
        self.cable.close(pool);
    }

    fn stats(&self) -> PortStats {
        let (outward, inward) = (self.outward.stats(), self.inward.stats());
        PortStats {
            received: inward.received,
            sent: outward.sent,
            rx_dropped: outward.rx_dropped + inward.rx_dropped,
            rx_checksum_errors: outward.rx_checksum_errors + inward.rx_checksum_errors,
            tx_dropped: outward.tx_dropped + inward.tx_dropped,
        }
    }
}

impl Wire for Looped {
    fn next_due(&self) -> Option<Instant> {
        (self.held() > 0).then_some(Instant::ZERO)
    }

    fn held(&self) -> usize {
        let in_device = |port: &Dpdk| (port.stats().sent - port.stats().received) as usize;
        in_device(&self.outward)
            + in_device(&self.inward)
            + self.waiting.len()
            + self.cable.sending()
    }
}

type LossyWorld = World<Impair<Looped>, TwinGate<SimPort>>;

/// Runs `test` with a lane behind the twin; one packet in twenty is lost, each way on each side.
fn with_loss(test: impl FnOnce(LossyWorld)) {
    let mut bench = Bench::new(4096);
    let mut devices = ["out0", "in0", "out1", "in1"]
        .map(|name| bench.open(&format!("net_ring_{name}"), ""))
        .into_iter();
    let Bench { pool, memory: _memory, eal: _eal } = bench;
    let mut plan = Plan::new(seed());
    for leg in [&mut plan.service.client_leg, &mut plan.service.origin_leg] {
        leg.handshake_retries = 20;
    }
    plan.service.connect_timeout = secs(60);
    let loss = impair::Settings { loss_ppm: 50_000, ..impair::Settings::default() };
    test(World::with_twin(plan, pool, Rates::default(), |cable, side| {
        let [outward, inward] = [(); 2].map(|()| devices.next().expect("two for each side"));
        let port = Looped { outward, inward, cable, waiting: Burst::new() };
        Impair::new(port, seed() ^ side as u64, loss, loss)
    }));
}

fn hosts() -> Settings {
    Settings { lossy: true, ..Settings::MODERN }
}

#[test]
fn streams_stay_whole_and_no_frame_is_lost_with_a_packet() {
    with_loss(|mut world| {
        let (up, down) = (pattern(1, 500_000), pattern(2, 700_000));
        let response = down.clone();
        world.listen(origin(1), hosts(), move || send(response.clone()));
        let client = world.client(1, hosts(), send(up.clone()));
        let to_linux = Listener::Accept(hosts(), Box::new(echo));
        world.hosts.1[CLIENTS].listeners.insert(address("10.10.1.1:22"), to_linux);
        let key = (address("203.0.113.1:1000"), address("10.10.1.1:22"));
        world.client_at(key, None, hosts(), send(pattern(3, 50_000)));
        world.run_to_the_end(secs(600));
        assert!(world.peer(client).received == down);
        assert!(world.origin_peers()[0].received == up);
        assert!(world.peer(key).received == pattern(3, 50_000), "by way of Linux");
        world.run_for(ms(1));
        let pool = &world.edge.worker().pool;
        assert_eq!((pool.free_count(), pool.with_devices()), (pool.capacity(), 0));
        let (last, _) = stop(world);
        let lost: u64 = last.ports.iter().map(|port| port.rx_dropped + port.tx_dropped).sum();
        assert!(lost > 50, "{:?}", last.ports);
        assert!(last.services[0].segments_retransmitted > 10, "{:?}", last.services[0]);
        assert!(last.kernel_paths[CLIENTS].to_kernel > 20);
    });
}

#[test]
fn a_lane_that_is_stopped_amid_traffic_takes_every_frame_back() {
    with_loss(|mut world| {
        world.listen(origin(1), hosts(), || send(pattern(2, 2_000_000)));
        let clients = [1, 2, 3].map(|n| world.client(n, hosts(), send(pattern(1, 2_000_000))));
        world.run_until(secs(60), |world| {
            clients.iter().all(|client| world.peer(*client).received.len() > 100_000)
                && world.edge.ports_mut().iter().any(|port| Wire::held(port) > 0)
        });
        assert!(world.edge.worker().pool.held_count() > 100);
        let (last, _) = stop(world);
        assert_eq!(last.frames.free, last.frames.capacity);
    });
}
