//! What the shield is to do, and the tables that follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::limits::{
    EGRESS_ADDRESSES_MAX, EGRESS_RANGES_MAX, FINGERPRINTS_MAX, PORTS_MAX, SERVICE_ADDRESSES_MAX,
    SERVICES_MAX,
};
use crate::lists::ListEntries;
use crate::skeleton::types;
use crate::{AttachMode, Lists, RateLimits, ShieldError, abi};

/// After this long without a heartbeat new connections are the kernel's, unless told otherwise.
const HEARTBEAT_LIMIT: Duration = Duration::from_millis(100);

/// Connections of the engine's that are told apart, unless told otherwise.
const KNOWN_FLOWS: usize = 1 << 16;

#[derive(Clone, Debug)]
pub struct ShieldSettings {
    /// Their places in this list are the port indices of everything else.
    pub ports: Vec<PortSettings>,
    pub services: Vec<ServiceAddress>,
    pub egress: Vec<EgressRange>,
    /// Whether fragments of TCP to services' addresses are dropped, or the kernel's.
    pub drop_fragments: bool,
    /// Whether segments of no connection that is known, to services and egress ranges, are dropped.
    /// The kernel gets them else, and answers with a reset, up to
    /// [`UNKNOWN_TO_KERNEL_PER_SECOND`](crate::limits::UNKNOWN_TO_KERNEL_PER_SECOND).
    pub drop_unknown: bool,
    pub lists: Lists,
    pub rate_limits: RateLimits,
    /// By service index; of services beyond the end nothing is answered.
    pub cookies: Vec<CookieService>,
    /// Whether answers leave by a redirect: for veth devices, which else do not wake their peers for
    /// them unless those have an XDP program, too.
    pub redirect_answers: bool,
    pub heartbeat_limit: Duration,
    /// Connections that the engine may have at a time; see [`crate::KnownFlows`].
    pub known_flows: usize,
}

/// An interface to attach to.
#[derive(Clone, Debug)]
pub struct PortSettings {
    pub ifindex: u32,
    /// For messages.
    pub interface: String,
    pub mode: AttachMode,
}

/// One address and port that a service listens on. A service may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    pub address: SocketAddr,
    pub port_index: u32,
    pub service_index: u32,
}

/// When new connections to a service are answered without the engine, by SYN cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookieMode {
    #[default]
    Off,
    Always,
    /// While the lane says so: see [`crate::Control::set_pressure`].
    UnderPressure,
}

/// How new connections to a service are answered without the engine (RFC 4987 §3.6): by what is
/// said to the client in the SYN-ACK. Off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CookieService {
    /// Our maximum segment size over IPv4 [octets].
    pub mss_v4: u16,
    /// Over IPv6 [octets].
    pub mss_v6: u16,
    /// Our receive window, which in a SYN-ACK is never scaled (RFC 7323 §2.2) [octets].
    pub window: u16,
    /// Of our later windows, for clients that offer to scale theirs; at most 14.
    pub window_scale: u8,
    /// Whether clients that ask for ECN are agreed with (RFC 3168 §6.1.1). Those that send no
    /// timestamps are not: there is no room to remember it.
    pub ecn: bool,
    pub mode: CookieMode,
}

/// An address that the engine connects from, and the source ports that are the engine's there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressRange {
    pub address: IpAddr,
    pub ports: RangeInclusive<u16>,
    pub port_index: u32,
}

impl Default for ShieldSettings {
    fn default() -> Self {
        ShieldSettings {
            ports: Vec::new(),
            services: Vec::new(),
            egress: Vec::new(),
            drop_fragments: false,
            drop_unknown: false,
            redirect_answers: false,
            lists: Lists::default(),
            rate_limits: RateLimits::default(),
            cookies: Vec::new(),
            heartbeat_limit: HEARTBEAT_LIMIT,
            known_flows: KNOWN_FLOWS,
        }
    }
}

impl ShieldSettings {
    /// Whether they are within the shield's bounds and agree with each other: refused here is what
    /// [`crate::Shield::load`] would refuse, without touching anything.
    pub fn check(&self) -> Result<(), ShieldError> {
        check_ports(&self.ports)?;
        service_entries(&self.ports, &self.services)?;
        egress_entries(&self.ports, &self.egress)?;
        ListEntries::new(&self.lists)?;
        self.rate_limits.check()?;
        check_known_flows(self.known_flows)?;
        check_cookies(&self.cookies)
    }
}

/// Entries of one map, as octets.
pub(crate) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Checks that there are not too many ports.
pub(crate) fn check_ports(ports: &[PortSettings]) -> Result<(), ShieldError> {
    if ports.len() > PORTS_MAX { Err(ShieldError::TooManyPorts(ports.len())) } else { Ok(()) }
}

/// Checks that there are not too many connections to know.
pub(crate) fn check_known_flows(count: usize) -> Result<(), ShieldError> {
    if count > FINGERPRINTS_MAX { Err(ShieldError::TooManyKnownFlows(count)) } else { Ok(()) }
}

/// Checks that there are not too many services.
pub(crate) fn check_cookies(cookies: &[CookieService]) -> Result<(), ShieldError> {
    match u32::try_from(cookies.len().saturating_sub(1)) {
        Ok(last) if (last as usize) < SERVICES_MAX => Ok(()),
        last => Err(ShieldError::ServiceOutOfRange(last.unwrap_or(u32::MAX))),
    }
}

