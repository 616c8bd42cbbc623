//! What a world is made from, as a test asks for it.

use ringroad_ebpf::{CookieMode, CookieService, FingerprintKey, KnownFlows, ProvenSources};
use ringroad_engine::frame::FramePool;
use ringroad_engine::port::sim;
use ringroad_engine::proxy::proxy_protocol::Version;
use ringroad_engine::proxy::{Fallback, ServiceSettings, cookie_service};
use ringroad_engine::stage::Cookies;
use ringroad_engine::tcp::LegSettings;

use super::{CLIENTS, IFINDEX, origin, origin_settings, secs, service, service_v6};

/// See the module.
#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    pub frames: usize,
    pub device: sim::Settings,
    pub service: ServiceSettings,
    pub neighbours_known: bool,
    /// When the twin answers SYNs, where there is one.
    pub cookies: Cookies,
    /// Whether the devices are said to verify checksums.
    pub verified: bool,
    /// Workers on cores of their own; none: one lane does all.
    pub workers: u8,
    /// What the shield, if there is one, knows of the engine's connections.
    pub known_flows: KnownFlows,
    pub proven_sources: Option<ProvenSources>,
    /// Whether a test that fails is to say how it is run again with this seed.
    pub is_replayed_by_seed: bool,
}

impl Plan {
    pub fn new(seed: u64) -> Plan {
        Plan {
            seed,
            frames: 4096,
            device: sim::Settings { packet_max: 1522, ..sim::Settings::default() },
            service: ServiceSettings {
                name: "web".to_owned(),
                listen: vec![service(), service_v6()],
                port: CLIENTS as u8,
                origins: vec![origin_settings(origin(1))],
                client_leg: LegSettings::default(),
                origin_leg: LegSettings::default(),
                proxy_protocol: None,
                max_connections: 2000,
                fallback: Fallback::Kernel,
                connect_timeout: secs(3),
                idle_timeout: secs(60),
            },
            neighbours_known: true,
            cookies: Cookies::Off,
            verified: false,
            workers: 0,
            known_flows: KnownFlows::new(
                &IFINDEX,
                4096,
                FingerprintKey::new(b"the quick brown fox jumps over the lazy dog, ok."),
            ),
            proven_sources: None,
            is_replayed_by_seed: true,
        }
    }

    /// Packet memory of the plan's size.
    pub fn pool(&self) -> FramePool {
        FramePool::in_memory(self.frames, 2048)
    }

    pub(super) fn cookie_service(&self) -> CookieService {
        let mode = match self.cookies {
            Cookies::Off => CookieMode::Off,
            Cookies::Always => CookieMode::Always,
            Cookies::UnderPressure(_) => CookieMode::UnderPressure,
        };
        CookieService { mode, ..cookie_service(&self.service.client_leg, 1500, u16::MAX) }
    }

    pub fn origins(mut self, count: u8) -> Plan {
        self.service.origins = (1..=count).map(|n| origin_settings(origin(n))).collect();
        self
    }

    pub fn proxy_protocol(mut self, version: Version) -> Plan {
        self.service.proxy_protocol = Some(version);
        self
    }
}
