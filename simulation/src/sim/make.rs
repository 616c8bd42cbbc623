//! How the case of a scenario is made from a seed, aspect by aspect.
//!
//! Each aspect has chances of its own ([`Dice`]). Here is the appliance; `hosts` has those who speak
//! through it, `networks` what lies between, and `faults` what goes wrong on purpose.

mod faults;
mod hosts;
mod networks;

use ringroad_engine::port::sim::{Completion, Settings as Device};
use ringroad_engine::proxy::Fallback;
use ringroad_engine::proxy::proxy_protocol::Version;
use ringroad_engine::stage::Thresholds;
use ringroad_engine::tcp::congestion::Algorithm;
use ringroad_engine::tcp::pacing::Pacing;
use ringroad_engine::tcp::{EcnPolicy, LegSettings, MtuProbing};

use super::case::{Case, CookieUse};
use super::dice::Dice;
use super::scenario::Scenario;
use crate::appliance::rig::{self, CLIENTS, ORIGINS, secs};
use crate::faults::AdminFaultKind;
use crate::internet::NetworkSettings;

/// Makes the case of a scenario and seed.
#[derive(Clone, Copy)]
pub(super) struct Maker {
    pub(super) scenario: Scenario,
    pub(super) seed: u64,
}

impl Maker {
    pub(super) fn case(self) -> Case {
        let origins = self.origins();
        let networks = [self.networks(CLIENTS), self.networks(ORIGINS)];
        let clients = self.clients(&networks[CLIENTS]);
        let opened = clients.iter().map(|client| client.opens_at).max().unwrap_or_default();
        let trouble = opened + Dice::of(self.seed, "calm").millis(100, 20_000);
        let workers = self.workers();
        let mut case = Case {
            scenario: self.scenario,
            seed: self.seed,
            workers,
            frames: self.frames(),
            device: self.device(),
            service: rig::Plan::new(self.seed).service,
            cookies: self.cookies(),
            networks,
            clients,
            origins,
            intruders: self.intruders(),
            port_faults: self.port_faults(trouble),
            stalls: self.stalls(trouble, workers),
            admin_faults: self.admin_faults(trouble),
            origin_faults: Vec::new(),
            calm_at: trouble,
        };
        case.origin_faults = self.origin_faults(trouble, &case.origins);
        // Intruders speak in their names; and where a SYN arrives twice, two may answer: the engine
        // and Linux, or a cookie. A worker that stood still finds SYNs that Linux has had since.
        let drains = case.admin_faults.iter().any(|fault| fault.kind == AdminFaultKind::Drain);
        let forged = !case.intruders.is_empty()
            || case.cookies != CookieUse::Off
            || !case.stalls.is_empty()
            || drains;
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

    /// Half of the cases run to completion, the others as a pipeline.
    fn workers(self) -> u8 {
        self.dice("arrangement").pick(&[0, 0, 0, 1, 2, 3])
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
        // Nobody tells of what was too large: who does not look for it never gets through (RFC 2923
        // §2.1), nor does Linux with `tcp_mtu_probing=0`.
        let is_silent =
            |network: &NetworkSettings| network.filters_icmp && network.mtu < ETHERNET_MTU;
        if service.client_leg.mtu_probing == MtuProbing::Off
            && case.networks[CLIENTS].iter().any(is_silent)
        {
            service.client_leg.mtu_probing = MtuProbing::Auto;
        }
        service.client_leg.fast_open = dice.percent(30);
        service.max_connections = if dice.percent(20) { dice.between(8, 64) as u32 } else { 2000 };
        if case.cookies == CookieUse::Off && dice.percent(10) {
            service.fallback = dice.pick(&[Fallback::Reset, Fallback::Drop]);
        }
        // What is slow here is so for minutes of virtual time, and not idle.
        service.connect_timeout = secs(60);
        service.idle_timeout = secs(3600);
        let mut dice = self.dice("proxy protocol");
        service.proxy_protocol =
            dice.pick(&[None, None, None, Some(Version::V1), Some(Version::V2)]);
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
}

/// Of both ports [octets].
const ETHERNET_MTU: u16 = 1500;
