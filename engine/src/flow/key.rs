//! The name of a flow: two addresses and two ports.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::wire::icmp::IcmpError;
use crate::wire::packet::{Packet, Transport};
use crate::wire::tcp::TcpHeader;

/// One TCP connection as seen from our side: the local end, then the remote one.
///
/// IPv4 addresses are kept as IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2), so that there is
/// one kind of key. No packet can carry a mapped address in an IPv6 header and be taken for the
/// IPv4 flow of the same name, as long as the caller refuses such packets, as it must anyway
/// (RFC 4942 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey {
    local: [u8; 16],
    remote: [u8; 16],
    local_port: u16,
    remote_port: u16,
}

impl FlowKey {
    /// Length of [`FlowKey::to_octets`].
    pub const OCTETS: usize = 36;

    /// The connection between `local` and `remote`. Scopes and flow labels are not part of it.
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        FlowKey {
            local: octets(local.ip()),
            remote: octets(remote.ip()),
            local_port: local.port(),
            remote_port: remote.port(),
        }
    }

    /// Straight from the fields of an IPv4 packet that was sent to us.
    #[inline]
    pub fn from_ipv4(local: ([u8; 4], u16), remote: ([u8; 4], u16)) -> Self {
        FlowKey {
            local: mapped(local.0),
            remote: mapped(remote.0),
            local_port: local.1,
            remote_port: remote.1,
        }
    }

    /// Straight from the fields of an IPv6 packet that was sent to us.
    #[inline]
    pub fn from_ipv6(local: ([u8; 16], u16), remote: ([u8; 16], u16)) -> Self {
        FlowKey { local: local.0, remote: remote.0, local_port: local.1, remote_port: remote.1 }
    }

    /// The flow that a packet is about that was sent to us; `None` if it is neither TCP nor an error
    /// about that.
    #[inline]
    pub fn of_packet(packet: &Packet) -> Option<Self> {
        match &packet.transport {
            Transport::Tcp { header, .. } => Some(FlowKey::of_segment(packet, header)),
            Transport::IcmpError(error) => Some(FlowKey::of_quoted(error)),
            Transport::Other => None,
        }
    }

    /// The flow of a segment that was sent to us.
    #[inline]
    pub fn of_segment(packet: &Packet, header: &TcpHeader) -> Self {
        match (packet.destination, packet.source) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => FlowKey::from_ipv4(
                (local.octets(), header.destination_port),
                (remote.octets(), header.source_port),
            ),
            (local, remote) => FlowKey::new(
                SocketAddr::new(local, header.destination_port),
                SocketAddr::new(remote, header.source_port),
            ),
        }
    }

    /// The flow of the segment of ours that an error is about.
    pub fn of_quoted(error: &IcmpError) -> Self {
        let quoted = &error.quoted;
        FlowKey::new(
            SocketAddr::new(quoted.source, quoted.source_port),
            SocketAddr::new(quoted.destination, quoted.destination_port),
        )
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        SocketAddr::new(address(self.local), self.local_port)
    }

    /// The other end.
    pub fn remote(&self) -> SocketAddr {
        SocketAddr::new(address(self.remote), self.remote_port)
    }

    #[inline]
    pub fn is_ipv4(&self) -> bool {
        self.local.starts_with(&MAPPED)
    }

    /// The same connection as the other end sees it.
    #[inline]
    #[must_use]
    pub fn reversed(&self) -> Self {
        FlowKey {
            local: self.remote,
            remote: self.local,
            local_port: self.remote_port,
            remote_port: self.local_port,
        }
    }

    /// Local address, remote address, local port, remote port, in network order: what is hashed.
    #[inline]
    pub fn to_octets(&self) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        octets[..16].copy_from_slice(&self.local);
        octets[16..32].copy_from_slice(&self.remote);
        octets[32..34].copy_from_slice(&self.local_port.to_be_bytes());
        octets[34..].copy_from_slice(&self.remote_port.to_be_bytes());
        octets
    }

    /// The same octets for both directions of a flow: the end that sorts first comes first.
    #[inline]
    pub fn to_octets_symmetric(&self) -> [u8; Self::OCTETS] {
        if (self.local, self.local_port) <= (self.remote, self.remote_port) {
            self.to_octets()
        } else {
            self.reversed().to_octets()
        }
    }
}

/// Local end first, as `ss` and `netstat` print it.
impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.local(), self.remote())
    }
}

impl fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowKey({self})")
    }
}

/// The first octets of an IPv4-mapped address.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

#[inline]
fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => mapped(Ipv4Addr::octets(&v4)),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn address(octets: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(octets).to_canonical()
}

const _: () = assert!(size_of::<FlowKey>() == FlowKey::OCTETS);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn both_families_come_back_as_they_went_in() {
        for (local, remote) in [
            ("10.10.1.1:80", "198.51.100.7:40000"),
            ("[fd00:1::1]:443", "[2001:db8::7]:65535"),
            ("0.0.0.0:0", "255.255.255.255:1"),
        ] {
            let key = FlowKey::new(at(local), at(remote));
            assert_eq!((key.local(), key.remote()), (at(local), at(remote)));
            assert_eq!(key.to_string(), format!("{local} {remote}"));
            assert_eq!(key.is_ipv4(), at(local).is_ipv4());
        }
    }

    #[test]
    fn packet_fields_and_socket_addresses_name_the_same_flow() {
        assert_eq!(
            FlowKey::from_ipv4(([10, 10, 1, 1], 80), ([198, 51, 100, 7], 40000)),
            FlowKey::new(at("10.10.1.1:80"), at("198.51.100.7:40000"))
        );
        let v6: Ipv6Addr = "fd00::1".parse().unwrap();
        assert_eq!(
            FlowKey::from_ipv6((v6.octets(), 80), (v6.octets(), 81)),
            FlowKey::new(at("[fd00::1]:80"), at("[fd00::1]:81"))
        );
    }

    #[test]
    fn directions_differ_unless_asked_for_symmetric_octets() {
        for remote in ["198.51.100.7:40000", "10.10.1.1:81", "9.0.0.1:80", "10.10.1.1:79"] {
            let key = FlowKey::new(at("10.10.1.1:80"), at(remote));
            assert_ne!(key, key.reversed());
            assert_eq!(key, key.reversed().reversed());
            assert_ne!(key.to_octets(), key.reversed().to_octets());
            assert_eq!(key.to_octets_symmetric(), key.reversed().to_octets_symmetric());
        }
    }
}
