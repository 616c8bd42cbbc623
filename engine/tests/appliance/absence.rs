//! A core with devices that was away, behind a shield that was not: what lay in the rings is old, and
//! opens nothing that Linux may have meanwhile.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ringroad_engine::limits::{BURST, SLEEP_MAX};
use ringroad_engine::port::sim::SimPort;
use ringroad_engine::stage::Gate;
use ringroad_engine::telemetry::{DropReason, Measure, Recorders, Snapshot};
use ringroad_engine::time::Instant;

use crate::apps::{echo, idle, send};
use crate::peer::{Settings, Status};
use crate::rig::{Key, ORIGINS, Plan, World, ms, origin, pattern, secs, seed};

/// How long the shield waits for a sign of life.
const PATIENCE: Duration = Duration::from_millis(100);

/// Longer than that, and too short for hosts to send anything again.
const AWAY: Duration = Duration::from_millis(150);

/// A shield that goes on while the core does not.
struct Ahead {
    /// The last sign of life.
    beaten: Rc<Cell<Instant>>,
}

impl Gate for Ahead {
    fn beat(&mut self, now: Instant) {
        self.beaten.set(now);
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn set_accepting(&mut self, _service: usize, _accepting: bool) {}
}

struct Scene {
    world: World<SimPort, Ahead>,
    beaten: Rc<Cell<Instant>>,
}

impl Scene {
    /// In one lane, or with workers behind the core that is away.
    fn new(workers: u8) -> Scene {
        let plan = Plan { workers, ..Plan::new(seed()) };
        let pool = plan.pool();
        let beaten = Rc::default();
        let gate = Ahead { beaten: Rc::clone(&beaten) };
        let mut world = World::with(plan, pool, |port, _| port, gate, Vec::new());
        world.listen(origin(1), Settings::MODERN, echo);
        let mut scene = Scene { world, beaten };
        scene.go_on(ms(10));
        scene
    }

    fn clients(&mut self, count: u16) -> Vec<Key> {
        let client = |number| {
            let request = send(pattern(u64::from(number), 100));
            self.world.client(number, Settings::MODERN, request)
        };
        (0..count).map(client).collect()
    }

    /// What the hosts send now comes to lie in the rings, for so long.
    fn be_away(&mut self, time: Duration) {
        self.world.edge.turn(self.world.now);
        self.world.hosts.turn(self.world.now);
        self.world.now += time;
    }

    /// As a core that also turns when nothing comes.
    fn go_on(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end {
            self.world.step(self.world.now + SLEEP_MAX);
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::new(1, 2).with_recorders(Recorders::new());
        self.world.edge.fill(&mut snapshot);
        snapshot
    }

    fn dropped_as_old(&mut self) -> u64 {
        self.snapshot().ledger.dropped[DropReason::WorkerBehind as usize]
    }
}

#[test]
fn what_asked_for_a_connection_before_the_core_was_away_gets_none() {
    // Several bursts.
    let count = 3 * BURST as u16 + 8;
    for workers in [0, 1] {
        let mut scene = Scene::new(workers);
        let clients = scene.clients(count);
        scene.be_away(AWAY);
        let back = scene.world.now;
        scene.world.step(back + SLEEP_MAX);
        assert!(scene.beaten.get() < back, "new ones would come to lie behind the old ones");
        scene.go_on(ms(20));
        assert!(scene.beaten.get() > back);
        assert_eq!(scene.dropped_as_old(), count.into());
        assert_eq!(scene.world.counters().accepted, 0);

        // They ask again.
        scene.go_on(secs(2));
        for (key, number) in clients.iter().zip(0..) {
            assert_eq!(scene.world.peer(*key).received, pattern(number, 100));
        }
        assert_eq!(scene.dropped_as_old(), count.into());
        let ended = scene.world.finish();
        assert_eq!(ended.service.accepted, count.into());
    }
}

#[test]
fn who_is_away_for_less_than_the_shield_waits_takes_what_has_come() {
    for workers in [0, 1] {
        let mut scene = Scene::new(workers);
        let clients = scene.clients(100);
        scene.be_away(PATIENCE - SLEEP_MAX);
        scene.go_on(ms(100));
        for (key, number) in clients.iter().zip(0..) {
            assert_eq!(scene.world.peer(*key).received, pattern(number, 100));
        }
        assert_eq!(scene.dropped_as_old(), 0);
        scene.world.finish();
    }
}

#[test]
fn a_connection_that_there_is_goes_on_with_what_lay_in_the_ring() {
    for workers in [0, 1] {
        let mut scene = Scene::new(workers);
        let key = scene.world.client(1, Settings::MODERN, idle());
        scene.go_on(ms(10));
        let octets = pattern(1, 300_000);
        scene.world.peer(key).write(&octets);
        scene.world.peer(key).finish();
        scene.be_away(AWAY);
        scene.go_on(secs(2));
        assert_eq!(scene.world.peer(key).received, octets);
        assert_eq!(scene.world.peer(key).status, Status::Finished);
        let snapshot = scene.snapshot();
        assert_eq!(snapshot.ledger.dropped[DropReason::WorkerBehind as usize], 0);
        // A bucket of the histogram is a tenth wide.
        assert!(longest_inside(&snapshot) > AWAY * 9 / 10);
        assert_eq!(scene.world.origin_peers().len(), 1);
        assert_eq!(scene.world.hosts.0[ORIGINS].stats.resets, 0);
        scene.world.finish();
    }
}

#[test]
fn what_queues_in_a_devices_ring_counts_as_time_inside() {
    for workers in [0, 1] {
        let mut scene = Scene::new(workers);
        let key = scene.world.client(1, Settings::MODERN, idle());
        scene.go_on(ms(10));
        scene.world.peer(key).write(&pattern(1, 300_000));
        scene.world.peer(key).finish();
        let busy = PATIENCE - SLEEP_MAX;
        scene.be_away(busy);
        scene.go_on(secs(2));
        assert_eq!(scene.world.peer(key).received.len(), 300_000);
        // It came at some time of these, as far as anybody knows in the middle.
        let longest = longest_inside(&scene.snapshot());
        assert!((busy * 2 / 5..busy).contains(&longest), "{longest:?} of {busy:?}");
        scene.world.finish();
    }
}

fn longest_inside(snapshot: &Snapshot) -> Duration {
    let inside = snapshot.recorders.iter().filter_map(|core| core.histogram(Measure::Inside));
    Duration::from_nanos(inside.map(|histogram| histogram.max()).max().expect("some core records"))
}
