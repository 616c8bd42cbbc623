//! Somebody attacks the service, and its clients do not notice.

use ringroad_engine::port::sim::SimPort;
use ringroad_engine::shield::Rates;
use ringroad_engine::stage::Gate;
use ringroad_simulation::actors::{Attack, Behaviour, Mischief, Role, Scene, Script};
use ringroad_simulation::appliance::rig::{
    CLIENTS, Ended, Key, Plan, Wire, World, ms, origin, secs, seeds,
};

use crate::{AMONG_FORGERS, End, end_of};

/// Runs an attack on both addresses of the service while others go about their business, and lets
/// `each` look at the world between any two turns. What was counted, at the end.
#[track_caller]
fn attacked(seed: u64, attack: &Attack, mut each: impl FnMut(&mut World<SimPort>)) -> Ended {
    let mut world = World::new(Plan::new(seed));
    let clients = bystanders(&mut world);
    let actor = attack.actor(seed, world.now, Scene::clients(vec![clients[0].0]));
    world.hosts.0[CLIENTS].actors.push(actor);
    world.run_until(secs(120), |world| {
        each(world);
        world.hosts.all_over()
    });
    for (key, script) in clients {
        let end = end_of(world.peer(key), Role::Client, &script);
        assert_eq!(end, End::Whole, "seed {seed}: {:?} beside {attack:?}", key.0);
    }
    world.run_until(secs(120), |world| world.edge.active() == 0);
    world.finish()
}

/// Four clients that will be busy for some two seconds.
fn bystanders<P: Wire, G: Gate>(world: &mut World<P, G>) -> Vec<(Key, Script)> {
    world.listen(origin(1), AMONG_FORGERS, || Behaviour::Plain.origin());
    let pace = Behaviour::ReadsSlowly { octets: 4000, every: ms(10) };
    let script = |id| Script { rounds: 4, ..Script::exchange(id, 2000, 200_000) };
    let clients = (1..5)
        .map(script)
        .map(|script| (world.client(script.id as u16, AMONG_FORGERS, pace.client(script)), script))
        .collect();
    world.run_for(ms(20));
    clients
}

fn attack(mischief: Mischief, per_second: u32) -> Attack {
    Attack { mischief, per_second, after: ms(5), lasts: secs(1) }
}

#[test]
fn floods_disturb_nobody_who_is_there() {
    for mischief in [Mischief::Syns, Mischief::Scan, Mischief::Fragments, Mischief::Malformed] {
        for seed in seeds(2) {
            let attack = attack(mischief, 20_000);
            let ledger = attacked(seed, &attack, |_| {}).ledger;
            assert!(ledger.received > 20_000, "{attack:?} has not taken place");
        }
    }
}

#[test]
fn what_is_malformed_is_told_from_what_is_not() {
    let malformed = attacked(1, &attack(Mischief::Malformed, 10_000), |_| {}).ledger.malformed;
    let kinds = malformed.iter().filter(|count| **count > 0).count();
    assert!(kinds > 15, "{kinds} kinds: {malformed:?}");
}

#[test]
fn floods_disturb_nobody_behind_the_twin_either() {
    for mischief in [Mischief::Syns, Mischief::Malformed, Mischief::BlindAcks] {
        let mut world = World::behind_twin(Plan::new(1), Rates::default());
        // Linux gets what is not for the engine, sound or not.
        world.hosts.1.iter_mut().for_each(|linux| linux.corrupting = true);
        let clients = bystanders(&mut world);
        let others = clients.iter().map(|(key, _)| *key).collect();
        let actor = attack(mischief, 5000).actor(1, world.now, Scene::clients(others));
        world.hosts.0[CLIENTS].actors.push(actor);
        world.run_until(secs(120), |world| world.hosts.all_over());
        for (key, script) in clients {
            assert_eq!(end_of(world.peer(key), Role::Client, &script), End::Whole, "{mischief:?}");
        }
        world.run_until(secs(120), |world| world.edge.active() == 0);
        world.finish();
    }
}

#[test]
fn guessed_numbers_hit_nothing() {
    for mischief in [
        Mischief::BlindAcks,
        Mischief::BlindResets,
        Mischief::BlindFins,
        Mischief::BlindSyns,
        Mischief::BlindPayload,
    ] {
        // Enough to be within the window now and then, and never to be right.
        attacked(1, &attack(mischief, 100_000), |_| {});
    }
}

#[test]
fn who_acknowledges_ahead_is_not_sent_more_than_there_is() {
    let script = Script::exchange(77, 100, 3_000_000);
    for ahead in [1000, 100_000, 1 << 30] {
        let attack = attack(Mischief::AcksAhead { script, ahead }, 5000);
        let carried = attacked(1, &attack, |_| {}).service.to_client_octets;
        let others = 4 * 4 * 200_000;
        assert!(carried > others + 10_000, "{attack:?} has not taken place: {carried}");
        assert!(carried <= others + 3_000_000, "{carried}");
    }
}

#[test]
fn memory_behind_a_gap_is_bounded() {
    let (mut least, mut most) = (usize::MAX, 0);
    attacked(1, &attack(Mischief::HoardsMemory, 50_000), |world| {
        let free = world.edge.worker().pool.free_count();
        (least, most) = (least.min(free), most.max(free));
    });
    assert!(most - least > 100, "it has taken {} frames", most - least);
    assert!(least > 2048, "{least} of 4096 frames were left");
}

#[test]
fn an_attack_can_be_stopped() {
    let mut world = World::new(Plan::new(1));
    let attack = Attack { lasts: secs(3600), ..attack(Mischief::BlindAcks, 1000) };
    let actor = attack.actor(1, world.now, Scene::clients(Vec::new()));
    world.hosts.0[CLIENTS].actors.push(actor);
    world.run_for(secs(1));
    assert!(!world.hosts.all_over());
    world.hosts.0[CLIENTS].actors.iter_mut().for_each(|actor| actor.stop());
    assert!(world.hosts.all_over());
    let received = world.finish().ledger.received;
    assert!((900..1100).contains(&received), "{received}");
}
