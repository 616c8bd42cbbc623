//! Those who misbehave, against the real engine: what others notice, which should be nothing.
//!
//! Every scenario ends in [`World::finish`]: every frame is back in the pool, nothing is held, the
//! ledger balances. `RINGROAD_SEED=n` replays a seed, `RINGROAD_SEEDS=n` runs more.

use std::time::Duration;

use ringroad_engine::frame::FramePool;
use ringroad_engine::port::impair::{self, Impair};
use ringroad_engine::port::sim::SimPort;
use ringroad_engine::proxy::proxy_protocol::Version;
use ringroad_engine::shield::Rates;
use ringroad_engine::stage::Gate;
use ringroad_simulation::actors::{
    Attack, Behaviour, Expectation, Mischief, Moment, Role, Scene, Script,
};
use ringroad_simulation::appliance::peer::{Peer, Settings, Status};
use ringroad_simulation::appliance::rig::{
    CLIENTS, Ended, Key, Plan, Random, Wire, World, address, ms, origin, secs, seeds,
};

/// What became of a conversation at one end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// It was told that the rest will not come.
    Cut,
    /// It has not been told.
    Open,
}

/// Judges what a host has heard of `script`.
fn end_of(peer: &Peer, role: Role, script: &Script) -> End {
    let said = script.octets(role.other());
    let heard = Script::behind_header(&peer.received).unwrap_or_default();
    assert!(said.starts_with(heard), "{:?} heard what nobody said", peer.local);
    match peer.status {
        Status::Finished if heard.len() == said.len() => End::Whole,
        Status::Finished | Status::Refused | Status::Reset | Status::Aborted => End::Cut,
        _ => End::Open,
    }
}

/// A world in which the client behaves so, or the origin, and two others do as they should.
struct Scenario {
    seed: u64,
    behaviour: Behaviour,
    who: Role,
    script: Script,
    settings: Settings,
    network: impair::Settings,
    /// The service's.
    idle_timeout: Duration,
    proxy_protocol: Option<Version>,
}

impl Scenario {
    fn new(behaviour: Behaviour, who: Role) -> Scenario {
        Scenario {
            seed: 1,
            behaviour,
            who,
            script: Script { rounds: 2, ..Script::exchange(1, 1000, 200_000) },
            settings: Settings::MODERN,
            network: impair::Settings::default(),
            idle_timeout: secs(60),
            proxy_protocol: None,
        }
    }

    /// Runs it to the end; what the client and the origin's last connection with it have come to.
    #[track_caller]
    fn run(&self) -> (End, End) {
        let mut plan = Plan { frames: 2048, ..Plan::new(self.seed) };
        plan.service.idle_timeout = self.idle_timeout;
        plan.service.proxy_protocol = self.proxy_protocol;
        let mut world = World::impaired(plan, [self.network; 2]);
        let plain = Settings { patience: Some(self.idle_timeout * 10), ..self.settings };
        let behaves = |role| if role == self.who { self.behaviour } else { Behaviour::Plain };
        let at_origin = behaves(Role::Origin);
        world.listen(origin(1), at_origin.settings(plain), move || at_origin.origin());
        let at_client = behaves(Role::Client);
        let odd = world.client(1, at_client.settings(plain), at_client.client(self.script));
        // With an origin that is odd, everybody is.
        let others = if self.who == Role::Client { 2..4 } else { 0..0 };
        let others: Vec<(Key, Script)> = others
            .map(|n| {
                let script = Script::exchange(n.into(), 500, 50_000);
                (world.client(n, plain, Behaviour::Plain.client(script)), script)
            })
            .collect();
        let limit = self.behaviour.lasts(&self.script) + self.idle_timeout * 11;
        world.run_until(limit, |world| world.hosts.all_over());
        for (key, script) in others {
            let end = end_of(world.peer(key), Role::Client, &script);
            assert_eq!(end, End::Whole, "somebody else's connection, beside {self}");
        }
        let ends =
            (end_of(world.peer(odd), Role::Client, &self.script), self.origins_end(&mut world));
        let ended = world.finish();
        assert_eq!(ended.service.active, 0);
        ends
    }

    fn origins_end<P: Wire>(&self, world: &mut World<P>) -> End {
        let about = |peer: &Peer| {
            let script = Script::behind_header(&peer.received).and_then(Script::of);
            script.is_some_and(|script| script.id == self.script.id)
        };
        let mut peers = world.origin_peers();
        peers.retain(|peer| about(peer));
        peers.last().map_or(End::Cut, |peer| end_of(peer, Role::Origin, &self.script))
    }

