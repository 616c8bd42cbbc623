//! Clients and origins: who they are, how they behave and what they say.

use super::super::case::{Client, CookieUse, Origin, client_address};
use super::super::dice::Dice;
use super::super::scenario::Scenario;
use super::Maker;
use crate::actors::{Behaviour, Moment, Role, Script};
use crate::appliance::peer::Settings;
use crate::appliance::rig::{self, ms, secs};
use crate::internet::NetworkSettings;

impl Maker {
    pub(super) fn clients(self, networks: &[NetworkSettings]) -> Vec<Client> {
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
                Behaviour::Vanishes { when: Moment::Heard(5000) },
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

    pub(super) fn origins(self) -> Vec<Origin> {
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
