//! One end of a connection behaves oddly, and everybody else as they should.

use std::time::Duration;

use ringroad_engine::port::impair;
use ringroad_engine::proxy::proxy_protocol::Version;
use ringroad_simulation::actors::{Behaviour, Expectation, Moment, Role, Script};
use ringroad_simulation::appliance::peer::{Peer, Settings};
use ringroad_simulation::appliance::rig::{
    Key, Plan, Random, Wire, World, ms, origin, secs, seeds,
};

use crate::{End, end_of};

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
        // Whoever only waits learns nothing of a reset that was lost.
        let told = |end: &End| *end != End::Open || self.network.loss_ppm > 0;
        match self.behaviour.expectation(self.idle_timeout) {
            Expectation::Whole => {
                assert_eq!((other, own), (End::Whole, End::Whole), "{self}");
            }
            Expectation::EitherEndMayReset => {
                assert!(told(&other) && told(&own), "{self}: {other:?} {own:?}");
            }
            Expectation::Nothing => assert!(told(&other), "{self}"),
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
            for ahead in [0, 1, 100_000, -1, -100_000, i32::MIN] {
                let behaviour = Behaviour::ReusesPort { after: ms(2), ahead, times: 3 };
                let script = Script { closes_first, ..Script::exchange(1, 1000, 20_000) };
                let scenario =
                    Scenario { script, settings, ..Scenario::new(behaviour, Role::Client) };
                scenario.check();
            }
        }
    }
}

/// Over a network on which something is under way at any time, also when the window is taken back.
fn shrinks(behaviour: Behaviour, who: Role) -> Scenario {
    let rate_bps = Some(20_000_000);
    let network = impair::Settings { rate_bps, delay: ms(20), ..impair::Settings::default() };
    Scenario { network, ..Scenario::new(behaviour, who) }
}

#[test]
fn a_window_that_is_taken_back_ends_nothing() {
    for (to, pause) in [(0, ms(500)), (700, secs(50)), (10_000, secs(5))] {
        for who in [Role::Client, Role::Origin] {
            shrinks(Behaviour::ShrinksWindow { after: 900, to, pause }, who).check();
        }
    }
}

#[test]
fn a_window_that_is_taken_back_for_an_hour_ends_nothing_either() {
    for to in [0, 700] {
        let behaviour = Behaviour::ShrinksWindow { after: 30_000, to, pause: secs(3600) };
        let scenario = shrinks(behaviour, Role::Client);
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
