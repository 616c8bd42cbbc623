//! The shield's twin: what the XDP program decides, decided here, where Linux does not see the NIC.
//!
//! A port that the engine has to itself (DPDK) brings it every packet. [`Twin::judge`] tells what is
//! the engine's, with the same verdict on every packet as the program in `ebpf/bpf`; a test of the
//! crate (`tests/twin.rs`) runs both on the same packets. What the program can say and the twin
//! cannot is that the engine is late, or has no socket: the twin *is* the engine.
//!
//! What is not the engine's goes to the port's interface in Linux by a [`KernelPath`], which also
//! takes from there what Linux sends by the port. Each packet costs a system call, so a flood must
//! not have them all: packets are of four [classes](Class), and each has a rate of its own.
//!
//! - [`Class::Link`]: what keeps the link together, and nobody beyond it can send. ARP, neighbour and
//!   multicast listener discovery, what IGMP, OSPF and VRRP send to groups, and what is sent to the
//!   bridge's own group of addresses (spanning tree, LACP, LLDP).
//! - [`Class::Control`]: what keeps the network together, and may be forged from afar. BGP, BFD, and
//!   what OSPF and VRRP send to us alone.
//! - [`Class::Connections`]: connections to a service that were given to Linux, or that it had
//!   before.
//! - [`Class::Rest`]: all else.
//!
//! Where a service has cookies on, new connections are answered here, before the engine remembers
//! anything of them; what [`cookie`] carries in the answer comes back to the engine.
//!
//! Start reading at [`Twin::judge`]; `parse.rs` leads from the frame to the connection.

mod answer;
mod bucket;
mod class;
pub mod cookie;
mod kernel_flows;
mod kernel_path;
mod limits;
mod linux;
mod lists;
mod parse;
mod recent;
mod samples;
mod sanity;
mod unknown;

use std::net::{IpAddr, SocketAddr};

pub use class::Class;
pub use kernel_path::{KernelPath, KernelPathCounts, Rates};
pub use linux::LinuxSockets;
use ringroad_ebpf::{
    CookieMode, CookieService, EgressRange, Known, KnownFlows, Lists, ProvenSources, RateLimits,
    Sample, ServiceAddress, ShieldCounters, Verdict,
};
pub use samples::Samples;

use self::answer::Answer;
use self::cookie::Keys;
use self::kernel_flows::KernelFlows;
use self::limits::Limits;
use self::linux::Linux;
use self::lists::{ListMaps, Listed};
use self::parse::{NoSegment, RST, Segment};
use self::samples::Sampler;
use self::unknown::{ProvenFlows, UnknownLimit, brings_cookie};
use crate::flow::FlowKey;
use crate::limits::{KERNEL_FLOWS_MAX, PORTS_PER_LANE_MAX};
use crate::time::Instant;

/// What the twin is told once, at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ports of the lane; the indices in what follows are below it.
    pub ports: usize,
    pub services: Vec<ServiceAddress>,
    pub egress: Vec<EgressRange>,
    /// Whether fragments of TCP to services' addresses are dropped, or Linux's.
    pub drop_fragments: bool,
    /// Whether segments of no connection that is known are dropped, or Linux's as long as they are
    /// few.
    pub drop_unknown: bool,
    pub lists: Lists,
    /// What sources may send, and which of them have completed a handshake: the lane's worker adds
    /// to those. `None`: no limit.
    pub limits: Option<(RateLimits, ProvenSources)>,
    /// By service index; of services beyond the end nothing is answered.
    pub cookies: Vec<CookieService>,
    /// The engine's connections, as it says.
    pub known_flows: KnownFlows,
    /// Where samples of what is refused are put.
    pub samples: Samples,
    /// Secret randomness of its own.
    pub secret: [u8; 16],
}

impl Settings {
    /// The same with another secret: for another lane.
    pub fn with_secret(&self, secret: [u8; 16]) -> Self {
        Settings { secret, ..self.clone() }
    }

