//! Services: the addresses that clients connect to, and the origins behind them.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ringroad_ebpf::{CookieMode, CookieService};

use super::proxy_protocol::Version;
use super::{FastOpens, Health, Side, SourcePorts};
use crate::flow::{FlowHasher, Owner};
use crate::tcp::settings::{Family, mss_within};
use crate::tcp::{EcnPolicy, LegSettings};
use crate::telemetry::{OriginCounters, PathSums, ServiceCounters};

/// What an operator asked of one service, resolved against the host.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    pub name: String,
    pub listen: Vec<SocketAddr>,
    /// The port of the lane that clients come by.
    pub port: u8,
    pub origins: Vec<OriginSettings>,
    pub client_leg: LegSettings,
    pub origin_leg: LegSettings,
    /// Header that an origin expects in front of the client's data.
    pub proxy_protocol: Option<Version>,
    /// Proxied connections at one time [connections].
    pub max_connections: u32,
    pub fallback: Fallback,
    pub connect_timeout: Duration,
    /// A pair on which no payload moved for this long is reset.
    pub idle_timeout: Duration,
}

/// One origin, and how it is reached.
#[derive(Clone, Debug)]
pub struct OriginSettings {
    pub address: SocketAddr,
    /// The port that its segments come by.
    pub egress_port: u8,
    pub egress_address: IpAddr,
    pub source_ports: RangeInclusive<u16>,
}

/// What becomes of new connections that the engine does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// They are left to whatever listens on the address in Linux.
    Kernel,
    /// They are answered with a reset.
    Reset,
    /// They are not answered.
    Drop,
}

/// What a SYN-ACK says of us to clients of `leg` that come by a port of `mtu` octets, where the shield
/// writes it: no more than the connection keeps that the engine makes of its ACK.
/// `origin_mss` is the least MSS that the service's origins take: [`u16::MAX`] while unknown.
pub fn cookie_service(leg: &LegSettings, mtu: u16, origin_mss: u16) -> CookieService {
    CookieService {
        mss_v4: mss_within(mtu, Family::V4).min(origin_mss),
        mss_v6: mss_within(mtu, Family::V6).min(origin_mss),
        window: leg.initial_window(),
        window_scale: leg.window_scale(),
        ecn: leg.ecn != EcnPolicy::Off,
        mode: CookieMode::Always,
    }
}

/// A service at work on one lane.
#[derive(Debug)]
pub struct Service {
    pub settings: ServiceSettings,
    pub origins: Vec<Origin>,
    pub counters: ServiceCounters,
    /// What was seen of the ways to its clients, all together.
    pub client_path: PathSums,
    pub fast_opens: FastOpens,
    next_origin: usize,
    /// The least of the origins'.
    origin_mss: u16,
}

/// An origin at work on one lane.
#[derive(Debug)]
pub struct Origin {
    pub address: SocketAddr,
    pub egress_port: u8,
    pub egress_address: IpAddr,
    pub source_ports: SourcePorts,
    /// The MSS it offered last [octets]; what clients are offered follows it, so that their
    /// segments fit and need no copying.
    pub mss: u16,
    pub health: Health,
    pub counters: OriginCounters,
    /// What was seen of the way to it.
    pub path: PathSums,
}

impl Service {
    /// `owner` and `hasher`: the worker's. `seed` makes the order of the source ports hard to guess.
    pub fn new(settings: ServiceSettings, owner: &Owner, hasher: &FlowHasher, seed: u64) -> Self {
        let origins = settings.origins.iter().enumerate().map(|(index, origin)| Origin {
            address: origin.address,
            egress_port: origin.egress_port,
            egress_address: origin.egress_address,
            source_ports: SourcePorts::new(
                origin.source_ports_of(owner, hasher),
                seed ^ index as u64,
            ),
            mss: u16::MAX,
            health: Health::default(),
            counters: OriginCounters::default(),
            path: PathSums::default(),
        });
        let origins = origins.collect();
        Service {
            settings,
            origins,
            counters: ServiceCounters::default(),
            client_path: PathSums::default(),
            fast_opens: FastOpens::new(),
            next_origin: 0,
            origin_mss: u16::MAX,
        }
    }

    /// The origin of a pair.
    pub fn origin_mut(&mut self, origin: u16) -> &mut Origin {
        &mut self.origins[usize::from(origin)]
    }

    /// The next origin in turn (round robin).
    pub fn choose_origin(&mut self) -> usize {
        let chosen = self.next_origin;
        self.next_origin = (chosen + 1) % self.origins.len();
        chosen
    }

    /// The MSS that every origin is known to take [octets].
    #[inline]
    pub fn origin_mss(&self) -> u16 {
        self.origin_mss
    }

    /// An origin has offered its MSS [octets].
    pub fn learn_origin_mss(&mut self, origin: usize, mss: u16) {
        if self.origins[origin].mss != mss {
            self.origins[origin].mss = mss;
            let least = self.origins.iter().map(|origin| origin.mss).min();
            self.origin_mss = least.unwrap_or(u16::MAX);
        }
    }

    /// What was seen of its paths: to the clients, then to each origin.
    pub fn paths(&self) -> impl Iterator<Item = &PathSums> {
        std::iter::once(&self.client_path).chain(self.origins.iter().map(|origin| &origin.path))
    }

    /// The same of one side of a pair, whose origin is the one at `origin`.
    pub fn path_mut(&mut self, side: Side, origin: u16) -> &mut PathSums {
        match side {
            Side::Client => &mut self.client_path,
            Side::Origin => &mut self.origin_mut(origin).path,
        }
    }

    /// Whether another connection may be taken.
    pub fn has_room(&self) -> bool {
        self.counters.active < u64::from(self.settings.max_connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shield_says_is_what_all_on_the_way_can_take() {
        let leg = LegSettings { receive_room: 1 << 20, ..LegSettings::default() };
        let unknown = cookie_service(&leg, 9000, u16::MAX);
        assert_eq!((unknown.mss_v4, unknown.mss_v6), (8960, 8940));
        assert_eq!((unknown.window, unknown.window_scale), (65_535, 5));
        let known = cookie_service(&leg, 1500, 1448);
        assert_eq!((known.mss_v4, known.mss_v6), (1448, 1440));
        assert!(known.ecn);
        let unwilling = LegSettings { ecn: EcnPolicy::Off, ..leg };
        assert!(!cookie_service(&unwilling, 1500, 1448).ecn);
        let small = LegSettings { receive_room: 30_000, ..leg };
        assert_eq!(cookie_service(&small, 1500, 1448).window, 30_000);
        assert_eq!(cookie_service(&small, 1500, 1448).window_scale, 0);
    }
}