pub(crate) fn service_entries(
    ports: &[PortSettings],
    services: &[ServiceAddress],
) -> Result<Entries, ShieldError> {
    let mut entries = Entries::new();
    for &ServiceAddress { address, port_index, service_index } in services {
        if service_index as usize >= SERVICES_MAX {
            return Err(ShieldError::ServiceOutOfRange(service_index));
        }
        let key = types::service_key {
            address: abi::address(address.ip()),
            ifindex: ifindex(ports, port_index)?,
            port: address.port().to_be(),
            protocol: libc::IPPROTO_TCP as u8,
            zero: 0,
        };
        let value = types::service { port_index, service_index };
        let value = abi::octets(&value).to_vec();
        let earlier = entries.insert(abi::octets(&key).to_vec(), value.clone());
        if earlier.is_some_and(|earlier| earlier != value) {
            return Err(ShieldError::DuplicateServiceAddress { address, port_index });
        }
    }
    if entries.len() > SERVICE_ADDRESSES_MAX {
        return Err(ShieldError::TooManyServiceAddresses(entries.len()));
    }
    Ok(entries)
}

/// The addresses of `services`, by interface.
pub(crate) fn address_entries(
    ports: &[PortSettings],
    services: &[ServiceAddress],
) -> Result<Entries, ShieldError> {
    let mut entries = Entries::new();
    for ServiceAddress { address, port_index, .. } in services {
        let key = types::egress_key {
            address: abi::address(address.ip()),
            ifindex: ifindex(ports, *port_index)?,
        };
        entries.insert(abi::octets(&key).to_vec(), vec![1]);
    }
    Ok(entries)
}

pub(crate) fn egress_entries(
    ports: &[PortSettings],
    egress: &[EgressRange],
) -> Result<Entries, ShieldError> {
    let addresses: BTreeSet<_> =
        egress.iter().map(|range| (range.port_index, range.address)).collect();
    let mut entries = Entries::new();
    for (port_index, address) in addresses {
        let given = egress
            .iter()
            .filter(|range| (range.port_index, range.address) == (port_index, address))
            .map(|range| range.ports.clone());
        let ranges = joined(given.collect());
        if ranges.len() > EGRESS_RANGES_MAX {
            return Err(ShieldError::TooManyEgressRanges { address, ranges: ranges.len() });
        }
        let mut value = types::egress {
            port_index,
            range_count: ranges.len() as u32,
            ..types::egress::default()
        };
        for (slot, range) in value.ranges.iter_mut().zip(&ranges) {
            *slot = types::port_range { first: *range.start(), last: *range.end() };
        }
        let key = types::egress_key {
            address: abi::address(address),
            ifindex: ifindex(ports, port_index)?,
        };
        entries.insert(abi::octets(&key).to_vec(), abi::octets(&value).to_vec());
    }
    if entries.len() > EGRESS_ADDRESSES_MAX {
        return Err(ShieldError::TooManyEgressAddresses(entries.len()));
    }
    Ok(entries)
}

/// The same ports in as few ranges as possible, in order.
fn joined(mut ranges: Vec<RangeInclusive<u16>>) -> Vec<RangeInclusive<u16>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| *range.start());
    let mut joined: Vec<RangeInclusive<u16>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => joined.push(range),
        }
    }
    joined
}

fn ifindex(ports: &[PortSettings], port_index: u32) -> Result<u32, ShieldError> {
    let port = ports.get(port_index as usize).ok_or(ShieldError::UnknownPort(port_index))?;
    Ok(port.ifindex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ifindex: u32) -> PortSettings {
        PortSettings { ifindex, interface: format!("if{ifindex}"), mode: AttachMode::Auto }
    }

    fn egress(ports: RangeInclusive<u16>) -> EgressRange {
        EgressRange { address: IpAddr::from([10, 0, 0, 1]), ports, port_index: 0 }
    }

    #[test]
    fn ranges_that_touch_or_overlap_become_one() {
        let ranges =
            vec![300..=400, 100..=200, 201..=250, 240..=260, 65_000..=65_535, 65_535..=65_535];
        assert_eq!(joined(ranges), [100..=260, 300..=400, 65_000..=65_535]);
        let (first, last) = (9, 1);
        assert_eq!(joined(vec![first..=last]), []);
    }

    #[test]
    fn too_many_ranges_of_one_address_are_refused() {
        let ranges: Vec<_> = (0..9).map(|i| egress(i * 100..=i * 100 + 10)).collect();
        assert!(egress_entries(&[port(1)], &ranges[..8]).is_ok());
        assert!(matches!(
            egress_entries(&[port(1)], &ranges),
            Err(ShieldError::TooManyEgressRanges { ranges: 9, .. })
        ));
    }

    #[test]
    fn an_address_belongs_to_one_service_but_may_be_said_twice() {
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let first = ServiceAddress { address, port_index: 0, service_index: 0 };
        let other = ServiceAddress { service_index: 1, ..first };
        let elsewhere = ServiceAddress { port_index: 1, ..other };
        let ports = [port(1), port(2)];
        assert_eq!(service_entries(&ports, &[first, first]).map(|e| e.len()).ok(), Some(1));
        assert_eq!(service_entries(&ports, &[first, elsewhere]).map(|e| e.len()).ok(), Some(2));
        assert!(matches!(
            service_entries(&ports, &[first, other]),
            Err(ShieldError::DuplicateServiceAddress { .. })
        ));
    }

    #[test]
    fn what_names_no_port_or_no_service_is_refused() {
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let lost = ServiceAddress { address, port_index: 1, service_index: 0 };
        assert!(matches!(service_entries(&[port(1)], &[lost]), Err(ShieldError::UnknownPort(1))));
        let beyond = ServiceAddress { address, port_index: 0, service_index: 1024 };
        assert!(matches!(
            service_entries(&[port(1)], &[beyond]),
            Err(ShieldError::ServiceOutOfRange(1024))
        ));
    }
}