    /// Of a lane that serves nothing, lists nobody and limits nothing.
    pub fn new(ports: usize, known_flows: KnownFlows, secret: [u8; 16]) -> Self {
        Settings {
            ports,
            services: Vec::new(),
            egress: Vec::new(),
            drop_fragments: false,
            drop_unknown: false,
            lists: Lists::default(),
            limits: None,
            cookies: Vec::new(),
            known_flows,
            samples: Samples::new(),
            secret,
        }
    }
}

/// The twin of the XDP program, for one lane; see the module.
#[derive(Debug)]
pub struct Twin {
    ports: Vec<PortAddresses>,
    services: Vec<Service>,
    drop_fragments: bool,
    drop_unknown: bool,
    lists: ListMaps,
    common: Common,
    linux: Linux,
    known_flows: KnownFlows,
    proven_flows: ProvenFlows,
    cookie_keys: Keys,
    /// Whether the lane wants new connections answered.
    pressure: bool,
    /// For the engine, answered here or not.
    new_connections: u64,
    /// To the packet that was judged last, if it was answered.
    answer: Answer,
    /// The service that the packet was for which was judged last.
    addressed: Option<usize>,
    counters: ShieldCounters,
    sampler: Sampler,
}

/// What the twins of all lanes have in common: packets of one connection, and of one source, may come
/// to any. Clones share it.
#[derive(Clone, Debug)]
struct Common {
    unknown_limit: UnknownLimit,
    limits: Option<Limits>,
    kernel_flows: KernelFlows,
}

/// What is ours on one port. Short lists, sorted: nobody outside can make a search longer.
#[derive(Debug, Default)]
struct PortAddresses {
    /// Address and TCP port, and whose they are.
    services: Vec<((u128, u16), usize)>,
    /// Address, and first and last of a range of TCP ports.
    egress: Vec<(u128, u16, u16)>,
}

#[derive(Clone, Debug, Default)]
struct Service {
    accepting: bool,
    cookies: CookieService,
    /// Connections that were given to Linux.
    fell_back: u64,
    counters: ShieldCounters,
}

impl Twin {
    /// Takes all memory that the twin will ever need. No service is accepted yet.
    ///
    /// # Panics
    /// If there are more than [`PORTS_PER_LANE_MAX`] ports, or an address is on one that does not
    /// exist. A configuration with either was refused before.
    pub fn new(settings: &Settings) -> Self {
        let limits = settings.limits.as_ref();
        let common = Common {
            unknown_limit: UnknownLimit::default(),
            limits: limits.map(|(limits, proven)| Limits::new(limits, proven.clone())),
            kernel_flows: KernelFlows::new(KERNEL_FLOWS_MAX, &settings.secret),
        };
        Self::with(settings, common)
    }

    /// The twin of another lane: it knows with this one which connections Linux was given, and counts
    /// with it what sources send. `settings` are this one's, but for the secret.
    ///
    /// # Panics
    /// As [`Twin::new`].
    pub fn for_another_lane(&self, settings: &Settings) -> Self {
        Self::with(settings, self.common.clone())
    }

    fn with(settings: &Settings, common: Common) -> Self {
        assert!(settings.ports <= PORTS_PER_LANE_MAX, "{} ports", settings.ports);
        let mut ports: Vec<_> = (0..settings.ports).map(|_| PortAddresses::default()).collect();
        let mut services = Vec::new();
        for ServiceAddress { address, port_index, service_index } in &settings.services {
            let service = *service_index as usize;
            services.resize(services.len().max(service + 1), Service::default());
            ports[*port_index as usize].services.push((local(*address), service));
        }
        for EgressRange { address, ports: range, port_index } in &settings.egress {
            let range = (bits(*address), *range.start(), *range.end());
            ports[*port_index as usize].egress.push(range);
        }
        for port in &mut ports {
            port.services.sort_unstable();
            port.egress.sort_unstable();
        }
        for (service, cookies) in services.iter_mut().zip(&settings.cookies) {
            service.cookies = *cookies;
        }
        Twin {
            ports,
            services,
            drop_fragments: settings.drop_fragments,
            drop_unknown: settings.drop_unknown,
            lists: ListMaps::new(&settings.lists),
            common,
            linux: Linux::unknown(),
            known_flows: settings.known_flows.clone(),
            proven_flows: ProvenFlows::new(&settings.secret),
            cookie_keys: Keys { slots: [[0; 16]; 2], current: 0 },
            pressure: false,
            new_connections: 0,
            answer: Answer::EMPTY,
            addressed: None,
            counters: ShieldCounters::default(),
            sampler: Sampler::new(settings.samples.clone()),
        }
    }

