//! Which runs there are, by name, and how a case of each is made from a seed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ringroad_engine::port::sim::{Completion, Settings as Device};
use ringroad_engine::proxy::Fallback;
use ringroad_engine::stage::Thresholds;
use ringroad_engine::tcp::congestion::Algorithm;
use ringroad_engine::tcp::pacing::Pacing;
use ringroad_engine::tcp::{EcnPolicy, LegSettings, MtuProbing};

use super::case::{Case, Client, CookieUse, INTRUDERS_FROM, Intruding, Origin, client_address};
use super::dice::Dice;
use super::networks;
use crate::actors::{Attack, Behaviour, Mischief, Role, Script};
use crate::appliance::peer::Settings;
use crate::appliance::rig::{self, CLIENTS, ORIGINS, ms, secs};
use crate::faults::{
    AdminFault, AdminFaultKind, OriginFault, OriginFaultKind, PortFault, PortFaultKind,
};
use crate::internet::NetworkSettings;

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Anything of the others, in moderation.
    Mixed,
    /// Radio: loss in bursts, jitter, networks that come and go.
    LossyMobile,
    /// Long round trips, asymmetric rates, random loss.
    Satellite,
    /// Connections among SYNs, segments and fragments that nobody needs.
    Flood,
    /// Origins that read and write slowly.
    SlowOrigin,
    /// Origins that refuse, fall silent and come back.
    OriginFlap,
    /// Too few frames for what readers leave lying.
    MemoryPressure,
    /// Boxes on the way that meddle.
    Middlebox,
    /// Much bandwidth, and far away.
    LongFat,
}

impl Scenario {
    pub const ALL: [Scenario; 9] = [
        Scenario::Mixed,
        Scenario::LossyMobile,
        Scenario::Satellite,
        Scenario::Flood,
        Scenario::SlowOrigin,
        Scenario::OriginFlap,
        Scenario::MemoryPressure,
        Scenario::Middlebox,
        Scenario::LongFat,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Scenario::Mixed => "mixed",
            Scenario::LossyMobile => "lossy-mobile",
            Scenario::Satellite => "satellite",
            Scenario::Flood => "flood",
            Scenario::SlowOrigin => "slow-origin",
            Scenario::OriginFlap => "origin-flap",
            Scenario::MemoryPressure => "memory-pressure",
            Scenario::Middlebox => "middlebox",
            Scenario::LongFat => "long-fat",
        }
    }

    /// What it is about, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Scenario::Mixed => "anything of the others, and faults of devices and operators",
            Scenario::LossyMobile => "radio: loss in bursts, jitter, networks that come and go",
            Scenario::Satellite => "long round trips, asymmetric rates, random loss",
            Scenario::Flood => "connections among floods of SYNs, ACKs, resets and garbage",
            Scenario::SlowOrigin => "origins that read and write slowly",
            Scenario::OriginFlap => "origins that refuse, fall silent, vanish and come back",
            Scenario::MemoryPressure => "too few frames for what readers leave lying",
            Scenario::Middlebox => "boxes that strip options, rewrite, clamp, split, and reset",
            Scenario::LongFat => "much bandwidth, and far away",
        }
    }

    /// The case of a seed.
    pub fn case(self, seed: u64) -> Case {
        Maker { scenario: self, seed }.case()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Scenario::ALL.into_iter().find(|each| each.name() == name).ok_or_else(|| {
            let names = Scenario::ALL.map(Scenario::name).join(", ");
            format!("there is no scenario `{name}`; there are {names}")
        })
    }
}

/// Makes the case of a scenario and seed, aspect by aspect.
#[derive(Clone, Copy)]
struct Maker {
    scenario: Scenario,
    seed: u64,
}