    /// Runs it, and expects what the behaviour says.
    #[track_caller]
    fn check(&self) {
        let ends = self.run();
        let (other, own) = if self.who == Role::Client { (ends.1, ends.0) } else { ends };
        match self.behaviour.expectation(self.idle_timeout) {
            Expectation::Whole => {
                assert_eq!((other, own), (End::Whole, End::Whole), "{self}");
            }
            Expectation::EitherEndMayReset => {
                assert!(other != End::Open && own != End::Open, "{self}: {other:?} {own:?}");
            }
            Expectation::Nothing => assert_ne!(other, End::Open, "{self}"),
        }
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {}: {:?} as {:?}", self.seed, self.behaviour, self.who)
    }
}

fn at_both_ends(behaviour: Behaviour) {
    for who in [Role::Client, Role::Origin] {
        Scenario::new(behaviour, who).check();
    }
}

#[test]
fn plain_hosts_hear_all_that_is_said() {
    at_both_ends(Behaviour::Plain);
    for closes_first in [Role::Client, Role::Origin] {
        let script = Script { closes_first, ..Script::exchange(1, 100_000, 100_000) };
        Scenario { script, ..Scenario::new(Behaviour::Plain, Role::Client) }.check();
    }
}

#[test]
fn who_reads_slowly_hears_all() {
    at_both_ends(Behaviour::ReadsSlowly { octets: 1000, every: ms(10) });
    at_both_ends(Behaviour::ReadsSlowly { octets: 100_000, every: secs(20) });
    at_both_ends(Behaviour::PausesReading { after: 100, pause: secs(50) });
}

#[test]
fn who_reads_nothing_for_longer_than_the_idle_timeout_is_told() {
    let script = Script::exchange(1, 100, 2_000_000);
    let behaviour = Behaviour::PausesReading { after: 10_000, pause: secs(300) };
    let scenario = Scenario { script, ..Scenario::new(behaviour, Role::Client) };
    assert_eq!(scenario.run(), (End::Cut, End::Cut));
}

#[test]
fn who_says_little_at_a_time_is_heard() {
    let script = Script::exchange(1, 3000, 3000);
    for who in [Role::Client, Role::Origin] {
        let behaviour = Behaviour::Trickles { octets: 1, every: ms(5) };
        Scenario { script, ..Scenario::new(behaviour, who) }.check();
        let behaviour = Behaviour::Trickles { octets: 100, every: secs(7) };
        Scenario { script, ..Scenario::new(behaviour, who) }.check();
        Scenario { script, ..Scenario::new(Behaviour::Idles { quiet: secs(55) }, who) }.check();
    }
}

#[test]
fn one_direction_may_end_before_the_other() {
    at_both_ends(Behaviour::ClosesHalf);
}

#[test]
fn who_never_ends_is_ended() {
    at_both_ends(Behaviour::NeverCloses);
}

#[test]
fn a_reset_crosses() {
    for when in
        [Moment::Said(500), Moment::Heard(10_000), Moment::After(ms(1)), Moment::After(ms(3))]
    {
        at_both_ends(Behaviour::Aborts { when });
    }
}

#[test]
fn the_other_end_of_who_vanishes_is_told() {
    for when in
        [Moment::Said(500), Moment::Heard(10_000), Moment::After(ms(1)), Moment::After(ms(3))]
    {
        at_both_ends(Behaviour::Vanishes { when });
    }
}

#[test]
fn a_syn_that_comes_again_changes_nothing() {
    for higher in [0, 1, 5000, 1 << 31, u32::MAX] {
        let behaviour = Behaviour::RepeatsSyn { higher, every: ms(1), times: 9 };
        Scenario::new(behaviour, Role::Client).check();
    }
}

#[test]
fn the_same_port_opens_again_and_again() {
    for closes_first in [Role::Client, Role::Origin] {
        for settings in [Settings::MODERN, Settings::PLAIN] {
            for ahead in [1, 100_000, -100_000, i32::MIN] {
                let behaviour = Behaviour::ReusesPort { after: ms(2), ahead, times: 3 };
                let script = Script { closes_first, ..Script::exchange(1, 1000, 20_000) };
                let scenario =
                    Scenario { script, settings, ..Scenario::new(behaviour, Role::Client) };
                scenario.check();
            }
        }
    }
}

#[test]
fn a_window_that_is_taken_back_ends_nothing() {
    for to in [0, 700, 10_000] {
        for pause in [ms(500), secs(50)] {
            at_both_ends(Behaviour::ShrinksWindow { after: 30_000, to, pause });
        }
    }
}

#[test]
fn a_window_that_is_taken_back_for_an_hour_ends_nothing_either() {
    for to in [0, 700] {
        let behaviour = Behaviour::ShrinksWindow { after: 30_000, to, pause: secs(3600) };
        let scenario = Scenario::new(behaviour, Role::Client);
        Scenario { idle_timeout: secs(7200), ..scenario }.check();
    }
}