    /// Whose a packet is that `port` received, and counts it. What is not to be dropped
    /// ([`Verdict::is_drop`]) is Linux's, but for [`Verdict::ToEngine`] and [`Verdict::Answered`].
    #[inline]
    pub fn judge(&mut self, now: Instant, port: u8, packet: &[u8]) -> Verdict {
        self.addressed = None;
        let verdict = match parse::parse(packet) {
            Ok(segment) => {
                self.owner(now, port, packet, &segment).unwrap_or_else(|dropped| dropped)
            }
            Err(NoSegment::Fragment(to)) if self.drops_fragments_to(port, to) => {
                Verdict::FragmentDropped
            }
            Err(NoSegment::Fragment(_)) => Verdict::Fragment,
            Err(NoSegment::Other(verdict)) => verdict,
        };
        self.counters.count(verdict);
        if let Some(service) = self.addressed {
            self.services[service].counters.count(verdict);
        }
        if verdict.is_refusal() {
            let service = self.addressed.map(|service| service as u32);
            self.sampler
                .take(now, || Sample::of(packet, now.as_nanos(), port.into(), service, verdict));
        }
        verdict
    }

    /// What goes back by the same port in place of the packet that was judged last, if that was
    /// [`Verdict::Answered`].
    #[inline]
    pub fn answer(&self) -> &[u8] {
        self.answer.octets()
    }

    /// What cookies are sealed with from now on.
    pub fn set_cookie_keys(&mut self, keys: Keys) {
        self.cookie_keys = keys;
    }

    /// When new connections to a service are answered here.
    pub fn set_cookies(&mut self, service: usize, mode: CookieMode) {
        if let Some(service) = self.services.get_mut(service) {
            service.cookies.mode = mode;
        }
    }

    /// The segment sizes that answers for a service say from now on; the rest of `says` is not
    /// looked at.
    pub fn set_cookie_mss(&mut self, service: usize, says: &CookieService) {
        if let Some(service) = self.services.get_mut(service) {
            service.cookies.mss_v4 = says.mss_v4;
            service.cookies.mss_v6 = says.mss_v6;
        }
    }

    /// Whether the lane is under pressure, and wants new connections answered where that is
    /// [`CookieMode::UnderPressure`].
    pub fn set_pressure(&mut self, on: bool) {
        self.pressure = on;
    }

    /// New connections for the engine, answered here or not.
    pub fn new_connections(&self) -> u64 {
        self.new_connections
    }

    /// Whether new connections to a service are the engine's. At first none are.
    pub fn set_accepting(&mut self, service: usize, accepting: bool) {
        // A service without an address has no packets to judge.
        if let Some(service) = self.services.get_mut(service) {
            service.accepting = accepting;
        }
    }

    /// Changes who is denied and who is allowed. Takes memory: for between two bursts.
    pub fn set_lists(&mut self, lists: &Lists) {
        self.lists = ListMaps::new(lists);
    }

    /// Whom to ask for the connections that Linux has. Unless this is said, each SYN opens a new
    /// connection, whatever Linux has between its ends.
    pub fn ask_linux(&mut self, sockets: Box<dyn LinuxSockets>) {
        self.linux.ask(sockets);
    }

    /// A connection that Linux had before the start stays Linux's, as if it had been given its SYN.
    /// `local` is the address of a service.
    pub fn keep_with_kernel(
        &mut self,
        now: Instant,
        port: u8,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        self.common.kernel_flows.insert(now, port, Segment::between(local, remote).flow());
    }

    /// What was decided so far.
    pub fn counters(&self) -> &ShieldCounters {
        &self.counters
    }