impl Maker {
    fn case(self) -> Case {
        let origins = self.origins();
        let networks = [self.networks(CLIENTS), self.networks(ORIGINS)];
        let clients = self.clients(&networks[CLIENTS]);
        let opened = clients.iter().map(|client| client.opens_at).max().unwrap_or_default();
        let trouble = opened + Dice::of(self.seed, "calm").millis(100, 20_000);
        let mut case = Case {
            scenario: self.scenario,
            seed: self.seed,
            frames: self.frames(),
            device: self.device(),
            service: rig::Plan::new(self.seed).service,
            cookies: self.cookies(),
            networks,
            clients,
            origins,
            intruders: self.intruders(),
            port_faults: self.port_faults(trouble),
            admin_faults: self.admin_faults(trouble),
            origin_faults: Vec::new(),
            calm_at: trouble,
        };
        case.origin_faults = self.origin_faults(trouble, &case.origins);
        // Intruders speak in their names; and where a SYN arrives twice, two may answer: the engine
        // and Linux, or a cookie.
        let drains = case.admin_faults.iter().any(|fault| fault.kind == AdminFaultKind::Drain);
        let forged = !case.intruders.is_empty() || case.cookies != CookieUse::Off || drains;
        case.clients.iter_mut().for_each(|client| client.settings.forged = forged);
        case.origins.iter_mut().for_each(|origin| origin.settings.forged = forged);
        self.set_service(&mut case);
        case
    }

    fn dice(self, aspect: &str) -> Dice {
        Dice::of(self.seed, aspect)
    }

    fn is(self, scenario: Scenario) -> bool {
        self.scenario == scenario
    }

    fn is_mixed(self) -> bool {
        self.is(Scenario::Mixed)
    }

    fn frames(self) -> usize {
        let mut dice = self.dice("frames");
        match self.scenario {
            Scenario::MemoryPressure => dice.between(700, 2000) as usize,
            Scenario::Mixed => dice.pick(&[1500, 4096, 16_384]),
            Scenario::LongFat => 32_768,
            _ => dice.pick(&[4096, 16_384]),
        }
    }

    fn device(self) -> Device {
        let mut dice = self.dice("device");
        Device {
            packet_max: 1522,
            rx_entries: dice.pick(&[256, 2048]),
            tx_entries: dice.pick(&[128, 2048]),
            completion: Completion::AfterFlushes(dice.pick(&[0, 0, 1, 3])),
            ..Device::default()
        }
    }

    fn cookies(self) -> CookieUse {
        let mut dice = self.dice("cookies");
        let pressed = Thresholds { syn_per_second: 2000, half_open: 50 };
        match self.scenario {
            Scenario::Flood => dice.pick(&[CookieUse::Always, CookieUse::UnderPressure(pressed)]),
            _ => dice.pick(&[
                CookieUse::Off,
                CookieUse::Off,
                CookieUse::Always,
                CookieUse::UnderPressure(pressed),
            ]),
        }
    }

    fn set_service(self, case: &mut Case) {
        let mut dice = self.dice("service");
        let service = &mut case.service;
        service.origins =
            case.origins.iter().map(|origin| rig::origin_settings(origin.address)).collect();
        for leg in [&mut service.client_leg, &mut service.origin_leg] {
            *leg = self.leg(&mut dice);
        }
        service.client_leg.fast_open = dice.percent(30);
        service.max_connections = if dice.percent(20) { dice.between(8, 64) as u32 } else { 2000 };
        if case.cookies == CookieUse::Off && dice.percent(10) {
            service.fallback = dice.pick(&[Fallback::Reset, Fallback::Drop]);
        }
        // What is slow here is so for minutes of virtual time, and not idle.
        service.connect_timeout = secs(60);
        service.idle_timeout = secs(3600);
    }

    fn leg(self, dice: &mut Dice) -> LegSettings {
        LegSettings {
            congestion: dice.pick(&[
                Algorithm::Cubic,
                Algorithm::Cubic,
                Algorithm::Bbr,
                Algorithm::NewReno,
                Algorithm::Dctcp,
                Algorithm::Vegas,
            ]),
            ecn: dice.pick(&[EcnPolicy::Accept, EcnPolicy::Ask, EcnPolicy::Off]),
            initial_window_segments: dice.pick(&[1, 3, 10, 32]),
            pacing: dice.pick(&[Pacing::Auto, Pacing::On, Pacing::Off]),
            mtu_probing: dice.pick(&[MtuProbing::Off, MtuProbing::Auto, MtuProbing::On]),
            handshake_retries: 20,
            data_retries: 60,
            ..LegSettings::default()
        }
    }

