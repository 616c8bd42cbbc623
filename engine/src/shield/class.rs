//! Which packets for Linux matter most.

use ringroad_ebpf::Verdict;

use super::parse::{Cursor, IPV4_FRAGMENT_MASK, ether_type, skip_extensions, u16_at};
use crate::wire::ethernet::EtherType;
use crate::wire::ip::{PROTOCOL_ICMPV6, PROTOCOL_TCP};

/// What a packet for Linux is to it; see the [room](super). Each class has a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What keeps the link together, and nobody beyond it can send.
    Link,
    /// What keeps the network together.
    Control,
    /// Connections to a service that are Linux's.
    Connections,
    Rest,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Link, Class::Control, Class::Connections, Class::Rest];

    /// Of a packet that was judged to be Linux's.
    pub fn of(verdict: Verdict, packet: &[u8]) -> Class {
        match verdict {
            Verdict::KernelFlow | Verdict::NotAccepting => Class::Connections,
            _ => of_content(packet).unwrap_or(Class::Rest),
        }
    }
}

/// `None` for what is too short to say.
fn of_content(packet: &[u8]) -> Option<Class> {
    if is_for_the_bridge(packet) {
        return Some(Class::Link);
    }
    let mut cursor = Cursor(packet);
    let (protocol, hop_limit, payload) = match ether_type(&mut cursor)? {
        EtherType::ARP => return Some(Class::Link),
        EtherType::IPV4 => {
            let ip = cursor.take::<20>()?;
            // The first alone would say what it is, and none of them is of use by itself.
            if u16_at(ip, 6) & IPV4_FRAGMENT_MASK != 0 {
                return Some(Class::Rest);
            }
            cursor.skip((usize::from(ip[0] & 0x0f) * 4).checked_sub(ip.len())?)?;
            (ip[9], ip[8], cursor.0)
        }
        EtherType::IPV6 => {
            let ip = cursor.take::<40>()?;
            // Listener reports have a router alert in front (RFC 3810 §5).
            let next = skip_extensions(&mut cursor, ip[6], &mut usize::from(u16_at(ip, 4)))?;
            (next, ip[7], cursor.0)
        }
        _ => return Some(Class::Rest),
    };
    Some(match protocol {
        // Routers pass on to us what is for our own Ethernet address.
        IGMP | OSPF | VRRP if is_for_a_group(packet) => Class::Link,
        PROTOCOL_ICMPV6 => match payload.first()? {
            // RFC 4861 §7.1: what has come through a router is discarded.
            133..=137 if hop_limit == u8::MAX => Class::Link,
            130..=132 | 143 if is_for_a_group(packet) => Class::Link,
            _ => Class::Rest,
        },
        OSPF | VRRP => Class::Control,
        PROTOCOL_TCP if ports(payload)?.contains(&BGP) => Class::Control,
        UDP if BFD.contains(&ports(payload)?[1]) => Class::Control,
        _ => Class::Rest,
    })
}

/// Whether a packet is for several stations.
fn is_for_a_group(packet: &[u8]) -> bool {
    packet.first().is_some_and(|octet| octet & 1 == 1)
}

/// IEEE 802.1Q §8.6.3: the group of addresses that no bridge passes on: spanning tree, LACP, LLDP
/// and their like.
fn is_for_the_bridge(packet: &[u8]) -> bool {
    matches!(packet, [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x0f, ..])
}

/// Source and destination port.
fn ports(transport: &[u8]) -> Option<[u16; 2]> {
    let ports = transport.first_chunk::<4>()?;
    Some([u16_at(ports, 0), u16_at(ports, 2)])
}

const IGMP: u8 = 2;
const UDP: u8 = 17;
const OSPF: u8 = 89;
const VRRP: u8 = 112;
/// RFC 4271 §8.
const BGP: u16 = 179;
/// Control and echo (RFC 5881 §4), and over several hops (RFC 5883 §5).
const BFD: [u16; 3] = [3784, 3785, 4784];