    /// The same of packets for each service.
    pub fn counters_by_service(&self) -> impl Iterator<Item = &ShieldCounters> {
        self.services.iter().map(|service| &service.counters)
    }

    /// Connections that were given to Linux, by service.
    pub fn fell_back(&self) -> impl Iterator<Item = u64> + '_ {
        self.services.iter().map(|service| service.fell_back)
    }

    /// Connections that are remembered as Linux's, ended ones included.
    pub fn kernel_flow_count(&self) -> usize {
        self.common.kernel_flows.len()
    }

    pub fn ports(&self) -> usize {
        self.ports.len()
    }

    /// Whose a segment is, or an ICMP error about one; or why it is dropped.
    #[inline]
    fn owner(
        &mut self,
        now: Instant,
        port: u8,
        packet: &[u8],
        segment: &Segment<'_>,
    ) -> Result<Verdict, Verdict> {
        let opens = segment.is_new_connection();
        let known = if opens { Known::No } else { self.known(port, &segment.flow()) };
        if let Known::Yes { .. } = known {
            self.refuse(now, port, packet.len(), segment, false)?;
            return Ok(Verdict::ToEngine);
        }
        let addresses = &self.ports[usize::from(port)];
        let service = addresses.service(segment);
        if service.is_none() && !addresses.is_egress(segment) {
            return Ok(Verdict::NotOurs);
        }
        self.addressed = service;
        let is_new = service.is_some() && opens;
        self.refuse(now, port, packet.len(), segment, is_new)?;
        match service {
            Some(service) if is_new => Ok(self.new_connection(now, port, packet, segment, service)),
            _ => self.other_segment(now, port, segment, service, known),
        }
    }

    /// A segment that opens nothing, of a connection that the engine has not said to be its own.
    /// What follows a SYN to Linux goes there too.
    fn other_segment(
        &mut self,
        now: Instant,
        port: u8,
        segment: &Segment<'_>,
        service: Option<usize>,
        known: Known,
    ) -> Result<Verdict, Verdict> {
        let flow = segment.flow();
        if service.is_some()
            && self.common.kernel_flows.are_live(now)
            && self.common.kernel_flows.contains(now, port, &flow)
        {
            return Ok(Verdict::KernelFlow);
        }
        // A SYN from an origin was not looked up before.
        let may_be_known = known == Known::Maybe
            || (segment.is_new_connection() && self.known(port, &flow) != Known::No);
        if may_be_known {
            return Ok(Verdict::ToEngine);
        }
        let proven = service.and_then(|service| self.proven(now, port, segment, service));
        proven.map_or_else(|| self.unknown(now, segment), Ok)
    }

    /// A segment that brings a cookie makes a new connection. It and those behind it pass until the
    /// engine says that it has it. `None`: none of this.
    fn proven(
        &mut self,
        now: Instant,
        port: u8,
        segment: &Segment<'_>,
        service: usize,
    ) -> Option<Verdict> {
        let flow = segment.flow();
        if self.services[service].cookies.mode == CookieMode::Off {
            return None;
        }
        if self.proven_flows.contains(now, port, &flow) {
            return Some(Verdict::ToEngine);
        }
        if !brings_cookie(&self.cookie_keys, segment) {
            return None;
        }
        if !self.services[service].accepting {
            return Some(self.fall_open(now, port, flow, service));
        }
        self.proven_flows.insert(now, port, &flow);
        Some(Verdict::ToEngine)
    }

    /// Linux answers with a reset (RFC 9293 §3.10.7.1), where the operator wants that, and as long as
    /// they are few. Nobody answers a reset. An error about a segment may be about one of Linux's.
    fn unknown(&mut self, now: Instant, segment: &Segment<'_>) -> Result<Verdict, Verdict> {
        let is_for_linux = !self.drop_unknown
            && match segment.flags {
                Some(flags) => flags & RST == 0 && self.common.unknown_limit.take(now),
                None => true,
            };
        is_for_linux.then_some(Verdict::Unknown).ok_or(Verdict::UnknownDropped)
    }

    /// Linux gets this new connection, and all that follows. A SYN sent again is no news.
    fn fall_open(&mut self, now: Instant, port: u8, flow: FlowKey, service: usize) -> Verdict {
        if self.common.kernel_flows.insert(now, port, flow) {
            self.services[service].fell_back += 1;
        }
        Verdict::NotAccepting
    }

    /// Whether a connection between the ends of a SYN was given to Linux and is still there: then it is
    /// Linux that says what becomes of it (RFC 5961 §4), whoever has sent the SYN. One that has ended
    /// makes room for the engine's.
    fn remains_linuxs(&mut self, now: Instant, port: u8, flow: &FlowKey) -> bool {
        if !self.common.kernel_flows.has(port, flow) {
            return false;
        }
        if self.linux.has(now, flow) {
            return self.common.kernel_flows.contains(now, port, flow);
        }
        self.common.kernel_flows.remove(port, flow);
        false
    }

    #[inline]
    fn known(&self, port: u8, flow: &FlowKey) -> Known {
        self.known_flows.find(port.into(), &flow.to_octets())
    }

    /// Ports are in the first fragment alone, so that all to a service's address have one fate.
    fn drops_fragments_to(&self, port: u8, address: u128) -> bool {
        let services = &self.ports[usize::from(port)].services;
        self.drop_fragments && services.iter().any(|((service, _), _)| *service == address)
    }

    /// Why a packet to us is dropped whoever would have it.
    #[inline]
    fn refuse(
        &mut self,
        now: Instant,
        port: u8,
        octets: usize,
        segment: &Segment,
        is_new: bool,
    ) -> Result<(), Verdict> {
        sanity::check(segment)?;
        match self.lists.listed(segment) {
            Some(Listed::Deny) => return Err(Verdict::Denied),
            Some(Listed::Allow) => return Ok(()),
            None => {}
        }
        let Some(limits) = &self.common.limits else { return Ok(()) };
        if !limits.concern(is_new) || self.ports[usize::from(port)].service(segment).is_none() {
            return Ok(());
        }
        limits.charge(now, segment, octets, is_new, &mut self.counters.buckets_evicted)
    }

    fn new_connection(
        &mut self,
        now: Instant,
        port: u8,
        packet: &[u8],
        segment: &Segment<'_>,
        service: usize,
    ) -> Verdict {
        // Anybody may have sent it: the engine ends its connection between these ends, or does not;
        // and it alone knows by what number it has answered the SYN before, if it is one sent again.
        // So may every other segment of the connection come, which costs as much.
        if let Known::Yes { .. } = self.known(port, &segment.flow()) {
            return Verdict::ToEngine;
        }
        if !self.services[service].accepting {
            return self.fall_open(now, port, segment.flow(), service);
        }
        if self.common.kernel_flows.are_live(now) && self.remains_linuxs(now, port, &segment.flow())
        {
            return Verdict::KernelFlow;
        }
        self.new_connections += 1;
        let cookies = &self.services[service].cookies;
        let answers_now = match cookies.mode {
            CookieMode::Off => false,
            CookieMode::Always => true,
            CookieMode::UnderPressure => self.pressure,
        };
        if answers_now && self.answer.write(packet, segment, cookies, &self.cookie_keys) {
            Verdict::Answered
        } else {
            Verdict::ToEngine
        }
    }
}

impl PortAddresses {
    #[inline]
    fn service(&self, segment: &Segment<'_>) -> Option<usize> {
        let found = self.services.binary_search_by_key(&segment.local, |(address, _)| *address);
        Some(self.services[found.ok()?].1)
    }

    #[inline]
    fn is_egress(&self, segment: &Segment<'_>) -> bool {
        let (address, port) = segment.local;
        let first = self.egress.partition_point(|range| range.0 < address);
        let mut ranges = self.egress[first..].iter().take_while(|range| range.0 == address);
        ranges.any(|&(_, first, last)| (first..=last).contains(&port))
    }
}

/// An address and port as [`Segment`] has them.
fn local(address: SocketAddr) -> (u128, u16) {
    (bits(address.ip()), address.port())
}

/// IPv4 addresses are mapped (RFC 4291 §2.5.5.2).
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests;