    fn clients(self, networks: &[NetworkSettings]) -> Vec<Client> {
        let mut dice = self.dice("clients");
        let count = match self.scenario {
            Scenario::LongFat => dice.between(4, 20),
            Scenario::Satellite => dice.between(40, 100),
            _ => dice.between(60, 180),
        } as u32;
        let over = dice.between(10, 5000);
        (0..count).map(|number| self.client(number, over, networks)).collect()
    }

    fn client(self, number: u32, over_ms: u64, networks: &[NetworkSettings]) -> Client {
        let mut dice = Dice::of_each(self.seed, "client", number);
        let opens_at = dice.millis(0, over_ms);
        let network = dice.between(0, networks.len() as u64 - 1) as usize;
        let v6 = dice.percent(30);
        let mut behaviour = Behaviour::Plain;
        if dice.percent(self.odd_clients()) {
            behaviour = self.behaviour(&mut Dice::of_each(self.seed, "behaviour", number));
        }
        if matches!(behaviour, Behaviour::TinyMss { .. }) && self.cookies() != CookieUse::Off {
            behaviour = Behaviour::Plain;
        }
        let mut of_host = Dice::of_each(self.seed, "host", number);
        let mut host = host(&mut of_host, v6);
        // Hosts know nothing of narrow paths; the engine has to find out.
        host.segment_max = host.segment_max.min(u64::from(networks[network].mtu) - HEADERS);
        let script = self.script(number, &mut Dice::of_each(self.seed, "script", number));
        // Without them nothing tells what is left of one connection from the next.
        host.timestamps |= matches!(behaviour, Behaviour::ReusesPort { .. });
        let address = client_address(number, v6);
        Client { opens_at, address, network, settings: behaviour.settings(host), behaviour, script }
    }

    /// How many of a hundred do not behave as they should.
    fn odd_clients(self) -> u32 {
        match self.scenario {
            Scenario::MemoryPressure => 60,
            Scenario::Mixed => 25,
            Scenario::Flood => 10,
            _ => 5,
        }
    }

    fn behaviour(self, dice: &mut Dice) -> Behaviour {
        match self.scenario {
            Scenario::MemoryPressure => dice.pick(&[
                Behaviour::PausesReading { after: 1000, pause: secs(20) },
                Behaviour::ReadsSlowly { octets: 2000, every: ms(50) },
                Behaviour::StretchesAcks { segments: 16 },
                Behaviour::Vanishes { when: crate::actors::Moment::Heard(5000) },
            ]),
            _ => Behaviour::any(dice.random()),
        }
    }

    fn script(self, number: u32, dice: &mut Dice) -> Script {
        let (request, response) = match self.scenario {
            Scenario::LongFat => (100, dice.magnitude(100_000, 3_000_000)),
            Scenario::MemoryPressure => (dice.magnitude(16, 50_000), dice.magnitude(1000, 200_000)),
            _ => (dice.magnitude(16, 30_000), dice.magnitude(1, 60_000)),
        };
        let rounds = if dice.percent(20) { dice.between(2, 5) as u16 } else { 1 };
        let closes_first = if dice.percent(30) { Role::Origin } else { Role::Client };
        let exchange = Script::exchange(number, request as u32, response as u32);
        Script { rounds, closes_first, ..exchange }
    }

    fn origins(self) -> Vec<Origin> {
        let mut dice = self.dice("origins");
        let count = dice.between(1, 4);
        (1..=count)
            .map(|number| {
                let behaviour = self.origin_behaviour(&mut dice);
                let settings = behaviour.settings(host(&mut dice, false));
                Origin { address: rig::origin(number as u8), network: 0, settings, behaviour }
            })
            .collect()
    }