#[test]
fn an_origin_finds_the_request_behind_the_header_of_the_proxy_protocol() {
    for version in [Version::V1, Version::V2] {
        let scenario = Scenario::new(Behaviour::Plain, Role::Origin);
        Scenario { proxy_protocol: Some(version), ..scenario }.check();
    }
}

#[test]
fn small_windows_and_small_segments_take_longer() {
    at_both_ends(Behaviour::TinyWindow { octets: 500 });
    at_both_ends(Behaviour::TinyWindow { octets: 4000 });
    at_both_ends(Behaviour::TinyMss { octets: 64 });
    at_both_ends(Behaviour::TinyMss { octets: 300 });
    at_both_ends(Behaviour::SillyWindow { buffer: 4096, octets: 100, every: ms(1) });
}

#[test]
fn acknowledgments_may_come_in_any_shape() {
    at_both_ends(Behaviour::SplitsAcks { octets: 1 });
    at_both_ends(Behaviour::SplitsAcks { octets: 100 });
    at_both_ends(Behaviour::DelaysAcks { by: ms(200) });
    at_both_ends(Behaviour::AcksLate { by: ms(150) });
    at_both_ends(Behaviour::AcksLate { by: ms(700) });
    at_both_ends(Behaviour::StretchesAcks { segments: 40 });
}

#[test]
fn reports_may_be_taken_back_and_repeated() {
    for seed in seeds(4) {
        let behaviours = [Behaviour::Reneges { every: ms(3) }, Behaviour::ReportsDuplicates];
        for (behaviour, who) in behaviours.into_iter().zip([Role::Client, Role::Origin]) {
            let mut scenario = lossy(seed, behaviour, who);
            scenario.network.duplicate_ppm = 20_000;
            scenario.check();
        }
    }
}

/// Over a network that loses and reorders.
fn lossy(seed: u64, behaviour: Behaviour, who: Role) -> Scenario {
    Scenario {
        seed,
        settings: Settings { lossy: true, ..Settings::MODERN },
        network: impair::Settings {
            loss_ppm: 10_000,
            reorder_ppm: 10_000,
            delay: ms(2),
            ..impair::Settings::default()
        },
        ..Scenario::new(behaviour, who)
    }
}

#[test]
fn any_behaviour_over_a_bad_network() {
    for seed in seeds(40) {
        let mut random = Random::new(seed);
        let behaviour = Behaviour::any(&mut random);
        let who = if random.below(2) == 0 { Role::Client } else { Role::Origin };
        lossy(seed, behaviour, who).check();
    }
}

/// What everybody's TCP is like where packets are forged.
const AMONG_FORGERS: Settings = Settings {
    lossy: true,
    forged: true,
    patience: Some(Duration::from_secs(300)),
    ..Settings::MODERN
};

/// Runs an attack on both addresses of the service while others go about their business, and lets
/// `each` look at the world between any two turns. What was counted, at the end.
#[track_caller]
fn attacked(seed: u64, attack: &Attack, mut each: impl FnMut(&mut World<SimPort>)) -> Ended {
    let mut world = World::new(Plan::new(seed));
    let clients = bystanders(&mut world);
    let others = clients.iter().map(|(key, _)| *key).collect();
    let actor = attack.actor(seed, world.now, Scene::clients(others));
    world.hosts.0[CLIENTS].actors.push(actor);
    world.run_until(secs(120), |world| {
        each(world);
        world.hosts.all_over()
    });
    for (key, script) in clients {
        let end = end_of(world.peer(key), Role::Client, &script);
        assert_eq!(end, End::Whole, "seed {seed}: {:?} beside {attack:?}", key.0);
    }
    world.run_until(secs(120), |world| world.lane.worker().active() == 0);
    world.finish()
}

/// Four clients that will be busy for some two seconds.
fn bystanders<P: Wire, G: Gate>(world: &mut World<P, G>) -> Vec<(Key, Script)> {
    world.listen(origin(1), AMONG_FORGERS, || Behaviour::Plain.origin());
    let pace = Behaviour::ReadsSlowly { octets: 4000, every: ms(10) };
    let script = |id| Script { rounds: 4, ..Script::exchange(id, 2000, 200_000) };
    let clients = (1..5)
        .map(|n| script(n))
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
        world.run_until(secs(120), |world| world.lane.worker().active() == 0);
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
        attacked(seeds(1).start, &attack(mischief, 20_000), |_| {});
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
        let free = world.lane.worker().pool.free_count();
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
        world.run_until(secs(300), |world| world.lane.worker().active() == 0);
        world.finish();
    }
}
