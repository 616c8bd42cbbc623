//! Everybody misbehaves at once.

use ringroad_engine::frame::FramePool;
use ringroad_engine::port::impair::{self, Impair};
use ringroad_engine::shield::Rates;
use ringroad_simulation::actors::{Attack, Behaviour, Role, Scene, Script};
use ringroad_simulation::appliance::rig::{
    CLIENTS, Key, Plan, Random, World, address, ms, origin, secs, seeds,
};

use crate::{AMONG_FORGERS, End, end_of};

/// Everybody as chance will have it, on both sides, over a bad network, and attacks besides.
#[test]
fn all_at_once() {
    for seed in seeds(20) {
        let mut random = Random::new(seed ^ 0xa11);
        let loses = random.below(2) == 1;
        let network = impair::Settings {
            loss_ppm: if loses { random.below(20_000) as u32 } else { 0 },
            corrupt_ppm: if loses { random.below(2000) as u32 } else { 0 },
            reorder_ppm: random.below(20_000) as u32,
            duplicate_ppm: random.below(5000) as u32,
            delay: ms(random.below(30)),
            ..impair::Settings::default()
        };
        // Behind the twin, so that Linux answers for connections that nobody has.
        let plan = Plan::new(seed).origins(3);
        let pool = FramePool::in_memory(plan.frames, 2048);
        let mut world = World::with_twin(plan, pool, Rates::default(), |port, side| {
            Impair::new(port, seed ^ side as u64, network, network)
        });
        world.hosts.all_mut().for_each(|side| side.corrupting = true);
        for n in 1..4 {
            let behaviour = Behaviour::any(&mut random);
            let settings = behaviour.settings(AMONG_FORGERS);
            world.listen(origin(n), settings, move || behaviour.origin());
        }
        let clients: Vec<(Key, Script, Behaviour)> = (1..8)
            .map(|n| {
                let behaviour = Behaviour::any(&mut random);
                let script = Script {
                    rounds: 1 + random.below(3) as u16,
                    closes_first: if n % 2 == 0 { Role::Client } else { Role::Origin },
                    ..Script::exchange(n, 1 << random.below(15), 1 << random.below(18))
                };
                let settings = behaviour.settings(AMONG_FORGERS);
                (world.client(n as u16, settings, behaviour.client(script)), script, behaviour)
            })
            .collect();
        for side in 0..2 {
            for _ in 0..random.below(3) {
                let attack = Attack::any(&mut random, Script::exchange(99, 100, 1_000_000));
                let scene = match side {
                    CLIENTS => Scene::clients(clients.iter().map(|(key, ..)| *key).collect()),
                    _ => Scene::origins(vec![(origin(1), address("10.20.0.254:20003"))]),
                };
                let actor = attack.actor(random.draw(), world.now, scene);
                world.hosts.0[side].actors.push(actor);
            }
        }
        world.run_until(secs(20_000), |world| world.hosts.all_over());
        for (key, script, behaviour) in clients {
            let end = end_of(world.peer(key), Role::Client, &script);
            // Whoever only waits learns nothing of a reset that was lost.
            let may_not_know = loses || matches!(behaviour, Behaviour::Vanishes { .. });
            assert!(
                end != End::Open || may_not_know,
                "seed {seed}: {behaviour:?} was told nothing"
            );
        }
        world.run_until(secs(300), |world| world.edge.active() == 0);
        world.finish();
    }
}