    fn origin_behaviour(self, dice: &mut Dice) -> Behaviour {
        match self.scenario {
            Scenario::SlowOrigin => dice.pick(&[
                Behaviour::ReadsSlowly { octets: 1500, every: ms(20) },
                Behaviour::Trickles { octets: 700, every: ms(10) },
                Behaviour::PausesReading { after: 4000, pause: secs(5) },
                Behaviour::Idles { quiet: secs(3) },
                Behaviour::TinyWindow { octets: 2048 },
                Behaviour::DelaysAcks { by: ms(200) },
            ]),
            Scenario::Mixed if dice.percent(20) => dice.pick(&[
                Behaviour::DelaysAcks { by: ms(40) },
                Behaviour::ClosesHalf,
                Behaviour::SplitsAcks { octets: 100 },
                Behaviour::TinyWindow { octets: 4096 },
            ]),
            _ => Behaviour::Plain,
        }
    }

    fn networks(self, side: usize) -> Vec<NetworkSettings> {
        let mut dice = self.dice(if side == CLIENTS { "networks" } else { "the origins' network" });
        if side == ORIGINS {
            let mut of_origins = NetworkSettings { name: "lan".to_owned(), ..Default::default() };
            if self.is_mixed() && dice.percent(40) {
                of_origins.up = networks::lossy(&mut dice);
                of_origins.down = networks::lossy(&mut dice);
            }
            return vec![of_origins];
        }
        (0..dice.between(1, 5)).map(|number| self.network(number as u32)).collect()
    }

    fn network(self, number: u32) -> NetworkSettings {
        let mut dice = Dice::of_each(self.seed, "network", number);
        let kind = match self.scenario {
            Scenario::Mixed => dice.pick(&[
                Scenario::Flood,
                Scenario::LossyMobile,
                Scenario::Satellite,
                Scenario::Middlebox,
                Scenario::LongFat,
            ]),
            other => other,
        };
        match kind {
            Scenario::LossyMobile => networks::mobile(&mut dice),
            Scenario::Satellite => networks::satellite(&mut dice),
            Scenario::Middlebox => networks::behind_boxes(&mut dice),
            Scenario::LongFat => networks::long_fat(&mut dice),
            _ => networks::near(&mut dice),
        }
    }

    fn intruders(self) -> Vec<Intruding> {
        let mut dice = self.dice("intruders");
        let count = match self.scenario {
            Scenario::Flood => dice.between(1, 4),
            Scenario::Mixed => dice.between(0, 2),
            _ => 0,
        };
        (0..count as u32)
            .map(|number| {
                let side = if dice.percent(85) { CLIENTS } else { ORIGINS };
                // Of a client that is nobody else.
                let script = Script::exchange(INTRUDERS_FROM + number, 100, 50_000);
                // Who sends enough payload or ends blindly hits a window, and no TCP can tell.
                let attack = loop {
                    let attack = Attack::any(dice.random(), script);
                    if !matches!(attack.mischief, Mischief::BlindPayload | Mischief::BlindFins) {
                        break attack;
                    }
                };
                Intruding { side, attack }
            })
            .collect()
    }

    fn port_faults(self, until: Duration) -> Vec<(usize, PortFault)> {
        let mut dice = self.dice("port faults");
        let count = match self.scenario {
            Scenario::Mixed => dice.between(0, 6),
            Scenario::MemoryPressure => dice.between(1, 4),
            _ => 0,
        };
        (0..count)
            .map(|_| {
                let side = dice.pick(&[CLIENTS, ORIGINS]);
                let from = dice.millis(0, until.as_millis() as u64);
                let to = from + dice.millis(1, 2000);
                let kind = match self.scenario {
                    Scenario::MemoryPressure => PortFaultKind::Hoard(dice.between(0, 400) as usize),
                    _ => dice.pick(&[
                        PortFaultKind::ShortBursts(1),
                        PortFaultKind::ShortBursts(7),
                        PortFaultKind::FullRing(0),
                        PortFaultKind::FullRing(3),
                        PortFaultKind::LateCompletions,
                        PortFaultKind::Stalled,
                        PortFaultKind::LosesReceived(100_000),
                        PortFaultKind::Hoard(50),
                    ]),
                };
                (side, PortFault { from, to, kind })
            })
            .collect()
    }

    fn admin_faults(self, until: Duration) -> Vec<AdminFault> {
        if !self.is_mixed() {
            return Vec::new();
        }
        let mut dice = self.dice("admin faults");
        let at = |dice: &mut Dice| dice.millis(0, until.as_millis() as u64);
        let mut faults: Vec<AdminFault> = (0..dice.between(0, 3))
            .map(|_| {
                let kind = dice.pick(&[
                    AdminFaultKind::RoutesAgain,
                    AdminFaultKind::RoutesAgain,
                    AdminFaultKind::Snapshots(1),
                    AdminFaultKind::Snapshots(300),
                ]);
                AdminFault { at: at(&mut dice), kind }
            })
            .collect();
        if dice.percent(10) {
            let kind = AdminFaultKind::RouteGone(dice.pick(&[CLIENTS, ORIGINS]));
            faults.push(AdminFault { at: at(&mut dice), kind });
        }
        if dice.percent(25) {
            let lost = at(&mut dice);
            let found = (lost + dice.millis(10, 5000)).min(until);
            let (side, address) = (ORIGINS, rig::origin(1).ip());
            for (at, kind) in [
                (lost, AdminFaultKind::NeighbourLost { side, address }),
                (found, AdminFaultKind::NeighbourFound { side, address }),
            ] {
                faults.push(AdminFault { at, kind });
            }
        }
        let last = match dice.between(1, 100) {
            1..=8 => Some(AdminFaultKind::Drain),
            9..=16 => Some(AdminFaultKind::Stop),
            17..=30 => Some(AdminFaultKind::Keys(dice.between(1, 2))),
            _ => None,
        };
        faults.extend(last.map(|kind| AdminFault { at: at(&mut dice), kind }));
        faults
    }

    fn origin_faults(self, until: Duration, origins: &[Origin]) -> Vec<OriginFault> {
        let mut dice = self.dice("origin faults");
        let many = match self.scenario {
            Scenario::OriginFlap => 4,
            Scenario::Mixed if dice.percent(20) => 1,
            _ => return Vec::new(),
        };
        let mut faults = Vec::new();
        for origin in origins {
            // Those of one origin do not overlap.
            let mut at = dice.millis(0, 2000);
            for _ in 0..dice.between(1, many) {
                let to = at + dice.millis(10, 3000);
                let kind = dice.pick(&[
                    OriginFaultKind::Refuses,
                    OriginFaultKind::Silent,
                    OriginFaultKind::Vanishes,
                ]);
                faults.push(OriginFault { at, until: to.min(until), origin: origin.address, kind });
                at = to + dice.millis(10, 3000);
            }
        }
        faults.retain(|fault| fault.at < fault.until);
        faults
    }
}

/// What hosts take at a time [octets]. None is below the least that a SYN cookie can tell of
/// (docs/decisions/0010-syn-cookies.md).
const MSS_V4: [u16; 5] = [1460, 1460, 1400, 1200, 536];
const MSS_V6: [u16; 5] = [1440, 1440, 1380, 1280, 1220];

/// IPv6, and TCP with all its options [octets].
const HEADERS: u64 = 40 + 60;

/// Somebody's TCP. Networks may lose, so gaps are no surprise.
fn host(dice: &mut Dice, v6: bool) -> Settings {
    Settings {
        lossy: true,
        // If a reset is lost, whoever only waits hears nothing more.
        patience: Some(secs(900)),
        mss: dice.pick(if v6 { &MSS_V6 } else { &MSS_V4 }),
        scale: dice.pick(&[None, Some(0), Some(2), Some(7), Some(9)]),
        timestamps: dice.percent(70),
        sack: dice.percent(80),
        ecn: dice.percent(30),
        buffer: dice.pick(&[8_000, 65_535, 256 * 1024]),
        in_flight_max: dice.pick(&[4_000, 64 * 1024]),
        segment_max: dice.pick(&[u64::MAX, u64::MAX, u64::MAX, 100, 700]),
        ..Settings::MODERN
    }
}
